"""Checked files of one roster put together: what refers to what, and who has which role.

Knows nothing of where the files came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.model.diagnostic import Diagnostic
from reconciler.model.kind import Kind
from reconciler.oneroster.csv_file.rows import FileRows
from reconciler.oneroster.roster.people import (
    USER_FIELDS,
    RosterPeople,
    build_people_1_1,
    build_people_1_2,
    place_people,
)
from reconciler.oneroster.roster.references import (
    check_optional_references,
    check_parents,
    collect_known_keys,
    split_dangling,
)
from reconciler.oneroster.snapshot import ROLE_IDS_SCHEMA

CLASS_FIELDS = (
    "sourced_id",
    "status",
    "title",
    "class_code",
    "class_type",
    "school",
    "course",
    "terms",
    "grades",
    "line",
)
ENROLLMENT_FIELDS = ("sourced_id", "status", "class", "user", "role", "primary", "begin_date", "end_date", "line")
ORG_FIELDS = ("sourced_id", "status", "name", "type", "identifier", "parent", "line")
#: The snapshot's columns by file stem, but for roles.
FIELDS_OF = {"orgs": ORG_FIELDS, "users": USER_FIELDS, "classes": CLASS_FIELDS, "enrollments": ENROLLMENT_FIELDS}


@dataclass(frozen=True, slots=True)
class Roster:
    """The frames of a Snapshot. waiting: only what has rows."""

    orgs: pl.DataFrame
    users: pl.DataFrame
    roles: pl.DataFrame
    classes: pl.DataFrame
    enrollments: pl.DataFrame
    quarantine: pl.DataFrame
    diagnostics: tuple[Diagnostic, ...]
    waiting: Mapping[str, pl.DataFrame]
    role_ids: pl.DataFrame


def assemble_roster(
    files: Mapping[str, FileRows], optional: Mapping[str, pl.Series], entries: pl.DataFrame | None = None
) -> Roster:
    """files: by stem; `roles` is there in 1.2 only. optional: keys of courses and academicSessions, where they came
    along. entries: in 1.1, everybody's roles where they are not those of users.csv alone.

    Raises Refusal where orgs are above each other in a circle."""
    orgs, classes, enrollments = files["orgs"], files["classes"], files["enrollments"]
    org_keys = collect_known_keys(orgs.frame, orgs.quarantine)
    notes = [*check_parents(orgs.frame, org_keys)]
    people = _build_people(files, org_keys, entries)
    taught, homeless = split_dangling(
        classes.frame, Kind.CLASS, "classes.csv", {"school": (org_keys, "orgs.csv", classes.places["school"])}
    )
    for field, target in (("course", "courses"), ("terms", "academicSessions")):
        notes.extend(check_optional_references(taught, field, optional.get(target), f"{target}.csv"))
    set_aside = [checked.quarantine for stem, checked in files.items() if stem in ("users", "roles")]
    user_keys = collect_known_keys(people.users, pl.concat([*set_aside, people.quarantine]))
    class_keys = collect_known_keys(taught, pl.concat([classes.quarantine, homeless]))
    enrolled, dangling = split_dangling(
        enrollments.frame,
        Kind.ENROLLMENT,
        "enrollments.csv",
        {
            "class": (class_keys, "classes.csv", enrollments.places["class"]),
            "user": (user_keys, "users.csv", enrollments.places["user"]),
        },
    )
    asides = [checked.quarantine for checked in files.values()]
    return Roster(
        orgs=orgs.frame.select(ORG_FIELDS),
        users=people.users,
        roles=people.roles,
        classes=taught.select(CLASS_FIELDS),
        enrollments=enrolled.select(ENROLLMENT_FIELDS),
        quarantine=pl.concat([*asides, people.quarantine, homeless, dangling]).sort("file", "line", "column"),
        diagnostics=(*notes, *people.diagnostics),
        waiting=_collect_waiting_rows(people, classes.frame, homeless, enrollments.frame, dangling),
        role_ids=collect_role_ids(files),
    )


def collect_role_ids(files: Mapping[str, FileRows]) -> pl.DataFrame:
    if "roles" not in files:
        return pl.DataFrame(schema=ROLE_IDS_SCHEMA)
    return files["roles"].frame.select(list(ROLE_IDS_SCHEMA)).drop_nulls("sourced_id")


def _build_people(files: Mapping[str, FileRows], orgs: pl.Series, entries: pl.DataFrame | None) -> RosterPeople:
    users = files["users"]
    if "roles" in files:
        return build_people_1_2(users, files["roles"], orgs, dict(files["roles"].places))
    if entries is None:
        return build_people_1_1(users, orgs, users.places["orgs"])
    return place_people(users.frame, entries, orgs, users.places["orgs"])


def _collect_waiting_rows(
    people: RosterPeople,
    classes: pl.DataFrame,
    homeless: pl.DataFrame,
    enrollments: pl.DataFrame,
    dangling: pl.DataFrame,
) -> dict[str, pl.DataFrame]:
    def among(frame: pl.DataFrame, aside: pl.DataFrame) -> pl.DataFrame:
        return frame.join(aside, left_on="sourced_id", right_on="key", how="semi", maintain_order="left")

    waiting = {
        "users": people.waiting_users,
        "roles": people.waiting_roles,
        "classes": among(classes, homeless).select(CLASS_FIELDS),
        "enrollments": among(enrollments, dangling).select(ENROLLMENT_FIELDS),
    }
    return {stem: frame for stem, frame in waiting.items() if frame.height}
