"""The polars frames that planning shares with the store and reports: columns, types and the meaning of a row."""

from reconciler.planning.frames.change_frame import BEFORE_PREFIX as BEFORE_PREFIX
from reconciler.planning.frames.change_frame import CAUSE_COLUMN as CAUSE_COLUMN
from reconciler.planning.frames.change_frame import IMPACT_COLUMNS as IMPACT_COLUMNS
from reconciler.planning.frames.change_frame import IMPACT_PREFIX as IMPACT_PREFIX
from reconciler.planning.frames.change_frame import find_schema_error as find_schema_error
from reconciler.planning.frames.counts import count_changes as count_changes
from reconciler.planning.frames.live import LiveRoster as LiveRoster
from reconciler.planning.frames.live import OpenEnrollments as OpenEnrollments
from reconciler.planning.frames.live import add_roles as add_roles
from reconciler.planning.frames.live import make_empty_live_frame as make_empty_live_frame
