"""An unexpected failure stays with its customer, and is not reported as an error in its files."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from reconciler.operations.apply import apply as applying
from tests.support.customers.project import Project
from tests.support.rosters.bundles import bundle

pytestmark = pytest.mark.slow

DAY_ONE = bundle(users=20)
COMMAND = Path(sys.executable).with_name("reconciler")
#: A shell starts what runs in its background deaf to Ctrl-C, and so this test's children.
LISTENING = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from reconciler.cli.main import main; main()"
)


@pytest.fixture
def two(project: Project) -> Project:
    """Springfield, whose kept roster is damaged, and Shelbyville, which has a new name."""
    project.customer()
    project.customer("shelbyville", org=None)
    assert project.apply("springfield", "--zip", DAY_ONE.zip(project.folder / "day.zip")).code == 0
    assert project.apply("shelbyville").code == 0
    with project.by_hand() as cursor:
        damaged = "X'00'" if project.store_url.startswith("sqlite") else "'\\x00'"
        cursor.execute(f"update snapshot_parts set data = {damaged} where part = 'users'")
    project.customer("shelbyville", org=None, title="New Name")
    return project


def test_customer_failing_to_plan_does_not_stop_others(two: Project) -> None:
    plan = two.plan()
    assert {each["id"]: each["outcome"] for each in plan.json["customers"]} == {
        "shelbyville": "changes",
        "springfield": "failed",
    }
    (diagnostic,) = plan.json["customers"][1]["diagnostics"]
    assert diagnostic["code"] == "unexpected"
    assert "--debug" in diagnostic["hint"]
    assert plan.code == 1, "no file is wrong"
    assert "Traceback" not in plan.err
    two.customer(more="status: deactivated\n")
    assert two.apply("shelbyville").code == 0


def test_debug_shows_the_traceback_of_a_customer_that_failed(two: Project) -> None:
    done = subprocess.run(
        [COMMAND, "--debug", "plan", "--store", two.store_url],
        capture_output=True,
        text=True,
        cwd=two.folder,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "last_snapshot" in done.stderr
    assert "Traceback" not in done.stdout


def test_a_saved_plan_remembers_that_no_file_was_wrong(two: Project) -> None:
    saved = two.folder / "monday.plan"
    assert two.run("plan", "--out", saved).code == 1

    applied = two.run("apply", saved)
    assert "springfield: failed" in applied.out
    assert applied.code == 5, "the other was applied"
    assert two.run("apply", saved).code == 1
    assert two.ask("select name from customers order by slug") == [("New Name",), ("Springfield District",)]


def failing(monkeypatch: pytest.MonkeyPatch, customer: str, problem: BaseException) -> None:
    """Lets the store fail at one customer in a way that nobody foresaw."""
    apply_customer = applying.apply_customer

    def failed(store: Any, job: Any, lock_timeout: float) -> Any:
        if job.plan.id == customer:
            raise problem
        return apply_customer(store, job, lock_timeout)

    monkeypatch.setattr(applying, "apply_customer", failed)


def test_customer_failing_to_apply_does_not_stop_others(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ogdenville", "shelbyville", "springfield"):
        project.customer(name, org=None)
    failing(monkeypatch, "shelbyville", RuntimeError("Lisa Simpson"))

    applied = project.apply()
    assert applied.code == 5
    assert "unexpected RuntimeError while applying shelbyville" in applied.err
    assert "Simpson" not in applied.out + applied.err
    assert project.ask("select slug from customers order by slug") == [("ogdenville",), ("springfield",)]


def test_interrupted_apply_reports_what_was_applied_with_invitations(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ogdenville", "shelbyville", "springfield"):
        project.customer(name, org=None)
    failing(monkeypatch, "shelbyville", KeyboardInterrupt())

    applied = project.apply()
    assert applied.code == 130
    assert "ogdenville: applied (run 1)" in applied.out
    assert "springfield" not in applied.out.split("ogdenville: applied", 1)[1]
    assert "/invitation/" in (project.folder / "invitations-ogdenville-run-1.txt").read_text()
    assert project.ask("select slug from customers") == [("ogdenville",)]


def test_an_interrupted_question_changes_nothing_and_says_so(project: Project) -> None:
    project.customer(org=None)
    outside, inside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENING, "apply", "--store", project.store_url, "springfield"],
        stdin=inside,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=project.folder,
    )
    os.close(inside)
    try:
        assert process.stderr is not None
        seen = ""
        while "Apply this plan?" not in seen:
            letter = process.stderr.read(1)
            assert letter, seen
            seen += letter
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=20)
    finally:
        process.kill()
        os.close(outside)
    assert process.returncode == 130
    assert "Nothing was changed." in rest
    assert "Traceback" not in rest
    assert project.ask("select count(*) from customers") == [(0,)]
