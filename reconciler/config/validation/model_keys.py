"""Finds the keys and descriptions that a model has at a path, for messages about a document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

#: the steps from a document down to a value: a key of a mapping, or a position in a list, from 0
KeyPath: TypeAlias = tuple[str | int, ...]

ModelClass: TypeAlias = type[BaseModel]

#: the keys by which one model is chosen among several
TAG_KEYS = ("type", "backend")


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The models that are possible at a path of a document."""

    #: one, or several if a tag chooses among them
    models: tuple[ModelClass, ...]
    #: other tag -> the model it would choose
    siblings: Mapping[str, ModelClass]
    #: the tag that chose the model; None without a choice
    tag: str | None = None

    def get_fields(self) -> Mapping[str, FieldInfo]:
        return {field.alias or key: field for model in self.models for key, field in model.model_fields.items()}


def find_shape(model: ModelClass, path: Sequence[str | int]) -> ModelShape:
    """Return the shape at a path of pydantic's: keys, positions in lists, and tags of unions."""
    shape = ModelShape((model,), {})
    for part in path:
        by_tag = {get_tag(each): each for each in shape.models}
        if len(shape.models) > 1 and isinstance(part, str) and part in by_tag:
            others = {tag: each for tag, each in by_tag.items() if tag != part}
            shape = ModelShape((by_tag[part],), others, part)
            continue
        if isinstance(part, int):
            continue
        field = shape.get_fields().get(part)
        if field is None:
            continue
        shape = ModelShape(find_models(field.annotation), {})
    return shape


def find_field(model: ModelClass, path: Sequence[str | int]) -> FieldInfo | None:
    """Return the field at the last key of a path, or None if no model has it."""
    keys = [place for place, part in enumerate(path) if isinstance(part, str)]
    if not keys:
        return None
    return find_shape(model, path[: keys[-1]]).get_fields().get(str(path[keys[-1]]))


def get_tag(model: ModelClass) -> str:
    """Return the tag that chooses this model among others: the only choice of its `type` or `backend`."""
    for key in TAG_KEYS:
        if key in model.model_fields:
            return str(get_args(model.model_fields[key].annotation)[0])
    return model.__name__


def find_models(annotation: Any) -> tuple[ModelClass, ...]:
    """Return every model in an annotation, inside optionals, lists, mappings and unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    origin = get_origin(annotation)
    if origin is Annotated:
        return find_models(get_args(annotation)[0])
    if origin in (Union, UnionType, tuple, list, dict):
        return tuple(model for each in get_args(annotation) for model in find_models(each))
    return ()
