"""Fetch a roster from a OneRoster REST API (1.1 and 1.2) as a bundle, and probe the API."""

from reconciler.oneroster.sources.api.account import ApiAccount as ApiAccount
from reconciler.oneroster.sources.api.pages.checkpoint import CheckpointSettings as CheckpointSettings
from reconciler.oneroster.sources.api.pages.checkpoint import remove_all_checkpoints as remove_all_checkpoints
from reconciler.oneroster.sources.api.source import ApiSource as ApiSource
