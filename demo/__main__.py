"""The demo: three customers, two days of a roster from an empty store to deletions held and approved, and two rosters
that are fetched from servers.

Everything stands under `.demo/`, made anew each time. Prints each command before its output; ends with 1 as
soon as a command ends otherwise than it should.
"""

from __future__ import annotations

import sys
from pathlib import Path

from demo.people import day_one, day_two
from demo.servers import servers
from demo.stage import Stage, Unexpected

ROOT = Path(__file__).resolve().parent.parent
NEIGHBOURS = ("shelbyville", "ogdenville")
HERE = ".demo/here/customers"
DAY_ONE, DAY_TWO = ".demo/day-1.zip", ".demo/day-2.zip"


def play(root: Path) -> None:
    """Runs the demo in the folder that holds `reconciler.yaml` and `customers/`; raises Unexpected."""
    stage = Stage.fresh(root)
    day_one(root / DAY_ONE)
    day_two(root / DAY_TWO)

    stage.say("Three customers in YAML and an empty store. A plan shows what would become of it, and writes nothing.")
    stage.run("plan", "--roster", "none", expected=0)
    stage.run("apply", "--yes", expected=0)

    stage.say("The first day of school: Springfield sends its roster.")
    stage.run("plan", "springfield", "--zip", DAY_ONE, "--people", "full", expected=0)
    stage.run("apply", "springfield", "--zip", DAY_ONE, "--yes", expected=0)

    stage.say("The next day. Some people come and go, and everyone of one small school is missing: that is held.")
    stage.run("plan", "springfield", "--zip", DAY_TWO, "--people", "full", "--detailed-exitcode", expected=3)
    stage.say("Applied without an approval, the rest goes on and what is held stays as it is.")
    stage.run("apply", "springfield", "--zip", DAY_TWO, "--yes", expected=3)
    hold = stage.hold_of("springfield", stage.run("holds", expected=0, keep=True))

    stage.say("Lincoln Elementary has indeed closed. A person approves exactly what was held.")
    stage.run("apply", "springfield", "--zip", DAY_TWO, "--approve", hold, "--yes", expected=0)

    stage.say("The same roster once more: nothing is left to do.")
    stage.run("plan", "springfield", "--zip", DAY_TWO, "--detailed-exitcode", expected=0)

    with servers(root):
        stage.say(
            "The two other districts leave their rosters on servers, here two small ones of this machine. .demo/here"
            " holds the same files with their addresses, and a plan says that rosters come from elsewhere now."
        )
        stage.run("apply", *NEIGHBOURS, "--roster", "none", "--dir", HERE, "--yes", expected=0)
        stage.say("What these servers do, before anything is fetched.")
        stage.run("roster", "probe", "shelbyville", "--dir", HERE, expected=0)
        stage.run("roster", "probe", "ogdenville", "--dir", HERE, expected=0)
        stage.say("Both rosters are fetched, compared and applied within their limits, by what was applied last.")
        stage.run("sync", *NEIGHBOURS, "--dir", HERE, expected=0)
        stage.say("The same again: fetched, and known by their digests to be the same.")
        stage.run("sync", *NEIGHBOURS, "--dir", HERE, expected=0)


def main(root: Path = ROOT) -> int:
    try:
        play(root)
    except Unexpected as unexpected:
        print(f"\nThe demo stopped: {unexpected}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
