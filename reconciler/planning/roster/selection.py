"""Which part of a customer's roster is synced: the rows inside what its configuration selects, and those outside.

A row outside is in the file all the same: whoever is live and outside leaves for that reason and for no other, and
nobody else is taken for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, error, warning
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.role import Role

NO_SPANS: Mapping[str, Span] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Selection:
    """None takes all. schools, classes: sourcedIds. grades: as the roster writes them; students only. roles: Role
    values of people's primary roles. spans: where a list (`schools`) or an entry of it (`schools.0`) is written."""

    schools: tuple[str, ...] | None = None
    grades: tuple[str, ...] | None = None
    roles: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    spans: Mapping[str, Span] = field(default_factory=lambda: NO_SPANS, compare=False)

    def span(self, key: str, place: int | None = None) -> Span | None:
        return self.spans.get(f"{key}.{place}") or self.spans.get(key)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """rows: by roster kind, what is inside. outside: by roster kind, sourcedIds of the file's rows that are not."""

    rows: Mapping[Kind, pl.DataFrame]
    outside: Mapping[Kind, pl.Series]
    diagnostics: tuple[Diagnostic, ...] = ()


def whole(rows: Mapping[Kind, pl.DataFrame]) -> Narrowed:
    """Nothing is selected, so everything is inside."""
    return Narrowed(rows, {kind: _no_keys() for kind in ROSTER_KINDS})


def narrow(
    selection: Selection,
    rows: Mapping[Kind, pl.DataFrame],
    roles: pl.DataFrame,
    aside: Mapping[Kind, pl.Series],
    unplaced: pl.Series,
) -> Narrowed:
    """rows: the customer's, users with `role` and `status_of_row`. roles: `user`, `org`. aside: sourcedIds of rows set
    aside, whose enrollments stay inside. unplaced: orgs of which nothing shows where they belong; they count as inside.

    Raises Refusal (`selection-matches-nobody`) where people are in the file and none of them is inside.
    """
    orgs, users, classes, enrollments = (rows[kind] for kind in ROSTER_KINDS)
    schools = _with_those_below(orgs, selection.schools, unplaced) if selection.schools is not None else None
    inside = _people(selection, users, roles, enrollments, schools)
    if schools is not None:
        classes = _among(classes, "school", schools)
        orgs = _among(orgs, "sourced_id", _with_those_above(orgs, _needed(schools, roles, inside)))
    taught = aside[Kind.CLASS]
    if selection.classes is not None:
        classes = classes.filter(pl.col("sourced_id").is_in(selection.classes))
        taught = taught.filter(taught.is_in(selection.classes))
    enrollments = _among(enrollments, "class", _keys(classes["sourced_id"], taught))
    enrollments = _among(enrollments, "user", _keys(inside["sourced_id"], aside[Kind.USER]))
    selected = {Kind.ORG: orgs, Kind.USER: inside, Kind.CLASS: classes, Kind.ENROLLMENT: enrollments}
    outside = {
        kind: rows[kind].select("sourced_id").join(selected[kind], on="sourced_id", how="anti")["sourced_id"]
        for kind in ROSTER_KINDS
    }
    return Narrowed(selected, outside, _unknown(selection, rows, aside))


def _people(
    selection: Selection, users: pl.DataFrame, roles: pl.DataFrame, enrollments: pl.DataFrame, schools: pl.Series | None
) -> pl.DataFrame:
    """Who meets every criterion. Somebody with no grade at all is not lost over a value that is missing."""
    criteria: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {}
    if schools is not None:
        there = roles.join(schools.alias("org").to_frame(), on="org", how="semi")
        criteria["schools"] = lambda people: people.join(there, left_on="sourced_id", right_on="user", how="semi")
    if selection.grades is not None:
        grades = pl.Series(selection.grades, dtype=pl.String)
        theirs = pl.col("grades").str.split(",").list.eval(pl.element().str.strip_chars().is_in(grades.implode()))
        fits = (pl.col("role") != Role.STUDENT.value) | pl.col("grades").is_null() | theirs.list.any()
        criteria["grades"] = lambda people: people.filter(fits.fill_null(True))
    if selection.roles is not None:
        criteria["roles"] = lambda people: people.filter(pl.col("role").is_in(selection.roles or ()))
    if selection.classes is not None:
        taught = enrollments.filter(pl.col("class").is_in(selection.classes) & (pl.col("status") == "active"))
        criteria["classes"] = lambda people: people.join(taught, left_on="sourced_id", right_on="user", how="semi")
    inside = users
    for meeting in criteria.values():
        inside = meeting(inside)
    wanted = users.filter(pl.col("status_of_row") != "tobedeleted")
    if wanted.height and not inside.filter(pl.col("status_of_row") != "tobedeleted").height:
        alone = [key for key, meeting in criteria.items() if not meeting(wanted).height]
        raise Refusal([_nobody(selection, key) for key in alone] or [_nobody_by_all(selection, list(criteria))])
    return inside


