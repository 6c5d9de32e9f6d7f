"""The body of an answer, unpacked while it comes and never beyond its bound: a small packed one may be a large one."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable

#: What is asked for. deflate is taken too, where a server sends it all the same.
ACCEPTED = "gzip"
_PACKED = {"gzip", "x-gzip", "deflate"}
_PLAIN = {"", "identity"}


class TooLargeError(Exception):
    """It is larger than the bound. Nothing beyond it was unpacked."""


class CutError(Exception):
    """It is packed and ends early, or cannot be unpacked."""


class UnknownEncodingError(Exception):
    """It is packed in a way that cannot be unpacked here."""


def unpacked(
    parts: Iterable[bytes], encoding: str, largest: int, heartbeat: Callable[[], object] = lambda: None
) -> bytes:
    """The whole body. encoding: of the header Content-Encoding. largest: bytes, unpacked. heartbeat: called
    at each part; what it raises ends it.

    Raises CutError, TooLargeError and UnknownEncodingError."""
    encoding = encoding.strip().lower()
    if encoding in _PLAIN:
        return _plain(parts, largest, heartbeat)
    if encoding not in _PACKED:
        raise UnknownEncodingError(encoding)
    return _packed(parts, largest, heartbeat)


def _plain(parts: Iterable[bytes], largest: int, heartbeat: Callable[[], object]) -> bytes:
    body = bytearray()
    for part in parts:
        heartbeat()
        if len(body) + len(part) > largest:
            raise TooLargeError
        body += part
    return bytes(body)


def _packed(parts: Iterable[bytes], largest: int, heartbeat: Callable[[], object]) -> bytes:
    body = bytearray()
    unpacking = _inflater()
    started = False
    try:
        for part in parts:
            heartbeat()
            while part:
                if unpacking.eof:
                    # gzip may consist of several members, one behind the other.
                    unpacking = _inflater()
                started = True
                body += unpacking.decompress(part, largest + 1 - len(body))
                if len(body) > largest:
                    raise TooLargeError
                part = unpacking.unconsumed_tail or unpacking.unused_data
    except zlib.error as problem:
        raise CutError from problem
    if started and not unpacking.eof:
        raise CutError
    return bytes(body)


def _inflater() -> zlib._Decompress:
    """Knows gzip and zlib by their first bytes."""
    return zlib.decompressobj(zlib.MAX_WBITS | 32)
