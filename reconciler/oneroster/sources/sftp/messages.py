"""What is said of what lies, or does not lie, on a server: names of files, and nothing of what they hold."""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Iterator, Mapping, Sequence

from reconciler.model.diagnostic import Diagnostic, error, info, warning
from reconciler.oneroster.archive.archive import MOST_BYTES
from reconciler.oneroster.sources.sftp.account import SftpAccount
from reconciler.oneroster.sources.sftp.listing import Entry, passed_over
from reconciler.oneroster.sources.sftp.target import Target

# Names on a server as a terminal can show them: they are whatever somebody called a file there.

MOST_LISTED = 10
MOST_LENGTH = 80


def shown(name: str) -> str:
    """No control characters, nothing that turns a line around, not endless."""
    safe = "".join(character if character.isprintable() else "?" for character in name)
    return safe if len(safe) <= MOST_LENGTH else f"{safe[: MOST_LENGTH - 3]}..."


def listed(names: Sequence[str], most: int = MOST_LISTED) -> str:
    """The first few, and how many more there are."""
    text = ", ".join(shown(name) for name in names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most:,} more"


AGAIN = "the next fetch tries again"


def pattern_in_folder(account: SftpAccount) -> Diagnostic:
    return error(
        "pattern-in-folder",
        f"{shown(account.path)}: only the last part of a path may be a pattern",
        hint="write the folder as it is called; a pattern stands for files in one folder, such as /out/roster-*.zip",
    )


def pick_missing(account: SftpAccount) -> Diagnostic:
    return error(
        "pick-missing",
        f"{shown(account.path)} is a pattern, and nothing says which of several files is the roster",
        hint="write pick: newest or pick: last_by_name, or the path of one file",
    )


def missing(path: str, gone: str, there: Sequence[str] | None) -> Diagnostic:
    """gone: the first part of the path that is not there. there: names beside it; None where they cannot be listed."""
    folder, name = posixpath.split(gone)
    what = "the roster" if gone == path else f"the folder of {shown(posixpath.basename(path))}"
    if there is not None and name in there:
        lies = "it is a link to something that is not there"
    elif there is None:
        lies = f"what lies in {shown(folder)} cannot be listed"
    else:
        lies = f"{shown(folder)} holds {listed(sorted(there))}" if there else f"{shown(folder)} is empty"
    there = [each for each in there or () if each != name]
    close = difflib.get_close_matches(name.casefold(), [each.casefold() for each in there], 1)
    meant = next((each for each in there if close and each.casefold() == close[0]), None)
    hint = "correct rostering.sync.path, or ask whoever sends the roster why it is not there"
    return error(
        "remote-file-missing",
        f"{shown(gone)} is not there: {what} was expected under that name; {lies}",
        hint=f"did you mean {shown(meant)}? Else {hint}" if meant else hint,
    )


def no_permission(account: SftpAccount, path: str) -> Diagnostic:
    return error(
        "remote-permission-denied",
        f"{shown(account.username)} may not read {shown(path)}",
        hint="ask the server's owner to let this account read it",
    )


def not_a_file(path: str) -> Diagnostic:
    return error(
        "not-a-regular-file",
        f"{shown(path)} is neither a file nor a folder",
        hint="correct rostering.sync.path: it names the ZIP, or the folder of the CSV files",
    )


def empty_file(path: str) -> Diagnostic:
    return error(
        "remote-file-empty",
        f"{shown(path)} is empty (0 bytes)",
        hint=f"it may have just begun to be uploaded: {AGAIN}. If it stays so, ask whoever sends the roster",
    )


def no_csv(folder: str, there: Sequence[str]) -> Diagnostic:
    archive = next((name for name in there if name.casefold().endswith(".zip")), None)
    lies = f"it holds {listed(sorted(there))}" if there else "it is empty"
    hint = f"if {shown(archive)} is the roster, write it into rostering.sync.path" if archive else None
    return error(
        "no-csv-in-folder",
        f"the folder {shown(folder)} holds no CSV file: {lies}",
        hint=hint or f"ask whoever sends the roster why it is not there; {AGAIN}",
    )


def nothing_fits(folder: str, pattern: str, there: Sequence[Entry], marker: str | None) -> Diagnostic:
    names = sorted(entry.name for entry in there)
    unfinished = [name for name in names if passed_over(name, marker)]
    lies = f"it holds {listed(names)}" if names else "it is empty"
    hint = (
        "names that begin with a dot or end in .part, .tmp and the like are never taken: they are not whole yet"
        if unfinished
        else "correct rostering.sync.path, or ask whoever sends the roster why it is not there"
    )
    return error(
        "nothing-fits-pattern", f"no file in {shown(folder)} fits {shown(pattern)}: {lies}", hint=f"{hint}; {AGAIN}"
    )


def none_done(folder: str, names: Sequence[str], marker: str) -> Diagnostic:
    return error(
        "done-marker-missing",
        f"{listed(names)} in {shown(folder)}: no done marker ({shown(f'{names[0]}{marker}')}) says that it is whole",
        hint=f"it is still being sent, or the sender puts no marker there any more: {AGAIN}, or leave out"
        " rostering.sync.done_marker",
    )


