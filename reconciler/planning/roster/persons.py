"""Combines the rows of users.csv that are known to be one person's into one row.

Some exports give a person one sourcedId for each school, or one as a teacher and one as staff. Several rows are one
person's if an earlier apply linked them (an alias of the account), or, with match_with: identifier, if they have the
same identifier and the same given and family name. A person stays while any of the sourcedIds is in the file; a row
that leaves takes its own roles and enrollments along. Accounts are never merged here, only by entries of `merges`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Span, build_info, build_warning
from reconciler.model.kind import Kind
from reconciler.model.roster import ALIAS_SEPARATOR
from reconciler.model.text_form import make_caseless_column, make_comparison_column
from reconciler.oneroster.snapshot import Snapshot, is_marked_deleted
from reconciler.planning.roster.desired import find_belonging_orgs

_IS_MARKED_DELETED = is_marked_deleted()


@dataclass(frozen=True, slots=True)
class PersonSnapshot:
    """A snapshot with one row of users for each person."""

    #: users have `aliases`; roles and enrollments name the row's sourcedId
    snapshot: Snapshot
    diagnostics: tuple[Diagnostic, ...] = ()


def combine_person_rows(
    snapshot: Snapshot,
    live: pl.DataFrame,
    match_with: str,
    client_partner_id: str,
    known_orgs: pl.Series | None = None,
    merge_aliases: pl.DataFrame | None = None,
) -> PersonSnapshot:
    """Return the snapshot with one row for each person, under the account's own sourcedId or else the lowest one.

    `live` has the customer's users, tombstones included; `known_orgs` the sourcedIds of its active orgs;
    `merge_aliases` the `alias` and `canonical` of sourcedIds that `merges` declares to be one person's.
    """
    aliases = list_known_aliases(live)
    if merge_aliases is not None:
        aliases = pl.concat([aliases, merge_aliases]).unique("alias", keep="last", maintain_order=True)
    alike = _find_shared_identifiers(snapshot, client_partner_id, known_orgs) if match_with == "identifier" else None
    if aliases.is_empty() and alike is None:
        return PersonSnapshot(snapshot)
    members = aliases.select(pl.col("alias").alias("member"), "canonical").join(
        snapshot.users.select(pl.col("sourced_id").alias("member")), on="member", how="semi"
    )
    diagnostics: list[Diagnostic] = []
    if alike is not None:
        same_persons = _find_same_persons(alike, _find_owners(live, aliases))
        diagnostics += _warn_ambiguous_rows(alike, same_persons)
        proven = same_persons.filter(pl.col("canonical").is_not_null()).select("member", "canonical")
        members = pl.concat([proven, members]).unique("member", keep="first", maintain_order=True)
    diagnostics += _report_combined_people(members)
    return PersonSnapshot(_combine_rows(snapshot, members.sort("canonical", "member"), aliases), tuple(diagnostics))


def list_known_aliases(live: pl.DataFrame) -> pl.DataFrame:
    """Return every alias of an account: `alias`, and `canonical` (the account's own sourcedId)."""
    further = live.filter(pl.col("aliases").is_not_null() & pl.col("sourced_id").is_not_null())
    return (
        further.select(
            pl.col("aliases").str.split(ALIAS_SEPARATOR).alias("alias"), pl.col("sourced_id").alias("canonical")
        )
        .explode("alias")
        .filter(pl.col("alias") != pl.col("canonical"))
    )


def add_canonical_ids(sourced_ids: frozenset[str], live: pl.DataFrame) -> frozenset[str]:
    """Return the sourcedIds and, for those that are aliases, also the own sourcedIds of their accounts."""
    aliases = list_known_aliases(live)
    return sourced_ids | frozenset(aliases.filter(pl.col("alias").is_in(sorted(sourced_ids)))["canonical"].to_list())


def join_aliases(rows: pl.DataFrame, other_column: str) -> pl.DataFrame:
    """Add the aliases of another column to `aliases`: sorted, one per line, without repetitions."""
    differ = (pl.col("aliases") != pl.col(other_column)).fill_null(False)
    joined = rows.with_columns(pl.when(~differ).then(pl.coalesce("aliases", other_column)).alias("joined"))
    differing = joined.with_row_index("place").filter(differ)
    if differing.height:
        lists = [pl.col(name).str.split(ALIAS_SEPARATOR) for name in ("aliases", other_column)]
        every = pl.concat_list(lists).list.unique().list.sort().list.join(ALIAS_SEPARATOR)
        joined = (
            joined.with_row_index("place")
            .join(differing.select("place", every.alias("every")), on="place", how="left", maintain_order="left")
            .with_columns(pl.coalesce("joined", "every").alias("joined"))
        )
    return joined.with_columns(pl.col("joined").alias("aliases")).select(rows.columns)


def normalize_name(name: str) -> pl.Expr:
    """Return a name for comparison, without differences of letter case and of what a reader cannot see."""
    return pl.col(name).map_batches(make_caseless_column, return_dtype=pl.String, is_elementwise=True)


def make_comparable(value: pl.Expr) -> pl.Expr:
    """Return an identifier, email or username for comparison, without differences that a reader cannot see."""
    return value.map_batches(make_comparison_column, return_dtype=pl.String, is_elementwise=True)


def _find_shared_identifiers(
    snapshot: Snapshot, client_partner_id: str, known_orgs: pl.Series | None
) -> pl.DataFrame | None:
    """Return the customer's people who share an identifier: `member`, `line`, `identifier`, `given`, `family`; None if
    there are none."""
    users = snapshot.users.with_columns(make_comparison_column(snapshot.users["identifier"]))
    identifiers = users["identifier"].drop_nulls()
    # Equal values have equal hashes, and numbers compare faster than text.
    if identifiers.hash().n_unique() == identifiers.len():
        return None
    orgs = find_belonging_orgs(snapshot.orgs, client_partner_id)
    if known_orgs is not None:
        orgs = pl.concat([orgs, known_orgs.alias("sourced_id")]).unique()
    ours = snapshot.roles.filter(pl.col("org").is_in(orgs.implode())).select(pl.col("user").alias("sourced_id"))
    alike = (
        users.filter(pl.col("identifier").is_not_null() & pl.col("identifier").is_duplicated())
        .join(ours.unique(), on="sourced_id", how="semi", maintain_order="left")
        .filter(pl.col("identifier").is_duplicated())
    )
    if alike.is_empty():
        return None
    return alike.select(
        pl.col("sourced_id").alias("member"),
        "line",
        "identifier",
        normalize_name("given_name").alias("given"),
        normalize_name("family_name").alias("family"),
    )


def _find_owners(live: pl.DataFrame, aliases: pl.DataFrame) -> pl.DataFrame:
    """Return each sourcedId of an account (`member`) with the account's own sourcedId (`owner`)."""
    bound = live["sourced_id"].drop_nulls()
    return pl.concat(
        [
            pl.DataFrame({"member": bound, "owner": bound}),
            aliases.select(pl.col("alias").alias("member"), pl.col("canonical").alias("owner")),
        ]
    ).unique("member", keep="first", maintain_order=True)


def _find_same_persons(alike: pl.DataFrame, owners: pl.DataFrame) -> pl.DataFrame:
    """Return rows with one identifier and one name: `member`, `line`, `canonical` (null if several accounts have them).

    An identifier that people with different names share (`0`, `N/A`) proves nothing.
    """
    person = ["identifier", "given", "family"]
    names = pl.struct("given", "family").n_unique().over("identifier")
    rows = alike.filter(pl.col("given").is_not_null() & pl.col("family").is_not_null() & (names == 1)).join(
        owners, on="member", how="left", maintain_order="left"
    )
    persons = (
        rows.group_by(person)
        .agg(
            pl.len().alias("rows"),
            pl.col("owner").drop_nulls().n_unique().alias("accounts"),
            pl.coalesce(pl.col("owner").min(), pl.col("member").min()).alias("chosen"),
        )
        .filter(pl.col("rows") > 1)
    )
    return rows.join(persons, on=person, how="inner", maintain_order="left").select(
        "member", "line", pl.when(pl.col("accounts") <= 1).then("chosen").alias("canonical")
    )


def _combine_rows(snapshot: Snapshot, members: pl.DataFrame, aliases: pl.DataFrame) -> Snapshot:
    """Combine the rows of each person; `members` has `member` and `canonical` of rows that are one of several."""
    rows = (
        snapshot.users.join(members, left_on="sourced_id", right_on="member", how="left", maintain_order="left")
        .rename({"sourced_id": "member"})
        .with_columns(pl.col("canonical").fill_null(pl.col("member")).alias("sourced_id"))
    )
    # The account's own row is one of several even if `members` has only its aliases.
    belongs = pl.col("sourced_id").is_in(members["canonical"].implode())
    several, single = rows.filter(belongs), rows.filter(~belongs)
    active = several.filter(~_IS_MARKED_DELETED)
    kept = pl.concat([active, several.join(active, on="sourced_id", how="anti")])
    own = pl.col("member") == pl.col("sourced_id")
    enabled = kept.group_by("sourced_id").agg(pl.col("enabled").fill_null(True).any().alias("enabled_somewhere"))
    further = kept.filter(~own).sort("member").group_by("sourced_id").agg(pl.col("member").str.join(ALIAS_SEPARATOR))
    chosen = (
        kept.sort("sourced_id", ~own, "member")
        .unique("sourced_id", keep="first", maintain_order=True)
        .join(enabled, on="sourced_id", how="left", maintain_order="left")
        .join(further.rename({"member": "aliases"}), on="sourced_id", how="left", maintain_order="left")
        .with_columns(pl.col("enabled_somewhere").alias("enabled"))
        .drop("enabled_somewhere")
    )
    known = aliases.group_by("canonical").agg(pl.col("alias").sort().str.join(ALIAS_SEPARATOR).alias("known"))
    users = (
        pl.concat([single.with_columns(pl.lit(None, dtype=pl.String).alias("aliases")), chosen])
        .join(known, left_on="sourced_id", right_on="canonical", how="left", maintain_order="left")
        .pipe(join_aliases, "known")
    )
    names = kept.select("member", pl.col("sourced_id").alias("person")).join(
        chosen.select("member", pl.lit(True).alias("first")), on="member", how="left"
    )
    dropped = several.join(kept, on="member", how="anti")["member"]
    return replace(
        snapshot,
        users=users.select(*snapshot.users.columns, "aliases"),
        roles=_replace_user_ids(snapshot.roles, names, dropped),
        enrollments=_replace_user_ids(snapshot.enrollments, names, dropped),
        quarantine=_map_quarantine_to_persons(snapshot.quarantine, aliases),
    )


def _replace_user_ids(frame: pl.DataFrame, names: pl.DataFrame, dropped: pl.Series) -> pl.DataFrame:
    """Replace `user` by the person's sourcedId and drop the rows of `dropped`. `names` has `member`, `person` and
    `first` (its primary role is the person's)."""
    if dropped.len():
        frame = frame.filter(~pl.col("user").is_in(dropped.implode()))
    if names.is_empty():
        return frame
    renamed = frame.join(names, left_on="user", right_on="member", how="left", maintain_order="left")
    if "org" in frame.columns:
        renamed = renamed.with_columns(pl.col("primary") & (pl.col("person").is_null() | pl.col("first").is_not_null()))
    return renamed.with_columns(pl.coalesce("person", "user").alias("user")).select(frame.columns)


def _map_quarantine_to_persons(quarantine: pl.DataFrame, aliases: pl.DataFrame) -> pl.DataFrame:
    """Replace aliases of quarantined people by the account's own sourcedId, so that the whole person is protected."""
    if aliases.is_empty() or quarantine.is_empty():
        return quarantine
    person = pl.when(pl.col("kind") == Kind.USER.value).then(pl.col("canonical"))
    return (
        quarantine.join(aliases, left_on="key", right_on="alias", how="left", maintain_order="left")
        .with_columns(pl.coalesce(person, "key").alias("key"))
        .select(quarantine.columns)
    )


def _report_combined_people(members: pl.DataFrame) -> Iterator[Diagnostic]:
    if members.height:
        people = members["canonical"].n_unique()
        message = (
            "1 person has several sourcedIds in this roster and one account"
            if people == 1
            else f"{people:,} people have several sourcedIds in this roster; each has one account"
        )
        yield build_info("several-sourced-ids", message, Span("users.csv"))


def _warn_ambiguous_rows(alike: pl.DataFrame, same_persons: pl.DataFrame) -> Iterator[Diagnostic]:
    several = same_persons.filter(pl.col("canonical").is_null())
    if several.height:
        yield build_warning(
            "several-accounts",
            f"{several.height:,} rows share identifier and name with another row but belong to different accounts; "
            "the accounts stay unchanged",
            Span("users.csv", _find_first_line(several)),
            "Add an entry to merges if the accounts are one person's. Until then nobody is removed.",
        )
    others = alike.join(same_persons, on="member", how="anti").filter(
        pl.col("identifier").is_in(alike["identifier"].implode())
    )
    if others.height:
        yield build_warning(
            "shared-identifier",
            f"{others.height:,} rows share their identifier with a row of another name; they stay different people",
            Span("users.csv", _find_first_line(others)),
            "If they are one person, give the rows the same name; if not, give each person their own identifier.",
        )


def _find_first_line(rows: pl.DataFrame) -> int:
    return int(rows["line"].sort()[0])
