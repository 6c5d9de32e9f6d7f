"""Runs the commands on a small disk that it fills."""

# A program that runs in a mount namespace (`unshare --mount`): what it mounts is gone with it, whatever becomes of it.
#
#     python small_disk.py FOLDER BYTES < STEPS
#
# FOLDER: of the disk, relative to the project's, where it runs. STEPS: a JSON list of steps, each a list whose first
# word is a method of `Disk`, the others its arguments. Prints the list of what they returned, as JSON. Every call of
# the program is a fork: everything is imported once, and nothing here opens a store by ADBC.

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import traceback
from contextlib import closing
from pathlib import Path
from typing import Any

os.environ["POLARS_MAX_THREADS"] = "1"

import reconciler.cli.commands.changes.apply
import reconciler.cli.commands.changes.plan  # noqa: F401 - what a fork needs is there already
from reconciler.cli.main import run

Said = dict[str, Any]
FILLER = "filler"


class Disk:
    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
        self._output = Path(tempfile.mkdtemp())

    def run(self, *arguments: str) -> Said:
        return self._forked(arguments, None)

    def run_with_files_of(self, size: int, *arguments: str) -> Said:
        """No file may grow beyond that many bytes, as with a quota: the disk itself has room."""
        return self._forked(arguments, size)

    def _forked(self, arguments: tuple[str, ...], size: int | None) -> Said:
        out, err = self._output / "out", self._output / "err"
        pid = os.fork()
        if pid:
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            return {"code": code, "out": out.read_text(), "err": err.read_text(), "files": self.files()}
        code = 70
        try:
            for path, number in ((out, 1), (err, 2)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
            if size is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            code = run(arguments)
            sys.stdout.flush()
        except BaseException:  # noqa: BLE001 - a fork's outermost door
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)

    def leave(self, free: int) -> None:
        """Fills the disk but for so many bytes."""
        self.empty()
        there = os.statvfs(self._folder)
        with (self._folder / FILLER).open("wb") as file:
            file.write(bytes(max(0, there.f_bavail * there.f_frsize - free)))

    def empty(self) -> None:
        (self._folder / FILLER).unlink(missing_ok=True)

    def clear(self) -> None:
        """Takes everything off the disk."""
        for path in self._folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def remount(self, how: str) -> None:
        """how: `ro` or `rw`."""
        subprocess.run(["mount", "-o", f"remount,{how}", self._folder], check=True)

    def lock(self, name: str) -> None:
        """Makes one file of the disk one that nobody can write, the superuser included."""
        path = str(self._folder / name)
        subprocess.run(["mount", "--bind", path, path], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)

    def unlock(self, name: str) -> None:
        subprocess.run(["umount", str(self._folder / name)], check=True)

    def files(self) -> list[str]:
        """Sorted; without what SQLite keeps for as long as a store is open, and the filler."""
        found = (str(path.relative_to(self._folder)) for path in self._folder.rglob("*") if path.is_file())
        return sorted(name for name in found if name != FILLER and not name.endswith(("-wal", "-shm")))

    def content(self, name: str) -> dict[str, str]:
        """A digest of every table of a store."""
        with closing(sqlite3.connect(self._folder / name)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1").fetchall()
            rows = {name: sorted(map(repr, connection.execute(f"SELECT * FROM {name}"))) for (name,) in names}
        return {name: hashlib.sha256("\n".join(found).encode()).hexdigest() for name, found in rows.items()}


def main() -> None:
    disk = Disk(Path(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps([getattr(disk, name)(*arguments) for name, *arguments in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
