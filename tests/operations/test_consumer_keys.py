"""A consumer key leads the launches of one customer's LMS, so it belongs to one customer, and for a time afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler import clock
from tests.support.customers.project import Project, Result

START = datetime(2026, 9, 1, 6, tzinfo=UTC)
HIGH = "kind: community\nid: high\nname: High\nsite_license: {seats: 99, starts: 2026-08-01, ends: 2027-07-31}\n"
LMS = """\
lti:
  platforms:
    - {{id: canvas, consumer_key: {key}, shared_secret: {{generated: true}}, community: high}}
"""


def on(day: int) -> Any:
    """The moment so many days after the first."""
    return clock.freeze_time(START + timedelta(days=day))


def write(project: Project, name: str, key: str | None = "lms-1", more: str = "") -> None:
    project.customer(name, org=None, more=more + (LMS.format(key=key) if key else ""))
    project.write(f"customers/{name}/communities/high.yaml", HIGH)


def remove(project: Project, name: str) -> None:
    for path in sorted((project.folder / "customers" / name).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (project.folder / "customers" / name).rmdir()


def applied(project: Project, day: int, *more: str | Path, code: int = 0) -> Result:
    with on(day):
        done = project.apply(*more)
    assert done.code == code, done
    return done


def owners(project: Project, key: str = "lms-1") -> list[tuple[Any, ...]]:
    """The customers that have the key now."""
    return project.ask(
        "select c.slug, p.platform, p.community from lti_platforms p join customers c on c.id = p.customer_id"
        f" where p.consumer_key = '{key}' and p.reserved_until is null"
    )


@pytest.fixture
def springfield(project: Project) -> Project:
    write(project, "springfield")
    applied(project, 0)
    return project


def test_a_launch_finds_the_customer_and_community_of_its_key(springfield: Project) -> None:
    assert owners(springfield) == [("springfield", "canvas", "high")]


def test_the_key_of_a_customer_whose_removal_is_held_is_taken(springfield: Project) -> None:
    remove(springfield, "springfield")
    write(springfield, "shelbyville")
    done = applied(springfield, 1, code=3)
    assert "shelbyville looks like springfield under a new ID (same consumer key" in done.out
    (hold,) = [each["hold"]["id"] for each in springfield.plan().json["customers"] if each["id"] == "shelbyville"]
    forced = applied(springfield, 1, "shelbyville", "--approve", hold, code=1)
    assert "consumer" in forced.out + forced.err
    assert springfield.ask("select slug from customers where tombstoned_at is null") == [("springfield",)]
    assert owners(springfield) == [("springfield", "canvas", "high")]


def test_a_saved_plan_cannot_give_a_key_to_a_second_customer(project: Project) -> None:
    saved = project.folder / "saved.plan"
    write(project, "springfield")
    with on(0):
        assert project.plan("springfield", "--out", saved).code == 2
    remove(project, "springfield")
    write(project, "shelbyville")
    applied(project, 0, "shelbyville")
    remove(project, "shelbyville")
    write(project, "springfield")
    with on(0):
        late = project.apply(saved)
    assert late.code != 0
    assert "the consumer_key of platform canvas is also used by shelbyville" in late.out + late.err
    assert project.ask("select slug from customers") == [("shelbyville",)]


def test_a_key_that_is_used_no_more_stays_reserved_for_the_retention(springfield: Project) -> None:
    write(springfield, "springfield", key="lms-2")
    applied(springfield, 1, "springfield")
    write(springfield, "shelbyville")
    early = applied(springfield, 30, "shelbyville", code=65)
    assert "this consumer_key was used by springfield, and is reserved until 2026-10-02" in " ".join(early.out.split())
    applied(springfield, 31, "shelbyville")
    assert owners(springfield) == [("shelbyville", "canvas", "high")]


def test_a_customer_gets_its_own_key_back(springfield: Project) -> None:
    write(springfield, "springfield", key=None)
    applied(springfield, 1)
    assert owners(springfield) == []
    write(springfield, "springfield")
    applied(springfield, 2)
    assert owners(springfield) == [("springfield", "canvas", "high")]


def test_the_key_of_a_removed_customer_stays_reserved_until_it_returns(springfield: Project) -> None:
    remove(springfield, "springfield")
    with on(1):
        (hold,) = [each["hold"]["id"] for each in springfield.plan().json["customers"]]
    applied(springfield, 1, "--approve", hold)
    assert owners(springfield) == []
    write(springfield, "shelbyville")
    assert "reserved until" in applied(springfield, 2, "shelbyville", code=65).out
    write(springfield, "springfield")
    remove(springfield, "shelbyville")
    applied(springfield, 3)
    assert owners(springfield) == [("springfield", "canvas", "high")]


def test_a_renamed_customer_keeps_its_key(springfield: Project) -> None:
    remove(springfield, "springfield")
    write(springfield, "greenfield", more="previously: [springfield]\n")
    applied(springfield, 1)
    assert owners(springfield) == [("greenfield", "canvas", "high")]


def test_the_store_itself_refuses_a_second_customer_with_the_key(springfield: Project) -> None:
    with pytest.raises(Exception, match=r"(?i)unique"), springfield.by_hand() as cursor:
        cursor.execute("insert into lti_platforms (customer_id, consumer_key, platform) values (99, 'lms-1', 'moodle')")


def test_two_customers_cannot_swap_their_keys(springfield: Project) -> None:
    write(springfield, "shelbyville", key="lms-2")
    applied(springfield, 0)
    write(springfield, "springfield", key="lms-2")
    write(springfield, "shelbyville", key="lms-1")
    said = applied(springfield, 1, code=65).out
    assert said.count("[consumer-key-taken]") == 2
    assert owners(springfield) == [("springfield", "canvas", "high")]


def test_the_key_of_an_erased_customer_stays_reserved(springfield: Project) -> None:
    remove(springfield, "springfield")
    with on(1):
        (hold,) = [each["hold"]["id"] for each in springfield.plan().json["customers"]]
    applied(springfield, 1, "--approve", hold)
    with on(2):
        erased = springfield.run("erase", "springfield", "--request", "r-1", "--yes")
    assert erased.code == 0, erased
    assert springfield.ask("select count(*) from customers") == [(0,)]
    write(springfield, "shelbyville")
    assert "a customer that no longer exists" in " ".join(applied(springfield, 3, "shelbyville", code=65).out.split())
    applied(springfield, 32, "shelbyville")
