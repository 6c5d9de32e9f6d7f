"""`schema`: write the JSON Schemas of all documents and of the plan, or list those that are out of date."""

import json
from pathlib import Path
from typing import Any

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import add_new_files_options
from reconciler.config.schema import build_schemas

DEFAULT_TARGET = Path("schemas")
PLAN_SCHEMA_NAME = "plan.schema.json"


@click.command("schema")
@click.argument("target", metavar="[DIR]", type=click.Path(file_okay=False, path_type=Path), default=DEFAULT_TARGET)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a schema is missing or out of date.")
@add_new_files_options
def write_schemas(target: Path, check: bool, directory: Path) -> ExitCode:
    """Write JSON Schemas to DIR (default: schemas).

    Editors use them to complete and explain the keys of the YAML files.
    """
    texts = {target / name: _format_schema(document) for name, document in _collect_schemas().items()}
    stale = [path for path, text in texts.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if check:
        return _report_stale_schemas(stale, target)
    target.mkdir(parents=True, exist_ok=True)
    for path in stale:
        path.write_text(texts[path], encoding="utf-8")
    click.echo(f"{len(stale)} of {len(texts)} schemas written to {target}; the others were up to date.")
    return ExitCode.DONE


def _collect_schemas() -> dict[str, dict[str, Any]]:
    # Importing the reports loads polars, which no other command for files needs.
    from reconciler.reports.plan import build_plan_schema

    return {**build_schemas(), PLAN_SCHEMA_NAME: build_plan_schema()}


def _report_stale_schemas(stale: list[Path], target: Path) -> ExitCode:
    for path in stale:
        state = "is out of date" if path.is_file() else "is missing"
        click.echo(f"{path}: error: the schema {state} [stale-schema]", err=True)
    if not stale:
        click.echo("The schemas are up to date.")
        return ExitCode.DONE
    click.echo(f"    Run: reconciler schema {target}", err=True)
    return ExitCode.ERROR


def _format_schema(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
