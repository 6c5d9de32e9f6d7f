"""The order of keys: that in which the models say them, a model's own before those that it shares with others.

Names that people choose (of environments) and items of lists keep their order, which means something; keys that
mean nothing here come last, in theirs.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping as ReadOnly
from functools import cache
from typing import get_origin

from pydantic.fields import FieldInfo

from reconciler.config.formatting.nodes import Mapping, Node, Scalar, Sequence
from reconciler.config.load.layout import COMMUNITIES, CUSTOMER_FILE, DEFAULTS_FILE, LESSONS, SETTINGS_FILE
from reconciler.config.models.community import Community
from reconciler.config.models.customer import Customer
from reconciler.config.models.lesson import Lesson
from reconciler.config.models.limits import Limits
from reconciler.config.models.settings import Ceilings, Settings
from reconciler.config.yaml.model_keys import Model, models_in, tag_of

#: kind of document -> its model. defaults take a customer's keys, and then community
MODELS: dict[str, Model] = {"customer": Customer, "community": Community, "lesson": Lesson, "defaults": Customer}
SETTINGS = "settings"
_TAGS = ("type", "backend")
#: made at run time from another model, whose order is the one to keep
_MADE_OF: dict[Model, Model] = {Ceilings: Limits}


def kind_of(root: Mapping, file: str) -> str | None:
    """What a document describes: as it says, else by its place. None where neither tells."""
    if os.path.basename(file) == SETTINGS_FILE:
        return SETTINGS
    said = root.get("kind")
    if said is not None and isinstance(said.value, Scalar) and said.value.value in MODELS:
        return said.value.value
    return place_of(file)


def place_of(file: str) -> str | None:
    """The kind of document that belongs where a file stands; None where none does."""
    folder, name = os.path.split(os.path.abspath(file))
    by_name = {CUSTOMER_FILE: "customer", DEFAULTS_FILE: "defaults", SETTINGS_FILE: SETTINGS}
    if name in by_name:
        return by_name[name]
    by_folder = {COMMUNITIES: "community", LESSONS: "lesson"}
    return by_folder.get(os.path.basename(folder)) if name.endswith(".yaml") else None


def arrange(root: Mapping, kind: str | None) -> None:
    """Puts the keys of a document in order, at every depth."""
    if kind == SETTINGS:
        _arrange(root, (Settings,))
    elif kind is not None:
        _arrange(root, (MODELS[kind],), {"community": (Community,)} if kind == "defaults" else {})


@cache
def keys_of(model: Model) -> ReadOnly[str, FieldInfo]:
    """The fields of a model by the keys that people write, in order: its own, then those of the models it extends."""
    model = _MADE_OF.get(model, model)
    names = dict.fromkeys(
        name for each in model.__mro__ for name in inspect.get_annotations(each) if name in model.model_fields
    )
    fields = {name: model.model_fields[name] for name in names} or dict(model.model_fields)
    return {field.alias or name: field for name, field in fields.items()}


def _arrange(node: Node, models: tuple[Model, ...], more: ReadOnly[str, tuple[Model, ...]] | None = None) -> None:
    if isinstance(node, Sequence):
        for item in node.entries:
            _arrange(item.value, models)
    elif isinstance(node, Mapping) and models:
        fields = fields_for(node, models)
        extra = more or {}
        ranks = {key: rank for rank, key in enumerate((*fields, *extra))}
        node.entries.sort(key=lambda entry: ranks.get(entry.name, len(ranks)))
        for entry in node.entries:
            if entry.name in extra:
                _arrange(entry.value, extra[entry.name])
            elif entry.name in fields:
                _arrange_value(entry.value, fields[entry.name])


def _arrange_value(node: Node, field: FieldInfo) -> None:
    models = models_in(field.annotation)
    if get_origin(field.annotation) is not dict:
        _arrange(node, models)
    elif isinstance(node, Mapping):
        for entry in node.entries:
            _arrange(entry.value, models)


def fields_for(node: Mapping, models: tuple[Model, ...]) -> ReadOnly[str, FieldInfo]:
    """The fields of the model that a mapping is of, by key, and then those of the others that it could be of: where
    its type is said elsewhere, it is taken to be of the model of which it has most keys."""
    said = {entry.name: entry.value.value for entry in node.entries if isinstance(entry.value, Scalar)}
    tag = next((said[each] for each in _TAGS if each in said), None)
    written = [entry.name for entry in node.entries]

    def fits(model: Model) -> tuple[bool, int]:
        return tag_of(model) == tag, sum(name in keys_of(model) for name in written)

    fields: dict[str, FieldInfo] = {}
    for model in sorted(models, key=fits, reverse=True):
        for key, field in keys_of(model).items():
            fields.setdefault(key, field)
    return fields
