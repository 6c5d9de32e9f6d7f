"""Only one apply of a customer runs at a time, across processes."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import pytest

from tests.support.customers.project import Project
from tests.support.rosters.bundles import bundle

pytestmark = pytest.mark.slow

HOLDING = """
import sys
from reconciler.store.database.lock import lock_customer
from reconciler.store.open import open_store
with lock_customer(open_store(sys.argv[1], "test").dialect, "springfield", 0.0):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_apply_meeting_another_names_its_holder_without_writing(project: Project) -> None:
    project.customer()
    project.customer("shelbyville", org=None)
    day = bundle(users=20).zip(project.folder / "day.zip")
    project.plan("springfield", "--zip", day)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDING, project.store_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"

        refused = project.apply("springfield", "--zip", day)
        assert refused.code == 1
        assert str(holder.pid) in refused.err
        assert project.ask("select count(*) from customers") == [(0,)]
        assert project.apply("shelbyville").code == 0, "another customer's apply does not wait"
    finally:
        holder.kill()
        holder.wait()

    deadline = time.monotonic() + 30
    code = project.apply("springfield", "--zip", day).code
    while code != 0 and time.monotonic() < deadline:
        code = project.apply("springfield", "--zip", day).code
    assert code == 0, "the lock died with its holder"


RELEASING = HOLDING.replace("sys.stdin.read()", "time.sleep(float(sys.argv[2]))").replace(
    "import sys", "import sys, time"
)


def held_for(project: Project, seconds: float) -> subprocess.Popen[str]:
    """Another process that holds Springfield's lock for so long."""
    command = [sys.executable, "-c", RELEASING, project.store_url, str(seconds)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    return holder


def test_waiting_apply_continues_after_the_other_ends(project: Project) -> None:
    project.customer()
    project.plan()
    with held_for(project, 1.0):
        begin = time.monotonic()
        applied = project.apply("springfield", "--roster", "none", "--lock-timeout", "120")
        assert time.monotonic() - begin > 0.5
    assert applied.code == 0, applied.err


def test_apply_timing_out_names_the_lock_holder(project: Project) -> None:
    project.customer()
    project.plan()
    with held_for(project, 600) as holder:
        begin = time.monotonic()
        refused = project.apply("springfield", "--roster", "none", "--lock-timeout", "0.5")
        assert time.monotonic() - begin >= 0.5
        holder.kill()
    assert refused.code == 1
    *_, first, hint = refused.err.splitlines()
    assert first.startswith("error: springfield is being applied by ")
    assert f"@{socket.gethostname()} pid {holder.pid} since 20" in first
    assert first.endswith("; nothing was changed [locked]")
    assert hint == "    Wait until it is done, then plan again."


@pytest.mark.slow
def test_only_one_of_two_simultaneous_applies_writes(project: Project) -> None:
    project.customer()
    saved = project.folder / "monday.plan"
    assert (
        project.plan("springfield", "--zip", bundle(users=20).zip(project.folder / "day.zip"), "--out", saved).code == 2
    )
    program = "import sys; from reconciler.cli.main import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "apply", "./monday.plan", "--store", project.store_url]
    both = [
        subprocess.Popen([*command, "--lock-timeout", "120"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [" ".join(process.communicate(timeout=300)) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sorted("springfield: applied (run 1)" in words for words in said) == [False, True]
    assert sorted("[already-applied]" in words for words in said) == [False, True]
    assert project.ask("select count(*) from runs") == [(1,)]
    assert project.ask("select count(*) from accounts where managed_by = 'roster'") == [(20,)]
