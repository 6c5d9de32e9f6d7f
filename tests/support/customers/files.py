"""Writes customers repositories and loads their configuration."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from reconciler.config.repository import Repository, load_repository

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)

CUSTOMER = """\
kind: customer
id: {id}
name: Springfield Unified
administrators:
  - {{given_name: Ann, family_name: Bee, email: ann@{id}.example, username: ann, role: admin}}
agreements: {{privacy_policy: 2026-08-01, terms_of_service: 2026-08-01}}
"""

COMMUNITY = """\
kind: community
id: {id}
name: High
site_license: {{seats: 100, starts: 2026-08-01, ends: 2027-07-31}}
"""

LESSON = """\
kind: lesson
id: {id}
title: Cells
url: https://lessons.example/cells
"""


def next_tick() -> None:
    """Until what is written gets a later time than all that was written before."""
    with tempfile.NamedTemporaryFile() as probe:
        first = os.fstat(probe.fileno()).st_ctime_ns
        while os.fstat(probe.fileno()).st_ctime_ns == first:
            os.utime(probe.fileno())


class Files:
    """Files below a folder that is the current directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)

    def customer(self, more: str = "", name: str = "springfield", without: Iterable[str] = ()) -> None:
        """customers/NAME/customer.yaml: a small valid customer, less the lines that begin with `without`."""
        lines = CUSTOMER.format(id=name.rpartition("/")[2]).splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith(tuple(without))]
        self.write(f"customers/{name}/customer.yaml", "".join(kept) + more)

    def community(self, more: str = "", name: str = "high", of: str = "springfield") -> None:
        self.write(f"customers/{of}/communities/{name}.yaml", COMMUNITY.format(id=name) + more)

    def lesson(self, folder: str, name: str = "cells", more: str = "") -> None:
        self.write(f"{folder}/lessons/{name}.yaml", LESSON.format(id=name) + more)

    def load(self) -> Repository:
        return load_repository(Path("customers"), moment=NOW)

    def codes(self) -> list[str]:
        """Codes of everything noticed, in order."""
        return [each.code for each in self.load().diagnostics]

    def said(self) -> str:
        return "\n".join(str(each) for each in self.load().diagnostics)
