"""Whatever is written, it is read or told of: nothing breaks, and nothing that was written is repeated."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from reconciler.config.load.document import merge_inherited, remove_nulls
from reconciler.config.models.community import Community
from reconciler.config.models.customer import Customer
from reconciler.config.models.declaration import ValidationContext
from reconciler.config.models.defaults import Defaults
from reconciler.config.models.settings import Settings
from reconciler.config.validation.model_keys import find_shape
from reconciler.config.validation.pydantic_errors import translate_validation_errors
from reconciler.config.yaml.reader import read_yaml
from reconciler.config.yaml.tree import MappingNode

YAML_LIKE = st.text(alphabet="ab:-[]{}\"'#&*!|>%@`?,~ \n\t01é\ufeff\x00\x85", max_size=60)
KEYS = sorted(
    {key for model in (Customer, Community, Settings) for key in dict(find_shape(model, ()).get_fields())}
    | set(find_shape(Customer, ("rostering",)).get_fields())
    | set(find_shape(Customer, ("rostering", "oneroster", "sync")).get_fields())
    | set(find_shape(Customer, ("lti", "platforms")).get_fields())
    | {"platforms", "nmae", "secret"}
)
SECRET = "hunter2"
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([SECRET, None, "oneroster", "manual", "zip", "sftp", "api", "customer", "2026-08-01", "1", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=30,
)
DOCUMENTS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=10)
#: keys whose values may be said where they are wrong; all others may hold what was never meant to be seen
SAID = {
    "match_with",
    "type",
    "status",
    "missing",
    "version",
    "role",
    "kind",
    "frequency",
    "period",
    "format",
    "mode",
    "port",
    "retention",
    "login_timeout",
    "lessons",
}


def tree_of(document: object) -> MappingNode:
    tree, found = read_yaml(json.dumps(document).encode(), "f.yaml")
    assert found == ()
    assert tree is not None
    return tree


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_told_of(data: bytes) -> None:
    tree, found = read_yaml(data, "f.yaml")
    assert (tree is not None) or found
    assert all(each.span is not None and each.span.file == "f.yaml" for each in found)


@given(YAML_LIKE)
@settings(max_examples=300)
def test_any_text_is_read_or_told_of(text: str) -> None:
    tree, found = read_yaml(text.encode(), "f.yaml")
    assert (tree is not None) or found


@given(DOCUMENTS, st.sampled_from([Customer, Community, Settings, Defaults]))
@settings(max_examples=300, deadline=None)
def test_any_document_is_valid_or_reported_at_a_place(document: dict[str, Any], model: type[BaseModel]) -> None:
    tree = remove_nulls(tree_of(document))
    assert isinstance(tree, MappingNode)
    try:
        model.model_validate(tree, context=ValidationContext())
    except ValidationError as problem:
        found = list(translate_validation_errors(problem, tree, model, ValidationContext()))
        assert found
        for each in found:
            assert each.span is not None
            assert each.span.line == 1
            if SECRET in str(each):
                assert any(key in each.message for key in SAID), str(each)


@given(DOCUMENTS, DOCUMENTS)
@settings(max_examples=100, deadline=None)
def test_inheriting_changes_neither_side_and_leaves_no_null(own: dict[str, Any], above: dict[str, Any]) -> None:
    ours, theirs = tree_of(own), tree_of(above)
    merged = remove_nulls(merge_inherited(ours, theirs))
    assert (ours, theirs) == (tree_of(own), tree_of(above))
    assert isinstance(merged, MappingNode)
    assert set(merged) <= set(merged.places)
    assert None not in merged.values()
    assert {key for key, value in own.items() if value is not None} <= set(merged)
