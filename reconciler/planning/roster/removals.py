"""Finds the people, orgs, classes and enrollments that left a roster, and builds their changes.

A roster removes only records that it manages: never an administrator, a protected sourcedId or a record that a
quarantined row names.
"""

from dataclasses import dataclass

import polars as pl

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic, Span, build_info, build_warning
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason
from reconciler.model.role import ADMINISTRATOR_ROLES
from reconciler.model.roster import AccountManager, AccountStatus
from reconciler.oneroster.snapshot import SESSIONS_SCHEMA
from reconciler.planning.frames.change_frame import make_empty_changes
from reconciler.planning.frames.live import has_any_role, select_countable_people
from reconciler.planning.roster.desired import DesiredRoster
from reconciler.planning.roster.roster_diff import build_removals
from reconciler.planning.roster.sign_ins import OTHER_MANAGERS


def make_empty_sessions() -> pl.DataFrame:
    """Return no academic sessions."""
    return pl.DataFrame(schema=SESSIONS_SCHEMA)


def merge_sessions(sessions: pl.DataFrame, earlier: pl.DataFrame) -> pl.DataFrame:
    """Return the sessions to save with a roster: its own and those of earlier rosters, because this year's file has
    neither the classes nor the terms of last year. If the end of a session differs, the later one is kept, so that one
    wrong date ends nothing."""
    columns = list(SESSIONS_SCHEMA)
    return (
        pl.concat([sessions.select(columns), earlier.select(columns)])
        .sort("sourced_id", "end", descending=[False, True], nulls_last=True, maintain_order=True)
        .unique("sourced_id", keep="first", maintain_order=True)
    )


def find_ended_terms(sessions: pl.DataFrame, today: str | None) -> pl.Series:
    """Return the sourcedIds of sessions that have ended by this date (YYYY-MM-DD; None: none has).

    A session's `end` is the first date after it (OneRoster). A session that two rosters have ended if it did in both.
    """
    is_over = _parse_date("end") <= _parse_today(today)
    is_plausible = (_parse_date("start") < _parse_date("end")).fill_null(pl.col("start").is_null())
    return (
        sessions.group_by("sourced_id")
        .agg((is_over & is_plausible).fill_null(False).all().alias("ended"))
        .filter("ended")["sourced_id"]
    )


def find_ended_classes(classes: pl.DataFrame, sessions: pl.DataFrame, today: str | None) -> pl.Series:
    """Return the sourcedIds of classes whose terms are all known and have all ended. `classes` has `sourced_id` and
    `terms` (sourcedIds joined by commas)."""
    ended = find_ended_terms(sessions, today)
    if not ended.len():
        return classes["sourced_id"].clear()
    terms = pl.col("terms").str.split(",").list.eval(pl.element().str.strip_chars().is_in(ended.implode()))
    return classes.filter(terms.list.all() & pl.col("terms").is_not_null())["sourced_id"]


def is_enrollment_ended(today: str | None) -> pl.Expr:
    """Select enrollments whose own last date has passed, whether `end_date` is that date or the one after it."""
    return (_parse_date("end_date") < _parse_today(today)).fill_null(False)


def _parse_today(today: str | None) -> pl.Expr:
    return pl.lit(today, dtype=pl.String).str.to_date("%Y-%m-%d", strict=True)


def _parse_date(column: str) -> pl.Expr:
    return pl.col(column).str.to_date("%Y-%m-%d", strict=False)


def select_adopted_accounts(absent: pl.DataFrame, protect: frozenset[str]) -> pl.DataFrame:
    """Return absent people whose accounts have another manager, without administrators and protected people."""
    return absent.filter(
        pl.col("managed_by").is_in(OTHER_MANAGERS)
        & ~has_any_role(ADMINISTRATOR_ROLES)
        & ~pl.col("sourced_id").is_in(sorted(protect))
    )


