"""Defines diagnostics: problems in an input, each with its place and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How serious a diagnostic is. An error stops the processing of its input; a warning or an info does not."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a file."""

    #: for a roster, the name of the member (`users.csv`)
    file: str
    #: from 1; 0 if unknown. For a roster, the physical line
    line: int = 0
    #: from 1; 0 if unknown
    column: int = 0

    def __str__(self) -> str:
        parts = [self.file]
        if self.line:
            parts.append(str(self.line))
            if self.column:
                parts.append(str(self.column))
        return ":".join(parts)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem: what is wrong, where, and what to do next.

    `str()` returns the form of the contract: `FILE:LINE:COLUMN: severity: message [code]`, with the hint indented
    below.
    """

    #: stable: lowercase words joined by hyphens
    code: str
    severity: Severity
    #: never holds a value that may be a secret; nor does the hint
    message: str
    span: Span | None = None
    hint: str | None = None

    def __str__(self) -> str:
        where = f"{self.span}: " if self.span else ""
        first = f"{where}{self.severity}: {self.message} [{self.code}]"
        return f"{first}\n    {self.hint}" if self.hint else first

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR

    @property
    def sort_key(self) -> tuple[str, int, int, str, str]:
        """Return the sort key: file, place, code. Output then does not depend on the order of discovery."""
        span = self.span or Span("")
        return (span.file, span.line, span.column, self.code, self.message)


def build_error(code: str, message: str, span: Span | None = None, hint: str | None = None) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, message, span, hint)


def build_warning(code: str, message: str, span: Span | None = None, hint: str | None = None) -> Diagnostic:
    return Diagnostic(code, Severity.WARNING, message, span, hint)


def build_info(code: str, message: str, span: Span | None = None, hint: str | None = None) -> Diagnostic:
    return Diagnostic(code, Severity.INFO, message, span, hint)


def sort_diagnostics(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return the diagnostics sorted by place, without duplicates."""
    return tuple(sorted(dict.fromkeys(diagnostics), key=lambda diagnostic: diagnostic.sort_key))


class Refusal(Exception):  # noqa: N818 - an outcome that a person reads, not a bug
    """An input was refused as a whole. Carries every diagnostic that explains it, never the input's own text."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))


class ConfigurationRefusal(Refusal):
    """The YAML files are invalid (exit code 65), and the command cannot continue without them."""
