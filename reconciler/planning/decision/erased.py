"""Excludes people who were erased on request from a roster that still names them, and reports their rows.

Nothing of these rows is used or saved, and they are no evidence for or against anybody else.
"""

from dataclasses import dataclass, replace

import polars as pl

from reconciler.model.diagnostic import Span, build_warning
from reconciler.model.kind import Kind
from reconciler.model.plan import ActionCounts
from reconciler.oneroster.snapshot import QUARANTINE_SCHEMA, Snapshot
from reconciler.planning.decision.roster_decision import RosterDecision

QUARANTINE_CODE = "erased-person"
WARNING_CODE = "erased-person-in-roster"
HINT = "Remove the person at the source. To let them return, run: reconciler erase CUSTOMER KEY --lift --request REF"


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """A snapshot without erased people."""

    snapshot: Snapshot
    #: the rows of erased people (QUARANTINE_SCHEMA), for reports alone
    quarantine: pl.DataFrame


def list_named_people(snapshot: Snapshot) -> pl.Series:
    """Return every sourcedId of a person that the snapshot has anywhere."""
    quarantined = snapshot.quarantine.filter(pl.col("kind") == Kind.USER.value)["key"]
    named = [snapshot.users["sourced_id"], snapshot.roles["user"], snapshot.enrollments["user"], quarantined]
    named += [
        frame[_get_person_column(stem, frame)]
        for stem, frame in snapshot.waiting.items()
        if _get_person_column(stem, frame)
    ]
    return pl.concat([each.rename("key") for each in named]).drop_nulls().unique(maintain_order=True)


def exclude_erased_people(snapshot: Snapshot, erased: pl.Series) -> ErasureResult:
    """Return the snapshot without the people who have these sourcedIds."""
    if not erased.len():
        return ErasureResult(snapshot, pl.DataFrame(schema=QUARANTINE_SCHEMA))
    keys = erased.implode()

    def without(frame: pl.DataFrame, column: str) -> pl.DataFrame:
        return frame.filter(~pl.col(column).is_in(keys).fill_null(False)) if column else frame

    rows = snapshot.users.filter(pl.col("sourced_id").is_in(keys))
    theirs = (pl.col("kind") == Kind.USER.value) & pl.col("key").is_in(keys).fill_null(False)
    erased_rows = pl.concat(
        [
            rows.select(pl.col("sourced_id").alias("key"), pl.lit("users.csv").alias("file"), "line"),
            snapshot.quarantine.filter(theirs).select("key", "file", "line"),
        ]
    )
    return ErasureResult(
        replace(
            snapshot,
            users=without(snapshot.users, "sourced_id"),
            roles=without(snapshot.roles, "user"),
            enrollments=without(snapshot.enrollments, "user"),
            role_ids=without(snapshot.role_ids, "user"),
            waiting={stem: without(frame, _get_person_column(stem, frame)) for stem, frame in snapshot.waiting.items()},
            quarantine=snapshot.quarantine.filter(~theirs),
        ),
        _build_quarantine_rows(erased_rows),
    )


def report_erased_people(decision: RosterDecision, quarantine: pl.DataFrame) -> RosterDecision:
    """Return the decision with the rows of erased people in quarantine, and a warning with their number."""
    if not quarantine.height:
        return decision
    counts = decision.counts.get(Kind.USER, ActionCounts())
    number = quarantine.height
    return replace(
        decision,
        quarantine=pl.concat([decision.quarantine, quarantine]),
        counts={**decision.counts, Kind.USER: replace(counts, quarantined=counts.quarantined + number)},
        diagnostics=(
            *decision.diagnostics,
            build_warning(
                WARNING_CODE,
                f"{number:,} {'row is' if number == 1 else 'rows are'} of people who were erased on request; "
                "no data of them is used, and no account is created",
                Span("users.csv", int(quarantine["line"].fill_null(0).sort()[0])),
                HINT,
            ),
        ),
    )


def _get_person_column(stem: str, frame: pl.DataFrame) -> str:
    """Return the column of a waiting file that names a person, or an empty string if it has none."""
    if stem == "users":
        return "sourced_id"
    return "user" if "user" in frame.columns else ""


def _build_quarantine_rows(rows: pl.DataFrame) -> pl.DataFrame:
    values = {
        "kind": pl.lit(Kind.USER.value),
        "key": pl.col("key"),
        "file": pl.col("file"),
        "line": pl.col("line"),
        "column": pl.lit(0, dtype=pl.Int64),
        "code": pl.lit(QUARANTINE_CODE),
        "message": pl.lit("this person was erased on request"),
        "hint": pl.lit(HINT),
    }
    return rows.select(
        values.get(name, pl.lit(None)).cast(type_).alias(name) for name, type_ in QUARANTINE_SCHEMA.items()
    )
