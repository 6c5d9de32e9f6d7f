"""Looking at a server: from the configured path to the files that are the roster now, every link followed."""

from __future__ import annotations

import posixpath
import stat
from collections.abc import Callable, Sequence
from typing import NoReturn

from paramiko import SFTPAttributes, SFTPClient

from reconciler.model.diagnostic import Diagnostic, Refusal
from reconciler.oneroster.archive.archive import MOST_BYTES
from reconciler.oneroster.sources.sftp import listing as markers
from reconciler.oneroster.sources.sftp import messages as remarks
from reconciler.oneroster.sources.sftp import wire
from reconciler.oneroster.sources.sftp.account import SftpAccount
from reconciler.oneroster.sources.sftp.listing import (
    Choice,
    Entry,
    Facts,
    Kind,
    chosen,
    csv_files,
    fitting,
    is_pattern,
    is_skewed,
    seen_through,
)
from reconciler.oneroster.sources.sftp.target import RemoteFile, Target

# Where a path leads once its links are followed, and whether that is still in the folder that was configured.

MOST_LINKS = 40


class TooManyLinks(Exception):  # noqa: N818 - becomes a diagnostic
    """Links that lead to each other."""


def absolute(path: str, home: str) -> str:
    """home: where relative paths begin, absolute."""
    whole = posixpath.normpath(posixpath.join(home, path))
    return f"/{whole.lstrip('/')}"


def resolved(path: str, target: Callable[[str], str | None]) -> str:
    """path: absolute. target: what a link holds, None of what is none; may raise OSError.

    Every part is looked at, as the server would follow it; the result has no links left. Raises TooManyLinks."""
    parts = [part for part in path.split("/") if part][::-1]
    done = ""
    links = 0
    while parts:
        part = parts.pop()
        if part in (".", ""):
            continue
        if part == "..":
            done = done.rpartition("/")[0]
            continue
        held = target(f"{done}/{part}")
        if held is None:
            done = f"{done}/{part}"
            continue
        links += 1
        if links > MOST_LINKS:
            raise TooManyLinks
        if held.startswith("/"):
            done = ""
        parts += [each for each in held.split("/") if each][::-1]
    return done or "/"


