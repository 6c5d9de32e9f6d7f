"""Find the actor of a run: the person that the CI system names, with the job's URL, else the system's user."""

import getpass
import os
import re
import socket
import subprocess
import unicodedata
from collections.abc import Mapping
from pathlib import Path

#: Overrides the CI system's variables: for other CI systems, and for people behind a bot.
ACTOR_VARIABLE = "RECONCILER_ACTOR"
#: characters of a name and of a URL that are recorded
NAME_LENGTH = 100
ADDRESS_LENGTH = 300

#: Unicode categories that break a line, are invisible, or reverse the text that follows.
_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def find_actor(variables: Mapping[str, str] = os.environ) -> str:
    """Return the actor in one line: `ada (https://ci.example/jobs/7)` in CI, `ada@machine` elsewhere.

    Reads GitHub's and GitLab's documented variables. For a GitHub run that another person restarted, names both.
    """
    name = _find_actor_name(variables)
    if name is None:
        name = f"{_find_system_user()}@{socket.gethostname()}"
    address = _build_job_url(variables)
    return f"{name} ({address})" if address else name


def find_git_commit(directory: Path, variables: Mapping[str, str] = os.environ) -> str | None:
    """Return the commit of the files, outside a git checkout the one that the CI system names, or None."""
    try:
        result = subprocess.run(
            ["git", "-C", str(directory), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return _find_ci_commit(variables)
    return (result.stdout.strip() if result.returncode == 0 else "") or _find_ci_commit(variables)


def _find_actor_name(variables: Mapping[str, str]) -> str | None:
    own, github, gitlab, restarter = (
        _clean_text(variables.get(each, ""), NAME_LENGTH)
        for each in (ACTOR_VARIABLE, "GITHUB_ACTOR", "GITLAB_USER_LOGIN", "GITHUB_TRIGGERING_ACTOR")
    )
    if not own and github and restarter and restarter != github:
        return f"{github}, restarted by {restarter}"
    return own or github or gitlab or None


def _build_job_url(variables: Mapping[str, str]) -> str | None:
    """Return the URL of the CI job, or None if it is too long or not http(s)."""
    server, repository, run = (variables.get(f"GITHUB_{each}", "") for each in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    github = f"{server}/{repository}/actions/runs/{run}" if server and repository and run else ""
    address = github or variables.get("CI_JOB_URL", "")
    fits = len(address) <= ADDRESS_LENGTH and re.fullmatch(r"https?://[!-~]+", address)
    return address if fits else None


def _find_ci_commit(variables: Mapping[str, str]) -> str | None:
    commits = (variables.get(each, "") for each in ("GITHUB_SHA", "CI_COMMIT_SHA"))
    return next((each for each in commits if _COMMIT.fullmatch(each)), None)


def _clean_text(text: str, length: int) -> str:
    """Replace harmful characters by spaces and shorten to `length` characters."""
    shown = "".join(" " if unicodedata.category(each) in _HARMFUL else each for each in text[: 10 * length])
    shown = " ".join(shown.split())
    return shown if len(shown) <= length else shown[: length - 1] + "…"


def _find_system_user() -> str:
    try:
        return _clean_text(getpass.getuser(), NAME_LENGTH)
    except (OSError, KeyError):  # the user of a container may have no name
        return f"uid {os.getuid()}"
