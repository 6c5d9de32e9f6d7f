"""Adds to paramiko's SFTP client: bounded listings, names of any bytes, and reads requested ahead.

This is the one module that uses private names of paramiko, its request and response methods: pyproject.toml caps the
version, and a test names each. paramiko's prefetch is not bounded, or sleeps between requests, and falls back to one
request at a time when its thread is late; listings have no bound, and one name that is not UTF-8 fails all of them.
The messages are those of draft-ietf-secsh-filexfer-02 (version 3).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

from paramiko import SFTPAttributes, SFTPClient, SFTPFile
from paramiko.packet import Packetizer
from paramiko.sftp import (
    CMD_CLOSE,
    CMD_DATA,
    CMD_HANDLE,
    CMD_NAME,
    CMD_OPENDIR,
    CMD_READ,
    CMD_READDIR,
    CMD_REALPATH,
    SFTP_EOF,
    SFTPError,
)
from paramiko.ssh_exception import SSHException

#: Bytes of one read; servers need not give more.
BLOCK_BYTES = 32 * 1024
#: Reads that are asked for ahead: twice what paramiko's window lets on its way at once. A larger window is slower, as
#: paramiko moves all that waits in it with every read.
MAX_PENDING_READS = 128
#: No more are asked for before so few are open: many at once cost fewer turns of both sides than one at a time.
MIN_PENDING_READS = MAX_PENDING_READS // 2


#: Bytes of one answer; OpenSSH's own client takes a quarter of it.
MAX_SFTP_PACKET = 1024 * 1024
#: Characters of one name; no file system has longer ones.
MAX_NAME_LENGTH = 4096


#: Bytes of one packet of SSH (RFC 4253, 6.1, asks for 35,000 to be borne); OpenSSH takes as many.
MAX_SSH_PACKET = 256 * 1024


class BoundedPacketizer(Packetizer):
    """paramiko takes packets of up to 4 GiB, from the very first on: before the server's key is known."""

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > MAX_SSH_PACKET:
            raise SSHException("a packet without bound")
        read: bytes = super().read_all(n, check_rekey)
        return read


class BoundedSftpClient(SFTPClient):
    """Takes no packet that is larger than any that was asked for could be: paramiko's bound is 16 MiB, which it puts
    together piece by piece."""

    def _read_packet(self) -> tuple[int, bytes]:
        wire: Any = self
        (length,) = struct.unpack(">I", wire._read_all(4))
        if not 0 < length <= MAX_SFTP_PACKET:
            raise SFTPError("a packet without bound")
        packet: bytes = wire._read_all(length)
        return packet[0], packet[1:]


def _encode_path(path: str) -> bytes:
    """As it goes to the server: a name that came from there goes back as it was."""
    return path.encode("utf-8", "surrogateescape")


