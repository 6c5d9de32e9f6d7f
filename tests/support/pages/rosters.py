"""Write a variant of a bundle, `VARIANT SOURCE TARGET`, or another district's, `other-district TARGET`."""

from __future__ import annotations

import csv
import io
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from demo.bundle import write_bundle
from demo.neighbors import build_shelbyville
from demo.tables import render_tables

Rows = list[dict[str, str]]


def remove_one_pupil(users: Rows) -> Rows:
    """Return the users without the first student."""
    first = next(user for user in users if user["role"] == "student")
    return [user for user in users if user is not first]


def remove_a_grade(users: Rows) -> Rows:
    """Return the users without grade 8."""
    return [user for user in users if user["grades"] != "08"]


def remove_pupils(users: Rows) -> Rows:
    """Return the users without students."""
    return [user for user in users if user["role"] != "student"]


VARIANTS: dict[str, Callable[[Rows], Rows]] = {
    "pupil-gone": remove_one_pupil,
    "grade-gone": remove_a_grade,
    "teachers-only": remove_pupils,
}


def write_variant(variant: str, source: Path, target: Path) -> None:
    """Copy a bundle without some people and their enrollments."""
    with zipfile.ZipFile(source) as bundle:
        files = {name: bundle.read(name) for name in bundle.namelist()}
    users = _read(files["users.csv"])
    kept = VARIANTS[variant](users)
    gone = {user["sourcedId"] for user in users} - {user["sourcedId"] for user in kept}
    files["users.csv"] = _write(kept)
    files["enrollments.csv"] = _write(
        [row for row in _read(files["enrollments.csv"]) if row["userSourcedId"] not in gone]
    )
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)


def _read(content: bytes) -> Rows:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def _write(rows: Rows) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["other-district", written]:
            write_bundle(Path(written), render_tables(build_shelbyville()))
        case [chosen, read, written]:
            write_variant(chosen, Path(read), Path(written))
