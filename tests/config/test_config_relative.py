"""Paths below a folder, as relpath gives them."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from reconciler.config.load.layout import make_relative_path

NAMES = ("a", "b.yaml", "..", ".", "", ".hidden", "c..d", "customers")
PARTS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=5)


@given(PARTS, PARTS, st.booleans(), st.booleans())
def test_it_is_relpath(path: list[str], start: list[str], below: bool, absolute: bool) -> None:
    top = ("/" if absolute else "") + ("/".join(start).strip("/") or ".")
    given_path = f"{top}/{'/'.join(path)}" if below else "/".join(path) or "."
    assert make_relative_path(given_path, top) == os.path.relpath(given_path, top)
