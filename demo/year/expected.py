"""What the platform should hold of everybody tonight, as far as the rosters that it was given could tell it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from demo.year.export import Row
from demo.year.member import Member
from demo.year.office import ClassSection, Office

SUFFIX = "@springfield"


class DayExpectation(StrEnum):
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
class TargetState:
    """accounts: by a member's number, who should have one. classes: live classes by sourcedId."""

    accounts: dict[int, Account]
    classes: dict[str, ClassSection]

    def update_from_office(
        self, office: Office, *, stale: frozenset[int] = frozenset(), new_rows: Iterable[Row] | None = None
    ) -> TargetState:
        """As the office has it now. stale: members whose row could not be used; they stay as they were. added: rows
        of users.csv where only they may add something, and nobody goes."""
        now = {member.number: build_account(member) for member in office.list_present()}
        if new_rows is not None:
            named = {row["sourcedId"] for row in new_rows}
            numbers = {each.number for each in office.list_present() if named & set(each.sourced_ids)}
            now = self.accounts | {number: account for number, account in now.items() if number in numbers}
        for number in stale:
            now.pop(number, None)
            if number in self.accounts:
                now[number] = self.accounts[number]
        return TargetState(now, dict(office.sections))


def build_account(member: Member) -> Account:
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


EMPTY_STATE = TargetState({}, {})
