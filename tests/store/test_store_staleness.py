"""Test that a plan is stale only if the rows that it changes changed, and that a stale plan writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from reconciler.model.change import Update
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import CustomerPlan
from reconciler.store.errors import StalePlan
from reconciler.store.open import Store
from tests.support.plans import store_plans
from tests.support.stores import raw_sql


@pytest.fixture
def loaded(store: Store) -> Store:
    store_plans.load(store)
    return store


def update(store: Store) -> CustomerPlan:
    return store_plans.plan(
        store, roster=store_plans.roster(users=[store_plans.to(store, Kind.USER, "u-1", "update", email="n@x.example")])
    )


def delete(store: Store) -> CustomerPlan:
    return store_plans.plan(store, roster=store_plans.roster(users=[store_plans.to(store, Kind.USER, "u-1", "delete")]))


def create(store: Store) -> CustomerPlan:
    return store_plans.plan(store, roster=store_plans.roster(orgs=[store_plans.org("s-9")]))


def rename(store: Store) -> CustomerPlan:
    settings = store_plans.settings({**store_plans.CUSTOMER, "name": "New"}, store_plans.HIGH, store_plans.LEAVES)
    return store_plans.plan(
        store, document_changes=(store_plans.change(Kind.CUSTOMER, store_plans.SLUG, Update),), settings=settings
    )


LINK = (
    "INSERT INTO issuers (customer_id, name, kind) SELECT id, 'springfield/lti/canvas', 'lti' FROM customers",
    "INSERT INTO identities (issuer_id, subject, account_id, customer_id) SELECT x.id, '77', i.account_id,"
    " i.customer_id FROM identities i, issuers x WHERE i.subject = 'u-1' AND x.kind = 'lti'",
)

STALE: list[tuple[Callable[[Store], CustomerPlan], tuple[str, ...], tuple[str, str]]] = [
    (update, ("UPDATE accounts SET grades = '9' WHERE username = 'u-1@springfield'",), ("user", "u-1")),
    (delete, ("UPDATE accounts SET grades = '9' WHERE username = 'u-1@springfield'",), ("user", "u-1")),
    (delete, LINK, ("user", "u-1")),
    (delete, ("UPDATE account_roles SET role = 'teacher'",), ("user", "u-1")),
    (
        create,
        ("INSERT INTO orgs (customer_id, sourced_id, name) SELECT id, 's-9', 'By Hand' FROM customers",),
        ("org", "s-9"),
    ),
    (rename, ("UPDATE customers SET document = '{}'",), ("customer", "springfield")),
    (update, ("UPDATE communities SET document = '{}'",), ("customer", "springfield")),
    (rename, ("UPDATE lessons SET title = 'By Hand'",), ("customer", "springfield")),
]


@pytest.mark.parametrize(("made", "statements", "named"), STALE)
def test_plan_with_changed_ground_is_refused_and_writes_nothing(
    loaded: Store, made: Callable[[Store], CustomerPlan], statements: tuple[str, ...], named: tuple[str, str]
) -> None:
    planned = made(loaded)
    raw_sql.run(loaded, *statements)
    with pytest.raises(StalePlan) as raised:
        store_plans.apply(loaded, planned)
    assert raised.value.changed == (named,)
    assert raised.value.diagnostic.code == "stale-plan"
    assert named[1] not in str(raised.value) or named[0] == "customer"
    with loaded.open_reader() as reader:
        assert len(reader.list_runs()) == 1


NOT_STALE: list[tuple[Callable[[Store], CustomerPlan], tuple[str, ...]]] = [
    (update, ("UPDATE accounts SET grades = '9' WHERE username = 'u-2@springfield'",)),
    (update, LINK),
    (update, ("UPDATE accounts SET password_hash = 'x'",)),
    (delete, ("UPDATE orgs SET name = 'By Hand'", "UPDATE enrollments SET role = 'aide' WHERE sourced_id = 'e-2'")),
    (create, ("UPDATE accounts SET email = 'by@hand.example'",)),
    (rename, ("UPDATE orgs SET name = 'By Hand'",)),
]


@pytest.mark.parametrize(("made", "statements"), NOT_STALE)
def test_write_outside_a_plans_rows_does_not_matter(
    loaded: Store, made: Callable[[Store], CustomerPlan], statements: tuple[str, ...]
) -> None:
    planned = made(loaded)
    raw_sql.run(loaded, *statements)
    assert store_plans.apply(loaded, planned).run == 2


def test_another_customers_apply_does_not_matter(loaded: Store) -> None:
    planned = update(loaded)
    store_plans.load(loaded, slug="shelbyville")
    assert store_plans.apply(loaded, planned).run == 3


@pytest.mark.parametrize("made", [update, delete, create, rename])
def test_a_plan_cannot_be_applied_twice(loaded: Store, made: Callable[[Store], CustomerPlan]) -> None:
    planned = made(loaded)
    store_plans.apply(loaded, planned)
    with pytest.raises(StalePlan):
        store_plans.apply(loaded, planned)


def test_a_first_load_cannot_be_applied_twice(store: Store) -> None:
    planned = store_plans.plan(
        store,
        document_changes=(store_plans.change(Kind.CUSTOMER, store_plans.SLUG),),
        settings=store_plans.settings(store_plans.CUSTOMER),
    )
    store_plans.apply(store, planned)
    with pytest.raises(StalePlan):
        store_plans.apply(store, planned)


def test_drift_seen_by_the_plan_is_compared_by_column(loaded: Store) -> None:
    raw_sql.run(loaded, "UPDATE accounts SET email = 'by@hand.example' WHERE username = 'u-1@springfield'")
    planned = update(loaded)
    raw_sql.run(loaded, "UPDATE orgs SET name = 'By Hand'")
    assert store_plans.apply(loaded, planned).run == 2
    raw_sql.run(loaded, "UPDATE accounts SET email = 'by@hand.example' WHERE username = 'u-1@springfield'")
    planned = update(loaded)
    raw_sql.run(loaded, "UPDATE accounts SET email = 'again@hand.example' WHERE username = 'u-1@springfield'")
    with pytest.raises(StalePlan):
        store_plans.apply(loaded, planned)


def test_held_rows_may_change_without_staleness_elsewhere(loaded: Store) -> None:
    rows: dict[str, Any] = {
        "users": [store_plans.to(loaded, Kind.USER, "u-1", "delete", held=True), store_plans.user("u-3")]
    }
    planned = store_plans.plan(loaded, hold=store_plans.HOLD, roster=store_plans.roster(**rows))
    raw_sql.run(loaded, "UPDATE accounts SET grades = '9' WHERE username = 'u-1@springfield'")
    assert store_plans.apply(loaded, planned).run == 2


def test_person_to_be_restored_must_still_be_deleted(loaded: Store) -> None:
    again = store_plans.to(loaded, Kind.USER, "u-1", "restore", seen=0)
    store_plans.apply(loaded, delete(loaded))
    planned = store_plans.plan(loaded, roster=store_plans.roster(users=[again]))
    store_plans.apply(loaded, planned)
    with pytest.raises(StalePlan):
        store_plans.apply(loaded, planned)


def test_list_of_changes_is_cut_and_counts_the_rest(store: Store) -> None:
    store_plans.load(store, store_plans.roster(orgs=[store_plans.org(f"s-{n:02}") for n in range(30)]))
    rows = store_plans.roster(
        orgs=[store_plans.to(store, Kind.ORG, f"s-{n:02}", "update", type="x") for n in range(30)]
    )
    planned = store_plans.plan(store, roster=rows)
    raw_sql.run(store, "UPDATE orgs SET name = 'By Hand'")
    with pytest.raises(StalePlan) as raised:
        store_plans.apply(store, planned)
    assert (len(raised.value.changed), raised.value.more) == (10, 20)


def test_fingerprint_is_not_refreshed_after_an_external_write(loaded: Store) -> None:
    raw_sql.run(loaded, "UPDATE orgs SET name = name WHERE sourced_id = 's-1'")
    fresh = pl.DataFrame({"live_id": [store_plans.row(loaded, Kind.ORG, "s-1")["id"]], "fingerprint": [11]})
    planned = store_plans.plan(loaded, fingerprint_refresh={Kind.ORG: fresh})
    raw_sql.run(loaded, "UPDATE orgs SET name = 'By Hand' WHERE sourced_id = 's-1'")
    store_plans.apply(loaded, planned)
    assert store_plans.row(loaded, Kind.ORG, "s-1")["fingerprint"] is None


def altered(planned: CustomerPlan, kind: Kind, **columns: Any) -> CustomerPlan:
    """The same plan with other values in every row of a kind."""
    rows = planned.roster[kind].with_columns(**{name: pl.lit(value) for name, value in columns.items()})
    return replace(planned, roster={**planned.roster, kind: rows})


@pytest.mark.parametrize("kind", ROSTER_KINDS)
def test_row_other_than_the_plan_names_is_stale(loaded: Store, kind: Kind) -> None:
    key, other = {
        Kind.ORG: ("s-1", "d"),
        Kind.USER: ("u-1", "u-2"),
        Kind.CLASS: ("c-1", "c-2"),
        Kind.ENROLLMENT: ("e-1", "e-2"),
    }[kind]
    store_plans.apply(loaded, store_plans.plan(loaded, roster=store_plans.roster(classes=[store_plans.class_("c-2")])))
    planned = store_plans.plan(
        loaded, roster=store_plans.roster(**{kind.plural: [store_plans.to(loaded, kind, key, "delete")]})
    )
    swapped = store_plans.row(loaded, kind, other)
    with pytest.raises(StalePlan) as raised:
        store_plans.apply(loaded, altered(planned, kind, live_id=swapped["id"], seen=swapped["fingerprint"]))
    assert raised.value.changed == ((kind.value, key),)
    assert store_plans.apply(loaded, planned).run == 3


def test_another_customers_account_is_not_the_plans(loaded: Store) -> None:
    store_plans.load(loaded, slug="shelbyville")
    theirs = store_plans.row(loaded, Kind.USER, "u-1", "shelbyville")
    with pytest.raises(StalePlan):
        store_plans.apply(loaded, altered(update(loaded), Kind.USER, live_id=theirs["id"]))


def test_account_already_known_to_the_roster_cannot_be_adopted(loaded: Store) -> None:
    row = store_plans.to(loaded, Kind.USER, "u-1", "adopt") | {"key": "n-1"}
    with pytest.raises(StalePlan):
        store_plans.apply(loaded, store_plans.plan(loaded, roster=store_plans.roster(users=[row])))


def test_rekey_needs_the_account_under_its_former_id(loaded: Store) -> None:
    row = store_plans.to(loaded, Kind.USER, "u-1", "rekey", former_key="u-2") | {"key": "n-1"}
    with pytest.raises(StalePlan):
        store_plans.apply(loaded, store_plans.plan(loaded, roster=store_plans.roster(users=[row])))


def test_deleted_account_without_a_sourced_id_may_return(loaded: Store) -> None:
    again = store_plans.to(loaded, Kind.USER, "u-1", "restore", seen=None)
    store_plans.apply(loaded, delete(loaded))
    raw_sql.run(loaded, "DELETE FROM identities WHERE subject = 'u-1'")
    store_plans.apply(loaded, store_plans.plan(loaded, roster=store_plans.roster(users=[again])))
    assert store_plans.row(loaded, Kind.USER, "u-1")["id"] == again["live_id"]


@pytest.mark.parametrize(
    ("kind", "one", "two"), [(Kind.USER, "u-1", "u-2"), (Kind.ENROLLMENT, "e-1", "e-2"), (Kind.CLASS, "c-1", "c-2")]
)
def test_only_one_of_two_plans_sharing_a_limit_deletes(loaded: Store, kind: Kind, one: str, two: str) -> None:
    store_plans.apply(loaded, store_plans.plan(loaded, roster=store_plans.roster(classes=[store_plans.class_("c-2")])))
    first, second = (
        store_plans.plan(
            loaded, roster=store_plans.roster(**{kind.plural: [store_plans.to(loaded, kind, key, "delete")]})
        )
        for key in (one, two)
    )
    store_plans.apply(loaded, first)
    with pytest.raises(StalePlan) as raised:
        store_plans.apply(loaded, second)
    assert raised.value.changed == ((kind.value, two),)


def test_people_suspended_since_count_as_gone(loaded: Store) -> None:
    planned = store_plans.plan(
        loaded, roster=store_plans.roster(users=[store_plans.to(loaded, Kind.USER, "u-2", "delete")])
    )
    suspended = store_plans.to(loaded, Kind.USER, "u-1", "suspend", status="suspended")
    store_plans.apply(loaded, store_plans.plan(loaded, roster=store_plans.roster(users=[suspended])))
    with pytest.raises(StalePlan):
        store_plans.apply(loaded, planned)


def test_people_gone_since_do_not_block_changes_elsewhere(loaded: Store) -> None:
    store_plans.load(loaded, slug="shelbyville")
    changed = store_plans.plan(
        loaded,
        roster=store_plans.roster(users=[store_plans.to(loaded, Kind.USER, "u-2", "update", email="n@x.example")]),
    )
    elsewhere = store_plans.roster(users=[store_plans.to(loaded, Kind.USER, "u-2", "delete", "shelbyville")])
    leaving = store_plans.plan(loaded, "shelbyville", roster=elsewhere)
    store_plans.apply(loaded, delete(loaded))
    assert store_plans.apply(loaded, changed).run == 4
    assert store_plans.apply(loaded, leaving).run == 5
