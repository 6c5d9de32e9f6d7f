"""`roster`: look at a roster source without a store and without a plan."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.model.diagnostic import Diagnostic, Refusal, Span, sort_diagnostics
from reconciler.model.kind import Kind
from reconciler.oneroster.bundle import read_zip
from reconciler.oneroster.snapshot import Snapshot, build_quarantine_diagnostics
from reconciler.oneroster.strict.check import StrictReport, check_against_standard
from reconciler.oneroster.strict.findings import MOST_LISTED
from reconciler.oneroster.strict.rules import RULES
from reconciler.planning.frames.live import make_empty_live_frame
from reconciler.planning.roster.desired import build_desired_roster
from reconciler.planning.roster.persons import combine_person_rows

FORMAT_VERSION = "1.0"
SUMMARY_TABLES = ("users", "classes", "enrollments", "orgs")


class RosterGroup(click.Group):
    """check needs neither store nor network, which the others do: they are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return ["check", "fetch", "probe"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in ("fetch", "probe"):
            from reconciler.cli.commands.rosters import source as roster_source

            return roster_source.fetch if cmd_name == "fetch" else roster_source.probe
        return super().get_command(ctx, cmd_name)


@click.group("roster", cls=RosterGroup)
def group_roster_commands() -> None:
    """Look at a roster without planning anything."""


@group_roster_commands.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--format", "output_format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--strict", is_flag=True, help="Hold it against the letter of the standard too, in every file.")
@click.option(
    "--all", "list_all", is_flag=True, help=f"With --strict: list more than {MOST_LISTED} deviations of a rule."
)
def check(file: Path, output_format: str, strict: bool, list_all: bool) -> ExitCode:
    """Say what is wrong with a OneRoster bundle: everything, with file and line."""
    if list_all and not strict:
        raise click.UsageError("--all goes with --strict")
    snapshot: Snapshot | None = None
    try:
        snapshot = read_zip(file, fetched_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
        snapshot = _add_plan_diagnostics(snapshot)
        found = [*sort_diagnostics(snapshot.diagnostics), *build_quarantine_diagnostics(snapshot.quarantine)]
    except Refusal as refusal:
        found = list(refusal.diagnostics)
    letter = _check_strict_rules(file, None if list_all else MOST_LISTED) if strict else None
    if letter is not None:
        found += [diagnostic for diagnostic in letter.diagnostics if diagnostic not in found]
    click.echo(
        _format_json(file, snapshot, letter, found)
        if output_format == "json"
        else _format_text(file, snapshot, letter, found)
    )
    return ExitCode.DONE if snapshot and not (letter and letter.has_errors) else ExitCode.ERROR


def _check_strict_rules(file: Path, most: int | None) -> StrictReport | None:
    """None where the file cannot be read, which was said."""
    try:
        return check_against_standard(file, most=most)
    except OSError:
        return None


def _add_plan_diagnostics(snapshot: Snapshot) -> Snapshot:
    """With what a plan notices beyond each file by itself, such as usernames that two people share; people are known by
    their identifiers. Only where all orgs are one customer's for sure: those below the one org that has no parent."""
    parents = snapshot.orgs["parent"]
    roots = snapshot.orgs.filter(parents.is_null() | ~parents.is_in(snapshot.orgs["sourced_id"].implode()))
    if roots.height != 1:
        return snapshot
    try:
        persons = combine_person_rows(snapshot, make_empty_live_frame(Kind.USER), "identifier", roots["sourced_id"][0])
        desired = build_desired_roster(persons.snapshot, roots["sourced_id"][0], None)
    except Refusal:
        # A file without people is a roster all the same; a plan says whose it is not.
        return snapshot
    noticed = (*snapshot.diagnostics, *persons.diagnostics, *desired.diagnostics)
    return replace(snapshot, quarantine=desired.quarantine, diagnostics=noticed)


def _format_text(
    file: Path, snapshot: Snapshot | None, strict_result: StrictReport | None, diagnostics: list[Diagnostic]
) -> str:
    lines = [str(diagnostic) for diagnostic in diagnostics]
    if snapshot is None:
        lines.append(f"{file.name} refused: it cannot be used as a roster")
    else:
        counts = [f"{stem} {snapshot.rows.get(stem, 0):,}" for stem in SUMMARY_TABLES]
        aside = snapshot.quarantine.height
        if aside:
            counts.append(f"{aside:,} {'row' if aside == 1 else 'rows'} set aside")
        lines.append(" · ".join(counts))
    if strict_result is not None:
        lines.append(_summarize_strict_check(strict_result))
    return "\n".join(lines)


def _summarize_strict_check(strict_result: StrictReport) -> str:
    if strict_result.version is None:
        return "strict: it cannot be opened, so that nothing in it was checked"
    total = sum(strict_result.counts.values())
    if not total:
        return f"strict: nothing deviates from OneRoster {strict_result.version}"
    many = f"{total:,} {'deviation' if total == 1 else 'deviations'}"
    rules = f"{len(strict_result.counts)} {'rule' if len(strict_result.counts) == 1 else 'rules'}"
    return f"strict: {many} from OneRoster {strict_result.version}, of {rules}"


def _format_json(
    file: Path, snapshot: Snapshot | None, strict_result: StrictReport | None, diagnostics: list[Diagnostic]
) -> str:
    document: dict[str, object] = {
        "format_version": FORMAT_VERSION,
        "file": file.name,
        "version": snapshot.version if snapshot else None,
        "complete": snapshot.complete if snapshot else False,
        "rows": dict(sorted(snapshot.rows.items())) if snapshot else {},
        "diagnostics": [_build_diagnostic_document(diagnostic) for diagnostic in diagnostics],
    }
    if strict_result is not None:
        document["strict"] = {
            "version": strict_result.version,
            "deviations": sum(strict_result.counts.values()),
            "rules": [
                {"code": code, "rule": RULES[code].name, "count": strict_result.counts[code]}
                for code in strict_result.counts
            ],
        }
    return json.dumps(document, ensure_ascii=False, indent=2)


def _build_diagnostic_document(diagnostic: Diagnostic) -> dict[str, object]:
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
