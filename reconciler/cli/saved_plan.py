"""Load a saved plan that an argument names: from a file, or the plan that a sync saved for a hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from reconciler.model.ids import HoldId
from reconciler.model.plan import Plan
from reconciler.operations.apply import is_hold_id, load_held_plan, read_plan
from reconciler.operations.location import Location
from reconciler.operations.sync import add_applied_customers, open_applied_workspace, read_applied_customer
from reconciler.operations.workspace import Workspace, open_workspace


@dataclass(frozen=True, slots=True)
class SavedPlan:
    #: the path of a file or the id of a hold, as given
    name: str
    is_hold: bool

    def build_apply_command(self, place: Sequence[str]) -> str:
        """Return the command that applies this plan. place: the options that name files and store."""
        return " ".join(["reconciler", "apply", self.name, *(place if self.is_hold else ())])

    def open_workspace_and_plan(self, location: Location) -> tuple[Workspace, Plan]:
        """Load the plan and the workspace to apply it: the files', or for a hold the last applied settings'."""
        if not self.is_hold:
            workspace = open_workspace(location)
            return workspace, read_plan(Path(self.name), workspace.store)
        workspace = open_applied_workspace(location)
        plan = load_held_plan(workspace.store, HoldId(self.name))
        with workspace.store.open_reader() as reader:
            records = reader.read_customers([customer.id for customer in plan.customers])
            alive = [read_applied_customer(reader, record) for record in records.values() if not record.tombstoned]
        return add_applied_customers(workspace, alive), plan


def parse_saved_plan(arguments: Sequence[str]) -> SavedPlan | None:
    """Return the plan file (an argument with a slash or a dot) or hold (with a colon), or None for customers.

    Raises click.UsageError if it is combined with other arguments, or if the file does not exist."""
    named = [SavedPlan(name, is_hold_id(name)) for name in arguments if "/" in name or "." in name or is_hold_id(name)]
    if not named:
        return None
    if len(arguments) > 1:
        raise click.UsageError("pass either one plan file or hold, or customers, not both")
    (only,) = named
    if not only.is_hold and not Path(only.name).is_file():
        raise click.UsageError(f"plan file {only.name} not found")
    return only
