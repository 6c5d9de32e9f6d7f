"""Who is who: which account a row of users.csv speaks of.

A bound sourcedId always wins. `match_with` is tried only for rows whose sourcedId is bound to nobody, by exact,
non-empty value that is unique on both sides, against accounts whose own sourcedId this file does not have.
An address or a name can pass to somebody else, so only an identifier brings a deleted account back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import polars as pl

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic, Span, build_error, build_info, build_warning
from reconciler.model.kind import Kind
from reconciler.model.role import ADMINISTRATOR_ROLES
from reconciler.model.roster import AccountManager
from reconciler.oneroster.snapshot import QUARANTINE_SCHEMA
from reconciler.planning.frames.fingerprint import compute_fingerprint
from reconciler.planning.roster.desired import DesiredRoster
from reconciler.planning.roster.persons import join_aliases

#: what `match_with` compares; `sourced_id` never rekeys
MATCH_COLUMNS = {"identifier": "identifier", "email": "email", "username": "roster_username"}


@dataclass(frozen=True, slots=True)
class MatchResult:
    """users: the desired rows with `id` (null: nobody yet), `match` (an Action: update for a bound row, restore,
    rekey, adopt or create) and `former_key` (the sourcedId a rekeyed account had)."""

    users: pl.DataFrame
    diagnostics: tuple[Diagnostic, ...]


def match_users(desired: pl.DataFrame, live: pl.DataFrame, match_with: str, ids_in_file: pl.Series) -> MatchResult:
    """present: every sourcedId that this file names, rows set aside and rows to be deleted included."""
    bound = desired.join(
        live.filter(pl.col("sourced_id").is_not_null()).select("sourced_id", "id", "tombstoned"),
        on="sourced_id",
        how="left",
        maintain_order="left",
    )
    column = MATCH_COLUMNS.get(match_with)
    strangers = bound.filter(pl.col("id").is_null()) if column else bound.clear()
    if column is None or not strangers.height or not live.height:
        users = bound.with_columns(_choose_bound_action(), pl.lit(None, dtype=pl.String).alias("former_key"))
        return MatchResult(users.drop("tombstoned"), ())
    pairs, ambiguous = _find_proven_pairs(desired, live, strangers, column, ids_in_file)
    users = (
        bound.join(pairs, on="sourced_id", how="left", maintain_order="left")
        .with_columns(
            pl.when(pl.col("id").is_not_null())
            .then(_choose_bound_action())
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
    """`users`; whoever is found under another sourcedId keeps the aliases of the account."""
    found = users.filter(pl.col("id").is_not_null() & (pl.col("match") != Action.UPDATE.value)).select("id")
    theirs = live.filter(pl.col("aliases").is_not_null()).select("id", pl.col("aliases").alias("known"))
    theirs = theirs.join(found, on="id", how="semi")
    if not theirs.height:
        return users
    every = users.join(theirs, on="id", how="left", maintain_order="left").pipe(join_aliases, "known")
    return every.with_columns(compute_fingerprint(Kind.USER)).drop("known")


def _choose_bound_action() -> pl.Expr:
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
    """(`sourced_id`, `pair_id`, `pair_key`, `pair_tombstoned`) of proven pairs; strangers that match ambiguously."""
    known = live.with_columns(get_account_value(column).alias("value")).filter(pl.col("value").is_not_null())
    alive = known.filter(~pl.col("tombstoned"))
    # A deleted account counts only where no live one has the value.
    buried = known.filter(pl.col("tombstoned") & ~pl.col("value").is_in(alive["value"].implode()))
    accounts = pl.concat([alive, buried]) if column == "identifier" else alive
    once_live = accounts.filter(~pl.col("value").is_duplicated())
    absent = once_live.filter(
        pl.when(pl.col("sourced_id").is_null())
        .then(_is_adoptable(column))
        .otherwise(~pl.col("sourced_id").is_in(ids_in_file.implode()))
    )
    once_desired = desired.filter(pl.col(column).is_not_null() & ~pl.col(column).is_duplicated())
    wanted = strangers.filter(pl.col(column).is_not_null()).select("sourced_id", "line", pl.col(column).alias("value"))
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
    """What a live account is matched by; one that no roster made has its username only as people type it."""
    return pl.coalesce(column, "username") if column == "roster_username" else pl.col(column)


def _is_adoptable(column: str) -> pl.Expr:
    """Whether a roster row may bind to an account that something else made. Configuration's administrators never; and
    an address or name that an LMS asserted proves nothing."""
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
            f"{ambiguous.height:,} new rows have the {match_with} of an account that is somebody else's or not the "
            "only one with it; they get accounts of their own",
            Span("users.csv", line),
            f"match_with: {match_with} binds a row only where the value is unique in the file and among the accounts",
        ),
    )


# Rows of one file that claim one address or one username: nobody is linked by a value that two people have.

CONFLICT_CODE = "identity-conflict"
SHARED_EMAIL_CODE = "shared-email"
#: Of this many values that people share each is told; the rest is counted. So many lines of one are listed.
MAX_VALUES = 1000
MAX_LINES = 10


def exclude_conflicts(desired: DesiredRoster, live: pl.DataFrame, match_with: str) -> DesiredRoster:
    """live: users, tombstones included."""
    if match_with == "username":
        desired = _mark_username_conflicts(desired, live)
    users = desired.frames[Kind.USER]
    emails = users["email"].drop_nulls()
    known = live["sourced_id"].drop_nulls()
    rows = (
        users.clear()
        if emails.hash().n_unique() == emails.len()
        else users.filter(pl.col("email").is_not_null() & pl.col("email").is_duplicated())
    )
    several = _add_lines(rows, "email", known)
    conflict = pl.col("bound").any().over("email") & ~pl.col("bound").all().over("email")
    torn = several.filter(conflict) if match_with == "email" else several.clear()
    shared = several.join(torn, on="sourced_id", how="anti", maintain_order="left")
    claimed = (
        _find_claimed_addresses(desired, users, live, known)
        if match_with == "email" and desired.quarantine.height
        else torn
    )
    aside = pl.concat(
        [
            _build_quarantine_rows(torn, "email"),
            _build_quarantine_rows(claimed.join(torn, on="sourced_id", how="anti"), "email"),
        ]
    )
    notes = tuple(_report_shared_emails(shared, match_with))
    if not aside.height:
        return replace(desired, diagnostics=(*desired.diagnostics, *notes)) if notes else desired
    kept = users.join(aside, left_on="sourced_id", right_on="key", how="anti", maintain_order="left")
    return replace(
        desired,
        frames={**desired.frames, Kind.USER: kept},
        quarantine=pl.concat([desired.quarantine, aside]),
        diagnostics=(*desired.diagnostics, *notes),
    )


def _add_lines(rows: pl.DataFrame, value: str, bound_ids: pl.Series) -> pl.DataFrame:
    """`sourced_id`, `line`, what a row set aside is known by, `bound` (an account has its sourcedId), and `lines`:
    those of all rows with its value, as text."""
    more = pl.when(pl.col("every").list.len() > MAX_LINES).then(pl.lit(", ...")).otherwise(pl.lit(""))
    return (
        rows.with_columns(
            pl.col("sourced_id").is_in(bound_ids.implode()).alias("bound"),
            pl.col("line").sort().implode().over(value).alias("every"),
        )
        .with_columns(
            (pl.col("every").list.head(MAX_LINES).cast(pl.List(pl.String)).list.join(", ") + more).alias("lines")
        )
        .select("sourced_id", "line", "identifier", "email", "roster_username", "bound", "lines")
    )


def _find_claimed_addresses(
    desired: DesiredRoster, users: pl.DataFrame, live: pl.DataFrame, bound_ids: pl.Series
) -> pl.DataFrame:
    """New rows with the address of an account whose own row was set aside."""
    named = desired.quarantine.filter((pl.col("kind") == Kind.USER.value) & pl.col("key").is_not_null())
    owners = (
        live.filter(~pl.col("tombstoned") & pl.col("email").is_not_null())
        .join(named.select("key", pl.col("line").alias("other")), left_on="sourced_id", right_on="key", how="inner")
        .unique("email", keep="first", maintain_order=True)
        .select("email", "other")
    )
    return (
        users.filter(~pl.col("sourced_id").is_in(bound_ids.implode()))
        .join(owners, on="email", how="inner", maintain_order="left")
        .with_columns(
            pl.lit(False).alias("bound"),
            pl.concat_list(pl.min_horizontal("line", "other"), pl.max_horizontal("line", "other"))
            .cast(pl.List(pl.String))
            .list.join(", ")
            .alias("lines"),
        )
        .select("sourced_id", "line", "identifier", "email", "roster_username", "bound", "lines")
    )


def _build_quarantine_rows(rows: pl.DataFrame, value: str) -> pl.DataFrame:
    return rows.select(
        pl.lit(Kind.USER.value).alias("kind"),
        pl.col("sourced_id").alias("key"),
        pl.lit("users.csv").alias("file"),
        "line",
        pl.lit(0, dtype=pl.Int64).alias("column"),
        pl.lit(CONFLICT_CODE).alias("code"),
        _format_message(value),
        _format_hint(value),
        "identifier",
        "email",
        pl.col("roster_username").alias("username"),
    ).select(list(QUARANTINE_SCHEMA))


def _format_message(value: str) -> pl.Expr:
    return pl.format(
        f"a new person and one who is there already have the same {value}: lines {{}}", pl.col("lines")
    ).alias("message")


def _format_hint(value: str) -> pl.Expr:
    return pl.lit(
        f"if they are one person, remove the row that is out of date; if not, give each an {value} of their own"
        if value == "email"
        else f"if they are one person, remove the row that is out of date; if not, give each a {value} of their own"
    ).alias("hint")


def _mark_username_conflicts(desired: DesiredRoster, live: pl.DataFrame) -> DesiredRoster:
    """Rows set aside for one username, of which one is somebody's who is there already and one is new."""
    shared = pl.col("code") == "duplicate-username"
    rows = desired.quarantine.filter(shared)
    if not rows.height:
        return desired
    folded = rows.with_columns(
        pl.col("username").str.to_lowercase().alias("folded"),
        pl.col("key").alias("sourced_id"),
        pl.col("username").alias("roster_username"),
    )
    known = live["sourced_id"].drop_nulls()
    lines = _add_lines(folded, "folded", known).with_columns(folded["folded"])
    torn = lines.filter(pl.col("bound").any().over("folded") & ~pl.col("bound").all().over("folded"))
    kept = desired.quarantine.filter(~shared | ~pl.col("key").is_in(torn["sourced_id"].implode()))
    return replace(desired, quarantine=pl.concat([kept, _build_quarantine_rows(torn, "username")]))


def _report_shared_emails(rows: pl.DataFrame, match_with: str) -> Iterator[Diagnostic]:
    """Several people with one address: each keeps an account, and nobody is found by it."""
    if not rows.height:
        return
    if match_with != "email":
        yield build_warning(
            SHARED_EMAIL_CODE,
            f"{rows.height:,} people share an email with another one (lines {rows.sort('line')['lines'][0]} and others)"
            if rows["lines"].n_unique() > 1
            else f"{rows.height:,} people share an email: lines {rows['lines'][0]}",
            Span("users.csv", int(rows["line"].sort()[0])),
            "each keeps an account; nobody can sign in with an email that is not theirs alone",
        )
        return
    groups = rows.sort("line").unique("lines", keep="first", maintain_order=True)
    for line, lines in groups.head(MAX_VALUES).select("line", "lines").iter_rows():
        yield build_error(
            SHARED_EMAIL_CODE,
            f"lines {lines} have the same email",
            Span("users.csv", line),
            "each keeps an account; nobody is matched by this email and nobody can sign in with it",
        )
    if groups.height > MAX_VALUES:
        yield build_info(SHARED_EMAIL_CODE, f"and {groups.height - MAX_VALUES:,} more emails that several people have")
