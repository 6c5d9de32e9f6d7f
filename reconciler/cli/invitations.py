"""Handing over invitations: on a terminal, else in a file that only its owner reads.

A link is as good as a password and kept nowhere, so it is handed over after the commit that made it whatever else
goes wrong; where that is not possible, it is said how to get another one.
"""

from __future__ import annotations

import os
from pathlib import Path

from reconciler.operations.applying import AppliedCustomer


def shown(result: AppliedCustomer) -> list[str]:
    """The lines for a terminal."""
    lines = [f"    {each.username}: {each.link}" for each in result.invitations]
    return ["invitations, shown once; each works for 14 days:", *lines] if lines else []


def write_invitations(result: AppliedCustomer) -> Path | None:
    """Into a new file of mode 0600 in this folder, None where there is nobody to invite. Raises OSError."""
    if not result.invitations:
        return None
    path, descriptor = _new_file(f"invitations-{result.id}-run-{result.run}")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{each.username}: {each.link}\n" for each in result.invitations)
    return path


def lost(result: AppliedCustomer, problem: OSError) -> str:
    """What to say where they could not be written; names nobody, since it may end up in a log."""
    number = len(result.invitations)
    whose = "1 new administrator" if number == 1 else f"{number} new administrators"
    return (
        f"error: {result.id} was applied, but the invitations of {whose} could not be written: "
        f"{problem.strerror or 'input/output error'} [invitations-lost]\n"
        "    They are kept nowhere else. To make new ones: take these people out of `administrators`, apply, put them\n"
        "    back and apply again, from a folder that can be written."
    )


def _new_file(stem: str) -> tuple[Path, int]:
    """The first name that is free: nothing that is there already is written over."""
    number = 1
    while True:
        path = Path(f"{stem}.txt" if number == 1 else f"{stem}-{number}.txt")
        try:
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1
