"""Defines the types of values in a document; each parses the text as written.

An error says what the value must be, without the key's name, which the reporter prepends, and without the value.
`PATTERNS` explains each pattern in words.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from reconciler.model.moment import DURATION_UNITS, format_duration
from reconciler.model.text_form import (
    describe_character,
    find_hidden_character,
    make_comparison_form,
    make_visible_form,
)

TEXT_PATTERN = r"^[^\x00-\x20\x7f-\x9f](?:[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\x9f])?$"
PARAGRAPH_PATTERN = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]+$"
ID_PATTERN = r"^[a-z0-9]+(?:-[a-z0-9]+)*$"
COUNTRY_PATTERN = r"^[A-Z]{2}$"
CLOCK_PATTERN = r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]$"
EMAIL_PATTERN = r"^[^\s@<>\"(),:;\\\x00-\x1f\x7f-\x9f]+@[A-Za-z0-9\u00a1-\uffff-]+(?:\.[A-Za-z0-9\u00a1-\uffff-]+)+$"
HOST_PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9.:-]*[A-Za-z0-9])?$"
REMOTE_PATH_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\x9f]$"
REMOTE_SUFFIX_PATTERN = r"^\.[A-Za-z0-9._-]{1,30}$"
STORE_URL_PATTERN = r"^(?:sqlite|postgresql)(?:\+[a-z0-9]+)?://"
DURATION_PATTERN = r"^[1-9][0-9]{0,7}[mhd]$"
#: Years 1900 to 2999, so that no day before or after a date leaves the calendar.
DAY_PATTERN = r"^(?:19|2[0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}$"

#: pattern -> (code, what the value must be)
PATTERNS: dict[str, tuple[str, str]] = {
    TEXT_PATTERN: ("invalid-text", "must not contain control characters, or start or end with a space"),
    PARAGRAPH_PATTERN: ("invalid-text", "must not contain control characters"),
    ID_PATTERN: ("invalid-id", "must be lowercase letters and digits, with single hyphens between words"),
    COUNTRY_PATTERN: ("invalid-country", "must be a country code of two capital letters (ISO 3166), such as US"),
    CLOCK_PATTERN: ("invalid-time", "must be a time of day such as 02:30"),
    EMAIL_PATTERN: ("invalid-email", "must be an email address such as ann@springfield.example"),
    HOST_PATTERN: ("invalid-host", "must be only a host name or address, such as sftp.springfield.example"),
    REMOTE_PATH_PATTERN: ("invalid-path", "must be the path of a file or directory, such as /out/roster.zip"),
    REMOTE_SUFFIX_PATTERN: ("invalid-suffix", "must be a file suffix such as .done"),
    STORE_URL_PATTERN: ("invalid-store", "must be a store URL: sqlite:///FILE or postgresql://HOST/NAME"),
}


def describe_hidden_character(text: str) -> str | None:
    """Return what a text must not contain: its first invisible character or unusual space, with its place; or None."""
    place = find_hidden_character(text)
    if place is None:
        return None
    return f"must not contain {describe_character(text[place])} (character {place + 1})"


def _refuse_hidden(value: str) -> str:
    hidden = describe_hidden_character(value)
    if hidden is not None:
        raise PydanticCustomError(HIDDEN_CHARACTER, "{problem}", {"problem": hidden})
    return value


def _check_plain_form(value: str) -> str:
    if make_comparison_form(value) == value:
        return value
    strange = next((each for each in value if make_comparison_form(each) != each), value[0])
    raise PydanticCustomError(
        "unusual-character",
        "must be written with plain letters, without {character}",
        {"character": describe_character(strange)},
    )


#: the code of an invisible character, or of a space that is not U+0020, in a text that programs compare
HIDDEN_CHARACTER = "invisible-character"

Text = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=TEXT_PATTERN)]
#: a text without invisible characters, such as an address or a sourcedId
VisibleText = Annotated[Text, AfterValidator(_refuse_hidden)]
#: a text that is compared with values of rosters, such as a username or a grade: in its visible form
Key = Annotated[VisibleText, AfterValidator(make_visible_form)]
ConsumerKey = Annotated[Key, AfterValidator(_check_plain_form)]
Paragraph = Annotated[str, StringConstraints(min_length=1, max_length=10_000, pattern=PARAGRAPH_PATTERN)]
ID_CONSTRAINTS = StringConstraints(min_length=1, max_length=80, pattern=ID_PATTERN)
Id = Annotated[str, ID_CONSTRAINTS]
Country = Annotated[str, StringConstraints(pattern=COUNTRY_PATTERN)]
Clock = Annotated[str, StringConstraints(pattern=CLOCK_PATTERN)]
Email = Annotated[
    str,
    StringConstraints(max_length=254, pattern=EMAIL_PATTERN),
    AfterValidator(_refuse_hidden),
    AfterValidator(make_visible_form),
]
Host = Annotated[str, StringConstraints(max_length=253, pattern=HOST_PATTERN)]
RemotePath = Annotated[
    str, StringConstraints(min_length=1, max_length=1000, pattern=REMOTE_PATH_PATTERN), AfterValidator(_refuse_hidden)
]
RemoteSuffix = Annotated[str, StringConstraints(pattern=REMOTE_SUFFIX_PATTERN)]
StoreUrl = Annotated[str, StringConstraints(max_length=1000, pattern=STORE_URL_PATTERN)]


def is_pattern(path: str) -> bool:
    """Return whether a path on a server is a shell pattern, which several files may match."""
    return any(character in path for character in "*?[")


def _validate_integer(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"[-+]?0[0-9]+", value):
        raise PydanticCustomError(
            "leading-zero", "must not begin with 0, because some programs read such a number as octal"
        )
    if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]{1,12}", value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise PydanticCustomError("wrong-type", "must be a whole number")


def _validate_boolean(value: object) -> object:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return value.lower() == "true"
    raise PydanticCustomError("wrong-type", "must be true or false")


def _validate_day(value: object) -> object:
    if isinstance(value, date):
        return value
    if isinstance(value, str) and re.fullmatch(DAY_PATTERN, value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise PydanticCustomError("invalid-date", "must be a date that exists") from None
    raise PydanticCustomError("invalid-date", "must be a date as YYYY-MM-DD, such as 2026-08-01, from 1900 to 2999")


def _validate_duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and re.fullmatch(DURATION_PATTERN, value):
        return int(value[:-1]) * DURATION_UNITS[value[-1]]
    raise PydanticCustomError(
        "invalid-duration", "must be a duration: a number followed by m, h or d, such as 30m, 8h or 7d"
    )


@dataclass(frozen=True, slots=True)
class DurationBounds:
    """Marks a duration with its bounds, so that no moment that is computed from it leaves the calendar."""

    least: timedelta
    most: timedelta

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            _validate_duration,
            core_schema.no_info_after_validator_function(self._check_bounds, handler(source)),
            serialization=core_schema.plain_serializer_function_ser_schema(
                format_duration, return_schema=core_schema.str_schema()
            ),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, object]:
        return {"type": "string", "pattern": self.build_pattern()}

    def build_pattern(self) -> str:
        """Return a regular expression of the durations within the bounds, for editors."""
        units = []
        for unit, length in DURATION_UNITS.items():
            low, high = max(1, -(-self.least // length)), self.most // length
            if low <= high:
                units.append(f"({'|'.join(_list_number_patterns(low, high))}){unit}")
        return f"^({'|'.join(units)})$"

    def _check_bounds(self, value: timedelta) -> timedelta:
        if value > self.most:
            raise PydanticCustomError("invalid-duration", f"must be at most {format_duration(self.most)}")
        if value < self.least:
            raise PydanticCustomError("invalid-duration", f"must be at least {format_duration(self.least)}")
        return value


def _list_number_patterns(low: int, high: int) -> list[str]:
    """Return regular expressions of the numbers from `low` to `high`, one for each block of the same first digits."""
    patterns = []
    while low <= high:
        size = 1
        while low % (size * 10) == 0 and low + size * 10 - 1 <= high:
            size *= 10
        first = low // size
        last = min(first // 10 * 10 + 9, (high + 1) // size - 1)
        prefix, digits = str(first // 10 or ""), f"{first % 10}-{last % 10}" if last > first else str(first % 10)
        patterns.append(f"{prefix}{f'[{digits}]' if last > first else digits}" + "[0-9]" * (len(str(size)) - 1))
        low = (last + 1) * size
    return patterns


#: names of time zones that every machine has: UTC, or an area and a city
PORTABLE_TIMEZONE = re.compile(
    r"UTC|(?:Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific)(?:/[A-Z][A-Za-z_-]*){1,2}"
)
#: settings of one machine, and variants that few machines have
_LOCAL_TIMEZONE = re.compile(r"localtime|posixrules|Factory|(?:posix|right|SystemV)/.*")


@cache
def _validate_timezone(value: str) -> str:
    if value == "UTC":
        return value
    try:
        # Files on some machines are found in any case, so that their names alone prove nothing.
        if _LOCAL_TIMEZONE.fullmatch(value) or not value[:1].isupper():
            raise ValueError
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PydanticCustomError(
            "invalid-timezone", "must be an IANA time zone, such as America/Chicago or UTC"
        ) from None
    return value


def is_known_timezone(name: str) -> bool:
    """Return whether this machine knows a time zone of this name, which a document may have."""
    try:
        _validate_timezone(name)
    except PydanticCustomError:
        return False
    return True


_INTEGER = BeforeValidator(_validate_integer)
Count = Annotated[int, Field(ge=0), _INTEGER]
Positive = Annotated[int, Field(ge=1), _INTEGER]
Percent = Annotated[int, Field(ge=0, le=100), _INTEGER]
Port = Annotated[int, Field(ge=1, le=65535), _INTEGER]
PageSize = Annotated[int, Field(ge=1, le=10_000), _INTEGER]
Boolean = Annotated[bool, BeforeValidator(_validate_boolean)]


def _validate_format_version(value: object) -> object:
    if value not in ("1", 1):
        raise PydanticCustomError("unknown-format", "must be 1, the only known format")
    return 1


FormatVersion = Annotated[Literal[1], BeforeValidator(_validate_format_version)]


def _validate_true(value: object) -> object:
    if _validate_boolean(value) is not True:
        raise PydanticCustomError("wrong-type", "must be true, or left out")
    return True


TrueOnly = Annotated[Literal[True], BeforeValidator(_validate_true)]
Day = Annotated[
    date, BeforeValidator(_validate_day), WithJsonSchema({"type": "string", "format": "date", "pattern": DAY_PATTERN})
]
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
#: A limit over less than a day would be used up by waiting.
_WINDOW_BOUNDS = DurationBounds(DAY, 366 * DAY)
_RETENTION_BOUNDS = DurationBounds(DAY, 3650 * DAY)
_SESSION_BOUNDS = DurationBounds(MINUTE, 30 * DAY)
#: A fetch that takes longer blocks the fetches of all other customers.
_FETCH_BOUNDS = DurationBounds(MINUTE, DAY)
Window = Annotated[timedelta, _WINDOW_BOUNDS]
Retention = Annotated[timedelta, _RETENTION_BOUNDS]
SessionTime = Annotated[timedelta, _SESSION_BOUNDS]
FetchTime = Annotated[timedelta, _FETCH_BOUNDS]
#: The patterns of all durations in JSON Schemas.
DURATION_PATTERNS = tuple(
    bounds.build_pattern() for bounds in (_WINDOW_BOUNDS, _RETENTION_BOUNDS, _SESSION_BOUNDS, _FETCH_BOUNDS)
)
Timezone = Annotated[Text, AfterValidator(_validate_timezone)]

Chosen = TypeVar("Chosen")


class OneOf:
    """Marks a Literal or an enum whose errors carry the choices, so that a report can list them."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = tuple(str(each) for each in get_args(source) or tuple(source))
        inner = handler(source)

        def check(value: object, check_inner: Callable[[object], Chosen]) -> Chosen:
            if isinstance(value, str) and value in choices:
                return check_inner(value)
            raise PydanticCustomError("invalid-choice", "must be one of the choices", {"choices": choices})

        return core_schema.no_info_wrap_validator_function(check, inner)


Frequency = Annotated[Literal["manual", "auto"], OneOf()]
