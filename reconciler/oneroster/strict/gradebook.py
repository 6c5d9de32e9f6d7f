"""Checks the gradebook and resources: score ranges, scales, objectives, enrollments and roles."""

import polars as pl

from reconciler.oneroster.strict.findings import Findings
from reconciler.oneroster.strict.semantics import (
    Sheets,
    has_full_files,
    report_rows,
    select_active_rows,
    select_targets,
)
from reconciler.oneroster.strict.values import parse_numbers


def check_class_membership(
    file: str, column: str, code: str, message: str, members: pl.DataFrame, sheets: Sheets, findings: Findings
) -> None:
    """Report rows of `file` (`line`, `class`, `user`) whose user is not enrolled in the class.

    Checks only existing users and classes, and only with a complete bulk enrollments.csv."""
    enrolled = select_active_rows(sheets, "enrollments", "classSourcedId", "userSourcedId")
    users, classes = select_targets(sheets, "users"), select_targets(sheets, "classes")
    if enrolled is None or users is None or classes is None or not has_full_files(sheets, file, "enrollments"):
        return
    known = (
        members.drop_nulls()
        .join(users, left_on="user", right_on="sourcedId", how="semi")
        .join(classes, left_on="class", right_on="sourcedId", how="semi")
    )
    wrong = known.join(enrolled, left_on=["class", "user"], right_on=["classSourcedId", "userSourcedId"], how="anti")
    report_rows(sheets, file, column, code, message, wrong, findings)


MAPPING = r"^\{[^{}:]+:[^{}:]+\}(?:,\{[^{}:]+:[^{}:]+\})*$"
CASE = r"^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


def check_gradebook(sheets: Sheets, findings: Findings) -> None:
    """Check the gradebook's sheets, by stem."""
    _check_ranges(sheets, findings)
    _check_scores(sheets, findings)
    _check_scales(sheets, findings)
    for file in ("lineItemLearningObjectiveIds", "resultLearningObjectiveIds"):
        _check_objectives(file, sheets, findings)
    _check_students(sheets, findings)


def _check_ranges(sheets: Sheets, findings: Findings) -> None:
    rows = select_active_rows(sheets, "lineItems", "resultValueMin", "resultValueMax")
    if rows is None:
        return
    wrong = rows.filter(parse_numbers(rows["resultValueMin"]) > parse_numbers(rows["resultValueMax"]))
    message = "resultValueMin is above resultValueMax"
    report_rows(sheets, "lineItems", "resultValueMin", "strict-invalid-score-range", message, wrong, findings)


def _check_scores(sheets: Sheets, findings: Findings) -> None:
    # Scores of a line item with an invalid range are skipped: `_check_ranges` reports the range.
    rows = select_active_rows(sheets, "results", "lineItemSourcedId", "score")
    ranges = select_targets(sheets, "lineItems", "resultValueMin", "resultValueMax")
    if rows is None or ranges is None:
        return
    joined = rows.join(ranges, left_on="lineItemSourcedId", right_on="sourcedId", how="inner")
    score, least, most = (
        parse_numbers(joined[name]) for name in ("score", "target_resultValueMin", "target_resultValueMax")
    )
    valid = (least <= most).fill_null(True)
    below, above = joined.filter(valid & (score < least)), joined.filter(valid & (score > most))
    message = "score is {} {} of the line item"
    for code, wrong, side, bound in (
        ("strict-score-below-min", below, "below", "resultValueMin"),
        ("strict-score-above-max", above, "above", "resultValueMax"),
    ):
        report_rows(sheets, "results", "score", code, message.format(side, bound), wrong, findings)


def _check_scales(sheets: Sheets, findings: Findings) -> None:
    rows = select_active_rows(sheets, "scoreScales", "scoreScaleValue")
    if rows is None:
        return
    wrong = rows.filter(~pl.col("scoreScaleValue").str.contains(MAPPING))
    message = "an item of scoreScaleValue is not {left:right}"
    report_rows(
        sheets, "scoreScales", "scoreScaleValue", "strict-invalid-score-scale-mapping", message, wrong, findings
    )


