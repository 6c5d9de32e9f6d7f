"""Checks references between files: a dangling one quarantines its row or gives a warning.

A quarantined row counts as present: it is in the file, only not readable.
"""

from collections.abc import Iterator

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error, build_warning
from reconciler.model.kind import Kind
from reconciler.oneroster.csv_file.quarantine import (
    RowFault,
    build_quarantine,
    create_empty_quarantine,
    format_value,
    make_rows_warning,
)
from reconciler.oneroster.snapshot import is_marked_deleted

#: Share of enrollments without their person or class above which a separate warning is given.
MANY_DANGLING_SHARE = 0.02
#: Types of orgs above schools; a roster has one of them at the top.
ABOVE_SCHOOLS = ("district", "local", "state", "national")
#: Orgs of a cycle to print.
MOST_OF_A_CYCLE = 10


def collect_known_keys(frame: pl.DataFrame, quarantine: pl.DataFrame) -> pl.Series:
    """Return the keys of a file's rows, good or quarantined."""
    return pl.concat([frame["sourced_id"], quarantine["key"].drop_nulls()]).unique()


def check_parents(orgs: pl.DataFrame, org_keys: pl.Series) -> Iterator[Diagnostic]:
    """Warn of missing parents, of orgs that are their own ancestors, and of several top-level orgs."""
    tree = orgs.filter(~is_marked_deleted())
    members = find_cycle_members(tree)
    if members.len():
        cycle = _list_one_cycle(tree, members)
        others = members.len() - len(cycle)
        more = f", and {others:,} more orgs are their own ancestors" if others else ""
        yield build_warning(
            "org-cycle",
            f"orgs form a cycle: {_format_cycle(cycle)}{more}; their parents are not used",
            Span("orgs.csv", _find_line(tree, cycle[0])),
            "Correct parentSourcedId of one of them.",
        )
    orphans = tree.filter(pl.col("parent").is_not_null() & ~pl.col("parent").is_in(org_keys.implode()))
    if orphans.height:
        yield make_rows_warning(
            "orgs.csv", orphans, "dangling-parent", "parentSourcedId names an org that is not in the file"
        )
    roots = tree.filter(pl.col("parent").is_null() & pl.col("type").is_in(ABOVE_SCHOOLS))
    if roots.height > 1:
        message = "several districts have no parent org; the roster may be of several institutions"
        yield make_rows_warning("orgs.csv", roots, "several-roots", message)


def find_cycle_members(rows: pl.DataFrame) -> pl.Series:
    """Return the sourcedIds of rows of `sourced_id` and `parent` that are their own ancestors, sorted.

    Each round looks twice as far up, so a tree ends after a few rounds and a cycle never does."""
    above = rows.select("sourced_id", "parent").drop_nulls()
    for _ in range(rows.height.bit_length() + 1):
        further = above.rename({"sourced_id": "child", "parent": "sourced_id"})
        above = further.join(above, on="sourced_id").select(pl.col("child").alias("sourced_id"), "parent")
        if not above.height:
            break
    # So far up, only rows of cycles are left, and each of them is above another one.
    return above["parent"].unique().sort().alias("sourced_id")


def refuse_cycles(rows: pl.DataFrame, file: str, code: str, noun: str) -> None:
    """Raise Refusal if rows of `sourced_id`, `parent` and `line` form a cycle."""
    members = find_cycle_members(rows)
    if not members.len():
        return
    cycle = _list_one_cycle(rows, members)
    raise Refusal(
        [
            build_error(
                code,
                f"{noun} form a cycle: {_format_cycle(cycle)}",
                Span(file, _find_line(rows, cycle[0])),
                "Correct parentSourcedId of one of them.",
            )
        ]
    )


def _list_one_cycle(rows: pl.DataFrame, members: pl.Series) -> list[str]:
    """Return the cycle of the lowest member, from it upward."""
    up: dict[str, str] = dict(rows.select("sourced_id", "parent").drop_nulls().iter_rows())
    cycle: list[str] = [members[0]]
    while (following := up[cycle[-1]]) != cycle[0]:
        cycle.append(following)
    return cycle


def _format_cycle(cycle: list[str]) -> str:
    return " -> ".join([*cycle[:MOST_OF_A_CYCLE], *(["..."] if len(cycle) > MOST_OF_A_CYCLE else []), cycle[0]])


def _find_line(rows: pl.DataFrame, sourced_id: str) -> int:
    return int(rows.filter(pl.col("sourced_id") == sourced_id)["line"][0])


def split_dangling(
    frame: pl.DataFrame, kind: Kind, file: str, references: dict[str, tuple[pl.Series, str, int]]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows whose references all exist, and the others quarantined.

    `references` has for each field the known keys, the file that should have them and the field's position.
    """
    faults = [create_empty_quarantine()]
    for field, (known, target, column) in references.items():
        exists = frame[field].is_in(known.implode())
        if exists.all():
            continue
        faults.append(
            build_quarantine(
                frame.filter(~exists),
                RowFault(
                    "dangling-reference",
                    pl.format(f"{field} {{}} is not in {target}", format_value(field)),
                    f"Add it to {target}, or remove this row.",
                    column,
                ),
                kind=kind,
                file=file,
                key="sourced_id",
            )
        )
        frame = frame.filter(exists)
    return frame, pl.concat(faults)


def check_dangling_share(dangling: int, rows: int) -> Iterator[Diagnostic]:
    """Warn if too many of the enrollments were quarantined for dangling references."""
    if dangling > rows * MANY_DANGLING_SHARE:
        yield build_warning(
            "many-dangling-references",
            f"{dangling:,} of {rows:,} enrollments refer to people or classes that are not in the roster",
            Span("enrollments.csv"),
            "Export the full roster again; the files are probably from different exports.",
        )


def check_optional_references(
    classes: pl.DataFrame, field: str, target_keys: pl.Series | None, target: str
) -> Iterator[Diagnostic]:
    """Warn of dangling references to courses or terms, unless their file is left out (`target_keys` is None)."""
    if target_keys is None:
        return
    items = classes.select(pl.col(field).str.split(","), "line").explode(field).drop_nulls(field)
    dangling = items.filter(~pl.col(field).is_in(target_keys.implode())).unique("line", maintain_order=True)
    if dangling.height:
        yield make_rows_warning("classes.csv", dangling, "dangling-reference", f"{field} is not in {target}")
