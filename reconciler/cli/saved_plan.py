"""A plan that an argument names instead of customers: one in a file, or one that a sync kept for a hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from reconciler.model.plan import Plan
from reconciler.operations.apply.held_plan import is_hold_id, load_held_plan
from reconciler.operations.apply.plan_file import read_plan
from reconciler.operations.location import Location
from reconciler.operations.sync.applied_config import (
    add_applied_customers,
    open_applied_workspace,
    read_applied_customer,
)
from reconciler.operations.workspace import Workspace, open_workspace


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """name: as given. is_hold: the id of a hold, else a file's path."""

    name: str
    is_hold: bool

    def build_apply_command(self, place: Sequence[str]) -> str:
        """The words that apply it. place: those that name files and store."""
        return " ".join(["reconciler", "apply", self.name, *(place if self.is_hold else ())])

    def open_workspace_and_plan(self, location: Location) -> tuple[Workspace, Plan]:
        """With what it is applied by: the files, or the configuration last applied, as a sync goes by it."""
        if not self.is_hold:
            workspace = open_workspace(location)
            return workspace, read_plan(Path(self.name), workspace.store)
        workspace = open_applied_workspace(location)
        plan = load_held_plan(workspace.store, self.name)
        with workspace.store.open_reader() as reader:
            records = reader.read_customers([customer.id for customer in plan.customers])
            alive = [read_applied_customer(reader, record) for record in records.values() if not record.tombstoned]
        return add_applied_customers(workspace, alive), plan


def parse_saved_plan(arguments: Sequence[str]) -> SavedPlan | None:
    """The contract's rule: an argument with a slash or a dot is a plan file; beyond it, one with a colon is a hold."""
    named = [SavedPlan(name, is_hold_id(name)) for name in arguments if "/" in name or "." in name or is_hold_id(name)]
    if not named:
        return None
    if len(arguments) > 1:
        raise click.UsageError("one plan file or hold, or customers, but not both")
    (only,) = named
    if not only.is_hold and not Path(only.name).is_file():
        raise click.UsageError(f"there is no plan file {only.name}")
    return only
