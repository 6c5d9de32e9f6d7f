"""`store create` makes an empty store once."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli.main import run


def test_an_empty_store_is_made_once_with_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RECONCILER_KEY", raising=False)
    (tmp_path / "customers").mkdir()
    assert run(["store", "create"]) == 0
    key = (tmp_path / ".reconciler/store.key").read_bytes()
    assert run(["store", "create"]) == 0
    assert "ready, environment default" in capsys.readouterr().out
    assert (tmp_path / ".reconciler/store.key").read_bytes() == key
    assert run(["plan", "--out", "first.plan"]) == 0
    assert (tmp_path / "first.plan").exists()
