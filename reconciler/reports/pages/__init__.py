"""Renders a plan as a Markdown comment or as one HTML file; only these two load the template engine."""

from reconciler.reports.pages.html import render_plan_html as render_plan_html
from reconciler.reports.pages.markdown import render_plan_markdown as render_plan_markdown
