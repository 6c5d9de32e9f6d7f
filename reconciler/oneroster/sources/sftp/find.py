"""Finds the files of the roster on a server by the configured path, and follows every link."""

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
    EntryKind,
    FileFacts,
    RemoteEntry,
    RosterFileChoice,
    choose_roster_file,
    convert_link_to_file,
    is_pattern,
    is_skewed,
    match_entries,
    split_csv_files,
)
from reconciler.oneroster.sources.sftp.target import RemoteFile, RemoteRoster

# Resolution of links, which must stay in the configured folder.

MAX_LINKS = 40


class TooManyLinksError(Exception):
    """A path goes through too many links, or links that form a cycle."""


def make_absolute(path: str, home: str) -> str:
    """Return the path, relative ones below the absolute directory `home`."""
    whole = posixpath.normpath(posixpath.join(home, path))
    return f"/{whole.lstrip('/')}"


def resolve_links(path: str, read_link: Callable[[str], str | None]) -> str:
    """Return an absolute path without links.

    read_link returns the target of a link, or None for anything else; it may raise OSError. Raises TooManyLinksError.
    """
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
        held = read_link(f"{done}/{part}")
        if held is None:
            done = f"{done}/{part}"
            continue
        links += 1
        if links > MAX_LINKS:
            raise TooManyLinksError
        if held.startswith("/"):
            done = ""
        parts += [each for each in held.split("/") if each][::-1]
    return done or "/"


