"""Makes models of which every key is optional, for `defaults.yaml` and the ceilings of the policy.

Rules between fields apply only to the whole document. A choice between types (of sync, of rostering) accepts the keys
of all of them, since another file may set the type.
"""

from collections.abc import Iterable
from functools import cache, reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, create_model
from pydantic.fields import FieldInfo

from reconciler.config.fields.values import OneOf
from reconciler.config.models.declaration import Declaration
from reconciler.config.models.secret import SecretReference, SharedSecret

#: models that are inherited as a whole or not at all
INDIVISIBLE_MODELS = (SecretReference, SharedSecret)


class PartialModel(Declaration):
    """The base of models made at run time, which have no source with docstrings of their keys."""

    model_config = ConfigDict(use_attribute_docstrings=False)


@cache
def make_partial_model(
    *models: type[BaseModel], name: str | None = None, exclude: tuple[str, ...] = ()
) -> type[Declaration]:
    """Return a model with every key of `models`, each of them optional, at every depth."""
    fields: dict[str, Any] = {}
    types = tuple(_get_type(model) for model in models if "type" in model.model_fields)
    for model in models:
        for key, field in model.model_fields.items():
            if key not in exclude:
                fields[key] = (
                    _make_optional_annotation(field, types if key == "type" else ()),
                    _make_optional_field(field),
                )
    title = name or "Partial" + "".join(model.__name__ for model in models)
    return create_model(title, __base__=PartialModel, __doc__=models[0].__doc__, **fields)


def _get_type(model: type[BaseModel]) -> str:
    return str(get_args(model.model_fields["type"].annotation)[0])


def _make_optional_field(field: FieldInfo) -> Any:
    return FieldInfo(default=None, alias=field.alias, description=field.description)


def _make_optional_annotation(field: FieldInfo, types: tuple[str, ...]) -> Any:
    if types:
        return Annotated[Literal[types], OneOf()] | None
    annotation = field.annotation
    members = [each for each in _list_union_members(annotation) if each is not type(None)]
    models = [each for each in members if isinstance(each, type) and issubclass(each, BaseModel)]
    if models and len(models) == len(members) and not set(models) & set(INDIVISIBLE_MODELS):
        return make_partial_model(*models) | None
    return Annotated[annotation, *field.metadata] | None if field.metadata else reduce(or_, [annotation, None])


def _list_union_members(annotation: Any) -> Iterable[Any]:
    if get_origin(annotation) in (Union, UnionType):
        return get_args(annotation)
    return (annotation,)
