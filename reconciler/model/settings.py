"""Computes the digest of one customer's configuration, which does not depend on how its files express it."""

import hashlib
from collections.abc import Mapping

import orjson

from reconciler.model.kind import Kind

#: (kind, id) -> the resolved document, JSON-able, secrets by reference
DocumentsByKey = Mapping[tuple[Kind, str], Mapping[str, object]]


def compute_settings_digest(documents: DocumentsByKey) -> str:
    """Return `sha256:HEX` of the canonical JSON of every document, in the order of kind and ID."""
    entries = [[kind.value, name, documents[kind, name]] for kind, name in sorted(documents)]
    return "sha256:" + hashlib.sha256(orjson.dumps(entries, option=orjson.OPT_SORT_KEYS)).hexdigest()