def within(folder: str, path: str) -> bool:
    """Both absolute and without links."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


#: Names that a folder may hold. A listing comes whole or not at all.
MOST_NAMES = 20_000


def check_path(account: SftpAccount) -> None:
    """What can be said of a path without asking. Raises Refusal."""
    folder, _, name = account.path.rstrip("/").rpartition("/")
    if is_pattern(folder):
        raise Refusal([remarks.pattern_in_folder(account)])
    if is_pattern(name) and account.pick is None:
        raise Refusal([remarks.pick_missing(account)])


class Look:
    """One look over one connection. now: seconds since 1970 by our clock."""

    def __init__(self, client: SFTPClient, account: SftpAccount, now: float) -> None:
        self._client = client
        self._account = account
        self._now = now

    def target(self) -> Target:
        """Raises Refusal where nothing there can be the roster; each reason has a code of its own."""
        path = absolute(self._account.path, self._home())
        try:
            found = self._of_pattern(path) if is_pattern(posixpath.basename(path)) else self._of_one(path)
        except FileNotFoundError:
            self._explain(path)
        except PermissionError:
            raise Refusal([remarks.no_permission(self._account, path)]) from None
        if found.size > MOST_BYTES:
            raise Refusal([remarks.too_large(found)])
        return found

    def listed(self, folder: str) -> list[Entry]:
        """Raises Refusal `too-many-names`, OSError."""
        found = [
            Entry(name, _kind(attributes), _facts(attributes, name))
            for name, attributes in wire.entries(self._client, folder, MOST_NAMES + 1)
        ]
        if len(found) > MOST_NAMES:
            raise Refusal([remarks.too_many_names(folder, MOST_NAMES)])
        return found

    def _home(self) -> str:
        return "/" if self._account.path.startswith("/") else wire.real(self._client, ".")

    def _of_one(self, path: str) -> Target:
        inside = self._inside(posixpath.dirname(path), path)
        attributes = wire.stat(self._client, inside)
        match _kind(attributes):
            case "folder":
                return self._of_folder(path)
            case "file":
                name = posixpath.basename(path)
                file = RemoteFile(name, inside, _facts(attributes, name))
                return self._of_file(path, file, self._marked(path, file.facts))
            case _:
                raise Refusal([remarks.not_a_file(path)])

    def _of_pattern(self, path: str) -> Target:
        account = self._account
        assert account.pick is not None
        folder, pattern = posixpath.split(path)
        inside = self._inside(folder, folder)
        listing = self.listed(inside)
        candidates = [self._seen(inside, entry) for entry in fitting(listing, pattern, account.done_marker)]
        candidates = [entry for entry in candidates if entry.kind == "file"]
        if not candidates:
            raise Refusal([remarks.nothing_fits(folder, pattern, listing, account.done_marker)])
        choice = chosen(candidates, account.pick, self._now, self._complete(candidates, listing))
        if choice.taken is None:
            raise Refusal([remarks.none_done(folder, choice.incomplete, str(account.done_marker))])
        taken = choice.taken
        file = RemoteFile(taken.name, self._inside(inside, posixpath.join(inside, taken.name)), taken.facts)
        return self._of_file(posixpath.join(folder, taken.name), file, self._chosen(choice))

    def _of_file(self, path: str, file: RemoteFile, said: Sequence[Diagnostic]) -> Target:
        if file.facts.size == 0:
            raise Refusal([remarks.empty_file(path)])
        digests = {}
        if text := self._digest_text(path):
            digest = markers.digest_of(text, file.name)
            if digest is None:
                raise Refusal([remarks.no_digest(path, str(self._account.done_marker), file.name)])
            digests[file.name] = digest
        return Target(path, (file,), False, digests, (*said, *self._skewed([file])))

    def _of_folder(self, path: str) -> Target:
        inside = self._inside(path, path)
        marker = self._account.done_marker
        kept, left = csv_files(self.listed(inside), marker)
        files = []
        for entry in (self._seen(inside, entry) for entry in kept):
            if entry.kind == "file":
                within_it = self._inside(inside, posixpath.join(inside, entry.name))
                files.append(RemoteFile(entry.name, within_it, entry.facts))
            else:
                left.append(entry.name)
        if not files:
            raise Refusal([remarks.no_csv(path, left)])
        last = Facts(0, max(file.facts.mtime for file in files))
        said = [*self._marked(path, last), *([remarks.left(path, sorted(left))] if left else [])]
        digests = {}
        if text := self._digest_text(path):
            digests = markers.digests(text)
            problems = remarks.digests_that_do_not_fit(path, str(marker), digests, [file.name for file in files])
            if problems:
                raise Refusal(problems)
        return Target(path, tuple(files), True, digests, (*said, *self._skewed(files)))

    def _complete(self, candidates: Sequence[Entry], listing: Sequence[Entry]) -> dict[str, bool] | None:
        marker = self._account.done_marker
        if marker is None:
            return None
        there = {entry.name: entry.facts for entry in listing if entry.kind in ("file", "link")}
        return {
            entry.name: markers.state(entry.facts, there.get(entry.name + marker)) == "done" for entry in candidates
        }

    def _marked(self, path: str, roster: Facts) -> list[Diagnostic]:
        """Nothing where the done marker is there, or none is configured. Raises Refusal."""
        marker = self._account.done_marker
        if marker is None:
            return []
        try:
            found = _facts(wire.lstat(self._client, path + marker), marker)
        except FileNotFoundError:
            found = None
        match markers.state(roster, found):
            case "missing":
                raise Refusal([remarks.none_done(posixpath.dirname(path), [posixpath.basename(path)], marker)])
            case "older":
                raise Refusal([remarks.marker_older(path, marker)])
            case "done":
                return []

    def _digest_text(self, path: str) -> str:
        """Empty where no digest is asked for."""
        marker = self._account.done_marker
        if marker is None or not markers.holds_digest(marker):
            return ""
        inside = self._inside(posixpath.dirname(path), path + marker)
        with wire.opened(self._client, inside) as file:
            content = file.read(markers.MOST_BYTES + 1)
        text = content.decode("utf-8", "replace")
        if len(content) > markers.MOST_BYTES or not markers.digests(text):
            raise Refusal([remarks.no_digest(path, marker, posixpath.basename(path))])
        return text

    def _chosen(self, choice: Choice) -> list[Diagnostic]:
        account = self._account
        assert choice.taken is not None
        said = []
        if choice.incomplete:
            said.append(remarks.newer_not_done(choice.taken.name, choice.incomplete, str(account.done_marker)))
        if choice.others:
            said.append(remarks.others_fit(choice.taken.name, choice.others, str(account.pick)))
        return said

    def _skewed(self, files: Sequence[RemoteFile]) -> list[Diagnostic]:
        names = [file.name for file in files if is_skewed(file.facts, self._now)]
        return [remarks.clock_skew(self._account, names)] if names else []

    def _seen(self, folder: str, entry: Entry) -> Entry:
        """A link as what it leads to. One that leads nowhere is left as it is."""
        if entry.kind != "link":
            return entry
        try:
            inside = self._inside(folder, posixpath.join(folder, entry.name))
            attributes = wire.stat(self._client, inside)
        except FileNotFoundError:
            return entry
        seen = seen_through(entry, _facts(attributes, entry.name))
        return seen if _kind(attributes) == "file" else entry

    def _inside(self, folder: str, path: str) -> str:
        """The path without links. Raises Refusal `link-leaves-folder`; OSError where the server cannot follow it."""
        try:
            inside = resolved(path, self._target_of)
        except TooManyLinks:
            raise Refusal([remarks.endless_links(path)]) from None
        if not within(folder, inside):
            raise Refusal([remarks.leaves(folder, path, inside)])
        # A server may follow links that it does not show.
        root, end = (wire.real(self._client, each) for each in (folder, inside))
        if not within(root, end):
            raise Refusal([remarks.leaves(folder, path, end)])
        return inside

    def _target_of(self, path: str) -> str | None:
        try:
            if _kind(wire.lstat(self._client, path)) != "link":
                return None
            return wire.readlink(self._client, path)
        except (FileNotFoundError, PermissionError):
            # Where it leads is asked of the server afterwards, and so is whether it is there.
            return None

    def _explain(self, path: str) -> NoReturn:
        """Says what was expected, and what lies in the nearest folder that is there."""
        missing = path
        while missing != "/":
            folder = posixpath.dirname(missing)
            try:
                listing = self.listed(self._inside(folder, folder))
            except FileNotFoundError:
                missing = folder
                continue
            except PermissionError:
                break
            raise Refusal([remarks.missing(path, missing, [entry.name for entry in listing])])
        raise Refusal([remarks.missing(path, missing, None)])


def looked(account: SftpAccount, now: Callable[[], float]) -> Callable[[SFTPClient], Target]:
    """An operation for a line."""
    return lambda client: Look(client, account, now()).target()


def facts_now(attributes: SFTPAttributes, name: str) -> Facts:
    return _facts(attributes, name)


def _facts(attributes: SFTPAttributes, name: str) -> Facts:
    if attributes.st_size is None:
        raise Refusal([remarks.no_size(name)])
    return Facts(attributes.st_size, attributes.st_mtime or 0)


def _kind(attributes: SFTPAttributes) -> Kind:
    if attributes.st_mode is None or stat.S_ISREG(attributes.st_mode):
        return "file"
    if stat.S_ISDIR(attributes.st_mode):
        return "folder"
    return "link" if stat.S_ISLNK(attributes.st_mode) else "other"
