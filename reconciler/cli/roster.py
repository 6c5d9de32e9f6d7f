"""`roster`: look at a roster source without a store and without a plan."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.model.diagnostic import Diagnostic, Refusal, Span, in_order
from reconciler.oneroster.bundle import read_zip
from reconciler.oneroster.snapshot import Snapshot, quarantine_diagnostics
from reconciler.planning.desired import desire

FORMAT_VERSION = "1.0"
COUNTED = ("users", "classes", "enrollments", "orgs")


@click.group()
def roster() -> None:
    """Look at a roster without planning anything."""


@roster.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def check(file: Path, form: str) -> ExitCode:
    """Say what is wrong with a OneRoster bundle: everything, with file and line."""
    snapshot: Snapshot | None = None
    try:
        snapshot = read_zip(file, fetched_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
        snapshot = _as_planned(snapshot)
        found = [*in_order(snapshot.diagnostics), *quarantine_diagnostics(snapshot.quarantine)]
    except Refusal as refusal:
        found = list(refusal.diagnostics)
    click.echo(_json(file, snapshot, found) if form == "json" else _text(file, snapshot, found))
    return ExitCode.DONE if snapshot else ExitCode.ERROR


def _as_planned(snapshot: Snapshot) -> Snapshot:
    """With what a plan notices beyond each file by itself, such as usernames that two people share. Only where all
    orgs are one customer's for sure: those below the one org that has no parent."""
    parents = snapshot.orgs["parent"]
    roots = snapshot.orgs.filter(parents.is_null() | ~parents.is_in(snapshot.orgs["sourced_id"].implode()))
    if roots.height != 1:
        return snapshot
    try:
        desired = desire(snapshot, roots["sourced_id"][0], None)
    except Refusal:
        # A file without people is a roster all the same; a plan says whose it is not.
        return snapshot
    return replace(snapshot, quarantine=desired.quarantine, diagnostics=(*snapshot.diagnostics, *desired.diagnostics))


def _text(file: Path, snapshot: Snapshot | None, found: list[Diagnostic]) -> str:
    lines = [str(diagnostic) for diagnostic in found]
    if snapshot is None:
        return "\n".join([*lines, f"{file.name} refused: it cannot be used as a roster"])
    aside = snapshot.quarantine.height
    counts = [f"{stem} {snapshot.rows.get(stem, 0):,}" for stem in COUNTED]
    if aside:
        counts.append(f"{aside:,} {'row' if aside == 1 else 'rows'} set aside")
    return "\n".join([*lines, " · ".join(counts)])


def _json(file: Path, snapshot: Snapshot | None, found: list[Diagnostic]) -> str:
    return json.dumps(
        {
            "format_version": FORMAT_VERSION,
            "file": file.name,
            "version": snapshot.version if snapshot else None,
            "complete": snapshot.complete if snapshot else False,
            "rows": dict(sorted(snapshot.rows.items())) if snapshot else {},
            "diagnostics": [_diagnostic(diagnostic) for diagnostic in found],
        },
        ensure_ascii=False,
        indent=2,
    )


def _diagnostic(diagnostic: Diagnostic) -> dict[str, object]:
    span = diagnostic.span or Span("")
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "file": span.file or None,
        "line": span.line or None,
        "column": span.column or None,
        "hint": diagnostic.hint,
    }
