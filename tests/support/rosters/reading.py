"""Reads bundles and returns the snapshot or the diagnostics."""

from pathlib import Path

import pytest

from reconciler.model.diagnostic import Diagnostic, Refusal
from reconciler.oneroster.bundle import BaseLoader, read_zip
from reconciler.oneroster.snapshot import Snapshot
from tests.support.rosters.bundles import Bundle

NOW = "2026-11-22T03:00:00Z"


def read(made: Bundle, folder: Path) -> Snapshot:
    return read_zip(made.zip(folder / "roster.zip"), fetched_at=NOW)


def read_over(base: Snapshot | None, made: Bundle, folder: Path) -> Snapshot:
    """What comes of a bundle of changes and the last good roster."""
    return read_zip(made.zip(folder / "roster.zip"), fetched_at=NOW, load_base=lambda: base)


def refused(made: Bundle, folder: Path) -> tuple[Diagnostic, ...]:
    return refused_file(made.zip(folder / "roster.zip"))


def refused_over(base: Snapshot | None, made: Bundle, folder: Path) -> tuple[Diagnostic, ...]:
    return refused_file(made.zip(folder / "roster.zip"), base=lambda: base)


def refused_file(path: Path, base: BaseLoader | None = None) -> tuple[Diagnostic, ...]:
    with pytest.raises(Refusal) as caught:
        read_zip(path, fetched_at=NOW, load_base=base)
    assert caught.value.diagnostics
    assert all(diagnostic.is_error for diagnostic in caught.value.diagnostics)
    return caught.value.diagnostics


def codes(diagnostics: tuple[Diagnostic, ...]) -> list[str]:
    return [diagnostic.code for diagnostic in diagnostics]


def places(snapshot: Snapshot, file: str | None = None) -> list[tuple[str, str | None, str, int, int, str]]:
    """Rows set aside: kind, key, file, line, column, code."""
    aside = snapshot.quarantine.filter(snapshot.quarantine["file"] == file) if file else snapshot.quarantine
    return aside.select("kind", "key", "file", "line", "column", "code").rows()


def only(diagnostics: tuple[Diagnostic, ...]) -> Diagnostic:
    assert len(diagnostics) == 1, diagnostics
    return diagnostics[0]
