"""Splits a customer's rows into those that its configuration selects and those that it does not.

An unselected row is still in the file: an account of it leaves because it is no longer selected, and cannot be matched
with another person.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error, build_warning
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.role import Role
from reconciler.oneroster.snapshot import is_marked_deleted

NO_SPANS: Mapping[str, Span] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RosterSelection:
    """The lists under `rostering.select`; None selects everything."""

    #: sourcedIds; orgs below them are included
    schools: tuple[str, ...] | None = None
    #: as the roster writes them; apply to students only
    grades: tuple[str, ...] | None = None
    #: Role values of people's primary roles
    roles: tuple[str, ...] | None = None
    #: sourcedIds
    classes: tuple[str, ...] | None = None
    #: by list (`schools`) and by entry (`schools.0`)
    spans: Mapping[str, Span] = field(default_factory=lambda: NO_SPANS, compare=False)

    def find_span(self, key: str, place: int | None = None) -> Span | None:
        """Return the span of a list's entry, or of the list if that is not known."""
        return self.spans.get(f"{key}.{place}") or self.spans.get(key)


@dataclass(frozen=True, slots=True)
class SelectionResult:
    """The selected rows, and the sourcedIds of the others in the file, by roster kind."""

    rows: Mapping[Kind, pl.DataFrame]
    unselected_ids: Mapping[Kind, pl.Series]
    diagnostics: tuple[Diagnostic, ...] = ()


def select_everything(rows: Mapping[Kind, pl.DataFrame]) -> SelectionResult:
    """Return all rows, for a customer whose configuration has no `select`."""
    return SelectionResult(rows, {kind: pl.Series("sourced_id", [], dtype=pl.String) for kind in ROSTER_KINDS})


def apply_selection(
    selection: RosterSelection,
    rows: Mapping[Kind, pl.DataFrame],
    roles: pl.DataFrame,
    quarantined_ids: Mapping[Kind, pl.Series],
    unplaced: pl.Series,
) -> SelectionResult:
    """Return the rows that a selection includes.

    `rows` are the customer's, users with `role` and `status_of_row`; `roles` has `user` and `org`. Enrollments of
    `quarantined_ids` stay selected, and so do `unplaced` orgs, whose parent is not known. Raises Refusal
    (`selection-matches-nobody`) if the file has people and none of them is selected.
    """
    orgs, users, classes, enrollments = (rows[kind] for kind in ROSTER_KINDS)
    schools = None
    if selection.schools is not None:
        known = _merge_keys(orgs["sourced_id"], unplaced)
        schools = add_orgs_below(orgs, _merge_keys(known.filter(known.is_in(selection.schools)), unplaced))
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
    """Return people who meet every criterion; a student without any grade meets the one on grades."""
    criteria: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {}
    if schools is not None:
        members = roles.join(schools.alias("org").to_frame(), on="org", how="semi")
        criteria["schools"] = lambda people: people.join(members, left_on="sourced_id", right_on="user", how="semi")
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
    for criterion in criteria.values():
        inside = criterion(inside)
    wanted = users.filter(~is_marked_deleted("status_of_row"))
    if wanted.height and not inside.filter(~is_marked_deleted("status_of_row")).height:
        unmet = [key for key, criterion in criteria.items() if not criterion(wanted).height]
        raise Refusal(
            [_report_nobody(selection, key) for key in unmet] or [_report_nobody_by_all(selection, list(criteria))]
        )
    return inside


def _list_needed_orgs(schools: pl.Series, roles: pl.DataFrame, inside: pl.DataFrame) -> pl.Series:
    """Return selected orgs and all orgs in which a selected person has a role: a role needs its org."""
    theirs = roles.join(inside, left_on="user", right_on="sourced_id", how="semi")["org"]
    return _merge_keys(schools, theirs)


def add_orgs_below(orgs: pl.DataFrame, tops: pl.Series) -> pl.Series:
    """Return the sourcedIds in `tops` and those of all orgs below them."""
    included = level = tops
    while level.len():
        below = orgs.filter(pl.col("parent").is_in(level.implode()))["sourced_id"]
        level = below.filter(~below.is_in(included.implode()))
        included = _merge_keys(included, level)
    return included


def _add_orgs_above(orgs: pl.DataFrame, wanted: pl.Series) -> pl.Series:
    """Add all orgs above these, and the customer's top org."""
    included = level = _merge_keys(wanted, orgs.filter(pl.col("parent").is_null())["sourced_id"])
    while level.len():
        above = orgs.filter(pl.col("sourced_id").is_in(level.implode()))["parent"].drop_nulls().unique()
        level = above.filter(~above.is_in(included.implode()))
        included = _merge_keys(included, level)
    return included


def _filter_by_keys(frame: pl.DataFrame, column: str, keys: pl.Series) -> pl.DataFrame:
    return frame.join(keys.alias(column).to_frame(), on=column, how="semi", maintain_order="left")


def _merge_keys(*series: pl.Series) -> pl.Series:
    return pl.concat([each.alias("sourced_id") for each in series]).unique(maintain_order=True)


def _warn_unknown_ids(
    selection: RosterSelection, rows: Mapping[Kind, pl.DataFrame], quarantined_ids: Mapping[Kind, pl.Series]
) -> tuple[Diagnostic, ...]:
    """Warn of each listed school or class that is not in the file."""
    diagnostics = []
    for key, names, kind in (("schools", selection.schools, Kind.ORG), ("classes", selection.classes, Kind.CLASS)):
        wanted = pl.Series(names or (), dtype=pl.String)
        known = _merge_keys(rows[kind]["sourced_id"], quarantined_ids[kind])
        for place in (~wanted.is_in(known.implode())).arg_true().to_list():
            what = "an org" if kind is Kind.ORG else "a class"
            diagnostics.append(
                build_warning(
                    "selected-row-missing",
                    f"rostering.select.{key} lists {wanted[place]}, which is not {what} of this customer in the file",
                    selection.find_span(key, place),
                    f"Copy its sourcedId from {kind.plural}.csv, or remove it from select.",
                )
            )
    return tuple(diagnostics)


def _report_nobody(selection: RosterSelection, key: str) -> Diagnostic:
    return build_error(
        "selection-matches-nobody",
        f"rostering.select.{key} matches nobody in the file",
        selection.find_span(key),
        "Correct the list, or fetch the roster again. A selection without people would remove everybody.",
    )


def _report_nobody_by_all(selection: RosterSelection, keys: list[str]) -> Diagnostic:
    return build_error(
        "selection-matches-nobody",
        f"nobody in the file matches all lists of rostering.select ({', '.join(keys)})",
        selection.find_span(keys[0]),
        "Correct the lists so that at least one person matches all of them, or fetch the roster again.",
    )
