"""What happens in a district on an ordinary day: people come, go, move, marry and come back.

Each of these changes the office's truth, and knows nothing of rosters or accounts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from demo.registrar import plain
from demo.words import FAMILY_NAMES
from demo.year.office import Office
from demo.year.schools import ELEMENTARY

Happening = Callable[[Office], bool]


def join(office: Office) -> bool:
    """A pupil moves here; now and then with the e-mail of somebody who left."""
    schools = office.scale.schools
    school = office.chance.choices(schools, [each.pupils * len(each.grades) for each in schools])[0]
    grade = office.chance.choice(school.grades)
    gone = [each for each in office.members if not each.here and each.pupil]
    member = office.take_in("student", school.sourced_id, grade)
    if gone and office.chance.random() < 0.1:
        member.person = replace(member.person, email=office.chance.choice(gone).person.email)
    office.seat(member)
    return True


def hire(office: Office) -> bool:
    """A teacher comes for one who goes."""
    leaving = [each for each in office.here(lambda each: each.person.role == "teacher") if len(each.schools) == 1]
    if not leaving:
        return False
    old = office.chance.choice(leaving)
    new = office.take_in("teacher", old.person.schools[0])
    new.seats, old.seats = old.seats, {}
    old.here = False
    return True


def leave(office: Office) -> bool:
    pupils = office.pupils()
    member = office.chance.choice(pupils)
    member.here = False
    member.seats = {}
    return True


def come_back(office: Office) -> bool:
    """Somebody who left returns, under the old sourcedId or under a new one."""
    gone = [each for each in office.members if not each.here and each.pupil and each.person.grade]
    if not gone:
        return False
    member = office.chance.choice(gone)
    if office.chance.random() < 0.4:
        member.former += member.sourced_ids
        member.person = replace(member.person, sourced_id=f"{member.person.sourced_id}-r")
    member.second = None
    taken = {each.person.email for each in office.here()}
    if member.person.email in taken:
        member.person = replace(member.person, email=f"{member.person.username}.{member.number}@springfield.example")
    member.here = member.enabled = True
    office.seat(member)
    return True


def transfer(office: Office) -> bool:
    """A pupil of one elementary school goes to another."""
    schools = [each for each in office.scale.schools if each.grades == ELEMENTARY]
    movable = [each for each in office.pupils() if each.person.grade in ELEMENTARY and len(each.schools) == 1]
    if not movable:
        return False
    member = office.chance.choice(movable)
    there = office.chance.choice([each for each in schools if each.sourced_id not in member.schools])
    member.person = replace(member.person, schools=(there.sourced_id,))
    office.seat(member)
    return True


def rename(office: Office) -> bool:
    """A new family name, and the username and e-mail that go with it."""
    member = office.chance.choice(office.here())
    family = office.chance.choice(FAMILY_NAMES)
    username = f"{plain(member.person.given_name)[0]}{plain(family)}.{member.number}"
    member.person = replace(
        member.person, family_name=family, username=username, email=f"{username}@springfield.example"
    )
    return True


def change_email(office: Office) -> bool:
    member = office.chance.choice(office.here())
    address = f"{member.person.username}.{office.chance.randrange(10_000):04d}@springfield.example"
    member.person = replace(member.person, email=address)
    return True


def disable(office: Office) -> bool:
    member = office.chance.choice(office.here(lambda each: each.enabled and each.pupil))
    member.enabled = False
    return True


def enable(office: Office) -> bool:
    off = office.here(lambda each: not each.enabled)
    if not off:
        return False
    office.chance.choice(off).enabled = True
    return True


def change_class(office: Office) -> bool:
    """A pupil goes to the parallel class of a course."""
    member = office.chance.choice(office.pupils())
    for key in member.seats:
        taught = office.sections[key].taught
        parallel = [
            other
            for other, section in office.sections.items()
            if other not in member.seats
            and (section.taught.school, section.taught.course, section.taught.grades)
            == (taught.school, taught.course, taught.grades)
        ]
        if parallel:
            del member.seats[key]
            member.seats[office.chance.choice(parallel)] = None
            return True
    return False


def share(office: Office) -> bool:
    """A pupil or teacher belongs to a second school as well, under one sourcedId."""
    candidates = office.here(lambda each: each.person.role == "teacher" and len(each.schools) == 1)
    if not candidates:
        return False
    member = office.chance.choice(candidates)
    other = office.chance.choice([each for each in office.scale.schools if each.sourced_id not in member.schools])
    member.person = replace(member.person, schools=(*member.person.schools, other.sourced_id))
    return True


@dataclass(frozen=True, slots=True)
class Habit:
    """often: how many times on a day in a district of 1,200, on average."""

    what: Happening
    often: float


HABITS: dict[str, Habit] = {
    "joiner": Habit(join, 1.2),
    "leaver": Habit(leave, 0.8),
    "teacher-change": Habit(hire, 0.05),
    "return": Habit(come_back, 0.12),
    "transfer": Habit(transfer, 0.3),
    "new-name": Habit(rename, 0.2),
    "new-email": Habit(change_email, 0.4),
    "disabled": Habit(disable, 0.2),
    "enabled-again": Habit(enable, 0.18),
    "class-change": Habit(change_class, 0.8),
    "second-school": Habit(share, 0.03),
}


def ordinary_day(office: Office, without: frozenset[str] = frozenset()) -> list[str]:
    """Plays it; returns the names of what happened, one for each time."""
    happened: list[str] = []
    for name, habit in HABITS.items():
        rate = habit.often * office.scale.pace
        times = int(rate) + (office.chance.random() < rate % 1)
        if name not in without:
            happened += [name for _ in range(times) if habit.what(office)]
    return happened
