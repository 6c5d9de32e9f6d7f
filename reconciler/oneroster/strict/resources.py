"""What the rows about resources say by the letter: who gets one, in which class, with which role (1.2)."""

from __future__ import annotations

import polars as pl

from reconciler.oneroster.strict.findings import Findings
from reconciler.oneroster.strict.membership import check_enrolled
from reconciler.oneroster.strict.semantics import Sheets, active, report, targets, whole

#: Roles of roles.csv that resources.roles calls by another name; those it does not know match nothing.
ADMINISTRATORS = ("districtAdministrator", "principal", "siteAdministrator", "systemAdministrator")


def check_resources(sheets: Sheets, findings: Findings) -> None:
    """sheets: by stem."""
    rows = active(sheets, "userResources", "userSourcedId", "classSourcedId")
    if rows is not None:
        members = rows.select("line", pl.col("classSourcedId").alias("class"), pl.col("userSourcedId").alias("user"))
        message, code = "the user is not enrolled in the class", "strict-user-resource-user-not-enrolled"
        check_enrolled("userResources", "userSourcedId", code, message, members, sheets, findings)
    _check_roles(sheets, findings)


def _check_roles(sheets: Sheets, findings: Findings) -> None:
    """Of a user of whom no role is known nothing is said."""
    rows = active(sheets, "userResources", "userSourcedId", "resourceSourcedId")
    wanted = targets(sheets, "resources", "roles")
    held = _held(sheets)
    if rows is None or wanted is None or held is None:
        return
    asked = (
        rows.join(wanted.drop_nulls(), left_on="resourceSourcedId", right_on="sourcedId", how="inner")
        .join(held.select("user"), left_on="userSourcedId", right_on="user", how="semi")
        .with_columns(pl.col("target_roles").str.split(","))
    )
    fitting = (
        asked.explode("target_roles")
        .join(held, left_on=["userSourcedId", "target_roles"], right_on=["user", "role"], how="semi")
        .select("line")
    )
    wrong = asked.join(fitting, on="line", how="anti")
    message = "the user has none of the roles of the resource"
    report(sheets, "userResources", "resourceSourcedId", "strict-resource-role-mismatch", message, wrong, findings)


def _held(sheets: Sheets) -> pl.DataFrame | None:
    """`user` and `role`, in the words of resources.roles, from roles.csv and enrollments.csv; None where it cannot be
    told that there are no others."""
    frames = []
    for file in ("roles", "enrollments"):
        rows = active(sheets, file, "userSourcedId", "role")
        if rows is None:
            continue
        if not whole(sheets, file):
            return None
        frames.append(rows.select(pl.col("userSourcedId").alias("user"), "role"))
    if not frames:
        return None
    word = pl.col("role")
    ours = pl.when(word.is_in(ADMINISTRATORS)).then(pl.lit("administrator")).otherwise(word)
    return pl.concat(frames).drop_nulls().with_columns(ours.alias("role")).unique()
