"""Whether everybody who should have an account has exactly one, with all that was theirs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from demo.year.expected import Account, Expect, Expected
from demo.year.member import Member
from demo.year.office import Office
from demo.year.platform import Held, Holdings


@dataclass(frozen=True, slots=True)
class Problem:
    """code: lost, doubled, another-account, belongings, stranger, field, seats, class, too-many-lost."""

    code: str
    who: str
    what: str

    def __str__(self) -> str:
        return f"{self.code}: {self.who}: {self.what}"


def check(
    office: Office,
    expected: Expected,
    holdings: Holdings,
    expect: Expect,
    victims: frozenset[int] = frozenset(),
    bearable: int = 0,
) -> list[Problem]:
    """victims: numbers of members whom a slow bleed left out, of whom at most `bearable` may be gone tonight."""
    found: list[Problem] = []
    owners = _owners(office, holdings)
    lost = 0
    for number, account in expected.accounts.items():
        member = office.members[number - 1]
        theirs = owners.get(number, [])
        if not theirs and number in victims:
            lost += 1
            continue
        found += _one_account(member, theirs)
        for held in theirs[:1]:
            found += _belongings(member, held)
            if expect is not Expect.SAFE:
                found += _details(member, account, held)
    if lost > bearable:
        found.append(Problem("too-many-lost", "slow bleed", f"{lost} are gone, {bearable} could be borne"))
    if expect is not Expect.SAFE:
        found += _strangers(office, expected, holdings, owners)
        found += _classes(expected, holdings)
    return found


def remember_accounts(office: Office, holdings: Holdings) -> None:
    """The account that somebody gets first is theirs for good."""
    for number, theirs in _owners(office, holdings).items():
        member = office.members[number - 1]
        if member.account is None and len(theirs) == 1:
            member.account = theirs[0].account


def _owners(office: Office, holdings: Holdings) -> dict[int, list[Held]]:
    """Live accounts by the member they speak of: by a sourcedId they have or had, an identifier, or an LMS link."""
    keys: dict[tuple[str, str], int] = {}
    for member in office.members:
        for sourced_id in (*member.sourced_ids, *member.former):
            keys["sourcedId", sourced_id] = member.number
        keys["identifier", member.person.identifier] = member.number
        if member.subject:
            keys["lms", member.subject] = member.number
    owners: dict[int, list[Held]] = defaultdict(list)
    for held in holdings.people.values():
        names = [("sourcedId", each) for each in sorted(held.sourced_ids)]
        names += [("identifier", held.identifier), *(("lms", each) for each in sorted(held.subjects))]
        for number in dict.fromkeys(keys[name] for name in names if name in keys):
            owners[number].append(held)
    return owners


def _one_account(member: Member, theirs: list[Held]) -> Iterator[Problem]:
    if not theirs:
        yield Problem("lost", _name(member), "has no account")
    elif len(theirs) > 1:
        yield Problem("doubled", _name(member), f"has accounts {[each.account for each in theirs]}")
    elif member.account not in (None, theirs[0].account):
        yield Problem("another-account", _name(member), f"had {member.account}, has {theirs[0].account}")


def _belongings(member: Member, held: Held) -> Iterator[Problem]:
    for what, should, has in (
        ("password", member.password, held.password),
        ("LMS links", {member.subject} - {None}, held.subjects),
        ("assignments", member.assignments, held.assignments),
    ):
        if should != has:
            yield Problem("belongings", _name(member), f"{what}: should be {should or 'none'}, is {has or 'none'}")


def _details(member: Member, account: Account, held: Held) -> Iterator[Problem]:
    for what in ("given_name", "family_name", "email", "username", "identifier", "grade", "status", "roles"):
        should, has = getattr(account, what), getattr(held, what)
        if should != has:
            yield Problem("field", _name(member), f"{what}: should be {_shown(should)}, is {_shown(has)}")
    if sorted(account.seats) != sorted(held.seats):
        missing, spare = account.seats - set(held.seats), set(held.seats) - account.seats
        twice = len(held.seats) - len(set(held.seats))
        yield Problem("seats", _name(member), f"not in {sorted(missing)}, still in {sorted(spare)}, twice in {twice}")


def _strangers(
    office: Office, expected: Expected, holdings: Holdings, owners: dict[int, list[Held]]
) -> Iterator[Problem]:
    known = {held.account for number in expected.accounts for held in owners.get(number, ())}
    whose = {held.account: number for number, theirs in owners.items() for held in theirs}
    for held in holdings.people.values():
        if held.account not in known:
            number = whose.get(held.account)
            who = _name(office.members[number - 1]) if number else "nobody's"
            yield Problem("stranger", who, f"account {held.account} is live")


def _classes(expected: Expected, holdings: Holdings) -> Iterator[Problem]:
    for key, section in expected.classes.items():
        should = section.assignments
        has = holdings.classes.get(key)
        if has != should:
            what = "is not there" if has is None else f"assignments: should be {sorted(should)}, are {sorted(has)}"
            yield Problem("class", key, what)
    for key in holdings.classes.keys() - expected.classes.keys():
        yield Problem("class", key, "is live and should not be")


def _shown(value: object) -> object:
    return sorted(value) if isinstance(value, Iterable) and not isinstance(value, str) else value


def _name(member: Member) -> str:
    return f"member {member.number} ({'/'.join(member.sourced_ids)})"
