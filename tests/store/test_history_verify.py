"""Test that `history --verify` finds every change of the runs in the database, and reports nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from reconciler.store.key import StoreKey
from reconciler.store.read.chain import HASHED_COLUMNS, hash_run, sign_chain_head
from tests.support.customers.project import KEY, Project

pytestmark = pytest.mark.slow

RUNS = 4
#: Columns that are part of the hash if there is a digest of the journal.
OWN = ("customer_id", "journal_digest")


@pytest.fixture
def told(project: Project) -> Project:
    """Four runs of one customer."""
    for number in range(RUNS):
        project.customer(org=None, title=f"Springfield {number}")
        assert project.apply("springfield").code == 0
    return project


def alter(project: Project, *statements: str) -> None:
    with project.by_hand() as cursor:
        for statement in statements:
            cursor.execute(statement)


def verified(project: Project) -> Any:
    """The verification as JSON; exit code and words must agree with it."""
    result = project.run("history", "--verify", "--format", "json")
    found = result.json["verification"]
    assert result.code == (0 if found["verified"] else 1)
    text = project.run("history", "--verify")
    if found["verified"]:
        assert (text.code, text.out, text.err) == (0, found["message"] + "\n", "")
    else:
        assert (text.code, text.out) == (1, "")
        assert text.err.startswith(f"error: {found['message']} [altered-history]\n    Compare with a backup")
    return found


def numbers(project: Project) -> list[int]:
    return [row[0] for row in project.ask("select id from runs order by id")]


def test_a_chain_that_nobody_touched_is_verified_and_sealed(told: Project) -> None:
    found = verified(told)
    assert (found["verified"], found["sealed"], found["runs"], found["run"]) == (True, True, RUNS, None)
    assert found["message"].startswith("Verified: all 4 runs are intact and none is missing")


def test_a_store_without_runs_has_nothing_to_verify(project: Project) -> None:
    project.customer(org=None)
    assert verified(project)["message"] == "No runs yet; nothing to verify."


def test_one_customers_runs_are_listed_and_every_run_verified(told: Project) -> None:
    told.customer("shelbyville", org=None)
    told.apply("shelbyville")
    result = told.run("history", "shelbyville", "--verify", "--format", "json").json
    assert [run["customer"] for run in result["runs"]] == ["shelbyville"]
    assert result["verification"]["runs"] == RUNS + 1


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor", "'somebody'"),
        ("started_at", "'2020-01-01T00:00:00Z'"),
        ("finished_at", "'2020-01-01T00:00:00Z'"),
        ("outcome", "'held'"),
        ("counts", "'{}'"),
        ("approvals", "'[\"springfield:9:abcdef\"]'"),
        ("plan_id", "'sha256:0'"),
        ("git_commit", "'abc'"),
        ("source_sha256", "'abc'"),
        ("settings_digest", "'abc'"),
        ("customer_slug", "'shelbyville'"),
        ("undoes", "1"),
        ("customer_id", "7"),
        ("journal_digest", "'abc'"),
    ],
)
def test_an_altered_value_is_found_with_its_run(told: Project, column: str, value: str) -> None:
    second = numbers(told)[1]
    alter(told, f"update runs set {column} = {value} where id = {second}")
    found = verified(told)
    assert (found["run"], found["runs"]) == (second, 1)
    assert f"run {second} was altered after it was written" in found["message"]


def test_every_run_column_is_covered_by_the_chain() -> None:
    altered = {each.args[1][number][0] for each in marks() for number in range(len(each.args[1]))}
    assert altered == {*HASHED_COLUMNS, "undoes", *OWN} - {"id"}


def marks() -> list[Any]:
    return [mark for mark in test_an_altered_value_is_found_with_its_run.pytestmark if mark.name == "parametrize"]


def test_deleted_run_is_found_by_its_successor(told: Project) -> None:
    _, second, third, _ = numbers(told)
    alter(told, f"delete from runs where id = {second}")
    found = verified(told)
    assert found["run"] == third
    assert "the runs between them are missing" in found["message"]


def test_the_first_run_deleted_is_found(told: Project) -> None:
    first, second, *_ = numbers(told)
    alter(told, f"delete from runs where id = {first}")
    assert verified(told)["run"] == second


def test_two_runs_that_changed_places_are_found(told: Project) -> None:
    _, second, third, _ = numbers(told)
    alter(
        told,
        f"update runs set id = 9999 where id = {second}",
        f"update runs set id = {second} where id = {third}",
        f"update runs set id = {third} where id = 9999",
    )
    found = verified(told)
    assert (found["verified"], found["runs"]) == (False, 1)


def test_a_run_that_was_added_is_found(told: Project) -> None:
    *_, third, _ = numbers(told)
    columns = ", ".join(name for name in (*HASHED_COLUMNS, *OWN, "previous_hash", "hash") if name != "id")
    alter(told, f"insert into runs (id, {columns}) select 9999, {columns} from runs where id = {third}")
    assert verified(told)["run"] == 9999


def test_altered_hash_is_told_from_an_altered_value(told: Project) -> None:
    second = numbers(told)[1]
    alter(told, f"update runs set hash = 'ff' where id = {second}")
    assert f"the hash of run {second} was altered" in verified(told)["message"]


def test_a_run_that_names_another_before_it_is_found(told: Project) -> None:
    third = numbers(told)[2]
    alter(told, f"update runs set previous_hash = 'ff' where id = {third}")
    found = verified(told)
    assert found["run"] == third
    assert "names the wrong previous run" in found["message"]


def test_an_end_that_was_cut_off_is_found(told: Project) -> None:
    *_, third, last = numbers(told)
    alter(told, f"delete from runs where id = {last}")
    found = verified(told)
    assert found["run"] == third
    assert f"the runs after run {third} are missing" in found["message"]


def test_truncation_with_a_matching_head_is_still_found(told: Project) -> None:
    *_, third, last = numbers(told)
    alter(
        told,
        f"delete from runs where id = {last}",
        f"update store set head_hash = (select hash from runs where id = {third}), head_seal = null",
    )
    found = verified(told)
    assert found["run"] == last
    assert "but its changes are in the store" in found["message"]


def test_runs_that_are_all_gone_are_missed(told: Project) -> None:
    last = numbers(told)[-1]
    alter(told, "delete from runs", "update store set head_hash = null, head_seal = null")
    assert verified(told)["run"] == last


def rewritten(project: Project, first: int, change: Mapping[str, object]) -> None:
    """The chain from `first` on as somebody would write it who knows how it is made and has no key."""
    columns = ("id", *OWN, "previous_hash", "hash", *HASHED_COLUMNS[1:])
    runs = [
        dict(zip(columns, row, strict=True))
        for row in project.ask(f"select {', '.join(columns)} from runs order by id")
    ]
    previous = None
    for run in runs:
        if run["id"] >= first:
            run.update(change if run["id"] == first else {}, previous_hash=previous)
            run["hash"] = hash_run(previous, run)
            sets = ", ".join(f"{name} = '{run[name]}'" for name in (*change, "hash"))
            before = f"'{previous}'" if previous else "null"
            alter(project, f"update runs set {sets}, previous_hash = {before} where id = {run['id']}")
        previous = run["hash"]
    alter(project, f"update store set head_hash = '{previous}'")


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_chain_rewritten_from_any_run_without_the_key_is_found(told: Project, place: int) -> None:
    rewritten(told, numbers(told)[place], {"actor": "nobody@nowhere"})
    found = verified(told)
    assert (found["verified"], found["run"], found["runs"]) == (False, numbers(told)[-1], RUNS)
    assert "somebody without the store key rewrote the runs" in found["message"]


def test_a_seal_of_another_key_is_no_seal(told: Project) -> None:
    head = told.ask("select head_hash from store")[0][0]
    alter(told, f"update store set head_seal = '{sign_chain_head(StoreKey(bytes(32)), head)}'")
    assert not verified(told)["verified"]
    alter(told, f"update store set head_seal = '{sign_chain_head(StoreKey(KEY), head)}'")
    assert verified(told)["sealed"]


def test_runs_before_the_seal_are_reported_and_sealed_next_time(told: Project) -> None:
    alter(told, "update store set head_seal = null")
    found = verified(told)
    assert (found["verified"], found["sealed"]) == (True, False)
    assert "not signed yet" in found["message"]
    told.customer(org=None, title="Springfield again")
    assert told.apply("springfield").code == 0
    assert verified(told)["sealed"]


def test_id_given_back_by_an_apply_is_no_gap(told: Project) -> None:
    if told.store_url.startswith("sqlite"):
        alter(told, "update sqlite_sequence set seq = seq + 3 where name = 'runs'")
    else:
        told.ask("select nextval(pg_get_serial_sequence('runs', 'id'))")
    told.customer(org=None, title="Springfield later")
    assert told.apply("springfield").code == 0
    assert numbers(told)[-1] > RUNS + 1
    assert verified(told)["runs"] == RUNS + 1


def test_undone_run_enters_the_hash_only_of_an_undo() -> None:
    run: dict[str, object] = {name: name for name in HASHED_COLUMNS}
    assert hash_run("before", run) == hash_run("before", {**run, "undoes": None})
    assert hash_run("before", run) != hash_run("before", {**run, "undoes": 1})
