"""Reads the files of a customers repository from a git commit, and lists files that differ from it.

Names come from one listing, contents from one process that answers for each. Nothing of the checkout is executed: no
filter, no external diff, no hook.
"""

import errno
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from reconciler.config.load.layout import ConfigFile, FolderEntry, make_relative_path
from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error
from reconciler.model.plan import GitBase

_LINK = "120000"
_FILES = ("100644", "100755", _LINK)
_TIMEOUT = 120
#: a commit's ID, the checkout, or a full name
_EXACT_REF = re.compile(r"[0-9a-f]{40,64}|HEAD(?:[~^@].*)?|refs/.*")


@dataclass(frozen=True)
class FileDifferences:
    """Files on disk that may differ from a commit: maybe some that are equal, never without one that differs."""

    #: relative to the folder of customers
    paths: frozenset[str]
    #: True if a file was added, removed or has another type
    names_differ: bool


class GitRevision:
    """The `Files` of one commit, by their paths in the checkout: `directory`, and paths below or next to it."""

    def __init__(self, directory: Path, ref: str) -> None:
        """Open a commit. Raises Refusal without git, without a checkout around `directory`, or if the commit does not
        exist."""
        if not directory.is_dir():
            raise Refusal(
                [_build_error("no-folder", f"directory {directory} not found", directory, "Pass it with --dir.")]
            )
        self._directory = directory
        self._real_directory = os.path.realpath(directory)
        self._top = _decode_listing(
            _run_git(directory, "rev-parse", "--show-toplevel", about="find the checkout")
        ).rstrip("\n")
        # Real paths on both sides, because a folder above the checkout may be a symbolic link.
        self._prefix = os.path.relpath(self._real_directory, os.path.realpath(self._top))
        self.base = _find_base(directory, ref)
        self._path_prefix = os.path.join(str(directory), "")
        self._blobs = self._list_blobs()
        self._reader: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._reader is not None:
            self._reader.communicate()
            self._reader = None

    def has_file(self, path: str) -> bool:
        return self._make_key(path) in self._blobs

    def list_entries(self, folder: str) -> list[FolderEntry]:
        entries = self._folders.get(self._make_key(folder))
        if entries is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
        return [FolderEntry(name, os.path.join(folder, name), is_folder) for name, is_folder in sorted(entries.items())]

    def read_content(self, path: str, most: int, *, follow: bool = False) -> bytes:
        mode, blob = self._blobs.get(self._make_key(path), ("", ""))
        if not blob:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if mode == _LINK:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        return self._read_blob(blob)[:most]

    def get_blob_id(self, file: ConfigFile) -> str | None:
        """Return the ID of a file's content; None if the file is missing or a symbolic link."""
        path = file.path
        # Most paths start as the directory was given, which avoids resolving them.
        listed = self._blobs.get(path[len(self._path_prefix) :]) if path.startswith(self._path_prefix) else None
        mode, blob = listed or self._blobs.get(self._make_key(path), ("", ""))
        return blob if blob and mode != _LINK else None

    def find_differences(self) -> FileDifferences:
        """Return the files on disk that may differ from the commit."""
        paths = ["--", *self._build_pathspecs()]
        options = ("--name-status", "--no-renames", "--no-ext-diff", "--ignore-submodules=all", "-z")
        changed = _run_git(self._directory, "-C", self._top, "diff-index", *options, self.base.commit, *paths)
        # Untracked files, ignored ones included: they are read like all others.
        others = _run_git(self._directory, "-C", self._top, "ls-files", "-z", "--others", *paths)
        statuses_and_names, untracked = (_decode_listing(each).split("\0")[:-1] for each in (changed, others))
        names = (*statuses_and_names[1::2], *untracked)
        differing = frozenset(make_relative_path(name, self._prefix) for name in names)
        return FileDifferences(differing, bool(untracked) or any(status != "M" for status in statuses_and_names[::2]))

    def find_moved_files(self) -> dict[str, str]:
        """Return the former path of each file that git takes for a moved one, relative to the folder of customers."""
        options = ("--name-status", "--find-renames", "--diff-filter=R", "--no-ext-diff", "-z")
        paths = ["--", *self._build_pathspecs()]
        listing = _run_git(self._directory, "-C", self._top, "diff-index", *options, self.base.commit, *paths)
        facts = _decode_listing(listing).split("\0")[:-1]
        former, new = ([make_relative_path(name, self._prefix) for name in facts[start::3]] for start in (1, 2))
        return dict(zip(new, former, strict=True))

    def _build_pathspecs(self) -> tuple[str, ...]:
        settings = os.path.normpath(os.path.join(self._prefix, "..", "reconciler.yaml"))
        beside = () if settings.startswith("..") else (f":(literal){settings}",)
        return (f":(literal){self._prefix}" if self._prefix != "." else ".", *beside)

    def _list_blobs(self) -> dict[str, tuple[str, str]]:
        """Return mode and blob ID of each file, by its path relative to the folder of customers."""
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
        """Return the entries of each folder by name, with whether the entry is a folder."""
        folders: dict[str, dict[str, bool]] = {".": {}}
        for path in self._blobs:
            for folder, entry, is_folder in _iter_parents(path):
                entries = folders.setdefault(folder, {})
                if entry in entries:
                    break
                entries[entry] = is_folder
        return folders

    def _make_key(self, path: str) -> str:
        """Return a path relative to the folder of customers; the path may be as given or without symbolic links."""
        directory = str(self._directory)
        start = directory if path == directory or path.startswith(directory + os.sep) else self._real_directory
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
            raise OSError(errno.EIO, "git cannot read the file", blob)
        content = reader.stdout.read(int(answer[2]))
        reader.stdout.read(1)
        return content


