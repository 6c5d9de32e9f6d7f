"""The same input gives the same bytes for any hash seed, any number of threads and any order of files or rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.customers.project import Project
from tests.support.rosters.bundles import bundle

COMMAND = Path(sys.executable).with_name("reconciler")


def seeded(project: Project, seed: str, *arguments: str | Path, threads: int = 4) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "POLARS_MAX_THREADS": str(threads)}
    done = subprocess.run(
        [COMMAND, "plan", "--store", project.store_url, "--format", "json", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=project.folder,
        check=True,
    )
    return done.stdout


def timeless(text: str) -> str:
    plan = json.loads(text)
    plan["created_at"] = None
    for customer in plan["customers"]:
        if customer["source"]:
            customer["source"]["fetched_at"] = None
    return json.dumps(plan, indent=2)


def communities(project: Project, names: list[str]) -> None:
    for name in names:
        project.write(
            f"customers/springfield/communities/{name}.yaml",
            f"kind: community\nid: {name}\nname: {name}\n"
            "site_license: {seats: 9, starts: 2026-08-01, ends: 2027-07-31}\n",
        )


@pytest.mark.slow
def test_plan_is_the_same_bytes_under_any_hash_seed_and_number_of_threads(project: Project) -> None:
    project.customer()
    project.customer("shelbyville", org=None)
    communities(project, ["b", "a", "c"])
    first = bundle(users=60).zip(project.folder / "one.zip")
    assert project.apply("springfield", "--zip", first).code == 0
    later = bundle(users=60).without_users(["u-0003", "u-0007"]).with_user("u-0011", email="x@example.com")
    path = later.with_user("u-0012", role="wizard").zip(project.folder / "two.zip")

    texts = {
        timeless(seeded(project, seed, "springfield", "--zip", path, threads=threads))
        for seed, threads in (("0", 1), ("1", 4), ("4711", 8))
    }
    assert len(texts) == 1
    assert len({timeless(seeded(project, seed)) for seed in ("2", "3")}) == 1


def test_plan_ignores_the_order_of_files_and_members(project: Project) -> None:
    project.customer()
    communities(project, ["b", "a", "c"])
    straight = bundle(users=40).zip(project.folder / "day.zip")
    first = project.plan("springfield", "--zip", straight)
    for name in ("a", "b", "c"):
        (project.folder / f"customers/springfield/communities/{name}.yaml").unlink()
    communities(project, ["c", "b", "a"])
    with zipfile.ZipFile(straight) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(straight, "w") as archive:
        for name in reversed(content):
            archive.writestr(name, content[name])
    second = project.plan("springfield", "--zip", straight)

    one, two = json.loads(timeless(first.out)), json.loads(timeless(second.out))
    for plan in (one, two):
        plan["customers"][0]["source"]["sha256"] = None
    assert one == two


@pytest.mark.parametrize("people", ["full", "masked", "ids"])
def test_masked_plans_name_nobody(project: Project, people: str) -> None:
    project.customer()
    made = bundle(users=30)
    path = made.with_user("u-0009", role="wizard").zip(project.folder / "day.zip")
    for form in ("text", "json"):
        text = project.run(
            "plan", "springfield", "--zip", path, "--people", people, "--format", form, "--rows", "500"
        ).out
        named = [row["email"] for row in made.tables["users"] if row["email"] in text or row["familyName"] in text]
        assert bool(named) is (people == "full")
