"""The last good snapshot of a customer, back from the store as the value that a source gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, build_error
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.oneroster.csv_file.quarantine import KNOWN_BY
from reconciler.oneroster.snapshot import ROLE_IDS_SCHEMA, SESSIONS_SCHEMA, Snapshot, SourceFacts
from reconciler.oneroster.sources.interface import PreviousRoster
from reconciler.planning.frames.live import LiveRoster
from reconciler.planning.roster.desired import DesiredRoster
from reconciler.planning.roster.persons import list_known_aliases
from reconciler.store.open import Store
from reconciler.store.read.reader import Reader
from reconciler.store.sync.records import find_roster_hold
from reconciler.store.write.snapshots import OVERTAKEN

# What is kept of a snapshot as a customer's last good roster: its own rows, and nobody else's children.

Frames = dict[str, pl.DataFrame]

#: Before the file stem in the name of a part that holds rows whose references are not there yet.
WAITING = "waiting-"


def select_own_rows(snapshot: Snapshot, desired: DesiredRoster, live: LiveRoster) -> Frames:
    """The snapshot's frames by part. live: with the open enrollments."""
    frames = {
        "orgs": snapshot.orgs,
        "users": snapshot.users,
        "roles": snapshot.roles,
        "classes": snapshot.classes,
        "enrollments": snapshot.enrollments,
        "quarantine": snapshot.quarantine,
        "sessions": snapshot.sessions,
        "role_ids": snapshot.role_ids,
    }
    orgs = desired.own_orgs
    alone = orgs.len() == snapshot.orgs.height
    if alone and not snapshot.quarantine.filter(pl.col("kind") == Kind.ORG.value).height:
        return frames | {f"{WAITING}{stem}": frame for stem, frame in snapshot.waiting.items()}
    # An org that was set aside is the customer's where it is live here.
    aside = desired.list_protected(Kind.ORG)
    orgs = pl.concat([orgs, aside.filter(aside.is_in(live.orgs["sourced_id"].implode())).alias("sourced_id")])
    own = {
        "orgs": _filter_by_keys(frames["orgs"], "sourced_id", orgs),
        "users": frames["users"].filter(~pl.col("sourced_id").is_in(desired.people_of_other_orgs.implode())),
        "classes": _filter_by_keys(frames["classes"], "school", orgs),
    }
    aliases = list_known_aliases(live.users)["alias"].alias("sourced_id")
    users = pl.concat([own["users"]["sourced_id"], live.users["sourced_id"], aliases])
    classes = pl.concat([own["classes"]["sourced_id"], live.classes["sourced_id"]])
    own["roles"] = _filter_by_keys(_filter_by_keys(frames["roles"], "user", own["users"]["sourced_id"]), "org", orgs)
    own["enrollments"] = _filter_by_keys(_filter_by_keys(frames["enrollments"], "user", users), "class", classes)
    own["quarantine"] = _select_own_quarantine(snapshot.quarantine, own, live)
    own["sessions"] = snapshot.sessions
    own["role_ids"] = frames["role_ids"].join(own["roles"], on=["user", "org", "role", "line"], how="semi")
    # Whose rows wait cannot be told where several customers share the bundle: they are not kept.
    return {part: own[part] for part in frames}


def _filter_by_keys(frame: pl.DataFrame, column: str, keys: pl.Series) -> pl.DataFrame:
    return frame.join(
        keys.drop_nulls().unique().to_frame("key"), left_on=column, right_on="key", how="semi", maintain_order="left"
    )


def _select_own_quarantine(quarantine: pl.DataFrame, own: Frames, live: LiveRoster) -> pl.DataFrame:
    """Rows that name somebody or something of this customer whole; rows that name nobody without what they say.

    A person's row with another sourcedId may be an account's all the same, where it has one of the account's values,
    or where its values cannot be read.
    """
    aliases = list_known_aliases(live.users)["alias"].alias("sourced_id")
    known = pl.any_horizontal(
        [
            (pl.col("kind") == kind.value)
            & pl.col("key").is_in(
                pl.concat([own[kind.plural]["sourced_id"], live.get_frame(kind)["sourced_id"], aliases])
                .drop_nulls()
                .implode()
            )
            for kind in ROSTER_KINDS
        ]
    ).fill_null(False)
    values = pl.concat(
        [live.users[name].alias("value") for name in ("identifier", "email", "username", "roster_username")]
    ).drop_nulls()
    meant = pl.any_horizontal(pl.col(name).is_in(values.implode()) for name in KNOWN_BY).fill_null(False)
    unread = pl.col("key").is_null() | (
        (pl.col("kind") == Kind.USER.value) & pl.all_horizontal(pl.col(name).is_null() for name in KNOWN_BY)
    )
    whole, nobodys = known | meant, unread & ~(known | meant)
    nothing = pl.lit(None, dtype=pl.String)
    return quarantine.filter(whole | nobodys).with_columns(
        pl.when(nobodys).then(pl.lit("a row whose owner cannot be told")).otherwise("message").alias("message"),
        *[pl.when(~nobodys).then(pl.col(name)).otherwise(nothing).alias(name) for name in ("key", "hint", *KNOWN_BY)],
    )