def _iter_parents(path: str) -> Iterator[tuple[str, str, bool]]:
    """Yield (folder, entry, whether the entry is a folder) for a file and every folder above it."""
    is_folder = False
    while path not in ("", "."):
        folder, name = os.path.split(path)
        yield folder or ".", name, is_folder
        path, is_folder = folder, True


def _resolve_commit(directory: Path, ref: str) -> str:
    # git itself prefers a tag to a branch of the same name, so that pushing a tag would change what is compared.
    names = [ref] if _EXACT_REF.fullmatch(ref) else [f"refs/heads/{ref}", f"refs/remotes/{ref}", ref]
    for name in names:
        result = _run_process(directory, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if result.returncode == 0:
            return result.stdout.decode().strip()
    shallow = _run_process(directory, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true"
    hint = (
        "Fetch the commit into this shallow clone and pass its ID: git fetch --depth 1 origin REF"
        if shallow
        else "Use a branch, tag or commit of this checkout. Name a remote branch origin/NAME."
    )
    raise Refusal([_build_error("unknown-base", f"unknown git ref {ref!r}", directory, hint)])


def _find_base(directory: Path, ref: str) -> GitBase:
    """Return the commit to compare with. Where both sides have commits of their own it is the one where they parted, so
    that what others merged since is not taken for a change of this checkout, and in reverse."""
    commit = _resolve_commit(directory, ref)
    parted = _run_process(directory, "merge-base", commit, "HEAD").stdout.decode().strip()
    # An older or newer checkout of the same history is compared as it is: a rollback has to be seen.
    if parted in ("", commit) or parted == _resolve_commit(directory, "HEAD"):
        return GitBase(ref, commit)
    missing = _run_process(directory, "rev-list", "--count", f"HEAD..{commit}").stdout.decode().strip()
    return GitBase(ref, parted, int(missing or 0))


def _run_git(directory: Path, *words: str, about: str = "compare with the base") -> bytes:
    result = _run_process(directory, *words)
    if result.returncode:
        lines = result.stderr.decode(errors="replace").strip().splitlines() or [f"git exits with {result.returncode}"]
        raise Refusal(
            [
                _build_error(
                    "git-failed",
                    f"git cannot {about}: {lines[0].removeprefix('fatal: ')}",
                    directory,
                    "Run this in a git checkout that contains the customers; --base requires one.",
                )
            ]
        )
    return result.stdout


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
        raise Refusal([_build_error("no-git", "git is not installed", directory, "Install git.")]) from missing
    except subprocess.TimeoutExpired as slow:
        raise Refusal(
            [_build_error("git-failed", f"git did not answer within {_TIMEOUT} s", directory, "Try again.")]
        ) from slow


def _build_environment() -> dict[str, str]:
    return {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def _decode_listing(listing: bytes) -> str:
    return os.fsdecode(listing)


def _build_error(code: str, message: str, directory: Path, hint: str) -> Diagnostic:
    return build_error(code, message, Span(str(directory)), hint)
