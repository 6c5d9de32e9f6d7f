"""The members of a ZIP archive, checked before a byte is unpacked and streamed under caps, never extracted to disk.

A hostile or damaged archive is refused whole: what is left of it proves nothing about what is absent.
"""

from __future__ import annotations

import io
import posixpath
import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error, build_info, build_warning

MOST_CSV_MEMBERS = 64
MOST_MEMBERS = 1_000
MOST_NAME_LENGTH = 1_024
MOST_BYTES = 5 * 1024**3
MOST_RATIO = 100
#: Below this a member may be packed as tightly as it likes.
RATIO_FROM = 1024**2
#: The ratio is kept by every so many bytes that come out, so that a tight part does not hide behind a loose one.
RATIO_WINDOW = 32 * 1024**2
#: Unpacked at a time. As much may be taken from the archive ahead of what comes out.
CHUNK = 256 * 1024
#: Bytes of an archive that are read before any file in it: its directory and what leads to that.
MOST_DIRECTORY = 4 * 1024**2

#: Of a member's flags: packed with a password, with strong encryption, its name masked.
ENCRYPTED_FLAG = 0x1 | 0x40 | 0x2000
AES = 99
LOCAL_HEADER = struct.Struct("<4s22xHH")
#: What zipfile and zlib raise where an archive is not what it says.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    OverflowError,
    ValueError,
    NotImplementedError,
)
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
UNSAFE_NAME = re.compile(r"(^/)|(^[A-Za-z]:)|(\\)|((^|/)\.\.(/|$))|([\x00-\x1f\x7f])")
NOISE = re.compile(r"(^|/)(__MACOSX(/|$)|\.[^/]+$|desktop\.ini$|thumbs\.db$)", re.IGNORECASE)
NESTED = (".zip", ".7z", ".rar", ".gz", ".tar", ".tgz", ".bz2", ".xz")


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """name: without the folder that all CSV files share. compressed: its length in the archive."""

    name: str
    size_in_archive: int
    entry: zipfile.ZipInfo


class Archive:
    """An open archive whose directory has passed every check. Reading counts towards one cap for all members."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        """Raises Refusal. `name` is shown to people; the stream stays the caller's to close."""
        self.name = name
        self._unpacked = 0
        self._source = ReadMeter(stream, MOST_DIRECTORY)
        self._zip = _open_zip(self._source, name)
        self._source.allowed = None
        entries = [entry for entry in self._zip.infolist() if not entry.is_dir()]
        problems = list(_find_directory_problems(entries, name)) or list(
            _find_layout_problems(entries, stream, self._zip.start_dir, name)
        )
        if problems:
            raise Refusal(problems)
        noise = [entry for entry in entries if NOISE.search(entry.filename)]
        members = [entry for entry in entries if not NOISE.search(entry.filename)]
        csv_files = [entry for entry in members if entry.filename.lower().endswith(".csv")]
        nested = [entry.filename for entry in members if entry.filename.lower().endswith(NESTED)]
        if nested:
            raise Refusal([_make_nested_error(nested, name)])
        folder = _find_common_folder(csv_files, name)
        self.members = tuple(
            ArchiveMember(entry.filename[len(folder) :], entry.compress_size, entry) for entry in csv_files
        )
        others = [entry.filename for entry in members if entry not in csv_files]
        self.diagnostics = tuple(_build_diagnostics(folder, [entry.filename for entry in noise], others, name))

    def iter_chunks(self, member: ArchiveMember) -> Iterator[bytes]:
        """Its bytes in pieces. Raises Refusal where it is damaged, or unpacks to more than a roster can be."""
        length = since = 0
        taken = self._source.taken
        try:
            with self._zip.open(member.entry) as stream:
                while chunk := stream.read(CHUNK):
                    length += len(chunk)
                    since += len(chunk)
                    self._unpacked += len(chunk)
                    if length > RATIO_FROM and length > MOST_RATIO * member.size_in_archive:
                        raise Refusal([_make_ratio_error(member.name, self.name)])
                    if since > RATIO_WINDOW:
                        if since > MOST_RATIO * (self._source.taken - taken):
                            raise Refusal([_make_ratio_error(member.name, self.name)])
                        since, taken = 0, self._source.taken
                    if self._unpacked > MOST_BYTES:
                        raise Refusal([_make_size_error(member.name, self.name)])
                    yield chunk
            if length != member.entry.file_size:
                raise EOFError
        except DAMAGE as damage:
            raise Refusal([_make_damage_error(member.name, self.name)]) from damage

    def read(
        self, member: ArchiveMember, watch: Callable[[bytes], object] | None = None, most: int | None = None
    ) -> bytes:
        """All of it, or a little more than the first `most` bytes. watch: is given every piece as it comes, and may
        raise Refusal. Raises Refusal as `chunks` does."""
        sink = io.BytesIO()
        for chunk in self.iter_chunks(member):
            if watch is not None:
                watch(chunk)
            sink.write(chunk)
            if most is not None and sink.tell() > most:
                break
        return sink.getvalue()


