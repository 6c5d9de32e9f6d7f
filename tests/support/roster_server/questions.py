"""Evaluates the filter, sort, fields, limit and offset of a request."""

# 1.1 section 3.4, 1.2 likewise. filter is `field op 'value'`, at most two of them joined by ` AND ` or ` OR `; op is
# one of `= != > >= < <= ~`, `~` contains; `''` is a quote; a dotted field leads into references, and a list satisfies
# what one of its items does.

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.roster_server.records import Record

DEFAULT_LIMIT = 100
TERM = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(!=|>=|<=|=|>|<|~)\s*'((?:[^']|'')*)'\s*")
JOINT = re.compile(r"\s(AND|OR)\s", re.IGNORECASE)
OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "~": lambda found, wanted: wanted in found,
}


class UnanswerableError(Exception):
    """code: the imsx_CodeMinor that says which parameter was wrong."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True)
class Question:
    """One request's parameters, read strictly; a filter stays text until it is asked for."""

    limit: int = DEFAULT_LIMIT
    offset: int = 0
    by_cursor: bool = False
    sort: str | None = None
    descending: bool = False
    filter: str | None = None
    fields: tuple[str, ...] = ()


def question(query: Sequence[tuple[str, str]]) -> Question:
    given = dict(query)
    if len(given) != len(query):
        raise UnanswerableError("invaliddata", "a parameter is given twice")
    order = given.get("orderBy", "asc")
    if order not in ("asc", "desc"):
        raise UnanswerableError("invaliddata", "orderBy must be asc or desc")
    return Question(
        limit=_number(given, "limit", DEFAULT_LIMIT, 1),
        # A server whose links are its own affair has another name for it.
        offset=_number(given, "cursor" if "cursor" in given else "offset", 0, 0),
        by_cursor="cursor" in given,
        sort=given.get("sort"),
        descending=order == "desc",
        filter=given.get("filter"),
        fields=tuple(name.strip() for name in given["fields"].split(",")) if "fields" in given else (),
    )


def matching(records: Iterable[Record], text: str, known: frozenset[str]) -> list[Record]:
    """The records that a filter lets through. known: names of the properties that records of this type may have."""
    test = _test(text, known)
    return [record for record in records if test(record)]


def ordered(records: Iterable[Record], field: str, known: frozenset[str], *, descending: bool = False) -> list[Record]:
    if field.split(".")[0] not in known:
        raise UnanswerableError("invalid_sort_field", f"there is no field {field} to sort by")
    return sorted(records, key=lambda record: next(_found(record, field), ""), reverse=descending)


def chosen(record: Record, fields: Sequence[str], known: frozenset[str]) -> Record:
    for field in fields:
        if field not in known:
            raise UnanswerableError("invalid_selection_field", f"there is no field {field} to choose")
    return {name: value for name, value in record.items() if name in fields}


def _number(given: Mapping[str, str], name: str, default: int, least: int) -> int:
    text = given.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < least:
        raise UnanswerableError("invaliddata", f"{name} must be a whole number, at least {least}")
    return int(text)


def _test(text: str, known: frozenset[str]) -> Callable[[Record], bool]:
    first, at = _term(text, 0, known)
    if at == len(text):
        return first
    # The term took the blank before the word with it.
    joint = JOINT.match(text, at - 1)
    if joint is None:
        raise UnanswerableError("invalid_filter_field", f"the filter is not understood from character {at} on")
    second, at = _term(text, joint.end(), known)
    if at != len(text):
        raise UnanswerableError("invalid_filter_field", "a filter has at most one AND or OR")
    if joint[1].upper() == "AND":
        return lambda record: first(record) and second(record)
    return lambda record: first(record) or second(record)


def _term(text: str, at: int, known: frozenset[str]) -> tuple[Callable[[Record], bool], int]:
    found = TERM.match(text, at)
    if found is None:
        raise UnanswerableError("invalid_filter_field", f"the filter is not understood from character {at} on")
    field, sign, value = found[1], found[2], found[3].replace("''", "'")
    if field.split(".")[0] not in known:
        raise UnanswerableError("invalid_filter_field", f"there is no field {field} to filter by")
    if sign == "!=":
        return (lambda record: all(each != value for each in _found(record, field))), found.end()
    compare = OPERATORS[sign]
    return (lambda record: any(compare(each, value) for each in _found(record, field))), found.end()


def _found(value: Any, path: str) -> Iterator[str]:
    """Every text that a dotted path leads to."""
    if isinstance(value, list):
        for item in value:
            yield from _found(item, path)
    elif path and isinstance(value, dict):
        name, _, rest = path.partition(".")
        yield from _found(value.get(name), rest)
    elif value is not None and not path:
        yield str(value)
