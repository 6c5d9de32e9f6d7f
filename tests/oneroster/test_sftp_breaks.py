"""An SFTP fetch whose connection breaks, whose server hangs, and whose file changes under it."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from reconciler.model.diagnostic import Refusal
from reconciler.network.politeness import HostThrottle
from reconciler.oneroster.sources.interface import FetchProgress
from reconciler.oneroster.sources.sftp import connection
from reconciler.oneroster.sources.sftp import session as line
from reconciler.oneroster.sources.sftp.account import SftpAccount
from tests.support.rosters.bundles import bundle
from tests.support.servers import sshd
from tests.support.servers.breaking_proxy import Break, breaking
from tests.support.sources.sftp_fetch import Fetching

pytestmark = pytest.mark.slow

SIZE = 2 * 1024**2
#: Of handshake, sign-in and two looks, less comes from the server.
TALK = 64 * 1024


@pytest.fixture
def content(sftp_home: sshd.Home) -> bytes:
    content = os.urandom(SIZE)
    sftp_home.put("roster.bin", content)
    return content


def test_transfer_resumes_after_a_break(sftp_home: sshd.Home, content: bytes) -> None:
    breaks = [Break(TALK + SIZE // 3, "end"), Break(TALK + SIZE // 3, "end")]
    fetching = Fetching()
    with breaking(sftp_home.server.port, *breaks) as proxy, sftp_home.server.attempts() as attempts:
        assert fetching.content(sftp_home.account("roster.bin", port=proxy.port)) == content
    assert proxy.connections == 3
    assert len(attempts) == 3
    assert fetching.waits == [5.0, 1.0, 2.0]
    done = [step.done for step in fetching.steps]
    assert done == sorted(done)
    # What had come was not asked for again: the last connection carried the rest alone.
    assert proxy.carried[2] < SIZE // 2


@pytest.mark.parametrize("after", [0, 10, 1_500, 4_000, 6_000])
def test_early_break_never_looks_like_an_empty_roster(sftp_home: sshd.Home, content: bytes, after: int) -> None:
    with breaking(sftp_home.server.port, Break(after)) as proxy:
        account = sftp_home.account("roster.bin", port=proxy.port)
        came: bytes | str
        try:
            came = Fetching().content(account)
        except Refusal as refusal:
            came = refusal.diagnostics[0].code
    assert came in (content, "no-ssh", "sign-in-refused")
    assert proxy.connections == (2 if came == content else 1)


def test_a_line_that_breaks_each_time_is_given_up(sftp_home: sshd.Home, content: bytes) -> None:
    fetching = Fetching()
    with breaking(sftp_home.server.port, *[Break(TALK)] * 20) as proxy, sftp_home.server.attempts() as attempts:
        found = fetching.refused(sftp_home.account("roster.bin", port=proxy.port))
    assert found.code == "connection-lost"
    assert proxy.connections == len(attempts) == 1 + line.MAX_RECONNECTIONS
    assert fetching.waits == [5.0, 1.0, 2.0, 4.0, 8.0, 16.0]


def test_a_server_that_goes_quiet_counts_as_a_break(
    sftp_home: sshd.Home, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "RESPONSE_TIMEOUT", 0.5)
    fetching = Fetching()
    with breaking(sftp_home.server.port, Break(TALK + SIZE // 2, "stall")) as proxy:
        assert fetching.content(sftp_home.account("roster.bin", port=proxy.port)) == content
    assert (proxy.connections, fetching.waits) == (2, [5.0, 1.0])


@pytest.mark.parametrize("after", [0, 1_000, TALK + SIZE // 2])
def test_whatever_hangs_the_whole_fetch_has_an_end(sftp_home: sshd.Home, content: bytes, after: int) -> None:
    begin = time.monotonic()
    with breaking(sftp_home.server.port, Break(after, "stall")) as proxy:
        found = Fetching().refused(sftp_home.account("roster.bin", port=proxy.port, timeout=timedelta(seconds=1)))
    assert found.code == "fetch-timeout"
    assert time.monotonic() - begin < 5


def test_wait_longer_than_the_fetch_is_not_begun(sftp_home: sshd.Home, content: bytes) -> None:
    fetching = Fetching()
    found = fetching.refused(sftp_home.account("roster.bin", timeout=timedelta(seconds=4)))
    assert (found.code, fetching.waits, fetching.steps) == ("fetch-timeout", [], [])


def test_what_is_no_ssh_server_is_told_as_that(sftp_home: sshd.Home) -> None:
    with breaking(sftp_home.server.port, *[Break(0)] * 5) as proxy:
        assert Fetching().refused(sftp_home.account(port=proxy.port)).code == "no-ssh"
        assert proxy.connections == 1


def test_a_port_that_nobody_listens_at_is_unreachable(sftp_home: sshd.Home) -> None:
    with breaking(sftp_home.server.port) as proxy:
        port = proxy.port
    assert Fetching().refused(sftp_home.account(port=port)).code == "host-unreachable"


def growing(home: sshd.Home, name: str = "roster.zip") -> Callable[[object], None]:
    def grow(_: object) -> None:
        with (home.path / name).open("ab") as file:
            file.write(b"more")

    return grow


def test_file_growing_between_two_looks_is_not_read(sftp_home: sshd.Home, content: bytes) -> None:
    fetching = Fetching(between=growing(sftp_home, "roster.bin"))
    found = fetching.refused(sftp_home.account("roster.bin"))
    assert (found.code, fetching.waits, fetching.steps) == ("still-being-uploaded", [5.0] * 3, [])


def test_a_file_that_grows_once_is_looked_at_anew(sftp_home: sshd.Home, content: bytes) -> None:
    grow = growing(sftp_home, "roster.bin")
    fetching = Fetching(between=lambda number: grow(number) if number == 1 else None)
    assert fetching.content(sftp_home.account("roster.bin")) == content + b"more"
    assert fetching.waits == [5.0] * 2


def test_file_changing_while_read_is_retried_three_times_at_most(sftp_home: sshd.Home, content: bytes) -> None:
    account = sftp_home.account("roster.bin")
    once = iter([True])
    grow = growing(sftp_home, "roster.bin")

    def heard(step: FetchProgress) -> None:
        if next(once, False):
            grow(step)

    fetching = Fetching()
    assert fetching.content(account, heard) == content + b"more"
    assert fetching.waits == [5.0] * 2
    always = Fetching()
    assert always.refused(account, grow).code == "still-being-uploaded"
    assert always.waits == [5.0] * 3


def test_file_replaced_during_a_break_is_read_from_its_start(sftp_home: sshd.Home, content: bytes) -> None:
    other = os.urandom(SIZE)

    def between(number: int) -> None:
        if number == 2:
            sftp_home.put("new", other, 1_700_000_000).rename(sftp_home.path / "roster.bin")

    fetching = Fetching(between=between)
    with breaking(sftp_home.server.port, Break(TALK + SIZE // 2)) as proxy:
        assert fetching.content(sftp_home.account("roster.bin", port=proxy.port)) == other
    assert fetching.waits == [5.0, 1.0, 5.0]


def test_file_vanishing_while_read_is_missing(sftp_home: sshd.Home, content: bytes) -> None:
    def heard(_: FetchProgress) -> None:
        (sftp_home.path / "roster.bin").unlink(missing_ok=True)

    assert Fetching().refused(sftp_home.account("roster.bin"), heard).code == "remote-file-missing"


def test_a_zip_without_its_end_is_still_being_uploaded(sftp_home: sshd.Home) -> None:
    whole = bundle(users=20).zip(sftp_home.path / "roster.zip").read_bytes()
    sftp_home.put("roster.zip", whole[: len(whole) // 2])
    assert Fetching().refused(sftp_home.account()).code == "still-being-uploaded"


def test_file_arriving_between_two_looks_is_waited_for(sftp_home: sshd.Home) -> None:
    for name, text in bundle(users=20).files().items():
        sftp_home.put(f"daily/{name}", text)
    late = (sftp_home.path / "daily" / "users.csv").read_bytes()
    (sftp_home.path / "daily" / "users.csv").unlink()
    fetching = Fetching(between=lambda number: sftp_home.put("daily/users.csv", late) if number == 1 else None)
    assert b"users.csv" in fetching.content(sftp_home.account("daily"))
    assert fetching.waits == [5.0] * 2


def test_concurrent_fetches_from_one_host_are_limited(sftp_home: sshd.Home, content: bytes) -> None:
    hosts = HostThrottle(1)
    busy: list[int] = []
    most: list[int] = []

    def between(_: int) -> None:
        busy.append(1)
        most.append(len(busy))
        time.sleep(0.05)
        busy.pop()

    threads = [
        threading.Thread(target=Fetching(between, hosts).content, args=(sftp_home.account("roster.bin"),))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1]


def test_nothing_of_a_fetch_is_left_under_a_name(
    sftp_home: sshd.Home, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[list[Path]] = []
    fetched = Fetching().fetch(sftp_home.account("roster.bin"), lambda _: seen.append(list(tmp_path.iterdir())))
    with fetched.stream:
        assert seen
        assert not any(seen)
        assert os.fstat(fetched.stream.fileno()).st_mode & 0o777 == 0o600


def test_a_full_disk_is_told_and_is_no_break(
    sftp_home: sshd.Home, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        """A file system without room."""

        def __init__(self, **_: object) -> None:
            """Like that of the standard library."""

        def write(self, _: bytes) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            """Nothing to give back."""

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    fetching = Fetching()
    assert fetching.refused(sftp_home.account("roster.bin")).code == "disk-full"
    assert fetching.waits == [5.0]


ALONE = """
import sys
from datetime import timedelta
from pydantic import SecretStr
from reconciler.network.politeness import HostThrottle
from reconciler.oneroster.sources.interface import FetchRequest
from reconciler.oneroster.sources.sftp.account import SftpAccount
from reconciler.oneroster.sources.sftp.source import SftpSource
from reconciler.model.diagnostic import Refusal
port, user, path, key = sys.argv[1:]
account = SftpAccount("127.0.0.1", int(port), user, path, key, SecretStr(sys.stdin.read()))
try:
    source = SftpSource(account, HostThrottle(), lambda _: True, sleep=lambda _: None)
    source.fetch(FetchRequest("2026-11-23T10:00:00Z"))
