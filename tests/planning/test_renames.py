from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.cause import Cause
from reconciler.model.change import Create, Delete, FieldChange, Restore, Update
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan, Outcome, Seen
from reconciler.model.reason import Reason
from reconciler.planning.attribution import with_causes
from reconciler.planning.customer_plan import customer_plan
from reconciler.planning.documents.document_diff import (
    AppliedDocument,
    WantedDocument,
    compare_documents,
    renamed_documents,
    under_new_ids,
)
from reconciler.planning.documents.renames import Stored, freeing_first, renames
from reconciler.planning.plan_id import effects_of

SEEN = Seen((1, 0), "a", "b")
LIVE, GONE = Stored(), Stored(tombstoned=True)
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
    found = renamed_documents(files, store, kind).former
    return compare_documents(files, under_new_ids(store, {(kind, new): (kind, old) for new, old in found.items()}))


def test_a_document_that_the_store_has_under_its_former_id_is_renamed() -> None:
    (change,) = compared(wanted(document("north", "high", seats=2)), applied(document("high", seats=1)))
    assert isinstance(change, Update)
    assert (change.reason, change.key, change.former_key) == (Reason.RENAMED, "north", "high")
    assert change.origin == Span("a.yaml", 2, 5), "the line of the id"
    assert change.fields == (
        FieldChange("id", "high", "north"),
        FieldChange("name", "High", "North"),
        FieldChange("seats", 1, 2),
    ), "what previously says of it is told by the id"


def test_other_former_ids_that_come_with_a_rename_are_told() -> None:
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
def test_of_several_former_ids_the_first_that_is_live_counts(stored: dict[str, Stored], former: str | None) -> None:
    assert renames({"a": ["b", "c"]}, stored).former.get("a") == former


def test_what_was_removed_under_its_former_id_comes_back_under_the_new_one() -> None:
    (change,) = compared(wanted(document("north", "high")), applied(document("high"), gone=True))
    assert isinstance(change, Restore)
    assert (change.reason, change.former_key) == (Reason.RETURNED, "high")
    assert change.fields[0] == FieldChange("id", "high", "north")


def test_ids_are_passed_on_and_that_once() -> None:
    files = {"b": ["a"], "c": ["b"]}
    assert renames(files, {"a": LIVE, "b": LIVE}).former == {"b": "a", "c": "b"}
    assert renames(files, {"b": Stored(["a"]), "c": Stored(["b"])}).former == {}
    # where that b was an a before, nobody was ever called b who is called c now
    assert renames(files, {"b": Stored(["a"])}).former == {}


def test_ids_go_round_and_that_once() -> None:
    files = {"a": ["b"], "b": ["a"]}
    assert renames(files, {"a": LIVE, "b": LIVE}).former == {"a": "b", "b": "a"}
    assert renames(files, {"a": Stored(["b"]), "b": Stored(["a"])}).former == {}


def test_a_former_id_that_is_there_and_not_renamed_stays_what_it_is() -> None:
    assert renames({"a": ["b"], "b": []}, {"b": LIVE}).former == {}
    assert renames({"a": ["b"]}, {"b": LIVE}, others={"b"}).former == {}


def test_two_who_claim_one_former_id_do_not_both_get_it() -> None:
    assert renames({"b": ["a"], "c": ["a"]}, {"a": LIVE}).former == {"b": "a"}


def test_an_id_that_something_removed_has_still_is_not_given_away() -> None:
    found = renames({"a": ["b"]}, {"a": GONE, "b": LIVE})
    assert (found.former, found.barred) == ({}, {"a": "b"})


def test_a_live_former_one_beside_a_live_one_is_told() -> None:
    assert renames({"a": ["b"]}, {"a": LIVE, "b": LIVE}).passed_over == {"a": "b"}
    assert renames({"a": ["b"]}, {"a": LIVE, "b": GONE}).passed_over == {}
    assert renames({"a": ["b"]}, {"a": Stored(["b"]), "b": LIVE}).passed_over == {}


def test_who_gives_up_an_id_goes_before_who_takes_it() -> None:
    assert freeing_first(["b", "c", "d", "x"], {"b": "a", "c": "b", "d": "c"}) == ["d", "c", "b", "x"]
    assert freeing_first(["b", "x"], {"b": "a", "c": "b"}) == ["b", "x"], "c is not in this plan"
    assert sorted(freeing_first(["a", "b"], {"a": "b", "b": "a"})) == ["a", "b"]


def plan(files: Documents, store: Documents) -> CustomerPlan:
    return customer_plan(
        "d",
        "D",
        seen=SEEN,
        declared=compared(files, store),
        unchanged_documents={},
        settings={"communities": {name: each.document for (_, name), each in files.items()}},
    )


def test_a_renamed_community_is_never_held_as_removed() -> None:
    renamed = plan(wanted(document("north", "high")), applied(document("high")))
    assert (renamed.outcome, renamed.hold) == (Outcome.CHANGES, None)
    removed = plan(wanted(document("north")), applied(document("high")))
    assert removed.hold is not None


def test_which_one_is_renamed_is_part_of_the_effect() -> None:
    def effects(former: str) -> set[str]:
        changed = plan(wanted(document("north", "high", "low")), applied(document(former) | {"name": "One"}))
        return set(effects_of(changed)["effect"])

    assert len(effects("high")) == 3
    assert len(effects("high") - effects("low")) == 1


def causes(base: Documents, files: Documents, store: Documents) -> dict[str, Cause | None]:
    def plain(documents: Documents) -> dict[tuple[Kind, str], Any]:
        return {key: each.document for key, each in documents.items()}

    in_base = renamed_documents(files, base, Kind.COMMUNITY).former
    before = under_new_ids(plain(base), {(Kind.COMMUNITY, new): (Kind.COMMUNITY, old) for new, old in in_base.items()})
    (change,) = with_causes(compared(files, store), before, plain(files))
    return {field.path: field.cause for field in change.fields} | {"": change.cause}


def test_a_rename_of_a_pull_request_is_one_change_of_its_own() -> None:
    old, new = document("high", name="High"), document("north", "high", name="High")
    assert causes(applied(old), wanted(new), applied(old)) == {"id": Cause.PR, "": Cause.PR}
    more = document("north", "high", name="Higher")
    merged = causes(applied(new), wanted(more), applied(old))
    assert merged == {"id": Cause.PENDING, "name": Cause.PR, "": Cause.PR}


def test_what_comes_back_or_comes_anew_under_another_id_is_the_pull_request_s_doing() -> None:
    old, new = document("high", name="High"), document("north", "high", name="High")
    assert causes(applied(old), wanted(new), applied(old, gone=True))[""] is Cause.PR
    assert causes(applied(old), wanted(new), {})[""] is Cause.PR
