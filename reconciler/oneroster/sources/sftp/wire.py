"""What SFTP needs beyond paramiko's client: bounded listings, names of any bytes, and reads that are asked for ahead.

This is the one place that uses paramiko's own request and response methods. Its prefetch is not bounded, or sleeps
between requests, and falls back to one request at a time when its thread is late; listings have no bound, and one name
that is no UTF-8 fails all of them. The messages are those of draft-ietf-secsh-filexfer-02 (version 3).
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
BLOCK = 32 * 1024
#: Reads that are asked for ahead: twice what paramiko's window lets on its way at once. A larger window is slower, as
#: paramiko moves all that waits in it with every read.
AHEAD = 128
#: No more are asked for before so few are open: many at once cost fewer turns of both sides than one at a time.
FEW = AHEAD // 2


#: Bytes of one answer; OpenSSH's own client takes a quarter of it.
LARGEST_PACKET = 1024 * 1024
#: Characters of one name; no file system has longer ones.
LONGEST_NAME = 4096


#: Bytes of one packet of SSH (RFC 4253, 6.1, asks for 35,000 to be borne); OpenSSH takes as many.
LARGEST_SSH_PACKET = 256 * 1024


class BoundedPackets(Packetizer):
    """paramiko takes packets of up to 4 GiB, from the very first on: before the server's key is known."""

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > LARGEST_SSH_PACKET:
            raise SSHException("a packet without bound")
        read: bytes = super().read_all(n, check_rekey)
        return read


class Client(SFTPClient):
    """Takes no packet that is larger than any that was asked for could be: paramiko's bound is 16 MiB, which it puts
    together piece by piece."""

    def _read_packet(self) -> tuple[int, bytes]:
        wire: Any = self
        (length,) = struct.unpack(">I", wire._read_all(4))
        if not 0 < length <= LARGEST_PACKET:
            raise SFTPError("a packet without bound")
        packet: bytes = wire._read_all(length)
        return packet[0], packet[1:]


def _encoded(path: str) -> bytes:
    """As it goes to the server: a name that came from there goes back as it was."""
    return path.encode("utf-8", "surrogateescape")


def _decoded(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def stat(client: SFTPClient, path: str) -> SFTPAttributes:
    """Of what a link leads to. This and those that follow raise OSError."""
    return client.stat(_encoded(path))


def lstat(client: SFTPClient, path: str) -> SFTPAttributes:
    """Of a link itself."""
    return client.lstat(_encoded(path))


def readlink(client: SFTPClient, path: str) -> str | None:
    """What a link holds."""
    held: Any = client.readlink(_encoded(path))
    return _decoded(held) if isinstance(held, bytes) else held


def real(client: SFTPClient, path: str) -> str:
    """Where a path leads by the server's own account."""
    wire: Any = client
    kind, answer = wire._request(CMD_REALPATH, _encoded(path))
    if kind != CMD_NAME or answer.get_int() != 1:
        raise SFTPError("no name")
    return _decoded(answer.get_binary())


def opened(client: SFTPClient, path: str) -> SFTPFile:
    """For reading."""
    return client.open(_encoded(path), "rb")


def handle_of(file: SFTPFile) -> bytes:
    """By which the server knows an open file."""
    handle: Any = file.handle
    return bytes(handle)


def stat_opened(client: SFTPClient, file: SFTPFile, path: str) -> SFTPAttributes:
    """Of a file that is open; by its path, where the server knows no other way."""
    try:
        return file.stat()
    except TimeoutError:
        raise
    except OSError:
        return stat(client, path)


def entries(client: SFTPClient, folder: str, most: int) -> Iterator[tuple[str, SFTPAttributes]]:
    """Name and attributes (of a link, its own) of what lies in a folder, in the server's order; at most so many."""
    wire: Any = client
    kind, answer = wire._request(CMD_OPENDIR, _encoded(folder))
    if kind != CMD_HANDLE:
        raise SFTPError("no handle")
    handle = answer.get_binary()
    given = told = 0
    while given < most:
        told += 1
        if told > most:
            raise SFTPError("answers without end and without names")
        try:
            kind, answer = wire._request(CMD_READDIR, handle)
        except EOFError:
            break
        if kind != CMD_NAME:
            raise SFTPError("no names")
        length = len(answer.asbytes())
        for _ in range(answer.get_int()):
            if given >= most:
                break
            if answer.packet.tell() >= length:
                # Beyond its end a message reads as zeros: as many empty names as the server says that there are.
                raise SFTPError("fewer names than were told")
            name = _decoded(answer.get_binary())
            if len(name) > LONGEST_NAME:
                raise SFTPError("a name without bound")
            answer.get_binary()
            attributes: Any = SFTPAttributes
            found = attributes._from_msg(answer)
            if name not in (".", ".."):
                given += 1
                yield name, found
    wire._request(CMD_CLOSE, handle)


def blocks(client: SFTPClient, handle: bytes, begin: int, end: int) -> Iterator[bytes]:
    """An open file's bytes from `begin` to before `end`, in order; fewer where it is shorter."""
    wire: Any = client
    answers = _Answers()
    asked = given = begin
    while given < end:
        wanted, answers.rests = answers.rests, []
        if len(answers.waiting) <= FEW:
            room = max(AHEAD - len(answers.waiting) - len(answers.come), 0)
            wanted += [(at, min(BLOCK, end - at)) for at in range(asked, end, BLOCK)[:room]]
            asked = min(asked + room * BLOCK, end)
        if wanted:
            _ask(wire, handle, wanted, answers)
        if given not in answers.come:
            wire._read_response()
            answers.check()
            continue
        block = answers.come.pop(given)
        if not block:
            return
        yield block
        given += len(block)


def _ask(wire: Any, handle: bytes, wanted: Sequence[tuple[int, int]], answers: _Answers) -> None:
    """Asks for offsets and lengths, all in one packet of the connection: each that is sent by itself waits its turn
    behind the thread that decrypts."""
    packets = bytearray()
    for offset, length in wanted:
        with wire._lock:
            number = wire.request_number
            wire.request_number += 1
            wire._expecting[number] = answers
        answers.waiting[number] = offset, length
        body = struct.pack(">BII", CMD_READ, number, len(handle)) + handle + struct.pack(">QI", offset, length)
        packets += struct.pack(">I", len(body)) + body
    wire._write_all(bytes(packets))


class _Answers:
    """What paramiko gives the answers to. waiting: offset and length by number of the request. come: bytes by offset,
    none at the end of the file. rests: offset and length of what is to be asked for again, as less came."""

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

    def check(self) -> None:
        if self._problem is not None:
            raise self._problem
