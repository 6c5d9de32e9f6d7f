"""No output, plan file, error or byte of the store contains a secret of the fixtures."""

from __future__ import annotations

import base64
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.cli.output import FORMATS
from tests.support.customers.checkout import begin, commit
from tests.support.customers.project import Project, Result

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBsvS6n5OJNCuZ4cmDG2VNK5iQXTnb1aUCGmW3zlIuVY"
NAMES = ("admin-password", "canvas", "canvas-old", "sftp")
SPRINGFIELD = f"""\
lti:
  platforms:
    - id: canvas
      version: "1.1"
      consumer_key: springfield-canvas
      shared_secret: {{secret: canvas}}
      previous_secret: {{secret: canvas-old}}
      community: north
rostering:
  type: oneroster
  client_partner_id: d-1
  match_with: identifier
  sync:
    type: sftp
    host: sftp.springfield.example
    username: reader
    password: {{secret: sftp}}
    path: /out/roster.zip
    host_key: "{HOST_KEY}"
"""
COMMUNITY = "kind: community\nid: north\nname: North\nsite_license: {seats: 9, starts: 2026-08-01, ends: 2027-07-31}\n"


def value(name: str, version: int) -> str:
    """Long and odd enough to be nothing else."""
    return f"Zq7-{name}-v{version}-Xw&9<k>"


def values() -> Iterator[str]:
    for name in NAMES:
        for version in (1, 2):
            yield value(name, version)


def forms(secret: str) -> Iterator[bytes]:
    """As it may stand in a file: as it is, in JSON or HTML, in base 64, in hexadecimal."""
    plain = secret.encode()
    yield plain
    yield secret.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").encode()
    yield secret.replace("<", "\\u003c").replace(">", "\\u003e").encode()
    yield base64.b64encode(plain)
    yield plain.hex().encode()


def found_in(data: bytes) -> list[str]:
    return [secret for secret in values() if any(form in data for form in forms(secret))]


def set_secrets(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    for name in NAMES:
        variable = f"RECONCILER_SECRET__SPRINGFIELD__{name.upper().replace('-', '_')}"
        monkeypatch.setenv(variable, value(name, version))


@pytest.fixture
def springfield(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    set_secrets(monkeypatch, 1)
    path = project.customer(org=None, more=SPRINGFIELD)
    text = path.read_text(encoding="utf-8").replace("role: admin}", "role: admin, password: {secret: admin-password}}")
    path.write_text(text, encoding="utf-8")
    project.write("customers/springfield/communities/north.yaml", COMMUNITY)
    begin(project.folder)
    commit(project.folder)
    return project


def everything(result: Result) -> bytes:
    return (result.out + result.err).encode()


def test_this_test_would_find_them() -> None:
    for secret in values():
        for form in forms(secret):
            assert secret in found_in(b"before" + form + b"after")


def test_no_output_plan_file_or_store_byte_holds_secrets(springfield: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, bytes] = {}

    def note(name: str, result: Result) -> Result:
        seen[name] = everything(result)
        return result

    assert note("first apply", springfield.apply()).code == 0
    set_secrets(monkeypatch, 2)
    rotated = note("plan", springfield.run("plan", "--out", "rotated.plan"))
    assert "shared_secret" in rotated.out
    for form in FORMATS:
        for people in ("full", "masked"):
            shown = note(f"plan {form} {people}", springfield.run("plan", "--format", form, "--people", people))
            assert "shared_secret" in shown.out
            note(f"show {form}", springfield.run("show", "rotated.plan", "--format", form))
        note(f"base {form}", springfield.run("plan", "--base", "main", "--format", form))
    assert note("apply", springfield.apply("rotated.plan")).code == 0
    assert note("again", springfield.apply("rotated.plan")).code == 0
    note("history", springfield.run("history", "--verify"))
    note("explain", springfield.run("explain", "springfield", "ada"))
    note("undo", springfield.run("undo", "1", "--yes"))
    for name in NAMES:
        monkeypatch.delenv(f"RECONCILER_SECRET__SPRINGFIELD__{name.upper().replace('-', '_')}")
    note("unset", springfield.run("plan", "--debug"))
    note("import", springfield.run("import", "springfield"))
    with zipfile.ZipFile(springfield.folder / "rotated.plan") as archive:
        seen["plan file"] = b"".join(archive.read(name) for name in archive.namelist())
    for path in springfield.folder.rglob("*"):
        if path.is_file() and ".git" not in path.parts:
            seen[str(path)] = path.read_bytes()
    seen["store"] = _bytes_of_store(springfield)
    assert len(seen["store"]) > 1_000
    assert {name: leaked for name, data in seen.items() if (leaked := found_in(data))} == {}


def _bytes_of_store(project: Project) -> bytes:
    """Files of SQLite as they lie there; every row of PostgreSQL as text, with binary values as they are."""
    if project.store_url.startswith("sqlite"):
        path = Path(project.store_url.removeprefix("sqlite:///"))
        return b"".join(each.read_bytes() for each in sorted(path.parent.glob(f"{path.stem}*")) if each.is_file())
    tables = project.ask("select table_name from information_schema.tables where table_schema = 'public'")
    pieces = []
    for (table,) in tables:
        for row in project.ask(f'select * from "{table}"'):
            pieces += [bytes(cell) if isinstance(cell, bytes | memoryview) else str(cell).encode() for cell in row]
    return b"\n".join(pieces)


@pytest.mark.parametrize("key", ["shared_secret", "previous_secret"])
@pytest.mark.parametrize("form", ["text", "json", "github", "sarif"])
def test_literal_secret_is_refused_and_not_repeated(springfield: Project, key: str, form: str) -> None:
    path = springfield.folder / "customers/springfield/customer.yaml"
    name = "canvas-old" if key == "previous_secret" else "canvas"
    text = path.read_text(encoding="utf-8")
    literal = f"{key}: {{secret: {name}}}"
    assert literal in text
    path.write_text(text.replace(literal, f'{key}: "{value(name, 1)}"'), encoding="utf-8")
    refused = springfield.run("validate", "--format", form)
    assert refused.code == 65
    assert found_in(everything(refused)) == []
    for verb in (("plan",), ("apply", "--yes"), ("fmt", "--check")):
        assert found_in(everything(springfield.run(*verb))) == []
