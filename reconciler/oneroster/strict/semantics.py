"""What rows say of each other by the letter: types of what is referred to, one user or class on both ends, roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.oneroster.strict.findings import Findings
from reconciler.oneroster.strict.sheet import Sheet

Sheets = Mapping[str, Sheet]
EXTENDED = "ext:"


@dataclass(frozen=True, slots=True)
class TargetType:
    """The `type` of what `file.column` refers to must be one of `words`, or where `unlike` none of them. A type of
    somebody's own (`ext:`) is never wrong."""

    code: str
    file: str
    column: str
    target: str
    words: tuple[str, ...]
    unlike: bool = False


@dataclass(frozen=True, slots=True)
class SameOnBothEnds:
    """`file.own`, where it has a value, must be what `target.theirs` has in the row that `file.through` refers to."""

    code: str
    file: str
    own: str
    through: str
    target: str
    theirs: str
    place: str
    message: str


TARGET_TYPES = (
    TargetType(
        "strict-academic-session-type-mismatch", "courses", "schoolYearSourcedId", "academicSessions", ("schoolYear",)
    ),
    TargetType(
        "strict-academic-session-type-mismatch",
        "lineItems",
        "gradingPeriodSourcedId",
        "academicSessions",
        ("gradingPeriod",),
    ),
    TargetType(
        "strict-academic-session-type-mismatch",
        "lineItems",
        "academicSessionSourcedId",
        "academicSessions",
        ("schoolYear",),
        unlike=True,
    ),
    TargetType("strict-org-type-mismatch", "classes", "schoolSourcedId", "orgs", ("school",)),
    TargetType("strict-org-type-mismatch", "enrollments", "schoolSourcedId", "orgs", ("school",)),
    TargetType("strict-org-type-mismatch", "lineItems", "schoolSourcedId", "orgs", ("school",)),
)

SAME = (
    SameOnBothEnds(
        "strict-result-class-mismatch",
        "results",
        "classSourcedId",
        "lineItemSourcedId",
        "lineItems",
        "classSourcedId",
        "classSourcedId",
        "classSourcedId is not the class of the line item",
    ),
    SameOnBothEnds(
        "strict-user-profile-user-mismatch",
        "roles",
        "userSourcedId",
        "userProfileSourcedId",
        "userProfiles",
        "userSourcedId",
        "userProfileSourcedId",
        "userProfileSourcedId refers to the profile of another user",
    ),
    SameOnBothEnds(
        "strict-user-resource-class-org-mismatch",
        "userResources",
        "orgSourcedId",
        "classSourcedId",
        "classes",
        "schoolSourcedId",
        "orgSourcedId",
        "orgSourcedId is not the school of the class",
    ),
)


def check_semantics(sheets: Sheets, findings: Findings) -> None:
    """sheets: by stem. Rows that a delta deletes are left alone; so is what cannot be told from this archive alone."""
    for rule in TARGET_TYPES:
        _check_target_type(rule, sheets, findings)
    for same in SAME:
        _check_same(same, sheets, findings)
    _check_primary_roles(sheets, findings)
    _check_primary_org(sheets, findings)


def active(sheets: Sheets, file: str, *columns: str) -> pl.DataFrame | None:
    """`line` and these columns of the rows that say how things are; None where the file or a column is not there."""
    sheet = sheets.get(file)
    if sheet is None or not sheet.has(*columns):
        return None
    frame = sheet.frame
    if sheet.delta and sheet.has("status"):
        frame = frame.filter(pl.col("status").ne_missing("tobedeleted"))
    return frame.select("line", *columns)


def whole(sheets: Sheets, *files: str) -> bool:
    """Whether what is not in these files is not so: each is a bulk file, and every row of it could be read."""
    return all(file in sheets and not sheets[file].delta and sheets[file].whole for file in files)


def targets(sheets: Sheets, file: str, *columns: str) -> pl.DataFrame | None:
    """`sourcedId` and these columns, prefixed with `target_`: of each sourcedId the first row."""
    rows = active(sheets, file, "sourcedId", *columns)
    if rows is None:
        return None
    renamed = [pl.col(column).alias(f"target_{column}") for column in columns]
    return (
        rows.drop_nulls("sourcedId")
        .unique("sourcedId", keep="first", maintain_order=True)
        .select("sourcedId", *renamed)
    )


def report(
    sheets: Sheets, file: str, column: str, code: str, message: str, rows: pl.DataFrame, findings: Findings
) -> None:
    sheet = sheets[file]
    findings.rows(code, message, sheet.table.file, rows, sheet.places[column])


def _check_target_type(rule: TargetType, sheets: Sheets, findings: Findings) -> None:
    rows, types = active(sheets, rule.file, rule.column), targets(sheets, rule.target, "type")
    if rows is None or types is None:
        return
    joined = rows.join(types, left_on=rule.column, right_on="sourcedId", how="inner")
    fits = pl.col("target_type").is_in(list(rule.words))
    wrong = joined.filter((fits if rule.unlike else ~fits) & ~pl.col("target_type").str.starts_with(EXTENDED))
    what = f"{'a' if rule.unlike else 'no'} row of type {' or '.join(rule.words)}"
    message = f"{rule.column} refers to {what} in {rule.target}.csv"
    report(sheets, rule.file, rule.column, rule.code, message, wrong, findings)


def _check_same(rule: SameOnBothEnds, sheets: Sheets, findings: Findings) -> None:
    rows = active(sheets, rule.file, *dict.fromkeys((rule.own, rule.through)))
    ends = targets(sheets, rule.target, rule.theirs)
    if rows is None or ends is None:
        return
    joined = rows.join(ends, left_on=rule.through, right_on="sourcedId", how="inner")
    wrong = joined.filter(pl.col(rule.own) != pl.col(f"target_{rule.theirs}"))
    report(sheets, rule.file, rule.place, rule.code, rule.message, wrong, findings)


def _check_primary_roles(sheets: Sheets, findings: Findings) -> None:
    rows = active(sheets, "roles", "userSourcedId", "orgSourcedId", "roleType")
    if rows is None:
        return
    pair = ("userSourcedId", "orgSourcedId")
    primary = rows.filter(pl.col("roleType") == "primary").drop_nulls(pair).sort("line")
    more = primary.filter(~pl.struct(pair).is_first_distinct())
    message = "the user has another primary role in this org, in a row above"
    report(sheets, "roles", "roleType", "strict-multiple-primary-roles-for-user-org", message, more, findings)


def _check_primary_org(sheets: Sheets, findings: Findings) -> None:
    rows = active(sheets, "users", "sourcedId", "primaryOrgSourcedId")
    roles = active(sheets, "roles", "userSourcedId", "orgSourcedId")
    if rows is None or roles is None or not whole(sheets, "users", "roles"):
        return
    theirs = ["userSourcedId", "orgSourcedId"]
    wrong = rows.drop_nulls().join(roles, left_on=["sourcedId", "primaryOrgSourcedId"], right_on=theirs, how="anti")
    message = "the user has no role in their primary org"
    report(sheets, "users", "primaryOrgSourcedId", "strict-primary-org-missing-role", message, wrong, findings)
