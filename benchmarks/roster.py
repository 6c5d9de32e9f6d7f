"""Big made-up rosters: OneRoster 1.1 bundles of any size with random ids, and the same one a day later.

The seed decides every row; no clock and no hash order.
"""

from __future__ import annotations

import io
import random
import zipfile
from array import array
from pathlib import Path

import polars as pl

from demo.bundle import COLUMNS, write_bundle
from demo.words import FAMILY_NAMES, GIVEN_NAMES

PEOPLE_PER_SCHOOL = 500
PEOPLE_PER_TEACHER = 16
FASTEST = 1
GRADES = tuple(f"{grade:02d}" for grade in range(1, 13))
FIRST_DAY, A_LATER_DAY, LAST_DAY = "2026-08-24", "2026-09-07", "2027-06-12"


def write_roster(
    path: Path, users: int, classes: int, enrollments: int, seed: int, *, district: str = "org-bench"
) -> None:
    """Writes a bundle with this many rows, all below one district. Every class has one teacher among its
    enrollments, and nobody sits in a class twice; ValueError where the numbers leave no room for that.
    """
    chance = random.Random(seed)
    schools = max(1, users // PEOPLE_PER_SCHOOL)
    org_ids, user_ids, class_ids = (
        _generate_ids(chance, schools),
        _generate_ids(chance, users),
        _generate_ids(chance, classes),
    )
    seats = _assign_seats(chance, users, classes, schools, enrollments)
    frames = {
        "orgs": _build_orgs(org_ids, district),
        "users": _build_users(chance, user_ids, org_ids),
        "classes": _build_classes(chance, class_ids, org_ids),
        "enrollments": seats.select(
            pl.Series("sourcedId", _generate_ids(chance, enrollments)),
            pl.Series("classSourcedId", class_ids.gather(seats["class"])),
            pl.Series("schoolSourcedId", org_ids.gather(seats["class"] % schools)),
            pl.Series("userSourcedId", user_ids.gather(seats["user"])),
            role=pl.when("teaches").then(pl.lit("teacher")).otherwise(pl.lit("student")),
            primary=pl.when("teaches").then(pl.lit("true")),
            beginDate=pl.lit(FIRST_DAY),
            endDate=pl.lit(LAST_DAY),
        ),
    }
    write_bundle(path, {file: _render_table(file, frame) for file, frame in frames.items()}, level=FASTEST)


def write_changed_roster(source: Path, path: Path, seed: int, share: float = 0.01) -> None:
    """Writes the bundle `source` as it is a day later. Of the students, half of `share` have another e-mail,
    and a quarter of it left, each with a new person in the same seats; of the classes, `share` have
    another title; of the other enrollments, `share` another first day.
    """
    chance = random.Random(seed)
    with zipfile.ZipFile(source) as archive:
        frames = {
            file: pl.read_csv(io.BytesIO(archive.read(f"{file}.csv")), infer_schema=False)
            for file in ("orgs", "users", "classes", "enrollments")
        }
    users, seats, classes = frames["users"], frames["enrollments"], frames["classes"]
    students = users.filter(pl.col("role") == "student").height
    place = _shuffle_places(chance, users.height, among=users["role"] == "student")
    mails = (place < students * share / 2).fill_null(False)
    leaves = place.is_between(students * share / 2, students * share * 3 / 4, closed="left").fill_null(False)
    joining = _build_replacements(chance, users.filter(leaves))

    moved = seats.join(
        joining.select("userSourcedId", joins="sourcedId"), "userSourcedId", how="left", maintain_order="left"
    )
    new_ids = pl.Series(_generate_ids(chance, seats.height))
    later = _shuffle_places(chance, seats.height, among=moved["joins"].is_null()) < seats.height * share
    retitled = _shuffle_places(chance, classes.height) < classes.height * share
    frames["users"] = pl.concat(
        [
            users.with_columns(email=pl.when(mails).then("new." + pl.col("email")).otherwise("email")).filter(~leaves),
            joining.drop("userSourcedId"),
        ]
    )
    frames["classes"] = classes.with_columns(
        title=pl.when(retitled).then(pl.col("title") + " (new)").otherwise("title")
    )
    frames["enrollments"] = moved.with_columns(
        sourcedId=pl.when(pl.col("joins").is_null()).then("sourcedId").otherwise(new_ids),
        userSourcedId=pl.coalesce("joins", "userSourcedId"),
        beginDate=pl.when(later).then(pl.lit(A_LATER_DAY)).otherwise("beginDate"),
    ).drop("joins")
    write_bundle(path, {file: _render_table(file, frame) for file, frame in frames.items()}, level=FASTEST)


def _build_orgs(org_ids: pl.Series, district: str) -> pl.DataFrame:
    number = pl.format("{}", pl.int_range(1, pl.len() + 1))
    schools = pl.DataFrame({"sourcedId": org_ids}).with_columns(
        name="School " + number, type=pl.lit("school"), identifier=number, parentSourcedId=pl.lit(district)
    )
    top = pl.DataFrame({"sourcedId": [district], "name": ["The district"], "type": ["district"]})
    return pl.concat([top, schools], how="diagonal")


def _build_users(chance: random.Random, user_ids: pl.Series, org_ids: pl.Series) -> pl.DataFrame:
    """The teachers first; user n belongs to school n modulo the number of schools."""
    place = pl.int_range(pl.len())
    teaches = place < _count_teachers(len(user_ids), len(org_ids))
    grades = pl.Series(GRADES).gather(_generate_numbers(chance, len(user_ids), len(GRADES)))
    frame = pl.DataFrame({"sourcedId": user_ids}).with_columns(
        pl.Series("orgSourcedIds", org_ids.gather(pl.int_range(len(user_ids), eager=True) % len(org_ids))),
        *_generate_names(chance, len(user_ids)),
        enabledUser=pl.lit("true"),
        role=pl.when(teaches).then(pl.lit("teacher")).otherwise(pl.lit("student")),
        identifier=pl.format("{}", place + 1_000_000),
        grades=pl.when(~teaches).then(grades),
    )
    return frame.with_columns(_build_username()).with_columns(email=pl.col("username") + "@bench.example")


def _build_replacements(chance: random.Random, leaving: pl.DataFrame) -> pl.DataFrame:
    """A new person for each who leaves, whose sourcedId stays in `userSourcedId`."""
    number = pl.col("identifier").cast(pl.Int64) + 1_000_000_000
    frame = leaving.with_columns(
        pl.Series("sourcedId", _generate_ids(chance, leaving.height)),
        *_generate_names(chance, leaving.height),
        identifier=number.cast(pl.String),
        userSourcedId="sourcedId",
    )
    return frame.with_columns(_build_username()).with_columns(email=pl.col("username") + "@bench.example")


def _build_classes(chance: random.Random, class_ids: pl.Series, org_ids: pl.Series) -> pl.DataFrame:
    """Class n belongs to school n modulo the number of schools."""
    place = pl.int_range(len(class_ids), eager=True)
    grades = pl.Series(GRADES).gather(_generate_numbers(chance, len(class_ids), len(GRADES)))
    return pl.DataFrame({"sourcedId": class_ids}).with_columns(
        pl.Series("grades", grades),
        pl.Series("schoolSourcedId", org_ids.gather(place % len(org_ids))),
        title=pl.format("Class {}", place),
        classCode=pl.format("C{}", place),
        classType=pl.lit("scheduled"),
        courseSourcedId=pl.format("course-{}", place % 400),
        termSourcedIds=pl.lit("year-2026"),
    )


def _assign_seats(chance: random.Random, users: int, classes: int, schools: int, seats: int) -> pl.DataFrame:
    """Who sits where, by place in the files: `class`, `user`, and whether the user teaches it."""
    teachers, taught = _count_teachers(users, schools), classes // schools
    students = users - teachers
    rounds = -(-(seats - classes) // max(1, students))
    if seats < classes or teachers < schools or students < 1 or rounds > taught:
        raise ValueError(f"{users} people cannot sit on {seats} seats of {classes} classes, each in a class once")
    school = pl.col("class") % schools
    of_teachers = pl.select(
        pl.Series("class", pl.int_range(classes, eager=True)),
        draw=_generate_numbers(chance, classes, teachers // schools),
    ).select("class", user=school + schools * pl.col("draw"), teaches=True)

    place = pl.int_range(seats - classes, eager=True)
    first = _generate_numbers(chance, students, taught)
    seat = pl.DataFrame({"user": place % students + teachers, "first": first.gather(place % students)})
    step = place // students * max(1, taught // max(1, rounds))
    of_students = seat.select(
        pl.Series("class", seat["user"] % schools + schools * ((seat["first"] + step) % taught)),
        "user",
        teaches=pl.lit(False),
    )
    return pl.concat([of_teachers, of_students])


def _count_teachers(users: int, schools: int) -> int:
    return max(schools, users // PEOPLE_PER_TEACHER)


def _generate_names(chance: random.Random, number: int) -> tuple[pl.Series, pl.Series]:
    return (
        pl.Series("givenName", pl.Series(GIVEN_NAMES).gather(_generate_numbers(chance, number, len(GIVEN_NAMES)))),
        pl.Series("familyName", pl.Series(FAMILY_NAMES).gather(_generate_numbers(chance, number, len(FAMILY_NAMES)))),
    )


def _build_username() -> pl.Expr:
    letters = pl.col("familyName").str.to_lowercase().str.replace_all(r"[^a-z]", "")
    return (letters + pl.col("identifier")).alias("username")


def _generate_ids(chance: random.Random, number: int) -> pl.Series:
    """Random ids in the form of UUIDs. Made as one text and split: a UUID for each would take minutes."""
    digits = pl.Series("id", chance.randbytes(16 * number).hex("-", 16).split("-") if number else [], pl.String)
    part = digits.str.slice
    return part(0, 8) + "-" + part(8, 4) + "-" + part(12, 4) + "-" + part(16, 4) + "-" + part(20)


def _generate_numbers(chance: random.Random, number: int, limit: int) -> pl.Series:
    """Random whole numbers from 0."""
    return pl.Series("draw", array("I", chance.randbytes(4 * number)).tolist(), pl.Int64) % limit


def _shuffle_places(chance: random.Random, number: int, among: pl.Series | None = None) -> pl.Series:
    """The numbers from 0 in random order, null where not `among`."""
    draw = _generate_numbers(chance, number, 1 << 32)
    if among is not None:
        draw = draw.set(~among, None)
    return draw.rank("ordinal").cast(pl.Int64) - 1


def _render_table(file: str, frame: pl.DataFrame) -> bytes:
    """The file's columns in the standard's order; those that the frame lacks are blank."""
    blank = [pl.lit(None, pl.String).alias(name) for name in COLUMNS[file] if name not in frame.columns]
    return frame.with_columns(blank).select(COLUMNS[file]).write_csv(line_terminator="\r\n").encode()
