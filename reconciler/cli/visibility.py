"""The `--people` option: how reports show people."""

import sys

import click

from reconciler.reports.plan import PeopleVisibility

people_option = click.option(
    "--people",
    type=click.Choice([each.value for each in PeopleVisibility]),
    help="How to show people: full names, masked (pseudonyms) or ids.  [default: full on a terminal, otherwise masked]",
)


def resolve_visibility(people: str | None, output_format: str = "text") -> PeopleVisibility:
    """Return the visibility that was asked for; without one, full names only for text on a terminal."""
    if people:
        return PeopleVisibility(people)
    return PeopleVisibility.FULL if output_format == "text" and sys.stdout.isatty() else PeopleVisibility.MASKED
