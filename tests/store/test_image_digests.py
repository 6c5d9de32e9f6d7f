"""`history --verify` finds every change of a before-image, and tells a lawful removal from tampering."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler import clock
from reconciler.cli.main import run
from reconciler.store.read import image_check, image_digests
from reconciler.store.write import runs
from tests.support.customers.project import Project
from tests.support.rosters.bundles import bundle

pytestmark = pytest.mark.slow

START = datetime(2026, 9, 1, 6, tzinfo=UTC)
DAY_ONE = bundle(users=30)
ANN, BEN, *_ = DAY_ONE.students()
ADA = "  - {given_name: Ada, family_name: Byron, email: ada@springfield.example, username: ada, role: admin}\n"
BO = ADA.replace("Ada", "Bo").replace("ada", "bo")


def on(day: int) -> Any:
    return clock.freeze_time(START + timedelta(days=day))


@pytest.fixture
def springfield(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Three runs: everybody, two leave, and a second administrator comes. Pages are small."""
    monkeypatch.setattr(image_digests, "PAGE_ROWS", 3)
    path = project.customer()
    for day, gone in enumerate([[], [ANN, BEN]]):
        with on(day):
            done = project.apply("--zip", DAY_ONE.without_users(gone).zip(project.folder / "day.zip"), "springfield")
        assert done.code == 0, done
    for day, people in ((2, ADA + BO), (3, ADA)):
        path.write_text(path.read_text(encoding="utf-8").replace(BO, "").replace(ADA, people), encoding="utf-8")
        with on(day):
            assert project.apply("springfield", "--roster", "none").code == 0
    return project


def alter(project: Project, *statements: str) -> None:
    with project.by_hand() as cursor:
        for statement in statements:
            cursor.execute(statement)


def verify(project: Project) -> Any:
    result = project.run("history", "--verify", "--format", "json")
    found = result.json["verification"]
    assert result.code == (0 if found["verified"] else 1), result.err
    return found


def pick(project: Project, kind: str) -> tuple[int, int, int]:
    """Return id, run and row of the first before-image of a kind."""
    statement = f"select id, run_id, row_id from journal where kind = '{kind}' order by id"
    return project.ask(statement)[0]  # type: ignore[return-value]


def number(project: Project, statement: str) -> int:
    return int(project.ask(f"select count(*) from {statement}")[0][0])


def test_before_images_that_nobody_touched_are_intact(springfield: Project) -> None:
    found = verify(springfield)
    assert found["before_images"] == number(springfield, "journal") > 4
    assert (found["removed"], found["unsealed_runs"], found["sealed_at"]) == ([], 0, None)
    assert f"{found['before_images']} before-images are intact." in found["message"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("before", "replace(before, 'roster', 'Roster')"),
        ("action", "'update'"),
        ("kind", "'class'"),
        ("row_id", "row_id + 1"),
        ("customer_id", "null"),
        ("run_id", "run_id + 1"),
    ],
)
def test_190_altered_image_is_found_with_run_and_place(springfield: Project, column: str, value: str) -> None:
    entry, run, _ = pick(springfield, "user")
    alter(springfield, f"update journal set {column} = {value} where id = {entry}")
    found = verify(springfield)
    assert (found["verified"], found["run"]) == (False, run)
    assert f"before-image {entry} of run {run} was altered after it was written" in found["message"]


def test_190_two_images_that_changed_places_are_both_found(springfield: Project) -> None:
    entries = [entry for (entry,) in springfield.ask("select id from journal where kind = 'user' order by id")]
    first, second, run = entries[0], entries[1], pick(springfield, "user")[1]
    texts = (
        f"(select before from journal where id = {second})",
        springfield.ask(f"select before from journal where id = {first}")[0][0].replace("'", "''"),
    )
    alter(
        springfield,
        f"update journal set before = {texts[0]} where id = {first}",
        f"update journal set before = '{texts[1]}' where id = {second}",
    )
    message = verify(springfield)["message"]
    assert f"before-image {first} of run {run} was altered" in message
    assert f"before-image {second} of run {run} was altered" in message


def test_190_deleted_image_is_found(springfield: Project) -> None:
    entry, run, _ = pick(springfield, "enrollment")
    alter(springfield, f"delete from journal where id = {entry}")
    found = verify(springfield)
    assert found["run"] == run
    assert f"before-image {entry} of run {run} is missing, and no certificate names its removal" in found["message"]


@pytest.mark.parametrize("run", ["min(id)", "max(id)", "max(id) + 7"])
def test_190_added_image_is_found_in_any_run(springfield: Project, run: str) -> None:
    alter(
        springfield,
        "insert into journal (run_id, customer_id, kind, row_id, action, before)"
        f" select (select {run} from runs), customer_id, kind, row_id, action, before from journal where id = 1",
    )
    added = springfield.ask("select id, run_id from journal order by id desc")[0]
    found = verify(springfield)
    assert found["run"] == added[1]
    assert f"before-image {added[0]} of run {added[1]} was added later" in found["message"]


