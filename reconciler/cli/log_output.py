"""Write the log to stderr, at a level and in a format."""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import click

from reconciler.log import OFF, JsonFormatter, TextFormatter

LEVELS = {"off": OFF, "error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO, "debug": logging.DEBUG}

#: `json`: one object a line; anything else: one line of text
FORMAT_VARIABLE = "RECONCILER_LOG"

# Without a handler, Python would print errors although the log is off.
logging.getLogger("reconciler").addHandler(logging.NullHandler())


class _StderrHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


@contextmanager
def write_log_to_stderr(
    level: str | None, *, debug: bool = False, variables: Mapping[str, str] = os.environ
) -> Iterator[None]:
    """Write the log to stderr for the block.

    level: a key of LEVELS; None means `error` in an unattended run, where nobody can try again with --debug, and `off`
    on a terminal. debug: log everything, tracebacks with the text of their exceptions.
    """
    chosen = level or ("off" if sys.stderr.isatty() else "error")
    handler = _StderrHandler()
    if not debug:
        handler.setFormatter(JsonFormatter() if variables.get(FORMAT_VARIABLE) == "json" else TextFormatter())
    log = logging.getLogger("reconciler")
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG if debug else LEVELS[chosen])
    try:
        yield
    finally:
        log.setLevel(before)
        log.removeHandler(handler)
