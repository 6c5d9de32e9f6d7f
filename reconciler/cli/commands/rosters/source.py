"""`roster fetch` and `roster probe`: fetch a roster into a file, or test its server."""

import json
from pathlib import Path

import click

from reconciler import clock
from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import add_location_options
from reconciler.cli.progress import show_progress_bars
from reconciler.model.diagnostic import Severity
from reconciler.model.ids import CustomerId
from reconciler.oneroster.sources import ProbeFinding
from reconciler.operations.fetch import SavedRoster, probe_address, probe_source, save_roster
from reconciler.operations.location import Location
from reconciler.operations.workspace import AbsentStore, open_workspace

FORMAT_VERSION = "1.0"
SUMMARY_TABLES = ("users", "classes", "enrollments", "orgs")


@click.command()
@click.argument("customer", metavar="CUSTOMER")
@add_location_options
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File to write, mode 0600. It contains people's names.",
)
def fetch(customer: CustomerId, location: Location, out: Path) -> ExitCode:
    """Fetch a customer's roster into a OneRoster ZIP file, without a plan.

    A roster from an API is written as the CSV files that a plan reads, so that line numbers in a plan match.
    """
    workspace = open_workspace(location, absent=AbsentStore.IMAGINE)
    with show_progress_bars() as progress_factory:
        saved = save_roster(workspace, customer, out, clock.get_current_moment(), progress_factory)
    for diagnostic in saved.diagnostics:
        click.echo(str(diagnostic), err=True)
    click.echo(_describe_saved_roster(saved, out))
    return ExitCode.DONE if saved.rows is not None else ExitCode.ERROR


@click.command()
@click.argument("customer", metavar="CUSTOMER|sftp://HOST")
@add_location_options
@click.option("--format", "output_format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def probe(customer: CustomerId, location: Location, output_format: str) -> ExitCode:
    """Test a customer's SFTP or OneRoster server without fetching its roster.

    sftp://HOST[:PORT] shows the host keys of a server that no customer uses yet, without signing in.
    """
    workspace = open_workspace(location, absent=AbsentStore.IMAGINE)
    probed = probe_address if "://" in customer else probe_source
    findings = probed(workspace, customer, clock.get_current_moment())
    click.echo(_format_json(customer, findings) if output_format == "json" else _format_text(findings))
    bad = any(finding.severity is Severity.ERROR for finding in findings)
    return ExitCode.ERROR if bad else ExitCode.DONE


def _describe_saved_roster(roster: SavedRoster, out: Path) -> str:
    if roster.rows is None:
        return f"Saved {roster.name} to {out} as received. It cannot be used as a roster."
    counts = " · ".join(f"{stem} {roster.rows.get(stem, 0):,}" for stem in SUMMARY_TABLES)
    return f"Saved {roster.name} to {out}. It contains people's names.\n{counts}"


def _format_text(findings: tuple[ProbeFinding, ...]) -> str:
    """Return one line for each finding, followed by its remark."""
    widest = max((len(finding.name) for finding in findings), default=0)
    lines = []
    for finding in findings:
        mark = "" if finding.severity is Severity.INFO else f"{finding.severity}: "
        lines.append(f"{finding.name:<{widest}}  {mark}{finding.value}".rstrip())
        if finding.remark:
            lines.append(f"{'':<{widest}}  {finding.remark}")
    return "\n".join(lines)


def _format_json(customer: CustomerId, findings: tuple[ProbeFinding, ...]) -> str:
    document = {
        "format_version": FORMAT_VERSION,
        "customer": customer,
        "findings": [
            {"name": each.name, "value": each.value, "remark": each.remark or None, "severity": each.severity}
            for each in findings
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=2)
