"""Unchanged documents are not read from the store, and no difference is missed by that."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from reconciler.config.secrets import build_variable_name
from reconciler.operations.plan import plan as planning
from reconciler.operations.plan.context import PlanContext
from reconciler.operations.plan.fast_path import plan_if_unchanged
from reconciler.operations.plan.stages.files import CustomerFiles
from reconciler.store.read.reader import Reader
from tests.support.customers.project import Project, changes, keys

COMMUNITY = """\
kind: community
id: {id}
name: The {id}
site_license: {{seats: 10, starts: 2026-08-01, ends: 2027-07-31}}
"""


@pytest.fixture
def district(project: Project) -> Project:
    project.customer(org=None)
    for name in ("north", "south"):
        project.write(f"customers/springfield/communities/{name}.yaml", COMMUNITY.format(id=name))
    assert project.apply().code == 0
    return project


def test_nothing_is_read_of_documents_where_nothing_changed(district: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []
    declared = Reader.read_documents

    def noted(reader: Reader, slug: str | None) -> object:
        asked.append(slug)
        return declared(reader, slug)

    monkeypatch.setattr(Reader, "read_documents", noted)
    plan = district.plan()

    assert plan.code == 0
    assert plan.json["customers"][0]["counts"]["community"]["unchanged"] == 2
    assert asked == [None], "only the catalog's"


def test_community_awaiting_removal_is_shown_again_despite_settled_documents(district: Project) -> None:
    (district.folder / "customers/springfield/communities/north.yaml").unlink()
    district.customer(org=None, title="Another Name")
    assert district.apply().code == 3

    again = district.plan()
    assert again.code == 3
    assert keys(again, "community", "delete") == ["north"]
    assert again.json["customers"][0]["counts"]["community"]["unchanged"] == 1


def test_what_another_hand_wrote_is_shown(district: Project) -> None:
    with district.by_hand() as hand:
        hand.execute("update communities set document = replace(document, 'The north', 'Mine') where slug = 'north'")

    (change,) = changes(district.plan(), "community")
    assert (change["key"], change["reason"]) == ("north", "drift")


LTI = """\
lti:
  platforms:
    - {{id: canvas, consumer_key: {key}, shared_secret: {{secret: canvas}}, community: north}}
"""
SETTLED = ("capital", "settled", "secret-missing")
OTHERS = (
    "secret-changed",
    "altered",
    "edited",
    "community-renamed",
    "community-gone",
    "renamed",
    "removed",
    "invalid",
)


def test_settled_customer_plans_as_a_full_comparison_would(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project.folder / "customers"
    for name in (*SETTLED, *OTHERS):
        monkeypatch.setenv(build_variable_name(name, "canvas"), "s3cret")
        project.customer(name, org=None, more=LTI.format(key=name))
        for community in ("north", "south"):
            project.write(f"customers/{name}/communities/{community}.yaml", COMMUNITY.format(id=community))
    project.write("customers/capital/lessons/own.yaml", "kind: lesson\nid: own\ntitle: Own\nurl: https://l.example/o\n")
    project.write("customers/capital/defaults.yaml", "kind: defaults\n")
    project.customer("capital", org=None, more="previously: [old-capital]\n" + LTI.format(key="capital"))
    assert project.apply().code == 0
    (folder / "community-gone/communities/south.yaml").unlink()
    project.customer("community-gone", org=None, title="Another name", more=LTI.format(key="community-gone"))
    assert project.apply("community-gone").code == 3

    monkeypatch.setenv(build_variable_name("secret-changed", "canvas"), "other")
    monkeypatch.delenv(build_variable_name("secret-missing", "canvas"))
    with project.by_hand() as hand:
        hand.execute("update customers set document = replace(document, 'Main', 'Minor') where slug = 'altered'")
    project.write("customers/edited/communities/north.yaml", COMMUNITY.format(id="north").replace("10", "11"))
    (folder / "community-renamed/communities/south.yaml").unlink()
    east = COMMUNITY.format(id="east") + "previously: [south]\n"
    project.write("customers/community-renamed/communities/east.yaml", east)
    (folder / "renamed").rename(folder / "anew")
    project.customer("anew", org=None, more=LTI.format(key="renamed") + "previously: [renamed]\n")
    shutil.rmtree(folder / "removed")
    project.customer("invalid", org=None, more="wrong: 1\n")

    found = set()

    def noted(context: PlanContext, files: CustomerFiles) -> Any:
        plan = plan_if_unchanged(context, files)
        found.update([files.id] if plan else [])
        return plan

    def plans() -> list[Any]:
        """Cold, from memory, and without rosters."""
        again = [project.plan(*rosters).json for rosters in ((), (), ("--roster", "none"))]
        for each in again:
            del each["created_at"]
        return again

    monkeypatch.setattr(planning, "plan_if_unchanged", noted)
    at_once = plans()
    assert found == {*SETTLED}
    monkeypatch.setattr(planning, "plan_if_unchanged", lambda *_: None)
    assert at_once == plans()
    missing = next(each for each in at_once[0]["customers"] if each["id"] == "secret-missing")
    assert [each["code"] for each in missing["diagnostics"]] == ["secret-not-set"]
