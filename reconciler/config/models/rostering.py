"""Where a customer's people come from: by hand, or from a OneRoster."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from reconciler.config.fields.values import Count, Day, Duration, OneOf, Text
from reconciler.config.models.declaration import (
    Declaration,
    DeclarationWithRules,
    RuleViolation,
    ValidationContext,
    iter_item_values,
    mark_rule,
)
from reconciler.config.models.limits import Limits
from reconciler.config.models.sync import Sync
from reconciler.model.gate import ALLOWABLE_GATES
from reconciler.model.role import Role


class SelectionSettings(Declaration):
    """Which part of the roster is synced. A list that is left out takes all."""

    schools: tuple[Text, ...] | None = None
    """sourcedIds of schools."""
    grades: tuple[Text, ...] | None = None
    """Grades as the roster writes them."""
    roles: tuple[Annotated[Role, OneOf()], ...] | None = None
    """Roles of people."""
    classes: tuple[Text, ...] | None = None
    """sourcedIds of classes."""


class SeasonSettings(DeclarationWithRules):
    """Days on which a roster may do less."""

    from_: Day = Field(alias="from")
    """The first day."""
    to: Day
    """The last day."""
    mode: Annotated[Literal["adds_only", "freeze"], OneOf()]
    """adds_only: nobody is removed. freeze: nothing is changed."""

    @mark_rule
    def _check_dates_in_order(self, context: ValidationContext) -> Iterable[RuleViolation]:
        if self.from_ > self.to:
            yield RuleViolation("dates-reversed", f"to ({self.to}) is before from ({self.from_})", ("to",))


def _check_gate(value: str) -> str:
    if value not in ALLOWABLE_GATES:
        raise PydanticCustomError("invalid-choice", "must be one of the choices", {"choices": ALLOWABLE_GATES})
    return value


class GateExceptionSettings(Declaration):
    """A gate that is expected to object, and why that is in order."""

    gate: Annotated[
        Text, AfterValidator(_check_gate), WithJsonSchema({"type": "string", "enum": list(ALLOWABLE_GATES)})
    ]
    """The gate's code, as a diagnostic names it; docs/reference/gates.md lists them."""
    until: Day
    """The last day on which it is in order."""
    reason: Text
    """Why, for whoever reads this later."""


class PreApprovalSettings(Declaration):
    """Deletions released in advance."""

    people: Count
    """Up to as many people."""
    until: Day
    """The last day."""
    reason: Text
    """Why, for whoever reads this later."""


class MergeSettings(DeclarationWithRules):
    """Two accounts of one person, which become one. Only people say so; no value that both have ever does."""

    keep: Text
    """The sourcedId of the account that stays and gets what both have."""
    merge: Text
    """The sourcedId of the account that goes into it, or of a row that is to get none of its own."""
    reason: Text
    """Why they are one person, for whoever reads this later."""

    @mark_rule
    def _check_two_accounts(self, context: ValidationContext) -> Iterable[RuleViolation]:
        if self.keep == self.merge:
            yield RuleViolation(
                "merge-with-itself",
                "keep and merge are the same sourcedId",
                ("merge",),
                "name the sourcedId of the other account",
            )


class ManualRostering(Declaration):
    """People are added by hand, by join links or by launches; no roster is synced."""

    type: Literal["manual"] = "manual"
    """Where people come from."""


class OneRosterRostering(DeclarationWithRules):
    """People, classes and enrollments come from a OneRoster."""

    type: Literal["oneroster"]
    """Where people come from."""
    version: Annotated[Literal["1.1", "1.2"], OneOf()] = "1.1"
    """The version of OneRoster that the source speaks."""
    client_partner_id: Text
    """The sourcedId of this customer's org in the roster; rows of other orgs are left out."""
    match_with: Annotated[Literal["identifier", "sourced_id", "email", "username"], OneOf()]
    """It decides how a roster row finds its account."""
    suffix: Text | None = None
    """Put behind every username from the roster, so that two customers can have the same one."""
    sync: Sync
    """How the roster gets here."""
    select: SelectionSettings | None = None
    """Which part of the roster is synced."""
    missing: Annotated[Literal["delete", "suspend", "keep"], OneOf()] = "delete"
    """What becomes of an account that left the roster."""
    limits: Limits = Limits()
    """Deletions that go through without a person being asked."""
    protect: tuple[Text, ...] = ()
    """sourcedIds of people that a roster never deletes."""
    merges: tuple[MergeSettings, ...] = ()
    """Accounts that are of one person each."""
    calendar: tuple[SeasonSettings, ...] = ()
    """Days on which the roster may do less."""
    allow: tuple[GateExceptionSettings, ...] = ()
    """Gates that are expected to object."""
    approvals: tuple[PreApprovalSettings, ...] = ()
    """Deletions released in advance."""
    retention: Duration = timedelta(days=30)
    """How long deleted people can be brought back."""

    @mark_rule
    def _check_authorization_fits_version(self, context: ValidationContext) -> Iterable[RuleViolation]:
        if self.version == "1.2" and self.sync.type == "api" and self.sync.authorization != "oauth2":
            yield RuleViolation(
                "oauth2-only",
                "OneRoster 1.2 is authorization: oauth2 only",
                ("sync", "authorization"),
                'write authorization: oauth2, or version: "1.1"',
            )

    @mark_rule
    def _check_merged_once(self, context: ValidationContext) -> Iterable[RuleViolation]:
        seen: set[str] = set()
        for place, merged in iter_item_values(self.merges, "merge"):
            if merged in seen:
                yield RuleViolation(
                    "duplicate-merge",
                    "another entry merges this sourcedId already",
                    ("merges", place, "merge"),
                    "a person goes into one account: keep one of the two entries",
                )
            seen.add(merged)

    @mark_rule
    def _check_no_chained_merges(self, context: ValidationContext) -> Iterable[RuleViolation]:
        merged = {sourced_id: place for place, sourced_id in iter_item_values(self.merges, "merge")}
        for place, kept in iter_item_values(self.merges, "keep"):
            if merged.get(kept, place) != place:
                yield RuleViolation(
                    "chained-merge",
                    "keep is the merge of another entry",
                    ("merges", place, "keep"),
                    "name the account that stays in the end in both entries",
                )


Rostering = Annotated[ManualRostering | OneRosterRostering, Field(discriminator="type")]