class ReadMeter:
    """A file that counts what is read of it, and reads no more than is allowed at the moment (None: anything)."""

    def __init__(self, stream: BinaryIO, limit: int | None = None) -> None:
        self.taken = 0
        self.allowed = limit
        self.seek, self.tell, self.seekable, self.close = stream.seek, stream.tell, stream.seekable, stream.close
        self._stream = stream

    def read(self, length: int = -1) -> bytes:
        most = length if self.allowed is None else self.allowed - self.taken + 1
        found = self._stream.read(most if length < 0 else min(length, most))
        self.taken += len(found)
        if self.allowed is not None and self.taken > self.allowed:
            raise _DirectoryTooLarge
        return found


class _DirectoryTooLarge(Exception):  # noqa: N818 - becomes a diagnostic
    """The archive's directory is larger than any roster's."""


def _open_zip(stream: ReadMeter, name: str) -> zipfile.ZipFile:
    start = stream.read(4)
    if not start:
        raise Refusal([build_error("empty-file", "the file is empty (0 bytes)", Span(name), "send it again")])
    try:
        return zipfile.ZipFile(cast(IO[bytes], stream))
    except _DirectoryTooLarge as problem:
        raise Refusal([_make_count_error("more files than can be listed", name)]) from problem
    except (OSError, *DAMAGE) as problem:
        if start.startswith(b"PK\x03\x04"):
            refusal = build_error(
                "truncated-archive",
                "the archive is incomplete: its end is missing or damaged",
                Span(name),
                "the upload was probably cut off; send the file again",
            )
        else:
            refusal = build_error(
                "not-a-zip", "this is not a ZIP archive", Span(name), "pack the CSV files into one ZIP file"
            )
        raise Refusal([refusal]) from problem


def _find_directory_problems(entries: Sequence[zipfile.ZipInfo], name: str) -> Iterator[Diagnostic]:
    """Everything in the archive's directory that a roster never has."""
    where = Span(name)
    csv_count = sum(entry.filename.lower().endswith(".csv") for entry in entries)
    if len(entries) > MOST_MEMBERS or csv_count > MOST_CSV_MEMBERS:
        yield _make_count_error(f"{len(entries):,} files, {csv_count:,} of them CSV", name)
        return
    for entry in entries:
        shown = _format_name(entry.filename)
        if UNSAFE_NAME.search(entry.orig_filename) or len(entry.filename) > MOST_NAME_LENGTH:
            yield build_error(
                "unsafe-member-name",
                f"the name {shown} leads out of the archive or cannot be a file's name",
                where,
                "pack the CSV files at the root of the archive",
            )
        mode = entry.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            yield build_error(
                "not-a-regular-file", f"{shown} is a link or a device, not a file", where, "pack the file itself"
            )
        if entry.flag_bits & ENCRYPTED_FLAG or entry.compress_type == AES:
            yield build_error(
                "encrypted-member", f"{shown} is protected by a password", where, "pack it without a password"
            )
        elif entry.compress_type not in METHODS:
            yield build_error(
                "unknown-compression", f"{shown} is packed in an unusual way", where, "pack it as ordinary ZIP"
            )
    spellings = Counter(entry.filename.lower() for entry in entries)
    for folded in sorted(folded for folded, count in spellings.items() if count > 1):
        both = " and ".join(_format_name(entry.filename) for entry in entries if entry.filename.lower() == folded)
        yield build_error("duplicate-member", f"the archive holds {both}", where, "keep one of them")
    # What an archive says of itself is no proof that it is harmless, but enough to refuse it before it is unpacked.
    used = [entry for entry in entries if entry.filename.lower().endswith(".csv")]
    for entry in used:
        if entry.file_size > RATIO_FROM and entry.file_size > MOST_RATIO * entry.compress_size:
            yield _make_ratio_error(entry.filename, name)
    if sum(entry.file_size for entry in used) > MOST_BYTES:
        yield _make_size_error(max(used, key=lambda entry: entry.file_size).filename, name)


