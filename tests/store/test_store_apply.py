"""Test that an apply writes every action of every kind as planned, with a before-image of each change."""

from __future__ import annotations

from typing import Any

import orjson
import polars as pl
import pytest

from reconciler.model.change import Delete, Restore, Update
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import CATALOG, Outcome
from reconciler.model.roster import list_field_names
from reconciler.store.errors import StoreProblem
from reconciler.store.open import Store
from reconciler.store.read.roster_frames import read_enrollment_index
from tests.support.plans import store_plans
from tests.support.stores import raw_sql


@pytest.fixture
def loaded(store: Store) -> Store:
    store_plans.load(store)
    return store


def change(store: Store, **rows: Any) -> int:
    applied = store_plans.apply(store, store_plans.plan(store, roster=store_plans.roster(**rows)))
    assert applied.run is not None
    return applied.run


def journal(store: Store, run: int) -> list[tuple[str, str, dict[str, Any]]]:
    found = raw_sql.run(store, f"SELECT kind, action, before FROM journal WHERE run_id = {run} ORDER BY kind, row_id")
    return [(kind, action, orjson.loads(before)) for kind, action, before in found]


def test_created_row_carries_its_run_and_is_not_journaled(loaded: Store) -> None:
    tables = ("orgs", "accounts", "classes", "enrollments", "communities", "lessons", "customers")
    assert [raw_sql.scalar(loaded, f"SELECT min(created_run) FROM {table}") for table in tables] == [1] * len(tables)
    assert journal(loaded, 1) == []


def test_an_update_changes_its_fields_and_keeps_the_row(loaded: Store) -> None:
    before = store_plans.row(loaded, Kind.USER, "u-1")
    run = change(
        loaded, users=[store_plans.to(loaded, Kind.USER, "u-1", "update", email="new@springfield.example", line=7)]
    )
    after = store_plans.row(loaded, Kind.USER, "u-1")
    assert after["email"] == "new@springfield.example"
    assert after["id"] == before["id"]
    assert {name: after[name] for name in list_field_names(Kind.USER) if name != "email"} == {
        name: before[name] for name in list_field_names(Kind.USER) if name != "email"
    }
    [(kind, action, image)] = journal(loaded, run)
    assert (kind, action, image["email"], image["sourced_id"], image["roles"]) == (
        "user",
        "update",
        None,
        "u-1",
        "s-1=student",
    )
    assert "password_hash" not in image
    assert raw_sql.run(
        loaded, f"SELECT origin_line, origin_run, created_run FROM accounts WHERE id = {before['id']}"
    ) == [[7, run, 1]]


def test_unchanged_row_keeps_its_origin(loaded: Store) -> None:
    change(loaded, users=[store_plans.to(loaded, Kind.USER, "u-1", "update", email="new@springfield.example")])
    assert raw_sql.scalar(loaded, "SELECT count(*) FROM accounts WHERE origin_run = 1 AND managed_by = 'roster'") == 1


@pytest.mark.parametrize("kind", ROSTER_KINDS)
def test_deleted_row_is_a_tombstone_and_returns_unchanged(loaded: Store, kind: Kind) -> None:
    key = {Kind.ORG: "s-1", Kind.USER: "u-1", Kind.CLASS: "c-1", Kind.ENROLLMENT: "e-1"}[kind]
    before = store_plans.row(loaded, kind, key)
    again = store_plans.to(loaded, kind, key, "restore", seen=0)
    run = change(loaded, **{kind.plural: [store_plans.to(loaded, kind, key, "delete")]})
    table = {Kind.USER: "accounts"}.get(kind, kind.plural)
    assert raw_sql.run(loaded, f"SELECT fingerprint, tombstoned_run FROM {table} WHERE id = {before['id']}") == [
        [0, run]
    ]
    assert [entry[:2] for entry in journal(loaded, run)] == [(kind.value, "delete")]
    with loaded.open_reader() as reader:
        customer = reader.read_customers()[store_plans.SLUG].id
        ids = read_enrollment_index(reader.connection, customer)["id"].to_list()
    assert (before["id"] in ids) == (kind is not Kind.ENROLLMENT and before["id"] in (1, 2))
    change(loaded, **{kind.plural: [again]})
    assert store_plans.row(loaded, kind, key) == before


