"""What every model of a document is: frozen, closed to unknown keys, with rules between its fields.

A rule sees a whole model and yields a `Problem` for each thing that is wrong; all of them are reported, each
at the key that it names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

Value = TypeVar("Value")

#: the type of the one pydantic error that carries problems
BROKEN_RULES = "broken-rules"


class AllowedHosts(Protocol):
    """Which private or plain-http hosts may be used."""

    def allows(self, host: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a rule needs to know beyond the document. None: not known here, and not checked."""

    today: date | None = None
    network: AllowedHosts | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A broken rule. at: the path below the model to the value to change; empty for the model itself."""

    code: str
    message: str
    at: tuple[str | int, ...] = ()
    hint: str | None = None


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


class Ruled(Declaration):
    """A declaration with rules between its fields."""

    def rules(self, known: Circumstances) -> Iterable[Problem]:
        """Every broken rule of this model."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _hold_to_rules(self, info: ValidationInfo) -> Self:
        known = info.context if isinstance(info.context, Circumstances) else Circumstances()
        return kept_to_rules(self, self.rules(known))


def kept_to_rules(value: Value, problems: Iterable[Problem]) -> Value:
    """The value, where there are no problems; else one error of pydantic's that carries them all."""
    found = tuple(problems)
    if found:
        raise PydanticCustomError(BROKEN_RULES, "breaks a rule between its keys", {"problems": found})
    return value