def _find_layout_problems(
    entries: Sequence[zipfile.ZipInfo], stream: BinaryIO, directory_at: int, name: str
) -> Iterator[Diagnostic]:
    """Members that share bytes with each other or with the directory, by where each of them says its bytes begin."""
    ends = directory_at
    for entry in sorted(entries, key=lambda entry: entry.header_offset, reverse=True):
        begin = _locate_data(stream, entry.header_offset, directory_at)
        if begin is None:
            yield _make_damage_error(entry.filename, name)
        elif begin + entry.compress_size > ends:
            yield build_error(
                "overlapping-members",
                f"{_format_name(entry.filename)} overlaps another member",
                Span(name),
                "pack it again",
            )
        ends = min(ends, entry.header_offset)


def _locate_data(stream: BinaryIO, header_at: int, directory_at: int) -> int | None:
    """Where a member's bytes begin, behind its own header; None where it has none."""
    if not 0 <= header_at <= directory_at - LOCAL_HEADER.size:
        return None
    stream.seek(header_at)
    header = stream.read(LOCAL_HEADER.size)
    if len(header) < LOCAL_HEADER.size:
        return None
    signature, name_length, extra_length = LOCAL_HEADER.unpack(header)
    return header_at + LOCAL_HEADER.size + name_length + extra_length if signature == b"PK\x03\x04" else None


def _find_common_folder(csv_files: Sequence[zipfile.ZipInfo], name: str) -> str:
    """The folder that all CSV files are in, with its slash; empty where they are at the root."""
    folders = sorted({posixpath.dirname(entry.filename) for entry in csv_files})
    if len(folders) > 1:
        listed = ", ".join(_format_name(folder) if folder else "the root" for folder in folders[:10])
        raise Refusal(
            [
                build_error(
                    "several-folders",
                    f"the CSV files are in {len(folders):,} places: {listed}",
                    Span(name),
                    "pack one roster, all its files at the root of the archive",
                )
            ]
        )
    return f"{folders[0]}/" if folders and folders[0] else ""


def _make_nested_error(names: Sequence[str], name: str) -> Diagnostic:
    """Nobody can tell which of them is the roster, and an archive in an archive is how bombs are built."""
    return build_error(
        "nested-archive",
        f"{_format_names(names)} inside the archive: it was not looked into",
        Span(name),
        "if the files are in it, send that one alone; else leave it out",
    )


def _build_diagnostics(folder: str, noise: Sequence[str], others: Sequence[str], name: str) -> Iterator[Diagnostic]:
    where = Span(name)
    if folder:
        yield build_warning(
            "folder-in-archive",
            f"the files are inside the folder {_format_name(folder)}",
            where,
            "the standard wants them at the root of the archive",
        )
    if others:
        yield build_info("ignored-file", f"ignored, as no CSV: {_format_names(others)}", where)
    if noise:
        yield build_info("ignored-file", f"ignored, as made by an operating system: {_format_names(noise)}", where)


def _make_ratio_error(member: str, name: str) -> Diagnostic:
    return _make_bomb_error(member, f"more than {MOST_RATIO} times its packed size", name)


def _make_size_error(member: str, name: str) -> Diagnostic:
    return _make_bomb_error(member, f"more than {MOST_BYTES // 1024**3} GiB in all", name)


def _make_bomb_error(member: str, how: str, name: str) -> Diagnostic:
    return build_error(
        "unpacks-too-large", f"{_format_name(member)} unpacks to {how}", Span(name), "this is no roster; pack it again"
    )


def _make_damage_error(member: str, name: str) -> Diagnostic:
    return build_error(
        "damaged-archive",
        f"{_format_name(member)} is damaged: it does not unpack to what was packed",
        Span(name),
        "the file was changed or cut off on its way; send it again",
    )


def _make_count_error(what: str, name: str) -> Diagnostic:
    return build_error(
        "too-many-members",
        f"the archive holds {what}; {MOST_MEMBERS:,} files, {MOST_CSV_MEMBERS} of them CSV, are the most a roster has",
        Span(name),
        "pack only the OneRoster files",
    )


def _format_names(names: Sequence[str]) -> str:
    shown = ", ".join(_format_name(name) for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5:,} more"


def _format_name(name: str) -> str:
    """A member's name that a terminal can show: no control characters, not endless."""
    safe = "".join(character if character.isprintable() else "?" for character in name)
    return safe if len(safe) <= 80 else f"{safe[:77]}..."
