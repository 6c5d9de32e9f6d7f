"""Builds ZIP archives byte by byte that say untrue things of their members."""

from __future__ import annotations

import io
import random
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.rosters.bundles import bundle

MEBIBYTE = 1024**2
SMALL = bundle(users=10)
HEADER = SMALL.text("users").encode().split(b"\n", 1)[0]
REGULAR = (stat.S_IFREG | 0o644) << 16
ENDLESS = 160 * MEBIBYTE


@dataclass
class Part:
    """One member: its packed bytes, and what its own header and the directory say of it, true unless given.

    at: the member's header is where another one's is. hides: its own header claims so many bytes that follow it.
    """

    name: bytes
    data: bytes
    size: int
    crc: int
    method: int = zipfile.ZIP_DEFLATED
    flags: int = 0
    attributes: int = REGULAR
    extra: bytes = b""
    local_extra: bytes = b""
    local_size: int | None = None
    descriptor: bytes = b""
    at: int | None = None
    hides: int = 0


def deflated(name: str, content: bytes | Iterable[bytes], **facts: object) -> Part:
    """content: in pieces where it is too much for memory."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    sink, crc, size = io.BytesIO(), 0, 0
    for piece in (content,) if isinstance(content, bytes) else content:
        sink.write(packer.compress(piece))
        crc = zlib.crc32(piece, crc)
        size += len(piece)
    sink.write(packer.flush())
    return Part(name.encode(), sink.getvalue(), size, crc, **facts)  # type: ignore[arg-type]


def stored(name: str, content: bytes, **facts: object) -> Part:
    return Part(name.encode(), content, len(content), zlib.crc32(content), zipfile.ZIP_STORED, **facts)  # type: ignore[arg-type]


def roster(*without: str) -> list[Part]:
    return [deflated(name, content) for name, content in SMALL.files().items() if name not in without]


def pack(path: Path, parts: Iterable[Part], *, claimed: int | None = None) -> Path:
    """claimed: the length that members which have no bytes of their own (`at`) say to have."""
    directory = io.BytesIO()
    listed = 0
    with path.open("wb") as file:
        for part in parts:
            at = file.tell() if part.at is None else part.at
            sizes = (part.crc, len(part.data), part.size if part.local_size is None else part.local_size)
            lengths = (len(part.name), len(part.local_extra) + part.hides)
            file.write(struct.pack("<4s5H3L2H", b"PK\3\4", 20, part.flags, part.method, 0, 33, *sizes, *lengths))
            file.write(part.name + part.local_extra + part.data + part.descriptor)
            length = claimed if claimed is not None and part.at is not None else len(part.data)
            sizes = (part.crc, length, min(part.size, 0xFFFFFFFF))
            facts = (len(part.name), len(part.extra), 0, 0, 0, part.attributes, at)
            entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 0x314, 20, part.flags, part.method, 0, 33, *sizes, *facts)
            directory.write(entry + part.name + part.extra)
            listed += 1
        begin, content = file.tell(), directory.getvalue()
        file.write(content)
        end = (0, 0, listed & 0xFFFF, listed & 0xFFFF, len(content), begin, 0)
        file.write(struct.pack("<4s4H2LH", b"PK\5\6", *end))
    return path


def bomb_of_spaces(name: str, size: int, **facts: object) -> Part:
    """size: in MiB. Packed a thousand times smaller, and not by going through it: every piece is the same."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(b" " * MEBIBYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    return Part(name.encode(), piece * size + packer.flush(), size * MEBIBYTE, 0, **facts)  # type: ignore[arg-type]


def noise(size: int, seed: int = 1, alphabet: bytes = b"abcdefghijklmnopqrstuvwxyz012345") -> bytes:
    """Text that packs to about two thirds."""
    return random.Random(seed).randbytes(size).translate(bytes(alphabet[byte % len(alphabet)] for byte in range(256)))


