"""One apply at a time for each customer, over processes."""

from __future__ import annotations

import subprocess
import sys
import time

from bundles import bundle
from project import Project

HOLDING = """
import sys
from reconciler.store.lock import customer_lock
from reconciler.store.opening import open_store
with customer_lock(open_store(sys.argv[1], "test"), "springfield", 0.0):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_an_apply_that_finds_another_names_its_holder_and_writes_nothing(project: Project) -> None:
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