def marker_older(path: str, marker: str) -> Diagnostic:
    return error(
        "done-marker-older",
        f"{shown(posixpath.basename(path) + marker)} is older than {shown(path)}: it speaks of the one before",
        hint=f"it is still being sent: {AGAIN}. The sender has to put the marker there after the roster",
    )


def no_digest(path: str, marker: str, name: str) -> Diagnostic:
    return error(
        "digest-unreadable",
        f"{shown(posixpath.basename(path) + marker)} holds no SHA-256 of {shown(name)}",
        hint="the sender has to write it as `sha256sum` does, or use another ending that only says that it is done",
    )


def digests_that_do_not_fit(
    path: str, marker: str, digests: Mapping[str, str], names: Sequence[str]
) -> tuple[Diagnostic, ...]:
    """Of a folder, each CSV file has one, and each of them its file."""
    beside = shown(posixpath.basename(path) + marker)

    def each() -> Iterator[Diagnostic]:
        if extra := sorted(name for name in digests if name.casefold().endswith(".csv") and name not in names):
            hint = f"the folder is not whole: {AGAIN}"
            yield error("file-of-digest-missing", f"{beside} names {listed(extra)}, not in {shown(path)}", hint=hint)
        if bare := sorted(name for name in names if name not in digests):
            yield no_digest(path, marker, listed(bare))

    return tuple(each())


def digest_differs(name: str, marker: str) -> Diagnostic:
    return error(
        "digest-differs",
        f"{shown(name)} does not have the SHA-256 that its {shown(marker)} file gives",
        hint=f"the file or its marker was replaced, or damaged on its way there: {AGAIN}; if it stays so, ask"
        " the sender",
    )


def leaves(folder: str, path: str, end: str) -> Diagnostic:
    return error(
        "link-leaves-folder",
        f"{shown(path)} is a link, or goes through one, that leaves {shown(folder)}: it leads to {shown(end)}",
        hint="it was not read, as it may be somebody else's. If it is meant, write where it leads into"
        " rostering.sync.path",
    )


def endless_links(path: str) -> Diagnostic:
    return error(
        "link-leaves-folder",
        f"{shown(path)} leads through more links than can be followed",
        hint="ask whoever keeps the server for the file's real path",
    )


def no_size(name: str) -> Diagnostic:
    return error(
        "remote-size-unknown",
        f"the server does not say how large {shown(name)} is",
        hint="whether it came whole could not be told; ask the server's owner for one that says so",
    )


def too_large(found: Target) -> Diagnostic:
    return error(
        "roster-too-large",
        f"{shown(found.path)} has {found.size / 1024**3:,.1f} GiB; a roster has at most {MOST_BYTES // 1024**3} GiB",
        hint="nothing was fetched. Check rostering.sync.path: this is no roster",
    )


def too_many_names(folder: str, most: int) -> Diagnostic:
    return error(
        "too-many-names",
        f"{shown(folder)} holds more than {most:,} names",
        hint="ask whoever sends the roster to clear the folder up, or to use one of its own",
    )


def newer_not_done(taken: str, passed: Sequence[str], marker: str) -> Diagnostic:
    return warning(
        "newer-not-done",
        f"{shown(taken)} was taken: {listed(passed)} would come first, but no {shown(marker)} file says that it is"
        " whole",
        hint=f"if that is still being sent, {AGAIN}",
    )


def others_fit(taken: str, others: Sequence[str], pick: str) -> Diagnostic:
    return info("other-files-fit", f"{shown(taken)} was taken (pick: {pick}); there are also {listed(others)}")


def left(folder: str, names: Sequence[str]) -> Diagnostic:
    return info("ignored-file", f"ignored in {shown(folder)}, as no CSV: {listed(names)}")


def clock_skew(account: SftpAccount, names: Sequence[str]) -> Diagnostic:
    return warning(
        "clock-skew",
        f"{listed(names)}: the time is in the future by our clock, and is not relied on",
        hint=f"the clock of {account.host} or of this machine is wrong, or the sender sets the time",
    )


def still_being_uploaded(name: str, how: str) -> Diagnostic:
    return error(
        "still-being-uploaded",
        f"{shown(name)} is still being uploaded: {how}",
        hint=f"nothing was compared; {AGAIN}. A sender can upload under another name and rename at the end, or put a"
        " done marker (rostering.sync.done_marker)",
    )


def disk_full(needed: int) -> Diagnostic:
    return error(
        "disk-full",
        f"there is no room for the roster ({needed / 1024**2:,.0f} MiB) in the folder of temporary files",
        hint="nothing was compared. Free some space there, or set TMPDIR to a folder on another disk",
    )


def key_unknown(account: SftpAccount) -> Diagnostic:
    return error(
        "host-key-unknown",
        f"the key of {account.host} is not known, and none is taken on trust; nothing was sent to it",
        hint="`reconciler roster probe CUSTOMER` prints the line to paste as host_key, after comparing its fingerprint"
        " with the server's owner",
    )
