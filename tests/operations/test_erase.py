"""`erase` deletes a person or a removed customer permanently, keeps everything else, and nothing restores them."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from reconciler.model.kind import Kind
from reconciler.store.key import StoreKey
from reconciler.store.open import open_store
from tests.support.customers.project import ENVIRONMENT, KEY, Project, Result, keys
from tests.support.rosters.bundles import Bundle, bundle

pytestmark = pytest.mark.slow

#: What the person is known by, each value like no other's.
ZED = {
    "sourcedId": "u-zed-4711",
    "username": "zedulonquist",
    "givenName": "Zedekiah",
    "familyName": "Quillfeather",
    "email": "zq@quillfeather.example",
    "identifier": "IDENT-908172",
}
NAMES = tuple(ZED.values())
DAY_ONE = bundle(users=60)
ANN, BEN, *REST = DAY_ONE.students()
CLASSES = DAY_ONE.ids("classes")[1::2]


def with_zed(made: Bundle, **fields: str) -> Bundle:
    """Zed in two classes of the first school."""
    there = made.with_user(
        ZED["sourcedId"], **{name: value for name, value in (ZED | fields).items() if name != "sourcedId"}
    )
    for number, room in enumerate(CLASSES[:2]):
        there = there.with_row(
            "enrollments",
            f"e-zed-{number}",
            classSourcedId=room,
            schoolSourcedId="s-2",
            userSourcedId=ZED["sourcedId"],
            role="student",
        )
    return there


WITH_ZED = with_zed(DAY_ONE)


@pytest.fixture
def springfield(project: Project) -> Project:
    """Zed came, was renamed, and is there."""
    project.customer()
    applied(project, with_zed(DAY_ONE, givenName="Zedd"))
    applied(project, WITH_ZED)
    return project


def applied(project: Project, made: Bundle, *more: str, code: int = 0) -> Result:
    result = project.apply("springfield", "--zip", made.zip(project.folder / "day.zip"), *more)
    (project.folder / "day.zip").unlink()
    assert result.code == code, result
    return result


def planned(project: Project, made: Bundle) -> Result:
    return project.plan("springfield", "--zip", made.zip(project.folder / "check.zip"))


def erase(project: Project, *arguments: str, code: int = 0, customer: str = "springfield") -> Result:
    given = [] if "--request" in arguments else ["--request", "DSR-17"]
    result = project.run("erase", customer, *arguments, *given, "--yes")
    assert result.code == code, result
    return Result(result.code, re.sub(r"\n +", " ", result.out), result.err)


def account(project: Project, key: str = ZED["sourcedId"]) -> int | None:
    rows = project.ask(f"select account_id from identities where subject = '{key}'")
    return int(rows[0][0]) if rows else None


def number(project: Project, statement: str) -> int:
    return int(project.ask(f"select count(*) from {statement}")[0][0])


def everything(project: Project) -> str:
    """Every row of every table of the store as text, the last roster unpacked."""
    store = open_store(project.store_url, ENVIRONMENT, key=KEY)
    texts = []
    for volatile in (False, True):
        with store.open_connection(volatile=volatile) as connection:
            for table in tables(project, connection):
                texts += [repr(row) for row in connection.fetch_rows(f"SELECT * FROM {table}")]
    with store.open_reader() as reader:
        for customer in reader.read_customers().values():
            kept = reader.load_last_snapshot(customer.id)
            texts += [frame.write_csv() for frame in (kept[1].values() if kept else ())]
    return "\n".join(texts)


def tables(project: Project, connection: Any) -> list[str]:
    if project.store_url.startswith("sqlite"):
        return [name for (name,) in connection.fetch_rows("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    asked = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
    return [name for (name,) in connection.fetch_rows(asked)]


def found(project: Project, words: tuple[str, ...] = NAMES) -> list[str]:
    text = everything(project)
    return [word for word in words if word in text]


def in_files(project: Project, words: tuple[str, ...] = NAMES) -> list[str]:
    """Which words stand in the bytes of any file of a SQLite store, its logs included."""
    files = [path for path in project.folder.iterdir() if path.name.startswith("store") and path.is_file()]
    assert len(files) >= 2
    data = b"".join(path.read_bytes() for path in files)
    return [word for word in words if word.encode() in data]


def others(project: Project) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the store that is not Zed's."""
    zed = account(project) or 0
    rows = {
        table: project.ask(f"select * from {table} where {column} <> {zed} order by 1, 2")
        for table, column in (
            ("accounts", "id"),
            ("identities", "account_id"),
            ("account_roles", "account_id"),
            ("enrollments", "account_id"),
        )
    }
    for table in ("customers", "classes", "orgs", "runs", "write_counters"):
        rows[table] = project.ask(f"select * from {table} order by 1")
    # Without the signature, which covers the newest certificate.
    rows["store"] = project.ask("select uuid, key_check, catalogue_digest, catalogue_writes, head_hash from store")
    return rows


