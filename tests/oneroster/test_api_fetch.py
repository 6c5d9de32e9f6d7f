"""A roster from an API as a whole: the same as from a ZIP, or refused."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from reconciler.model.diagnostic import Diagnostic, Refusal
from reconciler.oneroster.bundle import read_bundle
from reconciler.oneroster.snapshot import Snapshot
from reconciler.oneroster.sources.api.http.answer import ApiResponse
from reconciler.oneroster.sources.api.pages.checkpoint import CheckpointSettings
from reconciler.oneroster.sources.interface import FetchProgress, FetchRequest, PreviousRoster, SourceBundle
from tests.support.rosters.bundles import Bundle, bundle
from tests.support.rosters.reading import NOW, codes, read
from tests.support.sources.scripted_api import BASE, ScriptedApi, answer, record, records, refusal, source

ASK = FetchRequest(NOW)


def snapshot(fetched: SourceBundle) -> Snapshot:
    with fetched.stream as stream:
        return read_bundle(stream, type=fetched.type, name=fetched.name, fetched_at=fetched.fetched_at)


def fetch(api: ScriptedApi, ask: FetchRequest = ASK, **account: object) -> Snapshot:
    return snapshot(source(api, **account).fetch(ask))


def refused(api: ScriptedApi, ask: FetchRequest = ASK, **account: object) -> tuple[Diagnostic, ...]:
    with pytest.raises(Refusal) as caught:
        source(api, **account).fetch(ask)
    return caught.value.diagnostics


def same(ours: Snapshot, theirs: Snapshot) -> bool:
    frames = ("orgs", "users", "roles", "classes", "enrollments")
    alike = all(getattr(ours, name).equals(getattr(theirs, name)) for name in frames)
    return alike and ours.quarantine.equals(theirs.quarantine) and ours.version == theirs.version


MADE = bundle(users=100).with_user("u-0003", givenName='A "B", C', familyName="Zoë").with_user("u-0004", email="")


@pytest.mark.parametrize("made", [MADE, MADE.version12()], ids=["1.1", "1.2"])
@pytest.mark.parametrize(
    "habit",
    [
        {},
        {"clamp": 7},
        {"total": False},
        {"total": False, "clamp": 7},
        {"links": True},
        {"links": True, "total": False, "clamp": 7},
    ],
    ids=str,
)
def test_roster_is_the_same_from_json_and_zip(made: Bundle, habit: dict, tmp_path: Path) -> None:
    ours = fetch(ScriptedApi(records(made), **habit), version=made.version)
    theirs = read(made, tmp_path)
    assert same(ours, theirs)
    assert ours.rows["enrollments"] == theirs.rows["enrollments"]
    assert (ours.type, ours.name) == ("api", "sis.example/ims/oneroster/v1p1")
    assert not ours.modes


def test_the_same_pages_give_the_same_bytes() -> None:
    one, two = (source(ScriptedApi(records(MADE))).fetch(ASK).stream.read() for _ in range(2))
    assert one == two


def test_bundle_has_standard_columns_and_no_timestamp() -> None:
    with zipfile.ZipFile(source(ScriptedApi(records(MADE))).fetch(ASK).stream) as archive:
        assert archive.read("orgs.csv").splitlines()[:2] == [
            b"sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId",
            b"d-1,,2026-09-01T02:00:00.000Z,Example District,district,,",
        ]
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"file.users,bulk" in archive.read("manifest.csv")
        assert b"file.demographics,absent" in archive.read("manifest.csv")


def test_rows_to_be_deleted_keep_their_mark() -> None:
    api = ScriptedApi(records(MADE.with_user("u-0005", status="tobedeleted")))
    users = fetch(api).users
    assert users.filter(pl.col("status") == "tobedeleted")["sourced_id"].to_list() == ["u-0005"]


def test_collections_come_in_order_of_reference() -> None:
    api = ScriptedApi(records(MADE))
    source(api).fetch(ASK)
    assert list(dict.fromkeys(api.paths())) == [
        "/orgs",
        "/academicSessions",
        "/courses",
        "/classes",
        "/users",
        "/enrollments",
    ]
    assert all(query["sort"] == "sourcedId" and query["orderBy"] == "asc" for _, query in api.asked)


def test_progress_counts_rows_and_pages() -> None:
    steps: list[FetchProgress] = []
    fetch(ScriptedApi(records(MADE)), FetchRequest(NOW, progress=steps.append))
    last = {step.part: step for step in steps}["users"]
    assert (last.done, last.total, last.unit, last.pages) == (100, 100, "rows", 4)


def test_courses_and_terms_are_optional_unless_present_before() -> None:
    rows = records(MADE)
    del rows["courses"], rows["academicSessions"]
    fetched = source(ScriptedApi(rows)).fetch(ASK)
    assert codes(fetched.diagnostics) == ["no-collection", "no-collection"]
    with zipfile.ZipFile(fetched.stream) as archive:
        assert "courses.csv" not in archive.namelist()
    before = FetchRequest(NOW, earlier=PreviousRoster(rows={"courses": 3}))
    assert codes(refused(ScriptedApi(rows), before)) == ["not-found", "collection-gone"]


@pytest.mark.parametrize("name", ["orgs", "classes", "users", "enrollments"])
def test_what_a_roster_needs_may_not_be_missing(name: str) -> None:
    rows = records(MADE)
    del rows[name]
    assert codes(refused(ScriptedApi(rows))) == ["not-found"]
    before = FetchRequest(NOW, earlier=PreviousRoster(rows={name: 3}))
    assert codes(refused(ScriptedApi(rows), before)) == ["not-found", "collection-gone"]


def test_no_people_are_no_roster() -> None:
    assert codes(refused(ScriptedApi({**records(MADE), "users": [], "enrollments": []}))) == ["empty-collection"]


def test_a_permission_that_is_gone_is_no_empty_collection() -> None:
    def forbid(api: ScriptedApi, number: int) -> None:
        if api.asked[-1][0] == "/courses":
            raise refusal("forbidden")

    said = refused(ScriptedApi(records(MADE), before=forbid))
    assert codes(said) == ["forbidden"]
    assert [str(each.span) for each in said] == [BASE.partition("://")[2]], "of many on one host, which"


def test_server_unable_to_sort_is_read_unsorted_and_reported() -> None:
    def no_sort(api: ScriptedApi, number: int) -> None:
        if "sort" in api.asked[-1][1]:
            raise refusal("bad-request")

    fetched = source(ScriptedApi(records(MADE), before=no_sort)).fetch(ASK)
    assert codes(fetched.diagnostics).count("unsorted-pages") == 6
    assert snapshot(fetched).users.height == 100


def test_moving_rows_restart_the_fetch_twice_then_end_it() -> None:
    def moving(until: int) -> ScriptedApi:
        def move(api: ScriptedApi, number: int) -> None:
            path, query = api.asked[-1]
            if path == "/users" and query["offset"] != "0" and api.paths().count("/users") < until:
                api.rows["users"].insert(0, record({"sourcedId": f"a-{number}", "username": "x"}))

        return ScriptedApi(records(MADE), before=move)

    fetched = source(moving(4)).fetch(ASK)
    assert "paging-started-over" in codes(fetched.diagnostics)
    assert {f"u-{number:04d}" for number in range(1, 101)} <= set(snapshot(fetched).users["sourced_id"])
    assert codes(refused(moving(1000))) == ["unstable-paging"]


def test_a_row_that_comes_on_two_pages_is_noticed() -> None:
    rows = records(MADE)
    rows["users"].insert(50, rows["users"][10])
    assert codes(refused(ScriptedApi(rows, sorts=False))) == ["unstable-paging"]


class Revised(ScriptedApi):
    """Tells which revision of our permissions a page is of, as ClassLink does."""

    revision = "1"

    def get(self, path: str, query: Mapping[str, str]) -> ApiResponse:
        found = super().get(path, query)
        return replace(found, headers={**found.headers, "x-perm-rev": self.revision})


@pytest.mark.parametrize("path", ["/users", "/enrollments"])
def test_permissions_changing_between_pages_discard_the_whole_fetch(path: str, tmp_path: Path) -> None:
    kept = CheckpointSettings(tmp_path / "fetches", b"k" * 32)

    def changed(api: ScriptedApi, number: int) -> None:
        if api.asked[-1][0] == path and api.asked[-1][1]["offset"] != "0" and isinstance(api, Revised):
            api.revision = "2"

    api = Revised(records(MADE), before=changed)
    with pytest.raises(Refusal) as caught:
        source(api, kept).fetch(ASK)
    assert codes(caught.value.diagnostics) == ["permissions-changed"]
    api.asked.clear()
    assert snapshot(source(api, kept).fetch(ASK)).users.height == 100
    _, *read_anew = [query["offset"] for name, query in api.asked if name == "/users"]
    assert read_anew == ["0", "29", "58", "87", "99"], "pages that were shown by other permissions do not count"


def test_row_repeated_on_a_page_is_left_to_the_reader() -> None:
    rows = records(MADE)
    rows["users"].insert(4, rows["users"][3])
    assert fetch(ScriptedApi(rows)).users.height == 100


def test_people_added_while_reading_enrollments_are_requested_again() -> None:
    later = MADE.with_user("u-x/1", identifier="77").with_row(
        "enrollments", "e-99999", classSourcedId="c-01", schoolSourcedId="s-2", userSourcedId="u-x/1", role="student"
    )

    def came(api: ScriptedApi, number: int) -> None:
        if api.asked[-1][0] == "/enrollments":
            api.rows = records(later)

    api = ScriptedApi(records(MADE), before=came)
    ours = fetch(api)
    assert "u-x/1" in ours.users["sourced_id"]
    assert "/users/u-x%2F1" in api.paths()
    assert ours.enrollments["user"].to_list().count("u-x/1") == 1
    assert not ours.quarantine.height


def test_person_missing_on_request_is_quarantined() -> None:
    made = MADE.with_row(
        "enrollments", "e-99999", classSourcedId="c-01", schoolSourcedId="s-2", userSourcedId="u-no", role="student"
    )
    fetched = source(ScriptedApi(records(made))).fetch(ASK)
    assert codes(fetched.diagnostics) == ["parents-asked-again"]
    assert snapshot(fetched).quarantine["key"].to_list() == ["e-99999"]


@pytest.mark.parametrize("how", ["bad-request", "server-error", "forbidden", "unexpected-status", {}, {"user": None}])
def test_server_without_single_records_is_asked_once(how: Any) -> None:
    made = MADE
    for key in ("no-1", "no-2"):
        made = made.with_row(
            "enrollments", key, classSourcedId="c-01", schoolSourcedId="s-2", userSourcedId=f"u-{key}", role="student"
        )

    def single(api: ScriptedApi, number: int) -> None:
        if api.asked[-1][0].startswith("/users/") and isinstance(how, str):
            raise refusal(how)

    class Odd(ScriptedApi):
        def get(self, path: str, query: Mapping[str, str]) -> ApiResponse:
            if path.startswith("/users/") and not isinstance(how, str):
                self.asked.append((path, query))
                return answer(how, path)
            return super().get(path, query)

    api = Odd(records(made), before=single)
    fetched = source(api).fetch(ASK)
    assert codes(fetched.diagnostics) == ["no-single-records", "parents-asked-again"]
    assert [path for path in api.paths() if path.startswith("/users/")] == ["/users/u-no-1"]
    assert sorted(snapshot(fetched).quarantine["key"]) == ["no-1", "no-2"]


def test_server_busy_with_one_record_is_asked_later() -> None:
    made = MADE.with_row(
        "enrollments", "e-99999", classSourcedId="c-01", schoolSourcedId="s-2", userSourcedId="u-no", role="student"
    )

    def busy(api: ScriptedApi, number: int) -> None:
        if api.asked[-1][0].startswith("/users/"):
            raise refusal("server-busy")

    assert refused(ScriptedApi(records(made), before=busy))[0].code == "server-busy"


@pytest.mark.parametrize("left", [0, 3, 99])
def test_collection_shrinking_on_a_second_reading_is_incomplete(left: int) -> None:
    first = MADE.tables["enrollments"][0]
    crowd = [{**first, "sourcedId": f"f-{n:04d}", "userSourcedId": f"x-{n:04d}"} for n in range(250)]

    def lost(api: ScriptedApi, number: int) -> None:
        if "/enrollments" in api.paths():
            api.rows["users"] = api.rows["users"][:left]

    made = MADE.with_rows("enrollments", [*MADE.tables["enrollments"], *crowd])
    assert refused(ScriptedApi(records(made), before=lost))[0].code == "incomplete-collection"


def test_many_missing_parents_reread_their_collection_once() -> None:
    crowd = MADE
    enrolled = [*MADE.tables["enrollments"]]
    for number in range(250):
        crowd = crowd.with_user(f"x-{number:04d}")
        enrolled.append({**enrolled[0], "sourcedId": f"f-{number:04d}", "userSourcedId": f"x-{number:04d}"})
    later = crowd.with_rows("enrollments", enrolled)

    def came(api: ScriptedApi, number: int) -> None:
        if api.asked[-1][0] == "/enrollments":
            api.rows = records(later)

    api = ScriptedApi(records(MADE), before=came)
    ours = fetch(api, page_size=100)
    assert ours.users.height == 350
    assert not ours.quarantine.height
    assert not [path for path in api.paths() if path.startswith("/users/")]


def test_parallel_pages_give_the_same_bytes_as_sequential_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    made = bundle(users=600)
    results = []
    for proving in (2, 10_000):
        monkeypatch.setattr("reconciler.oneroster.sources.api.pages.requests.STABLE_PAGES_REQUIRED", proving)
        api = ScriptedApi(records(made))
        results.append((source(api).fetch(ASK).stream.read(), api))
    (together, many), (apart, few) = results
    assert together == apart
    again = [query for path, query in many.asked if path == "/users" and query["offset"] == "0"]
    assert len(again) == 2  # the first page, and again before others are asked for ahead
    assert len([path for path in few.paths() if path == "/users"]) == 22


@pytest.mark.parametrize(
    "habit", [{"total": False}, {"clamp": 20}, {"sorts": False}], ids=["no total", "a clamp", "no order"]
)
def test_pages_are_requested_ahead_only_from_stable_servers(habit: dict) -> None:
    rows = records(bundle(users=600))
    rows["users"].reverse()
    api = ScriptedApi(rows, **habit)
    fetch(api)
    assert [query["offset"] for path, query in api.asked if path == "/users"].count("0") == 1


@pytest.mark.parametrize("base", [f"{BASE}{{path}}", ""], ids=["absolute", "relative to the page"])
def test_links_that_are_no_offsets_are_followed(base: str) -> None:
    class Cursor(ScriptedApi):
        def get(self, path: str, query):  # type: ignore[no-untyped-def]
            found = super().get(path, {"limit": "10", "offset": query.get("cursor", "0"), "sort": "sourcedId"})
            offset = int(query.get("cursor", "0")) + 10
            if offset < len(self.rows[path.strip("/")]):
                link = f"{base.format(path=path)}?cursor={offset}"
                return answer(found.body, found.address, {**found.headers, "link": f"<{link}>; rel=next"})
            return found

    assert fetch(Cursor(records(MADE))).users.height == 100


def test_mistyped_row_is_quarantined_and_protects_those_it_names() -> None:
    rows = records(MADE)
    rows["users"][20]["givenName"] = {"first": "A"}
    aside = fetch(ScriptedApi(rows)).quarantine
    assert aside.filter(pl.col("file") == "users.csv").select("key", "identifier").rows() == [("u-0021", "100021")]


def test_a_full_disk_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    assert codes(refused(ScriptedApi(records(MADE)))) == ["bundle-not-written"]


def test_a_roster_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.oneroster.sources.api.bundle_writer.MOST_BYTES", 5_000)
    assert codes(refused(ScriptedApi(records(MADE)))) == ["roster-too-large"]
