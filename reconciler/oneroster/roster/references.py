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
    """Warn of missing parents and of several top-level orgs. Raises Refusal if orgs form a cycle."""
    tree = orgs.filter(~is_marked_deleted())
    refuse_cycles(tree, "orgs.csv", "org-cycle", "orgs")
    orphans = tree.filter(pl.col("parent").is_not_null() & ~pl.col("parent").is_in(org_keys.implode()))
    if orphans.height:
        yield make_rows_warning(
            "orgs.csv", orphans, "dangling-parent", "parentSourcedId names an org that is not in the file"
        )
    roots = tree.filter(pl.col("parent").is_null() & pl.col("type").is_in(ABOVE_SCHOOLS))
    if roots.height > 1:
        message = "several districts have no parent org; the roster may be of several institutions"
        yield make_rows_warning("orgs.csv", roots, "several-roots", message)


def refuse_cycles(rows: pl.DataFrame, file: str, code: str, noun: str) -> None:
    """Raise Refusal if rows of `sourced_id`, `parent` and `line` form a cycle.

    Each round looks twice as far up, so a tree ends after a few rounds and a cycle never does."""
    parents = rows.select("sourced_id", "parent").drop_nulls()
    above = parents
    for _ in range(rows.height.bit_length() + 1):
        further = above.rename({"sourced_id": "child", "parent": "sourced_id"})
        above = further.join(above, on="sourced_id").select(pl.col("child").alias("sourced_id"), "parent")
        if not above.height:
            return
    start = above["parent"].sort().to_list()[0]
    up: dict[str, str] = dict(parents.iter_rows())
    cycle: list[str] = [start]
    while (following := up[cycle[-1]]) != start:
        cycle.append(following)
    lowest = cycle.index(min(cycle))
    cycle = cycle[lowest:] + cycle[:lowest]
    path = " -> ".join([*cycle[:MOST_OF_A_CYCLE], *(["..."] if len(cycle) > MOST_OF_A_CYCLE else []), cycle[0]])
    line = rows.filter(pl.col("sourced_id") == cycle[0])["line"][0]
    raise Refusal(
        [
            build_error(
                code,
                f"{noun} form a cycle: {path}",
                Span(file, line),
                "Correct parentSourcedId of one of them.",
            )
        ]
    )


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
