"""Check a OneRoster ZIP for strict conformance and report each violation, even of what a sync accepts."""

from reconciler.oneroster.strict.check import StrictReport as StrictReport
from reconciler.oneroster.strict.check import check_against_standard as check_against_standard
from reconciler.oneroster.strict.findings import MOST_LISTED as MOST_LISTED
from reconciler.oneroster.strict.page import render_strict_page as render_strict_page
from reconciler.oneroster.strict.rules import RULES as RULES
