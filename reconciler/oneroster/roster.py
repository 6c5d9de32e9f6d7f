"""Checked files of one roster put together: what refers to what, and who has which role.

Knows nothing of where the files came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.model.diagnostic import Diagnostic
from reconciler.model.kind import Kind
from reconciler.oneroster.people import People, people_of_1_1, people_of_1_2
from reconciler.oneroster.references import (
    check_optional,
    check_parents,
    known_keys,
    many_dangling,
    without_dangling,
)
from reconciler.oneroster.rows import Checked

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


@dataclass(frozen=True, slots=True)
class Roster:
    """The frames of a Snapshot."""

    orgs: pl.DataFrame
    users: pl.DataFrame
    roles: pl.DataFrame
    classes: pl.DataFrame
    enrollments: pl.DataFrame
    quarantine: pl.DataFrame
    diagnostics: tuple[Diagnostic, ...]


def assemble(files: Mapping[str, Checked], optional: Mapping[str, pl.Series]) -> Roster:
    """files: by stem; `roles` is there in 1.2 only. optional: keys of courses and academicSessions, where they came
    along. Raises Refusal where orgs are above each other in a circle."""
    orgs, classes, enrollments = files["orgs"], files["classes"], files["enrollments"]
    org_keys = known_keys(orgs.frame, orgs.aside)
    notes = [*check_parents(orgs.frame, org_keys)]
    people = _people(files, org_keys)
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
    notes.extend(many_dangling(dangling.height, enrollments.rows))
    asides = [checked.aside for checked in files.values()]
    return Roster(
        orgs=orgs.frame.select(ORG_FIELDS),
        users=people.users,
        roles=people.roles,
        classes=taught.select(CLASS_FIELDS),
        enrollments=enrolled.select(ENROLLMENT_FIELDS),
        quarantine=pl.concat([*asides, people.aside, homeless, dangling]).sort("file", "line", "column"),
        diagnostics=(*notes, *people.diagnostics),
    )


def _people(files: Mapping[str, Checked], orgs: pl.Series) -> People:
    users = files["users"]
    if "roles" not in files:
        return people_of_1_1(users, orgs, users.places["orgs"])
    return people_of_1_2(users, files["roles"], orgs, dict(files["roles"].places))