def test_nothing_of_the_person_remains_and_others_stay_untouched(springfield: Project) -> None:
    assert found(springfield) == list(NAMES)
    before = others(springfield)
    erase(springfield, ZED["sourcedId"])
    assert found(springfield) == []
    assert others(springfield) == before


def test_139_limit_uses_of_the_person_are_blanked_and_still_counted(springfield: Project) -> None:
    applied(springfield, DAY_ONE)
    zed = account(springfield)
    uses = number(springfield, "limit_uses")
    assert number(springfield, f"limit_uses where name = 'users' and row_id = {zed} and schools is not null") == 1
    erase(springfield, ZED["sourcedId"])
    assert number(springfield, "limit_uses") == uses
    assert number(springfield, f"limit_uses where name = 'users' and row_id = {zed}") == 0
    assert number(springfield, "limit_uses where name = 'users' and row_id < 0 and schools is null") == 1


def test_no_digest_about_the_person_remains(springfield: Project) -> None:
    assert number(springfield, "run_effects") > 0
    erase(springfield, ZED["sourcedId"])
    assert number(springfield, "run_effects") == 0


def test_erase_previews_masked_data_and_leaves_a_certificate(springfield: Project) -> None:
    shown = erase(springfield, ZED["sourcedId"])
    pseudonym = StoreKey(KEY).make_pseudonym(Kind.USER, "springfield", ZED["sourcedId"])
    assert shown.out.startswith("To erase, request DSR-17: 1 person of springfield.")
    assert f"{pseudonym} · active · managed by roster · never signed in" in shown.out
    assert "1 person, 2 enrollments, 1 identity, 1 role at a school, 1 before-image" in shown.out
    assert "rows of the last roster" in shown.out
    assert "classes: Class 2, Class 4" in shown.out
    assert "certificate 1" in shown.out
    assert "request DSR-17" in shown.out
    assert "plan files saved with --out" in shown.out
    assert not [word for word in NAMES if word in shown.out + shown.err]
    assert springfield.ask("select kind, customer_slug, request from certificates") == [
        ("erase", "springfield", "DSR-17")
    ]
    assert springfield.run("history", "--verify").code == 0
    assert "request DSR-17" in springfield.run("history", "springfield", "--certificates").out


def test_store_files_no_longer_contain_the_persons_bytes(springfield: Project) -> None:
    if not springfield.store_url.startswith("sqlite"):
        pytest.skip("what PostgreSQL's files hold is for its server to vacuum")
    volatile = springfield.folder / "store.volatile.db"
    names = [path for path in springfield.folder.iterdir() if "volatile" in path.name and path.suffix == ".db"]
    with Project(
        springfield.folder, f"sqlite:///{names[0] if names else volatile}", springfield._capsys
    ).by_hand() as cursor:
        cursor.execute(
            "insert into sessions (token_hash, account_id, data, created_at, expires_at)"
            f" values ('t', {account(springfield)}, '{ZED['username']}', '2026-09-01T07:00:00Z',"
            " '2026-09-01T07:00:00Z')"
        )
        cursor.execute(
            "insert into throttles (key, window_start, attempts) values"
            f" ('login:{ZED['email']}', '2026-09-01T07:00:00Z', 3),"
            " ('login:ann@example.com', '2026-09-01T07:00:00Z', 1)"
        )
    # More rows than a page holds, written and taken away again: pages are split, and freed ones remember.
    applied(springfield, with_zed(bundle(users=900)))
    applied(springfield, WITH_ZED, code=3)
    assert in_files(springfield)
    shown = erase(springfield, ZED["sourcedId"])
    assert "1 session" in shown.out
    assert "1 sign-in throttle" in shown.out
    assert in_files(springfield) == []
    assert in_files(springfield, ("login:ann@example.com",))


