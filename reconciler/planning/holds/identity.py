"""Holds matches whose evidence a person should check first.

An email address or a name can pass to someone else, a changed match_with can give everybody another account, and the
people who leave may be the ones who join. Such changes wait like those that exceed a limit; nobody loses an account
meanwhile.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import polars as pl

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic, Span, build_warning
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason
from reconciler.planning.frames.losses import is_leaving
from reconciler.planning.holds.state import HoldState
from reconciler.planning.roster.matching import MATCH_COLUMNS
from reconciler.planning.roster.persons import make_comparable, normalize_name

#: Values that can be reassigned to another person.
WEAK_KEYS = ("email", "username")
#: `match_with` in the order in which it is recommended.
MATCH_KEYS = ("identifier", "email", "username")

_ACTION = pl.col("action")
_IS_STAYING = ~_ACTION.is_in([Action.CREATE.value, Action.DELETE.value, Action.RESTORE.value])
_NAME_COLUMNS = ("given_name", "family_name")
_FORMER_NAME_COLUMNS = tuple(f"before_{name}" for name in _NAME_COLUMNS)
#: No part of the name is the same; a name that was unknown before does not differ.
_ALL_NAMES_DIFFER = pl.all_horizontal(
    [
        pl.col(f"before_{name}").is_not_null() & normalize_name(name).ne_missing(normalize_name(f"before_{name}"))
        for name in _NAME_COLUMNS
    ]
)
_ANY_NAME_DIFFERS = pl.any_horizontal(
    [normalize_name(name).ne_missing(normalize_name(f"before_{name}")) for name in _NAME_COLUMNS]
)


def hold_doubtful_identities(state: HoldState) -> HoldState:
    """Hold people who would get another account on weak evidence, or lose theirs although they seem to stay. Their
    enrollments are held in a later step."""
    matching = state.inputs.matching
    if matching is None:
        return state
    users = state.changes[Kind.USER]
    pairs = {key: _match_leavers_to_joiners(users, key) for key in MATCH_KEYS}
    proven = pl.concat(list(pairs.values())).unique(maintain_order=True)
    anew = _find_newly_matched(users, matching.accounts, matching.match_with, matching.last_match_with)
    rules = users.select(
        _match_weak_evidence(matching.match_with).fill_null(False).alias("weak"),
        _match_other_person().fill_null(False).alias("other"),
        _match_suffix_changes().fill_null(False).alias("suffixed"),
        pl.col("key").is_in(anew.implode()).fill_null(False).alias("anew"),
        _match_likely_rekeys(proven).alias("likely"),
    )
    numbers = {name: int(rules[name].sum()) for name in rules.columns}
    by_any_rule = rules.select(pl.any_horizontal(pl.all())).to_series()
    held = users.with_columns((pl.col("held") | by_any_rule).alias("held"))
    return replace(
        state,
        changes={**state.changes, Kind.USER: held},
        diagnostics=(*state.diagnostics, *_warn_probable_rekey(users, pairs, matching.match_with)),
        has_new_matches=anew.len() > 0,
    ).add_causes(
        *_explain_weak_evidence(numbers["weak"], matching.match_with),
        *_explain_other_person(numbers["other"]),
        *_explain_suffix(numbers["suffixed"]),
        *_explain_newly_matched(anew.len(), matching.match_with, matching.last_match_with),
        *_explain_likely_rekeys(proven["leaver"].n_unique(), alike=proven.height > pairs["identifier"].height),
    )


def _match_likely_rekeys(pairs: pl.DataFrame) -> pl.Expr:
    """Select leavers and joiners who are most likely the same people."""
    return (is_leaving(Kind.USER) & pl.col("key").is_in(pairs["leaver"].implode())) | (
        (Action.CREATE.value == _ACTION) & pl.col("key").is_in(pairs["joiner"].implode())
    )


def _match_weak_evidence(match_with: str) -> pl.Expr:
    """Select rows that get the account of another name: by an email or username alone, or by an identifier if no part
    of the name is the same."""
    matched = _ACTION.is_in([Action.REKEY.value, Action.ADOPT.value]) | (
        (Action.RESTORE.value == _ACTION) & (pl.col("former_key") != pl.col("key"))
    )
    return matched & (_ANY_NAME_DIFFERS if match_with in WEAK_KEYS else _ALL_NAMES_DIFFER)


def _match_other_person() -> pl.Expr:
    """Select known sourcedIds with another name and another identifier (or email, if one has no identifier): a column
    that slipped by a row, or a reassigned number."""
    both = pl.col("identifier").is_not_null() & pl.col("before_identifier").is_not_null()
    differs = pl.when(both).then(make_comparable(pl.col("identifier")) != make_comparable(pl.col("before_identifier")))
    other_email = make_comparable(pl.col("email")).ne_missing(make_comparable(pl.col("before_email")))
    return _IS_STAYING & (Action.REKEY.value != _ACTION) & _ALL_NAMES_DIFFER & differs.otherwise(other_email)


def _match_suffix_changes() -> pl.Expr:
    """Select usernames that change by the suffix alone: neither the roster nor anybody outside reconciler did it."""
    return (
        _IS_STAYING
        & pl.col("seen").is_not_null()
        & pl.col("roster_username").is_not_null()
        & (pl.col("roster_username") == pl.col("before_roster_username"))
        & (pl.col("username") != pl.col("before_username"))
    )


def _find_newly_matched(users: pl.DataFrame, live: pl.DataFrame, match_with: str, last: str | None) -> pl.Series:
    """Return the keys of rows that get an account by the new `match_with` but would not by the last one."""
    if last in (None, match_with) or match_with not in MATCH_COLUMNS:
        return users["key"].clear()
    former = live.select(pl.col("id").alias("live_id"), pl.col("sourced_id").alias("bound_to"))
    binding = [Action.REKEY.value, Action.ADOPT.value, Action.RESTORE.value]
    matched = (
        users.filter(_ACTION.is_in(binding) & pl.col("live_id").is_not_null())
        .join(former, on="live_id", how="left", maintain_order="left")
        .filter(pl.col("bound_to").ne_missing(pl.col("key")))
    )
    column = MATCH_COLUMNS.get(last or "")
    if column is None:
        return matched["key"]
    differs = make_comparable(pl.col(column)) != make_comparable(_get_former_value(column))
    return matched.filter(differs.fill_null(True))["key"]


def _get_former_value(column: str) -> pl.Expr:
    """Return the value of `matching.get_account_value` before the change."""
    return (
        pl.coalesce("before_roster_username", "before_username")
        if column == "roster_username"
        else pl.col(f"before_{column}")
    )


def _match_leavers_to_joiners(users: pl.DataFrame, key: str) -> pl.DataFrame:
    """Return pairs of sourcedIds (`leaver`, `joiner`) that share a value with nobody else; a value that can be
    reassigned counts only with the same name."""
    column = MATCH_COLUMNS[key]
    # An unselected leaver is still in the file, beside the joiner.
    leaves_file = is_leaving(Kind.USER) & (pl.col("reason") != Reason.SCOPE_NARROWED.value)
    leavers = users.filter(leaves_file).select(
        pl.col("key").alias("leaver"), make_comparable(_get_former_value(column)).alias("value"), *_FORMER_NAME_COLUMNS
    )
    leavers = leavers.filter(pl.col("value").is_not_null() & ~pl.col("value").is_duplicated())
    # A first load has only joiners.
    joiners = users.filter((Action.CREATE.value == _ACTION) & pl.lit(leavers.height > 0)).select(
        pl.col("key").alias("joiner"), make_comparable(pl.col(column)).alias("value"), *_NAME_COLUMNS
    )
    joiners = joiners.join(leavers, on="value", how="semi").filter(~pl.col("value").is_duplicated())
    pairs = leavers.join(joiners, on="value", how="inner")
    if key in WEAK_KEYS:
        pairs = pairs.filter(~_ANY_NAME_DIFFERS)
    return pairs.select("leaver", "joiner").sort("leaver")


def _warn_probable_rekey(
    users: pl.DataFrame, pairs: Mapping[str, pl.DataFrame], match_with: str
) -> Iterator[Diagnostic]:
    others = [key for key in MATCH_KEYS if key != match_with and pairs[key].height]
    if not others:
        return
    best = max(others, key=lambda key: (pairs[key].height, -MATCH_KEYS.index(key)))
    number, leavers = pairs[best].height, users.filter(is_leaving(Kind.USER)).height
    share = "shares" if number == 1 else "share"
    yield build_warning(
        "probable-rekey",
        f"{number:,} of {leavers:,} people to remove {share} the {best} of a new person; "
        f"match_with: {best} would keep their accounts",
        Span("users.csv"),
        "If they are the same people with new sourcedIds, change match_with and plan again before you approve.",
    )


def _format_people(number: int) -> str:
    return "1 person" if number == 1 else f"{number:,} people"


def _explain_weak_evidence(number: int, match_with: str) -> Iterator[str]:
    if number:
        yield (
            f"{_format_people(number)} would get the account of someone with a different name because only the "
            f"{match_with} matches. It may have been reassigned: compare the name, school and grade of both in the "
            "plan."
        )


def _explain_other_person(number: int) -> Iterator[str]:
    if number:
        yield (
            f"{_format_people(number)} would have a different name and identifier under the same sourcedId. It was "
            "probably reassigned: the new person would get the old account and its work."
        )


def _explain_suffix(number: int) -> Iterator[str]:
    if number:
        names = "1 username" if number == 1 else f"{number:,} usernames"
        yield f"The username suffix changed, so {names} would change; people sign in with them."


def _explain_newly_matched(number: int, match_with: str, last: str | None) -> Iterator[str]:
    if number:
        yield (
            f"match_with changed from {last} to {match_with}: {_format_people(number)} would get an account that "
            f"{last} did not match."
        )


def _explain_likely_rekeys(number: int, *, alike: bool) -> Iterator[str]:
    """Yield the hint that leavers may be joiners. `alike` means that some match by email and name only."""
    if not number:
        return
    if number == 1:
        what = "identifier, or the email and name," if alike else "identifier"
        yield f"1 person to remove has the {what} of a new person: probably the same person with a new sourcedId."
        return
    what = "identifiers, or the emails and names," if alike else "identifiers"
    yield f"{number:,} people to remove have the {what} of new people: probably the same people with new sourcedIds."
