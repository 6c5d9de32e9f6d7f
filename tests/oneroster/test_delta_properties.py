"""Properties of a delta over a roster, for any two rosters: no record is lost and none is left behind."""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.oneroster.snapshot import Snapshot
from tests.support.rosters.bundles import Bundle, bundle
from tests.support.rosters.reading import read, read_over

pytestmark = pytest.mark.slow

START = bundle(users=8, schools=3, classes=6)
SCHOOLS = ("s-1", "s-2", "s-3")
NAMES = st.sampled_from(["Ada", "Zoe", "Nia"])


@st.composite
def rosters(draw: st.DrawFn, version: str) -> Bundle:
    """Generate the district with some people, classes and enrollments removed, renamed, moved, added or invalid."""
    made = START
    made = made.without_users(draw(st.sets(st.sampled_from(START.ids("users")), max_size=3)))
    for key in sorted(draw(st.sets(st.sampled_from(START.ids("classes")), max_size=2))):
        made = made.without_class(key)
    made = made.without("enrollments", draw(st.sets(st.sampled_from(START.ids("enrollments")), max_size=3)))
    for key in sorted(draw(st.sets(st.sampled_from([*made.ids("users"), "u-0099"]), max_size=4))):
        orgs = draw(st.lists(st.sampled_from(SCHOOLS), min_size=1, max_size=2, unique=True))
        made = made.with_user(key, givenName=draw(NAMES), orgSourcedIds=",".join(orgs))
    for key in sorted(draw(st.sets(st.sampled_from(made.ids("classes")), max_size=2))):
        made = made.with_row("classes", key, title=draw(NAMES), schoolSourcedId=draw(st.sampled_from(SCHOOLS)))
    for key in sorted(draw(st.sets(st.sampled_from(made.ids("users")), max_size=1))):
        made = made.with_user(key, enabledUser=draw(st.sampled_from(["false", "perhaps"])))
    return made.version12() if version == "1.2" else made


def pairs() -> st.SearchStrategy[tuple[Bundle, Bundle]]:
    return st.sampled_from(["1.1", "1.2"]).flatmap(lambda version: st.tuples(rosters(version), rosters(version)))


def rows(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    """Return rows without their file, line and order."""
    status = frame.filter(pl.col("status") == "active").drop("status") if "status" in frame.columns else frame
    return sorted(status.drop("line").rows(), key=repr)


def same_roster(found: Snapshot, expected: Snapshot) -> None:
    alive = found.users.filter(pl.col("status") == "active").select("sourced_id")
    assert rows(found.orgs) == rows(expected.orgs)
    assert rows(found.users) == rows(expected.users)
    assert rows(found.roles.join(alive, left_on="user", right_on="sourced_id", how="semi")) == rows(expected.roles)
    assert rows(found.classes) == rows(expected.classes)
    assert rows(found.enrollments) == rows(expected.enrollments)


@settings(max_examples=40, deadline=None)
@given(pairs())
def test_changes_laid_over_a_roster_give_the_other_one(two: tuple[Bundle, Bundle]) -> None:
    before, after = two
    with tempfile.TemporaryDirectory() as folder:
        base, expected = read(before, Path(folder)), read(after, Path(folder))
        merged = read_over(base, before.delta(after), Path(folder))
    bad = set(expected.quarantine["key"])
    # A row that cannot be read leaves what was there before, and protects it.
    assert set(merged.quarantine["key"]) >= bad
    healthy = [each.filter(~pl.col("sourced_id").is_in(sorted(bad))) for each in (merged.users, expected.users)]
    assert rows(healthy[0]) == rows(healthy[1])
    if not bad and not base.quarantine.height:
        same_roster(merged, expected)


@settings(max_examples=40, deadline=None)
@given(pairs())
def test_what_left_is_marked_and_nothing_is_lost(two: tuple[Bundle, Bundle]) -> None:
    before, after = two
    with tempfile.TemporaryDirectory() as folder:
        base = read(before, Path(folder))
        merged = read_over(base, before.delta(after), Path(folder))
    for stem in ("users", "classes", "enrollments"):
        marked = getattr(merged, stem).filter(pl.col("status") == "tobedeleted")["sourced_id"]
        gone = set(before.ids(stem)) - set(after.ids(stem))
        assert set(marked) == gone & set(getattr(base, stem)["sourced_id"])
        known = {*getattr(merged, stem)["sourced_id"], *merged.quarantine["key"]}
        assert known >= set(getattr(base, stem)["sourced_id"])


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["1.1", "1.2"]).flatmap(rosters))
def test_no_changes_leave_a_roster_as_it_was(made: Bundle) -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = read(made, Path(folder))
        merged = read_over(base, made.delta(made), Path(folder))
    for part in ("orgs", "users", "roles", "classes", "enrollments", "sessions", "role_ids"):
        found, expected = getattr(merged, part), getattr(base, part)
        assert found.sort(found.columns).equals(expected.sort(expected.columns)), part
    assert merged.quarantine.drop("message").equals(base.quarantine.drop("message"))
    assert merged.waiting.keys() == base.waiting.keys()
