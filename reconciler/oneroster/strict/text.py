"""The bytes of a CSV file by the letter: UTF-8, no byte order mark, no carriage return alone."""

from __future__ import annotations

import codecs

import polars as pl

from reconciler.oneroster.strict.findings import Findings
from reconciler.oneroster.text import BYTE_ORDER_MARKS

#: What `bytes.translate` deletes to leave a file's line ends.
NO_END = bytes(byte for byte in range(256) if byte not in b"\r\n")


def clean_text(file: str, data: bytes, findings: Findings) -> bytes | None:
    """Valid UTF-8 whose lines end with LF; what could not be decoded stands in it as U+FFFD. None where the file is in
    another encoding altogether."""
    if data.startswith(codecs.BOM_UTF8):
        findings.at("strict-byte-order-mark", "the file begins with a byte order mark", file, 1)
        data = data[len(codecs.BOM_UTF8) :]
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            findings.at("strict-not-utf-8", f"the file is {encoding}; it was not read", file)
            return None
    if not data.isascii():
        data = _decodable(file, data, findings)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
        if b"\r" in data:
            data = _without_returns(file, data, findings)
    return data


def _decodable(file: str, data: bytes, findings: Findings) -> bytes:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        message = f"the byte 0x{data[problem.start]:02X} is not UTF-8; it is the first of the file that is not"
        findings.at("strict-not-utf-8", message, file, line)
        return data.decode("utf-8", "replace").encode("utf-8")
    return data


def _without_returns(file: str, data: bytes, findings: Findings) -> bytes:
    """Taken as line ends, which they were on old machines; each line that ends so is a finding."""
    ends = data.translate(None, NO_END).replace(b"\r", b"r\n")
    marked = pl.read_lines(ends, name="end", row_index_name="line", row_index_offset=1).filter(pl.col("end") == "r")
    findings.rows("strict-bare-carriage-return", "the row ends with CR alone", file, marked, 0)
    return data.replace(b"\r", b"\n")
