"""Places the orgs of a file: the customer's, another institution's, or unplaced because nothing shows whose they are.

A school is unplaced if it has no parent, one that is not in the file, or itself as an ancestor. Its people and classes
are in the file, so they did not leave: their rows are quarantined, and the customer's records stay as they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Span, build_error, build_warning
from reconciler.model.kind import Kind
from reconciler.oneroster.roster import find_cycle_members
from reconciler.oneroster.snapshot import QUARANTINE_SCHEMA, Snapshot, is_marked_deleted
from reconciler.planning.roster.quarantine import build_quarantine_rows
from reconciler.planning.roster.selection import add_orgs_below

#: Code of the diagnostics on unplaced orgs and of the rows that they quarantine.
UNPLACED_ORG = "unplaced-org"
#: Code of the refusal of a file of which most people are in unplaced schools.
SCHOOLS_WITHOUT_PARENT = "schools-without-parent"
#: Types of orgs that stay below an institution.
_BELOW_INSTITUTIONS = ("school", "department")
#: Types of orgs that own schools, so that a second one makes the owner of a school without a parent uncertain.
_OWNERS_OF_SCHOOLS = ("district", "local")
#: Unplaced orgs that get a diagnostic each; the others are counted.
_MOST_SHOWN = 10
#: The column of orgs with the parents that are not used, because these orgs are their own ancestors; null for others.
CUT_PARENT = "cut_parent"
_CORRECT = "Correct parentSourcedId in the export."
_HINT = (
    f"{_CORRECT} If every school without a parent is this customer's, write under "
    "rostering: schools_without_parent: ours"
)


@dataclass(frozen=True, slots=True)
class UnplacedRows:
    """The rows of a file that belong to unplaced orgs."""

    #: the topmost of them: `sourced_id`, `name`, `parent`, `line`, `people` and `classes` (numbers in it and below)
    orgs: pl.DataFrame
    #: people and classes that have no other org of the customer (QUARANTINE_SCHEMA)
    quarantine: pl.DataFrame
    #: what to do about them
    hint: str = _HINT

    @property
    def people_count(self) -> int:
        """Return the number of quarantined people."""
        return self.quarantine.filter(pl.col("kind") == Kind.USER.value).height


def cut_cycles(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot without the parents of orgs that are their own ancestors; CUT_PARENT keeps them."""
    members = find_cycle_members(snapshot.orgs.filter(~is_marked_deleted()))
    if not members.len():
        return snapshot
    in_cycle = pl.col("sourced_id").is_in(members.implode())
    orgs = snapshot.orgs.with_columns(
        pl.when(~in_cycle).then(pl.col("parent")).alias("parent"), pl.when(in_cycle).then("parent").alias(CUT_PARENT)
    )
    return replace(snapshot, orgs=orgs)


def list_cut_orgs(snapshot: Snapshot, top: str) -> pl.Series:
    """Return the sourcedIds of orgs whose parents were cut, except the customer's top org."""
    return _add_cut_parents(snapshot.orgs).filter(pl.col(CUT_PARENT).is_not_null() & (pl.col("sourced_id") != top))[
        "sourced_id"
    ]


def find_lost_orgs(snapshot: Snapshot, top: str) -> pl.DataFrame:
    """Return the orgs without a parent in the file, except the customer's top org and other institutions, which may be
    their own parents."""
    orgs = _add_cut_parents(snapshot.orgs)
    has_lost_parent = pl.col("parent").is_not_null() & ~pl.col("parent").is_in(orgs["sourced_id"].implode())
    in_cycle_of_others = (pl.col(CUT_PARENT) != pl.col("sourced_id")) & ~pl.col("sourced_id").is_in(
        _list_cycle_of(orgs, top).implode()
    )
    is_lost = _is_parentless(top) | has_lost_parent | in_cycle_of_others.fill_null(False)
    return orgs.filter(is_lost & (pl.col("sourced_id") != top))


def _add_cut_parents(orgs: pl.DataFrame) -> pl.DataFrame:
    return orgs if CUT_PARENT in orgs.columns else orgs.with_columns(pl.lit(None, dtype=pl.String).alias(CUT_PARENT))


def _list_cycle_of(orgs: pl.DataFrame, top: str) -> pl.Series:
    """Return the sourcedIds of the cycle that an org is in, empty if it is in none."""
    included = level = orgs.filter(pl.col("sourced_id") == top)[CUT_PARENT].drop_nulls()
    while level.len():
        above = orgs.filter(pl.col("sourced_id").is_in(level.implode()))[CUT_PARENT].drop_nulls()
        level = above.filter(~above.is_in(included.implode()))
        included = pl.concat([included, level])
    return included


def _is_parentless(top: str) -> pl.Expr:
    return (
        pl.col("parent").is_null() & pl.col("type").is_in(_BELOW_INSTITUTIONS) & (pl.col("sourced_id") != top)
    ).fill_null(False)


def owns_schools(snapshot: Snapshot, top: str) -> bool:
    """Return whether the org is a district or the like, to which a school without a parent may belong."""
    return snapshot.orgs.filter((pl.col("sourced_id") == top) & ~pl.col("type").is_in(_BELOW_INSTITUTIONS)).height > 0


