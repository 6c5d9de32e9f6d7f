"""The files of a customers repository as a commit has them, and which of those on disk are others.

It reads what git has: names from one listing, contents from one process that answers for each. Nothing of the
checkout is run: no filter, no external diff, no hook.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from reconciler.config.load.layout import Document, Entry, relative
from reconciler.model.diagnostic import Diagnostic, Refusal, Span, error
from reconciler.model.plan import Base

_LINK = "120000"
_FILES = ("100644", "100755", _LINK)
_TIMEOUT = 120


@dataclass(frozen=True)
class Differing:
    """Files that are not on disk as a commit has them: maybe with some that are the same, never without one that is
    not. paths: relative to the folder of customers. names: whether a file is there that was not, is there no more, or
    is of another kind."""

    paths: frozenset[str]
    names: bool


class Revision:
    """The `Files` of one commit. Paths are those of the checkout: `directory` and what is below or beside it."""

    def __init__(self, directory: Path, ref: str) -> None:
        """Raises Refusal where there is no git, no checkout around `directory`, or no such commit."""
        if not directory.is_dir():
            raise Refusal([_problem("no-folder", f"there is no folder {directory}", directory, "name it with --dir")])
        self._directory = directory
        self._whole = os.path.realpath(directory)
        self._top = _text(_git(directory, "rev-parse", "--show-toplevel", about="find the checkout")).rstrip("\n")
        # Both sides of the comparison see one checkout, also where a folder above it is only linked.
        self._prefix = os.path.relpath(self._whole, os.path.realpath(self._top))
        self.base = Base(ref, _commit(directory, ref))
        self._given = os.path.join(str(directory), "")
        self._blobs = self._listed()
        self._reader: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Revision:
        return self

    def __exit__(self, *_: object) -> None:
        if self._reader is not None:
            self._reader.communicate()
            self._reader = None

    def has(self, path: str) -> bool:
        return self._key(path) in self._blobs

    def entries(self, folder: str) -> list[Entry]:
        found = self._folders.get(self._key(folder))
        if found is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
        return [Entry(name, os.path.join(folder, name), is_folder) for name, is_folder in sorted(found.items())]

    def read(self, path: str, most: int, *, follow: bool = False) -> bytes:
        mode, blob = self._blobs.get(self._key(path), ("", ""))
        if not blob:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if mode == _LINK:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        return self._content(blob)[:most]

    def blob(self, file: Document) -> str | None:
        """The id of a file's content; None where it has none, or is only linked."""
        path = file.path
        # Most are called as they were given, and then the listing has them without another look.
        known = self._blobs.get(path[len(self._given) :]) if path.startswith(self._given) else None
        mode, blob = known or self._blobs.get(self._key(path), ("", ""))
        return blob if blob and mode != _LINK else None

    def differing(self) -> Differing:
        paths = ["--", *self._pathspecs()]
        options = ("--name-status", "--no-renames", "--no-ext-diff", "--ignore-submodules=all", "-z")
        changed = _git(self._directory, "-C", self._top, "diff-index", *options, self.base.commit, *paths)
        # what git does not know yet, ignored files included: they are read like all others
        listed = _git(self._directory, "-C", self._top, "ls-files", "-z", "--others", *paths)
        words, unknown = (_text(each).split("\0")[:-1] for each in (changed, listed))
        found = frozenset(relative(name, self._prefix) for name in (*words[1::2], *unknown))
        return Differing(found, bool(unknown) or any(status != "M" for status in words[::2]))

    def _pathspecs(self) -> tuple[str, ...]:
        settings = os.path.normpath(os.path.join(self._prefix, "..", "reconciler.yaml"))
        beside = () if settings.startswith("..") else (f":(literal){settings}",)
        return (f":(literal){self._prefix}" if self._prefix != "." else ".", *beside)

    def _listed(self) -> dict[str, tuple[str, str]]:
        """Mode and blob of each file by its path relative to the folder of customers."""
        paths = ["--", *(each.removeprefix(":(literal)") for each in self._pathspecs())]
        listing = _git(self._directory, "-C", self._top, "ls-tree", "-r", "-z", "--full-tree", self.base.commit, *paths)
        blobs = {}
        for line in _text(listing).split("\0")[:-1]:
            facts, name = line.split("\t", 1)
            mode, _, blob = facts.split(" ")
            if mode in _FILES:
                blobs[relative(name, self._prefix)] = mode, blob
        return blobs

    @cached_property
    def _folders(self) -> dict[str, dict[str, bool]]:
        """What stands in each folder, and whether that is a folder."""
        folders: dict[str, dict[str, bool]] = {".": {}}
        for path in self._blobs:
            for folder, entry, is_folder in _above(path):
                known = folders.setdefault(folder, {})
                if entry in known:
                    break
                known[entry] = is_folder
        return folders

    def _key(self, path: str) -> str:
        """Relative to the folder of customers, called as it was given or as it is without links."""
        given = str(self._directory)
        start = given if path == given or path.startswith(given + os.sep) else self._whole
        return relative(path, start)

    def _content(self, blob: str) -> bytes:
        if self._reader is None:
            self._reader = subprocess.Popen(
                ["git", "-C", self._top, "cat-file", "--batch"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
            )
        reader = self._reader
        assert reader.stdin is not None
        assert reader.stdout is not None
        reader.stdin.write(f"{blob}\n".encode())
        reader.stdin.flush()
        answer = reader.stdout.readline().split()
        if len(answer) != 3:
            raise OSError(errno.EIO, "git cannot read it", blob)
        content = reader.stdout.read(int(answer[2]))
        reader.stdout.read(1)
        return content


def _above(path: str) -> Iterator[tuple[str, str, bool]]:
    """(folder, entry, whether that is a folder) for a file and every folder above it."""
    is_folder = False
    while path not in ("", "."):
        folder, name = os.path.split(path)
        yield folder or ".", name, is_folder
        path, is_folder = folder, True


def _commit(directory: Path, ref: str) -> str:
    found = _run(directory, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if found.returncode == 0:
        return found.stdout.decode().strip()
    shallow = _run(directory, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true"
    hint = (
        "this is a shallow clone: fetch that commit as well (git fetch --depth 1 origin REF), and name it by its id"
        if shallow
        else "name a branch, tag or commit that this checkout has; one of a remote is called origin/NAME"
    )
    raise Refusal([_problem("unknown-base", f"git knows no commit {ref!r} here", directory, hint)])


def _git(directory: Path, *words: str, about: str = "compare with the base") -> bytes:
    done = _run(directory, *words)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"git exits with {done.returncode}"]
        raise Refusal(
            [
                _problem(
                    "git-failed",
                    f"git cannot {about}: {said[0].removeprefix('fatal: ')}",
                    directory,
                    "--base needs a git checkout around the customers",
                )
            ]
        )
    return done.stdout


def _run(directory: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", "-C", str(directory), *words],
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
            env=_environment(),
        )
    except FileNotFoundError as missing:
        raise Refusal([_problem("no-git", "there is no git on this machine", directory, "install git")]) from missing
    except subprocess.TimeoutExpired as slow:
        raise Refusal(
            [_problem("git-failed", f"git gave no answer within {_TIMEOUT} s", directory, "try again")]
        ) from slow


def _environment() -> dict[str, str]:
    return {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def _text(listing: bytes) -> str:
    return os.fsdecode(listing)


def _problem(code: str, message: str, directory: Path, hint: str) -> Diagnostic:
    return error(code, message, Span(str(directory)), hint)
