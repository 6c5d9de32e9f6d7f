"""The demo: three customers, two days of a roster from an empty store to deletions held and approved, and two rosters
that are fetched from servers.

Everything stands under `.demo/`, made anew each time. Prints each command before its output; ends with 1 as
soon as a command ends otherwise than it should.
"""

from __future__ import annotations

import sys
from pathlib import Path

from demo.people import write_day_one, write_day_two
from demo.servers import run_servers
from demo.stage import DemoFailure, Stage

ROOT = Path(__file__).resolve().parent.parent
NEIGHBORS = ("shelbyville", "ogdenville")
HERE = ".demo/here/customers"
DAY_ONE, DAY_TWO = ".demo/day-1.zip", ".demo/day-2.zip"


def run_demo(root: Path) -> None:
    """Runs the demo in the folder that holds `reconciler.yaml` and `customers/`; raises Unexpected."""
    stage = Stage.create_fresh(root)
    write_day_one(root / DAY_ONE)
    write_day_two(root / DAY_TWO)

    stage.print_sentence(
        "Three customers in YAML and an empty store. A plan shows what would become of it, and writes nothing."
    )
    stage.run_command("plan", "--roster", "none", exit_code=0)
    stage.run_command("apply", "--yes", exit_code=0)

    stage.print_sentence("The first day of school: Springfield sends its roster.")
    stage.run_command("plan", "springfield", "--zip", DAY_ONE, "--people", "full", exit_code=0)
    stage.run_command("apply", "springfield", "--zip", DAY_ONE, "--yes", exit_code=0)

    stage.print_sentence(
        "The next day. Some people come and go, and everyone of one small school is missing: that is held."
    )
    stage.run_command("plan", "springfield", "--zip", DAY_TWO, "--people", "full", "--detailed-exitcode", exit_code=3)
    stage.print_sentence("Applied without an approval, the rest goes on and what is held stays as it is.")
    stage.run_command("apply", "springfield", "--zip", DAY_TWO, "--yes", exit_code=3)
    hold = stage.find_hold("springfield", stage.run_command("holds", exit_code=0, capture=True))

    stage.print_sentence("Lincoln Elementary has indeed closed. A person approves exactly what was held.")
    stage.run_command("apply", "springfield", "--zip", DAY_TWO, "--approve", hold, "--yes", exit_code=0)

    stage.print_sentence("The same roster once more: nothing is left to do.")
    stage.run_command("plan", "springfield", "--zip", DAY_TWO, "--detailed-exitcode", exit_code=0)

    with run_servers(root):
        stage.print_sentence(
            "The two other districts leave their rosters on servers, here two small ones of this machine. .demo/here"
            " holds the same files with their addresses, and a plan says that rosters come from elsewhere now."
        )
        stage.run_command("apply", *NEIGHBORS, "--roster", "none", "--dir", HERE, "--yes", exit_code=0)
        stage.print_sentence("What these servers do, before anything is fetched.")
        stage.run_command("roster", "probe", "shelbyville", "--dir", HERE, exit_code=0)
        stage.run_command("roster", "probe", "ogdenville", "--dir", HERE, exit_code=0)
        stage.print_sentence(
            "Both rosters are fetched, compared and applied within their limits, by what was applied last."
        )
        stage.run_command("sync", *NEIGHBORS, "--dir", HERE, exit_code=0)
        stage.print_sentence("The same again: fetched, and known by their digests to be the same.")
        stage.run_command("sync", *NEIGHBORS, "--dir", HERE, exit_code=0)


def main(root: Path = ROOT) -> int:
    try:
        run_demo(root)
    except DemoFailure as unexpected:
        print(f"\nThe demo stopped: {unexpected}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
