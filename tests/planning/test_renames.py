from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.cause import ChangeCause
from reconciler.model.change import Create, Delete, FieldChange, Restore, Update
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan, Outcome, PlanPrecondition
from reconciler.model.reason import Reason
from reconciler.planning.attribution import add_causes
from reconciler.planning.customer_plan import PlannedDocuments, build_customer_plan
from reconciler.planning.documents.document_diff import (
    AppliedDocument,
    WantedDocument,
    compare_documents,
    find_document_renames,
    map_to_new_ids,
)
from reconciler.planning.documents.renames import StoredDocument, find_renames, order_by_freed_ids
from reconciler.planning.plan_id import list_effects
from tests.support.rosters.snapshots import HOLD_KEY

SEEN = PlanPrecondition((1, 0), "a", "b")
LIVE, GONE = StoredDocument(), StoredDocument(tombstoned=True)
Documents = dict[tuple[Kind, str], Any]


def document(key: str, *previously: str, **more: object) -> dict[str, object]:
    return {"id": key, "name": key.title(), "previously": list(previously), **more}


def wanted(*documents: dict[str, Any], kind: Kind = Kind.COMMUNITY) -> Documents:
    return {
        (kind, each["id"]): WantedDocument(
            kind, each["id"], each["name"], each, {"id": Span("a.yaml", 2, 5)}, Span("a.yaml", 1, 1)
        )
        for each in documents
    }


def applied(*documents: dict[str, Any], kind: Kind = Kind.COMMUNITY, gone: bool = False) -> Documents:
    return {
        (kind, each["id"]): AppliedDocument(kind, each["id"], each["name"], each, None, gone, False, {"people": 3})
        for each in documents
    }


def compared(files: Documents, store: Documents, kind: Kind = Kind.COMMUNITY) -> tuple[Any, ...]:
    found = find_document_renames(files, store, kind).former
    return compare_documents(files, map_to_new_ids(store, {(kind, new): (kind, old) for new, old in found.items()}))


def test_document_stored_under_its_former_id_is_renamed() -> None:
    (change,) = compared(wanted(document("north", "high", seats=2)), applied(document("high", seats=1)))
    assert isinstance(change, Update)
    assert (change.reason, change.key, change.former_key) == (Reason.RENAMED, "north", "high")
    assert change.origin == Span("a.yaml", 2, 5), "the line of the id"
    assert change.fields == (
        FieldChange("id", "high", "north"),
        FieldChange("name", "High", "North"),
        FieldChange("seats", 1, 2),
    ), "what previously says of it is told by the id"


def test_other_former_ids_in_a_rename_are_reported() -> None:
    (change,) = compared(wanted(document("north", "high", "older")), applied(document("high")))
    assert FieldChange("previously", [], ["high", "older"]) in change.fields


def test_what_is_renamed_already_stays_as_it_is() -> None:
    done = document("north", "high")
    assert compared(wanted(done), applied(done)) == ()
    assert compared(wanted(done), applied(done) | applied(document("high"), gone=True)) == ()


def test_without_previously_it_is_another_document() -> None:
    deleted, created = compared(wanted(document("north")), applied(document("high")))
    assert (type(deleted), type(created)) == (Delete, Create)


@pytest.mark.parametrize(
    ("stored", "former"),
    [
        ({"b": LIVE, "c": LIVE}, "b"),
        ({"c": LIVE}, "c"),
        ({"b": GONE, "c": LIVE}, "c"),
        ({"b": GONE, "c": GONE}, "b"),
        ({"z": LIVE}, None),
        ({"a": LIVE, "b": LIVE}, None),
    ],
)
def test_first_live_id_of_several_former_ids_counts(stored: dict[str, StoredDocument], former: str | None) -> None:
    assert find_renames({"a": ["b", "c"]}, stored).former.get("a") == former


def test_document_removed_under_its_former_id_returns_renamed() -> None:
    (change,) = compared(wanted(document("north", "high")), applied(document("high"), gone=True))
    assert isinstance(change, Restore)
    assert (change.reason, change.former_key) == (Reason.RETURNED, "high")
    assert change.fields[0] == FieldChange("id", "high", "north")


def test_ids_are_passed_on_and_that_once() -> None:
    files = {"b": ["a"], "c": ["b"]}
    assert find_renames(files, {"a": LIVE, "b": LIVE}).former == {"b": "a", "c": "b"}
    assert find_renames(files, {"b": StoredDocument(["a"]), "c": StoredDocument(["b"])}).former == {}
    # where that b was an a before, nobody was ever called b who is called c now
    assert find_renames(files, {"b": StoredDocument(["a"])}).former == {}


def test_ids_go_round_and_that_once() -> None:
    files = {"a": ["b"], "b": ["a"]}
    assert find_renames(files, {"a": LIVE, "b": LIVE}).former == {"a": "b", "b": "a"}
    assert find_renames(files, {"a": StoredDocument(["b"]), "b": StoredDocument(["a"])}).former == {}


