"""How much a roster may take away before a person is asked: max(floor, percent of what is live)."""

from __future__ import annotations

from datetime import timedelta

from reconciler.config.fields.values import Count, Duration, Percent
from reconciler.config.models.declaration import Declaration


class Limit(Declaration):
    """Allowed is the larger of the floor and the percentage, rounded down, of what is live."""

    percent: Percent
    """Per cent of what is live."""
    floor: Count
    """As many are allowed however small the customer is."""


class UserLimit(Limit):
    """Deletions of people."""

    percent: Percent = 10
    """Per cent of the customer's people."""
    per_school_percent: Percent = 25
    """Per cent of the people of any one school."""
    floor: Count = 5
    """As many are allowed however small the customer or the school is."""


class ClassLimit(Limit):
    """Deletions of classes."""

    percent: Percent = 25
    """Per cent of the customer's classes."""
    floor: Count = 5
    """As many are allowed however few there are."""


class EnrollmentLimit(Limit):
    """Deletions of enrollments."""

    percent: Percent = 25
    """Per cent of the customer's enrollments."""
    floor: Count = 20
    """As many are allowed however few there are."""


class RekeyLimit(Limit):
    """People under a new sourcedId."""

    percent: Percent = 20
    """Per cent of the customer's people."""
    floor: Count = 20
    """As many are allowed however few there are."""


class UpdateLimit(Limit):
    """Changes of username, e-mail or school."""

    percent: Percent = 50
    """Per cent of the customer's people."""
    floor: Count = 50
    """As many are allowed however few there are."""


class ScopeLimit(Limit):
    """People who leave because `select` was narrowed."""

    percent: Percent = 10
    """Per cent of the customer's people."""
    floor: Count = 5
    """As many are allowed however few there are."""


class EscalationLimit(Declaration):
    """People who become teacher or administrator."""

    count: Count = 0
    """As many are allowed."""


class Limits(Declaration):
    """Deletions that go through without a person being asked; what exceeds them is held."""

    window: Duration = timedelta(days=7)
    """The days over which losses are added up."""
    users: UserLimit = UserLimit()
    """Deletions of people."""
    classes: ClassLimit = ClassLimit()
    """Deletions of classes."""
    enrollments: EnrollmentLimit = EnrollmentLimit()
    """Deletions of enrollments."""
    rekeys: RekeyLimit = RekeyLimit()
    """People under a new sourcedId."""
    updates: UpdateLimit = UpdateLimit()
    """Changes of username, e-mail or school."""
    scope_narrowed: ScopeLimit = ScopeLimit()
    """People who leave because `select` was narrowed."""
    role_escalations: EscalationLimit = EscalationLimit()
    """People who become teacher or administrator."""
