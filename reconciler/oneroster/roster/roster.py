"""Assembles a roster from its checked files, independent of their source: references and roles."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from reconciler.model.diagnostic import Diagnostic
from reconciler.model.kind import Kind
from reconciler.model.text_form import is_ascii_column
from reconciler.oneroster.csv_file.rows import FileRows
from reconciler.oneroster.roster.deletions import drop_clear_deletions, find_clear_deletions
from reconciler.oneroster.roster.people import (
    USER_FIELDS,
    RosterPeople,
    build_people_1_1,
    build_people_1_2,
    fill_person_values,
    place_people,
)
from reconciler.oneroster.roster.references import (
    check_optional_references,
    check_parents,
    collect_known_keys,
    split_dangling,
)
from reconciler.oneroster.snapshot import ROLE_IDS_SCHEMA, UNREADABLE
from reconciler.oneroster.spelling import find_spellings, replace_spellings

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
    UNREADABLE,
)
ENROLLMENT_FIELDS = (
    "sourced_id",
    "status",
    "class",
    "user",
    "role",
    "primary",
    "begin_date",
    "end_date",
    "line",
    UNREADABLE,
)
ORG_FIELDS = ("sourced_id", "status", "name", "type", "identifier", "parent", "line")
#: File, field and file of the record that the field refers to.
REFERENCES = (
    ("orgs", "parent", "orgs"),
    ("roles", "user", "users"),
    ("roles", "org", "orgs"),
    ("classes", "school", "orgs"),
    ("enrollments", "class", "classes"),
    ("enrollments", "user", "users"),
)
#: The snapshot's columns by file stem, without roles.
FIELDS_OF = {"orgs": ORG_FIELDS, "users": USER_FIELDS, "classes": CLASS_FIELDS, "enrollments": ENROLLMENT_FIELDS}


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
    #: Only frames with rows.
    waiting: Mapping[str, pl.DataFrame]
    role_ids: pl.DataFrame
    #: By kind, rows that say nothing but that their record is deleted (DELETIONS_SCHEMA).
    bare_deletions: Mapping[Kind, pl.DataFrame] = field(default_factory=dict)


def assemble_roster(
    files: Mapping[str, FileRows], optional: Mapping[str, pl.Series], entries: pl.DataFrame | None = None
) -> Roster:
    """Assemble a roster from files by stem (`roles` in 1.2 only) and the keys of courses and academicSessions.

    In 1.1, `entries` has everybody's roles if they are not only those in users.csv."""
    files = _spell_references(files)
    orgs, classes, enrollments = files["orgs"], files["classes"], files["enrollments"]
    org_keys = collect_known_keys(orgs.frame, orgs.quarantine)
    diagnostics = [*check_parents(orgs.frame, org_keys)]
    people = _build_people(files, org_keys, entries)
    valid_classes, orgless = split_dangling(
        classes.frame, Kind.CLASS, "classes.csv", {"school": (org_keys, "orgs.csv", classes.places["school"])}
    )
    for name, target in (("course", "courses"), ("terms", "academicSessions")):
        diagnostics.extend(check_optional_references(valid_classes, name, optional.get(target), f"{target}.csv"))
    bad_people = [checked.quarantine for stem, checked in files.items() if stem in ("users", "roles")]
    user_keys = collect_known_keys(people.users, pl.concat([*bad_people, people.quarantine]))
    class_keys = collect_known_keys(valid_classes, pl.concat([classes.quarantine, orgless]))
    valid_enrollments, dangling = split_dangling(
        enrollments.frame,
        Kind.ENROLLMENT,
        "enrollments.csv",
        {
            "class": (class_keys, "classes.csv", enrollments.places["class"]),
            "user": (user_keys, "users.csv", enrollments.places["user"]),
        },
    )
    quarantine = pl.concat([*_list_file_quarantines(files), people.quarantine, orgless, dangling])
    org_references = (each for each in (people.roles["org"], classes.frame["school"], orgs.frame["parent"]))
    deletions = find_clear_deletions(files, quarantine, org_references)
    return Roster(
        orgs=orgs.frame.select(ORG_FIELDS),
        users=people.users,
        roles=people.roles,
        classes=valid_classes.select(CLASS_FIELDS),
        enrollments=valid_enrollments.select(ENROLLMENT_FIELDS),
        quarantine=drop_clear_deletions(quarantine, deletions).sort("file", "line", "column"),
        diagnostics=(*diagnostics, *people.diagnostics),
        waiting=_collect_waiting_rows(people, classes.frame, orgless, enrollments.frame, dangling),
        role_ids=collect_role_ids(files),
        bare_deletions=deletions,
    )


def _list_file_quarantines(files: Mapping[str, FileRows]) -> list[pl.DataFrame]:
    quarantines = [checked.quarantine for stem, checked in files.items() if stem != "roles"]
    if "roles" in files:
        quarantines.append(fill_person_values(files["roles"].quarantine, files["users"].frame))
    return quarantines


def _spell_references(files: Mapping[str, FileRows]) -> dict[str, FileRows]:
    """Return the files with each reference written as the record that it looks like."""
    spelled = dict(files)
    for stem, name, target in REFERENCES:
        if stem not in spelled:
            continue
        rows, known = spelled[stem], spelled[target]
        if is_ascii_column(rows.frame[name]) and is_ascii_column(known.frame["sourced_id"]):
            continue
        spellings = find_spellings(rows.frame[name], collect_known_keys(known.frame, known.quarantine))
        spelled[stem] = replace(rows, frame=replace_spellings(rows.frame, name, spellings))
    return spelled


def collect_role_ids(files: Mapping[str, FileRows]) -> pl.DataFrame:
    """Return ROLE_IDS_SCHEMA from roles.csv, without rows if there is none."""
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
    orgless: pl.DataFrame,
    enrollments: pl.DataFrame,
    dangling: pl.DataFrame,
) -> dict[str, pl.DataFrame]:
    def select_quarantined(frame: pl.DataFrame, quarantine: pl.DataFrame) -> pl.DataFrame:
        return frame.join(quarantine, left_on="sourced_id", right_on="key", how="semi", maintain_order="left")

    waiting = {
        "users": people.waiting_users,
        "roles": people.waiting_roles,
        "classes": select_quarantined(classes, orgless).select(CLASS_FIELDS),
        "enrollments": select_quarantined(enrollments, dangling).select(ENROLLMENT_FIELDS),
    }
    return {stem: frame for stem, frame in waiting.items() if frame.height}
