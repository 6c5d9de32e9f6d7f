"""What every model of a document is: frozen, closed to unknown keys, with rules between its fields.

A rule yields a `Problem` for each thing that is wrong; all of them are reported, each at the key that it names. Rules
are also held against a document of which other parts are not valid (`config.sketch`): a rule that asks for such a part
stops there, by `NotKnown`, and every other rule goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any, Protocol, Self, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

Method = TypeVar("Method", bound=Callable[..., Iterable["RuleViolation"]])

#: the type of the one pydantic error that carries problems
BROKEN_RULES = "broken-rules"


class HostPolicy(Protocol):
    """Which private or plain-http hosts may be used."""

    def is_allowed(self, host: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class ValidationContext:
    """What a rule needs to know beyond the document. None: not known here, and not checked."""

    today: date | None = None
    network: HostPolicy | None = None


@dataclass(frozen=True, slots=True)
class RuleViolation:
    """A broken rule. at: the path below the model to the value to change; empty for the model itself. absence: it is
    about something that is not said."""

    code: str
    message: str
    key_path: tuple[str | int, ...] = ()
    hint: str | None = None
    is_absence: bool = False


class Declaration(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


class UnknownValue(Exception):  # noqa: N818 - it is an answer, not a defect
    """A rule asked for a value that is not valid, or may have been meant by another key: there is nothing to judge."""


RuleFunction: TypeAlias = Callable[[Any, ValidationContext], Iterable[RuleViolation]]


def mark_rule(method: Method) -> Method:
    """Marks a method of a `Ruled` as one of its rules."""
    method.is_rule = True  # type: ignore[attr-defined]
    return method


@cache
def list_rules(model: type) -> tuple[RuleFunction, ...]:
    """The rules of a model, those of the models that it extends first."""
    names = {name: None for base in reversed(model.__mro__) for name, member in vars(base).items() if _is_rule(member)}
    return tuple(getattr(model, name) for name in names)


def _is_rule(member: object) -> bool:
    return getattr(member, "is_rule", False) is True


class DeclarationWithRules(Declaration):
    """A declaration with rules between its fields: methods marked with `rule`, (self, Circumstances) -> Problems."""

    def has_value(self, key: str) -> bool:
        """Whether something is said, valid or not. Nothing is said by null and by an empty list."""
        return getattr(self, key) not in (None, ())

    @model_validator(mode="after")
    def _check_rules(self, info: ValidationInfo) -> Self:
        known = info.context if isinstance(info.context, ValidationContext) else ValidationContext()
        found = tuple(problem for each in list_rules(type(self)) for problem in each(self, known))
        if found:
            raise PydanticCustomError(BROKEN_RULES, "breaks a rule between its keys", {"problems": found})
        return self


def iter_known_values(thing: object, *keys: str) -> Iterator[tuple[str, Any]]:
    """The keys of a thing whose values are known, with the values: for a rule about each of several keys alone."""
    for key in keys:
        try:
            yield key, getattr(thing, key)
        except UnknownValue:
            continue


def iter_item_values(things: Iterable[object], key: str) -> Iterator[tuple[int, Any]]:
    """Place and value of one key of the items of a list, where it is known."""
    for place, thing in enumerate(things):
        for _, value in iter_known_values(thing, key):
            yield place, value
