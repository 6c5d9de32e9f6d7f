"""Customers beside a commit, compared without a store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.config.comparison import BaseComparison, build_document_index, compare_with_base
from reconciler.config.git import FileDifferences, GitRevision
from reconciler.model.plan import CATALOG
from tests.support.customers.checkout import begin, commit
from tests.support.customers.project import CUSTOMER

LESSON = "kind: lesson\nid: welcome\ntitle: {title}\nurl: https://lessons.example/welcome\n"


@pytest.fixture
def customers(tmp_path: Path) -> Path:
    """Two below a folder with defaults, one beside it, one shared lesson; all committed."""
    folder = tmp_path / "customers"
    write(tmp_path / "reconciler.yaml", "format: 1\nenvironments: {test: {store: 'sqlite:///store.db'}}\n")
    write(folder / "north" / "defaults.yaml", "kind: defaults\ntimezone: Europe/Berlin\n")
    for id_ in ("north/shelbyville", "north/springfield", "ogdenville"):
        write(folder / id_ / "customer.yaml", CUSTOMER.format(id=Path(id_).name, name="A district", more=""))
    write(folder / "lessons" / "welcome.yaml", LESSON.format(title="Welcome"))
    begin(tmp_path)
    commit(tmp_path, "all")
    return folder


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def seen(comparison: BaseComparison) -> dict[str, Any]:
    sides = {"before": comparison.base_repository, "now": comparison.current_repository}
    return {
        "differing": comparison.differing_ids,
        "inputs": comparison.inputs,
        "catalogs": {side: build_document_index(each.catalog) for side, each in sides.items()},
        "settings": {side: each.settings_or_default for side, each in sides.items()},
        "documents": {
            side: {name: build_document_index(resolved.documents) for name, resolved in each.customers.items()}
            for side, each in sides.items()
        },
    }


EDITS = {
    "a customer": (
        "customers/ogdenville/customer.yaml",
        CUSTOMER.format(id="ogdenville", name="Another name", more=""),
    ),
    "defaults": ("customers/north/defaults.yaml", "kind: defaults\ntimezone: America/Chicago\n"),
    "a shared lesson": ("customers/lessons/welcome.yaml", LESSON.format(title="Good morning")),
    "settings": (
        "reconciler.yaml",
        "format: 1\nenvironments: {test: {store: 'sqlite:///store.db'}}\npolicy: {limits: {users: {percent: 3}}}\n",
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_comparison_without_name_differences_equals_the_full_one(
    customers: Path, monkeypatch: pytest.MonkeyPatch, edit: str
) -> None:
    path, text = EDITS[edit]
    write(customers.parent / path, text)
    with GitRevision(customers, "main") as revision:
        assert not revision.find_differences().names_differ
    quick = seen(compare_with_base(customers, "main"))
    real = GitRevision.find_differences
    monkeypatch.setattr(GitRevision, "find_differences", lambda self: replace(real(self), names_differ=True))
    assert quick == seen(compare_with_base(customers, "main"))
    expected = {
        "a customer": {"ogdenville"},
        "defaults": {"shelbyville", "springfield"},
        "a shared lesson": {CATALOG},
        "settings": set(),
    }
    assert quick["differing"] == expected[edit]
    assert quick["documents"]["before"].keys() >= expected[edit] - {CATALOG}


def test_names_differ_after_files_are_added_removed_or_linked(customers: Path) -> None:
    def differing() -> FileDifferences:
        with GitRevision(customers, "main") as revision:
            return revision.find_differences()

    assert differing() == FileDifferences(frozenset(), names_differ=False)
    mine = customers / "ogdenville" / "customer.yaml"
    text = mine.read_text(encoding="utf-8")
    mine.unlink()
    assert differing() == FileDifferences(frozenset({"ogdenville/customer.yaml"}), names_differ=True)
    mine.symlink_to(customers / "north" / "springfield" / "customer.yaml")
    assert differing() == FileDifferences(frozenset({"ogdenville/customer.yaml"}), names_differ=True)
    mine.unlink()
    mine.write_text(text, encoding="utf-8")
    write(customers / "ogdenville" / "communities" / "north.yaml", "kind: community\n")
    # A file that was written again may count as well: git is not asked to look into it.
    assert "ogdenville/communities/north.yaml" in differing().paths
    assert differing().names_differ
