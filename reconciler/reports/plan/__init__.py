"""Render a plan as text, JSON, Markdown or HTML."""

from reconciler.reports.plan.gate_page import render_gates_page as render_gates_page
from reconciler.reports.plan.json import render_plan_json as render_plan_json
from reconciler.reports.plan.people import CustomerView as CustomerView
from reconciler.reports.plan.people import PeopleVisibility as PeopleVisibility
from reconciler.reports.plan.reason_page import render_reasons_page as render_reasons_page
from reconciler.reports.plan.schema import build_plan_schema as build_plan_schema
from reconciler.reports.plan.text import TextOptions as TextOptions
from reconciler.reports.plan.text import render_plan_text as render_plan_text
from reconciler.reports.plan.wording import format_count as format_count
from reconciler.reports.plan.wording import format_moment as format_moment
from reconciler.reports.plan.wording import format_names as format_names
