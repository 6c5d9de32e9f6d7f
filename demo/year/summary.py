"""The year in a table, by month."""

from __future__ import annotations

from itertools import groupby

from demo.year.office import Office
from demo.year.picture import WORTH_A_BAR
from demo.year.series import Day, Series

HEAD = ("month", "rosters", "people", "added", "removed", "returned", "rekeyed", "held", "approved", "refused")


def summarize_year(series: Series, office: Office, wrong: int) -> str:
    rows = [
        HEAD,
        *(_build_month_row(month, list(days)) for month, days in groupby(series.days, key=lambda day: day.day[:7])),
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEAD))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([*lines, "", *_describe_outcome(series, office, wrong)])


def _build_month_row(month: str, days: list[Day]) -> tuple[str, ...]:
    became = [day.became for day in days]
    return (
        month,
        f"{len(days):,}",
        f"{days[-1].live:,}",
        *(f"{sum(getattr(day, name) for day in days):,}" for name in ("added", "removed", "restored", "rekeyed")),
        *(f"{became.count(name):,}" for name in ("held", "approved", "refused")),
    )


def _describe_outcome(series: Series, office: Office, wrong: int) -> list[str]:
    here = office.list_present()
    links, passwords = (sum(getattr(each, name) is not None for each in here) for name in ("subject", "password"))
    given = sum(len(each.assignments) for each in here)
    short = [day for day in series.days if day.live - day.sent >= WORTH_A_BAR]
    most = max((day.live - day.sent for day in short), default=0)
    refused, held = (sum(day.became == became for day in short) for became in ("refused", "held"))
    if wrong:
        return [f"{wrong:,} things are not as they should be; they are named above."]
    return [
        f"{len(here):,} people should have an account, and each has exactly one: nobody was lost, nobody doubled,",
        f"with the {links:,} LMS links, {passwords:,} passwords and {given:,} assignments that they had.",
        f"{len(short):,} rosters left out people who belong here, up to {most:,} at once: {refused:,} were refused, "
        f"{held:,} held.",
    ]
