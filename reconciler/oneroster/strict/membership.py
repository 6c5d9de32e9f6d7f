"""Whether users are in the classes that a row names them with."""

from __future__ import annotations

import polars as pl

from reconciler.oneroster.strict.findings import Findings
from reconciler.oneroster.strict.semantics import Sheets, active, report, targets, whole


def check_enrolled(
    file: str, column: str, code: str, message: str, members: pl.DataFrame, sheets: Sheets, findings: Findings
) -> None:
    """members: `line`, `class` and `user` of rows of `file`. Said only of users and classes that are there, and only
    if enrollments.csv is a bulk file that could be read to the last row."""
    enrolled = active(sheets, "enrollments", "classSourcedId", "userSourcedId")
    users, classes = targets(sheets, "users"), targets(sheets, "classes")
    if enrolled is None or users is None or classes is None or not whole(sheets, file, "enrollments"):
        return
    known = (
        members.drop_nulls()
        .join(users, left_on="user", right_on="sourcedId", how="semi")
        .join(classes, left_on="class", right_on="sourcedId", how="semi")
    )
    wrong = known.join(enrolled, left_on=["class", "user"], right_on=["classSourcedId", "userSourcedId"], how="anti")
    report(sheets, file, column, code, message, wrong, findings)
