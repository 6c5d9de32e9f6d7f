"""Render diagnostics for code review: GitHub annotations and SARIF."""
