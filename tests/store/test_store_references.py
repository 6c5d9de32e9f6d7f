"""Test that rows refer only to active rows after an apply, and that the next plan retries missing references."""

from __future__ import annotations

import polars as pl
import pytest

from reconciler.model.kind import Kind
from reconciler.store.errors import StalePlan
from reconciler.store.open import Store
from tests.support.plans import store_plans
from tests.support.stores import raw_sql

LEAVING = ((Kind.USER, "u-1"), (Kind.CLASS, "c-1"))


@pytest.fixture
def homeless(store: Store) -> Store:
    """A roster whose school s-1 is missing."""
    rows = store_plans.first_roster()
    store_plans.load(
        store, {**rows, Kind.ORG: store_plans.frame(Kind.ORG, store_plans.org("n", parent="s-1"), store_plans.org("d"))}
    )
    return store


@pytest.fixture
def loaded(store: Store) -> Store:
    store_plans.load(store)
    return store


def writes(store: Store) -> int:
    return int(raw_sql.scalar(store, "SELECT n FROM write_counters"))


@pytest.mark.parametrize(
    ("kind", "key", "field", "found"),
    [(Kind.ORG, "n", "parent", None), (Kind.CLASS, "c-1", "school", None), (Kind.USER, "u-2", "roles", "d=student")],
)
def test_row_with_a_missing_org_is_compared_again(
    homeless: Store, kind: Kind, key: str, field: str, found: str | None
) -> None:
    row = store_plans.row(homeless, kind, key)
    assert (row[field], row["fingerprint"]) == (found, 0)
    assert writes(homeless) == 0


def test_row_with_all_orgs_present_keeps_its_fingerprint(homeless: Store) -> None:
    assert store_plans.row(homeless, Kind.ORG, "d")["fingerprint"] not in (None, 0)
    assert store_plans.row(homeless, Kind.ENROLLMENT, "e-1")["fingerprint"] not in (None, 0)


def test_row_rewritten_without_its_org_is_no_external_write(homeless: Store) -> None:
    rows = store_plans.roster(
        users=[store_plans.to(homeless, Kind.USER, "u-1", "update", roles="s-1=student")],
        classes=[store_plans.to(homeless, Kind.CLASS, "c-1", "update", school="s-1")],
    )
    store_plans.apply(homeless, store_plans.plan(homeless, roster=rows))
    assert store_plans.row(homeless, Kind.CLASS, "c-1")["fingerprint"] == 0
    assert store_plans.row(homeless, Kind.USER, "u-1")["fingerprint"] == 0
    assert writes(homeless) == 0


def test_a_row_is_whole_once_its_org_is_there(homeless: Store) -> None:
    rows = store_plans.roster(
        orgs=[store_plans.org("s-1"), store_plans.to(homeless, Kind.ORG, "n", "update", parent="s-1")],
        users=[store_plans.to(homeless, Kind.USER, "u-1", "update", roles="s-1=student")],
        classes=[store_plans.to(homeless, Kind.CLASS, "c-1", "update", school="s-1")],
    )
    store_plans.apply(homeless, store_plans.plan(homeless, roster=rows))
    for kind, key in ((Kind.ORG, "n"), (Kind.USER, "u-1"), (Kind.CLASS, "c-1")):
        wanted = rows[kind].row(by_predicate=pl.col("key") == key, named=True)
        assert store_plans.row(homeless, kind, key)["fingerprint"] == wanted["fingerprint"]
    assert store_plans.row(homeless, Kind.CLASS, "c-1")["school"] == "s-1"
    assert store_plans.row(homeless, Kind.USER, "u-1")["roles"] == "s-1=student"


def test_row_without_its_org_is_deleted_normally(homeless: Store) -> None:
    rows = store_plans.roster(
        users=[store_plans.to(homeless, Kind.USER, "u-1", "delete")],
        classes=[store_plans.to(homeless, Kind.CLASS, "c-1", "delete")],
    )
    store_plans.apply(homeless, store_plans.plan(homeless, roster=rows))
    assert store_plans.row(homeless, Kind.CLASS, "c-1")["fingerprint"] == 0
    assert store_plans.row(homeless, Kind.USER, "u-1")["fingerprint"] == 0
    assert writes(homeless) == 0


def test_class_at_a_deleted_school_has_none(loaded: Store) -> None:
    planned = store_plans.plan(loaded, roster=store_plans.roster(classes=[store_plans.class_("c-2")]))
    gone = store_plans.roster(orgs=[store_plans.to(loaded, Kind.ORG, "s-1", "delete")])
    store_plans.apply(loaded, store_plans.plan(loaded, roster=gone))
    store_plans.apply(loaded, planned)
    row = store_plans.row(loaded, Kind.CLASS, "c-2")
    assert (row["school"], row["fingerprint"]) == (None, 0)


def test_org_leaving_in_the_same_apply_belongs_to_nobody(loaded: Store) -> None:
    rows = store_plans.roster(
        orgs=[store_plans.to(loaded, Kind.ORG, "s-1", "delete"), store_plans.org("s-2", parent="s-1")],
        users=[store_plans.user("u-3")],
        classes=[store_plans.class_("c-2")],
    )
    store_plans.apply(loaded, store_plans.plan(loaded, roster=rows))
    assert store_plans.row(loaded, Kind.CLASS, "c-2")["school"] is None
    assert store_plans.row(loaded, Kind.ORG, "s-2")["parent"] is None
    assert store_plans.row(loaded, Kind.USER, "u-3")["roles"] is None


@pytest.mark.parametrize(("kind", "key"), [(Kind.USER, "u-1"), (Kind.CLASS, "c-1")])
def test_an_enrollment_of_what_was_deleted_since_is_stale(loaded: Store, kind: Kind, key: str) -> None:
    planned = store_plans.plan(
        loaded, roster=store_plans.roster(enrollments=[store_plans.enrollment("e-9", "c-1", "u-1")])
    )
    gone = store_plans.roster(**{kind.plural: [store_plans.to(loaded, kind, key, "delete")]})
    store_plans.apply(loaded, store_plans.plan(loaded, roster=gone))
    with pytest.raises(StalePlan) as raised:
        store_plans.apply(loaded, planned)
    assert raised.value.changed == (("enrollment", "e-9"),)


def test_enrollment_may_return_with_its_person_and_class(loaded: Store) -> None:
    person, class_ = (store_plans.to(loaded, kind, key, "restore", seen=0) for kind, key in LEAVING)
    gone = {kind.plural: [store_plans.to(loaded, kind, key, "delete")] for kind, key in LEAVING}
    store_plans.apply(loaded, store_plans.plan(loaded, roster=store_plans.roster(**gone)))
    # e-1 is still active: the person and class were removed by hand-made changes, without it.
    back = store_plans.roster(
        users=[person], classes=[class_], enrollments=[store_plans.enrollment("e-9", "c-1", "u-1", role="proctor")]
    )
    store_plans.apply(loaded, store_plans.plan(loaded, roster=back))
    row = store_plans.row(loaded, Kind.ENROLLMENT, "e-9")
    assert (row["class"], row["user"]) == ("c-1", "u-1")
