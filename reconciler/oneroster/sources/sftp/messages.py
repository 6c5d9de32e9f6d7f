"""Builds diagnostics about files on a server: their names, never their content."""

import difflib
import posixpath
from collections.abc import Iterator, Mapping, Sequence

from reconciler.model.diagnostic import Diagnostic, build_error, build_info, build_warning
from reconciler.oneroster.archive.archive import MOST_BYTES
from reconciler.oneroster.sources.sftp.account import SftpAccount
from reconciler.oneroster.sources.sftp.listing import RemoteEntry, is_ignored
from reconciler.oneroster.sources.sftp.target import RemoteRoster

# Names on a server may contain anything, so they are made safe for a terminal.

MOST_LISTED = 10
MOST_LENGTH = 80


def sanitize_name(name: str) -> str:
    """Return a name without control characters and marks of direction, shortened."""
    safe = "".join(character if character.isprintable() else "?" for character in name)
    return safe if len(safe) <= MOST_LENGTH else f"{safe[: MOST_LENGTH - 3]}..."


def format_names(names: Sequence[str], most: int = MOST_LISTED) -> str:
    """Return the first names and the number of the others."""
    text = ", ".join(sanitize_name(name) for name in names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most:,} more"


NEXT_FETCH_RETRIES = "The next fetch tries again."


def make_pattern_in_folder_error(account: SftpAccount) -> Diagnostic:
    return build_error(
        "pattern-in-folder",
        f"{sanitize_name(account.path)}: only the last part of a path can be a pattern",
        hint="Write the folder's full name. A pattern matches files in one folder, such as /out/roster-*.zip.",
    )


def make_pick_missing_error(account: SftpAccount) -> Diagnostic:
    return build_error(
        "pick-missing",
        f"{sanitize_name(account.path)} is a pattern, but pick does not say which of several files is the roster",
        hint="Set pick: newest or pick: last_by_name, or write the path of one file.",
    )


def make_file_missing_error(path: str, missing_part: str, sibling_names: Sequence[str] | None) -> Diagnostic:
    """Build the error for a missing file.

    gone: the first part of the path that doesn't exist. there: names beside it; None if they can't be listed.
    """
    folder, name = posixpath.split(missing_part)
    what = "the roster" if missing_part == path else f"the folder of {sanitize_name(posixpath.basename(path))}"
    if sibling_names is not None and name in sibling_names:
        lies = "it is a link to something that does not exist"
    elif sibling_names is None:
        lies = f"{sanitize_name(folder)} cannot be listed"
    else:
        lies = (
            f"{sanitize_name(folder)} holds {format_names(sorted(sibling_names))}"
            if sibling_names
            else f"{sanitize_name(folder)} is empty"
        )
    sibling_names = [each for each in sibling_names or () if each != name]
    close = difflib.get_close_matches(name.casefold(), [each.casefold() for each in sibling_names], 1)
    meant = next((each for each in sibling_names if close and each.casefold() == close[0]), None)
    hint = "Correct rostering.sync.path, or ask the sender why the file is missing."
    return build_error(
        "remote-file-missing",
        f"{sanitize_name(missing_part)} does not exist: {what} was expected there; {lies}",
        hint=f"Did you mean {sanitize_name(meant)}? {hint}" if meant else hint,
    )


def make_no_permission_error(account: SftpAccount, path: str) -> Diagnostic:
    return build_error(
        "remote-permission-denied",
        f"{sanitize_name(account.username)} may not read {sanitize_name(path)}",
        hint="Ask the server's owner to let this account read it.",
    )


def make_not_a_file_error(path: str) -> Diagnostic:
    return build_error(
        "not-a-regular-file",
        f"{sanitize_name(path)} is neither a file nor a folder",
        hint="Correct rostering.sync.path: it names the ZIP, or the folder of the CSV files.",
    )


def make_empty_file_error(path: str) -> Diagnostic:
    return build_error(
        "remote-file-empty",
        f"{sanitize_name(path)} is empty (0 bytes)",
        hint=(f"The upload may have just begun. {NEXT_FETCH_RETRIES} If it stays empty, ask the sender."),
    )


def make_no_csv_error(folder: str, names: Sequence[str]) -> Diagnostic:
    archive = next((name for name in names if name.casefold().endswith(".zip")), None)
    lies = f"it holds {format_names(sorted(names))}" if names else "it is empty"
    hint = f"If {sanitize_name(archive)} is the roster, write it into rostering.sync.path." if archive else None
    return build_error(
        "no-csv-in-folder",
        f"the folder {sanitize_name(folder)} holds no CSV file: {lies}",
        hint=hint or f"Ask the sender why it is missing. {NEXT_FETCH_RETRIES}",
    )


def make_no_match_error(folder: str, pattern: str, listing: Sequence[RemoteEntry], marker: str | None) -> Diagnostic:
    names = sorted(entry.name for entry in listing)
    unfinished = [name for name in names if is_ignored(name, marker)]
    lies = f"it holds {format_names(names)}" if names else "it is empty"
    hint = (
        "Names that begin with a dot or end in .part or .tmp are skipped as incomplete."
        if unfinished
        else "Correct rostering.sync.path, or ask the sender why the file is missing."
    )
    return build_error(
        "nothing-fits-pattern",
        f"no file in {sanitize_name(folder)} matches {sanitize_name(pattern)}: {lies}",
        hint=f"{hint} {NEXT_FETCH_RETRIES}",
    )


