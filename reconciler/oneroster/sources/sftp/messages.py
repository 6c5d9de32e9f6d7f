"""What is said of what lies, or does not lie, on a server: names of files, and nothing of what they hold."""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Iterator, Mapping, Sequence

from reconciler.model.diagnostic import Diagnostic, build_error, build_info, build_warning
from reconciler.oneroster.archive.archive import MOST_BYTES
from reconciler.oneroster.sources.sftp.account import SftpAccount
from reconciler.oneroster.sources.sftp.listing import RemoteEntry, is_ignored
from reconciler.oneroster.sources.sftp.target import RemoteRoster

# Names on a server as a terminal can show them: they are whatever somebody called a file there.

MOST_LISTED = 10
MOST_LENGTH = 80


def sanitize_name(name: str) -> str:
    """No control characters, nothing that turns a line around, not endless."""
    safe = "".join(character if character.isprintable() else "?" for character in name)
    return safe if len(safe) <= MOST_LENGTH else f"{safe[: MOST_LENGTH - 3]}..."


def format_names(names: Sequence[str], most: int = MOST_LISTED) -> str:
    """The first few, and how many more there are."""
    text = ", ".join(sanitize_name(name) for name in names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most:,} more"


NEXT_FETCH_RETRIES = "the next fetch tries again"


def make_pattern_in_folder_error(account: SftpAccount) -> Diagnostic:
    return build_error(
        "pattern-in-folder",
        f"{sanitize_name(account.path)}: only the last part of a path may be a pattern",
        hint="write the folder as it is called; a pattern stands for files in one folder, such as /out/roster-*.zip",
    )


def make_pick_missing_error(account: SftpAccount) -> Diagnostic:
    return build_error(
        "pick-missing",
        f"{sanitize_name(account.path)} is a pattern, and nothing says which of several files is the roster",
        hint="write pick: newest or pick: last_by_name, or the path of one file",
    )


def make_file_missing_error(path: str, missing_part: str, sibling_names: Sequence[str] | None) -> Diagnostic:
    """gone: the first part of the path that is not there. there: names beside it; None where they cannot be listed."""
    folder, name = posixpath.split(missing_part)
    what = "the roster" if missing_part == path else f"the folder of {sanitize_name(posixpath.basename(path))}"
    if sibling_names is not None and name in sibling_names:
        lies = "it is a link to something that is not there"
    elif sibling_names is None:
        lies = f"what lies in {sanitize_name(folder)} cannot be listed"
    else:
        lies = (
            f"{sanitize_name(folder)} holds {format_names(sorted(sibling_names))}"
            if sibling_names
            else f"{sanitize_name(folder)} is empty"
        )
    sibling_names = [each for each in sibling_names or () if each != name]
    close = difflib.get_close_matches(name.casefold(), [each.casefold() for each in sibling_names], 1)
    meant = next((each for each in sibling_names if close and each.casefold() == close[0]), None)
    hint = "correct rostering.sync.path, or ask whoever sends the roster why it is not there"
    return build_error(
        "remote-file-missing",
        f"{sanitize_name(missing_part)} is not there: {what} was expected under that name; {lies}",
        hint=f"did you mean {sanitize_name(meant)}? Else {hint}" if meant else hint,
    )


def make_no_permission_error(account: SftpAccount, path: str) -> Diagnostic:
    return build_error(
        "remote-permission-denied",
        f"{sanitize_name(account.username)} may not read {sanitize_name(path)}",
        hint="ask the server's owner to let this account read it",
    )


def make_not_a_file_error(path: str) -> Diagnostic:
    return build_error(
        "not-a-regular-file",
        f"{sanitize_name(path)} is neither a file nor a folder",
        hint="correct rostering.sync.path: it names the ZIP, or the folder of the CSV files",
    )