def _decode_path(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def read_attributes(client: SFTPClient, path: str) -> SFTPAttributes:
    """Of what a link leads to. This and those that follow raise OSError."""
    return client.stat(_encode_path(path))


def read_link_attributes(client: SFTPClient, path: str) -> SFTPAttributes:
    """Of a link itself."""
    return client.lstat(_encode_path(path))


def read_link(client: SFTPClient, path: str) -> str | None:
    """Return what a link holds."""
    held: Any = client.readlink(_encode_path(path))
    return _decode_path(held) if isinstance(held, bytes) else held


def resolve_path(client: SFTPClient, path: str) -> str:
    """Return the absolute path by the server's own account."""
    wire: Any = client
    kind, answer = wire._request(CMD_REALPATH, _encode_path(path))
    if kind != CMD_NAME or answer.get_int() != 1:
        raise SFTPError("no name")
    return _decode_path(answer.get_binary())


def open_file(client: SFTPClient, path: str) -> SFTPFile:
    """For reading."""
    return client.open(_encode_path(path), "rb")


def get_handle(file: SFTPFile) -> bytes:
    """By which the server knows an open file."""
    handle: Any = file.handle
    return bytes(handle)


def read_open_file_attributes(client: SFTPClient, file: SFTPFile, path: str) -> SFTPAttributes:
    """Of a file that is open; by its path, where the server knows no other way."""
    try:
        return file.stat()
    except TimeoutError:
        raise
    except OSError:
        return read_attributes(client, path)


def list_entries(client: SFTPClient, folder: str, limit: int) -> Iterator[tuple[str, SFTPAttributes]]:
    """Name and attributes (of a link, its own) of what lies in a folder, in the server's order; at most so many."""
    wire: Any = client
    kind, answer = wire._request(CMD_OPENDIR, _encode_path(folder))
    if kind != CMD_HANDLE:
        raise SFTPError("no handle")
    handle = answer.get_binary()
    given = told = 0
    while given < limit:
        told += 1
        if told > limit:
            raise SFTPError("answers without end and without names")
        try:
            kind, answer = wire._request(CMD_READDIR, handle)
        except EOFError:
            break
        if kind != CMD_NAME:
            raise SFTPError("no names")
        length = len(answer.asbytes())
        for _ in range(answer.get_int()):
            if given >= limit:
                break
            if answer.packet.tell() >= length:
                # Beyond its end a message reads as zeros: as many empty names as the server says that there are.
                raise SFTPError("fewer names than were told")
            name = _decode_path(answer.get_binary())
            if len(name) > MAX_NAME_LENGTH:
                raise SFTPError("a name without bound")
            answer.get_binary()
            attributes: Any = SFTPAttributes
            found = attributes._from_msg(answer)
            if name not in (".", ".."):
                given += 1
                yield name, found
    wire._request(CMD_CLOSE, handle)


def read_blocks(client: SFTPClient, handle: bytes, begin: int, end: int) -> Iterator[bytes]:
    """An open file's bytes from `begin` to before `end`, in order; fewer where it is shorter."""
    wire: Any = client
    answers = _ReadResponses()
    asked = given = begin
    while given < end:
        wanted, answers.rests = answers.rests, []
        if len(answers.waiting) <= MIN_PENDING_READS:
            room = max(MAX_PENDING_READS - len(answers.waiting) - len(answers.come), 0)
            wanted += [(at, min(BLOCK_BYTES, end - at)) for at in range(asked, end, BLOCK_BYTES)[:room]]
            asked = min(asked + room * BLOCK_BYTES, end)
        if wanted:
            _send_read_requests(wire, handle, wanted, answers)
        if given not in answers.come:
            wire._read_response()
            answers.check_responses()
            continue
        block = answers.come.pop(given)
        if not block:
            return
        yield block
        given += len(block)


def _send_read_requests(wire: Any, handle: bytes, ranges: Sequence[tuple[int, int]], answers: _ReadResponses) -> None:
    """Asks for offsets and lengths, all in one packet of the connection: each that is sent by itself waits its turn
    behind the thread that decrypts."""
    packets = bytearray()
    for offset, length in ranges:
        # A file that is collected as garbage sends its close from whatever thread collects it.
        with wire._lock:
            number = wire.request_number
            wire.request_number += 1
            wire._expecting[number] = answers
        answers.waiting[number] = offset, length
        body = struct.pack(">BII", CMD_READ, number, len(handle)) + handle + struct.pack(">QI", offset, length)
        packets += struct.pack(">I", len(body)) + body
    wire._write_all(bytes(packets))


class _ReadResponses:
    """Receives the answers to read requests from paramiko."""

    def __init__(self) -> None:
        self.waiting: dict[int, tuple[int, int]] = {}
        self.come: dict[int, bytes] = {}
        self.rests: list[tuple[int, int]] = []
        self._problem: OSError | None = None

    def _async_response(self, kind: int, answer: Any, number: int) -> None:
        offset, length = self.waiting.pop(number)
        if kind == CMD_DATA:
            block = answer.get_binary()
            self.come[offset] = block
            if 0 < len(block) < length:
                self.rests.append((offset + len(block), length - len(block)))
            return
        self.come[offset] = b""
        if answer.get_int() != SFTP_EOF:
            self._problem = OSError("a read failed")

    def check_responses(self) -> None:
        if self._problem is not None:
            raise self._problem
