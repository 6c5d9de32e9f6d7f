"""Where a customer's people come from: by hand, or from a OneRoster."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from reconciler.config.fields.values import Count, Day, Duration, OneOf, Text
from reconciler.config.models.declaration import Circumstances, Declaration, Problem, Ruled, each, rule
from reconciler.config.models.limits import Limits
from reconciler.config.models.sync import Sync
from reconciler.model.gate import ALLOWABLE
from reconciler.model.role import Role


class Selection(Declaration):
    """Which part of the roster is synced. A list that is left out takes all."""

    schools: tuple[Text, ...] | None = None
    """sourcedIds of schools."""
    grades: tuple[Text, ...] | None = None
    """Grades as the roster writes them."""
    roles: tuple[Annotated[Role, OneOf()], ...] | None = None
    """Roles of people."""
    classes: tuple[Text, ...] | None = None
    """sourcedIds of classes."""


class Season(Ruled):
    """Days on which a roster may do less."""

    from_: Day = Field(alias="from")
    """The first day."""
    to: Day
    """The last day."""
    mode: Annotated[Literal["adds_only", "freeze"], OneOf()]
    """adds_only: nobody is removed. freeze: nothing is changed."""

    @rule
    def _ends_after_it_begins(self, known: Circumstances) -> Iterable[Problem]:
        if self.from_ > self.to:
            yield Problem("dates-reversed", f"to ({self.to}) is before from ({self.from_})", ("to",))


def _gate(value: str) -> str:
    if value not in ALLOWABLE:
        raise PydanticCustomError("invalid-choice", "must be one of the choices", {"choices": ALLOWABLE})
    return value


class GateAllowance(Declaration):
    """A gate that is expected to object, and why that is in order."""

    gate: Annotated[Text, AfterValidator(_gate), WithJsonSchema({"type": "string", "enum": list(ALLOWABLE)})]
    """The gate's code, as a diagnostic names it; docs/gates.md lists them."""
    until: Day
    """The last day on which it is in order."""
    reason: Text
    """Why, for whoever reads this later."""


class Approval(Declaration):
    """Deletions released in advance."""

    people: Count
    """Up to as many people."""
    until: Day
    """The last day."""
    reason: Text
    """Why, for whoever reads this later."""


class Merge(Ruled):
    """Two accounts of one person, which become one. Only people say so; no value that both have ever does."""

    keep: Text
    """The sourcedId of the account that stays and gets what both have."""
    merge: Text
    """The sourcedId of the account that goes into it, or of a row that is to get none of its own."""
    reason: Text
    """Why they are one person, for whoever reads this later."""

    @rule
    def _two_of_them(self, known: Circumstances) -> Iterable[Problem]:
        if self.keep == self.merge:
            yield Problem(
                "merge-with-itself",
                "keep and merge are the same sourcedId",
                ("merge",),
                "name the sourcedId of the other account",
            )


class ManualRostering(Declaration):
    """People are added by hand, by join links or by launches; no roster is synced."""

    type: Literal["manual"] = "manual"
    """Where people come from."""


class OneRosterRostering(Ruled):
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
    select: Selection | None = None
    """Which part of the roster is synced."""
    missing: Annotated[Literal["delete", "suspend", "keep"], OneOf()] = "delete"
    """What becomes of an account that left the roster."""
    limits: Limits = Limits()
    """Deletions that go through without a person being asked."""
    protect: tuple[Text, ...] = ()
    """sourcedIds of people that a roster never deletes."""
    merges: tuple[Merge, ...] = ()
    """Accounts that are of one person each."""
    calendar: tuple[Season, ...] = ()
    """Days on which the roster may do less."""
    allow: tuple[GateAllowance, ...] = ()
    """Gates that are expected to object."""
    approvals: tuple[Approval, ...] = ()
    """Deletions released in advance."""
    retention: Duration = timedelta(days=30)
    """How long deleted people can be brought back."""

    @rule
    def _signed_as_its_version_is(self, known: Circumstances) -> Iterable[Problem]:
        if self.version == "1.2" and self.sync.type == "api" and self.sync.authorization != "oauth2":
            yield Problem(
                "oauth2-only",
                "OneRoster 1.2 is authorization: oauth2 only",
                ("sync", "authorization"),
                'write authorization: oauth2, or version: "1.1"',
            )

    @rule
    def _merged_once(self, known: Circumstances) -> Iterable[Problem]:
        seen: set[str] = set()
        for place, merged in each(self.merges, "merge"):
            if merged in seen:
                yield Problem(
                    "duplicate-merge",
                    "another entry merges this sourcedId already",
                    ("merges", place, "merge"),
                    "a person goes into one account: keep one of the two entries",
                )
            seen.add(merged)

    @rule
    def _merged_in_one_step(self, known: Circumstances) -> Iterable[Problem]:
        merged = {sourced_id: place for place, sourced_id in each(self.merges, "merge")}
        for place, kept in each(self.merges, "keep"):
            if merged.get(kept, place) != place:
                yield Problem(
                    "chained-merge",
                    "keep is the merge of another entry",
                    ("merges", place, "keep"),
                    "name the account that stays in the end in both entries",
                )


Rostering = Annotated[ManualRostering | OneRosterRostering, Field(discriminator="type")]
