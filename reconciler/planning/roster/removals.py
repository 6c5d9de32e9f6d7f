"""Who and what left a roster, and what becomes of it.

Only what a roster manages can leave by a roster; never an administrator, never a protected sourcedId, never what a
row set aside names.
"""

from __future__ import annotations

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
from reconciler.planning.frames.live import select_countable_people
from reconciler.planning.roster.desired import DesiredRoster
from reconciler.planning.roster.roster_diff import build_removals
from reconciler.planning.roster.sign_ins import OTHER_MANAGERS

# Which classes and enrollments ended with their term, so that they conclude instead of being deleted.


def make_empty_sessions() -> pl.DataFrame:
    return pl.DataFrame(schema=SESSIONS_SCHEMA)


def merge_sessions(sessions: pl.DataFrame, earlier: pl.DataFrame) -> pl.DataFrame:
    """The sessions to keep beside a roster: its own and those of earlier rosters, since the terms of last year are gone
    from this year's file when its classes are. Of a session whose end was moved, the later end is kept: a wrong day
    that came once ends nothing."""
    columns = list(SESSIONS_SCHEMA)
    return (
        pl.concat([sessions.select(columns), earlier.select(columns)])
        .sort("sourced_id", "end", descending=[False, True], nulls_last=True, maintain_order=True)
        .unique("sourced_id", keep="first", maintain_order=True)
    )


def find_ended_terms(sessions: pl.DataFrame, today: str | None) -> pl.Series:
    """sourcedIds of the sessions that are over on this day (YYYY-MM-DD; None: nothing is). A session's `end` is the
    first day after it. One that is there twice, as two rosters have it, is over where both say so."""
    over = _parse_day("end") <= _parse_today(today)
    plausible = (_parse_day("start") < _parse_day("end")).fill_null(pl.col("start").is_null())
    return (
        sessions.group_by("sourced_id")
        .agg((over & plausible).fill_null(False).all().alias("ended"))
        .filter("ended")["sourced_id"]
    )


def find_ended_classes(classes: pl.DataFrame, sessions: pl.DataFrame, today: str | None) -> pl.Series:
    """sourcedIds of the classes whose terms are all known and all over. classes: `sourced_id`, `terms` (sourcedIds
    joined by commas)."""
    ended = find_ended_terms(sessions, today)
    if not ended.len():
        return classes["sourced_id"].clear()
    terms = pl.col("terms").str.split(",").list.eval(pl.element().str.strip_chars().is_in(ended.implode()))
    return classes.filter(terms.list.all() & pl.col("terms").is_not_null())["sourced_id"]


def is_enrollment_ended(today: str | None) -> pl.Expr:
    """Whether an enrollment's own last day has passed, be `end_date` that day or the one after it."""
    return (_parse_day("end_date") < _parse_today(today)).fill_null(False)


def _parse_today(today: str | None) -> pl.Expr:
    return pl.lit(today, dtype=pl.String).str.to_date("%Y-%m-%d", strict=True)


def _parse_day(column: str) -> pl.Expr:
    return pl.col(column).str.to_date("%Y-%m-%d", strict=False)


# Accounts that a roster row adopted and that are not the roster's: what becomes of one when its row leaves.

_ADMINISTERING_ROLES = [role.value for role in sorted(ADMINISTRATOR_ROLES)]


def select_adopted_accounts(gone: pl.DataFrame, protect: frozenset[str]) -> pl.DataFrame:
    """Of absent people with `roles`, those whose accounts somebody else manages; never who administers, never who is
    protected."""
    administers = pl.col("role").is_in(_ADMINISTERING_ROLES) | pl.col("roles").str.contains(
        f"=({'|'.join(_ADMINISTERING_ROLES)})(\n|$)"
    )
    return gone.filter(
        pl.col("managed_by").is_in(OTHER_MANAGERS)
        & ~administers.fill_null(False)
        & ~pl.col("sourced_id").is_in(sorted(protect))
    )


def build_unbinding_changes(adopted: pl.DataFrame) -> pl.DataFrame:
    """Changes that leave these accounts without the roster. adopted: with `reason` and `line`; the key stays the
    sourcedId that the account had."""
    nothing = pl.lit(None, dtype=pl.String)
    return build_removals(Kind.USER, adopted, Action.UPDATE).with_columns(
        nothing.alias("roles"), nothing.alias("aliases"), pl.lit(False).alias("bound")
    )


