"""Test that a reader returns complete frames of the promised types from one consistent view."""

from __future__ import annotations

import polars as pl
import pytest

from reconciler.model.kind import Kind
from reconciler.model.roster import list_field_names
from reconciler.store.open import Store
from reconciler.store.read import roster_frames
from reconciler.store.read.reader import LAST_SIGN_INS
from reconciler.store.read.roster_frames import (
    count_enrollments,
    read_assignments,
    read_classes,
    read_enrollment_index,
    read_enrollments_by_id,
    read_enrollments_by_key,
    read_orgs,
    read_roles,
    read_users,
)
from tests.support.plans import store_plans
from tests.support.stores import raw_sql


@pytest.fixture
def loaded(store: Store) -> Store:
    store_plans.load(store)
    return store


def frames(
    store: Store, customer: int, ids: pl.Series, keys: pl.Series
) -> dict[str, tuple[pl.DataFrame, dict[str, object]]]:
    with store.open_reader() as reader:
        return {
            "orgs": (read_orgs(reader.connection, customer), roster_frames.ORGS),
            "users": (read_users(reader.connection, customer), roster_frames.USERS),
            "roles": (read_roles(reader.connection, customer), roster_frames.ROLES),
            "classes": (read_classes(reader.connection, customer), roster_frames.CLASSES),
            "index": (read_enrollment_index(reader.connection, customer), roster_frames.ENROLLMENT_INDEX),
            "by_id": (read_enrollments_by_id(reader.connection, customer, ids), roster_frames.ENROLLMENTS),
            "by_key": (read_enrollments_by_key(reader.connection, customer, keys), roster_frames.ENROLLMENTS),
            "assignments": (read_assignments(reader.connection, customer), roster_frames.ASSIGNMENTS),
            "counts": (
                count_enrollments(reader.connection, customer, "account_id", ids),
                roster_frames.ENROLLMENT_COUNTS,
            ),
            "sign_ins": (reader.read_last_sign_ins(ids), LAST_SIGN_INS),
        }


def test_empty_frames_have_the_same_columns_and_types(store: Store) -> None:
    for name, (frame, schema) in frames(store, 1, pl.Series([1]), pl.Series(["e-1"])).items():
        assert dict(frame.schema) == schema, name
        assert frame.is_empty(), name


def test_full_frames_have_the_same_columns_and_types(loaded: Store) -> None:
    for name, (frame, schema) in frames(loaded, 1, pl.Series([1, 2]), pl.Series(["e-1"])).items():
        assert dict(frame.schema) == schema, name
        assert frame.is_empty() == (name in ("assignments", "sign_ins")), name


def test_nothing_asked_is_nothing_found(loaded: Store) -> None:
    no_ids, no_keys = pl.Series([], dtype=pl.Int64), pl.Series([], dtype=pl.String)
    found = frames(loaded, 1, no_ids, no_keys)
    assert [found[name][0].is_empty() for name in ("by_id", "by_key", "counts", "sign_ins")] == [True] * 4


@pytest.mark.parametrize("kind", [Kind.ORG, Kind.USER, Kind.CLASS, Kind.ENROLLMENT])
def test_row_reads_back_with_every_field_written(loaded: Store, kind: Kind) -> None:
    wanted = store_plans.first_roster()[kind]
    for given in wanted.iter_rows(named=True):
        found = store_plans.row(loaded, kind, given["key"])
        assert {name: found[name] for name in list_field_names(kind)} == {
            name: given[name] for name in list_field_names(kind)
        }
        assert found["fingerprint"] == given["fingerprint"]
        assert found["tombstoned"] is False


def test_long_null_column_ending_in_text_stays_text(store: Store) -> None:
    rows = [store_plans.user(f"u-{n:04}", roles=None, middle_name="Late" if n == 2999 else None) for n in range(3000)]
    store_plans.load(store, store_plans.roster(orgs=[store_plans.org("s-1")], users=rows))
    with store.open_reader() as reader:
        users = store_plans.live(reader, Kind.USER)
    assert users.filter(pl.col("middle_name") == "Late")["sourced_id"].to_list() == ["u-2999"]


def test_administrators_are_among_the_users_without_a_sourced_id(loaded: Store) -> None:
    with loaded.open_reader() as reader:
        users = store_plans.live(reader, Kind.USER)
    ann = users.row(by_predicate=pl.col("managed_by") == "config", named=True)
    assert (ann["sourced_id"], ann["username"], ann["role"], ann["has_password"]) == (
        None,
        "ann",
        "administrator",
        False,
    )


