"""Reads that are asked for ahead, against servers that answer as they like: short, late, in any order."""

from __future__ import annotations

import ast
import inspect
import random
import struct
import threading
import tomllib
import weakref
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paramiko import Message, SFTPAttributes, SFTPClient, SFTPFile
from paramiko.sftp import (
    CMD_DATA,
    CMD_HANDLE,
    CMD_NAME,
    CMD_READ,
    CMD_READDIR,
    CMD_STATUS,
    CMD_VERSION,
    SFTP_EOF,
    SFTP_FAILURE,
    SFTPError,
)

from reconciler.oneroster.sources.sftp import wire


class Server:
    """What paramiko's client does with reads. most: bytes of one answer. seed: of the order in which it answers."""

    def __init__(self, content: bytes, most: int, seed: int, fails_at: int | None = None) -> None:
        self.content = content
        self.most = most
        self.chance = random.Random(seed)
        self.fails_at = fails_at
        self._lock = threading.Lock()
        self.request_number = 1
        self._expecting: dict[int, Any] = {}
        self.open: list[tuple[int, Any, int, int]] = []
        self.asked = 0
        self.most_open = 0

    def _write_all(self, packets: bytes) -> None:
        while packets:
            length, kind, number, handle = struct.unpack_from(">IBII", packets)
            assert (kind, packets[13 : 13 + handle]) == (CMD_READ, b"handle")
            offset, size = struct.unpack_from(">QI", packets, 13 + handle)
            self.open.append((number, self._expecting[number], offset, size))
            packets = packets[4 + length :]
            self.asked += 1
        self.most_open = max(self.most_open, len(self.open))

    def _read_response(self) -> None:
        number, answers, offset, length = self.open.pop(self.chance.randrange(len(self.open)))
        block = self.content[offset : offset + min(length, self.most)]
        answer = Message()
        fails = self.fails_at is not None and offset <= self.fails_at < offset + length
        if fails or not block:
            answer.add_int(SFTP_FAILURE if fails else SFTP_EOF)
            answer.add_string(b"")
        else:
            answer.add_string(block)
        answer.rewind()
        answers._async_response(CMD_STATUS if fails or not block else CMD_DATA, answer, number)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("BLOCK_BYTES", 8), ("MAX_PENDING_READS", 6), ("MIN_PENDING_READS", 3)):
        monkeypatch.setattr(wire, name, value)


def read(server: Server, begin: int, end: int) -> bytes:
    return b"".join(wire.read_blocks(server, b"handle", begin, end))  # type: ignore[arg-type]


@given(st.binary(max_size=300), st.integers(1, 12), st.integers(0, 99), st.integers(0, 300), st.integers(0, 400))
def test_bytes_come_in_order_and_each_once(content: bytes, most: int, seed: int, begin: int, end: int) -> None:
    server = Server(content, most, seed)
    assert read(server, begin, end) == content[begin:end]
    # Whatever came short is asked for beyond the bound, and only that.
    assert server.most_open <= 6 or most < 8


def test_no_more_is_asked_for_ahead_than_may_be() -> None:
    server = Server(bytes(range(256)) * 10, 8, seed=1)
    assert len(read(server, 0, 2560)) == 2560
    assert (server.asked, server.most_open) == (320, 6)


def test_failed_read_is_not_the_end_of_file() -> None:
    with pytest.raises(OSError, match="could not read the file"):
        read(Server(bytes(100), 8, seed=1, fails_at=50), 0, 100)


class Folder:
    """What paramiko's client does with a listing: each answer is given once. count: that it tells, if not the truth."""

    def __init__(self, *answers: list[str], count: int | None = None) -> None:
        self.answers = list(answers)
        self.count = count

    def _request(self, kind: int, *_: object) -> tuple[int, Message]:
        answer = Message()
        if kind != CMD_READDIR:
            answer.add_string(b"handle")
            answer.rewind()
            return CMD_HANDLE, answer
        if not self.answers:
            raise EOFError
        names = self.answers.pop(0)
        answer.add_int(len(names) if self.count is None else self.count)
        for name in names:
            answer.add_string(name)
            answer.add_string(b"-rw-r--r-- " + name.encode())
            answer.add_int(0)
        answer.rewind()
        return CMD_NAME, answer