@pytest.mark.parametrize("by", ["username", "USERNAME", "pseudonym"])
def test_a_person_is_found_by_username_and_pseudonym_too(springfield: Project, by: str) -> None:
    pseudonym = StoreKey(KEY).make_pseudonym(Kind.USER, "springfield", ZED["sourcedId"])
    key = {"username": ZED["username"], "USERNAME": ZED["username"].upper(), "pseudonym": pseudonym}[by]
    erase(springfield, key)
    assert found(springfield) == []


def test_second_sourced_id_finds_the_person_and_all_are_remembered(springfield: Project) -> None:
    with springfield.by_hand() as cursor:
        cursor.execute(
            "insert into identities (issuer_id, subject, account_id, customer_id, run, alias)"
            " select issuer_id, 'u-zed-further', account_id, customer_id, run, 1 from identities"
            f" where subject = '{ZED['sourcedId']}'"
        )
    erase(springfield, "u-zed-further")
    assert found(springfield, (*NAMES, "u-zed-further")) == []
    assert number(springfield, "erased") == 2


def test_who_was_deleted_before_is_erased_as_well(springfield: Project) -> None:
    applied(springfield, DAY_ONE)
    assert " · deleted · " in erase(springfield, ZED["sourcedId"]).out
    assert found(springfield) == []


def test_no_undo_brings_the_person_back(springfield: Project) -> None:
    applied(springfield, DAY_ONE)
    removed = springfield.ask("select max(id) from runs")[0][0]
    erase(springfield, ZED["sourcedId"])
    undone = springfield.run("undo", str(removed), "--yes")
    assert undone.code == 0
    assert "no-longer-kept" in undone.out
    for run in (1, 2):
        springfield.run("undo", str(run), "--yes")
    assert found(springfield) == []


def test_next_roster_naming_the_person_is_ignored_and_reported(springfield: Project) -> None:
    erase(springfield, ZED["sourcedId"])
    plan = planned(springfield, WITH_ZED)
    assert keys(plan, "user", "create") == []
    assert keys(plan, "enrollment", "create") == []
    codes = {each["code"]: each for each in plan.json["customers"][0]["diagnostics"]}
    assert codes["erased-person-in-roster"]["severity"] == "warning"
    assert "1 row is of people who were erased on request" in codes["erased-person-in-roster"]["message"]
    assert codes["erased-person"]["file"] == "users.csv"
    assert codes["erased-person"]["line"] > 1
    assert plan.json["customers"][0]["counts"]["user"]["quarantined"] == 1
    applied(springfield, WITH_ZED)
    assert account(springfield) is None
    assert found(springfield) == []


def test_erased_persons_rows_hold_nothing_of_others(springfield: Project) -> None:
    erase(springfield, ZED["sourcedId"])
    applied(springfield, WITH_ZED.without_users([ANN]))
    assert springfield.ask(
        f"select count(*) from accounts where tombstoned_at is not null and id = {account(springfield, ANN)}"
    ) == [(1,)]


def test_quarantined_row_of_the_person_leaves_the_last_roster(springfield: Project) -> None:
    applied(springfield, WITH_ZED.with_user(ZED["sourcedId"], role="wizard"))
    assert ZED["sourcedId"] in found(springfield)
    erase(springfield, ZED["sourcedId"])
    assert found(springfield) == []


def test_person_known_only_to_the_last_roster_is_erased(springfield: Project) -> None:
    applied(springfield, WITH_ZED.with_user("u-stranger", role="wizard", username="strangername"))
    assert found(springfield, ("u-stranger",))
    assert "no account; only in the last roster" in erase(springfield, "u-stranger").out
    assert found(springfield, ("u-stranger",)) == []
    assert "erased-person" in planned(springfield, WITH_ZED.with_user("u-stranger")).out


def test_plan_saved_before_does_not_restore_the_person(springfield: Project) -> None:
    applied(springfield, DAY_ONE)
    saved = springfield.folder / "saved.plan"
    back = WITH_ZED.zip(springfield.folder / "back.zip")
    assert springfield.run("plan", "springfield", "--zip", back, "--out", saved).code == 0
    back.unlink()
    erase(springfield, ZED["sourcedId"])
    assert springfield.run("apply", saved).code == 4
    assert found(springfield) == []


