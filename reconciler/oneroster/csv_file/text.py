"""Checks the bytes of a CSV file before parsing: encoding, line ends and the skeleton of its structure."""

import codecs
import re
from collections.abc import Iterator

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error, build_warning

CHUNK = 1024**2

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)

CONTROL = bytes(byte for byte in range(32) if byte not in b"\t\r\n") + b"\x7f"
STRUCTURE = b',"\r\n'
#: What `bytes.translate` deletes to leave a file's structure: commas, quotes, line ends and control characters.
FLESH = bytes(byte for byte in range(256) if byte not in STRUCTURE + CONTROL)

#: UTF-8 read as Windows-1252 and written as UTF-8 again: "Ã©", "â€™".
TWICE_ENCODED = re.compile(rb"\xc3[\x82\x83]\xc2[\x80-\xbf]|\xc3\xa2\xe2\x82\xac")


def check_text(file: str, data: bytes) -> tuple[bytes, tuple[Diagnostic, ...]]:
    """Return the file as UTF-8 without a byte order mark, with LF or CRLF line ends, and warnings.

    Raises Refusal if the file is empty or not UTF-8.
    """
    if not data:
        raise Refusal([build_error("empty-file", f"{file} is empty (0 bytes)", Span(file), "Export it again.")])
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            raise Refusal([build_error("wrong-encoding", f"{file} is {encoding}", Span(file), "Export it as UTF-8.")])
    diagnostics: list[Diagnostic] = []
    if data.startswith(codecs.BOM_UTF8):
        data = data[len(codecs.BOM_UTF8) :]
        diagnostics.append(build_warning("byte-order-mark", "the file begins with a byte order mark", Span(file, 1)))
    if not data.isascii():
        _check_utf8(file, data)
        diagnostics.extend(_check_double_encoding(file, data))
    if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data, tuple(diagnostics)


def extract_skeleton(data: bytes) -> bytes:
    """Return the file's commas, quotes, control characters and line ends (as LF), with an end for the last line.

    A file is well-formed, without quotes, blank lines or control characters, exactly if its skeleton is one line of
    commas repeated; checking that takes a twentieth of the time of parsing.
    """
    bones = data.translate(None, FLESH).replace(b"\r\n", b"\n")
    return bones if data.endswith(b"\n") else bones + b"\n"


def has_control(bones: bytes) -> bool:
    """Return whether a skeleton contains control characters."""
    return len(bones.translate(None, CONTROL)) != len(bones)


def find_invalid_byte(data: bytes) -> int | None:
    """Return the offset of the first byte that is not UTF-8, or None."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), CHUNK):
            decoder.decode(data[start : start + CHUNK])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as problem:
            return problem.start
    return None


def _check_utf8(file: str, data: bytes) -> None:
    offset = find_invalid_byte(data)
    if offset is not None:
        line = data.count(b"\n", 0, offset) + 1
        raise Refusal(
            [
                build_error(
                    "wrong-encoding",
                    f"byte {offset:,} (0x{data[offset]:02X}) in line {line:,} is not UTF-8",
                    Span(file, line),
                    "Export it as UTF-8; the file is probably Windows-1252 or Latin-1.",
                )
            ]
        )


def _check_double_encoding(file: str, data: bytes) -> Iterator[Diagnostic]:
    first = TWICE_ENCODED.search(data)
    if first is not None:
        count = sum(1 for _ in TWICE_ENCODED.finditer(data))
        line = data.count(b"\n", 0, first.start()) + 1
        yield build_warning(
            "garbled-text",
            f"{count:,} places look like text that was encoded twice, the first in line {line:,}",
            Span(file, line),
            "Correct the encoding of the export; otherwise names show wrong letters.",
        )