def test_rekeyed_person_keeps_account_and_roles(loaded: Store) -> None:
    before = store_plans.row(loaded, Kind.USER, "u-1")
    change(loaded, users=[store_plans.to(loaded, Kind.USER, "u-1", "rekey", former_key="u-1") | {"key": "n-1"}])
    after = store_plans.row(loaded, Kind.USER, "n-1")
    assert (after["id"], after["roles"]) == (before["id"], before["roles"])
    with loaded.open_reader() as reader:
        assert "u-1" not in store_plans.live(reader, Kind.USER)["sourced_id"].to_list()
        assert store_plans.live(reader, Kind.ENROLLMENT)["user"].to_list() == ["n-1", "u-2"]


def test_two_people_may_swap_their_sourced_ids(loaded: Store) -> None:
    ids = {key: store_plans.row(loaded, Kind.USER, key)["id"] for key in ("u-1", "u-2")}
    change(
        loaded,
        users=[
            store_plans.to(loaded, Kind.USER, "u-1", "rekey", former_key="u-1") | {"key": "u-2"},
            store_plans.to(loaded, Kind.USER, "u-2", "rekey", former_key="u-2") | {"key": "u-1"},
        ],
    )
    assert {key: store_plans.row(loaded, Kind.USER, key)["id"] for key in ("u-1", "u-2")} == {
        "u-1": ids["u-2"],
        "u-2": ids["u-1"],
    }


def test_people_may_swap_usernames_and_take_freed_ones(loaded: Store) -> None:
    one, two = (store_plans.row(loaded, Kind.USER, key)["username"] for key in ("u-1", "u-2"))
    change(
        loaded,
        users=[
            store_plans.to(loaded, Kind.USER, "u-1", "update", username=two),
            store_plans.to(loaded, Kind.USER, "u-2", "update", username=one),
        ],
    )
    assert store_plans.row(loaded, Kind.USER, "u-1")["username"] == two
    change(
        loaded,
        users=[
            store_plans.user("u-3", username=two.upper()),
            store_plans.to(loaded, Kind.USER, "u-1", "delete"),
        ],
    )
    assert store_plans.row(loaded, Kind.USER, "u-3")["username"] == two.upper()


def test_taken_username_refuses_everything_and_names_nobody(loaded: Store) -> None:
    rows = store_plans.roster(users=[store_plans.user("u-3"), store_plans.user("u-4", username="U-1@Springfield")])
    with pytest.raises(StoreProblem) as raised:
        store_plans.apply(loaded, store_plans.plan(loaded, roster=rows))
    assert raised.value.diagnostic.code == "username-taken"
    assert "u-1" not in str(raised.value).lower()
    with loaded.open_reader() as reader:
        assert store_plans.live(reader, Kind.USER).height == 3
        assert len(reader.list_runs()) == 1


def test_launched_account_becomes_the_rosters_but_owned_one_does_not(loaded: Store) -> None:
    raw_sql.run(
        loaded,
        "INSERT INTO accounts (customer_id, managed_by, status, username) SELECT id, 'lti', 'active', 'l'"
        " FROM customers",
        "INSERT INTO accounts (customer_id, managed_by, status, username) SELECT id, 'join_link', 'active', 'j'"
        " FROM customers",
    )
    with loaded.open_reader() as reader:
        found = dict(store_plans.live(reader, Kind.USER).select("managed_by", "id").iter_rows())
    rows = [
        store_plans.user(
            f"u-{manager}", action="adopt", live_id=found[manager], manager=manager, before_status="active"
        )
        for manager in ("lti", "join_link")
    ]
    change(loaded, users=rows)
    assert store_plans.row(loaded, Kind.USER, "u-lti")["managed_by"] == "roster"
    assert store_plans.row(loaded, Kind.USER, "u-join_link")["managed_by"] == "join_link"
    assert store_plans.row(loaded, Kind.USER, "u-lti")["id"] == found["lti"]


def test_roles_follow_their_field_and_ids_may_contain_equals(loaded: Store) -> None:
    change(
        loaded,
        orgs=[store_plans.org("s=2", parent="d")],
        users=[store_plans.to(loaded, Kind.USER, "u-2", "update", roles="d=student\ns=2=teacher")],
    )
    assert store_plans.row(loaded, Kind.USER, "u-2")["roles"] == "d=student\ns=2=teacher"
    change(loaded, users=[store_plans.to(loaded, Kind.USER, "u-2", "update", roles=None)])
    assert store_plans.row(loaded, Kind.USER, "u-2")["roles"] is None
    assert store_plans.row(loaded, Kind.USER, "u-1")["roles"] == "s-1=student"