def make_marker_missing_error(folder: str, names: Sequence[str], marker: str) -> Diagnostic:
    return build_error(
        "done-marker-missing",
        f"{format_names(names)} in {sanitize_name(folder)}: no done marker "
        f"({sanitize_name(f'{names[0]}{marker}')}) says that it is complete",
        hint="The upload may still be running; the next fetch tries again. If the sender no longer writes markers,"
        " remove rostering.sync.done_marker.",
    )


def make_marker_older_error(path: str, marker: str) -> Diagnostic:
    return build_error(
        "done-marker-older",
        f"{sanitize_name(posixpath.basename(path) + marker)} is older than {sanitize_name(path)}: it "
        "belongs to an earlier file",
        hint=f"The upload may still be running. {NEXT_FETCH_RETRIES} "
        "The sender must write the marker after the roster.",
    )


def make_no_digest_error(path: str, marker: str, name: str) -> Diagnostic:
    return build_error(
        "digest-unreadable",
        f"{sanitize_name(posixpath.basename(path) + marker)} holds no SHA-256 of {sanitize_name(name)}",
        hint="Ask the sender to write it as sha256sum does, or to use an ending that only marks completion.",
    )


def check_digest_names(
    path: str, marker: str, digests: Mapping[str, str], names: Sequence[str]
) -> tuple[Diagnostic, ...]:
    """Return errors for CSV files without a digest, and digests without a file."""
    beside = sanitize_name(posixpath.basename(path) + marker)

    def each() -> Iterator[Diagnostic]:
        if extra := sorted(name for name in digests if name.casefold().endswith(".csv") and name not in names):
            hint = f"The folder is incomplete. {NEXT_FETCH_RETRIES}"
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
        hint=f"The file or its marker was replaced or damaged. {NEXT_FETCH_RETRIES} If it persists, ask the sender.",
    )


def make_link_leaves_error(folder: str, path: str, end: str) -> Diagnostic:
    return build_error(
        "link-leaves-folder",
        f"{sanitize_name(path)} is a link, or goes through one, that leaves {sanitize_name(folder)}: "
        f"it leads to {sanitize_name(end)}",
        hint="It was not read, because it may belong to someone else. If it is the roster, write its target into"
        " rostering.sync.path.",
    )


def make_endless_links_error(path: str) -> Diagnostic:
    return build_error(
        "link-leaves-folder",
        f"{sanitize_name(path)} goes through too many links",
        hint="Ask the server's owner for the file's real path.",
    )


def make_no_size_error(name: str) -> Diagnostic:
    return build_error(
        "remote-size-unknown",
        f"the server does not report the size of {sanitize_name(name)}",
        hint="Without a size, a cut download can't be noticed. Ask the server's owner for a server that reports it.",
    )


def make_too_large_error(roster: RemoteRoster) -> Diagnostic:
    return build_error(
        "roster-too-large",
        f"{sanitize_name(roster.path)} has {roster.size / 1024**3:,.1f} GiB; a roster has at most "
        f"{MOST_BYTES // 1024**3} GiB",
        hint="Nothing was fetched. Check rostering.sync.path: this is not a roster.",
    )


def make_too_many_names_error(folder: str, most: int) -> Diagnostic:
    return build_error(
        "too-many-names",
        f"{sanitize_name(folder)} holds more than {most:,} names",
        hint="Ask the sender to clean up the folder, or to use a separate one.",
    )


def make_newer_not_done_warning(name: str, newer_names: Sequence[str], marker: str) -> Diagnostic:
    return build_warning(
        "newer-not-done",
        f"{sanitize_name(name)} was used: {format_names(newer_names)} would come first, but no "
        f"{sanitize_name(marker)} file marks it as complete",
        hint=f"That upload may still be running. {NEXT_FETCH_RETRIES}",
    )


def make_other_files_info(name: str, other_names: Sequence[str], pick: str) -> Diagnostic:
    return build_info(
        "other-files-fit", f"{sanitize_name(name)} was used (pick: {pick}); other matches: {format_names(other_names)}"
    )


def make_ignored_files_info(folder: str, names: Sequence[str]) -> Diagnostic:
    return build_info(
        "ignored-file", f"ignored in {sanitize_name(folder)}, because it is not CSV: {format_names(names)}"
    )


def make_clock_skew_warning(account: SftpAccount, names: Sequence[str]) -> Diagnostic:
    return build_warning(
        "clock-skew",
        f"{format_names(names)}: the file time is in the future by this machine's clock, so it is ignored",
        hint=f"Check the clocks of {account.host} and of this machine, or ask the sender whether it sets file times.",
    )


def make_still_uploading_error(name: str, how: str) -> Diagnostic:
    return build_error(
        "still-being-uploaded",
        f"{sanitize_name(name)} is still being uploaded: {how}",
        hint=f"Nothing was compared. {NEXT_FETCH_RETRIES} The sender can upload under another name "
        "and rename at the end, or write a done marker (rostering.sync.done_marker).",
    )


def make_disk_full_error(size: int) -> Diagnostic:
    return build_error(
        "disk-full",
        f"not enough space for the roster ({size / 1024**2:,.0f} MiB) in the folder for temporary files",
        hint="Nothing was compared. Free some space there, or set TMPDIR to a folder on another disk.",
    )


def make_host_key_unknown_error(account: SftpAccount) -> Diagnostic:
    return build_error(
        "host-key-unknown",
        f"the host key of {account.host} is not pinned; nothing was sent",
        hint="Run `reconciler roster probe CUSTOMER`, compare the fingerprint with the server's owner, then paste the"
        " line as host_key.",
    )
