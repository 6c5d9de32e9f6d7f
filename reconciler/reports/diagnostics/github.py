"""Render diagnostics as workflow commands of GitHub Actions, which annotate the lines of a pull request."""

from collections.abc import Callable, Iterable
from typing import assert_never

from reconciler.model.diagnostic import Diagnostic, Severity
from reconciler.reports.diagnostics.places import make_readable

#: annotations of one level that GitHub shows for a step; its log has all
SHOWN_PER_LEVEL = 10


def render_workflow_commands(diagnostics: Iterable[Diagnostic], path: Callable[[str], str]) -> str:
    """Return one command per line; empty without diagnostics. path: maps a file to its path in the repository.

    No file name or value can end its command or begin another one: line ends and `%`, and in properties `:` and `,`,
    are escaped as the runner reads them.
    """
    return "".join(f"{_format_command(each, path)}\n" for each in diagnostics)


def _format_command(diagnostic: Diagnostic, path: Callable[[str], str]) -> str:
    properties: dict[str, str] = {}
    span = diagnostic.span
    if span is not None:
        properties["file"] = path(span.file)
        if span.line:
            properties["line"] = str(span.line)
            if span.column:
                properties["col"] = str(span.column)
    properties["title"] = diagnostic.code
    listed = ",".join(f"{name}={_escape_property(value)}" for name, value in properties.items())
    message = diagnostic.message if diagnostic.hint is None else f"{diagnostic.message}\n{diagnostic.hint}"
    return f"::{_map_severity(diagnostic.severity)} {listed}::{_escape_data(message)}"


def _map_severity(severity: Severity) -> str:
    match severity:
        case Severity.ERROR:
            return "error"
        case Severity.WARNING:
            return "warning"
        case Severity.INFO:
            return "notice"
        case _:
            assert_never(severity)


def _escape_data(text: str) -> str:
    return make_readable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")
