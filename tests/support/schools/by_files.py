"""Applies faulty roster files to a school and checks the outcome."""

# The outcomes are those of the fault list: a source is refused whole, its losses are held, a row is set aside and
# protects what it names, or the thing is told and goes on. Each of them ends with looking who is still there.

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.customers.project import LIVE, Project, Result
from tests.support.rosters.bundles import Bundle, bundle

DAY_ONE = bundle(users=100)
STUDENTS = DAY_ONE.students()
ACCOUNTS = "SELECT count(*) FROM accounts WHERE tombstoned_at IS NULL"


@dataclass(frozen=True)
class School:
    """A project whose one customer has DAY_ONE applied."""

    project: Project

    def live(self) -> frozenset[tuple[str, str]]:
        return frozenset((str(kind), str(key)) for kind, key in self.project.ask(LIVE))

    def accounts(self) -> int:
        return int(self.project.ask(ACCOUNTS)[0][0])

    def source(self, source: Bundle | Path, name: str = "next.zip") -> Path:
        return source if isinstance(source, Path) else source.zip(self.project.folder / name)

    def plan(self, source: Bundle | Path) -> Result:
        return self.project.plan("springfield", "--zip", self.source(source))

    def apply(self, source: Bundle | Path) -> Result:
        return self.project.apply("springfield", "--zip", self.source(source))

    def refused(self, source: Bundle | Path, code: str) -> Mapping[str, Any]:
        """Nothing is planned and nothing changes; the next good roster finds everybody."""
        path = self.source(source)
        before = self.live()
        plan = self.plan(path)
        customer = plan.json["customers"][0]
        assert (plan.code, customer["outcome"]) == (3, "refused"), customer["diagnostics"]
        errors = [each for each in customer["diagnostics"] if each["severity"] == "error"]
        assert code in {each["code"] for each in errors}, errors
        assert all(each["hint"] for each in errors)
        assert self.apply(path).code == 3
        assert self.live() == before
        return next(each for each in errors if each["code"] == code)

    def held(self, source: Bundle | Path, code: str) -> Mapping[str, Any]:
        """Compared and listed, but every loss waits: an apply takes nobody away."""
        path = self.source(source)
        before = self.live()
        plan = self.plan(path)
        customer = plan.json["customers"][0]
        assert (plan.code, customer["outcome"]) == (3, "held"), customer["diagnostics"]
        said = {each["code"] for each in customer["diagnostics"]} | {
            each["name"] for each in customer["limits"] if each["exceeded"]
        }
        assert code in said, said
        assert self.apply(path).code == 3
        assert before <= self.live()
        assert customer["hold"]["id"] in self.project.run("holds").out
        return customer

    def aside(self, source: Bundle | Path, code: str, *keys: str, kind: str = "user") -> list[Mapping[str, Any]]:
        """The rows are told with file and line; what they name stays as it is, and nothing else is lost."""
        path = self.source(source)
        before = self.live()
        plan = self.plan(path)
        customer = plan.json["customers"][0]
        assert customer["outcome"] != "refused", customer["diagnostics"]
        found = [each for each in customer["diagnostics"] if each["code"] == code]
        assert found
        assert all(each["file"] and each["line"] for each in found if each["severity"] == "error")
        assert customer["counts"][kind]["quarantined"] >= 1
        self.apply(path)
        assert before <= self.live()
        assert {(kind, key) for key in keys} <= self.live()
        return found

    def told(self, source: Bundle | Path, code: str, severity: str = "warning") -> Mapping[str, Any]:
        """Goes on, is reported, and nothing is lost."""
        path = self.source(source)
        before = self.live()
        plan = self.plan(path)
        customer = plan.json["customers"][0]
        assert customer["outcome"] in ("changes", "unchanged"), customer
        found = [each for each in customer["diagnostics"] if each["code"] == code]
        assert [each["severity"] for each in found][:1] == [severity], customer["diagnostics"]
        assert self.apply(path).code == 0
        assert before <= self.live()
        return found[0]

    def quiet(self, source: Bundle | Path) -> Mapping[str, Any]:
        """Nothing to complain of and nothing lost."""
        path = self.source(source)
        before = self.live()
        plan = self.plan(path)
        assert plan.code in (0, 2), plan.json["customers"][0]["diagnostics"]
        assert self.apply(path).code == 0
        assert before <= self.live()
        return plan.json["customers"][0]


def packed(
    path: Path, *more: tuple[str | zipfile.ZipInfo, bytes], made: Bundle = DAY_ONE, without: Iterable[str] = ()
) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in made.files().items():
            if name not in without:
                archive.writestr(name, content)
        for name, content in more:
            archive.writestr(name, content)
    return path


def entry(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    """A member whose name and kind are exactly these."""
    made = zipfile.ZipInfo("placeholder.csv")
    made.filename, made.external_attr, made.create_system = name, mode << 16, 3
    return made


def inner_zip() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("users.csv", DAY_ONE.text("users"))
    return sink.getvalue()


def lines(table: str, made: Bundle = DAY_ONE) -> list[str]:
    return made.text(table).splitlines()


def as_file(rows: Iterable[str], end: str = "\n") -> bytes:
    return "".join(f"{row}{end}" for row in rows).encode()
