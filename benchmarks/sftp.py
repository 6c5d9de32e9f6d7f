"""A roster of 200 MB by SFTP beside a bare paramiko `SFTPClient.get` of the same file, from a real sshd on loopback.

The two take turns, and the quickest of each counts. What is measured begins with the connection and ends with the bytes
in a file on disk; for us that includes three looks and the check of the archive's end, and not the wait between two
looks, which is no work.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import paramiko

from benchmarks.customers import Figure
from reconciler.network.politeness import HostThrottle
from reconciler.oneroster.sources.interface import FetchRequest
from reconciler.oneroster.sources.sftp.account import SftpAccount
from reconciler.oneroster.sources.sftp.source import SftpSource
from tests.support.servers import sshd

ROOT = Path(__file__).resolve().parent.parent
SIZE = 200 * 10**6
CHUNK = 10**6
ROUNDS = 5
BOUND = 1.3


def main() -> int:
    reason = sshd.missing()
    if reason is not None:
        print(f"SFTP is not measured here: {reason}")
        return 0
    with sshd.running() as server:
        home = server.home()
        size = _write_archive(home.path / "roster.zip")
        print(f"{size / 10**6:,.0f} MB by SFTP, {ROUNDS} rounds; the 5 s between two looks are 0 here", flush=True)
        account = home.account()
        ours, bare = [], []
        for turn in range(ROUNDS):
            for which in (ours, bare) if turn % 2 else (bare, ours):
                which.append(_measure_ours(account, size) if which is ours else _measure_bare(account, size))
    print(
        " · ".join(f"{name} {_format_times(taken, size)}" for name, taken in (("ours", ours), ("paramiko get", bare)))
    )
    figure = Figure("SFTP fetch / bare paramiko get", min(ours) / min(bare), BOUND)
    bound = f"at most {figure.bound:.4g}{figure.unit}"
    print(f"{figure.text:<66} {figure.ratio:8.2f}{figure.unit}   {bound}   {'ok' if figure.holds else 'MISSED'}")
    return 0 if figure.holds else 1


def _write_archive(path: Path) -> int:
    """Random bytes in a member that is not packed; the size of it all."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive, archive.open("users.csv", "w") as member:
        for _ in range(SIZE // CHUNK):
            member.write(os.urandom(CHUNK))
    return path.stat().st_size


def _format_times(seconds: list[float], size: int) -> str:
    return (
        f"{min(seconds):.2f} s ({size / min(seconds) / 10**6:,.0f} MB/s; "
        f"{', '.join(f'{each:.2f}' for each in seconds)})"
    )


def _measure_ours(account: SftpAccount, size: int) -> float:
    source = SftpSource(account, HostThrottle(), lambda _: True, check_interval=0)
    begin = time.perf_counter()
    with source.fetch(FetchRequest(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")).stream as stream:
        taken = time.perf_counter() - begin
        if stream.seek(0, os.SEEK_END) != size:
            raise SystemExit("not all of the file came")
    return taken


def _measure_bare(account: SftpAccount, size: int) -> float:
    assert account.password is not None
    folder = Path(tempfile.mkdtemp())
    begin = time.perf_counter()
    with paramiko.Transport((account.host, account.port)) as transport:
        transport.connect(username=account.username, password=account.password.get_secret_value())
        client = paramiko.SFTPClient.from_transport(transport)
        assert client is not None
        client.get(account.path, str(folder / "roster.zip"))
        taken = time.perf_counter() - begin
    if (folder / "roster.zip").stat().st_size != size:
        raise SystemExit("not all of the file came")
    shutil.rmtree(folder)
    return taken


if __name__ == "__main__":
    sys.exit(main())
