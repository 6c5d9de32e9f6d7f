"""Render a plan as text, JSON, Markdown or HTML."""
