"""`previously` keeps everything of a renamed customer or document, and removes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from reconciler.store.key import StoreKey
from reconciler.store.open import open_store
from tests.support.customers.checkout import begin, commit, git
from tests.support.customers.project import ENVIRONMENT, KEY, Project, Result
from tests.support.operations.renames import LTI, add_former_id, everything, moved, renamed
from tests.support.operations.undo_steps import ANN, DAY_ONE, codes, last_run, loaded, planned, undo

pytestmark = pytest.mark.slow

COMMUNITY = (
    "kind: community\nid: {id}\npreviously: [{before}]\nname: {name}\n"
    "site_license: {{seats: 99, starts: 2026-08-01, ends: 2027-07-31}}\n{more}"
)
LESSON = "kind: lesson\nid: {id}\npreviously: [{before}]\ntitle: {title}\nurl: https://lessons.example/{title}\n"


def community(project: Project, name: str, before: str = "", title: str = "", *, of: str = "springfield") -> None:
    text = COMMUNITY.format(id=name, before=before, name=title or name.title(), more="lessons: [leaves]\n")
    project.write(f"customers/{of}/communities/{name}.yaml", text)


def lesson(project: Project, folder: str, name: str, before: str = "", title: str = "leaves") -> None:
    project.write(f"customers/{folder}/{name}.yaml", LESSON.format(id=name, before=before, title=title))


@pytest.fixture
def springfield(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Forty people, a community, a lesson, two LMSs; Ann has a password, an LMS link and an assignment."""
    monkeypatch.setenv("RECONCILER_SECRET__SPRINGFIELD__CANVAS", "first")
    loaded(project)
    community(project, "high")
    lesson(project, "springfield/lessons", "leaves")
    project.customer(more=LTI)
    assert project.apply("springfield").code == 0
    with project.by_hand() as cursor:
        cursor.execute("update accounts set password_hash = 'argon' where username like '%' and managed_by = 'roster'")
        cursor.execute(
            "insert into issuers (customer_id, name, kind) select id, 'springfield/lti/canvas', 'lti' from customers"
        )
        cursor.execute(
            "insert into identities (issuer_id, subject, account_id, customer_id) select x.id, 'lms-7',"
            " i.account_id, i.customer_id from issuers x, identities i where x.name = 'springfield/lti/canvas'"
            f" and i.subject = '{ANN}'"
        )
        cursor.execute(
            "insert into assignments (customer_id, lesson_id, account_id, created_at)"
            " select l.customer_id, l.id, i.account_id, '2026-09-01T00:00:00Z' from lessons l, identities i"
            f" where i.subject = '{ANN}'"
        )
    return project


def changes(plan: Result, customer: int = 0) -> list[dict[str, Any]]:
    return [dict(each) for each in plan.json["customers"][customer]["changes"]]


def roster(project: Project, customer: str) -> Result:
    return project.plan(customer, "--zip", DAY_ONE.zip(project.folder / "again.zip"))


def canvas(project: Project, slug: str, path: str = "lti.platforms.moodle.shared_secret") -> str:
    """What the store has encrypted, opened under a customer's id."""
    ((sealed,),) = project.ask(f"select ciphertext from secrets where path = '{path}'")
    return StoreKey(KEY).decrypt(bytes(sealed), f"{slug}/{path}")


