"""A full or read-only disk is reported, loses nothing, and everything works again once there is space."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.customers.project import ENVIRONMENT, KEY, Project
from tests.support.rosters.bundles import bundle

PROGRAM = Path(__file__).parents[1] / "support/operations/small_disk.py"
NAMESPACE = ("unshare", "--mount", "--map-root-user") if os.geteuid() else ("unshare", "--mount")
STORE = "sqlite:///disk/store.db"
NEW = ("apply", "springfield", "--zip", "one.zip", "--yes", "--store", STORE)
SAVED = ("apply", "./monday.plan", "--store", STORE)
MEBIBYTE = 1024**2


def disks_can_be_made() -> bool:
    command = [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not disks_can_be_made(), reason="this machine lets nobody mount a disk of their own"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    monkeypatch.setenv("RECONCILER_KEY", KEY.hex())
    project = Project(tmp_path, STORE, capsys)
    project.write("reconciler.yaml", f'format: 1\nenvironments: {{{ENVIRONMENT}: {{store: "{STORE}"}}}}\n')
    project.customer()
    district = bundle(users=1500, classes=40, schools=4)
    district.without_users(district.ids("users")[40:]).zip(tmp_path / "one.zip")
    district.zip(tmp_path / "two.zip")
    return tmp_path


def on_a_disk(folder: Path, size: int, *steps: tuple[Any, ...], **environment: str) -> list[Any]:
    """What the steps returned that return something."""
    done = subprocess.run(
        [*NAMESPACE, sys.executable, PROGRAM, "disk", str(size)],
        input=json.dumps(steps),
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return [found for found in json.loads(done.stdout) if found is not None]


def said(result: Any, *codes: str) -> None:
    """An error in the program's own words, with what to do next."""
    assert result["code"] == 1, result
    *_, first, hint = result["err"].splitlines()
    assert "error: " in first
    assert any(first.endswith(f"[{code}]") for code in codes), first
    assert hint.startswith("    ")
    assert "Traceback" not in result["err"]
    assert not [name for name in result["files"] if name.endswith((".part", ".tmp", "-journal"))]


def test_disk_filling_during_an_apply_loses_nothing(folder: Path) -> None:
    rooms = [0, *(4096 << step for step in range(11))]
    made, planned, before, *tried, last, after = on_a_disk(
        folder,
        24 * MEBIBYTE,
        ("run", *NEW),
        ("run", "plan", "springfield", "--zip", "two.zip", "--store", STORE, "--out", "monday.plan"),
        ("content", "store.db"),
        *(step for room in rooms for step in (("leave", room), ("run", *SAVED), ("empty",), ("content", "store.db"))),
        ("run", *SAVED),
        ("content", "store.db"),
    )
    assert (made["code"], planned["code"]) == (0, 0)
    results = list(zip(tried[::2], tried[1::2], strict=True))
    full = [(result, content) for result, content in results if result["code"]]
    assert len(full) >= 5, "the disk was never full"
    for result, content in full:
        said(result, "disk-full", "store-read-only")
        assert content == before
    assert all(content == after for result, content in results if not result["code"])
    assert last["code"] == 0
    assert after != before


def test_file_size_limit_is_told_from_damage(folder: Path) -> None:
    made, planned, before, full, same, done = on_a_disk(
        folder,
        24 * MEBIBYTE,
        ("run", *NEW),
        ("run", "plan", "springfield", "--zip", "two.zip", "--store", STORE, "--out", "monday.plan"),
        ("content", "store.db"),
        ("run_with_files_of", MEBIBYTE // 2, *SAVED),
        ("content", "store.db"),
        ("run", *SAVED),
    )
    assert (made["code"], planned["code"], done["code"]) == (0, 0, 0)
    said(full, "disk-error")
    assert "quota" in full["err"]
    assert same == before


def test_store_creation_failing_on_a_full_disk_works_later(folder: Path) -> None:
    create = ("store", "create", "--store", STORE)
    rooms = [0, 4096, 8192, 32768, 131072, 262144]
    found = on_a_disk(
        folder,
        2 * MEBIBYTE,
        *(
            step
            for room in rooms
            for step in (("clear",), ("leave", room), ("run", *create), ("empty",), ("run", *create))
        ),
        RECONCILER_KEY="",
    )
    full = [result for result in found[::2] if result["code"]]
    assert len(full) >= 4
    for result in full:
        said(result, "disk-full", "store-unreadable", "store-key")
    assert [result["code"] for result in found[1::2]] == [0] * len(rooms), found[1::2]


def test_plan_without_disk_space_keeps_the_previous_file(folder: Path) -> None:
    beside = "sqlite:///store.db"
    out = ("plan", "springfield", "--zip", "two.zip", "--store", beside, "--out", "disk/monday.plan")
    _, nothing, first, full, shown, locked = on_a_disk(
        folder,
        MEBIBYTE,
        ("run", "store", "create", "--store", beside),
        ("leave", 8192),
        ("run", *out),
        ("empty",),
        ("run", *out),
        ("leave", 8192),
        ("run", *out),
        ("empty",),
        ("run", "show", "disk/monday.plan", "--store", beside),
        ("remount", "ro"),
        ("run", *out),
    )
    said(nothing, "plan-not-saved")
    assert "disk/monday.plan: error: " in nothing["err"]
    assert "Free some space" in nothing["err"]
    assert nothing["files"] == []
    assert first["code"] == shown["code"] == 0
    said(full, "plan-not-saved")
    assert full["files"] == ["monday.plan"]
    said(locked, "plan-not-saved")


def test_store_on_a_read_only_disk_is_left_alone(folder: Path) -> None:
    made, before, refused, planned, listed, another, after = on_a_disk(
        folder,
        4 * MEBIBYTE,
        ("run", *NEW),
        ("content", "store.db"),
        ("remount", "ro"),
        ("run", "apply", "springfield", "--zip", "two.zip", "--yes", "--store", STORE),
        ("run", "plan", "springfield", "--zip", "two.zip", "--store", STORE),
        ("run", "history", "--store", STORE),
        ("run", "apply", "--yes", "--roster", "none", "--store", "sqlite:///disk/another.db"),
        ("remount", "rw"),
        ("content", "store.db"),
    )
    assert made["code"] == 0
    said(refused, "store-read-only")
    assert (planned["code"], listed["code"]) == (0, 0), "it can be read"
    said(another, "store-unreadable")
    assert "Read-only file system" in another["err"]
    assert after == before


def test_store_with_a_read_only_file_is_left_alone(folder: Path) -> None:
    made, before, refused, after, done = on_a_disk(
        folder,
        4 * MEBIBYTE,
        ("run", *NEW),
        ("content", "store.db"),
        ("lock", "store.db"),
        ("run", "apply", "springfield", "--zip", "two.zip", "--yes", "--store", STORE),
        ("unlock", "store.db"),
        ("content", "store.db"),
        ("run", "apply", "springfield", "--zip", "two.zip", "--yes", "--store", STORE),
    )
    assert (made["code"], done["code"]) == (0, 0)
    said(refused, "store-read-only")
    assert after == before
