"""Check out commits as plain files next to the checkout, so that a change under review is read and never run."""

import os
import subprocess
import tempfile
from pathlib import Path

#: overrides the attributes of a commit: no filters, no conversions, no merge drivers
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
    """The head and the base have a merge conflict."""


def run_git(*arguments: str, **variables: str) -> str:
    """Run git in the trusted checkout and return its output. Raises CalledProcessError; git has printed to stderr."""
    command = ["git", "-c", "safe.directory=*", *SAFE_GIT_OPTIONS, *arguments]
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", **variables}
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def create_merge_commit(base: str, head: str) -> str:
    """Return the commit that merging would create, without touching any branch. Raises ConflictError."""
    _override_attributes()
    try:
        tree = run_git("merge-tree", "--write-tree", "--no-messages", base, head, **ISOLATED_GIT).splitlines()[0]
    except subprocess.CalledProcessError as problem:
        if problem.returncode == 1:
            raise ConflictError(f"{head} conflicts with {base}") from None
        raise
    return run_git("commit-tree", tree, "-p", base, "-p", head, "-m", "as merged", **ISOLATED_GIT, **COMMIT_IDENTITY)


def lay_out(commit: str) -> Path:
    """Return a new folder with the commit's files, as a worktree of git."""
    _override_attributes()
    folder = Path(tempfile.mkdtemp(prefix="laid-out-")) / "files"
    run_git("worktree", "add", "--quiet", "--detach", "--no-checkout", str(folder), commit, **ISOLATED_GIT)
    run_git("-C", str(folder), "reset", "--quiet", "--hard", **ISOLATED_GIT)
    return folder


def list_changed_files(base: str, commit: str) -> list[str]:
    """Return the names of the files that differ; of a renamed file both names."""
    names = run_git("diff", "--name-only", "--no-renames", "-z", base, commit, **ISOLATED_GIT)
    return [name for name in names.split("\0") if name]


def _override_attributes() -> None:
    """Write ATTRIBUTES to the file that overrides every .gitattributes."""
    place = Path(run_git("rev-parse", "--git-common-dir")) / "info" / "attributes"
    place.parent.mkdir(exist_ok=True)
    place.write_text(ATTRIBUTES, encoding="utf-8")
