"""Defines the base of all models: frozen, closed to unknown keys, with rules between their fields.

A rule yields a `RuleViolation` for each problem; all of them are reported, each at the key that it names. Rules also
check a document of which other parts are invalid (`config.validation.partial_document`): a rule that asks for such a
part stops there, by `UnknownValue`, and every other rule goes on.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Protocol, Self, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

Method = TypeVar("Method", bound=Callable[..., Iterable["RuleViolation"]])

#: the type of the pydantic error that carries rule violations
BROKEN_RULES = "broken-rules"


class HostPolicy(Protocol):
    """Decides which private or plain-http hosts are allowed."""

    def is_allowed(self, host: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class ValidationContext:
    """Facts that rules need beyond the document. A rule skips a check whose fact is None."""

    moment: datetime | None = None
    network: HostPolicy | None = None


@dataclass(frozen=True, slots=True)
class RuleViolation:
    """A broken rule."""

    code: str
    message: str
    #: the path below the model to the value to change; empty for the model itself
    key_path: tuple[str | int, ...] = ()
    hint: str | None = None
    #: True if a key is missing, which a file that cannot be read might have set
    is_absence: bool = False


class Declaration(BaseModel):
    """The base of all models: frozen, and closed to unknown keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


class UnknownValue(Exception):  # noqa: N818 - an answer, not a bug
    """A rule asked for a value that is invalid, or that a misspelled key may hold, so the rule cannot be checked."""


RuleFunction: TypeAlias = Callable[[Any, ValidationContext], Iterable[RuleViolation]]


def mark_rule(method: Method) -> Method:
    """Mark a method of a `DeclarationWithRules` as one of its rules."""
    method.is_rule = True  # type: ignore[attr-defined]
    return method


@cache
def list_rules(model: type) -> tuple[RuleFunction, ...]:
    """Return the rules of a model, those of its base models first."""
    names = {name: None for base in reversed(model.__mro__) for name, member in vars(base).items() if _is_rule(member)}
    return tuple(getattr(model, name) for name in names)


def _is_rule(member: object) -> bool:
    return getattr(member, "is_rule", False) is True


class DeclarationWithRules(Declaration):
    """A declaration with rules between its fields: methods marked with `mark_rule`, (self, ValidationContext) ->
    violations."""

    def has_value(self, key: str) -> bool:
        """Return whether a key has a value, valid or not. Null and an empty list are no values."""
        return getattr(self, key) not in (None, ())

    @model_validator(mode="after")
    def _check_rules(self, info: ValidationInfo) -> Self:
        context = info.context if isinstance(info.context, ValidationContext) else ValidationContext()
        violations = tuple(violation for rule in list_rules(type(self)) for violation in rule(self, context))
        if violations:
            raise PydanticCustomError(BROKEN_RULES, "breaks a rule between its keys", {"problems": violations})
        return self


def iter_known_values(thing: object, *keys: str) -> Iterator[tuple[str, Any]]:
    """Yield (key, value) of those keys whose values are known: for a rule that checks each of several keys alone."""
    for key in keys:
        try:
            yield key, getattr(thing, key)
        except UnknownValue:
            continue


def iter_item_values(things: Iterable[object], key: str) -> Iterator[tuple[int, Any]]:
    """Yield (position, value) of one key of each item in a list, if the value is known."""
    for place, thing in enumerate(things):
        for _, value in iter_known_values(thing, key):
            yield place, value
