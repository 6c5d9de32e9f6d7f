"""The files fixture of every test of the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.customers.files import Files


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    (tmp_path / "customers").mkdir()
    monkeypatch.chdir(tmp_path)
    return Files(tmp_path)
