"""Sorts the keys of a document in the order of the models: a model's own keys before inherited ones.

Names that people choose (of environments) and items of lists keep their order, which has a meaning. Unknown keys come
last, in their order.
"""

import inspect
import os
from collections.abc import Mapping as ReadOnly
from functools import cache
from typing import get_origin

from pydantic.fields import FieldInfo

from reconciler.config.formatting.nodes import SyntaxMapping, SyntaxNode, SyntaxScalar, SyntaxSequence
from reconciler.config.load.layout import COMMUNITIES, CUSTOMER_FILE, DEFAULTS_FILE, LESSONS, SETTINGS_FILE
from reconciler.config.models.community import Community
from reconciler.config.models.customer import Customer
from reconciler.config.models.lesson import Lesson
from reconciler.config.models.limits import Limits
from reconciler.config.models.settings import Ceilings, Settings
from reconciler.config.validation.model_keys import TAG_KEYS, ModelClass, find_models, get_tag

#: kind of document -> its model; defaults have a customer's keys, then community
MODEL_OF_KIND: dict[str, ModelClass] = {
    "customer": Customer,
    "community": Community,
    "lesson": Lesson,
    "defaults": Customer,
}
SETTINGS = "settings"
#: model made at run time -> the model whose order it has
_MADE_OF: dict[ModelClass, ModelClass] = {Ceilings: Limits}


def detect_document_kind(root: SyntaxMapping, file: str) -> str | None:
    """Return the kind of a document: as it declares, else by its place; None if neither tells."""
    if os.path.basename(file) == SETTINGS_FILE:
        return SETTINGS
    declared = root.get_entry("kind")
    if declared is not None and isinstance(declared.value, SyntaxScalar) and declared.value.value in MODEL_OF_KIND:
        return declared.value.value
    return detect_kind_by_path(file)


def detect_kind_by_path(file: str) -> str | None:
    """Return the kind of document that belongs at a path; None if none does."""
    folder, name = os.path.split(os.path.abspath(file))
    by_name = {CUSTOMER_FILE: "customer", DEFAULTS_FILE: "defaults", SETTINGS_FILE: SETTINGS}
    if name in by_name:
        return by_name[name]
    by_folder = {COMMUNITIES: "community", LESSONS: "lesson"}
    return by_folder.get(os.path.basename(folder)) if name.endswith(".yaml") else None


def sort_keys(root: SyntaxMapping, kind: str | None) -> None:
    """Sort the keys of a document, at every depth."""
    if kind == SETTINGS:
        _sort_node(root, (Settings,))
    elif kind is not None:
        _sort_node(root, (MODEL_OF_KIND[kind],), {"community": (Community,)} if kind == "defaults" else {})


@cache
def get_fields_by_key(model: ModelClass) -> ReadOnly[str, FieldInfo]:
    """Return the fields of a model by their YAML keys, in order: its own, then those of its base models."""
    model = _MADE_OF.get(model, model)
    names = dict.fromkeys(
        name for each in model.__mro__ for name in inspect.get_annotations(each) if name in model.model_fields
    )
    fields = {name: model.model_fields[name] for name in names} or dict(model.model_fields)
    return {field.alias or name: field for name, field in fields.items()}


def _sort_node(
    node: SyntaxNode, models: tuple[ModelClass, ...], more: ReadOnly[str, tuple[ModelClass, ...]] | None = None
) -> None:
    if isinstance(node, SyntaxSequence):
        for item in node.entries:
            _sort_node(item.value, models)
    elif isinstance(node, SyntaxMapping) and models:
        fields = collect_fields(node, models)
        extra = more or {}
        ranks = {key: rank for rank, key in enumerate((*fields, *extra))}
        node.entries.sort(key=lambda entry: ranks.get(entry.name, len(ranks)))
        for entry in node.entries:
            if entry.name in extra:
                _sort_node(entry.value, extra[entry.name])
            elif entry.name in fields:
                _sort_value(entry.value, fields[entry.name])


def _sort_value(node: SyntaxNode, field: FieldInfo) -> None:
    models = find_models(field.annotation)
    if get_origin(field.annotation) is not dict:
        _sort_node(node, models)
    elif isinstance(node, SyntaxMapping):
        for entry in node.entries:
            _sort_node(entry.value, models)


def collect_fields(node: SyntaxMapping, models: tuple[ModelClass, ...]) -> ReadOnly[str, FieldInfo]:
    """Return the fields of a mapping's model, by key, and then those of the other models it could be of.

    If the type is set in another file, the model with most of the keys is assumed.
    """
    scalars = {entry.name: entry.value.value for entry in node.entries if isinstance(entry.value, SyntaxScalar)}
    tag = next((scalars[each] for each in TAG_KEYS if each in scalars), None)
    written = [entry.name for entry in node.entries]

    def fits(model: ModelClass) -> tuple[bool, int]:
        return get_tag(model) == tag, sum(name in get_fields_by_key(model) for name in written)

    fields: dict[str, FieldInfo] = {}
    for model in sorted(models, key=fits, reverse=True):
        for key, field in get_fields_by_key(model).items():
            fields.setdefault(key, field)
    return fields
