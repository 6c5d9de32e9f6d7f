"""The digest of a configuration: live stores keep it, so its bytes never change."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.kind import Kind
from reconciler.model.settings import compute_settings_digest

pytestmark = pytest.mark.slow

WHOLE = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | WHOLE | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=8
)


@given(st.dictionaries(st.tuples(st.sampled_from((Kind.COMMUNITY, Kind.LESSON)), TEXT), st.dictionaries(TEXT, VALUES)))
def test_digest_hashes_compact_json_with_sorted_keys(
    documents: dict[tuple[Kind, str], dict[str, object]],
) -> None:
    entries = [[kind.value, name, documents[kind, name]] for kind, name in sorted(documents)]
    text = json.dumps(entries, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert compute_settings_digest(documents) == "sha256:" + hashlib.sha256(text.encode()).hexdigest()