def closure(store: Store) -> list[list[Any]]:
    return raw_sql.run(
        store,
        "SELECT a.sourced_id, d.sourced_id, c.depth FROM org_closure c JOIN orgs a ON a.id = c.ancestor_id"
        " JOIN orgs d ON d.id = c.descendant_id ORDER BY 1, 2",
    )


def test_the_closure_of_orgs_follows_them(loaded: Store) -> None:
    assert closure(loaded) == [["d", "d", 0], ["d", "s-1", 1], ["s-1", "s-1", 0]]
    change(loaded, orgs=[store_plans.org("n", parent="s-1"), store_plans.to(loaded, Kind.ORG, "d", "delete")])
    assert closure(loaded) == [["n", "n", 0], ["s-1", "n", 1], ["s-1", "s-1", 0]]


def test_mutually_parenting_orgs_cause_no_endless_loop(loaded: Store) -> None:
    change(loaded, orgs=[store_plans.to(loaded, Kind.ORG, "d", "update", parent="s-1")])
    assert ["d", "s-1", 1] in closure(loaded)
    assert len(closure(loaded)) == 4


def memberships(store: Store) -> list[list[Any]]:
    return raw_sql.run(
        store,
        "SELECT c.slug, i.subject, m.role, m.source FROM memberships m JOIN communities c ON c.id = m.community_id"
        " JOIN identities i ON i.account_id = m.account_id ORDER BY 1, 2, 4",
    )


def with_community(store: Store, members: dict[str, Any]) -> None:
    community = {**store_plans.HIGH, "members": members}
    planned = store_plans.plan(
        store,
        document_changes=(store_plans.change(Kind.COMMUNITY, "high", Update),),
        settings=store_plans.settings(store_plans.CUSTOMER, community, store_plans.LEAVES),
    )
    store_plans.apply(store, planned)


def test_community_naming_nobody_includes_all_rostered_people(loaded: Store) -> None:
    assert memberships(loaded) == [["high", "u-1", "student", "roster"], ["high", "u-2", "student", "roster"]]
    change(loaded, users=[store_plans.to(loaded, Kind.USER, "u-1", "delete"), store_plans.user("u-3", role="teacher")])
    assert memberships(loaded) == [["high", "u-2", "student", "roster"], ["high", "u-3", "teacher", "roster"]]


def test_school_of_a_community_includes_its_descendants(loaded: Store) -> None:
    change(
        loaded,
        orgs=[store_plans.org("s-2", parent="d"), store_plans.org("n", parent="s-1")],
        users=[
            store_plans.user("u-3", roles="s-2=student"),
            store_plans.user("u-4", roles="n=teacher", role="teacher"),
        ],
    )
    with_community(loaded, {"schools": ["s-1"]})
    assert [subject for _, subject, _, _ in memberships(loaded)] == ["u-1", "u-2", "u-4"]
    with_community(loaded, {"schools": ["s-1", "s-2"], "roles": ["student"]})
    assert [subject for _, subject, _, _ in memberships(loaded)] == ["u-1", "u-2", "u-3"]
    with_community(loaded, {"schools": []})
    assert memberships(loaded) == []


def test_a_membership_that_a_launch_made_is_left_alone(loaded: Store) -> None:
    raw_sql.run(
        loaded,
        "INSERT INTO memberships (account_id, community_id, role, source, customer_id) SELECT account_id, 1, 'student',"
        " 'lti', customer_id FROM identities WHERE subject = 'u-1'",
    )
    with_community(loaded, {"schools": []})
    assert memberships(loaded) == [["high", "u-1", "student", "lti"]]


def test_enrollment_of_an_absent_person_refuses_everything(loaded: Store) -> None:
    rows = store_plans.roster(
        orgs=[store_plans.org("s-9")], enrollments=[store_plans.enrollment("e-9", "c-1", "nobody")]
    )
    with pytest.raises(StoreProblem, match="name a person or class that does not exist"):
        store_plans.apply(loaded, store_plans.plan(loaded, roster=rows))
    with loaded.open_reader() as reader:
        assert store_plans.live(reader, Kind.ORG).height == 2


