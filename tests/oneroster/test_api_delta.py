"""Only what changed: asked for where that is allowed, laid over the last roster, never believed beyond its totals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from reconciler.oneroster.bundle import read_bundle
from reconciler.oneroster.snapshot import Snapshot
from reconciler.oneroster.sources.api.delta import (
    ChangeCounts,
    DeltaWindow,
    PresentRows,
    explain_full_fetch,
    filter_changed_rows,
)
from reconciler.oneroster.sources.interface import FetchRequest, PreviousRoster, SourceBundle
from tests.support.rosters.bundles import Bundle, bundle
from tests.support.rosters.reading import codes, read
from tests.support.sources.scripted_api import Json, ScriptedApi, records, refusal, source

NOW, WHOLE_AT, SINCE = "2026-11-22T03:00:00Z", "2026-11-21T03:00:00Z", "2026-11-20T17:30:00.000Z"
TODAY = "2026-11-21T22:00:00.000Z"
ROWS = {"orgs": 3, "classes": 8, "users": 60, "enrollments": 120}
MADE = bundle(users=60)


def ask(**earlier: Any) -> FetchRequest:
    return FetchRequest(
        NOW,
        require_full=False,
        earlier=PreviousRoster(**{"since": SINCE, "whole_at": WHOLE_AT, "rows": ROWS, **earlier}),
    )


def later(*changes: Json, gone: tuple[str, ...] = (), made: Bundle = MADE, **habit: Any) -> ScriptedApi:
    """The server a day later. changes: records of users that are new or other."""
    rows = records(made)
    keys = {row["sourcedId"] for row in changes} | set(gone)
    rows["users"] = [row for row in rows["users"] if row["sourcedId"] not in keys] + list(changes)
    return ScriptedApi(rows, **habit)


def user(sourced_id: str, made: Bundle = MADE, **fields: Any) -> Json:
    row = next((row for row in records(made)["users"] if row["sourcedId"] == sourced_id), None)
    if row is None:
        row = {**records(made)["users"][-1], "sourcedId": sourced_id}
    return {**row, "dateLastModified": TODAY, **fields}


def fetch(api: ScriptedApi, how: FetchRequest, **account: Any) -> SourceBundle:
    return source(api, delta=True, **account).fetch(how)


def laid_over(fetched: SourceBundle, tmp_path: Path, made: Bundle = MADE) -> Snapshot:
    with fetched.stream as stream:
        return read_bundle(
            stream, type="api", name=fetched.name, fetched_at=NOW, load_base=lambda: read(made, tmp_path)
        )


def is_whole(fetched: SourceBundle) -> bool:
    with fetched.stream as stream:
        return not read_bundle(stream, type="api", name="x", fetched_at=NOW).modes


def test_what_changed_is_laid_over_the_last_roster(tmp_path: Path) -> None:
    api = later(user("u-0003", email="new@example.com"), user("u-9999"), user("u-0007", status="tobedeleted"))
    fetched = fetch(api, ask())
    assert not fetched.diagnostics
    found = laid_over(fetched, tmp_path)
    assert set(found.modes.values()) == {"delta"}
    assert found.rows["users"] == 3
    people = {key: (status, email) for key, status, email in found.users.select("sourced_id", "status", "email").rows()}
    assert len(people) == 61
    assert people["u-0003"] == ("active", "new@example.com")
    assert people["u-0007"][0] == "tobedeleted"
    assert [key for key, (status, _) in people.items() if status != "active"] == ["u-0007"]
    asked = [query.get("filter") for path, query in api.asked if path == "/users" and query["limit"] != "1"]
    assert set(asked) == {"dateLastModified>='2026-11-19T17:30:00.000Z'"}


def test_nothing_changed_is_no_empty_roster(tmp_path: Path) -> None:
    found = laid_over(fetch(later(), ask()), tmp_path)
    assert found.users.height == 60
    assert set(found.users["status"]) == {"active"}


@pytest.mark.parametrize("habit", [{}, {"filters": False}], ids=["filters", "ignores filters"])
def test_roles_of_1_2_are_exactly_those_received(habit: dict[str, Any], tmp_path: Path) -> None:
    made = MADE.with_user("u-0003", orgSourcedIds="s-1,s-2").version12()
    dates = {"beginDate": "2026-08-20", "endDate": "2027-06-30"}
    made = made.with_row("roles", "r-u-0003-1", **dates).with_row("roles", "r-u-0004-1", **dates)
    roles = [{"roleType": "primary", "role": "student", "org": {"sourcedId": "s-2"}}]
    fetched = fetch(later(user("u-0003", made, roles=roles), made=made, **habit), ask(), version="1.2")
    with source(ScriptedApi(records(made)), version="1.2").fetch(FetchRequest(NOW)).stream as stream:
        base = read_bundle(stream, type="api", name="x", fetched_at=NOW)
    with fetched.stream as stream:
        found = read_bundle(stream, type="api", name="x", fetched_at=NOW, load_base=lambda: base)
    theirs = found.roles.filter(pl.col("user") == "u-0003")
    assert base.roles.filter(pl.col("user") == "u-0003")["org"].to_list() == ["s-1", "s-2"]
    assert theirs.select("org", "role", "primary").rows() == [("s-2", "student", True)]
    assert found.roles.height == base.roles.height - 1
    dated = base.roles.filter(pl.col("begin_date") == "2026-08-20", pl.col("end_date") == "2027-06-30")
    assert dated["user"].to_list() == ["u-0003", "u-0004"]
    assert found.roles.filter(pl.col("end_date").is_not_null())["user"].to_list() == ["u-0004"]
    assert not found.quarantine.height


def test_a_server_that_ignores_the_filter_is_filtered_here(tmp_path: Path) -> None:
    found = laid_over(fetch(later(user("u-0003", email="new@example.com"), filters=False), ask()), tmp_path)
    assert found.rows["users"] == 1
    assert found.users.height == 60


@pytest.mark.parametrize(
    "earlier",
    [
        {"since": None},
        {"since": "2026-11-23T00:00:00.000Z"},
        {"since": "yesterday"},
        {"whole_at": None},
        {"whole_at": "2026-11-15T03:00:00Z"},
        {"whole_at": "2026-11-22T04:00:00Z"},
        {"rows": {}},
    ],
    ids=str,
)
def test_full_fetch_replaces_insufficient_changes(earlier: dict[str, Any]) -> None:
    api = later()
    assert is_whole(fetch(api, ask(**earlier)))
    assert not any("filter" in query for _, query in api.asked)


def test_changes_are_asked_for_only_where_they_are_wanted() -> None:
    whole = FetchRequest(NOW, require_full=True, earlier=ask().earlier)
    assert is_whole(fetch(later(), whole))
    assert is_whole(source(later()).fetch(ask()))


@pytest.mark.parametrize("code", ["bad-request", "server-error"])
def test_server_refusing_the_filter_is_asked_for_everything(code: str) -> None:
    def refuse(api: ScriptedApi, number: int) -> None:
        if "filter" in api.asked[-1][1]:
            raise refusal(code)

    fetched = fetch(later(before=refuse), ask())
    assert codes(fetched.diagnostics) == ["whole-after-all"]
    assert is_whole(fetched)


@pytest.mark.parametrize(
    "api",
    [
        later(gone=("u-0003",)),
        later(user("u-0004"), gone=("u-0003", "u-0005")),
        later({**user("u-9999"), "dateLastModified": "2020-01-01T00:00:00.000Z"}),
    ],
    ids=["somebody is gone", "more are gone than changed", "somebody came unseen"],
)
def test_totals_unexplained_by_changes_force_a_full_fetch(api: ScriptedApi) -> None:
    fetched = fetch(api, ask())
    assert codes(fetched.diagnostics)[0] == "whole-after-all"
    assert is_whole(fetched)


def test_silent_filter_beside_growing_totals_forces_a_full_fetch() -> None:
    class Silent(ScriptedApi):
        def _filtered(self, rows: Any, wanted: str) -> list[Json]:
            return []

    fetched = fetch(Silent(records(MADE.with_user("u-9999"))), ask())
    assert codes(fetched.diagnostics) == ["whole-after-all"]
    assert is_whole(fetched)


def test_without_totals_changes_are_believed_for_three_days() -> None:
    assert not is_whole(fetch(later(total=False), ask()))
    assert is_whole(fetch(later(total=False), ask(whole_at="2026-11-18T03:00:00Z")))
    assert not is_whole(fetch(later(), ask(whole_at="2026-11-18T03:00:00Z")))


def test_rows_whose_time_cannot_be_read_count_as_changed() -> None:
    times = ["2026-11-19T17:30:00.000Z", "2026-11-19T17:29:59.000Z", None, "19/11/2026", "2026-11-25T00:00:00+02:00"]
    frame = pl.DataFrame({"dateLastModified": times})
    kept = filter_changed_rows({"users": frame}, DeltaWindow("2026-11-19T17:30:00.000Z", True))["users"]
    assert kept["dateLastModified"].to_list() == [times[0], None, times[3], times[4]]


@pytest.mark.parametrize(
    ("active", "deleted", "now", "explained"),
    [(0, 0, 100, True), (5, 0, 105, True), (5, 0, 100, True), (0, 2, 98, True), (5, 2, 97, False), (5, 2, 106, False)],
)
def test_a_total_fits_the_changes_or_it_does_not(active: int, deleted: int, now: int, explained: bool) -> None:
    found = explain_full_fetch(
        {"users": ChangeCounts(active, deleted)},
        {"users": 100},
        {"users": PresentRows(now, True)},
        DeltaWindow("x", True),
    )
    assert (found is None) is explained


@pytest.mark.parametrize("total", [None, 0, 100])
def test_a_key_that_sees_no_row_asks_for_everything(total: int | None) -> None:
    found = explain_full_fetch(
        {"users": ChangeCounts()}, {"users": 100}, {"users": PresentRows(total, False)}, DeltaWindow("x", True)
    )
    assert found == "users had 100 rows, and the key sees none of them now"
