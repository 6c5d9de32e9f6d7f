"""Runs a real OpenSSH server for tests."""

# It serves files by SFTP out of a chroot on loopback, for as long as a test session. It needs root: sshd looks up
# passwords, changes its root and becomes another user. That user is made for the session and removed afterwards. Where
# there is no sshd or no root, tests are skipped with the reason, but never under CI.

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from pydantic import SecretStr

from reconciler.oneroster.sources.sftp.account import SftpAccount

HOST = "127.0.0.1"
#: sshd changes its root only to a folder whose every parent is root's alone, which that of temporary files is not.
STATE = Path("/var/lib")
PRIVILEGES = Path("/run/sshd")
KEY_TYPES = ("ed25519", "ecdsa", "rsa")
#: Seconds
STARTS_WITHIN = 15

CONFIGURATION = """\
ListenAddress {host}:{port}
{host_keys}
PidFile none
LogLevel VERBOSE
UsePAM no
UseDNS no
PasswordAuthentication yes
PubkeyAuthentication yes
KbdInteractiveAuthentication no
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
MaxStartups 100
MaxAuthTries 6
ChrootDirectory {root}
ForceCommand internal-sftp
Subsystem sftp internal-sftp
AllowTcpForwarding no
AllowUsers {user}
{more}
"""


def anywhere(_: str) -> bool:
    """Every address may be reached."""
    return True


def missing() -> str | None:
    """Why no server can be had here; None where it can."""
    if shutil.which("sshd", path=_path()) is None:
        return "there is no OpenSSH sshd on this machine (Debian: openssh-server)"
    if os.geteuid() != 0:
        return "a real sshd with a chroot needs root"
    if not STATE.is_dir() or shutil.which("useradd", path=_path()) is None:
        return "this is no Debian-like machine: no useradd or no /var/lib"
    return None


@dataclass
class Sshd:
    """host_keys: public, by type, as they are pasted into YAML. private_key: of the user, in OpenSSH's form.

    root: what the user sees as `/`. home: a folder of the test's own in it, which the user may write to.
    """

    folder: Path
    port: int
    user: str
    password: str
    private_key: str
    host_keys: dict[str, str]
    process: subprocess.Popen[bytes]
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def home(self) -> Home:
        """A new empty folder for one test."""
        name = f"out-{next(self._numbers)}"
        path = self.root / name
        path.mkdir()
        path.chmod(0o755)
        return Home(self, path, f"/{name}")

    def said(self) -> str:
        """What the server logged, of everybody."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def connections(self) -> int:
        """How many there were so far."""
        return self.said().count("Connection from ")

    @contextmanager
    def attempts(self) -> Iterator[list[str]]:
        """Fills the list with what the server logged within of sign-ins, refused and accepted."""
        before = len(self.said())
        found: list[str] = []
        yield found
        found += re.findall(
            r"(?:Failed|Accepted) (?:password|publickey) for (?:invalid user )?\S+", self.said()[before:]
        )


@dataclass(frozen=True)
class Home:
    """One test's folder: `path` on this machine, `name` as the user sees it."""

    server: Sshd
    path: Path
    name: str

    def put(self, name: str, content: bytes, mtime: float | None = None) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if mtime is not None:
            os.utime(path, (mtime, mtime))
        return path

    def account(self, path: str = "roster.zip", **more: object) -> SftpAccount:
        """For a path in this folder, by password; `more` as in SftpAccount."""
        known: dict[str, object] = {
            "host": HOST,
            "port": self.server.port,
            "username": self.server.user,
            "path": f"{self.name}/{path}" if path else self.name,
            "host_key": self.server.host_keys["ed25519"],
        }
        if "private_key" not in more:
            known["password"] = SecretStr(self.server.password)
        return SftpAccount(**{**known, **more})  # type: ignore[arg-type]


@contextmanager
def running() -> Iterator[Sshd]:
    """Starts a server, and ends it with all it made."""
    PRIVILEGES.mkdir(mode=0o755, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="reconciler-sshd-", dir=STATE))
    user = f"rsftp{os.getpid()}"
    process: subprocess.Popen[bytes] | None = None
    try:
        folder.chmod(0o755)
        (folder / "root").mkdir()
        (folder / "root").chmod(0o755)
        password = secrets.token_urlsafe(18)
        _make_user(user, password)
        keys = {kind: key(folder / f"host_{kind}", kind) for kind in KEY_TYPES}
        mine = key(folder / "user", "ed25519")
        (folder / "authorized_keys").write_text(f"{mine}\n", encoding="utf-8")
        process, port = _start(folder, user)
        yield Sshd(folder, port, user, password, (folder / "user").read_text(encoding="utf-8"), keys, process)
    finally:
        if process is not None:
            process.terminate()
            process.wait()
        _remove_user(user)
        shutil.rmtree(folder, ignore_errors=True)


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _tool(*words: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which(words[0], path=_path())
    assert program is not None, words[0]
    return subprocess.run([program, *words[1:]], check=False, capture_output=True, text=True)


def key(path: Path, kind: str, *more: str) -> str:
    """Makes a key pair; its public half, without a comment."""
    made = _tool("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", str(path), *more)
    assert made.returncode == 0, made.stderr
    return path.with_suffix(".pub").read_text(encoding="utf-8").strip()


def _make_user(user: str, password: str) -> None:
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=password, check=True, capture_output=True, text=True
    ).stdout.strip()
    for _ in range(50):
        made = _tool("useradd", "--no-create-home", "--home-dir", "/", "--shell", "/bin/false", "-p", hashed, user)
        if made.returncode == 0:
            return
        if "lock" not in made.stderr:
            break
        # Another worker is making its own.
        time.sleep(0.1)
    raise AssertionError(f"no user could be made: {made.stderr}")


def _remove_user(user: str) -> None:
    for _ in range(50):
        # 6: there is none; 8: a connection of it is just ending.
        if _tool("userdel", "--force", user).returncode in (0, 6):
            return
        time.sleep(0.1)


def _start(folder: Path, user: str) -> tuple[subprocess.Popen[bytes], int]:
    program = shutil.which("sshd", path=_path())
    assert program is not None
    for _ in range(5):
        with closing(socket.create_server((HOST, 0))) as free:
            port = free.getsockname()[1]
        configuration = folder / "sshd_config"
        configuration.write_text(
            CONFIGURATION.format(
                host=HOST,
                port=port,
                host_keys="\n".join(f"HostKey {folder}/host_{kind}" for kind in KEY_TYPES),
                folder=folder,
                root=folder / "root",
                user=user,
                # Later ones keep addresses out that were refused; the tests are refused on purpose.
                more="PerSourcePenalties no" if _version(program) >= (9, 8) else "",
            ),
            encoding="utf-8",
        )
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen([program, "-D", "-e", "-f", str(configuration)], stdout=log, stderr=log)
        end = time.monotonic() + STARTS_WITHIN
        while process.poll() is None and time.monotonic() < end:
            with suppress(OSError), closing(socket.create_connection((HOST, port), 1)) as line:
                line.settimeout(STARTS_WITHIN)
                if line.recv(4) == b"SSH-":
                    return process, port
            time.sleep(0.02)
        process.kill()
        process.wait()
    raise AssertionError(f"sshd did not start: {(folder / 'log').read_text(encoding='utf-8')}")


def _version(program: str) -> tuple[int, int]:
    said = subprocess.run([program, "-V"], check=False, capture_output=True, text=True)
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", said.stderr + said.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)
