"""Plans of 10,000 customers (40,000 documents) beside octoDNS, beside a commit, and of a tenth as many.

Every measured run is a process of its own, start and imports included, as a person or a CI job has it. The runs that
are compared take turns, and of each the quickest counts. The store is filled by a real apply, which is not measured.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import districts, zones

PLACE = Path(".bench") / "customers"
MANY, FEW = 10_000, 1_000
ZONES, RECORDS = 2_000, 20
CHANGED_SHARE = 0.01
EDITED_FILES = 10
ROUNDS = 3
SEED = 20_26
AUTHOR = ("-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "commit.gpgsign=false")


@dataclass(frozen=True)
class Figure:
    """ratio: what was measured. at_least: whether `bound` is to be reached, else to be kept below."""

    text: str
    ratio: float
    bound: float
    unit: str = "x"
    at_least: bool = False

    @property
    def holds(self) -> bool:
        return self.ratio >= self.bound if self.at_least else self.ratio <= self.bound


class Checkout:
    """A customers repository with as many districts, applied and committed."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.folder = PLACE / str(count)
        self.lines = districts.write_customers(self.folder / "customers", count, SEED)
        self._edits = 0

    def fill_store(self) -> None:
        """Applies it all to a new store, and commits it."""
        (self.folder / ".gitignore").write_text(".reconciler/\ninvitations-*\n", encoding="utf-8")
        self.run_git("init", "--quiet")
        self.run_git("add", ".")
        self.run_git(*AUTHOR, "commit", "--quiet", "--message", "all")
        self.run_reconciler("apply", "--yes")
        for each in self.folder.glob("invitations-*"):
            each.unlink()

    def run_git(self, *words: str) -> None:
        subprocess.run(["git", *words], cwd=self.folder, check=True)

    def edit_customers(self, files: int) -> None:
        self._edits += 1
        if districts.edit_customers(self.folder / "customers", self.count, files, SEED + self._edits) != files:
            raise SystemExit("not as many files were edited as were to be")

    def restore_committed(self) -> None:
        self.run_git("checkout", "--quiet", "--", "customers")

    def run_reconciler(self, *words: str) -> tuple[float, int]:
        """Seconds of the whole process, and its peak memory in MiB."""
        return _measure_command(
            [sys.executable, "-m", "reconciler", *words], self.folder, {"PYTHONPATH": str(Path.cwd())}
        )


def _measure_command(words: list[str], folder: Path, variables: Mapping[str, str]) -> tuple[float, int]:
    script = (
        "import json, resource, subprocess, sys, time\n"
        "start = time.perf_counter()\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)\n"
        "taken = time.perf_counter() - start\n"
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024\n"
        "print(json.dumps([done.returncode, done.stderr[-2000:], taken, peak]))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=folder,
        # Installed programs have their bytecode: octoDNS by pip, ours from its first run on.
        env={**{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    code, said, taken, peak = json.loads(answer.stdout)
    if code != 0:
        raise SystemExit(f"{' '.join(words)} exited {code}\n{said}")
    return float(taken), int(peak)


def main() -> int:
    shutil.rmtree(PLACE, ignore_errors=True)
    many, few = Checkout(MANY), Checkout(FEW)
    print(
        f"{MANY:,} customers with {districts.COMMUNITIES} communities each, {many.lines:,} lines of YAML; "
        f"octoDNS: {ZONES:,} zones of {RECORDS} records on both sides",
        flush=True,
    )
    start = time.perf_counter()
    for each in (few, many):
        each.fill_store()
    print(f"applied {MANY + FEW:,} customers in {time.perf_counter() - start:.0f} s", flush=True)
    configuration, zone_lines = zones.write_zones((PLACE / "octodns").absolute(), ZONES, RECORDS, CHANGED_SHARE, SEED)
    octodns = [str(Path(sys.executable).with_name("octodns-sync")), "--config-file", str(configuration)]

    cold, cold_few, base, beside = [], [], [], []
    for _ in range(ROUNDS):
        for each in (many, few):
            each.restore_committed()
            each.edit_customers(round(each.count * CHANGED_SHARE))
        cold.append(many.run_reconciler("plan"))
        beside.append(_measure_command(octodns, PLACE, {}))
        cold_few.append(few.run_reconciler("plan"))
        many.restore_committed()
        many.edit_customers(EDITED_FILES)
        base.append(many.run_reconciler("plan", "--base", "HEAD"))
    taken = {name: min(each[0] for each in runs) for name, runs in _label_runs(cold, cold_few, base, beside).items()}
    peak = max(memory for runs in (cold, base) for _, memory in runs)
    print(" · ".join(f"{name} {seconds:.2f} s" for name, seconds in taken.items()))
    ours, theirs = many.lines / taken["cold"], zone_lines / taken["octoDNS"]
    print(
        f"lines of YAML per second: {ours:,.0f}; octoDNS {theirs:,.0f} of the zones that are wanted, {2 * theirs:,.0f} "
        "with those that stand for what is live"
    )
    figures = (
        Figure("cold plan with 1 % changed: lines per second / octoDNS's", ours / theirs, 10, at_least=True),
        Figure("plan --base with 10 changed files / cold", taken["--base"] / taken["cold"], 1 / 3),
        Figure("time per customer of 10,000 / of 1,000", taken["cold"] / taken["cold of 1,000"] / (MANY / FEW), 1.3),
        Figure("peak memory of all these plans", peak, 1536, " MiB"),
    )
    for figure in figures:
        bound = f"at {'least' if figure.at_least else 'most'} {figure.bound:.4g}{figure.unit}"
        print(f"{figure.text:<66} {figure.ratio:8.2f}{figure.unit}   {bound}   {'ok' if figure.holds else 'MISSED'}")
    shutil.rmtree(PLACE, ignore_errors=True)
    return 0 if all(figure.holds for figure in figures) else 1


def _label_runs(*runs: list[tuple[float, int]]) -> dict[str, list[tuple[float, int]]]:
    return dict(zip(("cold", "cold of 1,000", "--base", "octoDNS"), runs, strict=True))


if __name__ == "__main__":
    sys.exit(main())