def has_other_districts(snapshot: Snapshot, top: str) -> bool:
    """Return whether a school without a parent may also belong to another district of the file."""
    others = snapshot.orgs.filter(
        pl.col("parent").is_null() & pl.col("type").is_in(_OWNERS_OF_SCHOOLS) & (pl.col("sourced_id") != top)
    )
    return others.height > 0


def adopt_schools_without_parent(snapshot: Snapshot, top: str) -> tuple[Snapshot, tuple[Diagnostic, ...]]:
    """Return the snapshot with all schools without a parent below `top`, for `schools_without_parent: ours`.

    In a file with another district their owner is not certain, so that they stay as they are, with a warning."""
    if not snapshot.orgs.filter(_is_parentless(top)).height or not owns_schools(snapshot, top):
        return snapshot, ()
    if has_other_districts(snapshot, top):
        warning = build_warning(
            "schools-of-several-districts",
            "schools_without_parent: ours has no effect, because orgs.csv has another district",
            Span("orgs.csv"),
            "Correct parentSourcedId in the export, or use a source with this district alone.",
        )
        return snapshot, (warning,)
    parent = pl.when(_is_parentless(top)).then(pl.lit(top)).otherwise("parent").alias("parent")
    return replace(snapshot, orgs=snapshot.orgs.with_columns(parent)), ()


def find_unplaced_rows(
    snapshot: Snapshot, top: str, own_orgs: pl.Series, moved: pl.Series | None = None
) -> UnplacedRows:
    """Return the rows of unplaced orgs; none if the customer's org is itself a school, since others are not below it.

    `own_orgs` are the sourcedIds of the customer's orgs, `moved` those of people whose roles in them ended."""
    lost = find_lost_orgs(snapshot, top).filter(~pl.col("sourced_id").is_in(own_orgs.implode()))
    if not lost.height or not owns_schools(snapshot, top):
        return _make_no_rows(lost)
    tops = _find_topmost(snapshot.orgs, lost, own_orgs)
    placed = snapshot.roles.join(own_orgs.alias("org").to_frame(), on="org", how="semi")
    if moved is not None and moved.len():
        placed = placed.filter(~pl.col("user").is_in(moved.implode()))
    roles = snapshot.roles.join(tops, on="org", how="inner", maintain_order="left")
    classes = snapshot.classes.join(tops, left_on="school", right_on="org", how="inner", maintain_order="left")
    counts = lost.select("sourced_id", "name", "parent", "line", CUT_PARENT).join(
        roles.group_by(pl.col("top").alias("sourced_id")).agg(pl.col("user").n_unique().alias("people")),
        on="sourced_id",
        how="left",
    )
    counts = counts.join(
        classes.group_by(pl.col("top").alias("sourced_id")).agg(pl.len().alias("classes")), on="sourced_id", how="left"
    ).with_columns(pl.col("people", "classes").fill_null(0))
    people = (
        snapshot.users.join(placed, left_on="sourced_id", right_on="user", how="anti")
        .filter(~is_marked_deleted())
        .join(
            roles.unique("user", keep="first", maintain_order=True).select("user", "top"),
            left_on="sourced_id",
            right_on="user",
        )
    )
    active_classes = classes.filter(~is_marked_deleted())
    hint = _CORRECT if has_other_districts(snapshot, top) else _HINT
    return UnplacedRows(
        counts.filter((pl.col("people") > 0) | (pl.col("classes") > 0)).sort("line"),
        pl.concat(
            [
                _build_quarantine(Kind.USER, people, lost, hint),
                _build_quarantine(Kind.CLASS, active_classes, lost, hint),
            ]
        ).sort("file", "line"),
        hint,
    )


def quarantine_people_of_unknown_orgs(snapshot: Snapshot, users: pl.DataFrame, roles: pl.DataFrame) -> pl.DataFrame:
    """Return rows (QUARANTINE_SCHEMA) of those `users` of whom one of `roles` is in an org that the file lacks."""
    strays = roles.filter(~pl.col("org").is_in(snapshot.orgs["sourced_id"].implode()))
    strays = strays.unique("user", keep="first", maintain_order=True)
    rows = users.join(strays, left_on="sourced_id", right_on="user", how="inner", maintain_order="left")
    rows = rows.filter(~is_marked_deleted()).with_columns(pl.col("username").alias("roster_username"))
    message = pl.format('person "{}" has a role in {}, which is not in orgs.csv', "sourced_id", "org")
    hint = "Add the org to orgs.csv, or correct orgSourcedId in roles.csv."
    return build_quarantine_rows(Kind.USER, rows, "sourced_id", UNPLACED_ORG, message, hint)


def find_unplaced_rows_of_districts(snapshot: Snapshot) -> UnplacedRows | None:
    """Return the rows of orgs that belong to none of the file's districts; None if it has no district."""
    is_parentless = pl.col("parent").is_null() & pl.col("type").is_in(_OWNERS_OF_SCHOOLS)
    districts = snapshot.orgs.filter(is_parentless)["sourced_id"]
    if not districts.len():
        return None
    return find_unplaced_rows(snapshot, districts[0], add_orgs_below(snapshot.orgs, districts))