def build_unbinding_changes(adopted: pl.DataFrame) -> pl.DataFrame:
    """Return changes that unbind these accounts from the roster; each keeps its sourcedId as its key. `adopted` has
    `reason` and `line`."""
    nothing = pl.lit(None, dtype=pl.String)
    return build_removals(Kind.USER, adopted, Action.UPDATE).with_columns(
        nothing.alias("roles"), nothing.alias("aliases"), pl.lit(False).alias("bound")
    )


#: Selects people whom the roster marks as deleted, so that `missing` does not keep them.
_IS_MARKED = pl.col("reason").is_in([Reason.ROSTER_TOBEDELETED.value, Reason.ROSTER_INACTIVE.value])


@dataclass(frozen=True, slots=True)
class AbsentPeople:
    """The people who are not in a roster, or not wanted by it."""

    changes: pl.DataFrame
    #: sourcedIds of those who stay, with all their data
    staying_ids: pl.Series
    diagnostics: tuple[Diagnostic, ...]


def _add_reasons(absent: pl.DataFrame, desired: DesiredRoster, kind: Kind) -> pl.DataFrame:
    """Add `reason` and `line`: marked as deleted or inactive, in the file but not selected, or not in the file."""
    return absent.join(
        desired.deletion_marks[kind].rename({"status": "mark"}).unique("key", keep="first", maintain_order=True),
        left_on="sourced_id",
        right_on="key",
        how="left",
        maintain_order="left",
    ).with_columns(
        pl.when(pl.col("mark") == "inactive")
        .then(pl.lit(Reason.ROSTER_INACTIVE.value))
        .when(pl.col("line").is_not_null())
        .then(pl.lit(Reason.ROSTER_TOBEDELETED.value))
        .when(pl.col("sourced_id").is_in(desired.unselected_ids[kind].implode()))
        .then(pl.lit(Reason.SCOPE_NARROWED.value))
        .otherwise(pl.lit(Reason.ROSTER_ROW_MISSING.value))
        .alias("reason"),
        pl.col("line").fill_null(0),
    )


def find_absent_rows(
    kind: Kind, desired: DesiredRoster, live: pl.DataFrame, ended_class_ids: pl.Series | None = None
) -> pl.DataFrame:
    """Return the changes of orgs or classes that left. An ended class that is not in the file concludes."""
    absent = (
        live.filter(~pl.col("tombstoned"))
        .join(desired.frames[kind], on="sourced_id", how="anti")
        .filter(~pl.col("sourced_id").is_in(desired.list_protected(kind).implode()))
    )
    explained = _add_reasons(absent, desired, kind)
    is_ended = pl.lit(False)
    if ended_class_ids is not None:
        is_ended = pl.col("sourced_id").is_in(ended_class_ids.implode()) & (
            pl.col("reason") == Reason.ROSTER_ROW_MISSING.value
        )
    return _delete_or_conclude(kind, explained, is_ended)


def _delete_or_conclude(kind: Kind, absent: pl.DataFrame, is_ended: pl.Expr) -> pl.DataFrame:
    absent = absent.with_columns(is_ended.alias("ended"))
    concluded = absent.filter("ended").with_columns(pl.lit(Reason.SESSION_ENDED.value).alias("reason"))
    return pl.concat(
        [build_removals(kind, absent.filter(~pl.col("ended"))), build_removals(kind, concluded, Action.CONCLUDE)]
    )


