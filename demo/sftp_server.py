"""A small SFTP server on this machine, for the demo: one folder to read from, one user, one password.

By paramiko's own server, so that the demo runs where no OpenSSH is installed; the tests use a real one.
"""

from __future__ import annotations

import hmac
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import paramiko

# That a connection ended is no news.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class SftpAddress:
    """host_key: as it is pinned in YAML."""

    host: str
    port: int
    host_key: str


@contextmanager
def serve_sftp(folder: Path, username: str, password: str) -> Iterator[SftpAddress]:
    """Serves the folder as `/` on a free port of this machine as long as the context lasts."""
    key = paramiko.ECDSAKey.generate()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=_serve_connections, args=(listener, key, folder, username, password), daemon=True)
        thread.start()
        host, port = listener.getsockname()
        try:
            yield SftpAddress(host, port, f"{key.get_name()} {key.get_base64()}")
        finally:
            # An accept that waits does not see that its socket was closed.
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve_connections(listener: socket.socket, key: paramiko.PKey, folder: Path, username: str, password: str) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        transport = paramiko.Transport(connection)
        transport.add_server_key(key)
        transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _ReadOnlyFiles, folder)
        with suppress(paramiko.SSHException, EOFError, OSError):
            transport.start_server(server=_SingleUserServer(username, password))


class _SingleUserServer(paramiko.ServerInterface):
    def __init__(self, username: str, password: str) -> None:
        self._known = (username, password)

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_auth_password(self, username: str, password: str) -> int:
        right = all(hmac.compare_digest(*pair) for pair in zip((username, password), self._known, strict=True))
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED


class _ReadOnlyFiles(paramiko.SFTPServerInterface):
    def __init__(self, server: paramiko.ServerInterface, folder: Path) -> None:
        super().__init__(server)
        self._folder = folder

    def _resolve_path(self, path: str) -> Path:
        return self._folder / self.canonicalize(path).lstrip("/")

    def list_folder(self, path: str) -> list[paramiko.SFTPAttributes] | int:
        try:
            return [
                paramiko.SFTPAttributes.from_stat(each.stat(), each.name)
                for each in sorted(self._resolve_path(path).iterdir())
            ]
        except OSError as problem:
            return paramiko.SFTPServer.convert_errno(problem.errno or 0)

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        try:
            return paramiko.SFTPAttributes.from_stat(self._resolve_path(path).stat())
        except OSError as problem:
            return paramiko.SFTPServer.convert_errno(problem.errno or 0)

    lstat = stat

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            return paramiko.SFTP_PERMISSION_DENIED
        try:
            return _OpenFile(flags, self._resolve_path(path))
        except OSError as problem:
            return paramiko.SFTPServer.convert_errno(problem.errno or 0)


class _OpenFile(paramiko.SFTPHandle):
    def __init__(self, flags: int, path: Path) -> None:
        super().__init__(flags)
        self.readfile = path.open("rb")

    def stat(self) -> paramiko.SFTPAttributes:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))
