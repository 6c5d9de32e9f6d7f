"""Streams the members of a ZIP archive under caps, after checking its directory; nothing is extracted to disk.

A hostile or damaged archive is refused as a whole, because the rest of it proves nothing about missing records.
"""

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
#: Members that unpack to fewer bytes than this may have any ratio.
RATIO_FROM = 1024**2
#: Unpacked bytes after which the ratio is checked anew, so that a loosely packed part cannot hide a tightly packed one.
RATIO_WINDOW = 32 * 1024**2
#: Bytes unpacked at a time; the reader may be as far ahead in the archive.
CHUNK = 256 * 1024
#: Bytes that may be read to find and load the archive's directory.
MOST_DIRECTORY = 4 * 1024**2

#: Member flags: password, strong encryption, masked header.
ENCRYPTED_FLAG = 0x1 | 0x40 | 0x2000
AES = 99
LOCAL_HEADER = struct.Struct("<4s22xHH")
#: Exceptions of zipfile and zlib for a damaged archive.
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
UNSAFE_NAME = re.compile(r"(^/)|(^[A-Za-z]:)|((^|/)\.\.(/|$))|([\x00-\x1f\x7f])")
NOISE = re.compile(r"(^|/)(__MACOSX(/|$)|\.[^/]+$|desktop\.ini$|thumbs\.db$)", re.IGNORECASE)
NESTED = (".zip", ".7z", ".rar", ".gz", ".tar", ".tgz", ".bz2", ".xz")


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """A CSV file in an archive."""

    #: Without the directory that all CSV files share.
    name: str
    #: Packed size in bytes.
    size_in_archive: int
    entry: zipfile.ZipInfo


class Archive:
    """An open archive whose directory passed every check. One cap covers the unpacked bytes of all members."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        """Check the directory of an archive shown to people as `name`; the caller closes the stream. Raises Refusal."""
        self.name = name
        self._unpacked = 0
        self._source = ReadMeter(stream, MOST_DIRECTORY)
        self._zip = _open_zip(self._source, name)
        self._source.allowed = None
        entries = list_files(self._zip)
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
        self.diagnostics = tuple(
            _build_diagnostics(folder, csv_files, [entry.filename for entry in noise], others, name)
        )

    def iter_chunks(self, member: ArchiveMember) -> Iterator[bytes]:
        """Yield the unpacked bytes of a member. Raises Refusal if it is damaged or too large."""
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
        """Return a member's bytes, or slightly more than the first `most` of them.

        `watch` gets every chunk and may raise Refusal. Raises Refusal as `iter_chunks` does."""
        sink = io.BytesIO()
        for chunk in self.iter_chunks(member):
            if watch is not None:
                watch(chunk)
            sink.write(chunk)
            if most is not None and sink.tell() > most:
                break
        return sink.getvalue()


class ReadMeter:
    """Counts the bytes read from a file and enforces the current limit (None: no limit)."""

    def __init__(self, stream: BinaryIO, limit: int | None = None) -> None:
        self.taken = 0
        self.allowed = limit
        self.seek, self.tell, self.seekable, self.close = stream.seek, stream.tell, stream.seekable, stream.close
        self._stream = stream

    def read(self, length: int = -1) -> bytes:
        most = length if self.allowed is None else self.allowed - self.taken + 1
        data = self._stream.read(most if length < 0 else min(length, most))
        self.taken += len(data)
        if self.allowed is not None and self.taken > self.allowed:
            raise _DirectoryTooLarge
        return data


class _DirectoryTooLarge(Exception):  # noqa: N818 - becomes a diagnostic
    """The archive's directory is larger than any roster's directory."""


def _open_zip(stream: ReadMeter, name: str) -> zipfile.ZipFile:
    start = stream.read(4)
    if not start:
        raise Refusal([build_error("empty-file", "the file is empty (0 bytes)", Span(name), "Send it again.")])
    try:
        return zipfile.ZipFile(cast(IO[bytes], stream))
    except _DirectoryTooLarge as problem:
        raise Refusal([_make_count_error("too many files to list", name)]) from problem
    except (OSError, *DAMAGE) as problem:
        if start.startswith(b"PK\x03\x04"):
            refusal = build_error(
                "truncated-archive",
                "the archive is incomplete: its end is missing or damaged",
                Span(name),
                "Send the file again; the upload was probably cut off.",
            )
        else:
            refusal = build_error(
                "not-a-zip", "this is not a ZIP archive", Span(name), "Pack the CSV files into one ZIP file."
            )
        raise Refusal([refusal]) from problem


def list_files(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the members that are no directories, with slashes in their names where Windows wrote backslashes.

    PowerShell 5 and .NET before 4.6.1 do that, against the ZIP format (APPNOTE 4.4.17)."""
    entries = archive.infolist()
    for entry in entries:
        entry.filename = entry.filename.replace("\\", "/")
    return [entry for entry in entries if not entry.filename.endswith("/")]


