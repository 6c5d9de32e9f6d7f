"""Secrets are found under the customer's own name, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.config.models.settings import DirectorySecrets, EnvironmentSecrets
from reconciler.config.secrets import DirectorySecretBackend, EnvironmentSecretBackend, create_backend
from reconciler.model.diagnostic import Refusal


def test_environment_variable_is_uppercase_with_double_underscores() -> None:
    backend = EnvironmentSecretBackend({"RECONCILER_SECRET__SPRING_FIELD__CANVAS_OLD": "s3cret"})
    found = backend.get_secret("spring-field", "canvas-old")
    assert found is not None
    assert found.get_secret_value() == "s3cret"
    assert backend.get_secret("spring", "field-canvas-old") is None


def test_a_file_is_read_without_its_last_newline(tmp_path: Path) -> None:
    (tmp_path / "springfield").mkdir()
    for text, expected in (("a b\n", "a b"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a")):
        (tmp_path / "springfield/canvas").write_bytes(text.encode())
        found = DirectorySecretBackend(tmp_path).get_secret("springfield", "canvas")
        assert found is not None
        assert found.get_secret_value() == expected


@pytest.mark.parametrize(("text", "expected"), [("a b\n", "a b"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a ")])
def test_150_variable_is_read_without_its_last_newline(text: str, expected: str) -> None:
    found = EnvironmentSecretBackend({"RECONCILER_SECRET__A__B": text}).get_secret("a", "b")
    assert found is not None
    assert found.get_secret_value() == expected
    assert EnvironmentSecretBackend({"RECONCILER_SECRET__A__B": "\n"}).get_secret("a", "b") is None


def test_what_is_empty_or_not_there_is_not_set(tmp_path: Path) -> None:
    (tmp_path / "springfield").mkdir()
    (tmp_path / "springfield/canvas").write_text("\n")
    assert DirectorySecretBackend(tmp_path).get_secret("springfield", "canvas") is None
    assert DirectorySecretBackend(tmp_path).get_secret("springfield", "other") is None
    assert DirectorySecretBackend(tmp_path).get_secret("ogdenville", "canvas") is None
    assert EnvironmentSecretBackend({"RECONCILER_SECRET__A__B": ""}).get_secret("a", "b") is None


@pytest.mark.parametrize("name", ["../springfield", "a/b", "..", "", "A", "a_b", "a--b", "a\n"])
def test_no_name_reaches_another_customer(tmp_path: Path, name: str) -> None:
    for backend in (DirectorySecretBackend(tmp_path), EnvironmentSecretBackend({})):
        with pytest.raises(ValueError, match="lowercase"):
            backend.get_secret("springfield", name)
        with pytest.raises(ValueError, match="lowercase"):
            backend.get_secret(name, "canvas")


def test_binary_file_is_refused_without_showing_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "springfield").mkdir()
    (tmp_path / "springfield/canvas").write_bytes(b"hunter2\xff")
    with pytest.raises(Refusal, match="secret canvas of springfield cannot be read") as refused:
        DirectorySecretBackend(tmp_path).get_secret("springfield", "canvas")
    assert "hunter2" not in repr(refused.value)


def test_a_folder_in_a_secret_s_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "springfield/canvas").mkdir(parents=True)
    with pytest.raises(Refusal, match="cannot be read"):
        DirectorySecretBackend(tmp_path).get_secret("springfield", "canvas")


def test_no_value_shows_in_what_is_printed_of_it() -> None:
    backend = EnvironmentSecretBackend({"RECONCILER_SECRET__A__B": "hunter2"})
    assert "hunter2" not in repr(backend)
    assert "hunter2" not in repr(backend.get_secret("a", "b"))


def test_an_environment_names_its_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_SECRET__A__B", "x")
    assert create_backend(EnvironmentSecrets()).get_secret("a", "b") is not None
    assert create_backend(DirectorySecrets(backend="directory", path="p")) == DirectorySecretBackend(Path("p"))
