"""What a probe finds out about a real OpenSSH sshd, and what it sends to one that is not the pinned one."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from reconciler.config.fields.addresses import HOST_KEY_PATTERN
from reconciler.model.diagnostic import Refusal, Severity
from reconciler.oneroster.sources.interface import FetchRequest, ProbeFinding
from reconciler.oneroster.sources.sftp.account import SftpAccount
from tests.support.rosters.bundles import bundle
from tests.support.servers import sshd
from tests.support.sources.sftp_fetch import Fetching, now


def probed(account: SftpAccount) -> tuple[ProbeFinding, ...]:
    return Fetching().source(account).probe(FetchRequest(now()))


def named(findings: tuple[ProbeFinding, ...], name: str) -> list[ProbeFinding]:
    return [each for each in findings if each.name == name]


def errors(findings: tuple[ProbeFinding, ...]) -> list[str]:
    return [each.name for each in findings if each.severity is Severity.ERROR]


def keys_are_all_of(server: sshd.Sshd, findings: tuple[ProbeFinding, ...]) -> bool:
    """Each line pastes into YAML, and each fingerprint is the one that OpenSSH prints."""
    found = {}
    for each in named(findings, "host-key"):
        line = each.value.removeprefix("host_key: ")
        assert HOST_KEY_PATTERN.fullmatch(line)
        shown = subprocess.run(["ssh-keygen", "-lf", "-"], input=line, check=True, capture_output=True, text=True)
        assert each.remark.startswith(f"{shown.stdout.split()[1]};")
        found[line.split()[0]] = line
    return set(found.values()) == set(server.host_keys.values())


def test_probe_without_a_pin_lists_keys_and_sends_nothing(sftp_home: sshd.Home) -> None:
    with sftp_home.server.attempts() as attempts:
        findings = probed(sftp_home.account(host_key=None))
    assert keys_are_all_of(sftp_home.server, findings)
    assert (errors(findings), attempts) == ([], [])
    assert named(findings, "host-key-fits")[0].value == "none is pinned yet"
    assert named(findings, "server")[0].value.startswith("SSH-2.0-OpenSSH_")


def test_probe_of_another_server_lists_keys_and_sends_nothing(sftp_home: sshd.Home, tmp_path: Path) -> None:
    with sftp_home.server.attempts() as attempts:
        findings = probed(sftp_home.account(host_key=sshd.key(tmp_path / "other", "ed25519")))
    assert keys_are_all_of(sftp_home.server, findings)
    assert (errors(findings), attempts) == (["host-key-changed"], [])


def test_a_probe_says_what_a_fetch_would_take(sftp_home: sshd.Home) -> None:
    begin = time.time()
    for name, hours in (("r-1.zip", 1), ("r-2.zip", 72)):
        path = bundle(users=20).zip(sftp_home.path / name)
        os.utime(path, (begin - hours * 3600, begin - hours * 3600))
    size = (sftp_home.path / "r-1.zip").stat().st_size
    with sftp_home.server.attempts() as attempts:
        findings = probed(sftp_home.account("r-*.zip", pick="newest"))
    assert errors(findings) == []
    assert attempts == [f"Accepted password for {sftp_home.server.user}"]
    assert [each.value for each in findings if each.name in ("host-key-fits", "sign-in")] == ["yes", "yes"]
    (taken,) = named(findings, "would-take")
    assert (taken.value, taken.remark) == ("r-1.zip", f"{size:,} bytes, 1.0 hours old")
    assert "r-2.zip" in named(findings, "other-files-fit")[0].remark
    assert named(findings, "path")[0].value == f"{sftp_home.name}/r-1.zip"
    assert named(findings, "speed")[0].value.endswith(" MiB/s")


@pytest.mark.parametrize(
    ("path", "more", "code"),
    [
        ("none.zip", {}, "remote-file-missing"),
        ("roster.zip", {"password": SecretStr("wrong")}, "sign-in-refused"),
        ("roster.zip", {"private_key": SecretStr("none")}, "private-key-unreadable"),
        ("*/roster.zip", {"pick": "newest"}, "pattern-in-folder"),
    ],
)
def test_blockers_of_a_fetch_are_findings_beside_the_keys(
    sftp_home: sshd.Home, path: str, more: dict[str, object], code: str
) -> None:
    bundle(users=20).zip(sftp_home.path / "roster.zip")
    findings = probed(sftp_home.account(path, **more))
    assert keys_are_all_of(sftp_home.server, findings)
    assert errors(findings) == [code]
    assert "wrong" not in repr(findings)


def test_a_server_that_cannot_be_asked_is_no_finding(sftp_home: sshd.Home) -> None:
    account = sftp_home.account(port=1)
    with pytest.raises(Refusal) as refusal:
        probed(account)
    assert [each.code for each in refusal.value.diagnostics] == ["host-unreachable"]
