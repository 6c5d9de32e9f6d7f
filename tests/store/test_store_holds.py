"""Test that held changes wait until exactly their hold is approved, while other changes are applied."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from reconciler import clock
from reconciler.model.change import Delete, Update
from reconciler.model.kind import Kind
from reconciler.model.plan import Hold
from reconciler.store.errors import StalePlan
from reconciler.store.open import Store
from reconciler.store.read.chain import HASHED_COLUMNS, hash_run
from tests.support.plans import store_plans
from tests.support.stores import raw_sql


@pytest.fixture
def loaded(store: Store) -> Iterator[Store]:
    with clock.freeze_time(store_plans.MORNING):
        store_plans.load(store)
        yield store


def held_plan(store: Store) -> Any:
    return store_plans.plan(
        store,
        source=store_plans.SOURCE,
        hold=store_plans.HOLD,
        roster=store_plans.roster(
            users=[store_plans.to(store, Kind.USER, "u-1", "delete", held=True), store_plans.user("u-3")],
            enrollments=[store_plans.to(store, Kind.ENROLLMENT, "e-1", "delete", held=True)],
        ),
    )


def test_what_is_held_stays_and_the_rest_goes_on(loaded: Store) -> None:
    applied = store_plans.apply(loaded, held_plan(loaded))
    assert store_plans.row(loaded, Kind.USER, "u-1")["tombstoned"] is False
    assert store_plans.row(loaded, Kind.USER, "u-3")["tombstoned"] is False
    with loaded.open_reader() as reader:
        [hold] = reader.list_holds()
        run = reader.list_runs()[0]
    assert (hold.customer, hold.id, hold.people, hold.rows, hold.causes) == (store_plans.SLUG, *plans_hold())
    assert (run.id, run.outcome, run.approvals, run.counts) == (applied.run, "held", (), {"user": {"create": 1}})


def plans_hold() -> tuple[str, int, int, tuple[str, ...]]:
    return store_plans.HOLD.id, store_plans.HOLD.people, store_plans.HOLD.rows, store_plans.HOLD.causes


def test_an_approved_hold_is_carried_out_and_forgotten(loaded: Store) -> None:
    planned = held_plan(loaded)
    store_plans.apply(loaded, planned)
    store_plans.apply(loaded, held_plan_again(loaded), approved=True)
    assert store_plans.row(loaded, Kind.USER, "u-1")["tombstoned"] is True
    with loaded.open_reader() as reader:
        assert reader.list_holds() == ()
        assert reader.list_runs()[0].approvals == (store_plans.HOLD.id,)


def held_plan_again(store: Store) -> Any:
    rows = store_plans.roster(users=[store_plans.to(store, Kind.USER, "u-1", "delete", held=True)])
    return store_plans.plan(store, source=store_plans.SOURCE, hold=store_plans.HOLD, roster=rows)


def test_plan_held_entirely_makes_no_run_but_is_recorded(loaded: Store) -> None:
    assert store_plans.apply(loaded, held_plan_again(loaded)).run is None
    with loaded.open_reader() as reader:
        assert [hold.id for hold in reader.list_holds()] == [store_plans.HOLD.id]
        assert len(reader.list_runs()) == 1


def test_new_roster_without_holds_ends_the_last_one(loaded: Store) -> None:
    store_plans.apply(loaded, held_plan_again(loaded))
    store_plans.apply(loaded, store_plans.plan(loaded, source=store_plans.SOURCE))
    with loaded.open_reader() as reader:
        assert reader.list_holds() == ()


@pytest.mark.parametrize("hold", [None, Hold("springfield:1:fedcba", 1, 1)])
def test_roster_from_before_a_hold_does_not_end_it(loaded: Store, hold: Hold | None) -> None:
    """It did not look at what is held, whether it holds nothing or something else."""
    with clock.freeze_time(store_plans.MORNING + timedelta(minutes=5)):
        store_plans.apply(loaded, held_plan_again(loaded))
    before = store_plans.plan(loaded, source=store_plans.SOURCE, hold=hold)
    with clock.freeze_time(store_plans.MORNING + timedelta(minutes=10)):
        for approved in (False, hold is not None):
            with pytest.raises(StalePlan):
                store_plans.apply(loaded, before, approved=approved)
        assert waiting(loaded) == [store_plans.HOLD.id]
        store_plans.apply(loaded, held_plan_again(loaded), approved=True)
    assert waiting(loaded) == []


def test_hold_dated_in_the_future_means_a_wrong_clock(loaded: Store) -> None:
    with clock.freeze_time(store_plans.MORNING.replace(year=2031)):
        store_plans.apply(loaded, held_plan_again(loaded))
    store_plans.apply(loaded, store_plans.plan(loaded, source=store_plans.SOURCE))
    assert waiting(loaded) == []


def test_held_community_removal_waits_while_the_customer_changes(loaded: Store) -> None:
    renamed = {**store_plans.CUSTOMER, "name": "Springfield Schools"}
    store_plans.apply(
        loaded,
        store_plans.plan(
            loaded,
            document_changes=(
                store_plans.change(Kind.CUSTOMER, store_plans.SLUG, Update),
                store_plans.change(Kind.COMMUNITY, "high", Delete, held=True),
            ),
            settings=store_plans.settings(renamed, store_plans.LEAVES),
            hold=store_plans.HOLD,
        ),
    )
    with loaded.open_reader() as reader:
        assert reader.read_customers()[store_plans.SLUG].name == "Springfield Schools"
        assert [each.tombstoned for each in reader.read_documents(store_plans.SLUG) if each.kind is Kind.COMMUNITY] == [
            False
        ]


REMOVED = Hold("springfield:0:fedcba", 0, 1, ("A community would be removed.",))


def without_community(store: Store, **facts: Any) -> Any:
    return store_plans.plan(
        store,
        document_changes=(store_plans.change(Kind.COMMUNITY, "high", Delete, held=True),),
        settings=store_plans.settings(store_plans.CUSTOMER, store_plans.LEAVES),
        hold=REMOVED,
        **facts,
    )


def waiting(store: Store) -> list[str]:
    with store.open_reader() as reader:
        return [hold.id for hold in reader.list_holds()]


def test_roster_holds_survive_an_apply_of_documents(loaded: Store) -> None:
    store_plans.apply(loaded, held_plan(loaded))
    store_plans.apply(loaded, without_community(loaded))
    assert waiting(loaded) == [REMOVED.id, store_plans.HOLD.id]
    store_plans.apply(loaded, without_community(loaded))
    store_plans.apply(loaded, store_plans.plan(loaded))
    assert waiting(loaded) == [store_plans.HOLD.id]
    store_plans.apply(loaded, without_community(loaded), approved=True)
    assert waiting(loaded) == [store_plans.HOLD.id]


def test_shown_only_roster_ends_no_roster_hold(loaded: Store) -> None:
    store_plans.apply(loaded, held_plan(loaded))
    store_plans.apply(loaded, store_plans.plan(loaded, source=store_plans.SOURCE, roster_applies=False))
    assert waiting(loaded) == [store_plans.HOLD.id]


def test_a_new_roster_replaces_both(loaded: Store) -> None:
    store_plans.apply(loaded, held_plan(loaded))
    store_plans.apply(loaded, without_community(loaded))
    store_plans.apply(loaded, without_community(loaded, source=store_plans.SOURCE))
    assert waiting(loaded) == [REMOVED.id]
    store_plans.apply(loaded, store_plans.plan(loaded, source=store_plans.SOURCE))
    assert waiting(loaded) == []


def test_nothing_waits_for_a_customer_that_was_removed(loaded: Store) -> None:
    store_plans.apply(loaded, held_plan(loaded))
    gone = (store_plans.change(Kind.CUSTOMER, store_plans.SLUG, Delete, held=True),)
    removal = store_plans.plan(
        loaded, document_changes=gone, settings={**store_plans.settings(), "digest": None}, hold=REMOVED
    )
    store_plans.apply(loaded, removal, approved=True)
    assert waiting(loaded) == []


def test_runs_form_a_chain_of_hashes_over_all_customers(loaded: Store) -> None:
    store_plans.load(loaded, slug="shelbyville")
    store_plans.apply(loaded, held_plan(loaded))
    with loaded.open_reader() as reader:
        runs = reader.list_runs()
        assert [run.customer for run in reader.list_runs("shelbyville")] == ["shelbyville"]
    assert [run.previous_hash for run in runs] == [runs[1].hash, runs[2].hash, None]
    assert raw_sql.scalar(loaded, "SELECT head_hash FROM store") == runs[0].hash
    columns = (*HASHED_COLUMNS, "customer_id", "journal_digest")
    for row in raw_sql.run(loaded, f"SELECT {', '.join(columns)}, previous_hash, hash FROM runs"):
        *facts, previous, digest = row
        assert hash_run(previous, dict(zip(columns, facts, strict=True))) == digest


def test_a_run_says_who_when_and_from_what(loaded: Store) -> None:
    with loaded.open_reader() as reader:
        [run] = reader.list_runs(store_plans.SLUG)
    assert (run.actor, run.plan_id, run.source_sha256) == ("ann@ci", "sha256:1", store_plans.SOURCE.sha256)
    assert run.started_at <= run.finished_at
    assert run.started_at.endswith("Z")
    assert run.counts["user"] == {"create": 2}
    assert (
        run.settings_digest
        == store_plans.settings(store_plans.CUSTOMER, store_plans.HIGH, store_plans.LEAVES)["digest"]
    )