def has_unsafe_name(entry: zipfile.ZipInfo) -> bool:
    """Return whether a name leads out of the archive or has control characters, with slashes or backslashes."""
    return UNSAFE_NAME.search(entry.orig_filename.replace("\\", "/")) is not None


def _find_directory_problems(entries: Sequence[zipfile.ZipInfo], name: str) -> Iterator[Diagnostic]:
    where = Span(name)
    csv_count = sum(entry.filename.lower().endswith(".csv") for entry in entries)
    if len(entries) > MOST_MEMBERS or csv_count > MOST_CSV_MEMBERS:
        yield _make_count_error(f"{len(entries):,} files, {csv_count:,} of them CSV", name)
        return
    for entry in entries:
        shown = format_member_name(entry.filename)
        if has_unsafe_name(entry) or len(entry.filename) > MOST_NAME_LENGTH:
            yield build_error(
                "unsafe-member-name",
                f"the name {shown} points outside the archive or is not a valid file name",
                where,
                "Pack the CSV files at the root of the archive.",
            )
        mode = entry.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            yield build_error(
                "not-a-regular-file", f"{shown} is a link or a device, not a file", where, "Pack the file itself."
            )
        if entry.flag_bits & ENCRYPTED_FLAG or entry.compress_type == AES:
            yield build_error(
                "encrypted-member", f"{shown} is protected by a password", where, "Pack it without a password."
            )
        elif entry.compress_type not in METHODS:
            yield build_error(
                "unknown-compression",
                f"{shown} uses an unsupported compression method",
                where,
                "Pack it as an ordinary ZIP.",
            )
    spellings = Counter(entry.filename.lower() for entry in entries)
    for folded in sorted(folded for folded, count in spellings.items() if count > 1):
        both = " and ".join(format_member_name(entry.filename) for entry in entries if entry.filename.lower() == folded)
        yield build_error("duplicate-member", f"the archive holds {both}", where, "Keep one of them.")
    # The declared sizes do not prove that an archive is harmless, but can prove that it is not before it is unpacked.
    used = [entry for entry in entries if entry.filename.lower().endswith(".csv")]
    for entry in used:
        if entry.file_size > RATIO_FROM and entry.file_size > MOST_RATIO * entry.compress_size:
            yield _make_ratio_error(entry.filename, name)
    if sum(entry.file_size for entry in used) > MOST_BYTES:
        yield _make_size_error(max(used, key=lambda entry: entry.file_size).filename, name)


def _find_layout_problems(
    entries: Sequence[zipfile.ZipInfo], stream: BinaryIO, directory_at: int, name: str
) -> Iterator[Diagnostic]:
    """Find members whose declared bytes overlap each other or the directory."""
    ends = directory_at
    for entry in sorted(entries, key=lambda entry: entry.header_offset, reverse=True):
        begin = _locate_data(stream, entry.header_offset, directory_at)
        if begin is None:
            yield _make_damage_error(entry.filename, name)
        elif begin + entry.compress_size > ends:
            yield build_error(
                "overlapping-members",
                f"{format_member_name(entry.filename)} overlaps another member",
                Span(name),
                "Pack it again.",
            )
        ends = min(ends, entry.header_offset)