def test_earlier_plan_keeping_only_a_roster_restores_no_rows(springfield: Project) -> None:
    saved = springfield.folder / "saved.plan"
    made = WITH_ZED.with_user(ANN, givenName="Annika").zip(springfield.folder / "other.zip")
    assert springfield.run("plan", "springfield", "--zip", made, "--out", saved).code == 0
    made.unlink()
    erase(springfield, ZED["sourcedId"])
    assert springfield.run("apply", saved).code == 4
    assert found(springfield) == []


def test_lifted_person_returns_as_new_and_lifting_is_recorded(springfield: Project) -> None:
    old = account(springfield)
    erase(springfield, ZED["sourcedId"])
    lifted = erase(springfield, ZED["sourcedId"], "--lift", "--request", "DSR-18")
    assert "lifted" in lifted.out
    assert not number(springfield, "erased")
    applied(springfield, WITH_ZED)
    assert old is not None
    assert (account(springfield) or 0) > old
    assert springfield.ask("select kind, request from certificates order by id")[1] == ("lift", "DSR-18")
    assert springfield.run("history", "--verify").code == 0
    assert "[not-erased]" in erase(springfield, "u-nobody", "--lift", code=1).err


def test_second_erase_shows_the_certificate_and_issues_none(springfield: Project) -> None:
    erase(springfield, ZED["sourcedId"])
    again = erase(springfield, ZED["sourcedId"])
    assert "is already erased" in again.out
    assert "certificate 1" in again.out
    assert number(springfield, "certificates") == 1


def test_configured_administrator_is_refused_until_removed_from_the_files(
    springfield: Project,
) -> None:
    refused = erase(springfield, "ada", code=1)
    assert "[still-declared]" in refused.err
    path = springfield.customer()
    path.write_text(
        path.read_text().replace("ada@springfield", "eve@springfield").replace("Ada", "Eve").replace("ada", "eve")
    )
    assert springfield.apply("springfield").code == 0
    erase(springfield, "ada")
    assert found(springfield, ("ada@springfield.example", "Byron, Ada")) == []


def test_whom_protect_names_is_refused(springfield: Project) -> None:
    path = springfield.customer()
    path.write_text(path.read_text().replace("rostering:\n", f"rostering:\n  protect: [{ZED['sourcedId']}]\n"))
    assert springfield.apply("springfield").code == 0
    assert "protect" in erase(springfield, ZED["sourcedId"], code=1).err
    path.write_text(path.read_text().replace(f"  protect: [{ZED['sourcedId']}]\n", ""))
    assert springfield.apply("springfield").code == 0
    assert "before-image of a document" in erase(springfield, ZED["sourcedId"]).out
    assert found(springfield) == []


def test_ambiguous_key_erases_nobody_and_lists_pseudonyms(springfield: Project) -> None:
    applied(springfield, DAY_ONE)
    applied(springfield, DAY_ONE.with_user("u-new", username=ZED["username"], identifier="other"))
    refused = erase(springfield, ZED["username"], code=1)
    assert "[ambiguous-key]" in refused.err
    assert refused.err.count("P-") >= 2
    assert "(deleted)" in refused.err
    assert "(active)" in refused.err
    assert not number(springfield, "certificates")


def test_unknown_people_and_customers_are_said(springfield: Project) -> None:
    assert "[unknown-person]" in erase(springfield, "u-nobody", code=1).err
    assert "[unknown-customer]" in erase(springfield, "u-nobody", customer="shelby", code=64).err


def test_without_a_terminal_it_needs_yes_and_a_request(springfield: Project) -> None:
    assert springfield.run("erase", "springfield", ZED["sourcedId"], "--request", "R").code == 64
    assert springfield.run("erase", "springfield", ZED["sourcedId"], "--yes").code == 64
    assert springfield.run("erase", "springfield", ZED["sourcedId"], "--yes", "--request", " ").code == 64
    assert account(springfield) is not None


def test_customer_in_the_files_or_active_is_refused(springfield: Project) -> None:
    assert "[still-declared]" in erase(springfield, code=1).err
    (springfield.folder / "customers" / "springfield" / "customer.yaml").unlink()
    springfield.customer("shelby")
    assert "[still-live]" in erase(springfield, code=1).err
    assert number(springfield, "accounts") > 60


