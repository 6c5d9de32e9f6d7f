"""Marks of tests that name the databases they run on."""

from __future__ import annotations

import pytest

#: Runs a test on PostgreSQL in the quick run as well; otherwise `store_url` makes that half of a test slow.
QUICK_ON_BOTH = pytest.mark.parametrize(
    "store_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
