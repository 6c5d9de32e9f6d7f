"""`make bench`: plan and apply of a large made-up roster on SQLite, against the bare work under them.

100,000 users, 40,000 classes and 800,000 enrollments with random ids. Each figure is the best of a few rounds, taken
in this process after everything was imported; the start of the interpreter and peak memory are taken apart.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import adbc_driver_sqlite.dbapi as sqlite
import polars as pl

from benchmarks import roster
from reconciler.model.kind import ROSTER_KINDS
from reconciler.model.plan import Plan
from reconciler.operations.apply.apply import CustomerApplyResult, apply_plan
from reconciler.operations.apply.plan_file import read_plan, write_plan
from reconciler.operations.location import Location
from reconciler.operations.plan import roster as rosters
from reconciler.operations.plan.plan import make_plan
from reconciler.operations.plan.request import PlanRequest, RosterChoice
from reconciler.operations.workspace import Workspace, open_workspace
from reconciler.planning.decision import roster_decision as planned_roster

PLACE = Path(".bench")
USERS, CLASSES, ENROLLMENTS = 100_000, 40_000, 800_000
ROUNDS = 7
PLAN_BOUND, MEMORY_BOUND, APPLY_BOUND, VERSION_BOUND, RESTRAINT_BOUND = 3.5, 1536, 8.0, 0.3, 0.2
MEMBERS = ("orgs.csv", "users.csv", "classes.csv", "enrollments.csv")

CUSTOMER = """\
kind: customer
id: {name}
name: {name}
administrators:
  - {{given_name: Ada, family_name: Byron, email: ada@{name}.example, username: ada, role: admin}}
address: {{street: [1 Main Street], city: Town, region: IL, postal_code: "60601", country: US}}
agreements: {{privacy_policy: 2026-08-01, terms_of_service: 2026-08-01}}
rostering:
  type: oneroster
  client_partner_id: org-{name}
  match_with: identifier
  sync: {{type: zip}}
"""


def measure_seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure_best(rounds: int, *works: Callable[[], object]) -> list[float]:
    """Seconds of the quickest round of each; they take turns, so that a busy moment of the machine meets all."""
    taken = [[measure_seconds(work) for work in works] for _ in range(rounds)]
    return [min(of_one) for of_one in zip(*taken, strict=True)]


def unzip_and_parse(bundle: Path) -> None:
    """The least that anybody who reads this bundle has to do."""
    with zipfile.ZipFile(bundle) as archive:
        for member in MEMBERS:
            pl.read_csv(io.BytesIO(archive.read(member)), infer_schema=False)


def run_bare_ingest(frames: dict[str, pl.DataFrame], place: Path) -> None:
    """The same frames into new tables of an empty file: no index, no key, no check."""
    place.unlink(missing_ok=True)
    with sqlite.connect(str(place)) as connection, connection.cursor() as cursor:
        for name, frame in frames.items():
            cursor.adbc_ingest(name, frame.to_arrow(), mode="create")
        connection.commit()


def create_bundles() -> dict[str, Path]:
    shutil.rmtree(PLACE, ignore_errors=True)
    bundles = {}
    for seed, name in enumerate(("alpha", "beta"), start=1):
        folder = PLACE / "customers" / name
        folder.mkdir(parents=True)
        (folder / "customer.yaml").write_text(CUSTOMER.format(name=name), encoding="utf-8")
        bundles[name] = PLACE / f"{name}.zip"
        roster.write_roster(bundles[name], USERS, CLASSES, ENROLLMENTS, seed, district=f"org-{name}")
    return bundles


def print_figure(text: str, ratio: float, bound: float, unit: str = "x") -> bool:
    holds = ratio <= bound
    print(f"{text:<66} {ratio:8.2f}{unit}   at most {bound:g}{unit}   {'ok' if holds else 'OVER'}", flush=True)
    return holds


def measure_child_memory(arguments: list[str]) -> int:
    """Peak resident memory of one command, in MiB."""
    script = (
        "import resource, subprocess, sys, json\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)\n"
        "sys.stderr.write(done.stderr)\n"
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n"
        "print(json.dumps([done.returncode, peak // 1024]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    code, peak = json.loads(done.stdout)
    if code != 0:
        raise SystemExit(f"{' '.join(arguments)} exited {code}\n{done.stderr}")
    return int(peak)


def write_later_bundle(bundle: Path, path: Path, step: int = 100) -> Path:
    """The same roster without every hundredth person and their enrollments, and with another e-mail for as many."""
    with zipfile.ZipFile(bundle) as archive, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        users = pl.read_csv(io.BytesIO(archive.read("users.csv")), infer_schema=False)
        place = pl.int_range(pl.len())
        gone = users.filter(place % step == 0)["sourcedId"]
        other = pl.when(place % step == 1).then(pl.lit("x") + pl.col("email")).otherwise("email")
        later = users.with_columns(other.alias("email")).filter(~pl.col("sourcedId").is_in(gone.implode()))
        enrollments = pl.read_csv(io.BytesIO(archive.read("enrollments.csv")), infer_schema=False)
        left = enrollments.filter(~pl.col("userSourcedId").is_in(gone.implode()))
        for name in archive.namelist():
            changed = {"users.csv": later, "enrollments.csv": left}.get(name)
            out.writestr(name, archive.read(name) if changed is None else changed.write_csv())
    return path


#: Everything that gates and limits ask and do in a plan, where it is called.
LIMIT_FUNCTIONS = (
    (rosters, "check_gates"),
    (rosters, "build_limit_rules"),
    (rosters, "build_gate_exceptions"),
    (rosters, "_read_last_roster"),
    (planned_roster, "hold_changes"),
    (rosters.store_read, "read_limit_uses"),
)


def measure_limits_share(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Seconds within gates and limits, over all the rest of the plan; the smallest share of a few rounds."""
    inside = 0.0

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal inside
            start = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                inside += time.perf_counter() - start

        return call

    shares = []
    with ExitStack() as patched:
        for place, name in LIMIT_FUNCTIONS:
            patched.enter_context(mock.patch.object(place, name, timed(getattr(place, name))))
        for _ in range(rounds):
            inside = 0.0
            whole = measure_seconds(work)
            shares.append(inside / (whole - inside))
    return min(shares)