except Refusal as refusal:
    print(refusal.diagnostics[0].code)
"""


@pytest.mark.slow
def test_silent_process_prints_nothing_of_a_broken_line(sftp_home: sshd.Home, content: bytes) -> None:
    server = sftp_home.server
    with breaking(server.port, *[Break(TALK)] * 20) as proxy:
        account = sftp_home.account("roster.bin", port=proxy.port)
        words = [str(account.port), account.username, account.path, str(account.host_key)]
        done = subprocess.run(
            [sys.executable, "-c", ALONE, *words], input=server.password, check=True, capture_output=True, text=True
        )
    assert (done.stdout, done.stderr) == ("connection-lost\n", "")


def test_secret_shows_in_no_form_of_its_holder(sftp_home: sshd.Home) -> None:
    account = sftp_home.account(private_key=SecretStr(sftp_home.server.private_key))
    shown = f"{account!r} {account} {Fetching().source(sftp_home.account()).account!r}"
    assert sftp_home.server.password not in shown
    assert "PRIVATE KEY" not in shown


def test_unbounded_packet_is_refused_before_the_key_exchange() -> None:
    """It takes memory, and whoever sends it is still a stranger."""
    sent = 0

    def flood(listener: socket.socket) -> None:
        nonlocal sent
        peer, _ = listener.accept()
        with peer, contextlib.suppress(OSError):
            peer.sendall(b"SSH-2.0-flood\r\n" + struct.pack(">I", 0x7FFF_FFF4))
            while sent < 256:
                peer.sendall(bytes(1024**2))
                sent += 1

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=flood, args=(listener,), daemon=True)
        thread.start()
        host_key = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes(32)).decode()
        port = listener.getsockname()[1]
        account = SftpAccount("127.0.0.1", port, "u", "/x.zip", host_key, password=SecretStr("p"))
        assert Fetching().refused(account).code == "no-ssh"
        thread.join()
    assert sent < 32, "in MiB: what the system's own buffers took"
