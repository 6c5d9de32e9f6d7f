"""A plan reads the files of an unchanged customer once, in a worker process, and not again for what it says."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from reconciler.config import repository
from reconciler.config.load import summary
from reconciler.model.ids import CustomerId
from tests.support.customers.project import Project

LMS = """\
lti:
  platforms:
    - {id: canvas, consumer_key: KEY, shared_secret: {secret: new}, previous_secret: {secret: old}, community: high}
"""
HIGH = "kind: community\nid: high\nname: High\nsite_license: {seats: 100, starts: 2026-08-01, ends: 2099-07-31}\n"
NAMES = ("one", "two", "three")


@pytest.fixture
def read_again(monkeypatch: pytest.MonkeyPatch) -> list[CustomerId]:
    """Summarize customers as workers do, in this process; list those whose files are read a second time."""
    reads: list[CustomerId] = []

    def map_here(work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        return [pickle.loads(pickle.dumps(work(item))) for item in items]

    def record_read(customer: summary.SummarizedCustomer) -> Any:
        reads.append(customer.id)
        return customer.read_again(customer.folder).resolve_customer()

    monkeypatch.setattr(repository, "map_in_processes", map_here)
    monkeypatch.setattr(summary.SummarizedCustomer, "_read", property(record_read))
    return reads


def test_files_of_unchanged_customers_are_read_once(
    project: Project, monkeypatch: pytest.MonkeyPatch, read_again: list[CustomerId]
) -> None:
    for name in NAMES:
        for secret in ("NEW", "OLD"):
            monkeypatch.setenv(f"RECONCILER_SECRET__{name.upper()}__{secret}", secret.lower())
        project.customer(name, org=None, more=LMS.replace("KEY", f"lms-{name}"))
        project.write(f"customers/{name}/communities/high.yaml", HIGH)
    assert project.apply().code == 0
    read_again.clear()
    assert project.plan().code == 0
    assert read_again == []
    project.write("customers/two/communities/high.yaml", HIGH.replace("100", "200"))
    assert project.plan().code == 2
    assert set(read_again) == {"two"}
