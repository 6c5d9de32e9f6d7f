from __future__ import annotations

from typing import Any

from reconciler.model.change import Create, Delete, FieldChange, Restore, Update
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason
from reconciler.planning.documents.document_diff import (
    AppliedDocument,
    WantedDocument,
    compare_documents,
    diff_fields,
)

SPAN = Span("customers/d/customer.yaml", 1, 1)


def wanted(document: dict[str, Any], kind: Kind = Kind.CUSTOMER, **origins: Span) -> dict[tuple[Kind, str], Any]:
    paths = {path.replace("__", "."): span for path, span in origins.items()}
    return {(kind, "d"): WantedDocument(kind, "d", "D", document, paths, SPAN)}


def applied(
    document: dict[str, Any], kind: Kind = Kind.CUSTOMER, *, tombstoned: bool = False, drifted: bool = False
) -> dict[tuple[Kind, str], Any]:
    return {(kind, "d"): AppliedDocument(kind, "d", "D", document, None, tombstoned, drifted, {"people": 7})}


def test_the_same_documents_change_nothing() -> None:
    assert compare_documents(wanted({"name": "D"}), applied({"name": "D"})) == ()


def test_a_new_document_is_created_where_its_file_stands() -> None:
    (change,) = compare_documents(wanted({"name": "D"}), {})
    assert isinstance(change, Create)
    assert change.origin == SPAN


def test_changed_value_is_an_update_with_its_line() -> None:
    place = Span("customers/defaults.yaml", 9, 3)
    (change,) = compare_documents(
        wanted({"limits": {"users": {"percent": 60}}}, limits__users__percent=place),
        applied({"limits": {"users": {"percent": 10}}}),
    )
    assert isinstance(change, Update)
    assert change.origin == place
    assert change.fields == (FieldChange("limits.users.percent", 10, 60),)


def test_a_document_changed_by_hand_is_drift() -> None:
    (change,) = compare_documents(wanted({"name": "D"}), applied({"name": "E"}, drifted=True))
    assert (change.reason, change.cause) == (Reason.DRIFT, "drift")


def test_document_removed_from_git_is_deleted_with_its_dependents() -> None:
    (change,) = compare_documents({}, applied({"name": "D"}))
    assert isinstance(change, Delete)
    assert change.reason is Reason.REMOVED_FROM_GIT
    assert change.impact == {"people": 7}


def test_already_deleted_document_is_not_deleted_again() -> None:
    assert compare_documents({}, applied({"name": "D"}, tombstoned=True)) == ()


def test_returning_document_is_restored_with_later_changes() -> None:
    (change,) = compare_documents(wanted({"name": "E"}), applied({"name": "D"}, tombstoned=True))
    assert isinstance(change, Restore)
    assert change.fields == (FieldChange("name", "D", "E"),)


def test_a_secret_that_changed_is_named_and_never_shown() -> None:
    document = {"lti": {"shared_secret": {"secret": "canvas"}}}
    (change,) = compare_documents(wanted(document), applied(document), {"lti.shared_secret": "(changed)"})
    assert change.fields == (FieldChange("lti.shared_secret", "(as applied)", "(changed)"),)


def test_a_list_counts_as_one_value() -> None:
    assert diff_fields({"street": ["a", "b"]}, {"street": ["a", "c", "d"]}) == (
        FieldChange("street", ["a", "b"], ["a", "c", "d"]),
    )


def test_keys_that_come_and_go_are_shown_against_nothing() -> None:
    found = diff_fields({"a": 1, "administrators": {"ann": {"email": "a@x"}}}, {"b": {"c": 2}, "administrators": {}})
    assert found == (
        FieldChange("a", 1, None),
        FieldChange("administrators.ann", {"email": "a@x"}, None, personal=True),
        FieldChange("b", None, {"c": 2}),
    )


def test_a_value_of_another_type_is_one_change() -> None:
    assert diff_fields({"a": {"b": 1}}, {"a": "x"}) == (FieldChange("a", {"b": 1}, "x"),)


def test_people_sharing_nothing_come_and_go_one_by_one() -> None:
    before = {"administrators": {"ann": {"email": "a@x", "role": "admin"}}}
    after = {"administrators": {"b.o": {"email": "b@x", "role": "author"}}}
    assert diff_fields(before, after) == (
        FieldChange("administrators.ann", {"email": "a@x", "role": "admin"}, None, personal=True),
        FieldChange("administrators.b.o", None, {"email": "b@x", "role": "author"}, personal=True),
    )
