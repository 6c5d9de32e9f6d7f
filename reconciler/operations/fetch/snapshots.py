"""Save the last good roster of a customer, and read it back as a snapshot."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, build_error
from reconciler.model.ids import CustomerId, CustomerNumber, Moment
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.oneroster.csv_file import KNOWN_BY
from reconciler.oneroster.snapshot import ROLE_IDS_SCHEMA, SESSIONS_SCHEMA, Snapshot, SourceFacts
from reconciler.oneroster.sources import PreviousRoster
from reconciler.planning.frames import LiveRoster
from reconciler.planning.roster import UNPLACED_ORG, DesiredRoster, list_known_aliases
from reconciler.store.open import Store
from reconciler.store.read import Reader
from reconciler.store.sync import find_roster_hold
from reconciler.store.write import OVERTAKEN

Frames = dict[str, pl.DataFrame]

#: prefix of a part's name, before the file stem, for rows whose references are still missing
WAITING = "waiting-"
#: parts with roles of people
ROLE_PARTS = frozenset({"roles", f"{WAITING}roles"})


def select_own_rows(snapshot: Snapshot, desired: DesiredRoster, live: LiveRoster) -> Frames:
    """Return the snapshot's frames by part, with only the customer's own rows.

    live: with the open enrollments."""
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
    if orgs.len() == snapshot.orgs.height and not snapshot.quarantine.filter(pl.col("kind") == Kind.ORG.value).height:
        return frames | {f"{WAITING}{stem}": frame for stem, frame in snapshot.waiting.items()}
    # A quarantined org is the customer's if the store has it.
    quarantined = desired.list_protected(Kind.ORG)
    orgs = pl.concat(
        [orgs, quarantined.filter(quarantined.is_in(live.orgs["sourced_id"].implode())).alias("sourced_id")]
    )
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
    unplaced = desired.quarantine.filter(pl.col("code") == UNPLACED_ORG)
    own["quarantine"] = _select_own_quarantine(pl.concat([snapshot.quarantine, unplaced]), own, live)
    own["sessions"] = snapshot.sessions
    own["role_ids"] = frames["role_ids"].join(own["roles"], on=["user", "org", "role", "line"], how="semi")
    # Waiting rows are not saved: in a shared roster their owner is unknown.
    return {part: own[part] for part in frames}


def _filter_by_keys(frame: pl.DataFrame, column: str, keys: pl.Series) -> pl.DataFrame:
    return frame.join(
        keys.drop_nulls().unique().to_frame("key"), left_on=column, right_on="key", how="semi", maintain_order="left"
    )


def _select_own_quarantine(quarantine: pl.DataFrame, own: Frames, live: LiveRoster) -> pl.DataFrame:
    """Return the quarantined rows of this customer in full, and rows of unknown owners without their values.

    A person's row with another sourcedId still counts as the customer's if it has a value of one of its accounts. Its
    owner is unknown if no value can be read.
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
    has_known_value = pl.any_horizontal(pl.col(name).is_in(values.implode()) for name in KNOWN_BY).fill_null(False)
    is_unreadable = pl.col("key").is_null() | (
        (pl.col("kind") == Kind.USER.value) & pl.all_horizontal(pl.col(name).is_null() for name in KNOWN_BY)
    )
    is_own = known | has_known_value
    is_unknown = is_unreadable & ~is_own
    nothing = pl.lit(None, dtype=pl.String)
    return quarantine.filter(is_own | is_unknown).with_columns(
        pl.when(is_unknown).then(pl.lit("a row whose owner is unknown")).otherwise("message").alias("message"),
        *[
            pl.when(~is_unknown).then(pl.col(name)).otherwise(nothing).alias(name)
            for name in ("key", "hint", *KNOWN_BY)
        ],
    )


#: key of the source's facts among the saved facts of a roster
SOURCE = "source"
#: key of the moment of the last full fetch
FULL_ROSTER_AT = "whole_at"


def read_last_snapshot(reader: Reader, customer_number: CustomerNumber) -> Snapshot | None:
    """Return the last good roster, or None if none was applied yet. Its diagnostics are not saved."""
    saved = reader.load_last_snapshot(customer_number)
    if saved is None:
        return None
    meta, parts = saved
    parts = {part: _add_role_dates(frame) if part in ROLE_PARTS else frame for part, frame in parts.items()}
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


def _add_role_dates(roles: pl.DataFrame) -> pl.DataFrame:
    """Return roles with dates, which rosters saved by earlier versions lack."""
    missing = [name for name in ("begin_date", "end_date") if name not in roles.columns]
    return roles.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in missing)


def read_base_snapshot(store: Store, customer: CustomerId) -> Snapshot | None:
    """Return the roster that a delta roster applies to, read with a reader of its own for use in another thread.

    Raises Refusal if a later roster waits for approval: applied to the one before, the delta would lose the later
    one's changes."""
    with store.open_reader() as reader:
        record = reader.read_customers().get(customer)
        source = reader.read_last_source(record.id) if record else None
        if source is not None and source.facts.get(OVERTAKEN):
            raise Refusal([_describe_missing_base(customer)])
        return read_last_snapshot(reader, record.id) if record else None


def _describe_missing_base(customer: CustomerId) -> Diagnostic:
    return build_error(
        "delta-without-whole",
        "this is a delta roster, but the roster before it is waiting for approval",
        hint=f"Approve the hold of {customer} (see `reconciler holds`), or send a full (bulk) roster first.",
    )


def read_earlier_roster(reader: Reader, customer_number: CustomerNumber | None) -> PreviousRoster:
    """Return the roster that a source may send changes to.

    Empty if no roster is saved, or if a later one waits for approval in whole or in part: its held people would be
    missing from later changes, and so forgotten."""
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


def find_newest_roster_time(reader: Reader, customer_number: CustomerNumber | None) -> Moment | None:
    """Return the fetch moment (ISO-8601 UTC) of the last good roster or of a later one that waits; None without one."""
    source = reader.read_last_source(customer_number) if customer_number is not None else None
    if source is None:
        return None
    later = source.facts.get(OVERTAKEN)
    # Older stores do not know the moment of a waiting roster.
    return max(source.fetched_at, Moment(later)) if isinstance(later, str) else source.fetched_at


def find_full_roster_time(snapshot: Snapshot, last_full_at: Moment | None) -> Moment | None:
    """Return the moment of the last full fetch. last_full_at: that of the roster before it."""
    return last_full_at if any(mode == "delta" for mode in snapshot.modes.values()) else snapshot.fetched_at


def build_source_record(snapshot: Snapshot, stored_frames: Mapping[str, pl.DataFrame]) -> dict[str, object]:
    """Return the facts of a source to save with its rows, as JSON values.

    stored_frames: the snapshot's frames as saved. `rows` counts the merged rows of files that were sent as a delta.
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
    """Parse the source's facts, which may be missing, from the saved facts of a roster."""
    source: Mapping[str, Any] = facts.get(SOURCE, {})
    return SourceFacts(
        files=tuple(source.get("files", ())),
        system=source.get("system"),
        modified_at=source.get("modified_at"),
        packed_at=source.get("packed_at"),
    )


def count_source_rows(rows: Mapping[str, int], facts: Mapping[str, Any]) -> dict[str, int]:
    """Return the rows of a roster by file stem: as read, or as merged from a delta."""
    source: Mapping[str, Any] = facts.get(SOURCE, {})
    return {**rows, **source.get("rows", {})}
