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

from reconciler.config.load.layout import ConfigFile, FolderEntry, make_relative_path
from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error
from reconciler.model.plan import GitBase

_LINK = "120000"
_FILES = ("100644", "100755", _LINK)
_TIMEOUT = 120


@dataclass(frozen=True)
class FileDifferences:
    """Files that are not on disk as a commit has them: maybe with some that are the same, never without one that is
    not. paths: relative to the folder of customers. names: whether a file is there that was not, is there no more, or
    is of another kind."""

    paths: frozenset[str]
    names_differ: bool


class GitRevision:
    """The `Files` of one commit. Paths are those of the checkout: `directory` and what is below or beside it."""

    def __init__(self, directory: Path, ref: str) -> None:
        """Raises Refusal where there is no git, no checkout around `directory`, or no such commit."""
        if not directory.is_dir():
            raise Refusal(
                [_build_error("no-folder", f"there is no folder {directory}", directory, "name it with --dir")]
            )
        self._directory = directory
        self._whole = os.path.realpath(directory)
        self._top = _decode_listing(
            _run_git(directory, "rev-parse", "--show-toplevel", about="find the checkout")
        ).rstrip("\n")
        # Both sides of the comparison see one checkout, also where a folder above it is only linked.
        self._prefix = os.path.relpath(self._whole, os.path.realpath(self._top))
        self.base = GitBase(ref, _resolve_commit(directory, ref))
        self._given = os.path.join(str(directory), "")
        self._blobs = self._list_blobs()
        self._reader: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> GitRevision:
        return self

    def __exit__(self, *_: object) -> None:
        if self._reader is not None:
            self._reader.communicate()
            self._reader = None

    def has_file(self, path: str) -> bool:
        return self._make_key(path) in self._blobs

    def list_entries(self, folder: str) -> list[FolderEntry]:
        found = self._folders.get(self._make_key(folder))
        if found is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
        return [FolderEntry(name, os.path.join(folder, name), is_folder) for name, is_folder in sorted(found.items())]

    def read_content(self, path: str, most: int, *, follow: bool = False) -> bytes:
        mode, blob = self._blobs.get(self._make_key(path), ("", ""))
        if not blob:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if mode == _LINK:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        return self._read_blob(blob)[:most]

    def get_blob_id(self, file: ConfigFile) -> str | None:
        """The id of a file's content; None where it has none, or is only linked."""
        path = file.path
        # Most are called as they were given, and then the listing has them without another look.
        known = self._blobs.get(path[len(self._given) :]) if path.startswith(self._given) else None
        mode, blob = known or self._blobs.get(self._make_key(path), ("", ""))
        return blob if blob and mode != _LINK else None

    def find_differences(self) -> FileDifferences:
        paths = ["--", *self._build_pathspecs()]
        options = ("--name-status", "--no-renames", "--no-ext-diff", "--ignore-submodules=all", "-z")
        changed = _run_git(self._directory, "-C", self._top, "diff-index", *options, self.base.commit, *paths)
        # what git does not know yet, ignored files included: they are read like all others
        listed = _run_git(self._directory, "-C", self._top, "ls-files", "-z", "--others", *paths)
        words, unknown = (_decode_listing(each).split("\0")[:-1] for each in (changed, listed))
        found = frozenset(make_relative_path(name, self._prefix) for name in (*words[1::2], *unknown))
        return FileDifferences(found, bool(unknown) or any(status != "M" for status in words[::2]))

    def _build_pathspecs(self) -> tuple[str, ...]:
        settings = os.path.normpath(os.path.join(self._prefix, "..", "reconciler.yaml"))
        beside = () if settings.startswith("..") else (f":(literal){settings}",)
        return (f":(literal){self._prefix}" if self._prefix != "." else ".", *beside)

    def _list_blobs(self) -> dict[str, tuple[str, str]]:
        """Mode and blob of each file by its path relative to the folder of customers."""
        paths = ["--", *(each.removeprefix(":(literal)") for each in self._build_pathspecs())]
        listing = _run_git(
            self._directory, "-C", self._top, "ls-tree", "-r", "-z", "--full-tree", self.base.commit, *paths
        )
        blobs = {}
        for line in _decode_listing(listing).split("\0")[:-1]:
            facts, name = line.split("\t", 1)
            mode, _, blob = facts.split(" ")
            if mode in _FILES:
                blobs[make_relative_path(name, self._prefix)] = mode, blob
        return blobs

    @cached_property
    def _folders(self) -> dict[str, dict[str, bool]]:
        """What stands in each folder, and whether that is a folder."""
        folders: dict[str, dict[str, bool]] = {".": {}}
        for path in self._blobs:
            for folder, entry, is_folder in _iter_parents(path):
                known = folders.setdefault(folder, {})
                if entry in known:
                    break
                known[entry] = is_folder
        return folders

    def _make_key(self, path: str) -> str:
        """Relative to the folder of customers, called as it was given or as it is without links."""
        given = str(self._directory)
        start = given if path == given or path.startswith(given + os.sep) else self._whole
        return make_relative_path(path, start)

    def _read_blob(self, blob: str) -> bytes:
        if self._reader is None:
            self._reader = subprocess.Popen(
                ["git", "-C", self._top, "cat-file", "--batch"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_build_environment(),
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


def _iter_parents(path: str) -> Iterator[tuple[str, str, bool]]:
    """(folder, entry, whether that is a folder) for a file and every folder above it."""
    is_folder = False
    while path not in ("", "."):
        folder, name = os.path.split(path)
        yield folder or ".", name, is_folder
        path, is_folder = folder, True


def _resolve_commit(directory: Path, ref: str) -> str:
    found = _run_process(directory, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if found.returncode == 0:
        return found.stdout.decode().strip()
    shallow = _run_process(directory, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true"
    hint = (
        "this is a shallow clone: fetch that commit as well (git fetch --depth 1 origin REF), and name it by its id"
        if shallow
        else "name a branch, tag or commit that this checkout has; one of a remote is called origin/NAME"
    )
    raise Refusal([_build_error("unknown-base", f"git knows no commit {ref!r} here", directory, hint)])


def _run_git(directory: Path, *words: str, about: str = "compare with the base") -> bytes:
    done = _run_process(directory, *words)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"git exits with {done.returncode}"]
        raise Refusal(
            [
                _build_error(
                    "git-failed",
                    f"git cannot {about}: {said[0].removeprefix('fatal: ')}",
                    directory,
                    "--base needs a git checkout around the customers",
                )
            ]
        )
    return done.stdout


def _run_process(directory: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", "-C", str(directory), *words],
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
            env=_build_environment(),
        )
    except FileNotFoundError as missing:
        raise Refusal(
            [_build_error("no-git", "there is no git on this machine", directory, "install git")]
        ) from missing
    except subprocess.TimeoutExpired as slow:
        raise Refusal(
            [_build_error("git-failed", f"git gave no answer within {_TIMEOUT} s", directory, "try again")]
        ) from slow


def _build_environment() -> dict[str, str]:
    return {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def _decode_listing(listing: bytes) -> str:
    return os.fsdecode(listing)


def _build_error(code: str, message: str, directory: Path, hint: str) -> Diagnostic:
    return build_error(code, message, Span(str(directory)), hint)
