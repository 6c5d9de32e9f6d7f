"""The store's key is replaced: secrets are encrypted anew, and what only earlier keys can check stays checkable."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.cli.main import run
from reconciler.model.plan import Outcome
from reconciler.store.errors import StoreProblem
from reconciler.store.key import StoreKey, parse_keys, read_key
from reconciler.store.open import Store, open_store
from reconciler.store.write import key_rotation
from tests.support.customers.project import ENVIRONMENT, KEY, LIVE, Project
from tests.support.stores import old_stores

FIRST = StoreKey(KEY)
SHARED = "lti.platforms.canvas.shared_secret"
SFTP = "rostering.sync.password"
SOURCE = """{type: sftp, host: sftp.springfield.example, username: reader, password: {secret: sftp}, path: /out.zip, \
host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMA34UC1CH5tczeJU4dpKc3306gk4e+NYNJEcLPaRJxy}"""
SECRET_VALUES = {**old_stores.SECRETS, "RECONCILER_SECRET__SPRINGFIELD__SFTP": "sftp-password-1"}
ROTATE = (
    "import sys; from reconciler.cli.main import run; sys.exit(run(['store', 'rotate-key', '--store', sys.argv[1]]))"
)


class Keeper:
    """A project with secrets, an erased person, a certificate and a hold, and its key file."""

    def __init__(self, project: Project) -> None:
        self.project = project

    @property
    def file(self) -> Path:
        (path,) = [*self.project.folder.glob("*.key"), *self.project.folder.glob(".reconciler/*.key")]
        return path

    @property
    def keys(self) -> tuple[StoreKey, ...]:
        keys = read_key(self.file)
        assert keys is not None
        return keys.known

    def open(self) -> Store:
        return open_store(
            self.project.store_url, ENVIRONMENT, make=False, key_folder=self.project.folder / ".reconciler"
        )

    def rotate(self) -> int:
        return int(run(["store", "rotate-key", "--store", self.project.store_url]))

    def second_day(self) -> Path:
        return old_stores.build_second_day().zip(self.project.folder / "day-2.zip")

    def assert_nothing_is_lost(self) -> None:
        """Everything made before is still read, recognized and verified."""
        store = self.open()
        ((sealed, key_id),) = self.project.ask(f"SELECT ciphertext, key_id FROM secrets WHERE path = '{SHARED}'")
        assert key_id == store.key.id
        value = old_stores.SECRETS["RECONCILER_SECRET__SPRINGFIELD__CANVAS"]
        assert store.key.decrypt(bytes(sealed), f"springfield/{SHARED}") == value
        verified = self.project.run("history", "--verify")
        assert verified.code == 0, verified.err
        plan = self.project.plan("springfield", "--zip", self.second_day())
        customer = plan.json["customers"][0]
        # The erased person is in the roster, and stays away; no secret has changed.
        assert (plan.code, customer["outcome"], customer["changes"]) == (0, Outcome.UNCHANGED.value, [])
        assert "erased-person-in-roster" in {each["code"] for each in customer["diagnostics"]}


@pytest.fixture
def kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    monkeypatch.delenv("RECONCILER_KEY")
    for name, value in SECRET_VALUES.items():
        monkeypatch.setenv(name, value)
    old_stores.write_documents(project)
    project.write("customers/springfield/customer.yaml", old_stores.CUSTOMER.replace("{type: zip}", SOURCE))
    keeper = Keeper(project)
    key = project.folder / ("store.key" if project.store_url.startswith("sqlite") else ".reconciler/x.key")
    if not project.store_url.startswith("sqlite"):
        ((uuid,),) = project.ask("SELECT uuid FROM store")
        key = key.with_name(f"{uuid}.key")
    key.parent.mkdir(exist_ok=True)
    key.write_bytes(base64.b64encode(KEY) + b"\n")
    key.chmod(0o600)
    for roster in (old_stores.DAY_ONE.zip(project.folder / "day-1.zip"), keeper.second_day()):
        applied = project.apply("springfield", "--zip", roster)
        assert applied.code == 0, applied.err
    assert project.run("erase", "springfield", old_stores.ERASED, "--request", "R-1", "--yes").code == 0
    leavers = old_stores.build_second_day()
    smaller = leavers.without_users(leavers.students()[:7])
    assert project.apply("springfield", "--zip", smaller.zip(project.folder / "day-3.zip")).code == 3
    return keeper


def test_185_secrets_are_encrypted_anew_under_the_new_key(kept: Keeper, capsys: pytest.CaptureFixture[str]) -> None:
    before = dict(kept.project.ask("SELECT path, ciphertext FROM secrets WHERE ciphertext IS NOT NULL"))
    assert kept.rotate() == 0
    said = capsys.readouterr().out
    new, *earlier = kept.keys
    assert (len(earlier), earlier[0].secret) == (1, KEY)
    assert stat.S_IMODE(kept.file.stat().st_mode) == 0o600
    assert f"key: {FIRST.id} -> {new.id}" in said
    assert "1 hold gets a new ID" in said
    assert base64.b64encode(new.secret).decode() not in said
    assert kept.open().key.secret == new.secret
    after = dict(kept.project.ask("SELECT path, ciphertext FROM secrets WHERE ciphertext IS NOT NULL"))
    assert after.keys() == before.keys() == {SHARED}
    assert bytes(after[SHARED]) != bytes(before[SHARED])
    with pytest.raises(StoreProblem):
        FIRST.decrypt(bytes(after[SHARED]), f"springfield/{SHARED}")
    kept.assert_nothing_is_lost()


def test_186_what_nobody_knows_anymore_is_checked_by_the_key_it_was_made_with(kept: Keeper) -> None:
    assert kept.rotate() == 0
    assert kept.rotate() == 0
    third, second, first = kept.keys
    assert first.secret == KEY
    assert dict(kept.project.ask("SELECT path, key_id FROM secrets")) == {
        SHARED: third.id,
        SFTP: first.id,
        "administrators.ada.password": first.id,
    }
    assert {key_id for (key_id,) in kept.project.ask("SELECT key_id FROM erased")} == {first.id}
    assert {key_id for (key_id,) in kept.project.ask("SELECT key_id FROM certificates")} == {first.id}
    kept.assert_nothing_is_lost()
    # New certificates continue the chain of the earlier ones.
    assert kept.project.run("erase", "springfield", "u-0005", "--request", "R-2", "--yes").code == 0
    assert {key_id for (key_id,) in kept.project.ask("SELECT key_id FROM certificates")} == {first.id, third.id}
    assert kept.project.run("history", "--verify").code == 0
    lifted = kept.project.run("erase", "springfield", old_stores.ERASED, "--lift", "--request", "R-3", "--yes")
    assert lifted.code == 0, lifted.err
    assert kept.project.apply("springfield", "--zip", kept.second_day()).code == 0
    assert old_stores.ERASED in {key for kind, key in kept.project.ask(LIVE) if kind == "user"}
    assert second.id not in {key_id for (key_id,) in kept.project.ask("SELECT key_id FROM secrets")}


def test_186_without_an_earlier_key_no_erased_person_returns(kept: Keeper) -> None:
    assert kept.rotate() == 0
    new, _ = kept.keys
    before = kept.project.ask(LIVE)
    kept.file.write_bytes(base64.b64encode(new.secret) + b"\n")
    applied = kept.project.apply("springfield", "--zip", kept.second_day())
    assert applied.code == 1
    assert "[retired-key-missing]" in applied.err + applied.out
    assert FIRST.id in applied.err + applied.out
    assert sorted(kept.project.ask(LIVE)) == sorted(before)


def test_186_a_changed_secret_and_an_unchanged_one_are_told_apart(
    kept: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = kept.project.ask(f"SELECT changed_run FROM secrets WHERE path = '{SFTP}'")
    assert kept.rotate() == 0
    assert kept.project.plan("springfield", "--roster", "none").code == 0
    monkeypatch.setenv("RECONCILER_SECRET__SPRINGFIELD__SFTP", "sftp-password-2")
    changed = kept.project.plan("springfield", "--roster", "none")
    assert [each["path"] for each in changed.json["customers"][0]["changes"][0]["fields"]] == [SFTP]
    assert kept.project.apply("springfield", "--roster", "none").code == 0
    ((key_id, run_id),) = kept.project.ask(f"SELECT key_id, changed_run FROM secrets WHERE path = '{SFTP}'")
    assert (key_id, run_id > runs[0][0]) == (kept.keys[0].id, True)


def test_185_ids_from_before_approve_nothing(kept: Keeper) -> None:
    (held,) = kept.project.run("holds", "--format", "json").json["holds"]
    file = kept.project.folder / "saved.plan"
    assert kept.project.run("plan", "springfield", "--zip", "day-3.zip", "--out", file).code == 0
    assert kept.rotate() == 0
    refused = kept.project.run("apply", file, "--yes")
    assert refused.code != 0
    assert "before the store got its present key" in refused.err
    before = sorted(kept.project.ask(LIVE))
    assert kept.project.apply("springfield", "--zip", "day-3.zip", "--approve", held["id"]).code != 0
    assert sorted(kept.project.ask(LIVE)) == before
    planned = kept.project.plan("springfield", "--zip", "day-3.zip").json["customers"][0]["hold"]["id"]
    assert planned != held["id"]
    assert kept.project.apply("springfield", "--zip", "day-3.zip", "--approve", planned).code == 0


def test_186_pseudonyms_of_earlier_reports_still_find_the_person(kept: Keeper) -> None:
    name = FIRST.make_pseudonym("user", "springfield", old_stores.RENAMED)
    assert kept.rotate() == 0
    assert kept.keys[0].make_pseudonym("user", "springfield", old_stores.RENAMED) != name
    explained = kept.project.run("explain", "springfield", name, "--people", "full")
    assert (explained.code, old_stores.RENAMED in explained.out) == (0, True)


#: Where a rotation is killed: (patched object, attribute), and whether the store has the new key afterwards.
MOMENTS = {
    "before the key file": ("reconciler.store.open.put_new_key_first", False),
    "between file and database": ("reconciler.store.write.key_rotation._refuse_earlier_key", False),
    "within the transaction": ("reconciler.store.write.key_rotation.sign_history", False),
    "after the commit": ("reconciler.cli.commands.store.render_rotation_text", True),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_187_a_killed_rotation_loses_nothing_and_is_done_again(kept: Keeper, moment: str) -> None:
    where, is_done = MOMENTS[moment]
    module, _, name = where.rpartition(".")
    code = f"import os, {module} as m; m.{name} = lambda *_: os._exit(9); {ROTATE}"
    killed = subprocess.run(
        [sys.executable, "-c", code, kept.project.store_url], capture_output=True, cwd=kept.project.folder, check=False
    )
    assert killed.returncode == 9, killed.stderr
    key = kept.open().key
    assert (key.secret != KEY) == is_done
    if not is_done:
        assert kept.keys[-1].secret == KEY
    known = len(kept.keys)
    assert kept.project.run("history", "--verify").code == 0
    assert kept.rotate() == 0
    # A key that was made already is taken, and not a third one.
    assert len(kept.keys) == (known if moment in ("between file and database", "within the transaction") else known + 1)
    assert kept.open().key.secret == kept.keys[0].secret
    kept.assert_nothing_is_lost()


def test_187_a_key_that_cannot_be_written_changes_nothing(kept: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    content = kept.file.read_bytes()
    monkeypatch.setattr(os, "fsync", fail)
    assert kept.rotate() == 1
    assert kept.file.read_bytes() == content
    assert not [path for path in kept.file.parent.iterdir() if path.name.endswith(".part")]
    assert kept.open().key.secret == KEY


def test_188_a_process_with_the_earlier_key_writes_nothing(kept: Keeper) -> None:
    opened = kept.open()
    assert kept.rotate() == 0
    with (
        opened.open_connection() as connection,
        connection.open_write_transaction(),
        pytest.raises(StoreProblem, match="another key while this command ran"),
    ):
        key_rotation.lock_store(connection, opened.key)


def test_188_an_apply_that_a_rotation_overtakes_is_not_committed(kept: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    roster = old_stores.build_second_day().with_row("users", "u-0005", familyName="Zhang")
    before = kept.project.ask("SELECT count(*) FROM runs")
    monkeypatch.setattr("reconciler.operations.apply.apply.apply_customer", rotate_first(kept))
    applied = kept.project.apply("springfield", "--zip", roster.zip(kept.project.folder / "day-4.zip"))
    assert applied.code == 1
    assert "[key-changed]" in applied.err
    assert kept.project.ask("SELECT count(*) FROM runs") == before
    monkeypatch.undo()


def rotate_first(kept: Keeper):  # type: ignore[no-untyped-def]
    """Let another process rotate the key after the plan was made, and before it is applied."""
    from reconciler.store.write import apply_customer

    def apply_after(*arguments: object, **options: object) -> object:
        done = subprocess.run(
            [sys.executable, "-c", ROTATE, kept.project.store_url],
            capture_output=True,
            cwd=kept.project.folder,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return apply_customer(*arguments, **options)  # type: ignore[arg-type]

    return apply_after


def test_185_a_key_of_the_environment_is_changed_there(kept: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.file.unlink()
    monkeypatch.setenv("RECONCILER_KEY", KEY.hex())
    assert kept.rotate() == 1
    new = bytes(range(100, 132))
    monkeypatch.setenv("RECONCILER_KEY", f"{new.hex()} {KEY.hex()}")
    assert kept.open().key.secret == KEY
    assert kept.rotate() == 0
    assert kept.open().key.secret == new
    kept.assert_nothing_is_lost()
    # An earlier key never becomes the present one again.
    monkeypatch.setenv("RECONCILER_KEY", f"{KEY.hex()} {new.hex()}")
    assert kept.open().key.secret == new
    assert kept.rotate() == 1
    assert kept.open().key.secret == new


def test_several_keys_are_read_from_one_place() -> None:
    keys = parse_keys(f"{base64.b64encode(bytes(32)).decode()}\n{KEY.hex()}\n", "here")
    assert [key.secret for key in keys.known] == [bytes(32), KEY]
    assert keys.find(FIRST.id).secret == KEY
    assert keys.find(None).secret == bytes(32)
    with pytest.raises(StoreProblem, match="missing here"):
        keys.find("0123456789ab")


@pytest.mark.parametrize(
    "alter",
    [
        "UPDATE store SET head_seal = 'ab' || substr(head_seal, 3)",
        "UPDATE journal SET before = replace(before, 'example.com', 'example.org') WHERE kind = 'user'",
        "UPDATE certificates SET request = 'R-9'",
    ],
)
def test_186_a_new_key_signs_no_altered_history(kept: Keeper, alter: str) -> None:
    with kept.project.by_hand() as cursor:
        cursor.execute(alter)
    before = kept.project.run("history", "--verify")
    assert before.code == 1
    assert kept.rotate() == 0
    after = kept.project.run("history", "--verify")
    assert (after.code, after.out + after.err) == (1, before.out + before.err)
