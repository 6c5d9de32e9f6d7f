"""Gives orgs, people and classes of a roster the sourcedIds that the store has, if they differ in code points alone.

Otherwise an export that writes accents or spaces in another form than before would replace every such record.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Span, build_warning
from reconciler.model.kind import Kind
from reconciler.oneroster.snapshot import Snapshot
from reconciler.oneroster.spelling import find_spellings, replace_spellings
from reconciler.planning.frames.change_frame import CSV_FILES
from reconciler.planning.frames.live import LiveRoster

#: frames of a snapshot and their columns that hold the sourcedIds of a kind
COLUMNS: dict[Kind, tuple[tuple[str, str], ...]] = {
    Kind.ORG: (("orgs", "sourced_id"), ("orgs", "parent"), ("roles", "org"), ("classes", "school")),
    Kind.USER: (("users", "sourced_id"), ("roles", "user"), ("enrollments", "user")),
    Kind.CLASS: (("classes", "sourced_id"), ("enrollments", "class")),
}


@dataclass(frozen=True, slots=True)
class SpelledSnapshot:
    """A snapshot with the store's sourcedIds."""

    snapshot: Snapshot
    diagnostics: tuple[Diagnostic, ...] = ()


def spell_as_stored(snapshot: Snapshot, live: LiveRoster) -> SpelledSnapshot:
    """Return the snapshot with the store's sourcedIds of orgs, people and classes, quarantined rows included."""
    diagnostics: list[Diagnostic] = []
    quarantine = snapshot.quarantine
    frames = {
        "orgs": snapshot.orgs,
        "users": snapshot.users,
        "roles": snapshot.roles,
        "classes": snapshot.classes,
        "enrollments": snapshot.enrollments,
    }
    for kind, places in COLUMNS.items():
        own = pl.col("kind") == kind.value
        quarantined = quarantine.filter(own)["key"].alias("sourced_id")
        written = pl.concat([snapshot.get_rows(kind)["sourced_id"], quarantined])
        spellings = find_spellings(written, live.get_frame(kind)["sourced_id"])
        if not spellings.height:
            continue
        diagnostics += _warn_spellings(snapshot.get_rows(kind), kind, spellings)
        for name, column in places:
            frames[name] = replace_spellings(frames[name], column, spellings)
        keys = pl.col("key").replace(spellings["written"], spellings["known"])
        quarantine = quarantine.with_columns(pl.when(own).then(keys).otherwise("key").alias("key"))
    if not diagnostics:
        return SpelledSnapshot(snapshot)
    spelled = replace(
        snapshot,
        orgs=frames["orgs"],
        users=frames["users"],
        roles=frames["roles"],
        classes=frames["classes"],
        enrollments=frames["enrollments"],
        quarantine=quarantine,
    )
    return SpelledSnapshot(spelled, tuple(diagnostics))


def _warn_spellings(rows: pl.DataFrame, kind: Kind, spellings: pl.DataFrame) -> Iterator[Diagnostic]:
    named = rows.filter(pl.col("sourced_id").is_in(spellings["written"].implode()))
    line = int(named["line"].sort()[0]) if named.height else 0
    yield build_warning(
        "other-code-points",
        f"{spellings.height:,} sourcedIds look like those of the last roster but have other code points; they are read "
        "as the same",
        Span(CSV_FILES[kind], line),
        "Export sourcedIds unchanged: in one Unicode form (NFC), and without invisible characters.",
    )
