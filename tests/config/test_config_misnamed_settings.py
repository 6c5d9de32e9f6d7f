from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.config.repository import load_repository
from reconciler.model.diagnostic import Refusal


def test_settings_under_other_names_are_refused_not_ignored(tmp_path: Path) -> None:
    (tmp_path / "customers").mkdir()
    (tmp_path / "reconciler.yml").write_text("format: 1\n")

    repository = load_repository(tmp_path / "customers")

    assert [diagnostic.code for diagnostic in repository.errors] == ["misnamed-file"]
    with pytest.raises(Refusal, match=r"Rename it to reconciler\.yaml"):
        repository.get_environment(None)