def test_removed_customer_is_kept_and_returns(loaded: Store) -> None:
    gone = tuple(
        store_plans.change(kind, key, Delete)
        for kind, key in ((Kind.CUSTOMER, store_plans.SLUG), (Kind.COMMUNITY, "high"), (Kind.LESSON, "leaves"))
    )
    store_plans.apply(
        loaded, store_plans.plan(loaded, document_changes=gone, settings={**store_plans.settings(), "digest": None})
    )
    with loaded.open_reader() as reader:
        assert reader.read_customers()[store_plans.SLUG].tombstoned
        assert [each.tombstoned for each in reader.read_documents(store_plans.SLUG)] == [True, True]
        assert store_plans.live(reader, Kind.USER).height == 3
    back = tuple(
        store_plans.change(kind, key, Restore)
        for kind, key in ((Kind.CUSTOMER, store_plans.SLUG), (Kind.COMMUNITY, "high"), (Kind.LESSON, "leaves"))
    )
    settings = store_plans.settings(store_plans.CUSTOMER, store_plans.HIGH, store_plans.LEAVES)
    store_plans.apply(loaded, store_plans.plan(loaded, document_changes=back, settings=settings))
    with loaded.open_reader() as reader:
        record = reader.read_customers()[store_plans.SLUG]
        assert not record.tombstoned
        assert record.settings_digest == settings["digest"]
        assert [each.tombstoned for each in reader.read_documents(store_plans.SLUG)] == [False, False]


def test_the_catalogue_has_its_own_lessons_digest_and_version(loaded: Store) -> None:
    settings = store_plans.settings(store_plans.LEAVES)
    empty = store_plans.PlanPrecondition(None, None, settings["digest"])
    first = store_plans.plan(
        loaded,
        CATALOG,
        precondition=empty,
        document_changes=(store_plans.change(Kind.LESSON, "leaves"),),
        settings=settings,
    )
    run = store_plans.apply(loaded, first).run
    with loaded.open_reader() as reader:
        catalogue = reader.read_catalog()
        assert (catalogue.settings_digest, catalogue.version) == (settings["digest"], (run, 0))
        assert [each.slug for each in reader.read_documents(None)] == ["leaves"]
        assert reader.list_runs()[0].customer == CATALOG
    with pytest.raises(StoreProblem, match="changed after the plan"):
        store_plans.apply(loaded, first)


def test_a_plan_without_changes_makes_no_run(loaded: Store) -> None:
    assert store_plans.apply(loaded, store_plans.plan(loaded, outcome=Outcome.UNCHANGED)).run is None
    with loaded.open_reader() as reader:
        assert len(reader.list_runs()) == 1


def test_a_refreshed_row_gets_its_fingerprint_and_nothing_else(loaded: Store) -> None:
    raw_sql.run(loaded, "UPDATE orgs SET name = name")
    ids = [store_plans.row(loaded, Kind.ORG, key)["id"] for key in ("d", "s-1")]
    fresh = pl.DataFrame({"live_id": ids, "fingerprint": [11, 12]})
    store_plans.apply(loaded, store_plans.plan(loaded, fingerprint_refresh={Kind.ORG: fresh}))
    assert [store_plans.row(loaded, Kind.ORG, key)["fingerprint"] for key in ("d", "s-1")] == [11, 12]
    assert raw_sql.scalar(loaded, "SELECT n FROM write_counters") == 2


def test_a_snapshot_comes_back_as_it_was_kept(loaded: Store) -> None:
    frames = {
        "users": pl.DataFrame({"sourced_id": ["u-1"], "line": [2]}),
        "quarantine": pl.DataFrame(schema={"kind": pl.String, "line": pl.Int64}),
    }
    store_plans.apply(loaded, store_plans.plan(loaded, source=store_plans.SOURCE, snapshot=frames))
    store_plans.apply(loaded, store_plans.plan(loaded, source=store_plans.SOURCE, snapshot=frames))
    with loaded.open_reader() as reader:
        kept = reader.load_last_snapshot(reader.read_customers()[store_plans.SLUG].id)
    assert kept is not None
    record, found = kept
    assert (record.type, record.name, record.complete, record.rows) == ("zip", "day-1.zip", True, {"users": 2})
    assert set(found) == set(frames)
    assert all(found[part].equals(frame) and found[part].schema == frame.schema for part, frame in frames.items())


def test_a_roster_that_is_only_shown_is_not_written(loaded: Store) -> None:
    rows = store_plans.roster(orgs=[store_plans.org("s-9")])
    shown = store_plans.plan(
        loaded,
        roster=rows,
        roster_applies=False,
        source=store_plans.SOURCE,
        snapshot={"orgs": pl.DataFrame({"a": [1]})},
    )
    assert store_plans.apply(loaded, shown).run is None
    with loaded.open_reader() as reader:
        assert store_plans.live(reader, Kind.ORG).height == 2
        assert reader.load_last_snapshot(1) is None
