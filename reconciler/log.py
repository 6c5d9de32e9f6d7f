"""Logs each step of fetch, plan, apply, sync and delivery: ids, counts and seconds, never people.

Operations log through the standard `logging` under the name `reconciler`; the command line decides where it goes. A
traceback is logged without the exception's text, which may hold what must not be seen.
"""

import json
import logging
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from reconciler.model.moment import format_moment

#: attribute of a log record that holds its fields
FIELDS = "fields"
#: above every level: nothing is logged
OFF = logging.CRITICAL + 10

Fields = dict[str, object]


@contextmanager
def log_step(logger: logging.Logger, step: str, **fields: object) -> Iterator[Fields]:
    """Log a step when it ends, with its seconds. The block adds its results to the mapping that it gets.

    fields: ids and numbers; no names of people. A field that is None is left out.
    """
    results: Fields = {}
    start = time.monotonic()
    try:
        yield results
    except BaseException as problem:
        log_event(logger, step, **fields, **results, error=type(problem).__name__, seconds=_measure_since(start))
        raise
    log_event(logger, step, **fields, **results, seconds=_measure_since(start))


def log_event(logger: logging.Logger, event: str, **fields: object) -> None:
    """Log one line at level INFO. fields: as for `log_step`."""
    logger.info(event, extra={FIELDS: {name: value for name, value in fields.items() if value is not None}})


def _measure_since(start: float) -> float:
    return round(time.monotonic() - start, 3)


class TextFormatter(logging.Formatter):
    """`2026-11-23T02:30:00Z info apply customer=springfield run=12 seconds=0.41`."""

    def format(self, record: logging.LogRecord) -> str:
        words = [_format_time(record), record.levelname.lower(), record.getMessage()]
        words += [f"{name}={_format_value(value)}" for name, value in _get_fields(record).items()]
        return "\n".join([" ".join(words), *_format_traceback(record)])


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, event, the fields, and the traceback as a list of lines."""

    def format(self, record: logging.LogRecord) -> str:
        entry: Fields = {"time": _format_time(record), "level": record.levelname.lower(), "event": record.getMessage()}
        entry |= _get_fields(record)
        lines = _format_traceback(record)
        return json.dumps(entry | ({"traceback": lines} if lines else {}), ensure_ascii=False, default=str)


def _format_time(record: logging.LogRecord) -> str:
    return format_moment(datetime.fromtimestamp(record.created, UTC))


def _get_fields(record: logging.LogRecord) -> Mapping[str, object]:
    fields = getattr(record, FIELDS, None)
    return fields if isinstance(fields, Mapping) else {}


def _format_value(value: object) -> str:
    text = str(value)
    return text if text and text.isprintable() and not {" ", '"', "="} & set(text) else json.dumps(text)


def _format_traceback(record: logging.LogRecord) -> list[str]:
    """Return the places of a traceback, its causes first, with the types of the exceptions and without their texts."""
    problem = record.exc_info[1] if record.exc_info else None
    chain: list[BaseException] = []
    while problem is not None and problem not in chain:
        chain.append(problem)
        problem = problem.__cause__ or (None if problem.__suppress_context__ else problem.__context__)
    lines: list[str] = []
    for each in reversed(chain):
        places = traceback.extract_tb(each.__traceback__)
        lines += [f"{place.filename}:{place.lineno} in {place.name}" for place in places]
        lines.append(f"{type(each).__module__}.{type(each).__qualname__}")
    return lines
