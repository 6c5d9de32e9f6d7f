"""Which part of a customer's roster is synced: the rows inside what its configuration selects, and those outside.

A row outside is in the file all the same: whoever is live and outside leaves for that reason and for no other, and
nobody else is taken for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error, build_warning
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.role import Role

NO_SPANS: Mapping[str, Span] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RosterSelection:
    """None takes all. schools, classes: sourcedIds. grades: as the roster writes them; students only. roles: Role
    values of people's primary roles. spans: where a list (`schools`) or an entry of it (`schools.0`) is written."""

    schools: tuple[str, ...] | None = None
    grades: tuple[str, ...] | None = None
    roles: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    spans: Mapping[str, Span] = field(default_factory=lambda: NO_SPANS, compare=False)

    def find_span(self, key: str, place: int | None = None) -> Span | None:
        return self.spans.get(f"{key}.{place}") or self.spans.get(key)


@dataclass(frozen=True, slots=True)
class SelectionResult:
    """rows: by roster kind, what is inside. outside: by roster kind, sourcedIds of the file's rows that are not."""

    rows: Mapping[Kind, pl.DataFrame]
    unselected_ids: Mapping[Kind, pl.Series]
    diagnostics: tuple[Diagnostic, ...] = ()


def select_everything(rows: Mapping[Kind, pl.DataFrame]) -> SelectionResult:
    """Nothing is selected, so everything is inside."""
    return SelectionResult(rows, {kind: _make_empty_keys() for kind in ROSTER_KINDS})


def apply_selection(
    selection: RosterSelection,
    rows: Mapping[Kind, pl.DataFrame],
    roles: pl.DataFrame,
    quarantined_ids: Mapping[Kind, pl.Series],
    unplaced: pl.Series,
) -> SelectionResult:
    """rows: the customer's, users with `role` and `status_of_row`. roles: `user`, `org`. aside: sourcedIds of rows set
    aside, whose enrollments stay inside. unplaced: orgs of which nothing shows where they belong; they count as inside.

    Raises Refusal (`selection-matches-nobody`) where people are in the file and none of them is inside.
    """
    orgs, users, classes, enrollments = (rows[kind] for kind in ROSTER_KINDS)
    schools = _add_orgs_below(orgs, selection.schools, unplaced) if selection.schools is not None else None
    inside = _select_people(selection, users, roles, enrollments, schools)
    if schools is not None:
        classes = _filter_by_keys(classes, "school", schools)
        orgs = _filter_by_keys(orgs, "sourced_id", _add_orgs_above(orgs, _list_needed_orgs(schools, roles, inside)))
    taught = quarantined_ids[Kind.CLASS]
    if selection.classes is not None:
        classes = classes.filter(pl.col("sourced_id").is_in(selection.classes))
        taught = taught.filter(taught.is_in(selection.classes))
    enrollments = _filter_by_keys(enrollments, "class", _merge_keys(classes["sourced_id"], taught))
    enrollments = _filter_by_keys(enrollments, "user", _merge_keys(inside["sourced_id"], quarantined_ids[Kind.USER]))
    selected = {Kind.ORG: orgs, Kind.USER: inside, Kind.CLASS: classes, Kind.ENROLLMENT: enrollments}
    outside = {
        kind: rows[kind].select("sourced_id").join(selected[kind], on="sourced_id", how="anti")["sourced_id"]
        for kind in ROSTER_KINDS
    }
    return SelectionResult(selected, outside, _warn_unknown_ids(selection, rows, quarantined_ids))


def _select_people(
    selection: RosterSelection,
    users: pl.DataFrame,
    roles: pl.DataFrame,
    enrollments: pl.DataFrame,
    schools: pl.Series | None,
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
        raise Refusal(
            [_report_nobody(selection, key) for key in alone] or [_report_nobody_by_all(selection, list(criteria))]
        )
    return inside


def _list_needed_orgs(schools: pl.Series, roles: pl.DataFrame, inside: pl.DataFrame) -> pl.Series:
    """Selected orgs, and those in which somebody inside has a role as well: a role needs its org."""
    theirs = roles.join(inside, left_on="user", right_on="sourced_id", how="semi")["org"]
    return _merge_keys(schools, theirs)


def _add_orgs_below(orgs: pl.DataFrame, schools: tuple[str, ...], unplaced: pl.Series) -> pl.Series:
    known = _merge_keys(orgs["sourced_id"], unplaced)
    found = _merge_keys(known.filter(known.is_in(schools)), unplaced)
    level = found
    while level.len():
        below = orgs.filter(pl.col("parent").is_in(level.implode()))["sourced_id"]
        level = below.filter(~below.is_in(found.implode()))
        found = _merge_keys(found, level)
    return found


def _add_orgs_above(orgs: pl.DataFrame, wanted: pl.Series) -> pl.Series:
    """The customer's own org is above them all."""
    found = _merge_keys(wanted, orgs.filter(pl.col("parent").is_null())["sourced_id"])
    level = found
    while level.len():
        above = orgs.filter(pl.col("sourced_id").is_in(level.implode()))["parent"].drop_nulls().unique()
        level = above.filter(~above.is_in(found.implode()))
        found = _merge_keys(found, level)
    return found


def _filter_by_keys(frame: pl.DataFrame, column: str, keys: pl.Series) -> pl.DataFrame:
    return frame.join(keys.alias(column).to_frame(), on=column, how="semi", maintain_order="left")


def _merge_keys(*series: pl.Series) -> pl.Series:
    return pl.concat([each.alias("sourced_id") for each in series]).unique(maintain_order=True)


def _make_empty_keys() -> pl.Series:
    return pl.Series("sourced_id", [], dtype=pl.String)


def _warn_unknown_ids(
    selection: RosterSelection, rows: Mapping[Kind, pl.DataFrame], quarantined_ids: Mapping[Kind, pl.Series]
) -> tuple[Diagnostic, ...]:
    """A warning for each school or class that is named and not in the file."""
    found = []
    for key, names, kind in (("schools", selection.schools, Kind.ORG), ("classes", selection.classes, Kind.CLASS)):
        wanted = pl.Series(names or (), dtype=pl.String)
        known = _merge_keys(rows[kind]["sourced_id"], quarantined_ids[kind])
        for place in (~wanted.is_in(known.implode())).arg_true().to_list():
            what = "an org" if kind is Kind.ORG else "a class"
            found.append(
                build_warning(
                    "selected-row-missing",
                    f"rostering.select.{key} names {wanted[place]}, which is not {what} of this customer in the file",
                    selection.find_span(key, place),
                    f"write its sourcedId as {kind.plural}.csv has it, or take it out of select",
                )
            )
    return tuple(found)


def _report_nobody(selection: RosterSelection, key: str) -> Diagnostic:
    return build_error(
        "selection-matches-nobody",
        f"rostering.select.{key} matches nobody in the file",
        selection.find_span(key),
        "a selection without people would take everybody away: correct it, or fetch the roster again",
    )


def _report_nobody_by_all(selection: RosterSelection, keys: list[str]) -> Diagnostic:
    return build_error(
        "selection-matches-nobody",
        f"nobody in the file matches all of rostering.select ({', '.join(keys)}) together",
        selection.find_span(keys[0]),
        "somebody has to meet every one of these lists: correct them, or fetch the roster again",
    )
