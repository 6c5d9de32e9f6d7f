"""Writes YAML files in canonical form and changes single values, without losing a comment."""

from reconciler.config.formatting.edit import update_mapping as update_mapping
from reconciler.config.formatting.files import expand_paths as expand_paths
from reconciler.config.formatting.files import format_path as format_path
from reconciler.config.formatting.files import list_repository_files as list_repository_files
from reconciler.config.formatting.format import format_canonical_text as format_canonical_text
from reconciler.config.formatting.format import iter_document_comments as iter_document_comments
from reconciler.config.formatting.format import parse_document as parse_document
from reconciler.config.formatting.format_diff import render_diff as render_diff
from reconciler.config.formatting.nodes import SyntaxDocument as SyntaxDocument
from reconciler.config.formatting.nodes import SyntaxMapping as SyntaxMapping
from reconciler.config.formatting.order import sort_keys as sort_keys
from reconciler.config.formatting.plain import build_tree as build_tree
from reconciler.config.formatting.write import render_document as render_document
