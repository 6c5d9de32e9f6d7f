"""Whether everybody who should have an account has exactly one, with all that was theirs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from demo.year.expected import Account, DayExpectation, TargetState
from demo.year.member import Member
from demo.year.office import Office
from demo.year.platform import Holdings, LiveAccount


@dataclass(frozen=True, slots=True)
class AccountProblem:
    """code: lost, doubled, another-account, belongings, stranger, field, seats, class, too-many-lost."""

    code: str
    who: str
    what: str

    def __str__(self) -> str:
        return f"{self.code}: {self.who}: {self.what}"


def check_accounts(
    office: Office,
    target: TargetState,
    holdings: Holdings,
    expect: DayExpectation,
    victims: frozenset[int] = frozenset(),
    bearable: int = 0,
) -> list[AccountProblem]:
    """victims: numbers of members whom a slow bleed left out, of whom at most `bearable` may be gone tonight."""
    found: list[AccountProblem] = []
    owners = _match_owners(office, holdings)
    lost = 0
    for number, account in target.accounts.items():
        member = office.members[number - 1]
        theirs = owners.get(number, [])
        if not theirs and number in victims:
            lost += 1
            continue
        found += _check_one_account(member, theirs)
        for held in theirs[:1]:
            found += _check_belongings(member, held)
            if expect is not DayExpectation.SAFE:
                found += _check_details(member, account, held)
    if lost > bearable:
        found.append(AccountProblem("too-many-lost", "slow bleed", f"{lost} are gone, {bearable} could be borne"))
    if expect is not DayExpectation.SAFE:
        found += _check_strangers(office, target, holdings, owners)
        found += _check_classes(target, holdings)
    return found


def remember_accounts(office: Office, holdings: Holdings) -> None:
    """The account that somebody gets first is theirs for good."""
    for number, theirs in _match_owners(office, holdings).items():
        member = office.members[number - 1]
        if member.account is None and len(theirs) == 1:
            member.account = theirs[0].account


def _match_owners(office: Office, holdings: Holdings) -> dict[int, list[LiveAccount]]:
    """Live accounts by the member they speak of: by a sourcedId they have or had, an identifier, or an LMS link."""
    keys: dict[tuple[str, str], int] = {}
    for member in office.members:
        for sourced_id in (*member.sourced_ids, *member.former):
            keys["sourcedId", sourced_id] = member.number
        keys["identifier", member.person.identifier] = member.number
        if member.subject:
            keys["lms", member.subject] = member.number
    owners: dict[int, list[LiveAccount]] = defaultdict(list)
    for held in holdings.people.values():
        names = [("sourcedId", each) for each in sorted(held.sourced_ids)]
        names += [("identifier", held.identifier), *(("lms", each) for each in sorted(held.subjects))]
        for number in dict.fromkeys(keys[name] for name in names if name in keys):
            owners[number].append(held)
    return owners


def _check_one_account(member: Member, live_accounts: list[LiveAccount]) -> Iterator[AccountProblem]:
    if not live_accounts:
        yield AccountProblem("lost", _format_member(member), "has no account")
    elif len(live_accounts) > 1:
        yield AccountProblem(
            "doubled", _format_member(member), f"has accounts {[each.account for each in live_accounts]}"
        )
    elif member.account not in (None, live_accounts[0].account):
        yield AccountProblem(
            "another-account", _format_member(member), f"had {member.account}, has {live_accounts[0].account}"
        )


def _check_belongings(member: Member, live_account: LiveAccount) -> Iterator[AccountProblem]:
    for what, should, has in (
        ("password", member.password, live_account.password),
        ("LMS links", {member.subject} - {None}, live_account.subjects),
        ("assignments", member.assignments, live_account.assignments),
    ):
        if should != has:
            yield AccountProblem(
                "belongings", _format_member(member), f"{what}: should be {should or 'none'}, is {has or 'none'}"
            )


def _check_details(member: Member, account: Account, live_account: LiveAccount) -> Iterator[AccountProblem]:
    for what in ("given_name", "family_name", "email", "username", "identifier", "grade", "status", "roles"):
        should, has = getattr(account, what), getattr(live_account, what)
        if should != has:
            yield AccountProblem(
                "field", _format_member(member), f"{what}: should be {_format_value(should)}, is {_format_value(has)}"
            )
    if sorted(account.seats) != sorted(live_account.seats):
        missing, spare = account.seats - set(live_account.seats), set(live_account.seats) - account.seats
        twice = len(live_account.seats) - len(set(live_account.seats))
        yield AccountProblem(
            "seats", _format_member(member), f"not in {sorted(missing)}, still in {sorted(spare)}, twice in {twice}"
        )


def _check_strangers(
    office: Office, target: TargetState, holdings: Holdings, owners: dict[int, list[LiveAccount]]
) -> Iterator[AccountProblem]:
    known = {held.account for number in target.accounts for held in owners.get(number, ())}
    whose = {held.account: number for number, theirs in owners.items() for held in theirs}
    for held in holdings.people.values():
        if held.account not in known:
            number = whose.get(held.account)
            who = _format_member(office.members[number - 1]) if number else "nobody's"
            yield AccountProblem("stranger", who, f"account {held.account} is live")


def _check_classes(target: TargetState, holdings: Holdings) -> Iterator[AccountProblem]:
    for key, section in target.classes.items():
        should = section.assignments
        has = holdings.classes.get(key)
        if has != should:
            what = "is not there" if has is None else f"assignments: should be {sorted(should)}, are {sorted(has)}"
            yield AccountProblem("class", key, what)
    for key in holdings.classes.keys() - target.classes.keys():
        yield AccountProblem("class", key, "is live and should not be")


def _format_value(value: object) -> object:
    return sorted(value) if isinstance(value, Iterable) and not isinstance(value, str) else value


def _format_member(member: Member) -> str:
    return f"member {member.number} ({'/'.join(member.sourced_ids)})"
