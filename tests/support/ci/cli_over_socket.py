"""Serves the reconciler command over a socket from the tests' own process."""

# It is for scripts that call the command often: its start takes longer than its work. Run as `cli_over_socket.py SOCKET
# ARGUMENTS` it is the command, which asks the process behind the socket.

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator
from pathlib import Path


class _Answers(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        from reconciler.cli.main import run

        asked = json.loads(self.rfile.readline())
        out, err = io.StringIO(), io.StringIO()
        with _in_the_place_of(asked), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = int(run(asked["arguments"]))
        self.wfile.write(json.dumps([code, out.getvalue(), err.getvalue()]).encode())


@contextlib.contextmanager
def _in_the_place_of(asked: dict[str, object]) -> Iterator[None]:
    """Its folder and its variables. Whoever asked waits, and so does the test that started it."""
    folder, variables = Path.cwd(), dict(os.environ)
    os.chdir(str(asked["folder"]))
    os.environ.clear()
    os.environ.update(asked["variables"])  # type: ignore[call-overload]
    try:
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(variables)


@contextlib.contextmanager
def listening(place: Path) -> Iterator[Path]:
    """The socket's name, while it answers."""
    with socketserver.UnixStreamServer(str(place), _Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield place
        finally:
            server.shutdown()


def main() -> None:
    place, *arguments = sys.argv[1:]
    asked = {"arguments": arguments, "folder": os.getcwd(), "variables": dict(os.environ)}
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(place)
        asking.sendall(json.dumps(asked).encode() + b"\n")
        with asking.makefile("rb") as answer:
            code, out, err = json.loads(answer.read())
    sys.stdout.write(out)
    sys.stderr.write(err)
    sys.exit(code)


if __name__ == "__main__":
    main()
