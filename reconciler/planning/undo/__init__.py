"""Plans the changes that reverse a run."""

from reconciler.planning.undo.rows import SpareReason as SpareReason
from reconciler.planning.undo.undo import SPARED_SCHEMA as SPARED_SCHEMA
from reconciler.planning.undo.undo import EnrollmentUses as EnrollmentUses
from reconciler.planning.undo.undo import UndoResult as UndoResult
from reconciler.planning.undo.undo import undo_roster as undo_roster
