"""Describes the limits of removals and changes without approval: max(floor, percent of the active rows)."""

from datetime import timedelta

from reconciler.config.fields.values import Count, Percent, Window
from reconciler.config.models.declaration import Declaration


class Limit(Declaration):
    """The larger of the floor and the percentage of active rows, rounded down, is allowed without approval."""

    percent: Percent
    """Percentage of the active rows."""
    floor: Count
    """Always allowed, however small the customer is."""


class UserLimit(Limit):
    """Removals of people."""

    percent: Percent = 10
    """Percentage of the customer's people."""
    per_school_percent: Percent = 25
    """Percentage of the people of any one school."""
    floor: Count = 5
    """Always allowed, however small the customer or the school is."""


class ClassLimit(Limit):
    """Removals of classes."""

    percent: Percent = 25
    """Percentage of the customer's classes."""
    floor: Count = 5
    """Always allowed, however few classes there are."""


class EnrollmentLimit(Limit):
    """Removals of enrollments."""

    percent: Percent = 25
    """Percentage of the customer's enrollments."""
    floor: Count = 20
    """Always allowed, however few enrollments there are."""


class RekeyLimit(Limit):
    """People with a new ID (sourcedId)."""

    percent: Percent = 20
    """Percentage of the customer's people."""
    floor: Count = 20
    """Always allowed, however few people there are."""


class UpdateLimit(Limit):
    """Changes of username, email or school."""

    percent: Percent = 50
    """Percentage of the customer's people."""
    floor: Count = 50
    """Always allowed, however few people there are."""


class ScopeLimit(Limit):
    """People who are removed because `select` was narrowed."""

    percent: Percent = 10
    """Percentage of the customer's people."""
    floor: Count = 5
    """Always allowed, however few people there are."""


class VanishingLimit(Limit):
    """Values that a roster clears, counted for each field."""

    percent: Percent = 10
    """Percentage of the rows that have a value in the field."""
    per_school_percent: Percent = 25
    """Percentage of the people of any one school who have a value in the field."""
    floor: Count = 5
    """Always allowed, however few rows have a value, unless all would lose it."""


class EscalationLimit(Declaration):
    """People who become teachers or administrators."""

    count: Count = 0
    """Maximum without approval."""


class Limits(Declaration):
    """How much a roster may remove or change without approval. Anything more is held."""

    window: Window = timedelta(days=7)
    """The days over which removals are added up. At least 1d, at most 366d."""
    users: UserLimit = UserLimit()
    """Removals of people."""
    classes: ClassLimit = ClassLimit()
    """Removals of classes."""
    enrollments: EnrollmentLimit = EnrollmentLimit()
    """Removals of enrollments."""
    rekeys: RekeyLimit = RekeyLimit()
    """People with a new ID (sourcedId)."""
    updates: UpdateLimit = UpdateLimit()
    """Changes of username, email or school."""
    scope_narrowed: ScopeLimit = ScopeLimit()
    """People who are removed because `select` was narrowed."""
    vanishing_values: VanishingLimit = VanishingLimit()
    """Values that a roster clears, such as emails or end dates, counted for each field."""
    role_escalations: EscalationLimit = EscalationLimit()
    """People who become teachers or administrators."""