def main() -> int:
    command = str(Path(sys.executable).with_name("reconciler"))
    print(
        f"{USERS:,} users, {CLASSES:,} classes, {ENROLLMENTS:,} enrollments, random ids, SQLite, {os.cpu_count()} cores"
    )
    bundles = create_bundles()
    store = f"sqlite:///{PLACE / 'store.db'}"
    customers = PLACE / "customers"

    def workspace() -> Workspace:
        return open_workspace(Location(customers, store=store))

    def planned(name: str) -> Plan:
        return make_plan(workspace(), PlanRequest((name,), bundles[name], RosterChoice.FRESH))

    apply_plan(workspace(), planned("alpha"))
    saved = PLACE / "beta.plan"
    first = planned("beta")
    write_plan(first, saved, workspace().store.key)
    rows = first.customers[0].roster
    frames = {
        kind.plural: rows[kind].select(pl.exclude("^before_.*$", "^impact_.*$", "held", "manager", "former_key"))
        for kind in ROSTER_KINDS
    }
    del first, rows
    (ingest,) = measure_best(3, partial(run_bare_ingest, frames, PLACE / "bare.db"))
    del frames
    results: list[CustomerApplyResult] = []

    def apply_saved() -> None:
        here = workspace()
        results.extend(apply_plan(here, read_plan(saved, here.store)))

    applying = measure_seconds(apply_saved)
    if not all(result.has_written for result in results):
        raise SystemExit(f"the plan was not applied: {results}")
    parse, planning = measure_best(ROUNDS, partial(unzip_and_parse, bundles["beta"]), partial(planned, "beta"))
    outcome = planned("beta").customers[0].outcome
    if outcome != "unchanged":
        raise SystemExit(f"the second plan is not empty: {outcome}")
    later = write_later_bundle(bundles["beta"], PLACE / "later.zip")
    quiet = measure_limits_share(partial(planned, "beta"))
    busy = measure_limits_share(
        lambda: make_plan(workspace(), PlanRequest(("beta",), later, RosterChoice.FRESH)), rounds=3
    )
    peak = measure_child_memory(
        [command, "plan", "beta", "--dir", str(customers), "--store", store, "--zip", str(bundles["beta"])]
    )
    (version,) = measure_best(5, lambda: subprocess.run([command, "--version"], check=True, stdout=subprocess.DEVNULL))
    print(
        f"unzip and parse {parse:.2f} s · plan {planning:.2f} s · bare ingest {ingest:.2f} s · apply {applying:.2f} s"
    )
    held = [
        print_figure("plan without changes / unzip and polars parse", planning / parse, PLAN_BOUND),
        print_figure(
            "apply of a saved plan beside another such customer / bare ingest", applying / ingest, APPLY_BOUND
        ),
        print_figure("gates and limits / the rest of a plan without changes", quiet, RESTRAINT_BOUND),
        print_figure("gates and limits / the rest of a plan with 1 % leavers and 1 % changes", busy, RESTRAINT_BOUND),
        print_figure("peak memory of that plan", peak, MEMORY_BOUND, " MiB"),
        print_figure("reconciler --version", version, VERSION_BOUND, " s"),
    ]
    shutil.rmtree(PLACE, ignore_errors=True)
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