def loosened(tight: int, period: int = 64 * 1024, loose: int = 1400) -> Iterator[bytes]:
    """Text that packs to a little more than a hundredth, so that no rule about the ratio is met."""
    for number in range(tight // period):
        yield noise(loose, number) + b"x" * (period - loose)


def bomb(size: int, **facts: object) -> Callable[[Path], Path]:
    """users.csv of so many MiB of spaces."""
    return lambda path: pack(path, [*roster("users.csv"), bomb_of_spaces("users.csv", size, **facts)])


def of_users(pieces: Callable[[], Iterable[bytes]]) -> Callable[[Path], Path]:
    return lambda path: pack(path, [*roster("users.csv"), deflated("users.csv", pieces())])


def with_part(*parts: Part) -> Callable[[Path], Path]:
    return lambda path: pack(path, [*roster(), *parts])


def a_bomb_behind_noise() -> Iterator[bytes]:
    """By the whole file its ratio is fair."""
    yield HEADER + b"\n"
    for number in range(8):
        yield b"".join(noise(100, number * 10_000 + line) + b"\n" for line in range(6_000))
    for _ in range(250):
        yield (b" " * 1023 + b"\n") * 1024


def an_endless_quotation() -> Iterator[bytes]:
    yield HEADER + b'\nu-1,"'
    yield from loosened(ENDLESS)


def an_endless_quotation_of_many_lines() -> Iterator[bytes]:
    yield HEADER + b'\nu-1,"'
    for piece in loosened(ENDLESS):
        yield piece[:-1] + b"\n"


def an_endless_row() -> Iterator[bytes]:
    yield HEADER + b"\n"
    yield from loosened(ENDLESS)


def another_file() -> Iterator[bytes]:
    yield b"name,value\n"
    for piece in loosened(ENDLESS, period=4096, loose=88):
        yield piece[:-1] + b"\n"


def a_million_columns() -> Iterator[bytes]:
    yield b",".join(b"metadata.c%d" % number for number in range(1_000_000)) + b"\n"


def the_standards_and_thousands_more() -> Iterator[bytes]:
    yield HEADER + b"".join(b",metadata.c%d" % number for number in range(4_000)) + b"\n"
    yield b"u-1\n" * 10_000


def an_endless_header() -> Iterator[bytes]:
    yield HEADER
    yield from loosened(ENDLESS)


def nested(path: Path) -> Path:
    """As 42.zip: sixteen archives of sixteen archives, each of them a small bomb."""
    packed = pack(path, [bomb_of_spaces("0.dll", 64)]).read_bytes()
    for _ in range(4):
        layer = deflated("lib.zip", packed)
        packed = pack(path, [replace(layer, name=b"lib %d.zip" % number) for number in range(16)]).read_bytes()
    return path


def itself(path: Path) -> Path:
    """An archive that holds one of its own name, and so on: to whoever unpacks what is in it, for ever."""
    inner = pack(path, [*roster(), stored("r/r.zip", b"PK\5\6" + bytes(18))]).read_bytes()
    return pack(path, [stored("r/r.zip", inner)])


def overlapping(path: Path) -> Path:
    """One body of bytes that many members claim: a bomb without any nesting."""
    body = deflated("users.csv", b"".join(loosened(MEBIBYTE)))
    others = [Part(b"%d.csv" % number, b"", body.size, body.crc, at=0) for number in range(30)]
    return pack(path, [body, *others, *roster("users.csv")], claimed=len(body.data))


def quoting_by_extra_fields(path: Path) -> Path:
    """Every member's own header hides all that follow in a field of its own, and all of them end in one body."""
    body = stored("users.csv", b"x" * 100)
    hiding = [Part(b"%d.csv" % number, b"", 100, body.crc, zipfile.ZIP_STORED, hides=40) for number in range(20)]
    return pack(path, [*roster("users.csv"), *hiding, body])


def many(count: int) -> Callable[[Path], Path]:
    return lambda path: pack(path, (stored(f"{number}.txt", b"") for number in range(count)))


def long_names(path: Path) -> Path:
    return pack(path, [*roster(), *(stored("n" * 65_000 + f"{number}.csv", b"") for number in range(50))])


def endless_names(path: Path) -> Path:
    return pack(path, [*roster(), *(stored("n" * 65_000 + f"{number}.txt", b"") for number in range(900))])


def a_member_of_exabytes(path: Path) -> Path:
    part = deflated("more.csv", b"x" * 100)
    part.size, part.extra = 0xFFFFFFFF, struct.pack("<HHQ", 1, 8, 2**62)
    return pack(path, [*roster(), part])


def a_member_behind_the_end(path: Path) -> Path:
    part = stored("more.csv", b"x", extra=struct.pack("<HHQ", 1, 8, 2**63 - 1))
    part.at = 0xFFFFFFFF
    return pack(path, [*roster(), part])


def lying_field(path: Path) -> Path:
    """A field of the member that says to be longer than the directory is."""
    return pack(path, [*roster(), stored("more.csv", b"x", extra=struct.pack("<HH", 1, 60_000))])


def changed(name: str, **facts: object) -> Callable[[Path], Path]:
    """A member of the roster of which one thing is said that is not true."""

    def made(path: Path) -> Path:
        parts = roster()
        part = next(part for part in parts if part.name == name.encode())
        for fact, value in facts.items():
            setattr(part, fact, value)
        return pack(path, parts)

    return made
