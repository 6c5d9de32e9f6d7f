"""What is true and out of the ordinary: a semester begins, a class graduates, a system is replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

from demo.year import life
from demo.year.office import Office
from demo.year.schools import ELEMENTARY, GRADES

Turn = Callable[[Office, date], None]


def begin_school(office: Office, day: date) -> None:
    """Everybody is there on the first day: administrators, teachers, aides, pupils, and their classes."""
    for school in office.scale.schools:
        office.enroll_member("administrator", school.sourced_id)
        office.enroll_member("aide", school.sourced_id)
        for _ in range(school.teachers):
            office.enroll_member("teacher", school.sourced_id)
        for grade in school.grades:
            for _ in range(school.pupils):
                office.enroll_member("student", school.sourced_id, grade)
    office.open_classes(day)


def run_every_habit(office: Office, day: date) -> None:
    """Every habit of the district once, so that no year goes without."""
    for habit in life.HABITS.values():
        habit.action(office)


def swap_usernames(office: Office, day: date) -> None:
    """Two pupils swap theirs, and four pass them on in a ring."""
    pupils = office.pick_members(office.list_pupils(), 6)
    for ring in (pupils[:2], pupils[2:]):
        names = [member.person.username for member in ring]
        for member, name in zip(ring, [*names[1:], names[0]], strict=True):
            member.person = replace(member.person, username=name)


def add_second_sourced_ids(office: Office, day: date) -> None:
    """Pupils whom two schools keep apart, each under a sourcedId of its own."""
    schools = [school.sourced_id for school in office.scale.schools if school.grades == ELEMENTARY]
    candidates = [each for each in office.list_pupils() if each.schools == (schools[0],)]
    for member in office.pick_members(candidates, 3):
        member.second = (f"{member.person.sourced_id}-2", schools[1])


def remove_second_sourced_id(office: Office, day: date) -> None:
    """The second school has one of them no more."""
    for member in [each for each in office.list_pupils() if each.second][:1]:
        assert member.second is not None
        member.former.append(member.second[0])
        member.second = None


def turn_aides_into_teachers(office: Office, day: date) -> None:
    for member in office.list_present(lambda each: each.person.role == "aide")[:2]:
        member.person = replace(member.person, role="teacher")


def remove_some_pupils(office: Office, day: date) -> None:
    for _ in range(3):
        life.remove_pupil(office)


def begin_spring(office: Office, day: date) -> None:
    office.open_classes(day)


def change_system(office: Office, day: date) -> None:
    office.migrate_system()


def roll_over_year(office: Office, day: date) -> None:
    """The oldest graduate, everybody else is a grade up, the old year's classes end and the new year's are there."""
    for member in office.list_pupils():
        grade = member.person.grade
        if grade == GRADES[-1]:
            member.present = False
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


def simulate_summer(office: Office, day: date) -> None:
    """Families move away and to here."""
    for _ in range(3):
        life.remove_pupil(office)
        life.add_pupil(office)


def begin_next_year(office: Office, day: date) -> None:
    """The youngest come."""
    for school in office.scale.schools:
        if school.grades[0] == GRADES[0]:
            for _ in range(school.pupils):
                office.assign_seats(office.enroll_member("student", school.sourced_id, GRADES[0]))
