"""On whose word a run is: the person whom the CI system names, with the address of its job, else the system's user."""

from __future__ import annotations

import getpass
import os
import re
import socket
import subprocess
import unicodedata
from collections.abc import Mapping
from pathlib import Path

#: Names a person where no other variable does, and wins over them: for any CI system, and for people behind a bot.
ACTOR_VARIABLE = "RECONCILER_ACTOR"
#: The longest name and the longest address that go on record, in characters.
NAME_LENGTH = 100
ADDRESS_LENGTH = 300

#: What breaks a line, hides, or turns the direction of what follows.
_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def find_actor(variables: Mapping[str, str] = os.environ) -> str:
    """Who does it, in one line: `ada (https://ci.example/jobs/7)` in CI, `ada@machine` elsewhere.

    GitHub's and GitLab's variables are as their manuals list them; of a GitHub run that somebody started again, both
    people are named.
    """
    name = _find_actor_name(variables)
    if name is None:
        name = f"{_find_system_user()}@{socket.gethostname()}"
    address = _build_job_url(variables)
    return f"{name} ({address})" if address else name


def find_git_commit(directory: Path, variables: Mapping[str, str] = os.environ) -> str | None:
    """The commit that the files are of; outside a git checkout the one that the CI system names; None where none
    does."""
    try:
        found = subprocess.run(
            ["git", "-C", str(directory), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return _find_ci_commit(variables)
    return (found.stdout.strip() if found.returncode == 0 else "") or _find_ci_commit(variables)


def _find_actor_name(variables: Mapping[str, str]) -> str | None:
    given = [
        _clean_text(variables.get(each, ""), NAME_LENGTH)
        for each in (ACTOR_VARIABLE, "GITHUB_ACTOR", "GITLAB_USER_LOGIN")
    ]
    own, github, gitlab = given
    again = _clean_text(variables.get("GITHUB_TRIGGERING_ACTOR", ""), NAME_LENGTH)
    if not own and github and again and again != github:
        return f"{github}, started again by {again}"
    return own or github or gitlab or None


def _build_job_url(variables: Mapping[str, str]) -> str | None:
    """Of the CI system's job; None where it is none that a browser opens."""
    server, repository, run = (variables.get(f"GITHUB_{each}", "") for each in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    given = f"{server}/{repository}/actions/runs/{run}" if server and repository and run else ""
    address = given or variables.get("CI_JOB_URL", "")
    fits = len(address) <= ADDRESS_LENGTH and re.fullmatch(r"https?://[!-~]+", address)
    return address if fits else None


def _find_ci_commit(variables: Mapping[str, str]) -> str | None:
    given = (variables.get(each, "") for each in ("GITHUB_SHA", "CI_COMMIT_SHA"))
    return next((each for each in given if _COMMIT.fullmatch(each)), None)


def _clean_text(text: str, length: int) -> str:
    """Without what could break or turn a line, at most so many characters."""
    shown = "".join(" " if unicodedata.category(each) in _HARMFUL else each for each in text[: 10 * length])
    shown = " ".join(shown.split())
    return shown if len(shown) <= length else shown[: length - 1] + "…"


def _find_system_user() -> str:
    try:
        return _clean_text(getpass.getuser(), NAME_LENGTH)
    except (OSError, KeyError):  # a container's user that has no name
        return f"uid {os.getuid()}"
