"""One thing that was noticed about an input, for a person to act on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a diagnostic weighs. An error stops what it speaks of; a warning and an info do not."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a file. Lines and columns count from 1; 0 means that the place has none.

    For a roster, `file` is the member's name (`users.csv`) and `line` the physical line.
    """

    file: str
    line: int = 0
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
    """What, where, and what to do next.

    `code` is stable: lower-case words joined by hyphens. `message` and `hint` never hold a value that may
    be a secret. `str()` gives the form of the contract: `FILE:LINE:COLUMN: severity: message [code]`, and
    the hint indented under it.
    """

    code: str
    severity: Severity
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
        """A sort key: by file, then place, then code, so that output never depends on how it was found."""
        span = self.span or Span("")
        return (span.file, span.line, span.column, self.code, self.message)


def build_error(code: str, message: str, span: Span | None = None, hint: str | None = None) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, message, span, hint)


def build_warning(code: str, message: str, span: Span | None = None, hint: str | None = None) -> Diagnostic:
    return Diagnostic(code, Severity.WARNING, message, span, hint)


def build_info(code: str, message: str, span: Span | None = None, hint: str | None = None) -> Diagnostic:
    return Diagnostic(code, Severity.INFO, message, span, hint)


def sort_diagnostics(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorted by place and without repetitions."""
    return tuple(sorted(dict.fromkeys(diagnostics), key=lambda diagnostic: diagnostic.sort_key))


class Refusal(Exception):  # noqa: N818 - it is an outcome that a person reads, not a defect
    """An input was refused whole. Carries every diagnostic that says why; never an input's own text."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))


class ConfigurationRefusal(Refusal):
    """What people wrote in their files does not validate (exit code 65), and no verb can go on without it."""