def test_removed_customer_goes_whole_and_runs_keep_counts(springfield: Project) -> None:
    path = springfield.folder / "customers" / "springfield" / "customer.yaml"
    path.unlink()
    springfield.customer("shelby", org="d-2")
    assert springfield.apply("shelby").code == 0
    springfield.apply("springfield")
    hold = springfield.ask("select hold_id from holds")[0][0]
    assert springfield.apply("springfield", "--approve", hold).code == 0
    people = tuple(f"{DAY_ONE.tables['users'][place]['username']}@example.com" for place in range(60))
    shelby = springfield.ask("select * from accounts where username = 'ada' and email like '%shelby%'")
    shown = erase(springfield)
    assert "To erase, request DSR-17: all of springfield." in shown.out
    assert "1 customer, 62 people" in shown.out
    assert found(springfield, (*NAMES, *people, "ada@springfield.example")) == []
    assert springfield.ask("select * from accounts") == shelby
    assert springfield.ask("select slug from customers") == [("shelby",)]
    assert number(springfield, "runs where customer_slug = 'springfield'") == 3
    assert springfield.run("history", "--verify").code == 0
    path.parent.mkdir(exist_ok=True)
    springfield.customer()
    applied(springfield, DAY_ONE)


def test_hold_no_longer_names_the_erased_person(springfield: Project) -> None:
    with springfield.by_hand() as cursor:
        cursor.execute(
            "insert into holds (customer_id, scope, hold_id, people, rows, causes, plan_id, created_at) values"
            f""" (1, 'roster', 'springfield:1:abc', 1, 1, '["{ZED["username"]} waits","all of a school"]', 'p',"""
            " '2026-09-01T07:00:00Z')"
        )
    erase(springfield, ZED["sourcedId"])
    assert springfield.ask("select causes from holds") == [('["it named somebody who was erased","all of a school"]',)]


def test_the_last_roster_keeps_everybody_else(springfield: Project) -> None:
    erase(springfield, ZED["sourcedId"])
    store = open_store(springfield.store_url, ENVIRONMENT, key=KEY)
    with store.open_reader() as reader:
        kept = reader.load_last_snapshot(reader.read_customers()["springfield"].id)
    assert kept is not None
    parts: dict[str, pl.DataFrame] = dict(kept[1])
    assert set(parts["users"]["sourced_id"]) == set(DAY_ONE.ids("users"))
    assert set(parts["enrollments"]["sourced_id"]) == set(DAY_ONE.ids("enrollments"))
    assert springfield.plan("--roster", "last").code == 0


def test_failing_erasure_leaves_the_person_unchanged(springfield: Project, monkeypatch: Any) -> None:
    from reconciler.store.errors import StoreProblem
    from reconciler.store.removal import erasure

    def fails(*_: Any) -> None:
        raise StoreProblem("disk-full", "no space is left")

    before = others(springfield)
    monkeypatch.setattr(erasure, "_save_anonymous_records", fails)
    assert "[disk-full]" in erase(springfield, ZED["sourcedId"], code=1).err
    assert found(springfield) == list(NAMES)
    assert others(springfield) == before
    assert not number(springfield, "certificates")


def test_files_beside_the_store_are_not_looked_for(springfield: Project, tmp_path: Path) -> None:
    mine = tmp_path / "mine.zip"
    WITH_ZED.zip(mine)
    assert "roster files" in erase(springfield, ZED["sourcedId"]).out
    assert mine.exists()


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


def typed(project: Project, monkeypatch: pytest.MonkeyPatch, answer: str, *arguments: str) -> Result:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    return project.run("erase", "springfield", *arguments, "--request", "DSR-17")


def test_terminal_prompt_answered_no_erases_nobody(springfield: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = typed(springfield, monkeypatch, "n\n", ZED["sourcedId"])
    assert refused.code == 0
    assert "Nothing was erased." in refused.err
    assert found(springfield) == list(NAMES)
    assert typed(springfield, monkeypatch, "y\n", ZED["sourcedId"]).code == 0
    assert found(springfield) == []


def test_a_whole_customer_has_to_be_typed(springfield: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (springfield.folder / "customers" / "springfield" / "customer.yaml").unlink()
    springfield.customer("shelby")
    springfield.apply("springfield")
    hold = springfield.ask("select hold_id from holds")[0][0]
    assert springfield.apply("springfield", "--approve", hold).code == 0
    assert "Nothing was erased." in typed(springfield, monkeypatch, "y\n").err
    assert number(springfield, "accounts") > 60
    assert typed(springfield, monkeypatch, "springfield\n").code == 0
    assert number(springfield, "customers where slug = 'springfield'") == 0