def find_absent_people(
    desired: DesiredRoster,
    live: pl.DataFrame,
    roles: pl.DataFrame,
    ids_to_spare: pl.Series,
    missing: str,
    protect: frozenset[str],
) -> AbsentPeople:
    """Return the changes of people who left.

    `live` are users with `roles`; `ids_to_spare` the ids of accounts that this roster has under another sourcedId or
    may select; `missing` is delete, suspend or keep; `protect` are the sourcedIds that a roster never removes.
    """
    absent = (
        live.filter(~pl.col("tombstoned") & pl.col("sourced_id").is_not_null())
        .join(desired.frames[Kind.USER], on="sourced_id", how="anti")
        .filter(
            ~pl.col("sourced_id").is_in(desired.list_protected(Kind.USER).implode())
            & ~pl.col("id").is_in(ids_to_spare.implode())
        )
    )
    managed = absent.filter(pl.col("managed_by") == AccountManager.ROSTER.value)
    removable = managed.join(select_countable_people(live, roles), on="id", how="semi")
    administrators = managed.join(removable, on="id", how="anti")
    has_unclear_roles = pl.col("sourced_id").is_in(desired.list_people_without_clear_roles().implode())
    unclear = removable.filter(has_unclear_roles)
    removable = removable.filter(~has_unclear_roles)
    protected = removable.filter(pl.col("sourced_id").is_in(sorted(protect)))
    leaving = _add_people_reasons(removable.join(protected, on="id", how="anti"), desired)
    unbound = _add_people_reasons(select_adopted_accounts(absent.filter(~has_unclear_roles), protect), desired)
    if missing == "keep":
        unbound = unbound.filter(_IS_MARKED)
    marked, unmarked = leaving.filter(_IS_MARKED), leaving.filter(~_IS_MARKED)
    changes = [build_removals(Kind.USER, marked), build_unbinding_changes(unbound)]
    # The file has the enrollments of spared people under their other sourcedIds.
    spared = live.filter(~pl.col("tombstoned") & pl.col("id").is_in(ids_to_spare.implode()))["sourced_id"].drop_nulls()
    staying_ids = pl.concat([absent.join(pl.concat([leaving, unbound]), on="id", how="anti")["sourced_id"], spared])
    unchanged = unmarked.clear()
    if missing == "delete":
        changes.append(build_removals(Kind.USER, unmarked))
    else:
        staying_ids = pl.concat([staying_ids, unmarked["sourced_id"]])
        unchanged = unmarked
        if missing == "suspend":
            active = unmarked.filter(pl.col("status") == AccountStatus.ACTIVE.value)
            unchanged = unmarked.join(active, on="id", how="anti")
            changes.append(build_removals(Kind.USER, active, Action.SUSPEND))
    unmanaged_count = absent.height - managed.height - unbound.height
    return AbsentPeople(
        pl.concat(changes),
        staying_ids,
        (
            *_report_spared(administrators.height, protected.height, unmanaged_count),
            *_report_unclear_roles(unclear.height),
            *_report_staying(unchanged.height, missing),
        ),
    )


def _add_people_reasons(absent: pl.DataFrame, desired: DesiredRoster) -> pl.DataFrame:
    return _add_reasons(absent, desired, Kind.USER).with_columns(
        pl.when(pl.col("sourced_id").is_in(desired.people_of_other_orgs.implode()) & (pl.col("line") == 0))
        .then(pl.lit(Reason.SCOPE_NARROWED.value))
        .when(pl.col("sourced_id").is_in(desired.ended_people.implode()) & (pl.col("line") == 0))
        .then(pl.lit(Reason.ROLE_ENDED.value))
        .otherwise(pl.col("reason"))
        .alias("reason")
    )


def _report_staying(number: int, missing: str) -> tuple[Diagnostic, ...]:
    """Report absent people who stay because of `missing` in every plan, since no change shows them."""
    if not number:
        return ()
    stay = "stay suspended" if missing == "suspend" else "stay"
    return (
        build_info(
            "absent-kept",
            f"{number:,} people are not in the roster, or not selected, but {stay} because of `missing: {missing}`",
            Span("users.csv"),
        ),
    )


def _report_unclear_roles(number: int) -> tuple[Diagnostic, ...]:
    if not number:
        return ()
    who = "1 person stays" if number == 1 else f"{number:,} people stay"
    return (
        build_warning(
            "unclear-role",
            f"{who} without an active role: rows of roles.csv that name nobody may be theirs",
            Span("roles.csv"),
            "Correct these rows in the export.",
        ),
    )


