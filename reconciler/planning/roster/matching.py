"""Matches the rows of users.csv with accounts.

A bound sourcedId always wins. `match_with` is tried only for rows whose sourcedId no account has: by a non-empty
value that is unique on both sides, against accounts whose own sourcedId this file does not have. Values are equal if
they look the same (see `model.text_form`); letter case counts. An email or a username can be reassigned to another
person, so only an identifier restores a deleted account.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import polars as pl

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic, Span, build_error, build_info, build_warning
from reconciler.model.kind import Kind
from reconciler.model.role import ADMINISTRATOR_ROLES
from reconciler.model.roster import AccountManager
from reconciler.model.text_form import make_caseless_column, make_comparison_column
from reconciler.planning.frames.fingerprint import compute_fingerprint
from reconciler.planning.roster.desired import DesiredRoster
from reconciler.planning.roster.persons import join_aliases, make_comparable
from reconciler.planning.roster.quarantine import build_quarantine_rows

#: The column that each value of `match_with` compares; `sourced_id` has none, since it never gives a new ID.
MATCH_COLUMNS = {"identifier": "identifier", "email": "email", "username": "roster_username"}


@dataclass(frozen=True, slots=True)
class MatchResult:
    """The desired people with their accounts."""

    #: the desired rows with `id` (null: no account yet), `match` (an Action: update for a bound row, restore, rekey,
    #: adopt or create) and `former_key` (the sourcedId before a rekey)
    users: pl.DataFrame
    diagnostics: tuple[Diagnostic, ...]


def match_users(desired: pl.DataFrame, live: pl.DataFrame, match_with: str, ids_in_file: pl.Series) -> MatchResult:
    """Return the account of each desired person. `ids_in_file` are all sourcedIds of people that this file names,
    quarantined rows and rows to be deleted included."""
    bound = desired.join(
        live.filter(pl.col("sourced_id").is_not_null()).select("sourced_id", "id", "tombstoned"),
        on="sourced_id",
        how="left",
        maintain_order="left",
    )
    column = MATCH_COLUMNS.get(match_with)
    strangers = bound.filter(pl.col("id").is_null()) if column else bound.clear()
    if column is None or not strangers.height or not live.height:
        users = bound.with_columns(choose_bound_action(), pl.lit(None, dtype=pl.String).alias("former_key"))
        return MatchResult(users.drop("tombstoned"), ())
    pairs, ambiguous = _find_proven_pairs(desired, live, strangers, column, ids_in_file)
    users = (
        bound.join(pairs, on="sourced_id", how="left", maintain_order="left")
        .with_columns(
            pl.when(pl.col("id").is_not_null())
            .then(choose_bound_action())
            .when(pl.col("pair_id").is_null())
            .then(pl.lit(Action.CREATE.value))
            .when(pl.col("pair_tombstoned"))
            .then(pl.lit(Action.RESTORE.value))
            .when(pl.col("pair_key").is_null())
            .then(pl.lit(Action.ADOPT.value))
            .otherwise(pl.lit(Action.REKEY.value))
            .alias("match"),
            pl.coalesce("id", "pair_id").alias("id"),
            pl.col("pair_key").alias("former_key"),
        )
        .drop("tombstoned", "pair_id", "pair_key", "pair_tombstoned")
    )
    return MatchResult(_keep_account_aliases(users, live), _warn_ambiguous_matches(ambiguous, match_with))


def _keep_account_aliases(users: pl.DataFrame, live: pl.DataFrame) -> pl.DataFrame:
    """Add the aliases of the account to people who are matched under another sourcedId."""
    matched = users.filter(pl.col("id").is_not_null() & (pl.col("match") != Action.UPDATE.value)).select("id")
    aliases = live.filter(pl.col("aliases").is_not_null()).select("id", pl.col("aliases").alias("known"))
    aliases = aliases.join(matched, on="id", how="semi")
    if not aliases.height:
        return users
    every = users.join(aliases, on="id", how="left", maintain_order="left").pipe(join_aliases, "known")
    return every.with_columns(compute_fingerprint(Kind.USER)).drop("known")


def choose_bound_action() -> pl.Expr:
    """Return the `match` of rows found by sourcedId: create without `id`, restore if `tombstoned`, else update."""
    return (
        pl.when(pl.col("id").is_null())
        .then(pl.lit(Action.CREATE.value))
        .when(pl.col("tombstoned"))
        .then(pl.lit(Action.RESTORE.value))
        .otherwise(pl.lit(Action.UPDATE.value))
        .alias("match")
    )


def _find_proven_pairs(
    desired: pl.DataFrame, live: pl.DataFrame, strangers: pl.DataFrame, column: str, ids_in_file: pl.Series
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return proven pairs (`sourced_id`, `pair_id`, `pair_key`, `pair_tombstoned`) and ambiguous strangers."""
    known = live.with_columns(get_account_value(column).alias("value")).filter(pl.col("value").is_not_null())
    desired = desired.with_columns(make_comparison_column(desired[column]).alias("value"))
    active = known.filter(~pl.col("tombstoned"))
    # A deleted account counts only if no active one has the value.
    deleted = known.filter(pl.col("tombstoned") & ~pl.col("value").is_in(active["value"].implode()))
    accounts = pl.concat([active, deleted]) if column == "identifier" else active
    once_live = accounts.filter(~pl.col("value").is_duplicated())
    absent = once_live.filter(
        pl.when(pl.col("sourced_id").is_null())
        .then(_is_adoptable(column))
        .otherwise(~pl.col("sourced_id").is_in(ids_in_file.implode()))
    )
    once_desired = desired.filter(pl.col("value").is_not_null() & ~pl.col("value").is_duplicated())
    wanted = (
        desired.filter(pl.col("value").is_not_null())
        .join(strangers.select("sourced_id"), on="sourced_id", how="semi", maintain_order="left")
        .select("sourced_id", "line", "value")
    )
    pairs = wanted.join(once_desired.select("sourced_id"), on="sourced_id", how="semi").join(
        absent.select(
            "value",
            pl.col("id").alias("pair_id"),
            pl.col("sourced_id").alias("pair_key"),
            pl.col("tombstoned").alias("pair_tombstoned"),
        ),
        on="value",
        how="inner",
    )
    claimed = wanted.join(pairs, on="sourced_id", how="anti").join(accounts, on="value", how="semi")
    return pairs.drop("value", "line"), claimed


