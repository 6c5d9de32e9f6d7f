"""Checks the rules of a document of which some parts are invalid.

A mistake in one key must not hide mistakes in others. So, if a document does not validate, every rule of every mapping
in it is called with a `PartialDocument` in place of the model: it has the values that are valid by themselves, and
raises `UnknownValue` for the others.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, get_origin

from pydantic import ValidationError, create_model
from pydantic.fields import FieldInfo

from reconciler.config.models import declaration
from reconciler.config.models.partial import PartialModel
from reconciler.config.validation.model_keys import TAG_KEYS, KeyPath, ModelClass, find_models, get_tag
from reconciler.config.validation.synonyms import KEY_SYNONYMS
from reconciler.config.yaml.tree import MappingNode, Node, SequenceNode
from reconciler.model.suggestion import find_intended_name


def find_rule_violations(
    model: ModelClass, tree: MappingNode, context: declaration.ValidationContext
) -> Iterator[tuple[KeyPath, declaration.RuleViolation]]:
    """Yield every broken rule of a document, with the path of the mapping that breaks it."""
    yield from _find_violations(model, tree, (), context)


def read_single_key(model: ModelClass, tree: MappingNode, key: str, context: declaration.ValidationContext) -> Any:
    """Return the value of one key of a document that does not validate, or its default. Raises UnknownValue."""
    return getattr(PartialDocument(model, tree, context), key)


def find_misspelled_key(names: Collection[str], node: MappingNode, key: str) -> str | None:
    """Return a key of the mapping that is not in `names` and probably means `key`, or None."""
    unknown_keys = (written for written in node if written not in names)
    return next((each for each in unknown_keys if find_intended_name(each, names, KEY_SYNONYMS) == key), None)


class PartialDocument:
    """Takes the place of a model in its rules: `self.period`, `self.has_value("period")`."""

    def __init__(self, model: ModelClass, node: MappingNode, context: declaration.ValidationContext) -> None:
        self._model = model
        self._node = node
        self._known = context

    def __getattr__(self, name: str) -> Any:
        field = self._model.model_fields.get(name)
        if field is None:
            raise AttributeError(name)
        key = field.alias or name
        if key not in self._node:
            self._refuse_doubtful(key)
            if field.is_required():
                raise declaration.UnknownValue(key)
            return field.get_default(call_default_factory=True)
        value = self._node[key]
        try:
            return getattr(
                make_single_field_model(self._model, name).model_validate({key: value}, context=self._known), name
            )
        except ValidationError:
            return self._build_partial_value(field, value)

    def has_value(self, name: str) -> bool:
        """Return whether a key has a value, as `DeclarationWithRules.has_value`: an invalid value is a value."""
        key = self._model.model_fields[name].alias or name
        if key in self._node:
            return self._node[key] not in (None, [])
        self._refuse_doubtful(key)
        return False

    def _refuse_doubtful(self, key: str) -> None:
        names = [field.alias or name for name, field in self._model.model_fields.items()]
        if find_misspelled_key(names, self._node, key) is not None:
            raise declaration.UnknownValue(key)

    def _build_partial_value(self, field: FieldInfo, value: Node) -> Any:
        models = find_models(field.annotation)
        holds = get_origin(field.annotation)
        if models and holds is tuple and isinstance(value, SequenceNode):
            return tuple(self._build_partial_item(models, item) for item in value)
        if models and holds not in (tuple, dict) and isinstance(value, MappingNode):
            return self._build_partial_item(models, value)
        raise declaration.UnknownValue

    def _build_partial_item(self, models: Sequence[ModelClass], node: Node) -> Any:
        chosen = _choose_model(models, node)
        return (
            PartialDocument(chosen, node, self._known)
            if chosen and isinstance(node, MappingNode)
            else _UNKNOWN_DOCUMENT
        )


class _UnknownDocument:
    """An item of a list that is not a mapping, or is of an unknown type."""

    def __getattr__(self, name: str) -> Any:
        raise declaration.UnknownValue(name)


_UNKNOWN_DOCUMENT = _UnknownDocument()


def _find_violations(
    model: ModelClass, node: MappingNode, path: KeyPath, context: declaration.ValidationContext
) -> Iterator[tuple[KeyPath, declaration.RuleViolation]]:
    if issubclass(model, declaration.DeclarationWithRules):
        document = PartialDocument(model, node, context)
        for rule in declaration.list_rules(model):
            try:
                for violation in rule(document, context):
                    yield path, violation
            except declaration.UnknownValue:
                continue
    for name, field in model.model_fields.items():
        key = field.alias or name
        models = find_models(field.annotation)
        for below, value in _iter_mappings(field, node.get(key), (*path, key)) if models else ():
            chosen = _choose_model(models, value)
            if chosen is not None:
                yield from _find_violations(chosen, value, below, context)


def _iter_mappings(field: FieldInfo, value: Node, path: KeyPath) -> Iterator[tuple[KeyPath, MappingNode]]:
    """Yield each mapping that the models of a field describe: the value itself, or its items."""
    holds = get_origin(field.annotation)
    items: Iterable[tuple[str | int, Node]] = ()
    if holds is tuple and isinstance(value, SequenceNode):
        items = enumerate(value)
    elif holds is dict and isinstance(value, MappingNode):
        items = value.items()
    elif holds not in (tuple, dict) and isinstance(value, MappingNode):
        yield path, value
    for place, item in items:
        if isinstance(item, MappingNode):
            yield (*path, place), item


def _choose_model(models: Sequence[ModelClass], node: Node) -> ModelClass | None:
    """Return the model of a mapping; of several models, the one of the type that the mapping names."""
    if not isinstance(node, MappingNode):
        return None
    if len(models) == 1:
        return models[0]
    written_tag = next((node[tag] for tag in TAG_KEYS if tag in node), None)
    return next((model for model in models if get_tag(model) == written_tag), None)


@cache
def make_single_field_model(model: ModelClass, name: str) -> ModelClass:
    """Return a model of one field, which validates it as the whole model would."""
    field = model.model_fields[name]
    fields: dict[str, Any] = {name: (field.annotation, field)}
    return create_model(f"{model.__name__}_{name}", __base__=PartialModel, **fields)
