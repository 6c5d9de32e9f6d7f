"""`new`: create a file from a commented template, without values that only people know; `validate` asks for them."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import jinja2

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import add_new_files_options
from reconciler.config.fields import ID_PATTERN
from reconciler.config.load import COMMUNITIES, CUSTOMER_FILE, LESSONS, CustomerFolder, scan_repository
from reconciler.model.ids import CustomerId

KINDS = ("customer", "community", "lesson")
SYNC_TYPES = ("zip", "sftp", "api")
LICENSE_TERM = timedelta(days=364)

#: IDs that a customer cannot have, with the reason
RESERVED_IDS = {
    COMMUNITIES: "a folder of this name holds a customer's communities",
    LESSONS: "a folder of this name holds lessons",
    "catalog": "commands use this name for the shared lessons",
    "catalogue": "commands use this name for the shared lessons",
}

FIELDS_TO_FILL = {
    None: ("the administrators", "the address", "agreements: the dates on which they were accepted"),
    "zip": ("client_partner_id", "match_with"),
    "sftp": ("client_partner_id", "match_with", "host", "username", "path", "host_key"),
    "api": ("client_partner_id", "match_with", "url", "consumer_key"),
}


@click.command("new")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name", metavar="ID")
@click.option("--sync", type=click.Choice(SYNC_TYPES), help="For a customer: how its roster arrives.")
@click.option(
    "--customer",
    metavar="ID",
    help="Customer of the community or lesson. A lesson without one goes to the shared catalog.",
)
@add_new_files_options
def create_document(kind: str, name: str, sync: str | None, customer: CustomerId | None, directory: Path) -> ExitCode:
    """Create a customer, community or lesson file from a commented template. Never overwrites a file."""
    if not re.fullmatch(ID_PATTERN, name):
        raise click.BadParameter("an ID must be lowercase letters and digits, with single hyphens between words")
    if kind == "customer" and name in RESERVED_IDS:
        raise click.BadParameter(f"{name} is reserved: {RESERVED_IDS[name]}. Choose another ID")
    if kind != "customer" and sync:
        raise click.UsageError("--sync is only for a customer")
    if kind == "customer" and customer:
        raise click.UsageError("--customer is only for a community or a lesson")
    if kind == "community" and not customer:
        raise click.UsageError("a community requires --customer ID")
    path = _choose_path(kind, name, customer, directory)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_render_template(kind, name, customer, sync))
    except FileExistsError:
        raise click.ClickException(f"{path} already exists; nothing was written") from None
    click.echo(path)
    for line in _list_next_steps(kind, path, sync, directory):
        click.echo(line, err=True)
    return ExitCode.DONE


def _choose_path(kind: str, name: str, customer: CustomerId | None, directory: Path) -> Path:
    folders = {folder.id: folder for folder in scan_repository(directory).customers} if directory.is_dir() else {}
    if kind == "customer":
        there = folders.get(CustomerId(name))
        if there is not None:
            raise click.ClickException(f"customer {name} already exists: {_find_customer_folder(there)}")
        return directory / name / CUSTOMER_FILE
    if customer is None:
        return directory / LESSONS / f"{name}.yaml"
    if customer not in folders:
        raise click.ClickException(
            f"customer {customer} not found in {directory}. Create it first: reconciler new customer {customer}"
        )
    return _find_customer_folder(folders[customer]) / (COMMUNITIES if kind == "community" else LESSONS) / f"{name}.yaml"


def _find_customer_folder(folder: CustomerFolder) -> Path:
    if folder.file is None:
        raise click.ClickException(
            f"customer {folder.id} has no {CUSTOMER_FILE}. To see where, run: reconciler validate"
        )
    return Path(folder.file.path).parent


def _render_template(kind: str, name: str, customer: CustomerId | None, sync: str | None) -> str:
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("reconciler.cli"),
        autoescape=False,  # YAML; only IDs are inserted
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    today = datetime.now(UTC).date()
    return templates.get_template(f"{kind}.yaml.j2").render(
        id=name,
        title=name.replace("-", " ").title(),
        customer=customer,
        sync=sync,
        starts=today,
        ends=today + LICENSE_TERM,
    )


def _list_next_steps(kind: str, path: Path, sync: str | None, directory: Path) -> list[str]:
    where = "" if directory == Path("customers") else f" --dir {directory}"
    steps = []
    if kind == "customer":
        steps += [
            "Fill in:",
            *(f"    {each}" for each in (*FIELDS_TO_FILL[None], *(FIELDS_TO_FILL[sync] if sync else ()))),
        ]
        steps.append("Agreements are left out on purpose: only the institution can confirm that it accepted them.")
    else:
        steps.append("Check every value: all of them are examples.")
    return [*steps, f"Then run:  reconciler validate{where}"]