#: Where the facts of a source stand among those that are kept of a roster.
SOURCE = "source"
#: When the whole of it was fetched last.
FULL_ROSTER_AT = "whole_at"


def read_last_snapshot(reader: Reader, customer_number: int) -> Snapshot | None:
    """None where no roster was applied yet. Its diagnostics were told when it was read and are not kept."""
    kept = reader.load_last_snapshot(customer_number)
    if kept is None:
        return None
    meta, parts = kept
    source: Mapping[str, Any] = meta.facts.get(SOURCE, {})
    return Snapshot(
        version=meta.version,
        type=meta.type,
        name=meta.name,
        sha256=meta.sha256,
        fetched_at=meta.fetched_at,
        complete=meta.complete,
        rows=meta.rows,
        orgs=parts["orgs"],
        users=parts["users"],
        roles=parts["roles"],
        classes=parts["classes"],
        enrollments=parts["enrollments"],
        quarantine=parts["quarantine"],
        diagnostics=(),
        modes=source.get("modes", {}),
        sessions=parts.get("sessions", pl.DataFrame(schema=SESSIONS_SCHEMA)),
        facts=parse_source_facts(meta.facts),
        waiting={part.removeprefix(WAITING): frame for part, frame in parts.items() if part.startswith(WAITING)},
        role_ids=parts.get("role_ids", pl.DataFrame(schema=ROLE_IDS_SCHEMA)),
        shared=bool(source.get("shared", False)),
    )


def read_base_snapshot(store: Store, customer: str) -> Snapshot | None:
    """What changes may be laid over, by the customer's name, in a view of its own: for a thread beside the one that
    reads the store. Raises Refusal where a later roster, which is not good yet, waits for a person: laid over the one
    before, changes would bring back what that one said."""
    with store.open_reader() as reader:
        record = reader.read_customers().get(customer)
        source = reader.read_last_source(record.id) if record else None
        if source is not None and source.facts.get(OVERTAKEN):
            raise Refusal([_describe_missing_base(customer)])
        return read_last_snapshot(reader, record.id) if record else None


def _describe_missing_base(customer: str) -> Diagnostic:
    return build_error(
        "delta-without-whole",
        "the roster before these changes waits for a person: there is none that they could be laid over",
        hint=f"approve what `reconciler holds` says of {customer}, or send a whole roster first",
    )


def read_earlier_roster(reader: Reader, customer_number: int | None) -> PreviousRoster:
    """What a source may go on from. Nothing where no roster is kept, or where a later one waits, in whole or in part:
    what changed since names nobody of those who are held, and they would be forgotten."""
    source = reader.read_last_source(customer_number) if customer_number is not None else None
    if (
        customer_number is None
        or source is None
        or source.facts.get(OVERTAKEN)
        or find_roster_hold(reader.connection, customer_number) is not None
    ):
        return PreviousRoster()
    return PreviousRoster(
        since=parse_source_facts(source.facts).modified_at,
        whole_at=source.facts.get(FULL_ROSTER_AT),
        rows=count_source_rows(source.rows, source.facts),
    )


def find_newest_roster_time(reader: Reader, customer_number: int | None) -> str | None:
    """When the newest roster that the store knows was fetched, ISO-8601 UTC: the last good one, or one after it that
    waits. None where there is none."""
    source = reader.read_last_source(customer_number) if customer_number is not None else None
    if source is None:
        return None
    later = source.facts.get(OVERTAKEN)
    # Older stores have no moment of what waits.
    return max(source.fetched_at, later) if isinstance(later, str) else source.fetched_at


def find_full_roster_time(snapshot: Snapshot, last_full_at: str | None) -> str | None:
    """When all of it was fetched last. before: of the roster before it."""
    return last_full_at if any(mode == "delta" for mode in snapshot.modes.values()) else snapshot.fetched_at


def build_source_record(snapshot: Snapshot, stored_frames: Mapping[str, pl.DataFrame]) -> dict[str, object]:
    """What is kept of a source beside its rows, as JSON takes it. kept: the snapshot's frames as they are stored.

    rows: of files that a bundle of changes (delta) was laid over, those of the roster that came of it.
    """
    changed = [stem for stem, mode in snapshot.modes.items() if mode == "delta" and stem in stored_frames]
    return {
        **asdict(snapshot.facts),
        "files": list(snapshot.facts.files),
        "modes": dict(snapshot.modes),
        "rows": {stem: stored_frames[stem].height for stem in changed},
        "shared": snapshot.shared or stored_frames["orgs"].height < snapshot.orgs.height,
    }


def parse_source_facts(facts: Mapping[str, Any]) -> SourceFacts:
    """facts: all that are kept of a roster; those of the source may be missing."""
    source: Mapping[str, Any] = facts.get(SOURCE, {})
    return SourceFacts(
        files=tuple(source.get("files", ())),
        system=source.get("system"),
        modified_at=source.get("modified_at"),
        packed_at=source.get("packed_at"),
    )


def count_source_rows(rows: Mapping[str, int], facts: Mapping[str, Any]) -> dict[str, int]:
    """Rows by file stem that the roster had: as they were read, or as changes made them."""
    source: Mapping[str, Any] = facts.get(SOURCE, {})
    return {**rows, **source.get("rows", {})}
