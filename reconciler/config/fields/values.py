"""The kinds of values that a document holds: each a type that parses the text as written.

A failure says what the value must be; whoever reports it puts the key's name before it. No failure holds the
value. `PATTERNS` says in words what each pattern means.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

TEXT = r"^[^\x00-\x20\x7f-\x9f](?:[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\x9f])?$"
PARAGRAPH = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]+$"
ID = r"^[a-z0-9]+(?:-[a-z0-9]+)*$"
COUNTRY = r"^[A-Z]{2}$"
CLOCK = r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]$"
EMAIL = r"^[^\s@<>\"(),:;\\\x00-\x1f\x7f-\x9f]+@[A-Za-z0-9\u00a1-\uffff-]+(?:\.[A-Za-z0-9\u00a1-\uffff-]+)+$"
HOST = r"^[A-Za-z0-9](?:[A-Za-z0-9.:-]*[A-Za-z0-9])?$"
REMOTE_FILE = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\x9f]$"
REMOTE_SUFFIX = r"^\.[A-Za-z0-9._-]{1,30}$"
STORE_URL = r"^(?:sqlite|postgresql)(?:\+[a-z0-9]+)?://"
DURATION = r"^[1-9][0-9]{0,5}[mhd]$"
DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"

#: pattern -> (code, what the value must be)
PATTERNS: dict[str, tuple[str, str]] = {
    TEXT: ("invalid-text", "must not hold control characters nor begin or end with a space"),
    PARAGRAPH: ("invalid-text", "must not hold control characters"),
    ID: ("invalid-id", "must be of lower-case letters and digits, in words joined by single hyphens"),
    COUNTRY: ("invalid-country", "must be a country's two capital letters (ISO 3166), such as US"),
    CLOCK: ("invalid-time", "must be a time of day such as 02:30"),
    EMAIL: ("invalid-email", "must be an e-mail address such as ann@springfield.example"),
    HOST: ("invalid-host", "must be a host's name or address alone, such as sftp.springfield.example"),
    REMOTE_FILE: (
        "invalid-path",
        "must be the path of a file, its name included, or of a folder, such as /out/roster.zip",
    ),
    REMOTE_SUFFIX: ("invalid-suffix", "must be the ending of a file's name, such as .done"),
    STORE_URL: ("invalid-store", "must be the URL of a store: sqlite:///FILE or postgresql://HOST/NAME"),
}

Text = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=TEXT)]
Paragraph = Annotated[str, StringConstraints(min_length=1, max_length=10_000, pattern=PARAGRAPH)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=ID)]
Country = Annotated[str, StringConstraints(pattern=COUNTRY)]
Clock = Annotated[str, StringConstraints(pattern=CLOCK)]
Email = Annotated[str, StringConstraints(max_length=254, pattern=EMAIL)]
Host = Annotated[str, StringConstraints(max_length=253, pattern=HOST)]
RemoteFile = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=REMOTE_FILE)]
RemoteSuffix = Annotated[str, StringConstraints(pattern=REMOTE_SUFFIX)]
StoreUrl = Annotated[str, StringConstraints(max_length=1000, pattern=STORE_URL)]


def is_pattern(path: str) -> bool:
    """Whether several files may fit a path on a server, as a shell reads it."""
    return any(character in path for character in "*?[")


def _integer(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]{1,12}", value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise PydanticCustomError("wrong-type", "must be a whole number")


def _boolean(value: object) -> object:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return value.lower() == "true"
    raise PydanticCustomError("wrong-type", "must be true or false")


def _day(value: object) -> object:
    if isinstance(value, date):
        return value
    if isinstance(value, str) and re.fullmatch(DAY, value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise PydanticCustomError("invalid-date", "must be a day that exists") from None
    raise PydanticCustomError("invalid-date", "must be a day, written year-month-day, such as 2026-08-01")


UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and re.fullmatch(DURATION, value):
        return int(value[:-1]) * UNITS[value[-1]]
    raise PydanticCustomError(
        "invalid-duration", "must be a length of time: a number and m, h or d, such as 30m, 8h or 7d"
    )


def duration_of(text: str) -> timedelta:
    """Of a duration as `duration_text` writes it."""
    return int(text[:-1]) * UNITS[text[-1]]


def duration_text(value: timedelta) -> str:
    """In the largest unit that is exact: `7d`, `8h`, `30m`."""
    unit = next(unit for unit, length in UNITS.items() if not value % length)
    return f"{value // UNITS[unit]}{unit}"


@cache
def _timezone(value: str) -> str:
    if value == "UTC":
        return value
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PydanticCustomError(
            "invalid-timezone", "must be a time zone of the IANA list, such as America/Chicago or UTC"
        ) from None
    return value


_INTEGER = BeforeValidator(_integer)
Count = Annotated[int, Field(ge=0), _INTEGER]
Positive = Annotated[int, Field(ge=1), _INTEGER]
Percent = Annotated[int, Field(ge=0, le=100), _INTEGER]
Port = Annotated[int, Field(ge=1, le=65535), _INTEGER]
PageSize = Annotated[int, Field(ge=1, le=10_000), _INTEGER]
Boolean = Annotated[bool, BeforeValidator(_boolean)]


def _one(value: object) -> object:
    if value not in ("1", 1):
        raise PydanticCustomError("unknown-format", "must be 1: no other form is known")
    return 1


One = Annotated[Literal[1], BeforeValidator(_one)]


def _yes(value: object) -> object:
    if _boolean(value) is not True:
        raise PydanticCustomError("wrong-type", "must be true, or be left out")
    return True


Yes = Annotated[Literal[True], BeforeValidator(_yes)]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date", "pattern": DAY})]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(duration_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION}),
]
Timezone = Annotated[Text, AfterValidator(_timezone)]

Chosen = TypeVar("Chosen")


class OneOf:
    """For a Literal or an enum: a failure carries the choices, so that a report can name them."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = tuple(str(each) for each in get_args(source) or tuple(source))
        inner = handler(source)

        def check(value: object, check_inner: Callable[[object], Chosen]) -> Chosen:
            if isinstance(value, str) and value in choices:
                return check_inner(value)
            raise PydanticCustomError("invalid-choice", "must be one of the choices", {"choices": choices})

        return core_schema.no_info_wrap_validator_function(check, inner)


Frequency = Annotated[Literal["manual", "auto"], OneOf()]