def test_a_renamed_customer_keeps_all_that_it_had(springfield: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project = springfield
    before, generated = everything(project), canvas(project, "springfield")
    ((number,),) = project.ask("select id from customers")
    renamed(project, monkeypatch)
    assert project.run("validate").code == 0

    plan = project.plan()
    assert (plan.code, [each["id"] for each in plan.json["customers"]]) == (2, ["shelbyville"])
    assert plan.json["summary"]["delete"] == plan.json["summary"]["create"] == plan.json["summary"]["held"] == 0
    (change,) = changes(plan)
    assert (change["action"], change["reason"], change["key"]) == ("update", "renamed", "shelbyville")
    assert change["fields"] == [{"path": "id", "before": "springfield", "after": "shelbyville", "cause": None}]
    assert "secrets-by-new-id" in codes(plan)
    text = project.run("plan").out
    assert "renamed from springfield, customers/shelbyville/customer.yaml:2" in text
    markdown = project.run("plan", "--format", "markdown").out
    assert "`springfield` → `shelbyville`" in markdown

    assert project.apply().code == 0
    assert project.ask("select id, slug, tombstoned_at from customers") == [(number, "shelbyville", None)]
    assert everything(project) == before
    assert project.ask("select name from issuers order by name") == [
        ("shelbyville/config",),
        ("shelbyville/lti/canvas",),
        ("shelbyville/main",),
    ]
    assert canvas(project, "shelbyville") == generated
    assert canvas(project, "shelbyville", "lti.platforms.canvas.shared_secret") == "first"
    again = project.plan()
    assert (again.code, again.json["customers"][0]["outcome"]) == (0, "unchanged")
    assert roster(project, "shelbyville").code == 0

    history = project.run("history", "shelbyville", "--format", "json").json["runs"]
    assert [run["customer"] for run in history] == ["shelbyville", "springfield", "springfield"]
    assert project.run("history", "--verify").code == 0
    explained = project.run("explain", "shelbyville", ANN)
    assert explained.code == 0
    assert "shelbyville/lti/canvas" in explained.out
    assert project.run("purge").code == 0
    gone = project.run("erase", "shelbyville", ANN, "--request", "T-1", "--yes")
    assert gone.code == 0, gone
    assert project.ask(f"select count(*) from identities where subject = '{ANN}'") == [(0,)]


def test_a_rename_is_taken_back_with_nothing_lost(springfield: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project = springfield
    before = everything(project)
    kept = project.ask("select path, reference, hmac from secrets order by path")
    names = project.ask("select slug, document from customers"), project.ask("select name from issuers order by name")
    renamed(project, monkeypatch)
    assert project.apply().code == 0
    run = last_run(project)
    assert project.ask("select hmac from secrets where path like '%canvas%'") != [(kept[0][2],)]

    back = planned(project, run)
    assert back.json["customers"][0]["id"] == "springfield"
    (change,) = changes(back)
    assert change["fields"] == [{"path": "id", "before": "shelbyville", "after": "springfield", "cause": None}]
    assert "renamed from shelbyville, undone" in project.run("undo", str(run), "--out", "u.plan").out
    undo(project, run)
    assert everything(project) == before
    assert project.ask("select path, reference, hmac from secrets order by path") == kept
    after = project.ask("select slug, document from customers"), project.ask("select name from issuers order by name")
    assert after == names
    assert project.run("history", "--verify").code == 0
    (forth,) = changes(project.plan())
    assert forth["reason"] == "renamed", "the files still say so"

    # a run under the former id is still a run of this customer
    undo(project, run + 1)
    assert project.ask("select slug from customers") == [("shelbyville",)]
    older = planned(project, 2)
    assert older.json["customers"][0]["id"] == "shelbyville"
    assert codes(older)["changed-since"] == [f"customer shelbyville was changed since by run {run}; skipped"]


def test_pull_request_rename_is_one_change_beside_its_base(
    springfield: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = springfield
    begin(project.folder)
    commit(project.folder, "as applied")
    base = git(project.folder, "rev-parse", "HEAD")
    before = everything(project)
    renamed(project, monkeypatch)
    commit(project.folder, "renamed")
    plan = project.plan("--base", base)
    assert [each["id"] for each in plan.json["customers"]] == ["shelbyville"]
    (change,) = changes(plan)
    assert (change["cause"], change["reason"]) == ("pr", "renamed")
    assert plan.json["elsewhere"] == {"pending": 0, "drifted": 0, "failed": 0}
    assert plan.json["customers"][0]["hold"] is None

    # another pull request meanwhile: the rename is merged and not applied yet, one customer that waits
    project.customer("ogdenville", org=None)
    other = project.plan("--base", "HEAD")
    assert [each["id"] for each in other.json["customers"]] == ["ogdenville"]
    assert other.json["elsewhere"] == {"pending": 1, "drifted": 0, "failed": 0}
    shutil.rmtree(project.folder / "customers/ogdenville")

    applied = project.apply("--base", base, "--expect", plan.json["plan_id"], "--roster", "none")
    assert applied.code == 0, applied
    assert everything(project) == before
    assert project.ask("select slug from customers") == [("shelbyville",)]


def test_communities_and_lessons_are_renamed_and_pass_ids_on(springfield: Project) -> None:
    project = springfield
    community(project, "low")
    lesson(project, "lessons", "cells", title="cells")
    lesson(project, "springfield/lessons", "roots", title="roots")
    assert project.apply().code == 0
    high, low = (project.ask(f"select id from communities where slug = '{name}'")[0][0] for name in ("high", "low"))
    before = everything(project)
    folder = project.folder / "customers"

    # high becomes low and low becomes last; the lessons change ids with each other; the catalogue's gets a new one
    (folder / "springfield/communities/high.yaml").unlink()
    community(project, "low", "high", "High")
    community(project, "last", "low", "Low")
    lesson(project, "springfield/lessons", "roots", "leaves", "leaves")
    lesson(project, "springfield/lessons", "leaves", "roots", "roots")
    (folder / "lessons/cells.yaml").unlink()
    lesson(project, "lessons", "atoms", "cells", "cells")
    for name in ("low", "last"):
        path = folder / f"springfield/communities/{name}.yaml"
        path.write_text(path.read_text().replace("[leaves]", "[roots]"))
    project.customer(more=LTI.replace("community: high", "community: low"))
    assert project.run("validate").code == 0

    plan = project.plan()
    assert plan.json["summary"]["delete"] == plan.json["summary"]["create"] == 0
    assert {
        (each["kind"], each["key"]): each["fields"][0]["before"]
        for number in range(2)
        for each in changes(plan, number)
        if each["reason"] == "renamed"
    } == {
        ("lesson", "atoms"): "cells",
        ("community", "last"): "low",
        ("community", "low"): "high",
        ("lesson", "leaves"): "roots",
        ("lesson", "roots"): "leaves",
    }
    writes = project.ask("select n from write_counters")
    assert project.apply().code == 0
    assert everything(project) == before
    assert project.ask("select id, slug, name from communities order by id") == [
        (high, "low", "High"),
        (low, "last", "Low"),
    ]
    assert project.ask("select slug, title from lessons order by title") == [
        ("atoms", "cells"),
        ("roots", "leaves"),
        ("leaves", "roots"),
    ]
    assert project.ask("select n from write_counters") == writes, "no hand but our own wrote"
    again = project.plan()
    assert again.code == 0, again.out
    assert [each["outcome"] for each in again.json["customers"]] == ["unchanged"]

    run = last_run(project)
    undo(project, run)
    undo(project, run - 1)
    assert project.ask("select id, slug from communities order by id") == [(high, "high"), (low, "low")]
    assert project.ask("select slug, title from lessons order by title") == [
        ("cells", "cells"),
        ("leaves", "leaves"),
        ("roots", "roots"),
    ]
    assert everything(project) == before


def test_customers_pass_their_ids_on_one_after_the_other(project: Project) -> None:
    for name in ("a", "b"):
        project.customer(name, org=None)
    assert project.apply().code == 0
    shutil.rmtree(project.folder / "customers/a")
    project.customer("b", org=None, more="previously: [a]\n", title="A District")
    project.customer("c", org=None, more="previously: [b]\n", title="B District")
    plan = project.plan()
    assert [each["id"] for each in plan.json["customers"]] == ["c", "b"], "who gives up an id comes first"

    alone = project.apply("b")
    assert (alone.code, "another customer still has the ID b" in alone.err) == (1, True), alone
    assert project.ask("select slug from customers order by id") == [("a",), ("b",)]
    assert project.apply().code == 0
    assert project.ask("select slug, name from customers order by id") == [("b", "A District"), ("c", "B District")]
    assert project.plan().code == 0


def test_removed_document_returns_renamed_and_keeps_its_id(project: Project) -> None:
    project.customer(org=None)
    for name in ("cells", "roots"):
        lesson(project, "springfield/lessons", name, title=name)
    assert project.apply().code == 0
    cells = project.folder / "customers/springfield/lessons/cells.yaml"
    cells.unlink()
    assert project.apply().code == 0

    (project.folder / "customers/springfield/lessons/roots.yaml").unlink()
    lesson(project, "springfield/lessons", "cells", "roots", "roots")
    refused = project.plan()
    assert refused.json["customers"][0]["outcome"] == "failed"
    assert codes(refused)["id-still-kept"] == [
        "lesson roots cannot become cells: the store still has a removed lesson cells"
    ]

    cells.unlink()
    lesson(project, "springfield/lessons", "roots", title="roots")
    lesson(project, "springfield/lessons", "atoms", "cells", "cells")
    (change,) = changes(project.plan())
    assert (change["action"], change["key"], change["fields"][0]["before"]) == ("restore", "atoms", "cells")
    assert project.apply().code == 0
    assert project.ask("select slug, tombstoned_at from lessons order by id") == [("atoms", None), ("roots", None)]


def test_renamed_customer_with_unset_secrets_warns_and_loses_nothing(
    springfield: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed(springfield, monkeypatch)
    monkeypatch.delenv("RECONCILER_SECRET__SHELBYVILLE__CANVAS")
    plan = springfield.plan()
    told = {each["code"]: each for each in plan.json["customers"][0]["diagnostics"]}
    assert told["secrets-by-new-id"]["severity"] == "warning"
    assert "RECONCILER_SECRET__SHELBYVILLE__CANVAS" in told["secret-not-set"]["hint"]
    assert springfield.apply().code == 1
    assert springfield.ask("select slug from customers") == [("springfield",)]


def test_neither_id_may_be_applied_by_another_process_meanwhile(
    springfield: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reconciler.store.database.lock import lock_customer

    renamed(springfield, monkeypatch)
    store = open_store(springfield.store_url, ENVIRONMENT, key=KEY)
    for name in ("springfield", "shelbyville"):
        with lock_customer(store.dialect, name):
            busy = springfield.apply()
        assert (busy.code, f"{name} is being applied by" in busy.err) == (1, True), busy
    assert springfield.ask("select slug from customers") == [("springfield",)]
    assert springfield.apply().code == 0


def test_rename_plan_is_stale_after_another_rename(
    springfield: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    renamed(springfield, monkeypatch)
    saved = tmp_path / "monday.plan"
    assert springfield.run("plan", "--out", saved).code == 0
    assert springfield.run("show", saved).out.count("renamed from springfield") == 1
    with springfield.by_hand() as cursor:
        cursor.execute("update customers set slug = 'ogdenville'")
    assert springfield.run("apply", saved).code == 4
    assert springfield.ask("select slug from customers") == [("ogdenville",)]


def test_invalid_renamed_customer_is_not_removed(springfield: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed(springfield, monkeypatch, more="nmae: x\n")
    plan = springfield.plan()
    assert plan.code == 65
    assert {each["id"]: each["outcome"] for each in plan.json["customers"]} == {
        "shelbyville": "failed",
        "springfield": "failed",
    }
    assert plan.json["summary"]["delete"] == 0


def test_142_rename_without_previously_waits_as_a_whole(springfield: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project = springfield
    before = everything(project)
    moved(project, monkeypatch)
    plan = project.plan()
    assert plan.code == 3
    shelbyville, springfield_plan = plan.json["customers"]
    assert (shelbyville["outcome"], springfield_plan["outcome"]) == ("held", "held")
    assert all(change["held"] for change in shelbyville["changes"])
    line = "add previously: [springfield] to customers/shelbyville/customer.yaml"
    for customer in (shelbyville, springfield_plan):
        evidence, advice, *_ = customer["hold"]["causes"]
        assert "(same consumer key, client_partner_id, administrators, name)" in evidence
        assert line in advice
    for output in ("text", "markdown", "html"):
        assert line in project.run("plan", "--format", output).out

    assert project.apply().code == 3
    assert project.ask("select slug, tombstoned_at from customers") == [("springfield", None)]
    assert everything(project) == before

    path = project.folder / "customers/shelbyville/customer.yaml"
    path.write_text(path.read_text().replace("name: Springfield", "previously: [springfield]\nname: Springfield"))
    assert project.apply().code == 0
    assert project.ask("select slug, tombstoned_at from customers") == [("shelbyville", None)]
    assert everything(project) == before


def planned_hold(project: Project, run: int) -> str:
    """The hold of the plan that undoes a run."""
    shown = planned(project, run)
    return str(shown.json["customers"][0]["hold"]["id"])


def test_142_rename_that_was_half_applied_is_mended(springfield: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project = springfield
    project.customer()
    assert project.apply("--yes").code == 0
    before = everything(project)
    renamed(project, monkeypatch, more="")
    path = project.folder / "customers/shelbyville/customer.yaml"
    text = path.read_text()
    path.write_text(text.replace("previously: [springfield]\n", ""))
    (hold,) = [each["hold"]["id"] for each in project.plan().json["customers"] if each["id"] == "shelbyville"]
    created = project.apply("shelbyville", "--approve", hold)
    assert created.code == 0, created
    assert project.ask("select slug from customers order by slug") == [("shelbyville",), ("springfield",)]

    path.write_text(text)
    plan = project.plan()
    assert "not-renamed" in codes(plan)
    assert plan.json["summary"]["held"] > 0
    hint = next(
        each["hint"] for one in plan.json["customers"] for each in one["diagnostics"] if each["code"] == "not-renamed"
    )
    assert "reconciler erase shelbyville --request REF" in hint
    waiting = planned_hold(project, last_run(project))
    assert undo(project, last_run(project), "--approve", waiting).code == 0
    assert "id-still-kept" in codes(project.plan())
    assert project.run("erase", "springfield", "--request", "T-1", "--yes").code == 1
    erased = project.run("erase", "shelbyville", "--request", "T-1", "--yes")
    assert erased.code == 0, erased
    plan = project.plan()
    assert [each["id"] for each in plan.json["customers"]] == ["shelbyville"]
    assert project.apply().code == 0
    assert project.ask("select slug, tombstoned_at from customers") == [("shelbyville", None)]
    assert everything(project) == before


def approved(project: Project) -> Result:
    """Apply all that waits, each hold approved."""
    holds = [each["hold"]["id"] for each in project.plan().json["customers"] if each["hold"]]
    return project.apply(*(word for hold in holds for word in ("--approve", hold)))


def test_195_removed_half_of_a_rename_comes_back_by_previously(
    springfield: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both halves are approved; the new one fails, because its consumer key is reserved for the old one."""
    before = everything(springfield)
    moved(springfield, monkeypatch)
    assert approved(springfield).code == 5
    assert [slug for (slug,) in springfield.ask("select slug from customers")] == ["springfield"]
    add_former_id(springfield)
    assert springfield.apply().code == 0
    assert springfield.ask("select slug, tombstoned_at from customers") == [("shelbyville", None)]
    assert everything(springfield) == before


def test_195_customer_that_was_removed_and_created_anew_is_mended(
    springfield: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both halves are applied, and the new customer got people of its own by a roster."""
    project = springfield
    project.customer()
    assert project.apply("--yes").code == 0
    before = everything(project)
    renamed(project, monkeypatch, more="")
    path = project.folder / "customers/shelbyville/customer.yaml"
    path.write_text(path.read_text().replace("previously: [springfield]\n", ""))
    assert approved(project).code == 0
    bundle = DAY_ONE.zip(project.folder / "again.zip")
    assert project.apply("shelbyville", "--zip", bundle).code == 0
    add_former_id(project)
    assert "undo the run that removed springfield (reconciler history springfield)" in hint_of_rename(project)
    removed, created = (
        project.ask(f"select max(id) from runs where customer_slug = '{slug}' and counts like '%{what}%'")[0][0]
        for slug, what in (("springfield", '"customer":{"delete"'), ("shelbyville", '"customer":{"create"'))
    )
    loaded_again = last_run(project)
    assert undo(project, removed).code == 0
    assert "reconciler erase shelbyville --request REF" in hint_of_rename(project)
    for run in (loaded_again, created):
        assert undo(project, run, "--approve", planned_hold(project, run)).code == 0
    assert project.run("erase", "shelbyville", "--request", "T-1", "--yes").code == 0
    assert project.apply().code == 0
    assert project.ask("select slug, tombstoned_at from customers") == [("shelbyville", None)]
    assert everything(project) == before


def hint_of_rename(project: Project) -> str:
    """The hint of the plan's warning that a customer is not renamed."""
    found = [each for one in project.plan().json["customers"] for each in one["diagnostics"]]
    (hint,) = [each["hint"] for each in found if each["code"] == "not-renamed"]
    return str(hint)