def _needed(schools: pl.Series, roles: pl.DataFrame, inside: pl.DataFrame) -> pl.Series:
    """Selected orgs, and those in which somebody inside has a role as well: a role needs its org."""
    theirs = roles.join(inside, left_on="user", right_on="sourced_id", how="semi")["org"]
    return _keys(schools, theirs)


def _with_those_below(orgs: pl.DataFrame, schools: tuple[str, ...], unplaced: pl.Series) -> pl.Series:
    known = _keys(orgs["sourced_id"], unplaced)
    found = _keys(known.filter(known.is_in(schools)), unplaced)
    level = found
    while level.len():
        below = orgs.filter(pl.col("parent").is_in(level.implode()))["sourced_id"]
        level = below.filter(~below.is_in(found.implode()))
        found = _keys(found, level)
    return found


def _with_those_above(orgs: pl.DataFrame, wanted: pl.Series) -> pl.Series:
    """The customer's own org is above them all."""
    found = _keys(wanted, orgs.filter(pl.col("parent").is_null())["sourced_id"])
    level = found
    while level.len():
        above = orgs.filter(pl.col("sourced_id").is_in(level.implode()))["parent"].drop_nulls().unique()
        level = above.filter(~above.is_in(found.implode()))
        found = _keys(found, level)
    return found


def _among(frame: pl.DataFrame, column: str, keys: pl.Series) -> pl.DataFrame:
    return frame.join(keys.alias(column).to_frame(), on=column, how="semi", maintain_order="left")


def _keys(*series: pl.Series) -> pl.Series:
    return pl.concat([each.alias("sourced_id") for each in series]).unique(maintain_order=True)


def _no_keys() -> pl.Series:
    return pl.Series("sourced_id", [], dtype=pl.String)


def _unknown(
    selection: Selection, rows: Mapping[Kind, pl.DataFrame], aside: Mapping[Kind, pl.Series]
) -> tuple[Diagnostic, ...]:
    """A warning for each school or class that is named and not in the file."""
    found = []
    for key, names, kind in (("schools", selection.schools, Kind.ORG), ("classes", selection.classes, Kind.CLASS)):
        wanted = pl.Series(names or (), dtype=pl.String)
        known = _keys(rows[kind]["sourced_id"], aside[kind])
        for place in (~wanted.is_in(known.implode())).arg_true().to_list():
            what = "an org" if kind is Kind.ORG else "a class"
            found.append(
                warning(
                    "selected-row-missing",
                    f"rostering.select.{key} names {wanted[place]}, which is not {what} of this customer in the file",
                    selection.span(key, place),
                    f"write its sourcedId as {kind.plural}.csv has it, or take it out of select",
                )
            )
    return tuple(found)


def _nobody(selection: Selection, key: str) -> Diagnostic:
    return error(
        "selection-matches-nobody",
        f"rostering.select.{key} matches nobody in the file",
        selection.span(key),
        "a selection without people would take everybody away: correct it, or fetch the roster again",
    )


def _nobody_by_all(selection: Selection, keys: list[str]) -> Diagnostic:
    return error(
        "selection-matches-nobody",
        f"nobody in the file matches all of rostering.select ({', '.join(keys)}) together",
        selection.span(keys[0]),
        "somebody has to meet every one of these lists: correct them, or fetch the roster again",
    )
