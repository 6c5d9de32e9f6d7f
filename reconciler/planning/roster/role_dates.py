"""Splits the roles of people by beginDate and endDate of roles.csv (OneRoster 1.2).

A role is active from its first date to its last one. A person whose roles have all ended leaves. A person who has no
active role but has one that is yet to begin stays as they are until then.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Severity, Span, build_info, build_warning
from reconciler.model.kind import Kind
from reconciler.oneroster.snapshot import QUARANTINE_SCHEMA, is_marked_deleted
from reconciler.planning.roster.quarantine import build_quarantine_rows

#: Code of the rows of people whose role has not begun.
ROLE_TO_COME = "role-to-come"
#: If at least this share of people have only roles that have ended, the dates are doubtful enough for a warning.
_DOUBTFUL_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class DatedRoles:
    """The roles of one customer's people on a date."""

    #: the active roles, and all roles of people who are marked as deleted
    roles: pl.DataFrame
    #: sourcedIds of people whose roles have all ended
    ended_people: pl.Series
    #: rows of people who have no active role yet (QUARANTINE_SCHEMA); they protect as quarantined rows do
    people_to_come: pl.DataFrame
    diagnostics: tuple[Diagnostic, ...]


def split_roles_by_date(
    roles: pl.DataFrame, users: pl.DataFrame, today: str | None, protected: pl.Series | None = None
) -> DatedRoles:
    """Return the roles that are active on a date (YYYY-MM-DD; None: all).

    `roles` are one customer's; `protected` are sourcedIds of people who have other rows, so that the end of these
    roles does not mean that they left.

    OneRoster's endDate is the first date after the role, but many exports give the last one, so a role counts as ended
    when both have passed. A role without a readable date, or whose dates contradict each other, counts as active.
    """
    if today is None or not _has_dates(roles):
        return DatedRoles(roles, users["sourced_id"].clear(), pl.DataFrame(schema=QUARANTINE_SCHEMA), ())
    flags = roles.select(
        _is_reversed().alias("reversed"),
        _is_ended(today).alias("ended"),
        (~_is_reversed() & (_parse_date("begin_date") > _parse_today(today))).fill_null(False).alias("coming"),
    )
    warnings = _report_reversed(roles.filter(flags["reversed"]))
    if not (flags["ended"].any() or flags["coming"].any()):
        return DatedRoles(roles, users["sourced_id"].clear(), pl.DataFrame(schema=QUARANTINE_SCHEMA), tuple(warnings))
    marked = users.filter(is_marked_deleted())["sourced_id"]
    is_active = ~(flags["ended"] | flags["coming"]) | roles["user"].is_in(marked.implode())
    active, others = roles.filter(is_active), roles.filter(~is_active)
    idle = users.join(others, left_on="sourced_id", right_on="user", how="semi", maintain_order="left").join(
        active, left_on="sourced_id", right_on="user", how="anti", maintain_order="left"
    )
    begins = roles.filter(flags["coming"])["user"]
    to_come = idle.filter(pl.col("sourced_id").is_in(begins.implode()))
    ended = idle.join(to_come, on="sourced_id", how="anti", maintain_order="left")
    if protected is not None:
        ended = ended.filter(~pl.col("sourced_id").is_in(protected.implode()))
    return DatedRoles(
        active,
        ended["sourced_id"],
        build_quarantine_rows(
            Kind.USER,
            to_come.rename({"username": "roster_username"}),
            "sourced_id",
            ROLE_TO_COME,
            pl.lit("the person's role has not begun"),
            "There is nothing to do: the role counts from its beginDate.",
        ),
        (*warnings, *_report_ended(ended, users.height), *_report_to_come(to_come)),
    )


def find_roles_elsewhere(roles: pl.DataFrame, own_orgs: pl.Series, today: str | None) -> pl.DataFrame:
    """Return `user` and `org` of the roles elsewhere of people whose roles in `own_orgs` have all ended on a date.

    The returned roles have not ended. `roles` are those of the whole file.
    """
    if today is None or not _has_dates(roles):
        return roles.select("user", "org").clear()
    lasting = roles.filter(~_is_ended(today))
    is_own = pl.col("org").is_in(own_orgs.implode())
    ended = roles.filter(is_own).join(lasting.filter(is_own), on="user", how="anti")["user"]
    return lasting.filter(~is_own & pl.col("user").is_in(ended.implode())).select("user", "org")


def _has_dates(roles: pl.DataFrame) -> bool:
    # OneRoster 1.1 has no dates, and parsing an empty column takes time too.
    return roles["begin_date"].null_count() + roles["end_date"].null_count() < 2 * roles.height


def _is_reversed() -> pl.Expr:
    return (_parse_date("end_date") < _parse_date("begin_date")).fill_null(False)


def _is_ended(today: str) -> pl.Expr:
    return (~_is_reversed() & (_parse_date("end_date") < _parse_today(today))).fill_null(False)


def _parse_today(today: str) -> pl.Expr:
    return pl.lit(today, dtype=pl.String).str.to_date("%Y-%m-%d", strict=True)


def _parse_date(column: str) -> pl.Expr:
    return pl.col(column).str.to_date("%Y-%m-%d", strict=False)


def _report_reversed(roles: pl.DataFrame) -> Iterator[Diagnostic]:
    if roles.height:
        number = "1 role ends" if roles.height == 1 else f"{roles.height:,} roles end"
        yield build_warning(
            "reversed-dates",
            f"{number} before beginning; the dates are not used",
            Span("roles.csv", int(roles["line"].sort()[0])),
            "Correct beginDate or endDate in the export.",
        )


def _report_ended(people: pl.DataFrame, total: int) -> Iterator[Diagnostic]:
    """Report people whose roles have all ended; `total` is the number of all people of the customer."""
    if not people.height:
        return
    who = "1 person has" if people.height == 1 else f"{people.height:,} of {total:,} people have"
    is_doubtful = people.height >= total * _DOUBTFUL_SHARE
    yield Diagnostic(
        "role-ended",
        Severity.WARNING if is_doubtful else Severity.INFO,
        f"{who} only roles that ended by their endDate; they count as people who left",
        Span("roles.csv"),
        "Check endDate in the export." if is_doubtful else None,
    )


def _report_to_come(people: pl.DataFrame) -> Iterator[Diagnostic]:
    if people.height:
        who = "1 person has a role that has" if people.height == 1 else f"{people.height:,} people have roles that have"
        message = f"{who} not begun; a new person is added on that date, and a known one stays as is"
        yield build_info(ROLE_TO_COME, message, Span("roles.csv"))
