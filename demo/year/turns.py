"""What is true and out of the ordinary: a semester begins, a class graduates, a system is replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

from demo.year import life
from demo.year.office import Office
from demo.year.schools import ELEMENTARY, GRADES

Turn = Callable[[Office, date], None]


def school_begins(office: Office, day: date) -> None:
    """Everybody is there on the first day: administrators, teachers, aides, pupils, and their classes."""
    for school in office.scale.schools:
        office.take_in("administrator", school.sourced_id)
        office.take_in("aide", school.sourced_id)
        for _ in range(school.teachers):
            office.take_in("teacher", school.sourced_id)
        for grade in school.grades:
            for _ in range(school.pupils):
                office.take_in("student", school.sourced_id, grade)
    office.open_classes(day)


def a_bit_of_everything(office: Office, day: date) -> None:
    """Every habit of the district once, so that no year goes without."""
    for habit in life.HABITS.values():
        habit.what(office)


def swap_usernames(office: Office, day: date) -> None:
    """Two pupils swap theirs, and four pass them on in a ring."""
    pupils = office.some(office.pupils(), 6)
    for ring in (pupils[:2], pupils[2:]):
        names = [member.person.username for member in ring]
        for member, name in zip(ring, [*names[1:], names[0]], strict=True):
            member.person = replace(member.person, username=name)


def two_sourced_ids(office: Office, day: date) -> None:
    """Pupils whom two schools keep apart, each under a sourcedId of its own."""
    schools = [school.sourced_id for school in office.scale.schools if school.grades == ELEMENTARY]
    candidates = [each for each in office.pupils() if each.schools == (schools[0],)]
    for member in office.some(candidates, 3):
        member.second = (f"{member.person.sourced_id}-2", schools[1])


def one_sourced_id_again(office: Office, day: date) -> None:
    """The second school has one of them no more."""
    for member in [each for each in office.pupils() if each.second][:1]:
        assert member.second is not None
        member.former.append(member.second[0])
        member.second = None


def aides_become_teachers(office: Office, day: date) -> None:
    for member in office.here(lambda each: each.person.role == "aide")[:2]:
        member.person = replace(member.person, role="teacher")


def some_leave(office: Office, day: date) -> None:
    for _ in range(3):
        life.leave(office)


def spring_begins(office: Office, day: date) -> None:
    office.open_classes(day)


def new_system(office: Office, day: date) -> None:
    office.migrate()


def roll_over(office: Office, day: date) -> None:
    """The oldest graduate, everybody else is a grade up, the old year's classes end and the new year's are there."""
    for member in office.pupils():
        grade = member.person.grade
        if grade == GRADES[-1]:
            member.here = False
            member.seats = {}
            continue
        above = GRADES[GRADES.index(grade) + 1]
        school = next(each for each in office.scale.schools if member.person.schools[0] == each.sourced_id)
        if above not in school.grades:
            school = next(each for each in office.scale.schools if above in each.grades)
            if member.second:
                member.former.append(member.second[0])
                member.second = None
        schools = (school.sourced_id,)
        member.person = replace(member.person, grade=above, schools=schools)
    office.open_classes(day)


def summer_passes(office: Office, day: date) -> None:
    """Families move away and to here."""
    for _ in range(3):
        life.leave(office)
        life.join(office)


def next_year(office: Office, day: date) -> None:
    """The youngest come."""
    for school in office.scale.schools:
        if school.grades[0] == GRADES[0]:
            for _ in range(school.pupils):
                office.seat(office.take_in("student", school.sourced_id, GRADES[0]))
