"""Of a bundle that two customers share, each saves only its own people."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest

from tests.support.customers.project import Project, changes
from tests.support.rosters.bundles import Bundle, bundle

pytestmark = pytest.mark.slow

OWN = bundle(users=40)
CHILD = OWN.students()[0]


@pytest.fixture
def springfield(project: Project) -> Project:
    project.customer()
    return project


def shared() -> Bundle:
    """With another district, a school, a class and two children of it."""
    made = OWN.with_row("orgs", "d-2", name="Other", type="district")
    made = made.with_row("orgs", "s-9", name="Theirs", type="school", parentSourcedId="d-2")
    made = made.with_row(
        "classes", "c-9", title="Theirs", courseSourcedId="x", classType="scheduled", schoolSourcedId="s-9"
    )
    made = made.with_user("other-1", orgSourcedIds="s-9", username="their.lisa", identifier="770001")
    made = made.with_user("other-2", orgSourcedIds="s-9", username="their.bart", identifier="770002", role="wizard")
    for number in (1, 2):
        made = made.with_row(
            "enrollments",
            f"other-e-{number}",
            classSourcedId="c-9",
            schoolSourcedId="s-9",
            userSourcedId=f"other-{number}",
            role="student",
        )
    return made


def kept(project: Project) -> dict[str, pl.DataFrame]:
    rows = project.ask("select part, data from snapshot_parts order by part, number")
    parts: dict[str, list[pl.DataFrame]] = {}
    for part, data in rows:
        parts.setdefault(part, []).append(pl.read_parquet(io.BytesIO(data)))
    return {part: pl.concat(frames) for part, frames in parts.items()}


def day(project: Project, made: Bundle) -> Path:
    return made.zip(project.folder / "day.zip")


def test_nobody_of_another_customer_is_kept(springfield: Project) -> None:
    assert springfield.apply("springfield", "--zip", day(springfield, shared())).code == 0

    parts = kept(springfield)
    assert parts["users"].height == 40
    text = "".join(frame.write_csv() for frame in parts.values())
    for theirs in ("other-", "their.", "77000", "s-9", "c-9", "d-2"):
        assert theirs not in text, theirs


def test_last_roster_is_unchanged_for_a_shared_child(springfield: Project) -> None:
    both = day(springfield, shared().with_user(CHILD, orgSourcedIds="s-9,s-2"))
    assert springfield.apply("springfield", "--zip", both).code == 0

    assert springfield.plan("springfield", "--zip", both).code == 0
    last = springfield.plan("springfield", "--roster", "last")
    assert (last.code, changes(last, "user")) == (0, [])
    assert kept(springfield)["roles"].filter(pl.col("org") == "s-9").height == 0


def test_quarantined_row_naming_a_customers_account_is_kept(springfield: Project) -> None:
    assert springfield.apply("springfield", "--zip", day(springfield, shared())).code == 0
    broken = day(springfield, shared().with_user(CHILD, role="wizard").with_user("other-1", role="wizard"))
    assert springfield.apply("springfield", "--zip", broken).code == 0

    assert kept(springfield)["quarantine"]["key"].to_list() == [CHILD]
    last = springfield.plan("springfield", "--roster", "last")
    assert (last.code, changes(last, "user")) == (0, [])


def test_quarantined_row_with_an_accounts_number_is_kept(springfield: Project) -> None:
    assert springfield.apply("springfield", "--zip", day(springfield, shared())).code == 0
    number = next(row["identifier"] for row in OWN.tables["users"] if row["sourcedId"] == CHILD)
    renamed = shared().without_users([CHILD]).with_user("new-1", identifier=number, role="wizard")
    assert springfield.apply("springfield", "--zip", day(springfield, renamed)).code == 0

    assert kept(springfield)["quarantine"]["key"].to_list() == ["new-1"]
    assert changes(springfield.plan("springfield", "--roster", "last"), "user") == []


def test_only_the_existence_of_an_ambiguous_row_is_kept(springfield: Project) -> None:
    made = shared()
    nameless = [{**row, "sourcedId": ""} if row["sourcedId"] == "other-2" else row for row in made.tables["users"]]
    assert springfield.apply("springfield", "--zip", day(springfield, made.with_rows("users", nameless))).code == 0

    (row,) = kept(springfield)["quarantine"].filter(pl.col("key").is_null()).to_dicts()
    assert (row["kind"], row["identifier"], row["email"], row["username"]) == ("user", None, None, None)
    assert row["message"] == "a row whose owner is unknown"


def test_a_bundle_of_one_customer_is_kept_whole(springfield: Project) -> None:
    made = OWN.with_user("new-1", role="wizard")
    assert springfield.apply("springfield", "--zip", day(springfield, made)).code == 0
    assert kept(springfield)["quarantine"]["key"].to_list() == ["new-1"]
