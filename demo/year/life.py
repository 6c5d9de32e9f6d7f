"""What happens in a district on an ordinary day: people come, go, move, marry and come back.

Each of these changes the office's truth, and knows nothing of rosters or accounts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from demo.registrar import simplify_name
from demo.words import FAMILY_NAMES
from demo.year.office import Office
from demo.year.schools import ELEMENTARY

Happening = Callable[[Office], bool]


def add_pupil(office: Office) -> bool:
    """A pupil moves here; now and then with the e-mail of somebody who left."""
    schools = office.scale.schools
    school = office.chance.choices(schools, [each.pupils * len(each.grades) for each in schools])[0]
    grade = office.chance.choice(school.grades)
    gone = [each for each in office.members if not each.present and each.is_pupil]
    member = office.enroll_member("student", school.sourced_id, grade)
    if gone and office.chance.random() < 0.1:
        member.person = replace(member.person, email=office.chance.choice(gone).person.email)
    office.assign_seats(member)
    return True


def replace_teacher(office: Office) -> bool:
    """A teacher comes for one who goes."""
    leaving = [
        each for each in office.list_present(lambda each: each.person.role == "teacher") if len(each.schools) == 1
    ]
    if not leaving:
        return False
    old = office.chance.choice(leaving)
    new = office.enroll_member("teacher", old.person.schools[0])
    new.seats, old.seats = old.seats, {}
    old.present = False
    return True


def remove_pupil(office: Office) -> bool:
    pupils = office.list_pupils()
    member = office.chance.choice(pupils)
    member.present = False
    member.seats = {}
    return True


def return_pupil(office: Office) -> bool:
    """Somebody who left returns, under the old sourcedId or under a new one."""
    gone = [each for each in office.members if not each.present and each.is_pupil and each.person.grade]
    if not gone:
        return False
    member = office.chance.choice(gone)
    if office.chance.random() < 0.4:
        member.former += member.sourced_ids
        member.person = replace(member.person, sourced_id=f"{member.person.sourced_id}-r")
    member.second = None
    taken = {each.person.email for each in office.list_present()}
    if member.person.email in taken:
        member.person = replace(member.person, email=f"{member.person.username}.{member.number}@springfield.example")
    member.present = member.enabled = True
    office.assign_seats(member)
    return True


def move_pupil(office: Office) -> bool:
    """A pupil of one elementary school goes to another."""
    schools = [each for each in office.scale.schools if each.grades == ELEMENTARY]
    movable = [each for each in office.list_pupils() if each.person.grade in ELEMENTARY and len(each.schools) == 1]
    if not movable:
        return False
    member = office.chance.choice(movable)
    there = office.chance.choice([each for each in schools if each.sourced_id not in member.schools])
    member.person = replace(member.person, schools=(there.sourced_id,))
    office.assign_seats(member)
    return True


def rename_member(office: Office) -> bool:
    """A new family name, and the username and e-mail that go with it."""
    member = office.chance.choice(office.list_present())
    family = office.chance.choice(FAMILY_NAMES)
    username = f"{simplify_name(member.person.given_name)[0]}{simplify_name(family)}.{member.number}"
    member.person = replace(
        member.person, family_name=family, username=username, email=f"{username}@springfield.example"
    )
    return True


def change_email(office: Office) -> bool:
    member = office.chance.choice(office.list_present())
    address = f"{member.person.username}.{office.chance.randrange(10_000):04d}@springfield.example"
    member.person = replace(member.person, email=address)
    return True


def disable_pupil(office: Office) -> bool:
    member = office.chance.choice(office.list_present(lambda each: each.enabled and each.is_pupil))
    member.enabled = False
    return True


def enable_member(office: Office) -> bool:
    off = office.list_present(lambda each: not each.enabled)
    if not off:
        return False
    office.chance.choice(off).enabled = True
    return True


def change_class(office: Office) -> bool:
    """A pupil goes to the parallel class of a course."""
    member = office.chance.choice(office.list_pupils())
    for key in member.seats:
        taught = office.sections[key].school_class
        parallel = [
            other
            for other, section in office.sections.items()
            if other not in member.seats
            and (section.school_class.school, section.school_class.course, section.school_class.grades)
            == (taught.school, taught.course, taught.grades)
        ]
        if parallel:
            del member.seats[key]
            member.seats[office.chance.choice(parallel)] = None
            return True
    return False


def share_teacher(office: Office) -> bool:
    """A pupil or teacher belongs to a second school as well, under one sourcedId."""
    candidates = office.list_present(lambda each: each.person.role == "teacher" and len(each.schools) == 1)
    if not candidates:
        return False
    member = office.chance.choice(candidates)
    other = office.chance.choice([each for each in office.scale.schools if each.sourced_id not in member.schools])
    member.person = replace(member.person, schools=(*member.person.schools, other.sourced_id))
    return True


@dataclass(frozen=True, slots=True)
class Habit:
    """often: how many times on a day in a district of 1,200, on average."""

    action: Happening
    frequency: float


HABITS: dict[str, Habit] = {
    "joiner": Habit(add_pupil, 1.2),
    "leaver": Habit(remove_pupil, 0.8),
    "teacher-change": Habit(replace_teacher, 0.05),
    "return": Habit(return_pupil, 0.12),
    "transfer": Habit(move_pupil, 0.3),
    "new-name": Habit(rename_member, 0.2),
    "new-email": Habit(change_email, 0.4),
    "disabled": Habit(disable_pupil, 0.2),
    "enabled-again": Habit(enable_member, 0.18),
    "class-change": Habit(change_class, 0.8),
    "second-school": Habit(share_teacher, 0.03),
}


def simulate_ordinary_day(office: Office, exclude: frozenset[str] = frozenset()) -> list[str]:
    """Plays it; returns the names of what happened, one for each time."""
    happened: list[str] = []
    for name, habit in HABITS.items():
        rate = habit.frequency * office.scale.pace
        times = int(rate) + (office.chance.random() < rate % 1)
        if name not in exclude:
            happened += [name for _ in range(times) if habit.action(office)]
    return happened
