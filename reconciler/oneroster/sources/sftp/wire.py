"""Adds to paramiko's SFTP client: bounded listings, names of any bytes, and reads requested ahead.

This is the one module that uses private names of paramiko, its request and response methods: pyproject.toml caps the
version, and a test names each. paramiko's prefetch is not bounded, or sleeps between requests, and falls back to one
request at a time when its thread is late; listings have no bound, and one name that is not UTF-8 fails all of them.
The messages are those of draft-ietf-secsh-filexfer-02 (version 3).
"""

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

#: Bytes of one read; servers need not support more.
BLOCK_BYTES = 32 * 1024
#: Reads to request in advance: twice as many as fit in paramiko's window. A larger window is slower, because paramiko
#: moves its whole content with every read.
MAX_PENDING_READS = 128
#: More reads are requested once only this many are pending, because batches take fewer steps on both sides.
MIN_PENDING_READS = MAX_PENDING_READS // 2


#: Maximum bytes of one SFTP packet; OpenSSH's own client accepts a quarter of this.
MAX_SFTP_PACKET = 1024 * 1024
#: Maximum characters of a name; no file system has longer ones.
MAX_NAME_LENGTH = 4096


#: Maximum bytes of one SSH packet (RFC 4253, 6.1, requires support for 35,000); the same as in OpenSSH.
MAX_SSH_PACKET = 256 * 1024


class BoundedPacketizer(Packetizer):
    """Limits SSH packets: paramiko accepts up to 4 GiB even before the host key is known."""

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > MAX_SSH_PACKET:
            raise SSHException("a packet is too large")
        read: bytes = super().read_all(n, check_rekey)
        return read


class BoundedSftpClient(SFTPClient):
    """Limits SFTP packets to the size of expected responses: paramiko accepts up to 16 MiB."""

    def _read_packet(self) -> tuple[int, bytes]:
        wire: Any = self
        (length,) = struct.unpack(">I", wire._read_all(4))
        if not 0 < length <= MAX_SFTP_PACKET:
            raise SFTPError("a packet is too large")
        packet: bytes = wire._read_all(length)
        return packet[0], packet[1:]


def _encode_path(path: str) -> bytes:
    """Return the bytes of a path, so that a name from the server is sent back unchanged."""
    return path.encode("utf-8", "surrogateescape")


def _decode_path(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def read_attributes(client: SFTPClient, path: str) -> SFTPAttributes:
    """Return the attributes of a file, or of a link's target. Raises OSError, like all functions below."""
    return client.stat(_encode_path(path))


def read_link_attributes(client: SFTPClient, path: str) -> SFTPAttributes:
    """Return the attributes of a file, or of a link itself."""
    return client.lstat(_encode_path(path))


def read_link(client: SFTPClient, path: str) -> str | None:
    """Return the target of a link."""
    held: Any = client.readlink(_encode_path(path))
    return _decode_path(held) if isinstance(held, bytes) else held


def resolve_path(client: SFTPClient, path: str) -> str:
    """Return the absolute path as the server resolves it."""
    wire: Any = client
    kind, answer = wire._request(CMD_REALPATH, _encode_path(path))
    if kind != CMD_NAME or answer.get_int() != 1:
        raise SFTPError("the response has no name")
    return _decode_path(answer.get_binary())


def open_file(client: SFTPClient, path: str) -> SFTPFile:
    """Open a file for reading."""
    return client.open(_encode_path(path), "rb")


def get_handle(file: SFTPFile) -> bytes:
    """Return the server's handle of an open file."""
    handle: Any = file.handle
    return bytes(handle)


def read_open_file_attributes(client: SFTPClient, file: SFTPFile, path: str) -> SFTPAttributes:
    """Return the attributes of an open file, by its path if the server does not support its handle."""
    try:
        return file.stat()
    except TimeoutError:
        raise
    except OSError:
        return read_attributes(client, path)


def list_entries(client: SFTPClient, folder: str, limit: int) -> Iterator[tuple[str, SFTPAttributes]]:
    """Yield names and attributes (of a link, its own) of a folder's entries, in the server's order, at most `limit`."""
    wire: Any = client
    kind, answer = wire._request(CMD_OPENDIR, _encode_path(folder))
    if kind != CMD_HANDLE:
        raise SFTPError("the response has no handle")
    handle = answer.get_binary()
    given = responses = 0
    while given < limit:
        responses += 1
        if responses > limit:
            raise SFTPError("the server sends responses without names")
        try:
            kind, answer = wire._request(CMD_READDIR, handle)
        except EOFError:
            break
        if kind != CMD_NAME:
            raise SFTPError("the response has no names")
        length = len(answer.asbytes())
        for _ in range(answer.get_int()):
            if given >= limit:
                break
            if answer.packet.tell() >= length:
                # paramiko reads zeros beyond the end of a message, which would give empty names.
                raise SFTPError("the response has fewer names than announced")
            name = _decode_path(answer.get_binary())
            if len(name) > MAX_NAME_LENGTH:
                raise SFTPError("a name is too long")
            answer.get_binary()
            attributes: Any = SFTPAttributes
            found = attributes._from_msg(answer)
            if name not in (".", ".."):
                given += 1
                yield name, found
    wire._request(CMD_CLOSE, handle)


def read_blocks(client: SFTPClient, handle: bytes, begin: int, end: int) -> Iterator[bytes]:
    """Yield an open file's bytes from `begin` to before `end`, in order; fewer if the file is shorter."""
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


def _send_read_requests(wire: Any, handle: bytes, ranges: Sequence[tuple[int, int]], answers: "_ReadResponses") -> None:
    """Request ranges (offset, length) in one packet: separate packets would each wait for the decrypting thread."""
    packets = bytearray()
    for offset, length in ranges:
        # The garbage collector may close a file, and so send a request, in any thread.
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
            self._problem = OSError("the server could not read the file")

    def check_responses(self) -> None:
        if self._problem is not None:
            raise self._problem
