"""What rows refer to in other files: a reference to nothing sets its row aside, or is told in a warning.

A row that was set aside counts as present: it is in the file, only not readable.
"""

from __future__ import annotations

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

#: More enrollments than this share without their person or class are worth a warning of their own.
MANY_DANGLING_SHARE = 0.02
#: Types of orgs that schools belong to, and of which a roster has one on top.
ABOVE_SCHOOLS = ("district", "local", "state", "national")
#: So much of a cycle is printed.
MOST_OF_A_CYCLE = 10


def collect_known_keys(frame: pl.DataFrame, quarantine: pl.DataFrame) -> pl.Series:
    """Keys of a file's rows, good or set aside."""
    return pl.concat([frame["sourced_id"], quarantine["key"].drop_nulls()]).unique()


def check_parents(orgs: pl.DataFrame, org_keys: pl.Series) -> Iterator[Diagnostic]:
    """Warns of parents that are not there, and of several orgs that stand above all others. Raises Refusal where orgs
    are above each other in a circle."""
    tree = orgs.filter(pl.col("status") != "tobedeleted")
    refuse_cycles(tree, "orgs.csv", "org-cycle", "orgs")
    orphans = tree.filter(pl.col("parent").is_not_null() & ~pl.col("parent").is_in(org_keys.implode()))
    if orphans.height:
        yield make_rows_warning(
            "orgs.csv", orphans, "dangling-parent", "parentSourcedId names an org that is not in the file"
        )
    roots = tree.filter(pl.col("parent").is_null() & pl.col("type").is_in(ABOVE_SCHOOLS))
    if roots.height > 1:
        message = "several districts have no org above them: is it the roster of one institution?"
        yield make_rows_warning("orgs.csv", roots, "several-roots", message)


def refuse_cycles(rows: pl.DataFrame, file: str, code: str, noun: str) -> None:
    """rows: `sourced_id`, `parent`, `line`. Raises Refusal where some are above each other in a circle.

    Each round looks twice as far up, so that a tree ends after a few rounds and a circle never does."""
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
                f"{noun} are above each other in a circle: {path}",
                Span(file, line),
                "correct parentSourcedId of one of them",
            )
        ]
    )


def split_dangling(
    frame: pl.DataFrame, kind: Kind, file: str, references: dict[str, tuple[pl.Series, str, int]]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows whose references all exist, and the others set aside.

    references: field -> known keys, the file that should have them, the field's position.
    """
    aside = [create_empty_quarantine()]
    for field, (known, target, column) in references.items():
        there = frame[field].is_in(known.implode())
        if there.all():
            continue
        aside.append(
            build_quarantine(
                frame.filter(~there),
                RowFault(
                    "dangling-reference",
                    pl.format(f"{field} {{}} is not in {target}", format_value(field)),
                    f"add it to {target}, or remove this row",
                    column,
                ),
                kind=kind,
                file=file,
                key="sourced_id",
            )
        )
        frame = frame.filter(there)
    return frame, pl.concat(aside)


def check_dangling_share(dangling: int, rows: int) -> Iterator[Diagnostic]:
    """dangling: of `rows` enrollments, those that were set aside for it."""
    if dangling > rows * MANY_DANGLING_SHARE:
        yield build_warning(
            "many-dangling-references",
            f"{dangling:,} of {rows:,} enrollments name people or classes that are not in the bundle",
            Span("enrollments.csv"),
            "the files are probably not of one export; export the whole roster again",
        )


def check_optional_references(
    classes: pl.DataFrame, field: str, target_keys: pl.Series | None, target: str
) -> Iterator[Diagnostic]:
    """Courses and terms may be left out; where they come along, references to none of them are told."""
    if target_keys is None:
        return
    items = classes.select(pl.col(field).str.split(","), "line").explode(field).drop_nulls(field)
    dangling = items.filter(~pl.col(field).is_in(target_keys.implode())).unique("line", maintain_order=True)
    if dangling.height:
        yield make_rows_warning("classes.csv", dangling, "dangling-reference", f"{field} is not in {target}")