def _make_no_rows(lost: pl.DataFrame) -> UnplacedRows:
    none = lost.clear().select("sourced_id", "name", "parent", "line", CUT_PARENT)
    count = pl.lit(0, dtype=pl.UInt32)
    return UnplacedRows(
        none.with_columns(count.alias("people"), count.alias("classes")), pl.DataFrame(schema=QUARANTINE_SCHEMA)
    )


def _find_topmost(orgs: pl.DataFrame, lost: pl.DataFrame, own_orgs: pl.Series) -> pl.DataFrame:
    """Return `org` and `top` of all orgs in or below `lost` that are not the customer's."""
    tree = orgs.filter(~pl.col("sourced_id").is_in(own_orgs.implode())).select("sourced_id", "parent")
    found = level = lost.select(pl.col("sourced_id").alias("org"), pl.col("sourced_id").alias("top"))
    while level.height:
        level = (
            tree.join(level, left_on="parent", right_on="org", how="inner")
            .select(pl.col("sourced_id").alias("org"), "top")
            .join(found, on="org", how="anti")
        )
        found = pl.concat([found, level])
    return found


def _build_quarantine(kind: Kind, rows: pl.DataFrame, lost: pl.DataFrame, hint: str) -> pl.DataFrame:
    noun = "person" if kind is Kind.USER else "class"
    named = rows.join(
        lost.select(pl.col("sourced_id").alias("top"), _describe_reason().alias("why")), on="top", how="left"
    )
    if kind is Kind.USER:
        named = named.with_columns(pl.col("username").alias("roster_username"))
    message = pl.format(f'{noun} "{{}}" is in {{}}', "sourced_id", "why")
    return build_quarantine_rows(kind, named, "sourced_id", UNPLACED_ORG, message, hint)


def _describe_reason() -> pl.Expr:
    """Return `South School (south), which has no parent in orgs.csv`."""
    name = pl.format("{} ({})", pl.coalesce("name", "sourced_id"), "sourced_id")
    return (
        pl.when(pl.col(CUT_PARENT).is_not_null())
        .then(pl.format("{}, which is its own ancestor in orgs.csv", name))
        .when(pl.col("parent").is_null())
        .then(pl.format("{}, which has no parent in orgs.csv", name))
        .otherwise(pl.format("{}, whose parent {} is not in orgs.csv", name, "parent"))
    )


def describe_unplaced_orgs(unplaced: UnplacedRows) -> Iterator[Diagnostic]:
    """Yield a warning for each unplaced org, with the number of its people and classes."""
    shown = unplaced.orgs.head(_MOST_SHOWN)
    for row in shown.iter_rows(named=True):
        message = f"{_describe_org(row)}; {_LEFT_OUT}"
        yield build_warning(UNPLACED_ORG, message, Span("orgs.csv", row["line"]), unplaced.hint)
    if more := unplaced.orgs.height - shown.height:
        rest = unplaced.orgs.tail(more)
        yield build_warning(
            UNPLACED_ORG,
            f"{more:,} more orgs have no parent in orgs.csv; "
            f"{_count_rows(int(rest['people'].sum()), int(rest['classes'].sum()))} are in them; {_LEFT_OUT}",
            Span("orgs.csv", rest["line"][0]),
            unplaced.hint,
        )


_LEFT_OUT = "they are not synced, and those in the store stay unchanged"


def report_schools_without_parent(snapshot: Snapshot, top: str, unplaced: UnplacedRows, people: int) -> Diagnostic:
    """Return the refusal of a file of which most people are in unplaced schools. `people` are those who belong to the
    customer."""
    first = unplaced.orgs.sort("people", descending=True, maintain_order=True).head(3).iter_rows(named=True)
    named = "; ".join(_describe_org(row) for row in first)
    more = unplaced.orgs.height - 3
    rest = f"; and {more:,} more" if more > 0 else ""
    return build_error(
        SCHOOLS_WITHOUT_PARENT,
        f"{people:,} people belong to org {top}, and {unplaced.people_count:,} are in schools that belong to no "
        f"institution of the file: {named}{rest}",
        Span("orgs.csv", int(unplaced.orgs["line"][0])),
        unplaced.hint,
    )


def _describe_org(row: dict[str, object]) -> str:
    why = (
        "is its own ancestor in orgs.csv"
        if row[CUT_PARENT] is not None
        else "has no parent in orgs.csv"
        if row["parent"] is None
        else f"has the parent {row['parent']}, which is not in orgs.csv"
    )
    people, classes = int(str(row["people"])), int(str(row["classes"]))
    verb = "is" if people + classes == 1 else "are"
    return (
        f"{row['name'] or row['sourced_id']} ({row['sourced_id']}) {why}; {_count_rows(people, classes)} {verb} in it"
    )


def _count_rows(people: int, classes: int) -> str:
    parts = []
    if people:
        parts.append("1 person" if people == 1 else f"{people:,} people")
    if classes:
        parts.append("1 class" if classes == 1 else f"{classes:,} classes")
    return " and ".join(parts)
