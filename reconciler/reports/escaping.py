"""Templates in which everything is escaped that does not say it need not be."""

from __future__ import annotations

from collections.abc import Callable

from jinja2 import Environment, PackageLoader, StrictUndefined


def escaping(finalize: Callable[[object], object], *, keep_trailing_newline: bool = False) -> Environment:
    """The templates of this room. finalize: what a value becomes before it is escaped; a name that is missing is an
    error."""
    return Environment(
        loader=PackageLoader("reconciler.reports"),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=keep_trailing_newline,
    )
