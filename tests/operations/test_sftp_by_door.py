"""Plan and apply of a roster on a real SFTP server, through the CLI."""

from __future__ import annotations

import pytest

from reconciler.oneroster.sources.sftp import source
from tests.support.customers.project import Project, changes, keys
from tests.support.rosters.bundles import bundle
from tests.support.servers import sshd
from tests.support.sources.sftp_fetch import SECRET, synced

pytestmark = pytest.mark.slow

DAY = bundle(users=30)
LEAVERS = DAY.students()[:2]
NEXT = DAY.without_users(LEAVERS).with_user("u-new")


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "CHECK_INTERVAL", 0.0)


@pytest.fixture
def home(sftp_home: sshd.Home, monkeypatch: pytest.MonkeyPatch) -> sshd.Home:
    """With its password where secrets are looked up."""
    monkeypatch.setenv(SECRET, sftp_home.server.password)
    return sftp_home


def test_sftp_roster_plans_like_a_file(project: Project, home: sshd.Home) -> None:
    synced(project, home.account())
    zip_file = DAY.zip(home.path / "roster.zip")
    first = project.plan("springfield")
    assert first.code == 2
    assert first.json["plan_id"] == project.plan("springfield", "--zip", zip_file).json["plan_id"]
    came = first.json["customers"][0]["source"]
    assert (came["type"], came["freshness"], came["complete"]) == ("sftp", "fresh", True)
    assert project.apply("springfield").code == 0
    NEXT.zip(zip_file)
    for name, text in NEXT.files().items():
        home.put(f"daily/{name}", text)
    by_file = project.plan("springfield", "--zip", zip_file)
    by_sftp = project.plan("springfield")
    assert keys(by_sftp, "user", "delete") == sorted(LEAVERS)
    assert keys(by_sftp, "user", "create") == ["u-new"]
    synced(project, home.account("daily"))
    by_folder = project.plan("springfield")
    assert by_file.json["plan_id"] == by_sftp.json["plan_id"]
    assert changes(by_file, "user") == changes(by_sftp, "user") == changes(by_folder, "user")
    assert changes(by_file, "enrollment") == changes(by_folder, "enrollment")
    assert project.apply("springfield").code == 0
    assert keys(project.plan("springfield"), "user", "delete") == []


@pytest.mark.slow
def test_no_output_of_any_verb_holds_the_secret(
    project: Project, home: sshd.Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    DAY.zip(home.path / "roster.zip")
    said = ""
    for kind, secret in (
        ("password", home.server.password),
        ("password", "a-wrong-password"),
        ("private_key", home.server.private_key),
        ("private_key", home.server.private_key[:200]),
    ):
        monkeypatch.setenv(SECRET, secret)
        synced(project, home.account())
        path = project.folder / "customers" / "springfield" / "customer.yaml"
        text = path.read_text(encoding="utf-8").replace("password: {secret: sftp}", f"{kind}: {{secret: sftp}}")
        path.write_text(text, encoding="utf-8")
        for words in (
            ("plan", "springfield"),
            ("plan", "springfield", "--format", "json"),
            ("apply", "--yes", "springfield"),
            ("roster", "probe", "springfield"),
        ):
            done = project.run(*words)
            said += done.out + done.err
    assert home.server.password not in said
    assert "a-wrong-password" not in said
    lines = [line for line in home.server.private_key.splitlines() if line and not line.startswith("-----")]
    assert not any(line in said for line in lines)
    assert "sign-in-refused" in said
    assert "private-key-unreadable" in said
