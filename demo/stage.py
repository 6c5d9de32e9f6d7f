"""Where the demo plays: a fresh folder, and commands that are shown before they are run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from demo.credentials import write_secrets


class DemoFailure(Exception):  # noqa: N818 - it is what the demo reports, not a defect of it
    """A command did not do what the demo shows. Says which, and where to look."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Runs the `reconciler` that was installed beside this Python, in `root`."""

    root: Path
    environment: Mapping[str, str]

    @classmethod
    def create_fresh(cls, root: Path) -> Stage:
        """Makes `.demo/` anew: whatever an earlier run left there is gone."""
        folder = root / ".demo"
        if folder.exists():
            shutil.rmtree(folder)
        write_secrets(folder / "secrets")
        # RECONCILER_STORE would win over reconciler.yaml, and the demo would play in somebody's real store.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RECONCILER_")}
        return cls(root, kept)

    def print_sentence(self, sentence: str) -> None:
        print(f"\n# {sentence}", flush=True)

    def run_command(self, *arguments: str, exit_code: int, capture: bool = False) -> str:
        """Shows the command and runs it. keep: returns what it printed, which is shown all the same.

        Raises Unexpected where it ends with another exit code.
        """
        shown = shlex.join(("reconciler", *arguments))
        print(f"\n$ {shown}", flush=True)
        program = Path(sys.executable).with_name("reconciler")
        if not program.exists():
            raise DemoFailure(f"{program} is not there. `make demo` installs it first.")
        done = subprocess.run(
            [str(program), *arguments],
            cwd=self.root,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            # Else its own terminal, so that it prints as it would for a person.
            stdout=subprocess.PIPE if capture else None,
            text=True,
            check=False,
        )
        if capture:
            print(done.stdout, end="", flush=True)
        if done.returncode != exit_code:
            raise DemoFailure(
                f"`{shown}` ended with {done.returncode}; it should end with {exit_code}.\n"
                f"What it worked on is in {self.root / '.demo'}; `reconciler --debug {arguments[0]} …` says more."
            )
        return done.stdout or ""

    def find_hold(self, customer: str, output: str) -> str:
        """The id of that customer's hold, as a person would read it off the screen."""
        found = re.search(rf"\b{re.escape(customer)}:\d+:[0-9a-f]+\b", output)
        if found is None:
            raise DemoFailure(f"`reconciler holds` names no hold of {customer}.")
        return found.group()
