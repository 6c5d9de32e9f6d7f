"""`import`: export settings from the store to the YAML files, and list the state of each file."""

import click

from reconciler.cli.exit_code import ExitCode, select_worst_exit_code
from reconciler.cli.options import add_new_location_options
from reconciler.model.diagnostic import ConfigurationRefusal, Refusal
from reconciler.model.ids import CustomerId
from reconciler.operations.location import Location
from reconciler.operations.settings_import import ImportedCustomer, ImportState, import_live_settings
from reconciler.operations.workspace import AbsentStore, open_workspace

NO_FILES = "No files to write."


@click.command("import")
@click.argument("customers", nargs=-1, metavar="[CUSTOMER]...")
@click.option(
    "--check", is_flag=True, help="Write nothing; list the files that would be written, and exit 1 if there are any."
)
@add_new_location_options
def import_settings(customers: tuple[CustomerId, ...], check: bool, location: Location) -> ExitCode:
    """Export the settings of customers, or of all customers and the catalog, from the store to YAML below --dir.

    Includes manual changes in the store. Updates existing files only where they differ, keeps comments and writes
    secrets as references. A plan right after import shows no changes.
    """
    if not check:
        location.directory.mkdir(parents=True, exist_ok=True)
    workspace = open_workspace(location, absent=AbsentStore.REFUSE)
    made = import_live_settings(workspace, customers)
    codes = [_write_imported_customer(each, check=check) for each in made]
    files = [file for each in made for file in each.files]
    count = sum(file.state is not ImportState.UNCHANGED for file in files)
    would = "would be written" if check else "written"
    summary = f"{count:,} of {len(files):,} {'file' if len(files) == 1 else 'files'} {would}." if files else NO_FILES
    click.echo(summary, err=True)
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