def test_190_digests_that_fit_an_alteration_are_found_by_the_run(springfield: Project) -> None:
    """Whoever removes the digest with its before-image is found by what the run covers."""
    entry, run, _ = pick(springfield, "user")
    alter(
        springfield,
        f"delete from journal where id = {entry}",
        f"delete from image_digests where entry_id = {entry}",
    )
    assert f"the digests of the before-images of run {run} were altered" in verify(springfield)["message"]
    alter(springfield, f"delete from journal where run_id = {run}", f"delete from image_digests where run_id = {run}")
    assert f"the digests of the before-images of run {run} were altered" in verify(springfield)["message"]


def test_190_many_alterations_are_named_up_to_a_bound(springfield: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_check, "MAX_MISMATCHES", 2)
    alter(springfield, "update journal set before = '{}'")
    assert verify(springfield)["message"].count("was altered") == 2


@pytest.mark.parametrize("value", ["null", "customer_id + 1"])
def test_191_another_customer_of_a_run_is_found(springfield: Project, value: str) -> None:
    alter(springfield, f"update runs set customer_id = {value} where id = 2")
    found = verify(springfield)
    assert (found["verified"], found["run"]) == (False, 2)
    assert "run 2 was altered after it was written" in found["message"]


def test_191_another_digest_of_a_run_is_found(springfield: Project) -> None:
    alter(springfield, "update runs set journal_digest = null where id = 2")
    assert verify(springfield)["run"] == 2


def purged(project: Project, day: int = 40) -> None:
    with on(day):
        today = clock.get_current_day()
        assert project.run("purge", "--yes", "--today", today).code == 0


def erased(project: Project) -> None:
    with on(4):
        assert project.run("erase", "springfield", ANN, "--request", "R-1", "--yes").code == 0


def test_192_purge_is_told_as_lawful(springfield: Project) -> None:
    before = number(springfield, "journal")
    purged(springfield)
    found = verify(springfield)
    left = number(springfield, "journal")
    assert found["verified"]
    assert left < before
    [removed] = found["removed"]
    assert removed["kind"] == "purge"
    assert (removed["customer"], removed["at"][:10]) == ("springfield", "2026-10-11")
    assert removed["before_images"] == before - left
    assert (
        f"removed lawfully by the purge of springfield on 2026-10-11 (certificate {removed['certificate']})"
        in (found["message"])
    )


def test_192_erase_of_a_person_and_then_purge_are_told_as_lawful(springfield: Project) -> None:
    erased(springfield)
    assert [each["kind"] for each in verify(springfield)["removed"]] == ["erase"]
    purged(springfield)
    found = verify(springfield)
    assert found["verified"]
    assert [each["kind"] for each in found["removed"]] == ["erase", "purge"]


def test_192_document_that_lost_a_person_is_verified_as_it_is_now(springfield: Project) -> None:
    """An erased administrator is taken out of the customer's before-images, which stay."""
    with on(4):
        done = springfield.run("erase", "springfield", "bo", "--request", "R-2", "--yes")
    assert done.code == 0, done
    documents = number(springfield, "journal where kind = 'customer'")
    assert verify(springfield)["verified"]
    changed = springfield.ask("select entry_id from image_digests where certificate_id > 0 and digest is not null")
    assert 0 < len(changed) <= documents
    alter(springfield, f"update journal set before = before || ' ' where id = {changed[0][0]}")
    assert f"before-image {changed[0][0]} of run" in verify(springfield)["message"]


def test_192_purge_of_a_whole_customer_is_told_as_lawful(springfield: Project) -> None:
    (springfield.folder / "customers/springfield/customer.yaml").unlink()
    with on(5):
        plan = springfield.plan("--roster", "none")
        hold = plan.json["customers"][0]["hold"]["id"]
        assert springfield.apply("--roster", "none", "--approve", hold).code == 0
    purged(springfield)
    assert number(springfield, "journal") == 0
    found = verify(springfield)
    assert found["verified"], found
    assert found["removed"][0]["kind"] == "purge"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            "insert into image_digests select {certificate}, run_id, id, null from journal where id = {entry}",
            "certificate {certificate} were altered",
        ),
        (
            "insert into image_digests select 99, run_id, id, null from journal where id = {entry}",
            "certificate 99 were altered",
        ),
        ("delete from image_digests where certificate_id = {certificate}", "is missing, and no certificate"),
    ],
)
def test_193_deletion_is_not_hidden_behind_a_certificate(springfield: Project, statement: str, words: str) -> None:
    purged(springfield, 32)
    certificate = springfield.ask("select max(id) from certificates")[0][0]
    entry = springfield.ask("select min(id) from journal")[0][0]
    facts = {"certificate": certificate, "entry": entry}
    alter(springfield, statement.format(**facts), f"delete from journal where id = {entry}")
    found = verify(springfield)
    assert not found["verified"]
    assert words.format(**facts) in found["message"]


