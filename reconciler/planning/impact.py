"""What goes with a person, class or org that leaves: columns `impact_*` on change frames."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from reconciler.model.kind import Kind


@dataclass(frozen=True, slots=True)
class Belongings:
    """Counts by the store's ids. people: id, enrollments, classes, assignments, lti_links, password (bool),
    last_sign_in (text). classes: id, enrollments, assignments. orgs: id, people, classes."""

    people: pl.DataFrame
    classes: pl.DataFrame
    orgs: pl.DataFrame


def with_impact(kind: Kind, changes: pl.DataFrame, belongings: Belongings) -> pl.DataFrame:
    """`changes` with the kind's `impact_*` columns; null for what has nothing, and for rows that are new."""
    tables = {Kind.USER: belongings.people, Kind.CLASS: belongings.classes, Kind.ORG: belongings.orgs}
    table = tables.get(kind)
    if table is None or not changes.height:
        return changes
    named = table.rename({name: f"impact_{name}" for name in table.columns if name != "id"})
    return changes.join(named, left_on="live_id", right_on="id", how="left", maintain_order="left")
