"""Plans with a base in git: their customers, the cause of each change, and what they leave out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.customers.checkout import begin, commit, git
from tests.support.customers.project import Project, Result
from tests.support.rosters.bundles import bundle

COMMUNITY = """\
kind: community
id: {id}
name: {name}
site_license: {{seats: {seats}, starts: 2026-08-01, ends: 2027-07-31}}
"""


@pytest.fixture
def repository(project: Project) -> Project:
    """Three customers, committed and applied."""
    for name in ("springfield", "shelbyville", "ogdenville"):
        project.customer(name)
    begin(project.folder)
    commit(project.folder, "three customers")
    assert project.apply().code == 0
    return project


def planned(repository: Project, *arguments: str) -> Result:
    return repository.plan("--base", "main", *arguments)


def ids(plan: Result) -> list[str]:
    return [customer["id"] for customer in plan.json["customers"]]


def causes(plan: Result) -> dict[tuple[str, str, str], str | None]:
    return {
        (customer["id"], change["kind"], change["key"]): change["cause"]
        for customer in plan.json["customers"]
        for change in customer["changes"]
    }


def edit(repository: Project, customer: str, old: str, new: str) -> None:
    path = repository.folder / "customers" / customer / "customer.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_only_customers_whose_resolved_configuration_differs_are_planned(repository: Project) -> None:
    assert ids(planned(repository)) == []
    edit(repository, "springfield", "name: Springfield District", "name: Springfield Unified")
    edit(repository, "shelbyville", "kind: customer", "# only a comment\nkind: customer")
    plan = planned(repository)
    assert plan.code == 2
    assert ids(plan) == ["springfield"]
    assert causes(plan) == {("springfield", "customer", "springfield"): "pr"}
    assert plan.json["base"] == {
        "ref": "main",
        "commit": git(repository.folder, "rev-parse", "main"),
        "missing_commits": 0,
    }
    assert plan.json["elsewhere"] == {"pending": 0, "drifted": 0, "failed": 0}


def test_merged_unapplied_and_external_changes_are_counted(repository: Project) -> None:
    edit(repository, "shelbyville", "name: Shelbyville District", "name: Shelbyville Unified")
    repository.customer("capital-city")
    commit(repository.folder, "merged, and not applied")
    with repository.by_hand() as cursor:
        cursor.execute(
            "update customers set document = replace(document, 'Ogdenville', 'Brockway') where slug = 'ogdenville'"
        )
    edit(repository, "springfield", "name: Springfield District", "name: Springfield Unified")
    plan = planned(repository)
    assert ids(plan) == ["springfield"]
    assert plan.json["elsewhere"] == {"pending": 2, "drifted": 1, "failed": 0}


def test_values_of_one_customer_have_causes_of_their_own(repository: Project) -> None:
    edit(repository, "springfield", "city: Town", "city: Springfield")
    commit(repository.folder, "merged, and not applied")
    with repository.by_hand() as cursor:
        cursor.execute("update customers set document = replace(document, '60601', '11111') where slug = 'springfield'")
    edit(repository, "springfield", "name: Springfield District", "name: Springfield Unified")
    (change,) = planned(repository).json["customers"][0]["changes"]
    assert {field["path"]: field["cause"] for field in change["fields"]} == {
        "address.city": "pending",
        "address.postal_code": "drift",
        "name": "pr",
    }
    assert (change["cause"], change["reason"]) == ("pr", "field_changed")


def test_documents_that_come_and_go_have_causes(repository: Project) -> None:
    repository.write(
        "customers/springfield/communities/north.yaml", COMMUNITY.format(id="north", name="North", seats=9)
    )
    repository.write(
        "customers/springfield/communities/south.yaml", COMMUNITY.format(id="south", name="South", seats=9)
    )
    commit(repository.folder, "two communities")
    assert repository.apply().code == 0
    repository.write("customers/springfield/communities/west.yaml", COMMUNITY.format(id="west", name="West", seats=9))
    (repository.folder / "customers/springfield/communities/south.yaml").unlink()
    commit(repository.folder, "merged, and not applied")
    repository.write("customers/springfield/communities/east.yaml", COMMUNITY.format(id="east", name="East", seats=9))
    (repository.folder / "customers/springfield/communities/north.yaml").unlink()
    shutil.rmtree(repository.folder / "customers/ogdenville")
    assert causes(planned(repository)) == {
        ("ogdenville", "customer", "ogdenville"): "pr",
        ("springfield", "community", "north"): "pr",
        ("springfield", "community", "south"): "pending",
        ("springfield", "community", "west"): "pending",
        ("springfield", "community", "east"): "pr",
    }


def test_a_default_that_changes_takes_every_customer_below_it(repository: Project) -> None:
    repository.write("customers/defaults.yaml", "kind: defaults\ntimezone: America/Chicago\n")
    edit(repository, "ogdenville", "kind: customer", "kind: customer\ntimezone: UTC")
    plan = planned(repository)
    assert ids(plan) == ["shelbyville", "springfield"]
    assert set(causes(plan).values()) == {"pr"}


def test_changed_policy_covers_people_whose_grants_change(repository: Project) -> None:
    settings = (repository.folder / "reconciler.yaml").read_text(encoding="utf-8")
    repository.write("reconciler.yaml", f"{settings}policy: {{limits: {{users: {{percent: 5}}}}}}\n")
    commit(repository.folder, "a policy")
    repository.customer("brockway", org=None)
    commit(repository.folder, "one without a roster")
    repository.write("reconciler.yaml", f"{settings}policy: {{limits: {{users: {{percent: 8}}}}}}\n")
    plan = planned(repository)
    assert ids(plan) == ["ogdenville", "shelbyville", "springfield"]
    (weakened,) = plan.json["weakened"]
    assert (weakened["protection"], weakened["path"], weakened["before"], weakened["after"]) == (
        "limit",
        "policy.limits.users.percent",
        5,
        8,
    )
    assert (weakened["file"], weakened["line"]) == ("reconciler.yaml", 3)


def test_a_weakened_protection_is_told_with_its_line(repository: Project) -> None:
    edit(
        repository, "springfield", "match_with: identifier", "match_with: identifier\n  limits: {users: {percent: 60}}"
    )
    plan = planned(repository)
    (weakened,) = plan.json["customers"][0]["weakened"]
    assert weakened["path"] == "rostering.limits.users.percent"
    assert (weakened["before"], weakened["after"]) == (10, 60)
    text = (repository.folder / "customers/springfield/customer.yaml").read_text(encoding="utf-8")
    line = next(number for number, each in enumerate(text.splitlines(), 1) if "percent" in each)
    assert (weakened["file"], weakened["line"]) == ("customers/springfield/customer.yaml", line)


def test_changed_setting_shows_its_effect_on_the_last_roster(repository: Project) -> None:
    made = bundle(users=40, schools=2, classes=8)
    path = made.zip(repository.folder / "day.zip")
    assert repository.apply("springfield", "--zip", path).code == 0
    edit(repository, "springfield", "match_with: identifier", "match_with: identifier\n  select: {schools: [s-1]}")
    plan = planned(repository)
    (customer,) = plan.json["customers"]
    assert customer["source"]["freshness"] == "last"
    gone = [each for each in customer["changes"] if each["kind"] == "user"]
    theirs = [row["sourcedId"] for row in made.tables["users"] if row["orgSourcedIds"] == "s-2"]
    assert sorted(each["key"] for each in gone) == sorted(theirs)
    assert {(each["reason"], each["cause"]) for each in gone} == {("scope_narrowed", "pr")}
    assert [each["protection"] for each in customer["weakened"]] == ["select"]
    none = planned(repository, "--roster", "none")
    assert none.json["plan_id"] == plan.json["plan_id"]


def edited(repository: Project, old: str, new: str) -> dict[str, Any]:
    """What the plan of that edit says of springfield."""
    edit(repository, "springfield", old, new)
    (customer,) = planned(repository).json["customers"]
    return dict(customer)


def people(customer: Mapping[str, Any]) -> dict[str, tuple[str, str, bool]]:
    return {
        each["key"]: (each["action"], each["cause"], each["held"])
        for each in customer["changes"]
        if each["kind"] == "user"
    }


def test_another_suffix_shows_everybody_whom_it_would_rename(repository: Project) -> None:
    made = bundle(users=40, schools=2, classes=8)
    assert repository.apply("springfield", "--zip", made.zip(repository.folder / "day.zip")).code == 0
    customer = edited(repository, "match_with: identifier", 'match_with: identifier\n  suffix: "@springfield"')
    renamed = people(customer)
    assert len(renamed) == 40
    assert set(renamed.values()) == {("update", "pr", True)}
    assert len(customer["would_hold"]) == 1


def test_missing_setting_shows_whom_it_would_spare(repository: Project) -> None:
    made = bundle(users=40, schools=2, classes=8)
    leavers = made.students()[:8]
    for number, each in enumerate((made, made.without_users(leavers))):
        repository.apply("springfield", "--zip", each.zip(repository.folder / f"day-{number}.zip"))
    before = people(edited(repository, "match_with: identifier", "match_with: identifier\n  protect: [nobody]"))
    assert {
        key for key, (action, cause, held) in before.items() if (action, cause, held) == ("delete", "pending", True)
    } == {*leavers}
    spared = people(edited(repository, "  protect: [nobody]", "  missing: keep"))
    assert not {*spared} & {*leavers}


def test_another_match_shows_whose_accounts_it_would_keep(repository: Project) -> None:
    made = bundle(users=40, schools=2, classes=8)
    edit(repository, "springfield", "match_with: identifier", "match_with: sourced_id")
    commit(repository.folder, "known by sourcedId alone")
    repository.apply("springfield", "--zip", made.zip(repository.folder / "day.zip"))
    renumbered = made
    for key in made.students()[:8]:
        (row,) = [each for each in made.tables["users"] if each["sourcedId"] == key]
        renumbered = renumbered.without_users([key]).with_user(f"n-{key}", identifier=row["identifier"])
    repository.apply("springfield", "--zip", renumbered.zip(repository.folder / "renumbered.zip"))
    customer = edited(repository, "match_with: sourced_id", "match_with: identifier")
    assert [each["protection"] for each in customer["weakened"]] == ["match_with"]
    found = people(customer)
    rekeyed = {key for key, (action, _, _) in found.items() if action == "rekey"}
    assert rekeyed == {f"n-{key}" for key in made.students()[:8]}
    assert {found[key][1:] for key in rekeyed} == {("pr", True)}


def test_what_waited_already_is_not_the_pull_requests_doing(repository: Project) -> None:
    made = bundle(users=40, schools=2, classes=8)
    assert repository.apply("springfield", "--zip", made.zip(repository.folder / "day.zip")).code == 0
    student = made.students()[0]
    with repository.by_hand() as cursor:
        cursor.execute(
            "update accounts set given_name = 'Nobody' where id in"
            f" (select account_id from identities where subject = '{student}')"
        )
    edit(repository, "springfield", "match_with: identifier", "match_with: identifier\n  protect: [somebody]")
    plan = planned(repository)
    assert causes(plan)["springfield", "user", student] == "drift"


def test_apply_with_a_base_does_only_what_was_reviewed(repository: Project) -> None:
    edit(repository, "shelbyville", "name: Shelbyville District", "name: Shelbyville Unified")
    commit(repository.folder, "merged, and not applied")
    before = git(repository.folder, "rev-parse", "HEAD")
    edit(repository, "springfield", "name: Springfield District", "name: Springfield Unified")
    reviewed = planned(repository).json["plan_id"]
    commit(repository.folder, "the pull request")
    applied = repository.run("apply", "--base", before, "--expect", reviewed, "--roster", "none")
    assert applied.code == 0, applied.err
    assert "springfield: applied" in applied.out
    assert repository.ask("select slug from customers where document like '%Unified%'") == [("springfield",)]
    assert planned(repository).json["elsewhere"] == {"pending": 1, "drifted": 0, "failed": 0}


def test_apply_beside_a_base_refuses_what_was_not_reviewed(repository: Project) -> None:
    before = git(repository.folder, "rev-parse", "HEAD")
    edit(repository, "springfield", "name: Springfield District", "name: Springfield Unified")
    reviewed = planned(repository).json["plan_id"]
    edit(repository, "springfield", "city: Town", "city: Springfield")
    commit(repository.folder, "more than was reviewed")
    applied = repository.run("apply", "--base", before, "--expect", reviewed, "--roster", "none")
    assert applied.code == 4
    assert repository.ask("select slug from customers where document like '%Unified%'") == []


def test_invalid_customer_fails_and_others_are_planned(repository: Project) -> None:
    edit(repository, "springfield", "match_with: identifier", "match_with: shoe_size")
    edit(repository, "shelbyville", "name: Shelbyville District", "name: Shelbyville Unified")
    plan = planned(repository)
    assert plan.code == 65
    assert {customer["id"]: customer["outcome"] for customer in plan.json["customers"]} == {
        "shelbyville": "changes",
        "springfield": "failed",
    }


def test_unread_customers_consumer_key_is_found_in_the_store(repository: Project) -> None:
    platform = "{id: canvas, version: '1.1', consumer_key: key-1, shared_secret: {generated: true}, community: north}"
    lti = f"lti:\n  platforms:\n    - {platform}\n"
    for name in ("shelbyville",):
        repository.customer(name, more=lti)
        repository.write(
            f"customers/{name}/communities/north.yaml", COMMUNITY.format(id="north", name="North", seats=9)
        )
    commit(repository.folder, "an LMS")
    assert repository.apply().code == 0
    repository.customer("springfield", more=lti)
    repository.write(
        "customers/springfield/communities/north.yaml", COMMUNITY.format(id="north", name="North", seats=9)
    )
    plan = planned(repository)
    (customer,) = plan.json["customers"]
    assert [(each["code"], each["file"]) for each in customer["diagnostics"]] == [
        ("consumer-key-taken", "customers/springfield/customer.yaml")
    ]
    assert plan.code == 65


def test_base_needs_only_a_shallow_clone_but_must_exist(
    repository: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    edit(repository, "springfield", "name: Springfield District", "name: Springfield Unified")
    commit(repository.folder, "a second commit")
    shallow = tmp_path / "shallow"
    git(repository.folder, "clone", "--quiet", "--depth", "1", f"file://{repository.folder}", str(shallow))
    monkeypatch.chdir(shallow)
    missing = repository.plan("--base", "origin/production")
    assert missing.code == 1
    assert "[unknown-base]" in missing.err
    assert "shallow clone" in missing.err
    assert repository.plan("--base", git(repository.folder, "rev-parse", "HEAD~1")).code == 1
    (shallow / "customers/ogdenville/customer.yaml").write_text(
        (shallow / "customers/ogdenville/customer.yaml").read_text(encoding="utf-8").replace("Town", "Ogdenville"),
        encoding="utf-8",
    )
    assert ids(repository.plan("--base", "HEAD")) == ["ogdenville"]


def test_outside_a_checkout_a_base_is_a_clear_error(project: Project) -> None:
    project.customer()
    outside = project.run("plan", "--base", "main")
    assert outside.code == 1
    assert "[git-failed]" in outside.err
    assert "--base requires one" in outside.err


@pytest.mark.parametrize("options", [("--roster", "fresh"), ("springfield", "--zip", "day.zip")])
def test_a_base_goes_with_no_fresh_roster(repository: Project, options: tuple[str, ...]) -> None:
    repository.write("day.zip", "")
    refused = repository.run("plan", "--base", "main", *options)
    assert refused.code == 64
    assert "--base works only with" in refused.err


def test_ignored_and_unknown_files_are_compared_like_all_others(repository: Project) -> None:
    repository.write(".gitignore", "brockway/\n")
    repository.customer("brockway")
    repository.customer("north-haverbrook")
    assert ids(planned(repository)) == ["brockway", "north-haverbrook"]


def test_named_customers_are_those_of_them_that_differ(repository: Project) -> None:
    edit(repository, "springfield", "city: Town", "city: Springfield")
    edit(repository, "ogdenville", "city: Town", "city: Ogdenville")
    assert ids(planned(repository, "springfield", "shelbyville")) == ["springfield"]
    unknown = planned(repository, "springfeild")
    assert unknown.code == 64
    assert "unknown-customer" in unknown.err


def test_lessons_of_the_catalogue_are_compared_with_the_base(repository: Project) -> None:
    repository.write(
        "customers/lessons/tides.yaml", "kind: lesson\nid: tides\ntitle: Tides\nurl: https://lessons.example/tides\n"
    )
    plan = planned(repository)
    assert ids(plan) == ["@catalogue"]
    assert json.dumps(plan.json["customers"][0]["changes"][0]["cause"]) == '"pr"'


def test_what_others_merged_meanwhile_is_not_this_branch(repository: Project) -> None:
    git(repository.folder, "checkout", "--quiet", "-b", "feature")
    edit(repository, "springfield", "name: Springfield District", "name: Springfield Unified")
    commit(repository.folder, "ours")
    git(repository.folder, "checkout", "--quiet", "main")
    edit(repository, "shelbyville", "name: Shelbyville District", "name: Shelbyville Unified")
    commit(repository.folder, "theirs")
    git(repository.folder, "checkout", "--quiet", "feature")
    parted = git(repository.folder, "merge-base", "main", "feature")
    plan = planned(repository)
    assert causes(plan) == {("springfield", "customer", "springfield"): "pr"}
    assert plan.json["base"] == {"ref": "main", "commit": parted, "missing_commits": 1}
    shown = repository.run("plan", "--base", "main", "--roster", "none").out
    assert "The base has 1 newer commit that this checkout lacks; merge or rebase to plan with them." in shown

    git(repository.folder, "merge", "--quiet", "--no-edit", "main")
    merged = planned(repository)
    assert causes(merged) == {("springfield", "customer", "springfield"): "pr"}
    assert merged.json["base"]["missing_commits"] == 0


def test_an_older_checkout_shows_what_it_takes_back(repository: Project) -> None:
    edit(repository, "springfield", "name: Springfield District", "name: Springfield Unified")
    commit(repository.folder, "newer")
    assert repository.apply().code == 0
    git(repository.folder, "checkout", "--quiet", "HEAD~1")
    plan = planned(repository)
    assert causes(plan) == {("springfield", "customer", "springfield"): "pr"}
    assert plan.json["base"]["missing_commits"] == 0


def test_157_tag_called_like_a_branch_does_not_win(repository: Project) -> None:
    merged = git(repository.folder, "rev-parse", "HEAD").strip()
    git(repository.folder, "branch", "release")
    edit(repository, "springfield", "name: Springfield District", "name: Springfield Unified")
    commit(repository.folder, "the pull request")
    git(repository.folder, "tag", "release")
    git(repository.folder, "tag", "only-a-tag", merged)
    for ref in ("release", "only-a-tag"):
        shown = repository.run("plan", "--base", ref, "--format", "json")
        assert shown.json["base"]["commit"] == merged
        assert [customer["id"] for customer in shown.json["customers"]] == ["springfield"]