def is_within(folder: str, path: str) -> bool:
    """Return whether a path is the folder or inside it; both are absolute and without links."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


#: Maximum names in a folder; a longer listing is refused.
MAX_NAMES = 20_000


def check_path(account: SftpAccount) -> None:
    """Raise Refusal for a path that is invalid on any server."""
    folder, _, name = account.path.rstrip("/").rpartition("/")
    if is_pattern(folder):
        raise Refusal([remarks.make_pattern_in_folder_error(account)])
    if is_pattern(name) and account.pick is None:
        raise Refusal([remarks.make_pick_missing_error(account)])


class RosterFinder:
    """Finds the roster over one connection. now: seconds since 1970 by this machine's clock."""

    def __init__(self, client: SFTPClient, account: SftpAccount, now: float) -> None:
        self._client = client
        self._account = account
        self._now = now

    def find_roster(self) -> RemoteRoster:
        """Return the roster. Raises Refusal if there is none; each reason has its own code."""
        path = make_absolute(self._account.path, self._get_home_folder())
        try:
            found = self._find_by_pattern(path) if is_pattern(posixpath.basename(path)) else self._find_at_path(path)
        except FileNotFoundError:
            self._explain_missing(path)
        except PermissionError:
            raise Refusal([remarks.make_no_permission_error(self._account, path)]) from None
        if found.size > MOST_BYTES:
            raise Refusal([remarks.make_too_large_error(found)])
        return found

    def list_folder(self, folder: str) -> list[RemoteEntry]:
        """Return the entries of a folder. Raises Refusal `too-many-names`, OSError."""
        found = [
            RemoteEntry(name, _classify_entry(attributes), _extract_facts(attributes, name))
            for name, attributes in wire.list_entries(self._client, folder, MAX_NAMES + 1)
        ]
        if len(found) > MAX_NAMES:
            raise Refusal([remarks.make_too_many_names_error(folder, MAX_NAMES)])
        return found

    def _get_home_folder(self) -> str:
        return "/" if self._account.path.startswith("/") else wire.resolve_path(self._client, ".")

    def _find_at_path(self, path: str) -> RemoteRoster:
        inside = self._resolve_inside(posixpath.dirname(path), path)
        attributes = wire.read_attributes(self._client, inside)
        match _classify_entry(attributes):
            case "folder":
                return self._build_folder_roster(path)
            case "file":
                name = posixpath.basename(path)
                file = RemoteFile(name, inside, _extract_facts(attributes, name))
                return self._build_file_roster(path, file, self._require_done_marker(path, file.facts))
            case _:
                raise Refusal([remarks.make_not_a_file_error(path)])

    def _find_by_pattern(self, path: str) -> RemoteRoster:
        account = self._account
        assert account.pick is not None
        folder, pattern = posixpath.split(path)
        inside = self._resolve_inside(folder, folder)
        listing = self.list_folder(inside)
        candidates = [
            self._follow_link_entry(inside, entry) for entry in match_entries(listing, pattern, account.done_marker)
        ]
        candidates = [entry for entry in candidates if entry.kind == "file"]
        if not candidates:
            raise Refusal([remarks.make_no_match_error(folder, pattern, listing, account.done_marker)])
        choice = choose_roster_file(candidates, account.pick, self._now, self._check_done_markers(candidates, listing))
        if choice.best is None:
            raise Refusal(
                [remarks.make_marker_missing_error(folder, choice.incomplete_names, str(account.done_marker))]
            )
        taken = choice.best
        file = RemoteFile(taken.name, self._resolve_inside(inside, posixpath.join(inside, taken.name)), taken.facts)
        return self._build_file_roster(posixpath.join(folder, taken.name), file, self._describe_choice(choice))

    def _build_file_roster(self, path: str, file: RemoteFile, diagnostics: Sequence[Diagnostic]) -> RemoteRoster:
        if file.facts.size == 0:
            raise Refusal([remarks.make_empty_file_error(path)])
        digests = {}
        if text := self._read_digest_text(path):
            digest = markers.find_digest(text, file.name)
            if digest is None:
                raise Refusal([remarks.make_no_digest_error(path, str(self._account.done_marker), file.name)])
            digests[file.name] = digest
        return RemoteRoster(path, (file,), False, digests, (*diagnostics, *self._check_clock_skew([file])))

    def _build_folder_roster(self, path: str) -> RemoteRoster:
        inside = self._resolve_inside(path, path)
        marker = self._account.done_marker
        kept, left = split_csv_files(self.list_folder(inside), marker)
        files = []
        for entry in (self._follow_link_entry(inside, entry) for entry in kept):
            if entry.kind == "file":
                within_it = self._resolve_inside(inside, posixpath.join(inside, entry.name))
                files.append(RemoteFile(entry.name, within_it, entry.facts))
            else:
                left.append(entry.name)
        if not files:
            raise Refusal([remarks.make_no_csv_error(path, left)])
        last = FileFacts(0, max(file.facts.mtime for file in files))
        said = [
            *self._require_done_marker(path, last),
            *([remarks.make_ignored_files_info(path, sorted(left))] if left else []),
        ]
        digests = {}
        if text := self._read_digest_text(path):
            digests = markers.parse_digests(text)
            problems = remarks.check_digest_names(path, str(marker), digests, [file.name for file in files])
            if problems:
                raise Refusal(problems)
        return RemoteRoster(path, tuple(files), True, digests, (*said, *self._check_clock_skew(files)))

    def _check_done_markers(
        self, candidates: Sequence[RemoteEntry], listing: Sequence[RemoteEntry]
    ) -> dict[str, bool] | None:
        marker = self._account.done_marker
        if marker is None:
            return None
        there = {entry.name: entry.facts for entry in listing if entry.kind in ("file", "link")}
        return {
            entry.name: markers.get_marker_state(entry.facts, there.get(entry.name + marker)) == "done"
            for entry in candidates
        }

    def _require_done_marker(self, path: str, roster: FileFacts) -> list[Diagnostic]:
        """Raise Refusal if a done marker is configured and missing or older than the roster. Returns no diagnostics."""
        marker = self._account.done_marker
        if marker is None:
            return []
        try:
            found = _extract_facts(wire.read_link_attributes(self._client, path + marker), marker)
        except FileNotFoundError:
            found = None
        match markers.get_marker_state(roster, found):
            case "missing":
                raise Refusal(
                    [remarks.make_marker_missing_error(posixpath.dirname(path), [posixpath.basename(path)], marker)]
                )
            case "older":
                raise Refusal([remarks.make_marker_older_error(path, marker)])
            case "done":
                return []

    def _read_digest_text(self, path: str) -> str:
        """Return the text of the digest file, or an empty string if none is configured."""
        marker = self._account.done_marker
        if marker is None or not markers.has_digest(marker):
            return ""
        inside = self._resolve_inside(posixpath.dirname(path), path + marker)
        with wire.open_file(self._client, inside) as file:
            content = file.read(markers.MAX_MARKER_BYTES + 1)
        text = content.decode("utf-8", "replace")
        if len(content) > markers.MAX_MARKER_BYTES or not markers.parse_digests(text):
            raise Refusal([remarks.make_no_digest_error(path, marker, posixpath.basename(path))])
        return text

    def _describe_choice(self, choice: RosterFileChoice) -> list[Diagnostic]:
        account = self._account
        assert choice.best is not None
        said = []
        if choice.incomplete_names:
            said.append(
                remarks.make_newer_not_done_warning(choice.best.name, choice.incomplete_names, str(account.done_marker))
            )
        if choice.other_names:
            said.append(remarks.make_other_files_info(choice.best.name, choice.other_names, str(account.pick)))
        return said

    def _check_clock_skew(self, files: Sequence[RemoteFile]) -> list[Diagnostic]:
        names = [file.name for file in files if is_skewed(file.facts, self._now)]
        return [remarks.make_clock_skew_warning(self._account, names)] if names else []

    def _follow_link_entry(self, folder: str, entry: RemoteEntry) -> RemoteEntry:
        """Return the target of a link that leads to a file, and every other entry unchanged."""
        if entry.kind != "link":
            return entry
        try:
            inside = self._resolve_inside(folder, posixpath.join(folder, entry.name))
            attributes = wire.read_attributes(self._client, inside)
        except FileNotFoundError:
            return entry
        seen = convert_link_to_file(entry, _extract_facts(attributes, entry.name))
        return seen if _classify_entry(attributes) == "file" else entry

    def _resolve_inside(self, folder: str, path: str) -> str:
        """Return the path without links. Raises Refusal `link-leaves-folder`, OSError if it cannot be followed."""
        try:
            inside = resolve_links(path, self._read_link_target)
        except TooManyLinksError:
            raise Refusal([remarks.make_endless_links_error(path)]) from None
        if not is_within(folder, inside):
            raise Refusal([remarks.make_link_leaves_error(folder, path, inside)])
        # A server may follow links that it does not report as links.
        root, end = (wire.resolve_path(self._client, each) for each in (folder, inside))
        if not is_within(root, end):
            raise Refusal([remarks.make_link_leaves_error(folder, path, end)])
        return inside

    def _read_link_target(self, path: str) -> str | None:
        try:
            if _classify_entry(wire.read_link_attributes(self._client, path)) != "link":
                return None
            return wire.read_link(self._client, path)
        except (FileNotFoundError, PermissionError):
            # The server resolves the path afterwards, which also shows whether it exists.
            return None

    def _explain_missing(self, path: str) -> NoReturn:
        """Raise Refusal with the expected path and the content of the nearest existing folder."""
        missing = path
        while missing != "/":
            folder = posixpath.dirname(missing)
            try:
                listing = self.list_folder(self._resolve_inside(folder, folder))
            except FileNotFoundError:
                missing = folder
                continue
            except PermissionError:
                break
            raise Refusal([remarks.make_file_missing_error(path, missing, [entry.name for entry in listing])])
        raise Refusal([remarks.make_file_missing_error(path, missing, None)])


def build_find_operation(account: SftpAccount, now: Callable[[], float]) -> Callable[[SFTPClient], RemoteRoster]:
    """Return the operation that finds the roster, for `SftpSession.run_operation`."""
    return lambda client: RosterFinder(client, account, now()).find_roster()


def extract_file_facts(attributes: SFTPAttributes, name: str) -> FileFacts:
    return _extract_facts(attributes, name)


def _extract_facts(attributes: SFTPAttributes, name: str) -> FileFacts:
    if attributes.st_size is None:
        raise Refusal([remarks.make_no_size_error(name)])
    return FileFacts(attributes.st_size, attributes.st_mtime or 0)


def _classify_entry(attributes: SFTPAttributes) -> EntryKind:
    if attributes.st_mode is None or stat.S_ISREG(attributes.st_mode):
        return "file"
    if stat.S_ISDIR(attributes.st_mode):
        return "folder"
    return "link" if stat.S_ISLNK(attributes.st_mode) else "other"
