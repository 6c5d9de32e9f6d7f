"""Checks YAML documents against the models and reports each mistake where it was written."""

from reconciler.config.validation.documents import build_document as build_document
from reconciler.config.validation.documents import parse_community_document as parse_community_document
from reconciler.config.validation.documents import parse_customer_document as parse_customer_document
from reconciler.config.validation.documents import parse_lesson_document as parse_lesson_document
