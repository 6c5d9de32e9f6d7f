"""What the platform should hold of everybody tonight, as far as the rosters that it was given could tell it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from demo.year.export import Row
from demo.year.member import Member
from demo.year.office import Office, Section

SUFFIX = "@springfield"


class Expect(StrEnum):
    """What a day's roster may do. EXACT: all that is true, and nothing else. UNCHANGED: nothing at all. SAFE: nobody
    is lost or doubled, and everybody keeps what they have; names and classes may be those of another day. BLED: all
    that is true, but some who are wrongly missing may be gone, no more than the limits allow. ADDED: who is in it
    comes or changes, nobody goes."""

    EXACT = "exact"
    UNCHANGED = "unchanged"
    SAFE = "safe"
    BLED = "bled"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class Account:
    """What of somebody comes from the roster. roles: `SCHOOL=ROLE`. seats: sourcedIds of classes."""

    given_name: str
    family_name: str
    email: str
    username: str
    identifier: str
    grade: str
    status: str
    roles: frozenset[str]
    seats: frozenset[str]


@dataclass(frozen=True, slots=True)
class Expected:
    """accounts: by a member's number, who should have one. classes: live classes by sourcedId."""

    accounts: dict[int, Account]
    classes: dict[str, Section]

    def with_truth_of(
        self, office: Office, *, stale: frozenset[int] = frozenset(), added: Iterable[Row] | None = None
    ) -> Expected:
        """As the office has it now. stale: members whose row could not be used; they stay as they were. added: rows
        of users.csv where only they may add something, and nobody goes."""
        now = {member.number: account_of(member) for member in office.here()}
        if added is not None:
            named = {row["sourcedId"] for row in added}
            numbers = {each.number for each in office.here() if named & set(each.sourced_ids)}
            now = self.accounts | {number: account for number, account in now.items() if number in numbers}
        for number in stale:
            now.pop(number, None)
            if number in self.accounts:
                now[number] = self.accounts[number]
        return Expected(now, dict(office.sections))


def account_of(member: Member) -> Account:
    person = member.person
    return Account(
        given_name=person.given_name,
        family_name=person.family_name,
        email=person.email,
        username=person.username + SUFFIX,
        identifier=person.identifier,
        grade=person.grade,
        status="active" if member.enabled else "suspended",
        roles=frozenset(f"{school}={person.role}" for school in member.schools),
        seats=frozenset(member.seats),
    )


NOTHING = Expected({}, {})