def get_account_value(column: str) -> pl.Expr:
    """Return the value by which an account is matched, in its comparison form; one that no roster made only has the
    username with suffix."""
    value = pl.coalesce(column, "username") if column == "roster_username" else pl.col(column)
    return make_comparable(value)


def _is_adoptable(column: str) -> pl.Expr:
    """Select accounts of another manager that a roster row may adopt: never an administrator's, and one from an LMS
    launch only by identifier, since the launch does not prove its email or username."""
    unproven = pl.col("managed_by") == AccountManager.LTI.value
    administers = pl.col("role").is_in([role.value for role in sorted(ADMINISTRATOR_ROLES)]).fill_null(False)
    reserved = (pl.col("managed_by") == AccountManager.CONFIG.value) | administers
    return ~reserved & (pl.lit(column == "identifier") | ~unproven)


def _warn_ambiguous_matches(ambiguous: pl.DataFrame, match_with: str) -> tuple[Diagnostic, ...]:
    if not ambiguous.height:
        return ()
    line = int(ambiguous["line"].min() or 0)  # type: ignore[arg-type]
    return (
        build_warning(
            "ambiguous-match",
            f"{ambiguous.height:,} new rows share their {match_with} with another person's account or with several "
            "accounts; they get new accounts",
            Span("users.csv", line),
            f"Check these values: match_with: {match_with} needs a value that is unique in the file and among the "
            "accounts.",
        ),
    )


CONFLICT_CODE = "identity-conflict"
SHARED_EMAIL_CODE = "shared-email"
#: Diagnostics for shared emails, one for each; any others are only counted.
MAX_VALUES = 1000
#: Lines that one diagnostic lists.
MAX_LINES = 10


