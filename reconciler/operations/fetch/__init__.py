"""Fetch rosters from their sources, probe the sources, and save rosters as snapshots."""

from reconciler.operations.fetch.fetching import ProgressFactory as ProgressFactory
from reconciler.operations.fetch.fetching import make_silent_progress as make_silent_progress
from reconciler.operations.fetch.probe import SavedRoster as SavedRoster
from reconciler.operations.fetch.probe import probe_address as probe_address
from reconciler.operations.fetch.probe import probe_source as probe_source
from reconciler.operations.fetch.probe import save_roster as save_roster
