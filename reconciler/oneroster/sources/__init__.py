"""Fetch a OneRoster bundle from a server, by SFTP or by the REST API."""

from reconciler.oneroster.sources.interface import FetchProgress as FetchProgress
from reconciler.oneroster.sources.interface import FetchRequest as FetchRequest
from reconciler.oneroster.sources.interface import PreviousRoster as PreviousRoster
from reconciler.oneroster.sources.interface import ProbeFinding as ProbeFinding
from reconciler.oneroster.sources.interface import ProgressCallback as ProgressCallback
from reconciler.oneroster.sources.interface import Source as Source
from reconciler.oneroster.sources.interface import SourceBundle as SourceBundle
from reconciler.oneroster.sources.interface import ignore_progress as ignore_progress
