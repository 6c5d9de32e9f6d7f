"""`import`: writes the live settings into the files, and says of each what became of it."""

from __future__ import annotations

import click

from reconciler.cli.exit_code import ExitCode, select_worst_exit_code
from reconciler.cli.options import add_new_location_options
from reconciler.model.diagnostic import ConfigurationRefusal, Refusal
from reconciler.operations.location import Location
from reconciler.operations.settings_import import ImportedCustomer, ImportState, import_live_settings
from reconciler.operations.workspace import open_workspace


@click.command("import")
@click.argument("customers", nargs=-1, metavar="[CUSTOMER]...")
@click.option("--check", is_flag=True, help="Write nothing; say what would be written, and exit 1 if anything would.")
@add_new_location_options
def import_settings(customers: tuple[str, ...], check: bool, location: Location) -> ExitCode:
    """Write the live settings of customers, or of all and the catalogue, as YAML below --dir.

    What was changed in the store by hand is taken over. Of files that are there already only what differs is changed,
    comments are kept, and secrets stay references. A plan right after has nothing to change.
    """
    if not check:
        location.directory.mkdir(parents=True, exist_ok=True)
    workspace = open_workspace(location, make_store=False)
    made = import_live_settings(workspace, customers)
    codes = [_write_imported_customer(each, check=check) for each in made]
    files = [file for each in made for file in each.files]
    count = sum(file.state is not ImportState.UNCHANGED for file in files)
    would = "would be written" if check else "written"
    click.echo(f"{count:,} of {len(files):,} {'file' if len(files) == 1 else 'files'} {would}.", err=True)
    return select_worst_exit_code([ExitCode.DONE, *codes, *([ExitCode.ERROR] if check and count else [])])


def _write_imported_customer(customer: ImportedCustomer, *, check: bool) -> ExitCode:
    for remark in customer.diagnostics:
        click.echo(str(remark), err=True)
    if customer.refusal is not None:
        return _report_refusal(customer.refusal)
    if not check:
        try:
            customer.write_files()
        except Refusal as refusal:
            return _report_refusal(refusal)
    for file in customer.files:
        click.echo(f"{file.state:<9}  {file.name}")
    return ExitCode.DONE


def _report_refusal(refusal: Refusal) -> ExitCode:
    for diagnostic in refusal.diagnostics:
        click.echo(str(diagnostic), err=True)
    return ExitCode.INVALID_CONFIGURATION if isinstance(refusal, ConfigurationRefusal) else ExitCode.ERROR
