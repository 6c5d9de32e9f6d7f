"""The demo from end to end, in a folder of its own."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from demo.__main__ import main
from demo.stage import DemoFailure, Stage

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def customers_repository(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "customers", tmp_path / "customers")
    shutil.copy(ROOT / "reconciler.yaml", tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_demo_ends_with_deletions_held_and_then_approved(
    customers_repository: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = customers_repository / "somebody-s-store.db"
    monkeypatch.setenv("RECONCILER_STORE", f"sqlite:///{elsewhere}")
    remains = customers_repository / ".demo"
    remains.mkdir()
    (remains / "store.db").write_bytes(b"what an interrupted run left")

    code = main(customers_repository)
    output = capfd.readouterr()

    assert code == 0, output.out + output.err
    assert not elsewhere.exists()
    assert "Traceback" not in output.err
    steps = output.out.split("\n$ ")[1:]
    verbs = ["plan", "apply", "plan", "apply", "plan", "apply", "holds", "apply", "plan"]
    verbs += ["apply", "roster", "roster", "sync", "sync"]
    assert [step.split()[1] for step in steps] == verbs

    held = steps[4]
    assert re.search(r"\b14\b.*HELD", held.splitlines()[1] + held.splitlines()[2])
    hold = re.search(r"springfield:14:[0-9a-f]+", held)
    assert hold is not None
    assert "Lincoln Elementary" in held
    assert "wizard" in held
    assert hold.group() in steps[6]
    assert f"--approve {hold.group()}" in steps[7]
    assert "nothing to change" in steps[8]
    assert "host-key-fits  yes" in steps[10]
    assert "page-clamp" in steps[11]
    assert {each.split(":")[0] for each in steps[13].splitlines() if "same roster as before" in each} == {
        "ogdenville",
        "shelbyville",
    }


def stage(root: Path) -> Stage:
    return Stage(root, {"PATH": os.environ["PATH"]})


def test_unexpected_exit_stops_the_demo_and_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(DemoFailure, match=r"`reconciler --version` ended with 0; it should end with 3"):
        stage(tmp_path).run_command("--version", exit_code=3)


def test_a_command_is_shown_before_what_it_prints(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kept = stage(tmp_path).run_command("--version", exit_code=0, capture=True)
    assert kept
    assert capfd.readouterr().out == f"\n$ reconciler --version\n{kept}"


def test_the_demo_says_so_where_reconciler_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(DemoFailure, match="`make demo` installs it first"):
        stage(tmp_path).run_command("--version", exit_code=0)


def test_hold_is_read_from_the_screen_for_its_customer(tmp_path: Path) -> None:
    output = "other-springfield-x:3:aaaaaa  ...\nspringfield:14:7f3a9c  14 people\n"
    assert stage(tmp_path).find_hold("springfield", output) == "springfield:14:7f3a9c"
    with pytest.raises(DemoFailure, match="names no hold of shelbyville"):
        stage(tmp_path).find_hold("shelbyville", output)


def test_fresh_stage_inherits_none_of_reconcilers_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_STORE", "postgresql://somebody's")
    monkeypatch.setenv("RECONCILER_KEY", "somebody's")
    fresh = Stage.create_fresh(tmp_path)
    assert [name for name in fresh.environment if name.startswith("RECONCILER_")] == []
    assert (tmp_path / ".demo" / "secrets" / "springfield" / "canvas").is_file()
