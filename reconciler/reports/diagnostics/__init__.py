"""Render diagnostics for code review: GitHub annotations and SARIF."""

from reconciler.reports.diagnostics.github import SHOWN_PER_LEVEL as SHOWN_PER_LEVEL
from reconciler.reports.diagnostics.github import render_workflow_commands as render_workflow_commands
from reconciler.reports.diagnostics.places import create_path_mapper as create_path_mapper
from reconciler.reports.diagnostics.places import find_repository_root as find_repository_root
from reconciler.reports.diagnostics.sarif import render_sarif as render_sarif