def test_193_certificate_with_another_list_is_found(springfield: Project) -> None:
    purged(springfield)
    alter(springfield, "update certificates set images = null")
    assert not verify(springfield)["verified"]
    assert springfield.run("history", "--verify").code == 1


def test_193_image_that_is_there_again_is_found(springfield: Project) -> None:
    entry, run, _ = pick(springfield, "user")
    [row] = springfield.ask(f"select customer_id, kind, row_id, action, before from journal where id = {entry}")
    purged(springfield)
    before = str(row[4]).replace("'", "''")
    alter(
        springfield,
        "insert into journal (id, run_id, customer_id, kind, row_id, action, before)"
        f" values ({entry}, {run}, {row[0]}, '{row[1]}', {row[2]}, '{row[3]}', '{before}')",
    )
    assert f"before-image {entry} of run {run} is there again" in verify(springfield)["message"]


@pytest.fixture
def earlier(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The runs of `springfield` as a version without digests recorded them."""
    with monkeypatch.context() as patch:
        patch.setattr(runs, "record_image_digests", lambda *_: None)
        return springfield.__wrapped__(project, monkeypatch)  # type: ignore[attr-defined,no-any-return]


def upgraded(project: Project) -> str:
    with on(6):
        assert run(["store", "upgrade", "--store", project.store_url]) == 0
    return project._capsys.readouterr().out


def test_194_images_of_earlier_versions_are_verified_since_an_upgrade(earlier: Project) -> None:
    found = verify(earlier)
    assert (found["verified"], found["before_images"], found["unsealed_runs"]) == (True, 0, 4)
    assert (
        "The before-images of 4 runs cannot be verified yet. To seal them: reconciler store upgrade"
        in (found["message"])
    )
    assert "all customers  sealed" in upgraded(earlier)
    found = verify(earlier)
    assert (found["verified"], found["unsealed_runs"]) == (True, 0)
    assert found["before_images"] == number(earlier, "journal")
    assert found["sealed_at"] == "2026-09-07T06:00:00Z"
    assert "Before-images of earlier versions are verified since 2026-09-07." in found["message"]
    assert "sealed" not in upgraded(earlier)
    assert "4 runs" in earlier.run("history", "--certificates").out
    assert earlier.run("history", "@all").code == 64


def test_194_alterations_after_the_upgrade_are_found(earlier: Project) -> None:
    upgraded(earlier)
    entry, run, _ = pick(earlier, "user")
    alter(earlier, f"update journal set before = '{{}}' where id = {entry}")
    assert f"before-image {entry} of run {run} was altered" in verify(earlier)["message"]
    alter(earlier, f"delete from journal where id = {entry}")
    assert f"before-image {entry} of run {run} is missing" in verify(earlier)["message"]
    alter(
        earlier,
        "insert into journal select 999, 1, customer_id, kind, row_id, action, before from journal where id = 2",
    )
    assert "before-image 999 of run 1 was added later" in verify(earlier)["message"]


def test_194_customer_of_an_earlier_run_is_covered(earlier: Project) -> None:
    upgraded(earlier)
    alter(earlier, "update runs set customer_id = 7 where id = 2")
    found = verify(earlier)
    assert (found["run"], found["verified"]) == (2, False)
    assert "the customer of run 2 was altered" in found["message"]


def test_194_sealed_images_are_purged_and_runs_after_the_upgrade_are_covered(earlier: Project) -> None:
    upgraded(earlier)
    earlier.customer(title="Another name")
    with on(7):
        assert earlier.apply("springfield", "--roster", "none").code == 0
    assert verify(earlier)["before_images"] == number(earlier, "journal")
    purged(earlier)
    found = verify(earlier)
    assert found["verified"], found
    assert [each["kind"] for each in found["removed"]] == ["purge"]


def test_194_seal_that_was_taken_off_is_missed(earlier: Project) -> None:
    upgraded(earlier)
    alter(earlier, "delete from certificates", "delete from image_digests")
    assert not verify(earlier)["verified"]


def test_catalog_undo_and_lifted_erasure_stay_intact(springfield: Project) -> None:
    for title in ("Leaves", "Trees"):
        springfield.write(
            "customers/lessons/leaves.yaml",
            f"kind: lesson\nid: leaves\ntitle: {title}\nurl: https://lessons.example/leaves\n",
        )
        with on(5):
            assert springfield.apply("--roster", "none").code == 0
    with on(6):
        assert springfield.run("undo", "2", "--yes").code == 0
    erased(springfield)
    with on(7):
        lifted = springfield.run("erase", "springfield", ANN, "--lift", "--request", "R-3", "--yes")
    assert lifted.code == 0, lifted
    found = verify(springfield)
    assert found["verified"], found
    assert found["before_images"] == number(springfield, "journal")
    alter(springfield, "update journal set before = '{}' where customer_id is null")
    assert "was altered after it was written (lesson, row 1)" in verify(springfield)["message"]
