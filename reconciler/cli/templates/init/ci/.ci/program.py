"""Runs the reconciler on files that are laid out as data, and reads what it prints."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forge

DONE, ERROR, CHANGES, HELD, STALE, PARTLY, INVALID = 0, 1, 2, 3, 4, 5, 65
#: exit codes of a plan that could be made, or says what does not validate
PLAN_CODES = {DONE, CHANGES, HELD, INVALID}

#: What the reconciler has no use for: these open the forge, not the store.
TOKENS = ("GH_TOKEN", "GITHUB_TOKEN", "TEAMS_TOKEN", "GITLAB_API_TOKEN", "CI_JOB_TOKEN", "RECONCILER_SECRETS")


@dataclass(frozen=True)
class ProgramResult:
    """code: the exit code, as `reconciler --help` lists them."""

    code: int
    out: str
    err: str

    @property
    def plan(self) -> dict[str, Any]:
        """The JSON plan; one without customers where the files could not be compared at all."""
        return json.loads(self.out) if self.out.strip() else {"plan_id": None, "summary": {}, "customers": []}


def run_reconciler(folder: Path, *arguments: str, secrets: bool = False) -> ProgramResult:
    """One call in the folder that holds reconciler.yaml and customers/. secrets: with the customers' own, which only an
    apply needs.

    The console script, never `python -m`: that one would import what stands in the folder. Raises SystemExit where the
    store is not named by this job: reconciler.yaml of a proposal must not choose it.
    """
    for name in ("RECONCILER_STORE", "RECONCILER_KEY"):
        if not os.environ.get(name):
            raise SystemExit(f"error: {name} is not set for this job; README.md says where it belongs")
    variables = {name: value for name, value in os.environ.items() if name not in TOKENS}
    if secrets:
        variables |= json.loads(os.environ.get("RECONCILER_SECRETS") or "{}")
    command = ["reconciler", *arguments]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    forge.log(done.stderr)
    return ProgramResult(done.returncode, done.stdout, done.stderr)


def list_hold_ids(plan: dict[str, Any]) -> list[str]:
    """The ids of what the plan holds back."""
    return sorted(each["hold"]["id"] for each in plan["customers"] if each["hold"])