def names(folder: Folder, most: int) -> list[str]:
    return [name for name, _ in wire.list_entries(folder, "/out", most)]  # type: ignore[arg-type]


def test_listing_gives_no_more_names_than_wanted() -> None:
    assert names(Folder([".", "..", "a", "b"], ["c"]), 9) == ["a", "b", "c"]
    assert names(Folder(["a", "b"], ["c"]), 1) == ["a"]


def test_endless_listing_without_names_is_abandoned() -> None:
    with pytest.raises(SFTPError):
        names(Folder(*[[".", ".."]] * 9), 8)
    assert names(Folder([], ["a"], []), 8) == ["a"]


@pytest.mark.parametrize("there", [[], ["a"]])
def test_listing_claiming_more_names_than_sent_is_rejected(there: list[str]) -> None:
    with pytest.raises(SFTPError, match="fewer names"):
        names(Folder(there, count=1_000_000), 10)


def test_a_name_without_bound_is_no_name() -> None:
    with pytest.raises(SFTPError, match="too long"):
        names(Folder(["a" * 5000]), 10)


@pytest.mark.parametrize("length", [0, wire.MAX_SFTP_PACKET + 1, 2**32 - 1])
def test_a_packet_without_bound_is_not_read(length: int) -> None:
    class Wire(wire.BoundedSftpClient):
        def __init__(self) -> None:
            """Without a server."""

        def _read_all(self, size: int) -> bytes:
            assert size == 4
            return struct.pack(">I", length)

    with pytest.raises(SFTPError):
        Wire()._read_packet()


#: Private names of paramiko that `wire` uses, and their parameters. `_async_response` is what paramiko calls of ours.
PRIVATE_METHODS = {
    "_read_all": (SFTPClient, ["self", "n"]),
    "_read_packet": (SFTPClient, ["self"]),
    "_read_response": (SFTPClient, ["self", "waitfor"]),
    "_request": (SFTPClient, ["self", "t", "args"]),
    "_write_all": (SFTPClient, ["self", "out"]),
    "_from_msg": (SFTPAttributes, ["msg", "filename", "longname"]),
    "_async_response": (SFTPFile, ["self", "t", "msg", "num"]),
}
PRIVATE_ATTRIBUTES = {"_expecting": weakref.WeakValueDictionary, "_lock": type(threading.Lock())}
SFTP = Path(wire.__file__).parent


class _Greeting:
    """A channel that answers the client's first packet with version 3 of the protocol."""

    def __init__(self) -> None:
        self.answer = struct.pack(">IBI", 5, CMD_VERSION, 3)

    def get_name(self) -> str:
        return "greeting"

    def send(self, packet: bytes) -> int:
        return len(packet)

    def recv(self, size: int) -> bytes:
        block, self.answer = self.answer[:size], self.answer[size:]
        return block

    def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("name", PRIVATE_METHODS)
def test_paramiko_has_the_private_method(name: str) -> None:
    owner, parameters = PRIVATE_METHODS[name]
    assert list(inspect.signature(getattr(owner, name)).parameters) == parameters


def test_paramiko_has_the_private_attributes() -> None:
    client = wire.BoundedSftpClient(_Greeting())  # type: ignore[arg-type]
    assert {name: type(getattr(client, name)) for name in PRIVATE_ATTRIBUTES} == PRIVATE_ATTRIBUTES
    assert type(client.request_number) is int


def test_no_other_private_name_of_paramiko_is_in_use() -> None:
    used = {file.name: _list_private_names(ast.parse(file.read_text())) for file in SFTP.glob("*.py")}
    assert {name for name, names in used.items() if names} == {"wire.py"}
    assert used["wire.py"] == PRIVATE_METHODS.keys() | PRIVATE_ATTRIBUTES.keys()


def _list_private_names(tree: ast.Module) -> set[str]:
    """Private names of anything but `self`, and private methods that paramiko calls or that replace its own."""
    nodes = list(ast.walk(tree))
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute) and not _is_self(node.value)}
    names |= PRIVATE_METHODS.keys() & {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    return {name for name in names if name.startswith("_") and not name.startswith("__")}


def _is_self(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id == "self"


def test_the_versions_with_private_names_are_capped() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert {"paramiko>=5.1,<5.2", "httpx>=0.28,<0.29"} <= set(project["dependencies"])
