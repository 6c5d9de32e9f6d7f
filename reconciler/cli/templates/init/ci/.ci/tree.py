"""Lays out commits as plain files beside the checkout, so that a proposal is read and never run."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

#: Nothing that a commit says of its own files is believed: no filters, no conversions, no merge drivers.
ATTRIBUTES = "* -text -eol -ident -filter -working-tree-encoding merge\n"

SAFE_GIT_OPTIONS = (
    *("-c", "core.symlinks=false"),  # a link becomes a small file with the name of its target
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "submodule.recurse=false"),
    *("-c", "protocol.ext.allow=never"),
)
ISOLATED_GIT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_LFS_SKIP_SMUDGE": "1"}
COMMIT_IDENTITY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "reconciler"), ("EMAIL", "reconciler@localhost"), ("DATE", "2000-01-01T00:00:00Z"))
}


class ConflictError(Exception):
    """The proposal does not merge into its base by itself."""


def run_git(*arguments: str, **variables: str) -> str:
    """What git prints, in the trusted checkout. Raises CalledProcessError; git's own words are on stderr by then."""
    command = ["git", "-c", "safe.directory=*", *SAFE_GIT_OPTIONS, *arguments]
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", **variables}
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def create_merge_commit(base: str, head: str) -> str:
    """The commit that merging would make, without touching any branch. Raises ConflictError."""
    _override_attributes()
    try:
        tree = run_git("merge-tree", "--write-tree", "--no-messages", base, head, **ISOLATED_GIT).splitlines()[0]
    except subprocess.CalledProcessError as problem:
        if problem.returncode == 1:
            raise ConflictError(f"{head} does not merge into {base} by itself") from None
        raise
    return run_git("commit-tree", tree, "-p", base, "-p", head, "-m", "as merged", **ISOLATED_GIT, **COMMIT_IDENTITY)


def lay_out(commit: str) -> Path:
    """A folder with the commit's files, which git still knows as a checkout of it."""
    _override_attributes()
    folder = Path(tempfile.mkdtemp(prefix="laid-out-")) / "files"
    run_git("worktree", "add", "--quiet", "--detach", "--no-checkout", str(folder), commit, **ISOLATED_GIT)
    run_git("-C", str(folder), "reset", "--quiet", "--hard", **ISOLATED_GIT)
    return folder


def list_changed_files(base: str, commit: str) -> list[str]:
    """The files that differ, by name; of a renamed one both names."""
    names = run_git("diff", "--name-only", "--no-renames", "-z", base, commit, **ISOLATED_GIT)
    return [name for name in names.split("\0") if name]


def _override_attributes() -> None:
    """In the one file that wins over every .gitattributes."""
    place = Path(run_git("rev-parse", "--git-common-dir")) / "info" / "attributes"
    place.parent.mkdir(exist_ok=True)
    place.write_text(ATTRIBUTES, encoding="utf-8")
