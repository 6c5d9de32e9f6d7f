"""`roster`: check, fetch or probe a roster source. Checking needs no store and no plan."""

import json
from dataclasses import replace
from pathlib import Path

import click
import polars as pl

from reconciler import clock
from reconciler.cli.exit_code import ExitCode
from reconciler.model.diagnostic import Diagnostic, Refusal, Severity, Span, sort_diagnostics
from reconciler.model.kind import Kind
from reconciler.oneroster.bundle import read_zip
from reconciler.oneroster.snapshot import Snapshot, build_quarantine_diagnostics
from reconciler.oneroster.strict import MOST_LISTED, RULES, StrictReport, check_against_standard
from reconciler.planning.frames import make_empty_live_frame
from reconciler.planning.holds import describe_quarantined_rows
from reconciler.planning.roster import (
    SCHOOLS_WITHOUT_PARENT,
    UnplacedRows,
    build_desired_roster,
    combine_person_rows,
    cut_cycles,
    describe_unplaced_orgs,
    find_unplaced_rows_of_districts,
)

FORMAT_VERSION = "1.0"
SUMMARY_TABLES = ("users", "classes", "enrollments", "orgs")


class RosterGroup(click.Group):
    """Imports fetch and probe only when they run: they need store and network, and check needs neither."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return ["check", "fetch", "probe"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in ("fetch", "probe"):
            from reconciler.cli.commands.rosters import source as roster_source

            return roster_source.fetch if cmd_name == "fetch" else roster_source.probe
        return super().get_command(ctx, cmd_name)


@click.group("roster", cls=RosterGroup)
def group_roster_commands() -> None:
    """Check, fetch or probe a roster source."""


@group_roster_commands.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--format", "output_format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--strict", is_flag=True, help="Also check every file for strict conformance to the OneRoster standard.")
@click.option(
    "--all", "list_all", is_flag=True, help=f"With --strict: list all violations, not only {MOST_LISTED} of each rule."
)
def check(file: Path, output_format: str, strict: bool, list_all: bool) -> ExitCode:
    """Check a OneRoster ZIP file and list every problem with file and line."""
    if list_all and not strict:
        raise click.UsageError("--all requires --strict")
    snapshot: Snapshot | None = None
    try:
        snapshot = read_zip(file, fetched_at=clock.get_current_moment())
        many = describe_quarantined_rows(snapshot)
        snapshot = _add_plan_diagnostics(snapshot)
        found = [*many, *sort_diagnostics(snapshot.diagnostics), *build_quarantine_diagnostics(snapshot.quarantine)]
    except Refusal as refusal:
        found = list(refusal.diagnostics)
    strict_result = _check_strict_rules(file, None if list_all else MOST_LISTED) if strict else None
    if strict_result is not None:
        found += [diagnostic for diagnostic in strict_result.diagnostics if diagnostic not in found]
    click.echo(
        _format_json(file, snapshot, strict_result, found)
        if output_format == "json"
        else _format_text(file, snapshot, strict_result, found)
    )
    return ExitCode.DONE if snapshot and not (strict_result and strict_result.has_errors) else ExitCode.ERROR


def _check_strict_rules(file: Path, most: int | None) -> StrictReport | None:
    """Return None if the file cannot be read, which the other check reports."""
    try:
        return check_against_standard(file, most=most)
    except OSError:
        return None


def _add_plan_diagnostics(snapshot: Snapshot) -> Snapshot:
    """Add the diagnostics that a plan finds across files, such as two people with the same username.

    People are matched by identifier. Of several institutions, only the schools that belong to none of them are
    reported."""
    tree = cut_cycles(snapshot)
    top = _find_institution(tree)
    if top is None:
        return _add_unplaced_orgs(snapshot, find_unplaced_rows_of_districts(tree))
    try:
        persons = combine_person_rows(tree, make_empty_live_frame(Kind.USER), "identifier", top)
        desired = build_desired_roster(persons.snapshot, top, None, today=clock.get_current_day())
    except Refusal as refusal:
        # A file without people is still a roster; the plan reports whether it is the customer's.
        named = [each for each in refusal.diagnostics if each.code == SCHOOLS_WITHOUT_PARENT]
        warnings = [replace(each, severity=Severity.WARNING) for each in named]
        return replace(snapshot, diagnostics=(*snapshot.diagnostics, *warnings))
    noticed = (*snapshot.diagnostics, *persons.diagnostics, *desired.diagnostics)
    return replace(snapshot, quarantine=desired.quarantine, diagnostics=noticed)


def _add_unplaced_orgs(snapshot: Snapshot, unplaced: UnplacedRows | None) -> Snapshot:
    if unplaced is None:
        return snapshot
    return replace(
        snapshot,
        quarantine=pl.concat([snapshot.quarantine, unplaced.quarantine]),
        diagnostics=(*snapshot.diagnostics, *describe_unplaced_orgs(unplaced)),
    )


def _find_institution(snapshot: Snapshot) -> str | None:
    """Return the sourcedId of the only org without a parent, or else of the only district, or None."""
    parents = snapshot.orgs["parent"]
    roots = snapshot.orgs.filter(parents.is_null() | ~parents.is_in(snapshot.orgs["sourced_id"].implode()))
    for candidates in (roots, roots.filter(~pl.col("type").is_in(["school", "department"]))):
        if candidates.height == 1:
            return str(candidates["sourced_id"][0])
    return None


def _format_text(
    file: Path, snapshot: Snapshot | None, strict_result: StrictReport | None, diagnostics: list[Diagnostic]
) -> str:
    lines = [str(diagnostic) for diagnostic in diagnostics]
    if snapshot is None:
        lines.append(f"{file.name}: refused; it cannot be used as a roster")
    else:
        counts = [f"{stem} {snapshot.rows.get(stem, 0):,}" for stem in SUMMARY_TABLES]
        quarantined = snapshot.quarantine.height
        if quarantined:
            counts.append(f"{quarantined:,} quarantined {'row' if quarantined == 1 else 'rows'}")
        lines.append(" · ".join(counts))
    if strict_result is not None:
        lines.append(_summarize_strict_check(strict_result))
    return "\n".join(lines)


def _summarize_strict_check(strict_result: StrictReport) -> str:
    if strict_result.version is None:
        return "strict: the file cannot be opened; nothing was checked"
    total = sum(strict_result.counts.values())
    if not total:
        return f"strict: no violations of OneRoster {strict_result.version}"
    many = f"{total:,} {'violation' if total == 1 else 'violations'}"
    rules = f"{len(strict_result.counts)} {'rule' if len(strict_result.counts) == 1 else 'rules'}"
    return f"strict: {many} of OneRoster {strict_result.version}, in {rules}"


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
