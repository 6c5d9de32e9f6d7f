"""Makes git checkouts of a customers repository."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

IDENTITY = {
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


def git(folder: Path, *words: str) -> str:
    """What git says, without the line's end. Raises where it fails."""
    environment = {**os.environ, **IDENTITY}
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")


def begin(folder: Path) -> None:
    git(folder, "init", "--quiet", "--initial-branch", "main")


def commit(folder: Path, message: str = "a change", *, only: str = "customers") -> str:
    """Everything below `only`, and reconciler.yaml; returns the commit's id."""
    paths = [path for path in (only, "reconciler.yaml") if (folder / path).exists()]
    git(folder, "add", "--all", "--", *paths)
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(folder, "rev-parse", "HEAD")
