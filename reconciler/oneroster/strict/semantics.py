"""Checks rows that refer to each other: the target's type, the same user or class at both ends, primary roles."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.oneroster.strict.findings import Findings
from reconciler.oneroster.strict.sheet import StrictSheet

Sheets = Mapping[str, StrictSheet]
EXTENDED = "ext:"


@dataclass(frozen=True, slots=True)
class TargetTypeRule:
    """Requires the `type` of the row that `file.column` refers to to be one of `words`, or none with `must_differ`.

    A custom type (`ext:`) is always valid."""

    code: str
    file: str
    column: str
    target: str
    words: tuple[str, ...]
    must_differ: bool = False


@dataclass(frozen=True, slots=True)
class MatchRule:
    """Requires `own_column`, if filled, to equal `target_column` of the row that `reference_column` refers to."""

    code: str
    file: str
    own_column: str
    reference_column: str
    target: str
    target_column: str
    report_column: str
    message: str


TARGET_TYPE_RULES = (
    TargetTypeRule(
        "strict-academic-session-type-mismatch", "courses", "schoolYearSourcedId", "academicSessions", ("schoolYear",)
    ),
    TargetTypeRule(
        "strict-academic-session-type-mismatch",
        "lineItems",
        "gradingPeriodSourcedId",
        "academicSessions",
        ("gradingPeriod",),
    ),
    TargetTypeRule(
        "strict-academic-session-type-mismatch",
        "lineItems",
        "academicSessionSourcedId",
        "academicSessions",
        ("schoolYear",),
        must_differ=True,
    ),
    TargetTypeRule("strict-org-type-mismatch", "classes", "schoolSourcedId", "orgs", ("school",)),
    TargetTypeRule("strict-org-type-mismatch", "enrollments", "schoolSourcedId", "orgs", ("school",)),
    TargetTypeRule("strict-org-type-mismatch", "lineItems", "schoolSourcedId", "orgs", ("school",)),
)

MATCH_RULES = (
    MatchRule(
        "strict-result-class-mismatch",
        "results",
        "classSourcedId",
        "lineItemSourcedId",
        "lineItems",
        "classSourcedId",
        "classSourcedId",
        "classSourcedId is not the class of the line item",
    ),
    MatchRule(
        "strict-user-profile-user-mismatch",
        "roles",
        "userSourcedId",
        "userProfileSourcedId",
        "userProfiles",
        "userSourcedId",
        "userProfileSourcedId",
        "userProfileSourcedId refers to the profile of another user",
    ),
    MatchRule(
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
    """Check the sheets, by stem. Skips rows that a delta deletes and references to other archives."""
    for rule in TARGET_TYPE_RULES:
        _check_target_type(rule, sheets, findings)
    for match_rule in MATCH_RULES:
        _check_match_rule(match_rule, sheets, findings)
    _check_primary_roles(sheets, findings)
    _check_primary_org(sheets, findings)


def select_active_rows(sheets: Sheets, file: str, *columns: str) -> pl.DataFrame | None:
    """Return `line` and these columns of the rows to keep, or None if the file or a column is missing."""
    sheet = sheets.get(file)
    if sheet is None or not sheet.has_columns(*columns):
        return None
    frame = sheet.frame
    if sheet.delta and sheet.has_columns("status"):
        frame = frame.filter(pl.col("status").ne_missing("tobedeleted"))
    return frame.select("line", *columns)


def has_full_files(sheets: Sheets, *files: str) -> bool:
    """Return whether each file is bulk and every row was read, so that a missing row does not exist."""
    return all(file in sheets and not sheets[file].delta and sheets[file].is_complete for file in files)


def select_targets(sheets: Sheets, file: str, *columns: str) -> pl.DataFrame | None:
    """Return `sourcedId` and these columns, prefixed with `target_`, of the first row of each sourcedId."""
    rows = select_active_rows(sheets, file, "sourcedId", *columns)
    if rows is None:
        return None
    renamed = [pl.col(column).alias(f"target_{column}") for column in columns]
    return (
        rows.drop_nulls("sourcedId")
        .unique("sourcedId", keep="first", maintain_order=True)
        .select("sourcedId", *renamed)
    )


def report_rows(
    sheets: Sheets, file: str, column: str, code: str, message: str, rows: pl.DataFrame, findings: Findings
) -> None:
    """Report rows of a file at one of its columns."""
    sheet = sheets[file]
    findings.add_rows(code, message, sheet.table.file, rows, sheet.places[column])


def _check_target_type(rule: TargetTypeRule, sheets: Sheets, findings: Findings) -> None:
    rows, types = select_active_rows(sheets, rule.file, rule.column), select_targets(sheets, rule.target, "type")
    if rows is None or types is None:
        return
    joined = rows.join(types, left_on=rule.column, right_on="sourcedId", how="inner")
    fits = pl.col("target_type").is_in(list(rule.words))
    wrong = joined.filter((fits if rule.must_differ else ~fits) & ~pl.col("target_type").str.starts_with(EXTENDED))
    relation = "refers" if rule.must_differ else "does not refer"
    message = f"{rule.column} {relation} to a row of type {' or '.join(rule.words)} in {rule.target}.csv"
    report_rows(sheets, rule.file, rule.column, rule.code, message, wrong, findings)


def _check_match_rule(rule: MatchRule, sheets: Sheets, findings: Findings) -> None:
    rows = select_active_rows(sheets, rule.file, *dict.fromkeys((rule.own_column, rule.reference_column)))
    ends = select_targets(sheets, rule.target, rule.target_column)
    if rows is None or ends is None:
        return
    joined = rows.join(ends, left_on=rule.reference_column, right_on="sourcedId", how="inner")
    wrong = joined.filter(pl.col(rule.own_column) != pl.col(f"target_{rule.target_column}"))
    report_rows(sheets, rule.file, rule.report_column, rule.code, rule.message, wrong, findings)


def _check_primary_roles(sheets: Sheets, findings: Findings) -> None:
    rows = select_active_rows(sheets, "roles", "userSourcedId", "orgSourcedId", "roleType")
    if rows is None:
        return
    pair = ("userSourcedId", "orgSourcedId")
    primary = rows.filter(pl.col("roleType") == "primary").drop_nulls(pair).sort("line")
    more = primary.filter(~pl.struct(pair).is_first_distinct())
    message = "the user has another primary role in this org, in a row above"
    report_rows(sheets, "roles", "roleType", "strict-multiple-primary-roles-for-user-org", message, more, findings)


def _check_primary_org(sheets: Sheets, findings: Findings) -> None:
    rows = select_active_rows(sheets, "users", "sourcedId", "primaryOrgSourcedId")
    roles = select_active_rows(sheets, "roles", "userSourcedId", "orgSourcedId")
    if rows is None or roles is None or not has_full_files(sheets, "users", "roles"):
        return
    role_keys = ["userSourcedId", "orgSourcedId"]
    wrong = rows.drop_nulls().join(roles, left_on=["sourcedId", "primaryOrgSourcedId"], right_on=role_keys, how="anti")
    message = "the user has no role in their primary org"
    report_rows(sheets, "users", "primaryOrgSourcedId", "strict-primary-org-missing-role", message, wrong, findings)
