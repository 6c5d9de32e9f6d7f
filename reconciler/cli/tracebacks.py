"""What `--debug` shows of failures that did not stop the program."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import click


class _ToStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


@contextmanager
def tracebacks() -> Iterator[None]:
    """While this lasts, what operations log goes to stderr, tracebacks included."""
    log, handler = logging.getLogger("reconciler"), _ToStderr()
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        log.setLevel(before)
        log.removeHandler(handler)
