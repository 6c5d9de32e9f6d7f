"""Documents that the store has exactly as the files are not read from it: nothing that differs is lost by that."""

from __future__ import annotations

import pytest

from project import Project, changes, keys
from reconciler.store.reader import Reader

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
    declared = Reader.declared

    def noted(reader: Reader, slug: str | None) -> object:
        asked.append(slug)
        return declared(reader, slug)

    monkeypatch.setattr(Reader, "declared", noted)
    plan = district.plan()

    assert plan.code == 0
    assert plan.json["customers"][0]["counts"]["community"]["unchanged"] == 2
    assert asked == [None], "only the catalogue's"


def test_a_community_whose_removal_waits_is_shown_again_although_the_rest_is_settled(district: Project) -> None:
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