def _check_objectives(file: str, sheets: Sheets, findings: Findings) -> None:
    rows = select_active_rows(sheets, file, "source", "learningObjectiveId")
    if rows is None:
        return
    wrong = rows.filter((pl.col("source") == "case") & ~pl.col("learningObjectiveId").str.contains(CASE))
    message = "learningObjectiveId is not a urn:uuid: of CASE"
    report_rows(
        sheets, file, "learningObjectiveId", "strict-invalid-case-learning-objective-id", message, wrong, findings
    )


def _check_students(sheets: Sheets, findings: Findings) -> None:
    # The class is the result's own, else that of its line item.
    rows = select_active_rows(sheets, "results", "lineItemSourcedId", "studentSourcedId")
    items = select_targets(sheets, "lineItems", "classSourcedId")
    if rows is None or items is None:
        return
    named = select_active_rows(sheets, "results", "classSourcedId")
    own = named["classSourcedId"] if named is not None else pl.lit(None, dtype=pl.String)
    joined = rows.with_columns(own.alias("own")).join(
        items, left_on="lineItemSourcedId", right_on="sourcedId", how="left", maintain_order="left"
    )
    members = joined.select(
        "line",
        pl.coalesce("own", "target_classSourcedId").alias("class"),
        pl.col("studentSourcedId").alias("user"),
    )
    message = "the student is not enrolled in the class"
    code = "strict-result-student-not-enrolled"
    check_class_membership("results", "studentSourcedId", code, message, members, sheets, findings)


#: Roles of roles.csv that resources.roles names administrator; roles it does not have match nothing.
ADMINISTRATORS = ("districtAdministrator", "principal", "siteAdministrator", "systemAdministrator")


def check_resources(sheets: Sheets, findings: Findings) -> None:
    """Check the sheets about resources (1.2), by stem."""
    rows = select_active_rows(sheets, "userResources", "userSourcedId", "classSourcedId")
    if rows is not None:
        members = rows.select("line", pl.col("classSourcedId").alias("class"), pl.col("userSourcedId").alias("user"))
        message, code = "the user is not enrolled in the class", "strict-user-resource-user-not-enrolled"
        check_class_membership("userResources", "userSourcedId", code, message, members, sheets, findings)
    _check_roles(sheets, findings)


def _check_roles(sheets: Sheets, findings: Findings) -> None:
    # Users without a known role are skipped.
    rows = select_active_rows(sheets, "userResources", "userSourcedId", "resourceSourcedId")
    wanted = select_targets(sheets, "resources", "roles")
    held = _collect_user_roles(sheets)
    if rows is None or wanted is None or held is None:
        return
    joined = (
        rows.join(wanted.drop_nulls(), left_on="resourceSourcedId", right_on="sourcedId", how="inner")
        .join(held.select("user"), left_on="userSourcedId", right_on="user", how="semi")
        .with_columns(pl.col("target_roles").str.split(","))
    )
    fitting = (
        joined.explode("target_roles")
        .join(held, left_on=["userSourcedId", "target_roles"], right_on=["user", "role"], how="semi")
        .select("line")
    )
    wrong = joined.join(fitting, on="line", how="anti")
    message = "the user has none of the roles of the resource"
    report_rows(sheets, "userResources", "resourceSourcedId", "strict-resource-role-mismatch", message, wrong, findings)


def _collect_user_roles(sheets: Sheets) -> pl.DataFrame | None:
    """Return `user` and `role`, in the words of resources.roles, or None if users may have more roles."""
    frames = []
    for file in ("roles", "enrollments"):
        rows = select_active_rows(sheets, file, "userSourcedId", "role")
        if rows is None:
            continue
        if not has_full_files(sheets, file):
            return None
        frames.append(rows.select(pl.col("userSourcedId").alias("user"), "role"))
    if not frames:
        return None
    word = pl.col("role")
    mapped = pl.when(word.is_in(ADMINISTRATORS)).then(pl.lit("administrator")).otherwise(word)
    return pl.concat(frames).drop_nulls().with_columns(mapped.alias("role")).unique()
