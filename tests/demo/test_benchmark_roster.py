"""The big rosters of the benchmarks, made small."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from benchmarks.roster import write_changed_roster, write_roster
from demo.bundle import COLUMNS

FILES = ("orgs", "users", "classes", "enrollments")
USERS, CLASSES, ENROLLMENTS = 2_000, 800, 12_000


def read(path: Path) -> dict[str, pl.DataFrame]:
    with zipfile.ZipFile(path) as archive:
        return {file: pl.read_csv(io.BytesIO(archive.read(f"{file}.csv")), infer_schema=False) for file in FILES}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("big") / "day-1.zip"
    write_roster(path, USERS, CLASSES, ENROLLMENTS, seed=1)
    return path


def test_roster_has_the_requested_rows_in_standard_columns(bundle: Path) -> None:
    frames = read(bundle)
    assert {file: frame.height for file, frame in frames.items()} == {
        "orgs": 5,
        "users": USERS,
        "classes": CLASSES,
        "enrollments": ENROLLMENTS,
    }
    for file, frame in frames.items():
        assert tuple(frame.columns) == COLUMNS[file]
        assert frame["sourcedId"].n_unique() == frame.height


def test_ids_look_like_uuids_and_come_in_no_order(bundle: Path) -> None:
    ids = read(bundle)["enrollments"]["sourcedId"]
    assert ids.str.contains(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$").all()
    assert not ids.is_sorted()


@pytest.mark.parametrize("column", ["identifier", "username", "email"])
def test_people_of_a_big_roster_share_no_identifying_values(bundle: Path, column: str) -> None:
    values = read(bundle)["users"][column]
    assert values.null_count() == 0
    assert values.n_unique() == USERS


def test_everyone_sits_once_in_classes_of_their_own_school(bundle: Path) -> None:
    frames = read(bundle)
    schools = frames["users"].select("orgSourcedIds", userSourcedId="sourcedId")
    taught = frames["classes"].select(of_class="schoolSourcedId", classSourcedId="sourcedId")
    seats = frames["enrollments"].join(schools, "userSourcedId").join(taught, "classSourcedId")
    assert seats.height == ENROLLMENTS
    assert (seats["orgSourcedIds"] == seats["schoolSourcedId"]).all()
    assert (seats["of_class"] == seats["schoolSourcedId"]).all()
    assert seats.select("classSourcedId", "userSourcedId").n_unique() == ENROLLMENTS


def test_every_class_has_one_teacher(bundle: Path) -> None:
    seats = read(bundle)["enrollments"].filter(pl.col("role") == "teacher")
    assert seats.height == CLASSES
    assert seats["classSourcedId"].n_unique() == CLASSES
    assert (seats["primary"] == "true").all()


def test_same_seed_gives_same_rows_and_another_seed_differs(bundle: Path, tmp_path: Path) -> None:
    write_roster(tmp_path / "same.zip", USERS, CLASSES, ENROLLMENTS, seed=1)
    write_roster(tmp_path / "other.zip", USERS, CLASSES, ENROLLMENTS, seed=2, district="org-other")
    assert (tmp_path / "same.zip").read_bytes() == bundle.read_bytes()
    frames, others = read(bundle), read(tmp_path / "other.zip")
    for file in FILES:
        assert frames[file].join(others[file], "sourcedId").is_empty()


def test_a_day_later_one_percent_has_changed(bundle: Path, tmp_path: Path) -> None:
    write_changed_roster(bundle, tmp_path / "day-2.zip", seed=3)
    before, after = read(bundle), read(tmp_path / "day-2.zip")
    students = before["users"].filter(pl.col("role") == "student").height

    left = before["users"].join(after["users"], "sourcedId", how="anti")
    joined = after["users"].join(before["users"], "sourcedId", how="anti")
    assert left.height == joined.height
    assert abs(left.height - students * 0.0025) <= 1
    assert (left["role"] == "student").all()
    mails = before["users"].join(after["users"], "sourcedId").filter(pl.col("email") != pl.col("email_right"))
    assert abs(mails.height - students * 0.005) <= 1

    titles = before["classes"].join(after["classes"], "sourcedId").filter(pl.col("title") != pl.col("title_right"))
    assert titles.height == CLASSES // 100
    days = before["enrollments"].join(after["enrollments"], "sourcedId")
    assert days.filter(pl.col("beginDate") != pl.col("beginDate_right")).height == ENROLLMENTS // 100
    gone = before["enrollments"].join(after["enrollments"], "sourcedId", how="anti")
    assert set(gone["userSourcedId"]) <= set(left["sourcedId"])


def test_day_later_every_seat_still_has_one_findable_person(bundle: Path, tmp_path: Path) -> None:
    write_changed_roster(bundle, tmp_path / "day-2.zip", seed=3)
    after = read(tmp_path / "day-2.zip")
    assert (
        after["enrollments"].join(after["users"], left_on="userSourcedId", right_on="sourcedId", how="anti").is_empty()
    )
    for column in ("identifier", "username", "email"):
        assert after["users"][column].n_unique() == after["users"].height


def test_day_later_is_the_same_for_one_seed(bundle: Path, tmp_path: Path) -> None:
    write_changed_roster(bundle, tmp_path / "one.zip", seed=3)
    write_changed_roster(bundle, tmp_path / "two.zip", seed=3)
    for first, second in zip(read(tmp_path / "one.zip").values(), read(tmp_path / "two.zip").values(), strict=True):
        assert_frame_equal(first, second)


@pytest.mark.parametrize(("users", "classes", "enrollments"), [(100, 50, 40), (1, 1, 1), (100, 2, 900)])
def test_numbers_that_leave_no_room_are_refused(tmp_path: Path, users: int, classes: int, enrollments: int) -> None:
    with pytest.raises(ValueError, match="cannot sit on"):
        write_roster(tmp_path / "never.zip", users, classes, enrollments, seed=1)
    assert list(tmp_path.iterdir()) == []
