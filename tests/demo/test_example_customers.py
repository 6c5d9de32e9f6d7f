"""The example customers: what the demo needs from them, and what a newcomer may rely on."""

from __future__ import annotations

import re
from pathlib import Path

from demo.credentials import NAMES, write_secrets
from demo.district import DISTRICT, SCHOOLS
from reconciler.config.repository import load_repository

CUSTOMERS = Path(__file__).resolve().parents[2] / "customers"


def test_the_example_customers_are_valid_without_a_warning() -> None:
    repository = load_repository(CUSTOMERS)
    assert [str(diagnostic) for diagnostic in repository.diagnostics] == []
    assert sorted(repository.customers) == ["ogdenville", "shelbyville", "springfield"]
    assert repository.files == len(list(CUSTOMERS.rglob("*.yaml"))) + 1


def test_each_roster_source_has_an_example_customer() -> None:
    types = {name: _sync_type(name) for name in load_repository(CUSTOMERS).customers}
    assert types == {"springfield": "zip", "shelbyville": "sftp", "ogdenville": "api"}


def test_demo_creates_every_referenced_secret() -> None:
    referred = {
        customer.parent.name: set(re.findall(r"^[^#\n]*\{secret: ([a-z0-9-]+)\}", customer.read_text(), re.MULTILINE))
        for customer in CUSTOMERS.glob("*/customer.yaml")
    }
    assert referred == {customer: set(names) for customer, names in NAMES.items()}


def test_demo_secrets_are_random_and_private_to_one_user(tmp_path: Path) -> None:
    write_secrets(tmp_path / "one")
    write_secrets(tmp_path / "two")
    canvas = tmp_path / "one" / "springfield" / "canvas"
    assert canvas.stat().st_mode & 0o077 == 0
    assert canvas.parent.stat().st_mode & 0o077 == 0
    assert len(canvas.read_text()) >= 32
    assert canvas.read_text() != (tmp_path / "two" / "springfield" / "canvas").read_text()


def test_springfield_names_the_demo_district_and_schools() -> None:
    springfield = load_repository(CUSTOMERS).customers["springfield"]
    documents = {declared.id: declared.document for declared in springfield.documents}
    rostering = documents["springfield"]["rostering"]
    assert isinstance(rostering, dict)
    assert rostering["client_partner_id"] == DISTRICT
    named: list[str] = []
    for community in ("springfield-high", "springfield-k8"):
        members = documents[community]["members"]
        assert isinstance(members, dict)
        named += members["schools"]
    assert sorted(named) == sorted(school.sourced_id for school in SCHOOLS)


def _sync_type(customer: str) -> object:
    document = load_repository(CUSTOMERS).customers[customer].documents[0].document
    rostering = document["rostering"]
    assert isinstance(rostering, dict)
    return rostering["sync"]["type"]