@dataclass(frozen=True, slots=True)
class AbsentPeople:
    """changes: what leaves. kept: sourcedIds of absent people who stay, with all that they have."""

    changes: pl.DataFrame
    staying_ids: pl.Series
    diagnostics: tuple[Diagnostic, ...]


def _add_reasons(gone: pl.DataFrame, desired: DesiredRoster, kind: Kind) -> pl.DataFrame:
    """`gone` with `reason` and `line`: marked to be deleted, in the file but not selected, or simply not in it."""
    return gone.join(
        desired.deletion_marks[kind].unique("key", keep="first", maintain_order=True),
        left_on="sourced_id",
        right_on="key",
        how="left",
        maintain_order="left",
    ).with_columns(
        pl.when(pl.col("line").is_not_null())
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
    """Orgs or classes that left, as changes. ended: sourcedIds of classes whose terms are over: one that is simply not
    in the file any more concludes."""
    gone = (
        live.filter(~pl.col("tombstoned"))
        .join(desired.frames[kind], on="sourced_id", how="anti")
        .filter(~pl.col("sourced_id").is_in(desired.list_protected(kind).implode()))
    )
    explained = _add_reasons(gone, desired, kind)
    over = pl.lit(False)
    if ended_class_ids is not None:
        over = pl.col("sourced_id").is_in(ended_class_ids.implode()) & (
            pl.col("reason") == Reason.ROSTER_ROW_MISSING.value
        )
    return _delete_or_conclude(kind, explained, over)


def _delete_or_conclude(kind: Kind, gone: pl.DataFrame, over: pl.Expr) -> pl.DataFrame:
    gone = gone.with_columns(over.alias("over"))
    concluded = gone.filter("over").with_columns(pl.lit(Reason.SESSION_ENDED.value).alias("reason"))
    return pl.concat(
        [build_removals(kind, gone.filter(~pl.col("over"))), build_removals(kind, concluded, Action.CONCLUDE)]
    )


def find_absent_people(
    desired: DesiredRoster,
    live: pl.DataFrame,
    roles: pl.DataFrame,
    ids_to_spare: pl.Series,
    missing: str,
    protect: frozenset[str],
) -> AbsentPeople:
    """live: users with `roles`. named: ids of accounts that this roster has under another sourcedId now, or may select.
    missing: delete, suspend or keep. protect: sourcedIds that a roster never takes away."""
    gone = (
        live.filter(~pl.col("tombstoned") & pl.col("sourced_id").is_not_null())
        .join(desired.frames[Kind.USER], on="sourced_id", how="anti")
        .filter(
            ~pl.col("sourced_id").is_in(desired.list_protected(Kind.USER).implode())
            & ~pl.col("id").is_in(ids_to_spare.implode())
        )
    )
    managed = gone.filter(pl.col("managed_by") == AccountManager.ROSTER.value)
    removable = managed.join(select_countable_people(live, roles), on="id", how="semi")
    administrators = managed.join(removable, on="id", how="anti")
    shielded = removable.filter(pl.col("sourced_id").is_in(sorted(protect)))
    leaving = _add_people_reasons(removable.join(shielded, on="id", how="anti"), desired)
    parting = _add_people_reasons(select_adopted_accounts(gone, protect), desired)
    if missing == "keep":
        parting = parting.filter(pl.col("reason") == Reason.ROSTER_TOBEDELETED.value)
    marked = leaving.filter(pl.col("reason") == Reason.ROSTER_TOBEDELETED.value)
    absent = leaving.filter(pl.col("reason") != Reason.ROSTER_TOBEDELETED.value)
    changes = [build_removals(Kind.USER, marked), build_unbinding_changes(parting)]
    kept = gone.join(pl.concat([leaving, parting]), on="id", how="anti")["sourced_id"]
    staying = absent.clear()
    if missing == "delete":
        changes.append(build_removals(Kind.USER, absent))
    else:
        kept = pl.concat([kept, absent["sourced_id"]])
        staying = absent
        if missing == "suspend":
            active = absent.filter(pl.col("status") == AccountStatus.ACTIVE.value)
            staying = absent.join(active, on="id", how="anti")
            changes.append(build_removals(Kind.USER, active, Action.SUSPEND))
    return AbsentPeople(
        pl.concat(changes),
        kept,
        (
            *_report_spared(administrators.height, shielded.height, gone.height - managed.height - parting.height),
            *_report_staying(staying.height, missing),
        ),
    )


def _add_people_reasons(gone: pl.DataFrame, desired: DesiredRoster) -> pl.DataFrame:
    return _add_reasons(gone, desired, Kind.USER).with_columns(
        pl.when(pl.col("sourced_id").is_in(desired.people_of_other_orgs.implode()) & (pl.col("line") == 0))
        .then(pl.lit(Reason.SCOPE_NARROWED.value))
        .otherwise(pl.col("reason"))
        .alias("reason")
    )


def _report_staying(number: int, missing: str) -> tuple[Diagnostic, ...]:
    """Who is absent and stays by `missing`: said on every plan, since no change speaks of them."""
    if not number:
        return ()
    how = "stay suspended" if missing == "suspend" else "stay"
    return (
        build_info(
            "absent-kept",
            f"{number:,} people are not in the roster, or not selected, and {how} by `missing: {missing}`",
            Span("users.csv"),
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
                "give them another role in the roster first, or remove them by hand",
            )
        )
    if protected:
        found.append(
            build_info("protected-kept", f"{protected:,} people are not in the roster and stay by `protect`", place)
        )
    if unmanaged:
        found.append(
            build_info(
                "unmanaged-kept",
                f"{unmanaged:,} people are not in the roster and stay: their accounts are not managed by it",
                place,
            )
        )
    return tuple(found)


def find_possibly_selected(desired: DesiredRoster, open_live: pl.DataFrame, live: pl.DataFrame) -> pl.Series:
    """Ids of accounts that an enrollment set aside may select, where people are selected by their classes.
    open_live: live enrollments that the fingerprints left open. live: users."""
    if not desired.selects_by_classes:
        return live["id"].clear()
    aside = open_live.filter(pl.col("sourced_id").is_in(desired.list_protected(Kind.ENROLLMENT).implode()))
    outside = pl.col("sourced_id").is_in(desired.unselected_ids[Kind.USER].implode())
    return live.filter(outside & pl.col("sourced_id").is_in(aside["user"].implode()))["id"]


def find_absent_enrollments(
    desired: DesiredRoster,
    open_live: pl.DataFrame,
    leaving_people: pl.DataFrame,
    leaving_classes: pl.DataFrame,
    staying_ids: pl.Series,
    ended_class_ids: pl.Series | None = None,
    today: str | None = None,
) -> pl.DataFrame:
    """Enrollments that left. open_live: live enrollments that the fingerprints left open.
    leaving_*: changes that take people and classes away. kept: absent people who keep what they have, but for what
    their classes take along. ended: sourcedIds of classes that are over and were gone before; what is left of their
    enrollments concludes, like those of classes that conclude now, and those of others whose own last day has passed.
    """
    if not open_live.height:
        return make_empty_changes(Kind.ENROLLMENT)
    over = pl.concat(
        [leaving_classes.filter(pl.col("action") == Action.CONCLUDE.value)["key"], *_list_keys(ended_class_ids)]
    )
    deleted = pl.col("action") == Action.DELETE.value
    people = leaving_people.filter(deleted | ~pl.col("bound"))["key"]
    classes = leaving_classes.filter(deleted)["key"]
    with_class = pl.col("class").is_in(over.implode()).fill_null(False)
    parent_goes = pl.col("user").is_in(people.implode()) | pl.col("class").is_in(classes.implode())
    class_goes = with_class | pl.col("class").is_in(classes.implode()).fill_null(False)
    gone = (
        open_live.filter(~pl.col("tombstoned"))
        .join(desired.frames[Kind.ENROLLMENT], on="sourced_id", how="anti")
        .filter(
            ~pl.col("sourced_id").is_in(desired.list_protected(Kind.ENROLLMENT).implode())
            & (class_goes | ~pl.col("user").is_in(staying_ids.implode()).fill_null(False))
        )
    )
    explained = _add_reasons(gone, desired, Kind.ENROLLMENT)
    absent = pl.col("reason") == Reason.ROSTER_ROW_MISSING.value
    class_stays = ~pl.col("class").is_in(classes.implode()).fill_null(False)
    finished = absent & (with_class | (class_stays & is_enrollment_ended(today)))
    explained = explained.with_columns(
        finished.alias("finished"),
        # What the configuration takes out of scope says so itself, whoever goes with it.
        pl.when(parent_goes.fill_null(False) & (pl.col("reason") != Reason.SCOPE_NARROWED.value))
        .then(pl.lit(Reason.PARENT_REMOVED.value))
        .otherwise(pl.col("reason"))
        .alias("reason"),
    )
    return _delete_or_conclude(Kind.ENROLLMENT, explained, pl.col("finished"))


def _list_keys(keys: pl.Series | None) -> list[pl.Series]:
    return [] if keys is None else [keys.alias("key")]