def exclude_conflicts(desired: DesiredRoster, live: pl.DataFrame, match_with: str) -> DesiredRoster:
    """Quarantine rows that share the value of `match_with` with another row if an account has only some of them, since
    nobody is matched by a value of two people. `live` has the users, tombstones included."""
    if match_with == "username":
        desired = _mark_username_conflicts(desired, live)
    users = desired.frames[Kind.USER]
    emails = make_comparison_column(users["email"])
    known = live["sourced_id"].drop_nulls()
    rows = (
        users.clear()
        if emails.drop_nulls().hash().n_unique() == emails.drop_nulls().len()
        else users.filter(emails.is_not_null() & emails.is_duplicated())
    )
    value = make_comparison_column(rows["email"])
    several = _add_lines(rows, value, known)
    conflict = pl.col("bound").any().over(value) & ~pl.col("bound").all().over(value)
    conflicting = several.filter(conflict) if match_with == "email" else several.clear()
    shared = several.join(conflicting, on="sourced_id", how="anti", maintain_order="left")
    claimed = conflicting.clear()
    if match_with == "email" and desired.rows_set_aside.height:
        claimed = _find_claimed_emails(desired, users, live, known)
        claimed = claimed.join(conflicting, on="sourced_id", how="anti")
    quarantined = _quarantine_conflicts(pl.concat([conflicting, claimed]), "email")
    frames = dict(desired.frames)
    if quarantined.height:
        frames[Kind.USER] = users.join(
            quarantined, left_on="sourced_id", right_on="key", how="anti", maintain_order="left"
        )
    return replace(
        desired,
        frames=frames,
        quarantine=pl.concat([desired.quarantine, quarantined]),
        diagnostics=(*desired.diagnostics, *_report_shared_emails(shared, match_with)),
    )


def _add_lines(rows: pl.DataFrame, values: pl.Series, bound_ids: pl.Series) -> pl.DataFrame:
    """Return the columns of quarantined rows with `bound` (an account has the sourcedId) and `lines` (of all rows with
    the same one of `values`, as text)."""
    more = pl.when(pl.col("every").list.len() > MAX_LINES).then(pl.lit(", ...")).otherwise(pl.lit(""))
    return (
        rows.with_columns(
            pl.col("sourced_id").is_in(bound_ids.implode()).alias("bound"),
            pl.col("line").sort().implode().over(values).alias("every"),
        )
        .with_columns(
            (pl.col("every").list.head(MAX_LINES).cast(pl.List(pl.String)).list.join(", ") + more).alias("lines")
        )
        .select("sourced_id", "line", "identifier", "email", "roster_username", "bound", "lines")
    )


def _find_claimed_emails(
    desired: DesiredRoster, users: pl.DataFrame, live: pl.DataFrame, bound_ids: pl.Series
) -> pl.DataFrame:
    """Return new rows with the email of an account whose own row is quarantined."""
    named = desired.rows_set_aside.filter((pl.col("kind") == Kind.USER.value) & pl.col("key").is_not_null())
    owners = (
        live.filter(~pl.col("tombstoned") & pl.col("email").is_not_null())
        .join(named.select("key", pl.col("line").alias("other")), left_on="sourced_id", right_on="key", how="inner")
        .with_columns(make_comparable(pl.col("email")).alias("value"))
        .unique("value", keep="first", maintain_order=True)
        .select("value", "other")
    )
    return (
        users.filter(~pl.col("sourced_id").is_in(bound_ids.implode()))
        .with_columns(make_comparable(pl.col("email")).alias("value"))
        .join(owners, on="value", how="inner", maintain_order="left")
        .with_columns(
            pl.lit(False).alias("bound"),
            pl.concat_list(pl.min_horizontal("line", "other"), pl.max_horizontal("line", "other"))
            .cast(pl.List(pl.String))
            .list.join(", ")
            .alias("lines"),
        )
        .select("sourced_id", "line", "identifier", "email", "roster_username", "bound", "lines")
    )