def make_empty_file_error(path: str) -> Diagnostic:
    return build_error(
        "remote-file-empty",
        f"{sanitize_name(path)} is empty (0 bytes)",
        hint=(
            f"it may have just begun to be uploaded: {NEXT_FETCH_RETRIES}. If it stays so, ask whoever sends the roster"
        ),
    )


def make_no_csv_error(folder: str, names: Sequence[str]) -> Diagnostic:
    archive = next((name for name in names if name.casefold().endswith(".zip")), None)
    lies = f"it holds {format_names(sorted(names))}" if names else "it is empty"
    hint = f"if {sanitize_name(archive)} is the roster, write it into rostering.sync.path" if archive else None
    return build_error(
        "no-csv-in-folder",
        f"the folder {sanitize_name(folder)} holds no CSV file: {lies}",
        hint=hint or f"ask whoever sends the roster why it is not there; {NEXT_FETCH_RETRIES}",
    )


def make_no_match_error(folder: str, pattern: str, listing: Sequence[RemoteEntry], marker: str | None) -> Diagnostic:
    names = sorted(entry.name for entry in listing)
    unfinished = [name for name in names if is_ignored(name, marker)]
    lies = f"it holds {format_names(names)}" if names else "it is empty"
    hint = (
        "names that begin with a dot or end in .part, .tmp and the like are never taken: they are not whole yet"
        if unfinished
        else "correct rostering.sync.path, or ask whoever sends the roster why it is not there"
    )
    return build_error(
        "nothing-fits-pattern",
        f"no file in {sanitize_name(folder)} fits {sanitize_name(pattern)}: {lies}",
        hint=f"{hint}; {NEXT_FETCH_RETRIES}",
    )


def make_marker_missing_error(folder: str, names: Sequence[str], marker: str) -> Diagnostic:
    return build_error(
        "done-marker-missing",
        f"{format_names(names)} in {sanitize_name(folder)}: no done marker "
        f"({sanitize_name(f'{names[0]}{marker}')}) says that it is whole",
        hint=f"it is still being sent, or the sender puts no marker there any more: {NEXT_FETCH_RETRIES}, or leave out"
        " rostering.sync.done_marker",
    )


def make_marker_older_error(path: str, marker: str) -> Diagnostic:
    return build_error(
        "done-marker-older",
        f"{sanitize_name(posixpath.basename(path) + marker)} is older than {sanitize_name(path)}: it "
        "speaks of the one before",
        hint=f"it is still being sent: {NEXT_FETCH_RETRIES}. The sender has to put the marker there after the roster",
    )


def make_no_digest_error(path: str, marker: str, name: str) -> Diagnostic:
    return build_error(
        "digest-unreadable",
        f"{sanitize_name(posixpath.basename(path) + marker)} holds no SHA-256 of {sanitize_name(name)}",
        hint="the sender has to write it as `sha256sum` does, or use another ending that only says that it is done",
    )


def check_digest_names(
    path: str, marker: str, digests: Mapping[str, str], names: Sequence[str]
) -> tuple[Diagnostic, ...]:
    """Of a folder, each CSV file has one, and each of them its file."""
    beside = sanitize_name(posixpath.basename(path) + marker)

    def each() -> Iterator[Diagnostic]:
        if extra := sorted(name for name in digests if name.casefold().endswith(".csv") and name not in names):
            hint = f"the folder is not whole: {NEXT_FETCH_RETRIES}"
            yield build_error(
                "file-of-digest-missing",
                f"{beside} names {format_names(extra)}, not in {sanitize_name(path)}",
                hint=hint,
            )
        if bare := sorted(name for name in names if name not in digests):
            yield make_no_digest_error(path, marker, format_names(bare))

    return tuple(each())


def make_digest_differs_error(name: str, marker: str) -> Diagnostic:
    return build_error(
        "digest-differs",
        f"{sanitize_name(name)} does not have the SHA-256 that its {sanitize_name(marker)} file gives",
        hint=f"the file or its marker was replaced, or damaged on its way there: {NEXT_FETCH_RETRIES}; "
        "if it stays so, ask the sender",
    )


