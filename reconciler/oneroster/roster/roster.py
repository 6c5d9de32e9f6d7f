"""Checked files of one roster put together: what refers to what, and who has which role.

Knows nothing of where the files came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.model.diagnostic import Diagnostic
from reconciler.model.kind import Kind
from reconciler.oneroster.csv_file.rows import Checked
from reconciler.oneroster.roster.people import USER_FIELDS, People, people_of_1_1, people_of_1_2, placed_people
from reconciler.oneroster.roster.references import check_optional, check_parents, known_keys, without_dangling
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


def assemble(
    files: Mapping[str, Checked], optional: Mapping[str, pl.Series], entries: pl.DataFrame | None = None
) -> Roster:
    """files: by stem; `roles` is there in 1.2 only. optional: keys of courses and academicSessions, where they came
    along. entries: in 1.1, everybody's roles where they are not those of users.csv alone.

    Raises Refusal where orgs are above each other in a circle."""
    orgs, classes, enrollments = files["orgs"], files["classes"], files["enrollments"]
    org_keys = known_keys(orgs.frame, orgs.aside)
    notes = [*check_parents(orgs.frame, org_keys)]
    people = _people(files, org_keys, entries)
    taught, homeless = without_dangling(
        classes.frame, Kind.CLASS, "classes.csv", {"school": (org_keys, "orgs.csv", classes.places["school"])}
    )
    for field, target in (("course", "courses"), ("terms", "academicSessions")):
        notes.extend(check_optional(taught, field, optional.get(target), f"{target}.csv"))
    set_aside = [checked.aside for stem, checked in files.items() if stem in ("users", "roles")]
    user_keys = known_keys(people.users, pl.concat([*set_aside, people.aside]))
    class_keys = known_keys(taught, pl.concat([classes.aside, homeless]))
    enrolled, dangling = without_dangling(
        enrollments.frame,
        Kind.ENROLLMENT,
        "enrollments.csv",
        {
            "class": (class_keys, "classes.csv", enrollments.places["class"]),
            "user": (user_keys, "users.csv", enrollments.places["user"]),
        },
    )
    asides = [checked.aside for checked in files.values()]
    return Roster(
        orgs=orgs.frame.select(ORG_FIELDS),
        users=people.users,
        roles=people.roles,
        classes=taught.select(CLASS_FIELDS),
        enrollments=enrolled.select(ENROLLMENT_FIELDS),
        quarantine=pl.concat([*asides, people.aside, homeless, dangling]).sort("file", "line", "column"),
        diagnostics=(*notes, *people.diagnostics),
        waiting=_waiting(people, classes.frame, homeless, enrollments.frame, dangling),
        role_ids=role_ids(files),
    )


def role_ids(files: Mapping[str, Checked]) -> pl.DataFrame:
    if "roles" not in files:
        return pl.DataFrame(schema=ROLE_IDS_SCHEMA)
    return files["roles"].frame.select(list(ROLE_IDS_SCHEMA)).drop_nulls("sourced_id")


def _people(files: Mapping[str, Checked], orgs: pl.Series, entries: pl.DataFrame | None) -> People:
    users = files["users"]
    if "roles" in files:
        return people_of_1_2(users, files["roles"], orgs, dict(files["roles"].places))
    if entries is None:
        return people_of_1_1(users, orgs, users.places["orgs"])
    return placed_people(users.frame, entries, orgs, users.places["orgs"])


def _waiting(
    people: People, classes: pl.DataFrame, homeless: pl.DataFrame, enrollments: pl.DataFrame, dangling: pl.DataFrame
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