def _report_spared(administrators: int, protected: int, unmanaged: int) -> tuple[Diagnostic, ...]:
    place = Span("users.csv")
    found: list[Diagnostic] = []
    if administrators:
        found.append(
            build_warning(
                "administrator-kept",
                f"{administrators:,} administrators are not in the roster; a roster never removes an administrator",
                place,
                "Give them another role in the roster first, or remove them manually.",
            )
        )
    if protected:
        found.append(
            build_info(
                "protected-kept",
                f"{protected:,} people are not in the roster but stay because of `protect`",
                place,
            )
        )
    if unmanaged:
        found.append(
            build_info(
                "unmanaged-kept",
                f"{unmanaged:,} people are not in the roster but stay: the roster does not manage their accounts",
                place,
            )
        )
    return tuple(found)


def find_possibly_selected(desired: DesiredRoster, open_live: pl.DataFrame, live: pl.DataFrame) -> pl.Series:
    """Return ids of accounts that a quarantined enrollment may select, if people are selected by their classes.
    `open_live` are the live enrollments that the fingerprints left open; `live` are users."""
    if not desired.selects_by_classes:
        return live["id"].clear()
    quarantined = open_live.filter(pl.col("sourced_id").is_in(desired.list_protected(Kind.ENROLLMENT).implode()))
    is_unselected = pl.col("sourced_id").is_in(desired.unselected_ids[Kind.USER].implode())
    return live.filter(is_unselected & pl.col("sourced_id").is_in(quarantined["user"].implode()))["id"]


def find_absent_enrollments(
    desired: DesiredRoster,
    open_live: pl.DataFrame,
    leaving_people: pl.DataFrame,
    leaving_classes: pl.DataFrame,
    staying_ids: pl.Series,
    ended_class_ids: pl.Series | None = None,
    today: str | None = None,
) -> pl.DataFrame:
    """Return the changes of enrollments that left.

    `open_live` are the live enrollments that the fingerprints left open; `leaving_people` and `leaving_classes` the
    changes that remove people and classes. People in `staying_ids` keep their enrollments, except in classes that
    leave. Enrollments conclude in classes that conclude now, in `ended_class_ids` (ended classes that were removed
    before), and if their own last date has passed.
    """
    if not open_live.height:
        return make_empty_changes(Kind.ENROLLMENT)
    concluding = leaving_classes.filter(pl.col("action") == Action.CONCLUDE.value)["key"]
    if ended_class_ids is not None:
        concluding = pl.concat([concluding, ended_class_ids.alias("key")])
    deleted = pl.col("action") == Action.DELETE.value
    people = leaving_people.filter(deleted | ~pl.col("bound"))["key"]
    classes = leaving_classes.filter(deleted)["key"]
    class_concludes = pl.col("class").is_in(concluding.implode()).fill_null(False)
    class_deleted = pl.col("class").is_in(classes.implode()).fill_null(False)
    parent_deleted = pl.col("user").is_in(people.implode()).fill_null(False) | class_deleted
    absent = (
        open_live.filter(~pl.col("tombstoned"))
        .join(desired.frames[Kind.ENROLLMENT], on="sourced_id", how="anti")
        .filter(
            ~pl.col("sourced_id").is_in(desired.list_protected(Kind.ENROLLMENT).implode())
            & (class_concludes | class_deleted | ~pl.col("user").is_in(staying_ids.implode()).fill_null(False))
        )
    )
    is_missing = pl.col("reason") == Reason.ROSTER_ROW_MISSING.value
    is_ended = is_missing & (class_concludes | (~class_deleted & is_enrollment_ended(today)))
    explained = _add_reasons(absent, desired, Kind.ENROLLMENT).with_columns(
        is_ended.alias("is_ended"),
        # An unselected row keeps that reason even if its person or class leaves too.
        pl.when(parent_deleted & (pl.col("reason") != Reason.SCOPE_NARROWED.value))
        .then(pl.lit(Reason.PARENT_REMOVED.value))
        .otherwise(pl.col("reason"))
        .alias("reason"),
    )
    return _delete_or_conclude(Kind.ENROLLMENT, explained, pl.col("is_ended"))