def make_link_leaves_error(folder: str, path: str, end: str) -> Diagnostic:
    return build_error(
        "link-leaves-folder",
        f"{sanitize_name(path)} is a link, or goes through one, that leaves {sanitize_name(folder)}: "
        f"it leads to {sanitize_name(end)}",
        hint="it was not read, as it may be somebody else's. If it is meant, write where it leads into"
        " rostering.sync.path",
    )


def make_endless_links_error(path: str) -> Diagnostic:
    return build_error(
        "link-leaves-folder",
        f"{sanitize_name(path)} leads through more links than can be followed",
        hint="ask whoever keeps the server for the file's real path",
    )


def make_no_size_error(name: str) -> Diagnostic:
    return build_error(
        "remote-size-unknown",
        f"the server does not say how large {sanitize_name(name)} is",
        hint="whether it came whole could not be told; ask the server's owner for one that says so",
    )


def make_too_large_error(roster: RemoteRoster) -> Diagnostic:
    return build_error(
        "roster-too-large",
        f"{sanitize_name(roster.path)} has {roster.size / 1024**3:,.1f} GiB; a roster has at most "
        f"{MOST_BYTES // 1024**3} GiB",
        hint="nothing was fetched. Check rostering.sync.path: this is no roster",
    )


def make_too_many_names_error(folder: str, most: int) -> Diagnostic:
    return build_error(
        "too-many-names",
        f"{sanitize_name(folder)} holds more than {most:,} names",
        hint="ask whoever sends the roster to clear the folder up, or to use one of its own",
    )


def make_newer_not_done_warning(name: str, newer_names: Sequence[str], marker: str) -> Diagnostic:
    return build_warning(
        "newer-not-done",
        f"{sanitize_name(name)} was taken: {format_names(newer_names)} would come first, but no "
        f"{sanitize_name(marker)} file says that it is"
        " whole",
        hint=f"if that is still being sent, {NEXT_FETCH_RETRIES}",
    )


def make_other_files_info(name: str, other_names: Sequence[str], pick: str) -> Diagnostic:
    return build_info(
        "other-files-fit", f"{sanitize_name(name)} was taken (pick: {pick}); there are also {format_names(other_names)}"
    )


def make_ignored_files_info(folder: str, names: Sequence[str]) -> Diagnostic:
    return build_info("ignored-file", f"ignored in {sanitize_name(folder)}, as no CSV: {format_names(names)}")


def make_clock_skew_warning(account: SftpAccount, names: Sequence[str]) -> Diagnostic:
    return build_warning(
        "clock-skew",
        f"{format_names(names)}: the time is in the future by our clock, and is not relied on",
        hint=f"the clock of {account.host} or of this machine is wrong, or the sender sets the time",
    )


def make_still_uploading_error(name: str, how: str) -> Diagnostic:
    return build_error(
        "still-being-uploaded",
        f"{sanitize_name(name)} is still being uploaded: {how}",
        hint=f"nothing was compared; {NEXT_FETCH_RETRIES}. A sender can upload under another name "
        "and rename at the end, or put a done marker (rostering.sync.done_marker)",
    )


def make_disk_full_error(size: int) -> Diagnostic:
    return build_error(
        "disk-full",
        f"there is no room for the roster ({size / 1024**2:,.0f} MiB) in the folder of temporary files",
        hint="nothing was compared. Free some space there, or set TMPDIR to a folder on another disk",
    )


def make_host_key_unknown_error(account: SftpAccount) -> Diagnostic:
    return build_error(
        "host-key-unknown",
        f"the key of {account.host} is not known, and none is taken on trust; nothing was sent to it",
        hint="`reconciler roster probe CUSTOMER` prints the line to paste as host_key, after comparing its fingerprint"
        " with the server's owner",
    )
