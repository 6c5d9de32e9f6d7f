"""Render the pages that people see: few words, one question, and everything works without script."""

from reconciler.service.pages.rendering import Notice as Notice
from reconciler.service.pages.rendering import render_notice as render_notice
from reconciler.service.pages.rendering import render_page as render_page
from reconciler.service.pages.rendering import set_static_path as set_static_path
