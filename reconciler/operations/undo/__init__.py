"""Make the plan that undoes a run."""

from reconciler.operations.undo.undo import build_undo_plan as build_undo_plan
