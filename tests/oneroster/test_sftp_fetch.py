"""Fetching from a real OpenSSH sshd: what comes, what is refused, and what is said of it."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import subprocess
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from paramiko.packet import Packetizer
from pydantic import SecretStr

from reconciler.model.diagnostic import Refusal, Severity
from reconciler.network.politeness import HostThrottle
from reconciler.oneroster.bundle import read_bundle
from reconciler.oneroster.sources.interface import FetchRequest
from reconciler.oneroster.sources.sftp import find as looking
from reconciler.oneroster.sources.sftp.credentials import list_signature_algorithms, load_private_key, parse_host_key
from reconciler.oneroster.sources.sftp.source import SftpSource
from tests.support.rosters.bundles import bundle
from tests.support.servers import sshd
from tests.support.sources.sftp_fetch import Fetching

pytestmark = pytest.mark.slow

ROSTER = bundle(users=20)
OLD, NEW = 1_700_000_000, 1_700_100_000


@pytest.fixture
def roster(sftp_home: sshd.Home) -> bytes:
    return ROSTER.zip(sftp_home.path / "roster.zip").read_bytes()


def test_zip_arrives_unchanged_by_password_and_by_key(sftp_home: sshd.Home, roster: bytes) -> None:
    for account in (
        sftp_home.account(),
        sftp_home.account(private_key=SecretStr(sftp_home.server.private_key)),
    ):
        fetching = Fetching()
        fetched = fetching.fetch(account)
        with fetched.stream:
            assert fetched.stream.read() == roster
            assert not os.path.exists(fetched.stream.name) or isinstance(fetched.stream.name, int)
        assert (fetched.type, fetched.name) == ("sftp", f"{sshd.HOST}:{sftp_home.name}/roster.zip")
        assert fetched.diagnostics == ()
        assert fetching.waits == [5.0]


@pytest.mark.parametrize("kind", sshd.KEY_TYPES)
def test_pinned_key_is_requested_from_a_multikey_server(sftp_home: sshd.Home, roster: bytes, kind: str) -> None:
    assert Fetching().content(sftp_home.account(host_key=sftp_home.server.host_keys[kind])) == roster


@pytest.mark.parametrize("kind", sshd.KEY_TYPES)
def test_changed_host_key_is_refused_before_sign_in_with_fingerprints(
    sftp_home: sshd.Home, tmp_path: Path, kind: str
) -> None:
    other = sshd.key(tmp_path / "other", kind)
    fetching = Fetching()
    with sftp_home.server.attempts() as attempts:
        found = fetching.refused(sftp_home.account(host_key=other))
    assert (found.code, attempts, fetching.waits) == ("host-key-changed", [], [])
    for line in (other, sftp_home.server.host_keys[kind]):
        shown = subprocess.run(["ssh-keygen", "-lf", "-"], input=line, check=True, capture_output=True, text=True)
        assert f"{line.split()[0]} {shown.stdout.split()[1]}" in found.message


def test_server_with_an_unknown_key_is_not_asked(sftp_home: sshd.Home) -> None:
    before = sftp_home.server.connections()
    assert Fetching().refused(sftp_home.account(host_key=None)).code == "host-key-unknown"
    assert sftp_home.server.connections() == before


def test_truncated_host_key_is_reported_as_such(sftp_home: sshd.Home) -> None:
    account = sftp_home.account(host_key=sftp_home.server.host_keys["ed25519"][:40])
    assert Fetching().refused(account).code == "host-key-unreadable"


def test_rsa_keys_are_requested_by_safe_signatures_first() -> None:
    wanted = parse_host_key(rsa_line())
    assert list_signature_algorithms(wanted)[:2] == ("rsa-sha2-512", "rsa-sha2-256")
    assert set(list_signature_algorithms(wanted)) == set(list_signature_algorithms(None))
    assert "ssh-rsa" not in list_signature_algorithms(None)


def rsa_line() -> str:
    made = rsa.generate_private_key(65537, 2048).public_key()
    return made.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


@pytest.mark.parametrize("way", ["password", "private_key"])
def test_rejected_sign_in_is_one_attempt_by_one_method(sftp_home: sshd.Home, way: str) -> None:
    made = ed25519.Ed25519PrivateKey.generate()
    key = made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    secret = SecretStr("not-the-password" if way == "password" else key)
    with sftp_home.server.attempts() as attempts:
        found = Fetching().refused(sftp_home.account(**{way: secret}))
    method = "password" if way == "password" else "publickey"
    assert attempts == [f"Failed {method} for {sftp_home.server.user}"]
    assert found.code == "sign-in-refused"
    assert secret.get_secret_value() not in str(found)


def test_unknown_account_is_one_attempt_too(sftp_home: sshd.Home) -> None:
    with sftp_home.server.attempts() as attempts:
        assert Fetching().refused(sftp_home.account(username="nobody-here")).code == "sign-in-refused"
    assert len(attempts) == 1


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
@pytest.mark.parametrize("form", [PrivateFormat.OpenSSH, PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
def test_keys_are_read_in_every_common_format(curve: ec.EllipticCurve, form: PrivateFormat) -> None:
    made = ec.generate_private_key(curve)
    text = made.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
    line = made.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    for given in (text, text.replace("\n", "\r\n"), f"\n{text.strip()}"):
        assert load_private_key(SecretStr(given)).get_base64() == line.split()[1]


def test_key_with_passphrase_and_invalid_key_differ_in_diagnosis(sftp_home: sshd.Home) -> None:
    made = ed25519.Ed25519PrivateKey.generate()
    locked = BestAvailableEncryption(b"passphrase")
    before = sftp_home.server.connections()
    for form in (PrivateFormat.OpenSSH, PrivateFormat.PKCS8):
        text = made.private_bytes(Encoding.PEM, form, locked).decode()
        found = Fetching().refused(sftp_home.account(private_key=SecretStr(text)))
        assert found.code == "private-key-encrypted"
    plain = made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    public = made.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    hints = set()
    for text in (plain.replace("\n", "\\n"), public, plain[:90], "PuTTY-User-Key-File-3: ssh-ed25519", "", "secret"):
        found = Fetching().refused(sftp_home.account(private_key=SecretStr(text)))
        assert found.code == "private-key-unreadable"
        assert not text or text not in str(found)
        hints.add(found.hint)
    assert len(hints) == 4
    # Nobody was asked with what cannot be used.
    assert sftp_home.server.connections() == before


def test_wrong_name_says_what_was_expected_and_found(sftp_home: sshd.Home, roster: bytes) -> None:
    sftp_home.put("evil\x1b[31m.zip", b"x")
    found = Fetching().refused(sftp_home.account("rooster.zip"))
    assert found.code == "remote-file-missing"
    assert f"{sftp_home.name}/rooster.zip does not exist" in found.message
    assert f"{sftp_home.name} holds evil?[31m.zip, roster.zip" in found.message
    assert "Did you mean roster.zip?" in str(found.hint)
    folder = Fetching().refused(sftp_home.account("daily/roster.zip"))
    assert (folder.code, "/daily does not exist" in folder.message) == ("remote-file-missing", True)


def test_what_may_not_be_read_is_no_missing_file(sftp_home: sshd.Home, roster: bytes) -> None:
    (sftp_home.path / "roster.zip").chmod(0o000)
    assert Fetching().refused(sftp_home.account()).code in ("remote-permission-denied", "still-being-uploaded")


def test_empty_file_or_folder_is_no_empty_roster(sftp_home: sshd.Home) -> None:
    sftp_home.put("roster.zip", b"")
    assert Fetching().refused(sftp_home.account()).code == "remote-file-empty"
    (sftp_home.path / "daily").mkdir()
    empty = Fetching().refused(sftp_home.account("daily"))
    assert (empty.code, "it is empty" in empty.message) == ("no-csv-in-folder", True)
    ROSTER.zip(sftp_home.path / "daily" / "roster.zip")
    archive = Fetching().refused(sftp_home.account("daily"))
    assert (archive.code, "If roster.zip is the roster" in str(archive.hint)) == ("no-csv-in-folder", True)
    assert Fetching().refused(sftp_home.account("daily/*.txt", pick="newest")).code == "nothing-fits-pattern"


def folder_of_csv(home: sshd.Home, name: str = "daily") -> Path:
    for number, (file, content) in enumerate(ROSTER.files().items()):
        home.put(f"{name}/{file}", content, OLD + 2 * number)
    return home.path / name


def test_folder_of_csv_files_packs_identically_each_time(sftp_home: sshd.Home) -> None:
    folder = folder_of_csv(sftp_home)
    (folder / "older").mkdir()
    sftp_home.put("daily/older/users.csv", b"not looked into")
    sftp_home.put("daily/users.csv.filepart", b"half")
    sftp_home.put("daily/notes.txt", b"hello")
    fetched = Fetching().fetch(sftp_home.account("daily/"))
    with fetched.stream:
        content = fetched.stream.read()
        fetched.stream.seek(0)
        read = read_bundle(fetched.stream, type="sftp", name=fetched.name, fetched_at=fetched.fetched_at)
    assert [(each.code, each.severity) for each in fetched.diagnostics] == [("ignored-file", Severity.INFO)]
    assert "notes.txt, older, users.csv.filepart" in fetched.diagnostics[0].message
    assert (read.users.height, read.complete) == (20, True)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = ROSTER.files()
        assert archive.namelist() == sorted(files)
        assert {name: archive.read(name) for name in files} == files
        assert {each.compress_type for each in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.getinfo("manifest.csv").date_time[:3] == (2023, 11, 14)
    assert Fetching().content(sftp_home.account("daily")) == content


def test_pattern_takes_the_newest_or_last_and_lists_others(sftp_home: sshd.Home) -> None:
    for name, mtime in (("r-1.zip", NEW), ("r-2.zip", OLD), ("r-3.zip.filepart", NEW + 9), (".r-4.zip", NEW + 9)):
        os.utime(ROSTER.zip(sftp_home.path / name), (mtime, mtime))
    for pick, taken, other in (("newest", "r-1.zip", "r-2.zip"), ("last_by_name", "r-2.zip", "r-1.zip")):
        fetched = Fetching().fetch(sftp_home.account("r-*", pick=pick))
        fetched.stream.close()
        assert fetched.name.endswith(f"/{taken}")
        (said,) = fetched.diagnostics
        assert (said.code, said.severity) == ("other-files-fit", Severity.INFO)
        assert said.message.endswith(f"other matches: {other}")


def test_done_marker_must_exist_and_not_be_older(sftp_home: sshd.Home, roster: bytes) -> None:
    os.utime(sftp_home.path / "roster.zip", (NEW, NEW))
    account = sftp_home.account(done_marker=".done")
    assert Fetching().refused(account).code == "done-marker-missing"
    sftp_home.put("roster.zip.done", b"", OLD)
    assert Fetching().refused(account).code == "done-marker-older"
    sftp_home.put("roster.zip.done", b"", NEW)
    assert Fetching().content(account) == roster


def test_pattern_takes_the_newest_finished_file(sftp_home: sshd.Home) -> None:
    for name, mtime in (("r-1.zip", OLD), ("r-2.zip", NEW)):
        os.utime(ROSTER.zip(sftp_home.path / name), (mtime, mtime))
    account = sftp_home.account("r-*.zip", pick="newest", done_marker=".done")
    assert Fetching().refused(account).code == "done-marker-missing"
    sftp_home.put("r-1.zip.done", b"", OLD)
    fetched = Fetching().fetch(account)
    fetched.stream.close()
    assert fetched.name.endswith("/r-1.zip")
    assert [(each.code, each.severity) for each in fetched.diagnostics] == [("newer-not-done", Severity.WARNING)]


def test_a_digest_beside_the_roster_is_checked(sftp_home: sshd.Home, roster: bytes) -> None:
    account = sftp_home.account(done_marker=".sha256")
    sftp_home.put("roster.zip.sha256", f"{hashlib.sha256(roster).hexdigest()}  roster.zip\n".encode())
    assert Fetching().content(account) == roster
    sftp_home.put("roster.zip.sha256", f"{hashlib.sha256(b'other').hexdigest()}  roster.zip\n".encode())
    assert Fetching().refused(account).code == "digest-differs"
    sftp_home.put("roster.zip.sha256", b"done\n")
    assert Fetching().refused(account).code == "digest-unreadable"


def test_digests_of_a_folder_are_checked_file_by_file(sftp_home: sshd.Home) -> None:
    folder_of_csv(sftp_home)
    lines = [f"{hashlib.sha256(content).hexdigest()} *{name}" for name, content in ROSTER.files().items()]
    sftp_home.put("daily.sha256", "\n".join(lines).encode())
    account = sftp_home.account("daily", done_marker=".sha256")
    assert zipfile.ZipFile(io.BytesIO(Fetching().content(account))).testzip() is None
    sftp_home.put("daily.sha256", "\n".join(lines[1:]).encode())
    assert Fetching().refused(account).code == "digest-unreadable"
    sftp_home.put("daily.sha256", "\n".join([*lines[1:], lines[0].replace("0", "1").replace("a", "b")]).encode())
    assert Fetching().refused(account).code == "digest-differs"


def test_link_is_followed_only_within_the_folder(sftp_home: sshd.Home, roster: bytes) -> None:
    other = sftp_home.server.home()
    other.put("theirs.zip", roster)
    (sftp_home.path / "2026").mkdir()
    (sftp_home.path / "roster.zip").rename(sftp_home.path / "2026" / "roster.zip")
    (sftp_home.path / "today.zip").symlink_to("2026/roster.zip")
    assert Fetching().content(sftp_home.account("today.zip")) == roster
    assert Fetching().content(sftp_home.account("*.zip", pick="newest")) == roster
    (sftp_home.path / "far.zip").symlink_to(f"..{other.name}/theirs.zip")
    (sftp_home.path / "nowhere.zip").symlink_to("../../../etc/passwd")
    (sftp_home.path / "folder").symlink_to(f"..{other.name}")
    for path in ("far.zip", "nowhere.zip", "folder", "folder/theirs.zip", "f*.zip"):
        found = Fetching().refused(sftp_home.account(path, pick="newest" if "*" in path else None))
        assert found.code == "link-leaves-folder", path
    (sftp_home.path / "dangling.zip").symlink_to("gone.zip")
    assert "a link to something that does not exist" in Fetching().refused(sftp_home.account("dangling.zip")).message


def test_csv_file_linked_from_outside_is_refused(sftp_home: sshd.Home) -> None:
    folder = folder_of_csv(sftp_home)
    sftp_home.put("users.csv", b"elsewhere")
    (folder / "users.csv").unlink()
    (folder / "users.csv").symlink_to("../users.csv")
    assert Fetching().refused(sftp_home.account("daily")).code == "link-leaves-folder"


def test_oversized_roster_is_refused_before_any_byte_is_read(sftp_home: sshd.Home) -> None:
    with (sftp_home.path / "roster.zip").open("wb") as file:
        file.truncate(5 * 1024**3 + 1)
    fetching = Fetching()
    assert Fetching().refused(sftp_home.account()).code == "roster-too-large"
    assert fetching.steps == []


def test_folder_with_too_many_names_is_not_read_partly(sftp_home: sshd.Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "MAX_NAMES", 100)
    (sftp_home.path / "daily").mkdir()
    for number in range(101):
        (sftp_home.path / "daily" / f"{number}.csv").touch()
    assert Fetching().refused(sftp_home.account("daily")).code == "too-many-names"


def test_file_from_the_future_is_fetched_with_a_note(sftp_home: sshd.Home, roster: bytes) -> None:
    os.utime(sftp_home.path / "roster.zip", (4_000_000_000, 4_000_000_000))
    fetched = Fetching().fetch(sftp_home.account())
    fetched.stream.close()
    assert [(each.code, each.severity) for each in fetched.diagnostics] == [("clock-skew", Severity.WARNING)]


def test_names_not_utf8_do_not_hide_others(sftp_home: sshd.Home, roster: bytes) -> None:
    Path(os.fsdecode(os.fsencode(sftp_home.path) + b"/sch\xfcler.zip")).write_bytes(roster)
    assert "sch?ler.zip" in Fetching().refused(sftp_home.account("none.zip")).message
    assert Fetching().content(sftp_home.account("roster*", pick="newest")) == roster
    assert Fetching().content(sftp_home.account("sch*", pick="newest")) == roster


def test_progress_names_the_file_in_bytes_at_intervals(sftp_home: sshd.Home) -> None:
    content = os.urandom(3 * 1024**2)
    sftp_home.put("roster.bin", content)
    ticks = iter(range(1_000_000))
    fetching = Fetching(clock=lambda: next(ticks) / 1000)
    assert fetching.content(sftp_home.account("roster.bin", timeout=timedelta(days=1))) == content
    assert {(step.part, step.total, step.unit) for step in fetching.steps} == {("roster.bin", len(content), "bytes")}
    assert [step.done for step in fetching.steps] == sorted({step.done for step in fetching.steps})
    assert fetching.steps[-1].done == len(content)
    # 96 blocks and a few more looks at a clock that goes on by a thousandth of a second each.
    assert len(fetching.steps) <= 4


def test_a_transfer_outlives_new_keys_of_the_connection(sftp_home: sshd.Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Packetizer, "REKEY_BYTES", 1024**2)
    content = os.urandom(5 * 1024**2)
    sftp_home.put("roster.bin", content)
    fetching = Fetching()
    assert fetching.content(sftp_home.account("roster.bin")) == content
    assert fetching.waits == [5.0]


def test_private_host_needs_permission(sftp_home: sshd.Home, roster: bytes) -> None:
    source = SftpSource(sftp_home.account(), HostThrottle(), lambda _: False)
    with pytest.raises(Refusal) as refusal:
        source.fetch(FetchRequest("2026-11-23T10:00:00Z"))
    assert [each.code for each in refusal.value.diagnostics] == ["private-host"]


def test_secret_reaches_neither_logs_nor_stderr(
    sftp_home: sshd.Home, roster: bytes, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        Fetching().content(sftp_home.account())
        Fetching().refused(sftp_home.account(password=SecretStr("another-secret")))
        Fetching().refused(sftp_home.account("gone.zip"))
    printed = "".join(capfd.readouterr())
    assert printed == ""
    said = printed + caplog.text
    assert sftp_home.server.password not in said
    assert "another-secret" not in said

    # In a process that set up no logging, paramiko's errors would go to stderr.
    assert not logging.getLogger("paramiko").propagate
    assert logging.getLogger("paramiko.transport").hasHandlers()
