"""Describes the source of a customer's people: manual, or a OneRoster roster."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from reconciler.config.fields.values import Count, Day, Key, OneOf, Retention, Text, VisibleText
from reconciler.config.models import declaration
from reconciler.config.models.limits import Limits
from reconciler.config.models.sync import Sync
from reconciler.model.gate import ALLOWABLE_GATES
from reconciler.model.role import Role


class SelectionSettings(declaration.Declaration):
    """The part of the roster that is synced. A list that is left out selects all."""

    schools: tuple[VisibleText, ...] | None = None
    """sourcedIds of schools."""
    grades: tuple[Key, ...] | None = None
    """Grades, as the roster writes them."""
    roles: tuple[Annotated[Role, OneOf()], ...] | None = None
    """Roles of people."""
    classes: tuple[VisibleText, ...] | None = None
    """sourcedIds of classes."""


class SeasonSettings(declaration.DeclarationWithRules):
    """Dates between which a roster may change less."""

    from_: Day = Field(alias="from")
    """The first date."""
    to: Day
    """The last date."""
    mode: Annotated[Literal["adds_only", "freeze"], OneOf()]
    """adds_only: nothing is removed. freeze: no roster change is applied."""

    @declaration.mark_rule
    def _check_dates_in_order(self, context: declaration.ValidationContext) -> Iterable[declaration.RuleViolation]:
        if self.from_ > self.to:
            yield declaration.RuleViolation("dates-reversed", f"to ({self.to}) is before from ({self.from_})", ("to",))


def _check_gate(value: str) -> str:
    if value not in ALLOWABLE_GATES:
        raise PydanticCustomError("invalid-choice", "must be one of the choices", {"choices": ALLOWABLE_GATES})
    return value


class GateExceptionSettings(declaration.Declaration):
    """An exception that lets a roster pass one gate until a date."""

    gate: Annotated[
        Text, AfterValidator(_check_gate), WithJsonSchema({"type": "string", "enum": list(ALLOWABLE_GATES)})
    ]
    """The gate's code, as in its diagnostic; docs/reference/gates.md lists them."""
    until: Day
    """The last date of the exception."""
    reason: Text
    """The reason, for later readers."""


class PreApprovalSettings(declaration.Declaration):
    """Removals approved in advance."""

    people: Count
    """The maximum number of people."""
    until: Day
    """The last date of the pre-approval."""
    reason: Text
    """The reason, for later readers."""


class MergeSettings(declaration.DeclarationWithRules):
    """Two accounts of one person, to become one. Only an entry here merges accounts; equal values never do."""

    keep: VisibleText
    """The sourcedId of the account that stays and gets everything that both have."""
    merge: VisibleText
    """The sourcedId of the account that is merged into it, or of a row that gets no account of its own."""
    reason: Text
    """The reason why they are one person, for later readers."""

    @declaration.mark_rule
    def _check_two_accounts(self, context: declaration.ValidationContext) -> Iterable[declaration.RuleViolation]:
        if self.keep == self.merge:
            yield declaration.RuleViolation(
                "merge-with-itself",
                "keep and merge are the same sourcedId",
                ("merge",),
                "Write the sourcedId of the other account.",
            )


class ManualRostering(declaration.Declaration):
    """People are added manually, by join links or by LMS launches; no roster is synced."""

    type: Literal["manual"] = "manual"
    """The source of the customer's people."""


class OneRosterRostering(declaration.DeclarationWithRules):
    """People, classes and enrollments come from a OneRoster roster."""

    type: Literal["oneroster"]
    """The source of the customer's people."""
    version: Annotated[Literal["1.1", "1.2"], OneOf()] = "1.1"
    """The OneRoster version of the source."""
    client_partner_id: VisibleText
    """The sourcedId of this customer's org in the roster; rows of other orgs are left out."""
    schools_without_parent: Annotated[Literal["protect", "ours"], OneOf()] = "protect"
    """Schools without a parent in the roster. protect: their people stay unchanged. ours: they are this customer's, if
    the source has no other district."""
    match_with: Annotated[Literal["identifier", "sourced_id", "email", "username"], OneOf()]
    """The field that matches roster rows to accounts."""
    suffix: Key | None = None
    """Appended to every username from the roster, so that two customers can have the same one."""
    sync: Sync
    """How the roster arrives."""
    select: SelectionSettings | None = None
    """The part of the roster that is synced."""
    missing: Annotated[Literal["delete", "suspend", "keep"], OneOf()] = "delete"
    """What happens to an account whose person is no longer in the roster."""
    limits: Limits = Limits()
    """How much a roster may remove or change without approval."""
    protect: tuple[VisibleText, ...] = ()
    """sourcedIds of people that a roster never removes."""
    merges: tuple[MergeSettings, ...] = ()
    """Pairs of accounts that belong to one person."""
    calendar: tuple[SeasonSettings, ...] = ()
    """Dates between which the roster may change less."""
    allow: tuple[GateExceptionSettings, ...] = ()
    """Gate exceptions, each until a date."""
    approvals: tuple[PreApprovalSettings, ...] = ()
    """Removals approved in advance."""
    retention: Retention = timedelta(days=30)
    """How long deleted people can be restored. At least 1d, at most 3650d."""

    @declaration.mark_rule
    def _check_authorization_fits_version(
        self, context: declaration.ValidationContext
    ) -> Iterable[declaration.RuleViolation]:
        if self.version == "1.2" and self.sync.type == "api" and self.sync.authorization != "oauth2":
            yield declaration.RuleViolation(
                "oauth2-only",
                "OneRoster 1.2 requires authorization: oauth2",
                ("sync", "authorization"),
                'Write authorization: oauth2 or version: "1.1".',
            )

    @declaration.mark_rule
    def _check_merged_once(self, context: declaration.ValidationContext) -> Iterable[declaration.RuleViolation]:
        seen: set[str] = set()
        for place, merged in declaration.iter_item_values(self.merges, "merge"):
            if merged in seen:
                yield declaration.RuleViolation(
                    "duplicate-merge",
                    "another entry already merges this sourcedId",
                    ("merges", place, "merge"),
                    "Keep one of the two entries: a person is merged into one account.",
                )
            seen.add(merged)

    @declaration.mark_rule
    def _check_no_chained_merges(self, context: declaration.ValidationContext) -> Iterable[declaration.RuleViolation]:
        merged = {sourced_id: place for place, sourced_id in declaration.iter_item_values(self.merges, "merge")}
        for place, sourced_id in declaration.iter_item_values(self.merges, "keep"):
            if merged.get(sourced_id, place) != place:
                yield declaration.RuleViolation(
                    "chained-merge",
                    "another entry merges the account to keep",
                    ("merges", place, "keep"),
                    "In both entries, keep the account that remains in the end.",
                )


Rostering = Annotated[ManualRostering | OneRosterRostering, Field(discriminator="type")]