def _quarantine_conflicts(rows: pl.DataFrame, value: str) -> pl.DataFrame:
    message = pl.format(f"a new person and an existing person have the same {value}: lines {{}}", "lines")
    hint = (
        "If they are one person, remove the outdated row or list both sourcedIds under rostering.merges; if not, give "
        f"each person their own {value}."
    )
    return build_quarantine_rows(Kind.USER, rows, "sourced_id", CONFLICT_CODE, message, hint)


def _mark_username_conflicts(desired: DesiredRoster, live: pl.DataFrame) -> DesiredRoster:
    """Mark quarantined rows of one username as conflicts if one of them is an existing person's and one is new."""
    shared = pl.col("code") == "duplicate-username"
    rows = desired.quarantine.filter(shared)
    if not rows.height:
        return desired
    folded = rows.with_columns(
        make_caseless_column(rows["username"]).alias("folded"),
        pl.col("key").alias("sourced_id"),
        pl.col("username").alias("roster_username"),
    )
    known = live["sourced_id"].drop_nulls()
    lines = _add_lines(folded, folded["folded"], known).with_columns(folded["folded"])
    conflicting = lines.filter(pl.col("bound").any().over("folded") & ~pl.col("bound").all().over("folded"))
    others = desired.quarantine.filter(~shared | ~pl.col("key").is_in(conflicting["sourced_id"].implode()))
    return replace(desired, quarantine=pl.concat([others, _quarantine_conflicts(conflicting, "username")]))


def _report_shared_emails(rows: pl.DataFrame, match_with: str) -> Iterator[Diagnostic]:
    if not rows.height:
        return
    if match_with != "email":
        yield build_warning(
            SHARED_EMAIL_CODE,
            f"{rows.height:,} people share an email with another person (lines {rows.sort('line')['lines'][0]} and "
            "others)"
            if rows["lines"].n_unique() > 1
            else f"{rows.height:,} people share an email: lines {rows['lines'][0]}",
            Span("users.csv", int(rows["line"].sort()[0])),
            "Give each person their own email. Until then each keeps an account, but cannot sign in with this email.",
        )
        return
    groups = rows.sort("line").unique("lines", keep="first", maintain_order=True)
    for line, lines in groups.head(MAX_VALUES).select("line", "lines").iter_rows():
        yield build_error(
            SHARED_EMAIL_CODE,
            f"lines {lines} have the same email",
            Span("users.csv", line),
            "Give each person their own email. Until then each keeps an account, but nobody is matched by this email "
            "or can sign in with it.",
        )
    if groups.height > MAX_VALUES:
        yield build_info(SHARED_EMAIL_CODE, f"and {groups.height - MAX_VALUES:,} more shared emails")


#: The share of people with a value of their own for `match_with` below which matching is warned of.
MIN_MATCHABLE_SHARE = 0.5


def warn_few_match_values(people: pl.DataFrame, match_with: str) -> tuple[Diagnostic, ...]:
    """Warn if few rows of a roster can be matched, before a new sourcedId costs somebody the account."""
    column = MATCH_COLUMNS.get(match_with)
    if column is None or not people.height:
        return ()
    usable = {name: _count_own_values(people, other) for name, other in MATCH_COLUMNS.items() if other is not None}
    number = usable[match_with]
    if number >= people.height * MIN_MATCHABLE_SHARE:
        return ()
    best = max(usable, key=lambda name: usable[name])
    other = f", or match with another field: {best} has {usable[best]:,}" if usable[best] > number else ""
    return (
        build_warning(
            "few-match-values",
            f"match_with is {match_with}, and {number:,} of {people.height:,} people have one of their own; the others "
            "would lose their accounts if their sourcedIds changed",
            Span("users.csv"),
            f"Export it for everybody{other}.",
        ),
    )


def _count_own_values(people: pl.DataFrame, column: str) -> int:
    values = make_comparison_column(people[column]).drop_nulls()
    return int(values.is_unique().sum())
