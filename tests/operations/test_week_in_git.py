"""A week of a customers repository: branches, reviews, merges of three kinds, races, drift, a removal, a lifted limit.

Every merge is applied as in CI: with the commit before it as base, and the id of the reviewed plan.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import pytest

from tests.support.customers.checkout import begin, commit, git
from tests.support.customers.project import Project, Result
from tests.support.rosters.bundles import Bundle, bundle

pytestmark = pytest.mark.slow

COMMUNITY = """\
kind: community
id: {id}
name: {name}
site_license: {{seats: 90, starts: 2026-08-01, ends: 2027-07-31}}
"""


@dataclass(frozen=True)
class Week:
    """The repository and its store. Plans are made on branches, applies on main."""

    project: Project

    def edit(self, customer: str, old: str, new: str) -> None:
        path = self.project.folder / "customers" / customer / "customer.yaml"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def branch(self, name: str) -> None:
        git(self.project.folder, "switch", "--quiet", "--create", name, "main")

    def reviewed(self) -> Result:
        """What CI shows of a branch that is up to date with main, once it is committed."""
        commit(self.project.folder, "as reviewed")
        return self.project.plan("--base", "main")

    def comment(self) -> str:
        return self.project.run("plan", "--base", "main", "--format", "markdown").out

    def merge(self, name: str, *, how: str = "--no-ff") -> str:
        """Returns the commit that main was at before."""
        folder = self.project.folder
        git(folder, "switch", "--quiet", "main")
        before = git(folder, "rev-parse", "HEAD")
        git(folder, "merge", "--quiet", how, name)
        if how == "--squash":
            git(folder, "commit", "--quiet", "--message", f"{name}, squashed")
        return before

    def applied(self, before: str, plan_id: str) -> Result:
        return self.project.run("apply", "--base", before, "--expect", plan_id, "--roster", "none")

    def names(self) -> dict[str, str]:
        return dict(self.project.ask("select slug, name from customers where tombstoned_at is null"))


@pytest.fixture
def week(project: Project) -> Week:
    """Monday: three customers are applied, one with a roster."""
    for name in ("springfield", "shelbyville", "ogdenville"):
        project.customer(name, org="d-1" if name == "springfield" else None)
    begin(project.folder)
    commit(project.folder, "three customers")
    assert project.apply().code == 0
    made = bundle(users=40, schools=2, classes=8)
    assert project.apply("springfield", "--zip", made.zip(project.folder / "monday.zip")).code == 0
    return Week(project)


def rows(plan: Result) -> dict[tuple[str, str], tuple[str, str | None]]:
    return {
        (change["kind"], change["key"]): (change["action"], change["cause"])
        for customer in plan.json["customers"]
        for change in customer["changes"]
    }


def test_a_week(week: Week) -> None:
    folder = week.project.folder

    # Tuesday: a name, reviewed, merged and applied.
    week.branch("name")
    week.edit("shelbyville", "Shelbyville District", "Shelbyville Unified")
    plan = week.reviewed()
    assert rows(plan) == {("customer", "shelbyville"): ("update", "pr")}
    comment = week.comment()
    assert comment.startswith("<!-- reconciler -->")
    assert "Shelbyville Unified" in comment
    before = week.merge("name")
    done = week.applied(before, plan.json["plan_id"])
    assert done.code == 0, done.err
    assert week.names()["shelbyville"] == "Shelbyville Unified"

    # Wednesday: two pull requests race, of which one leaves the other's effects as they were reviewed.
    week.branch("community")
    week.project.write("customers/shelbyville/communities/north.yaml", COMMUNITY.format(id="north", name="North"))
    of_community = week.reviewed()
    week.branch("city")
    week.edit("ogdenville", "city: Town", "city: Ogdenville")
    of_city = week.reviewed()
    assert week.applied(week.merge("community"), of_community.json["plan_id"]).code == 0
    second = week.applied(week.merge("city"), of_city.json["plan_id"])
    assert second.code == 0, second.err
    assert rows(week.project.plan()) == {}

    # Thursday: two that touch one value. The second does something else than was reviewed, and says what.
    week.branch("first")
    week.edit("ogdenville", "Ogdenville District", "Ogdenville First")
    of_first = week.reviewed()
    week.branch("second")
    week.edit("ogdenville", "region: IL", "region: OH")
    of_second = week.reviewed()
    assert week.applied(week.merge("first", how="--squash"), of_first.json["plan_id"]).code == 0
    assert week.names()["ogdenville"] == "Ogdenville First"
    with week.project.by_hand() as cursor:
        cursor.execute("update customers set document = replace(document, 'IL', 'WI') where slug = 'ogdenville'")
    stale = week.applied(week.merge("second", how="--squash"), of_second.json["plan_id"])
    assert stale.code == 4
    assert "address.region" in stale.err
    assert "address.region is WI in the store and IL in the base; it would become OH" in stale.err
    assert "run plan and" in stale.err
    assert "WI" in str(week.project.ask("select document from customers where slug = 'ogdenville'"))

    # Friday: what was merged and not applied is pending, what a hand did is drift; an apply of all puts both right.
    week.branch("friday")
    week.edit("ogdenville", 'postal_code: "60601"', 'postal_code: "60602"')
    (change,) = week.reviewed().json["customers"][0]["changes"]
    assert {field["path"]: (field["before"], field["cause"]) for field in change["fields"]} == {
        "address.region": ("WI", "drift"),
        "address.postal_code": ("60601", "pr"),
    }
    git(folder, "switch", "--quiet", "main")
    drift = week.project.plan()
    assert drift.code == 2
    assert week.project.apply().code == 0
    assert "OH" in str(week.project.ask("select document from customers where slug = 'ogdenville'"))
    assert week.project.plan().code == 0

    # Saturday morning: a customer is renamed; it is the same one, with all that it has.
    week.branch("rename")
    rows_before = week.project.ask("select id from customers where slug = 'ogdenville'")
    git(folder, "mv", "customers/ogdenville", "customers/ogdenville-heights")
    week.edit("ogdenville-heights", "id: ogdenville", "id: ogdenville-heights\npreviously: [ogdenville]")
    rename = week.reviewed()
    assert rows(rename) == {("customer", "ogdenville-heights"): ("update", "pr")}
    assert [each["reason"] for each in rename.json["customers"][0]["changes"]] == ["renamed"]
    done = week.applied(week.merge("rename"), rename.json["plan_id"])
    assert done.code == 0, done.err
    assert week.project.ask("select id from customers where slug = 'ogdenville-heights'") == rows_before
    assert "ogdenville" not in week.names()

    # Saturday: a customer is removed from git; the merge removes nobody.
    week.branch("removal")
    shutil.rmtree(folder / "customers/shelbyville")
    removal = week.reviewed()
    assert removal.code == 3
    assert rows(removal) == {
        ("customer", "shelbyville"): ("delete", "pr"),
        ("community", "north"): ("delete", "pr"),
    }
    assert "shelbyville" in week.comment().split("<details>")[0]
    held = week.applied(week.merge("removal"), removal.json["plan_id"])
    assert held.code == 3
    assert "shelbyville" in week.names()
    (hold,) = [customer["hold"]["id"] for customer in removal.json["customers"]]
    assert hold in week.project.run("holds").out

    # Sunday: a limit is lifted. The comment begins with it, and shows whom it would let go.
    week.branch("limit")
    week.edit(
        "springfield", "match_with: identifier", "match_with: identifier\n  limits: {users: {percent: 100, floor: 99}}"
    )
    lifted = week.reviewed()
    (springfield,) = lifted.json["customers"]
    assert {each["path"] for each in springfield["weakened"]} == {
        "rostering.limits.users.percent",
        "rostering.limits.users.floor",
    }
    assert springfield["source"]["freshness"] == "last"
    shown = week.comment()
    assert shown.index("rostering.limits.users.percent") < shown.index("<details>")
    assert lifted.json["elsewhere"] == {"pending": 1, "drifted": 0, "failed": 0}


def test_a_lifted_limit_shows_whom_it_lets_go(week: Week) -> None:
    """People who were held back by the limit, as the last good roster and the store have them."""
    made: Bundle = bundle(users=40, schools=2, classes=8)
    leavers = made.students()[:8]
    fewer = made.without_users(leavers)
    assert week.project.apply("springfield", "--zip", fewer.zip(week.project.folder / "tuesday.zip")).code == 3
    week.branch("limit")
    week.edit("springfield", "match_with: identifier", "match_with: identifier\n  limits: {users: {percent: 60}}")
    (customer,) = week.reviewed().json["customers"]
    theirs = {change["key"]: change for change in customer["changes"] if change["kind"] == "user"}
    assert sorted(theirs) == sorted(leavers)
    assert {(each["action"], each["cause"], each["held"]) for each in theirs.values()} == {("delete", "pr", False)}
