"""What the gradebook's rows say of each other by the letter: scores and their ranges, scales, objectives, students."""

from __future__ import annotations

import polars as pl

from reconciler.oneroster.strict.cells import number
from reconciler.oneroster.strict.findings import Findings
from reconciler.oneroster.strict.membership import check_enrolled
from reconciler.oneroster.strict.semantics import Sheets, active, report, targets

MAPPING = r"^\{[^{}:]+:[^{}:]+\}(?:,\{[^{}:]+:[^{}:]+\})*$"
CASE = r"^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


def check_gradebook(sheets: Sheets, findings: Findings) -> None:
    """sheets: by stem."""
    _check_ranges(sheets, findings)
    _check_scores(sheets, findings)
    _check_scales(sheets, findings)
    for file in ("lineItemLearningObjectiveIds", "resultLearningObjectiveIds"):
        _check_objectives(file, sheets, findings)
    _check_students(sheets, findings)


def _check_ranges(sheets: Sheets, findings: Findings) -> None:
    rows = active(sheets, "lineItems", "resultValueMin", "resultValueMax")
    if rows is None:
        return
    wrong = rows.filter(number(rows["resultValueMin"]) > number(rows["resultValueMax"]))
    message = "resultValueMin is above resultValueMax"
    report(sheets, "lineItems", "resultValueMin", "strict-invalid-score-range", message, wrong, findings)


def _check_scores(sheets: Sheets, findings: Findings) -> None:
    """A line item whose range is impossible was told: no score is measured by it."""
    rows = active(sheets, "results", "lineItemSourcedId", "score")
    ranges = targets(sheets, "lineItems", "resultValueMin", "resultValueMax")
    if rows is None or ranges is None:
        return
    joined = rows.join(ranges, left_on="lineItemSourcedId", right_on="sourcedId", how="inner")
    score, least, most = (number(joined[name]) for name in ("score", "target_resultValueMin", "target_resultValueMax"))
    possible = (least <= most).fill_null(True)
    below, above = joined.filter(possible & (score < least)), joined.filter(possible & (score > most))
    message = "score is {} {} of the line item"
    for code, wrong, side, bound in (
        ("strict-score-below-min", below, "below", "resultValueMin"),
        ("strict-score-above-max", above, "above", "resultValueMax"),
    ):
        report(sheets, "results", "score", code, message.format(side, bound), wrong, findings)


def _check_scales(sheets: Sheets, findings: Findings) -> None:
    rows = active(sheets, "scoreScales", "scoreScaleValue")
    if rows is None:
        return
    wrong = rows.filter(~pl.col("scoreScaleValue").str.contains(MAPPING))
    message = "an item of scoreScaleValue is not {left:right}"
    report(sheets, "scoreScales", "scoreScaleValue", "strict-invalid-score-scale-mapping", message, wrong, findings)


def _check_objectives(file: str, sheets: Sheets, findings: Findings) -> None:
    rows = active(sheets, file, "source", "learningObjectiveId")
    if rows is None:
        return
    wrong = rows.filter((pl.col("source") == "case") & ~pl.col("learningObjectiveId").str.contains(CASE))
    message = "learningObjectiveId is no urn:uuid: of CASE"
    report(sheets, file, "learningObjectiveId", "strict-invalid-case-learning-objective-id", message, wrong, findings)


def _check_students(sheets: Sheets, findings: Findings) -> None:
    """In the class that the result names, or else in that of its line item."""
    rows = active(sheets, "results", "lineItemSourcedId", "studentSourcedId")
    items = targets(sheets, "lineItems", "classSourcedId")
    if rows is None or items is None:
        return
    named = active(sheets, "results", "classSourcedId")
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
    check_enrolled("results", "studentSourcedId", code, message, members, sheets, findings)