def test_enrollments_are_found_by_key_with_their_targets(loaded: Store) -> None:
    with loaded.open_reader() as reader:
        customer = reader.read_customers()[store_plans.SLUG].id
        found = read_enrollments_by_key(reader.connection, customer, pl.Series(["e-2", "e-2", "nothing"]))
    assert found.select("sourced_id", "class", "user", "primary").rows() == [("e-2", "c-1", "u-2", None)]


def test_an_enrollment_of_another_customer_is_not_found(loaded: Store) -> None:
    store_plans.load(loaded, slug="shelbyville")
    with loaded.open_reader() as reader:
        ours, theirs = (reader.read_customers()[slug].id for slug in (store_plans.SLUG, "shelbyville"))
        ids = read_enrollment_index(reader.connection, theirs)["id"]
        assert read_enrollments_by_id(reader.connection, ours, ids).is_empty()
        assert read_enrollments_by_id(reader.connection, theirs, ids).height == 2
        assert set(read_users(reader.connection, ours)["id"]).isdisjoint(read_users(reader.connection, theirs)["id"])


def test_enrollments_are_counted_by_person_and_by_class(loaded: Store) -> None:
    with loaded.open_reader() as reader:
        customer = reader.read_customers()[store_plans.SLUG].id
        users, classes = read_users(reader.connection, customer), read_classes(reader.connection, customer)
        by_user = count_enrollments(reader.connection, customer, "account_id", users["id"])
        by_class = count_enrollments(reader.connection, customer, "class_id", classes["id"])
    assert by_user.select("enrollments", "classes").rows() == [(1, 1), (1, 1)]
    assert by_class.select("enrollments", "classes").rows() == [(2, 1)]


def test_last_sign_ins_come_from_the_volatile_side(loaded: Store) -> None:
    raw_sql.run_volatile(
        loaded, "INSERT INTO last_sign_ins VALUES (2, '2026-11-21T08:00:00Z'), (9, '2026-11-21T09:00:00Z')"
    )
    with loaded.open_reader() as reader:
        assert reader.read_last_sign_ins(pl.Series([1, 2, 3])).rows() == [(2, "2026-11-21T08:00:00Z")]


def test_assignments_are_listed_while_they_live(loaded: Store) -> None:
    at = "'2026-09-01T07:00:00Z'"
    add = "INSERT INTO assignments (customer_id, lesson_id, class_id, account_id, created_at, tombstoned_at) VALUES "
    raw_sql.run(loaded, f"{add} (1, 1, 1, NULL, {at}, NULL), (1, 1, NULL, 2, {at}, NULL), (1, 1, NULL, 3, {at}, {at})")
    with loaded.open_reader() as reader:
        assert read_assignments(reader.connection, 1).rows() == [(None, 1), (2, None)]


def test_a_reader_sees_one_moment_whatever_is_written_meanwhile(loaded: Store) -> None:
    with loaded.open_reader() as reader:
        before = store_plans.live(reader, Kind.ORG)
        raw_sql.run(loaded, "UPDATE orgs SET name = 'By Hand'")
        assert store_plans.live(reader, Kind.ORG).equals(before)
    with loaded.open_reader() as reader:
        assert set(store_plans.live(reader, Kind.ORG)["name"]) == {"By Hand"}


def test_account_bound_twice_by_hand_is_one_row(loaded: Store) -> None:
    raw_sql.run(
        loaded,
        "INSERT INTO identities (issuer_id, subject, account_id, customer_id) SELECT issuer_id, 'u-1-again',"
        " account_id, customer_id FROM identities WHERE subject = 'u-1'",
    )
    with loaded.open_reader() as reader:
        users = store_plans.live(reader, Kind.USER)
    assert not users["id"].is_duplicated().any()
    assert "u-1" in users["sourced_id"].to_list()


def test_what_is_declared_is_read_with_its_documents(loaded: Store) -> None:
    with loaded.open_reader() as reader:
        record = reader.read_customers()[store_plans.SLUG]
        declared = reader.read_documents(store_plans.SLUG)
        assert reader.read_documents(None) == ()
    assert record.document == store_plans.CUSTOMER
    assert [(each.kind, each.slug, each.label, each.document) for each in declared] == [
        (Kind.COMMUNITY, "high", "High", store_plans.HIGH),
        (Kind.LESSON, "leaves", "Leaves", store_plans.LEAVES),
    ]
