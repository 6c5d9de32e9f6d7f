"""Compares YAML documents with those last applied: values, new IDs and settings that protect people less."""

from reconciler.planning.documents.document_diff import AppliedDocument as AppliedDocument
from reconciler.planning.documents.document_diff import AppliedDocuments as AppliedDocuments
from reconciler.planning.documents.document_diff import DocumentKey as DocumentKey
from reconciler.planning.documents.document_diff import WantedDocument as WantedDocument
from reconciler.planning.documents.document_diff import WantedDocuments as WantedDocuments
from reconciler.planning.documents.document_diff import compare_documents as compare_documents
from reconciler.planning.documents.document_diff import diff_fields as diff_fields
from reconciler.planning.documents.document_diff import find_document_renames as find_document_renames
from reconciler.planning.documents.document_diff import map_to_new_ids as map_to_new_ids
from reconciler.planning.documents.likely_renames import LikelyRename as LikelyRename
from reconciler.planning.documents.likely_renames import find_likely_renames as find_likely_renames
from reconciler.planning.documents.lockouts import list_narrowed_members as list_narrowed_members
from reconciler.planning.documents.lockouts import locks_people_out as locks_people_out
from reconciler.planning.documents.protections import find_settings_weakenings as find_settings_weakenings
from reconciler.planning.documents.protections import find_weakenings as find_weakenings
from reconciler.planning.documents.renames import DocumentRenames as DocumentRenames
from reconciler.planning.documents.renames import IdT as IdT
from reconciler.planning.documents.renames import StoredDocument as StoredDocument
from reconciler.planning.documents.renames import find_renames as find_renames
from reconciler.planning.documents.renames import list_former_ids as list_former_ids
from reconciler.planning.documents.renames import order_by_freed_ids as order_by_freed_ids