def _locate_data(stream: BinaryIO, header_at: int, directory_at: int) -> int | None:
    """Return the offset of a member's bytes, after its local header, or None if it has no such header."""
    if not 0 <= header_at <= directory_at - LOCAL_HEADER.size:
        return None
    stream.seek(header_at)
    header = stream.read(LOCAL_HEADER.size)
    if len(header) < LOCAL_HEADER.size:
        return None
    signature, name_length, extra_length = LOCAL_HEADER.unpack(header)
    return header_at + LOCAL_HEADER.size + name_length + extra_length if signature == b"PK\x03\x04" else None


def _find_common_folder(csv_files: Sequence[zipfile.ZipInfo], name: str) -> str:
    """Return the directory of all CSV files with its slash, empty for the root. Raises Refusal if there are several."""
    folders = sorted({posixpath.dirname(entry.filename) for entry in csv_files})
    if len(folders) > 1:
        listed = ", ".join(format_member_name(folder) if folder else "the root" for folder in folders[:10])
        raise Refusal(
            [
                build_error(
                    "several-folders",
                    f"the CSV files are in {len(folders):,} places: {listed}",
                    Span(name),
                    "Pack one roster, with all its files at the root of the archive.",
                )
            ]
        )
    return f"{folders[0]}/" if folders and folders[0] else ""


def _make_nested_error(names: Sequence[str], name: str) -> Diagnostic:
    # It is unclear which of them is the roster, and ZIP bombs are built by nesting archives.
    return build_error(
        "nested-archive",
        f"{_format_names(names)} is inside the archive and was not read",
        Span(name),
        "Send the inner archive alone if it holds the roster. Otherwise leave it out.",
    )


def _build_diagnostics(
    folder: str, csv_files: Sequence[zipfile.ZipInfo], noise: Sequence[str], others: Sequence[str], name: str
) -> Iterator[Diagnostic]:
    where = Span(name)
    if any("\\" in entry.orig_filename for entry in csv_files):
        yield build_warning(
            "backslash-in-name",
            "the names in the archive have backslashes, which are read as slashes",
            where,
            "Pack it with PowerShell 7 or another program: the ZIP format requires slashes.",
        )
    if folder:
        yield build_warning(
            "folder-in-archive",
            f"the files are in the directory {format_member_name(folder)}",
            where,
            "Pack them at the root of the archive, as the standard requires.",
        )
    if others:
        yield build_info("ignored-file", f"ignored because they are not CSV: {_format_names(others)}", where)
    if noise:
        yield build_info("ignored-file", f"ignored system files: {_format_names(noise)}", where)


def _make_ratio_error(member: str, name: str) -> Diagnostic:
    return _make_bomb_error(member, f"more than {MOST_RATIO} times its packed size", name)


def _make_size_error(member: str, name: str) -> Diagnostic:
    return _make_bomb_error(member, f"more than {MOST_BYTES // 1024**3} GiB in total", name)


def _make_bomb_error(member: str, how: str, name: str) -> Diagnostic:
    return build_error(
        "unpacks-too-large",
        f"{format_member_name(member)} unpacks to {how}",
        Span(name),
        "Pack it again; this cannot be a roster.",
    )


def _make_damage_error(member: str, name: str) -> Diagnostic:
    return build_error(
        "damaged-archive",
        f"{format_member_name(member)} is damaged: it does not unpack to what was packed",
        Span(name),
        "Send it again; the file was changed or cut off in transit.",
    )


def _make_count_error(what: str, name: str) -> Diagnostic:
    return build_error(
        "too-many-members",
        f"the archive holds {what}; the limit is {MOST_MEMBERS:,} files, {MOST_CSV_MEMBERS} of them CSV",
        Span(name),
        "Pack only the OneRoster files.",
    )


def _format_names(names: Sequence[str]) -> str:
    shown = ", ".join(format_member_name(name) for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5:,} more"


def format_member_name(name: str) -> str:
    """Return a member's name without control characters, shortened to 80 characters."""
    safe = "".join(character if character.isprintable() else "?" for character in name)
    return safe if len(safe) <= 80 else f"{safe[:77]}..."
