"""Gives orgs, people and classes of a roster the sourcedIds that the store has, if they differ in code points alone.

Otherwise an export that writes accents or spaces in another form than before would replace every such record.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Span, build_warning
from reconciler.model.kind import Kind
from reconciler.model.text_form import is_ascii_column, make_visible_column, make_visible_form
from reconciler.oneroster.snapshot import Snapshot
from reconciler.oneroster.spelling import find_spellings, replace_spellings
from reconciler.planning.frames.change_frame import CSV_FILES
from reconciler.planning.frames.live import LiveRoster
from reconciler.planning.roster.persons import list_known_aliases

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
    quarantine, bare_deletions = snapshot.quarantine, dict(snapshot.bare_deletions)
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
        written = [snapshot.get_rows(kind)["sourced_id"], quarantined]
        if kind in bare_deletions:
            written.append(bare_deletions[kind]["sourced_id"])
        spellings = find_spellings(pl.concat(written), _list_stored_ids(live, kind))
        if not spellings.height:
            continue
        diagnostics += _warn_spellings(snapshot.get_rows(kind), kind, spellings)
        for name, column in places:
            frames[name] = replace_spellings(frames[name], column, spellings)
        if kind in bare_deletions:
            bare_deletions[kind] = replace_spellings(bare_deletions[kind], "sourced_id", spellings)
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
        bare_deletions=bare_deletions,
    )
    return SpelledSnapshot(spelled, tuple(diagnostics))


def _list_stored_ids(live: LiveRoster, kind: Kind) -> pl.Series:
    """Return the sourcedIds of the store's records; of people, their further ones too."""
    own = live.get_frame(kind)["sourced_id"]
    return pl.concat([own, list_known_aliases(live.users)["alias"].alias("sourced_id")]) if kind is Kind.USER else own


def spell_protected_people(protect: frozenset[str], live: LiveRoster) -> frozenset[str]:
    """Return the sourcedIds of people who are never removed, with those of the store that look the same."""
    stored = _list_stored_ids(live, Kind.USER).drop_nulls()
    if not protect or is_ascii_column(stored):
        return protect
    forms = sorted({make_visible_form(each) for each in protect})
    return protect | frozenset(stored.filter(make_visible_column(stored).is_in(forms)).to_list())


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
