"""The program's own door: `plan` and `apply` called as from a shell, in this process, for the sake of speed."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.year.platform import CUSTOMER
from reconciler.cli.main import run
from reconciler.model.gate import GATES

PLAN_FILE = "today.plan"


class CommandFailure(Exception):  # noqa: N818 - it is what the year reports, not a defect of it
    """A command ended in a way that no day of the year has in store."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class PlanResult:
    """One customer's part of a plan's JSON, with the exit code of `--detailed-exitcode`."""

    code: int
    document: dict[str, Any]

    @property
    def is_refused(self) -> bool:
        return bool(self.document["outcome"] == "refused")

    @property
    def hold(self) -> str | None:
        hold = self.document["hold"]
        return hold["id"] if hold else None

    def iter_changes(self, kind: str, action: str) -> Iterator[dict[str, Any]]:
        return (each for each in self.document["changes"] if each["kind"] == kind and each["action"] == action)

    def iter_held_changes(self) -> Iterator[dict[str, Any]]:
        return (each for each in self.document["changes"] if each["held"])

    def list_codes(self) -> list[str]:
        """What objected: gates, whatever refused the source, and limits that are exceeded."""
        found = [
            each["code"]
            for each in self.document["diagnostics"]
            if each["code"] in GATES or (self.is_refused and each["severity"] == "error")
        ]
        found += [f"{each['kind']}-{each['action']}-limit" for each in self.document["limits"] if each["exceeded"]]
        return list(dict.fromkeys(found))


class Program:
    """folder: the customers repository, which is the working directory of every call."""

    def __init__(self, folder: Path, store: str) -> None:
        self._folder, self._store = folder, store

    def plan_bundle(self, bundle: Path) -> PlanResult:
        """With everything listed. Raises Unexpected where it does not end as computed."""
        said = self.run_command(
            *("plan", CUSTOMER, "--zip", bundle.name, "--out", PLAN_FILE, "--format", "json"),
            *("--rows", "100000", "--people", "full", "--detailed-exitcode"),
        )
        if said.code not in (0, 2, 3):
            raise CommandFailure(f"plan ended with {said.code}: {said.err.strip()}")
        return PlanResult(said.code, next(each for each in json.loads(said.out)["customers"] if each["id"] == CUSTOMER))

    def apply_plan(self, *approvals: str) -> CommandResult:
        """Carries out the plan that was made last."""
        return self.run_command(
            "apply", f"./{PLAN_FILE}", *(word for hold in approvals for word in ("--approve", hold))
        )

    def run_command(self, verb: str, *arguments: str) -> CommandResult:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.chdir(self._folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run([verb, "--store", self._store, *arguments])
        return CommandResult(int(code), out.getvalue(), err.getvalue())