def test_former_id_present_and_not_renamed_stays_unchanged() -> None:
    assert find_renames({"a": ["b"], "b": []}, {"b": LIVE}).former == {}
    assert find_renames({"a": ["b"]}, {"b": LIVE}, other_ids={"b"}).former == {}


def test_two_claimants_of_one_former_id_cannot_both_win() -> None:
    assert find_renames({"b": ["a"], "c": ["a"]}, {"a": LIVE}).former == {"b": "a"}


def test_id_still_held_by_something_removed_is_not_reused() -> None:
    found = find_renames({"a": ["b"]}, {"a": GONE, "b": LIVE})
    assert (found.former, found.conflicts_with_removed) == ({}, {"a": "b"})


def test_live_former_document_beside_a_live_one_is_reported() -> None:
    assert find_renames({"a": ["b"]}, {"a": LIVE, "b": LIVE}).conflicts_with_live == {"a": "b"}
    assert find_renames({"a": ["b"]}, {"a": LIVE, "b": GONE}).conflicts_with_live == {}
    assert find_renames({"a": ["b"]}, {"a": StoredDocument(["b"]), "b": LIVE}).conflicts_with_live == {}


def test_id_is_given_up_before_it_is_taken() -> None:
    assert order_by_freed_ids(["b", "c", "d", "x"], {"b": "a", "c": "b", "d": "c"}) == ["d", "c", "b", "x"]
    assert order_by_freed_ids(["b", "x"], {"b": "a", "c": "b"}) == ["b", "x"], "c is not in this plan"
    assert sorted(order_by_freed_ids(["a", "b"], {"a": "b", "b": "a"})) == ["a", "b"]


def plan(files: Documents, store: Documents) -> CustomerPlan:
    return build_customer_plan(
        "d",
        "D",
        PlannedDocuments(
            SEEN,
            compared(files, store),
            settings={"communities": {name: each.document for (_, name), each in files.items()}},
        ),
        hold_key=HOLD_KEY,
    )


def test_a_renamed_community_is_never_held_as_removed() -> None:
    renamed = plan(wanted(document("north", "high")), applied(document("high")))
    assert (renamed.outcome, renamed.hold) == (Outcome.CHANGES, None)
    removed = plan(wanted(document("north")), applied(document("high")))
    assert removed.hold is not None


def test_which_one_is_renamed_is_part_of_the_effect() -> None:
    def effects(former: str) -> set[str]:
        changed = plan(wanted(document("north", "high", "low")), applied(document(former) | {"name": "One"}))
        return set(list_effects(changed)["effect"])

    assert len(effects("high")) == 3
    assert len(effects("high") - effects("low")) == 1


def causes(base: Documents, files: Documents, store: Documents) -> dict[str, ChangeCause | None]:
    def plain(documents: Documents) -> dict[tuple[Kind, str], Any]:
        return {key: each.document for key, each in documents.items()}

    in_base = find_document_renames(files, base, Kind.COMMUNITY).former
    before = map_to_new_ids(plain(base), {(Kind.COMMUNITY, new): (Kind.COMMUNITY, old) for new, old in in_base.items()})
    (change,) = add_causes(compared(files, store), before, plain(files))
    return {field.path: field.cause for field in change.fields} | {"": change.cause}


def test_pull_request_rename_is_one_change_of_its_own() -> None:
    old, new = document("high", name="High"), document("north", "high", name="High")
    assert causes(applied(old), wanted(new), applied(old)) == {"id": ChangeCause.PR, "": ChangeCause.PR}
    more = document("north", "high", name="Higher")
    merged = causes(applied(new), wanted(more), applied(old))
    assert merged == {"id": ChangeCause.PENDING, "name": ChangeCause.PR, "": ChangeCause.PR}


def test_return_or_creation_under_another_id_is_the_pull_requests_doing() -> None:
    old, new = document("high", name="High"), document("north", "high", name="High")
    assert causes(applied(old), wanted(new), applied(old, gone=True))[""] is ChangeCause.PR
    assert causes(applied(old), wanted(new), {})[""] is ChangeCause.PR


@pytest.mark.parametrize(
    ("files", "stored", "found"),
    [
        ({"a": ["b"]}, {"a": LIVE, "b": GONE}, {"a": "b"}),
        ({"a": ["c", "b"]}, {"a": LIVE, "b": GONE}, {"a": "b"}),
        ({"a": ["b"]}, {"a": StoredDocument(["b"]), "b": GONE}, {}),
        ({"a": ["b"]}, {"a": GONE, "b": GONE}, {}),
        ({"a": ["b"], "b": []}, {"a": LIVE, "b": GONE}, {}),
        ({"a": ["b", "c"]}, {"a": LIVE, "b": GONE, "c": LIVE}, {"a": "b"}),
    ],
)
def test_195_removed_former_document_beside_a_live_one_is_reported(
    files: dict[str, list[str]], stored: dict[str, StoredDocument], found: dict[str, str]
) -> None:
    assert find_renames(files, stored).removed_beside_live == found
