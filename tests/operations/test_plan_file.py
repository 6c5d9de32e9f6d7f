"""A saved plan is applied exactly as reviewed, or not at all."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from reconciler.model.diagnostic import Refusal
from reconciler.model.kind import Kind
from reconciler.operations.apply.apply import apply_plan
from reconciler.operations.apply.plan_file import read_plan, write_plan
from reconciler.operations.location import Location
from reconciler.operations.plan.plan import make_plan
from reconciler.operations.plan.request import PlanRequest
from reconciler.operations.workspace import open_workspace
from reconciler.store.open import open_store
from tests.support.customers.project import ENVIRONMENT, Project
from tests.support.rosters.bundles import bundle

pytestmark = pytest.mark.slow

DAY_ONE = bundle(users=40)
LEAVER, OTHER = DAY_ONE.students()[:2]
Members = dict[str, bytes]


@pytest.fixture
def saved(project: Project) -> Path:
    """A plan that deletes one person of Springfield and renames it."""
    project.customer()
    assert project.apply("springfield", "--zip", DAY_ONE.zip(project.folder / "one.zip")).code == 0
    project.customer(title="New Name")
    path = project.folder / "monday.plan"
    later = DAY_ONE.without_users([LEAVER]).zip(project.folder / "two.zip")
    assert project.plan("springfield", "--zip", later, "--out", path).code == 2
    return path


def rewrite(path: Path, change: Callable[[Members], None], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def with_head(change: Callable[[Any], None]) -> Callable[[Members], None]:
    def changed(members: Members) -> None:
        head = orjson.loads(members["plan.json"])
        change(head)
        members["plan.json"] = orjson.dumps(head, option=orjson.OPT_SORT_KEYS)

    return changed


def with_an_administrator_more(head: Any) -> None:
    administrators = head["customers"][0]["settings"]["customer"]["administrators"]
    administrators["mallory"] = {**administrators["ada"], "username": "mallory"}


def with_another_account(members: Members) -> None:
    """The row says the same person and means another."""
    frame = pl.read_ipc(members["0/roster/user.arrow"]).with_columns(pl.col("live_id") + 1)
    buffer = io.BytesIO()
    frame.write_ipc(buffer, compression="lz4")
    members["0/roster/user.arrow"] = buffer.getvalue()


def with_a_new_order(members: Members) -> None:
    members["plan.json"] = members.pop("plan.json")


ALTERATIONS: dict[str, Callable[[Members], None]] = {
    "another account": with_another_account,
    "another administrator": with_head(with_an_administrator_more),
    "another time": with_head(lambda head: head.update(created_at="2020-01-01T00:00:00Z")),
    "no seal": lambda members: members.update(seal=b""),
    "a seal that is gone": lambda members: members.pop("seal") and None,
    "a member more": lambda members: members.update({"0/roster/more.arrow": b""}),
    "a member less": lambda members: members.pop("0/snapshot/users.arrow") and None,
    "another order": with_a_new_order,
}


@pytest.mark.parametrize("how", ALTERATIONS)
def test_a_plan_file_that_was_altered_is_refused(project: Project, saved: Path, how: str) -> None:
    rewrite(saved, ALTERATIONS[how])

    applied = project.run("apply", saved)
    assert applied.code == 1
    assert "[bad-plan-file]" in applied.err
    assert "was changed after it was created" in applied.err
    assert project.ask("select count(*) from accounts where tombstoned_at is not null") == [(0,)]
    assert project.ask("select name from customers") == [("Springfield District",)]
    assert project.run("show", saved).code == 1


def test_plan_file_rewritten_unchanged_still_fits(project: Project, saved: Path) -> None:
    rewrite(saved, lambda members: None)

    assert project.run("apply", saved).code == 0
    assert project.ask("select name from customers") == [("New Name",)]


def test_plan_file_of_another_store_is_refused_as_such(project: Project, saved: Path) -> None:
    other = f"sqlite:///{project.folder / 'elsewhere' / 'other.db'}"
    (project.folder / "elsewhere").mkdir()
    open_store(other, ENVIRONMENT)

    for verb in ("apply", "show"):
        told = project.run(verb, saved, "--store", other)
        assert told.code == 1, verb
        assert "[other-store]" in told.err, "the signature is not checked with another key"


def test_a_plan_file_under_another_key_is_refused(project: Project, saved: Path) -> None:
    with zipfile.ZipFile(saved) as archive:
        seal = archive.read("seal")
    rewrite(saved, lambda members: members.update(seal=seal[::-1]))
    assert "signature does not match" in project.run("apply", saved).err


def test_a_plan_file_with_other_columns_is_refused(project: Project, saved: Path) -> None:
    """As a version with another schema of change frames would write it."""
    store = open_workspace(Location(project.folder / "customers", store=project.store_url)).store
    plan = read_plan(saved, store)
    (customer,) = plan.customers
    roster = {**customer.roster, Kind.USER: customer.roster[Kind.USER].drop("limits")}
    write_plan(replace(plan, customers=(replace(customer, roster=roster),)), saved, store.key)

    told = project.run("apply", saved)
    assert (told.code, "the changes of users have no column limits" in told.err) == (1, True)


@pytest.mark.parametrize("how", ["cut", "compressed", "text"])
def test_invalid_plan_file_is_reported_as_such(project: Project, saved: Path, how: str) -> None:
    if how == "compressed":
        rewrite(saved, lambda members: None, zipfile.ZIP_DEFLATED)
    elif how == "cut":
        saved.write_bytes(saved.read_bytes()[:-2000])
    else:
        shutil.copy(project.folder / "reconciler.yaml", saved)

    told = project.run("apply", saved)
    assert (told.code, "it is not a plan file, or it is incomplete" in told.err) == (1, True)


def test_configuration_differing_from_the_plans_is_never_kept(project: Project, saved: Path) -> None:
    workspace = open_workspace(Location(project.folder / "customers", store=project.store_url))
    plan = make_plan(workspace, PlanRequest(("springfield",)))
    (customer,) = plan.customers
    assert customer.settings is not None
    document = {**customer.settings["customer"], "name": "Another"}  # type: ignore[dict-item]
    altered = replace(plan, customers=(replace(customer, settings={**customer.settings, "customer": document}),))

    with pytest.raises(Refusal, match="altered-plan"):
        apply_plan(workspace, altered)
    assert project.ask("select name from customers") == [("Springfield District",)]
    (applied,) = apply_plan(workspace, plan)
    assert applied.has_written
