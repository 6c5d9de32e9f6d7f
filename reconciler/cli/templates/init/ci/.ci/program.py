"""Run reconciler on files that were checked out as data, and parse its output."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forge

DONE, ERROR, CHANGES, HELD, STALE, PARTLY, INVALID = 0, 1, 2, 3, 4, 5, 65
#: exit codes of a plan that was made, or that lists validation errors
PLAN_CODES = {DONE, CHANGES, HELD, INVALID}

#: variables that reconciler does not need: they give access to GitHub or GitLab, not to the store
TOKENS = ("GH_TOKEN", "GITHUB_TOKEN", "TEAMS_TOKEN", "GITLAB_API_TOKEN", "CI_JOB_TOKEN", "RECONCILER_SECRETS")


@dataclass(frozen=True)
class ProgramResult:
    #: exit code, as listed by `reconciler --help`
    code: int
    out: str
    err: str

    @property
    def plan(self) -> dict[str, Any]:
        """The JSON plan; one without customers if the files could not be compared."""
        return json.loads(self.out) if self.out.strip() else {"plan_id": None, "summary": {}, "customers": []}


def run_reconciler(folder: Path, *arguments: str, secrets: bool = False) -> ProgramResult:
    """Run reconciler in the folder with reconciler.yaml and customers/.

    secrets: pass the customers' secrets, which only apply needs. Runs the console script, never `python -m`, which
    would import files of the folder. Raises SystemExit unless the job's variables name the store: the reconciler.yaml
    of a change under review must not choose it.
    """
    for name in ("RECONCILER_STORE", "RECONCILER_KEY"):
        if not os.environ.get(name):
            raise SystemExit(f"error: {name} is not set for this job; see One-time setup in README.md")
    variables = {name: value for name, value in os.environ.items() if name not in TOKENS}
    if secrets:
        variables |= json.loads(os.environ.get("RECONCILER_SECRETS") or "{}")
    command = ["reconciler", *arguments]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    forge.write_job_log(done.stderr)
    return ProgramResult(done.returncode, done.stdout, done.stderr)


def list_hold_ids(plan: dict[str, Any]) -> list[str]:
    """Return the IDs of the plan's holds, sorted."""
    return sorted(each["hold"]["id"] for each in plan["customers"] if each["hold"])
