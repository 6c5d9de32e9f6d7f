"""Of two customers on one source, the second does not get the first one's people unless somebody approves it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.customers.project import Project, changes
from tests.support.rosters.bundles import Bundle, bundle

pytestmark = pytest.mark.slow

OWN = bundle(users=40)
GATE = "people-of-another-customer"


def day(project: Project, made: Bundle = OWN) -> Path:
    return made.zip(project.folder / "day.zip")


@pytest.fixture
def copied(project: Project) -> Project:
    """Springfield has its people; its file was copied for Shelbyville, with other names but the same source."""
    project.customer()
    assert project.apply("springfield", "--zip", day(project)).code == 0
    project.customer("shelbyville", more='  suffix: "@shelbyville"\n')
    return project


def test_196_people_of_another_customer_wait(copied: Project) -> None:
    plan = copied.plan("shelbyville", "--zip", day(copied))
    (customer,) = plan.json["customers"]

    assert customer["outcome"] == "held", plan.out
    assert GATE in {each["code"] for each in customer["diagnostics"]}
    assert all(each["held"] for each in changes(plan, "user"))
    copied.apply("shelbyville", "--zip", day(copied))
    assert copied.ask(
        "select count(*) from identities i join issuers x on x.id = i.issuer_id join customers c"
        " on c.id = i.customer_id where c.slug = 'shelbyville' and x.kind = 'roster'"
    ) == [(0,)]


def test_196_approved_people_are_not_asked_for_again(copied: Project) -> None:
    plan = copied.plan("shelbyville", "--zip", day(copied))
    hold = plan.json["customers"][0]["hold"]["id"]
    assert copied.apply("shelbyville", "--zip", day(copied), "--approve", hold).code == 0

    assert copied.plan("shelbyville", "--zip", day(copied)).code == 0


def test_196_validate_tells_both_customers(copied: Project) -> None:
    result = copied.run("validate", "--format", "json")

    assert result.code == 0
    found = [(each["code"], each["file"], each["severity"]) for each in result.json["diagnostics"]]
    assert found == [
        ("source-shared", f"customers/{name}/customer.yaml", "warning") for name in ("shelbyville", "springfield")
    ]
    assert "customers/shelbyville/customer.yaml" in result.json["diagnostics"][1]["message"]


def test_196_other_people_of_a_source_do_not_wait(project: Project) -> None:
    project.customer()
    assert project.apply("springfield", "--zip", day(project)).code == 0
    made = OWN.with_row("orgs", "d-2", name="Other", type="district")
    made = made.with_row("orgs", "s-9", name="Theirs", type="school", parentSourcedId="d-2")
    for number in range(10):
        made = made.with_user(
            f"other-{number}", orgSourcedIds="s-9", username=f"other.{number}", identifier=f"77000{number}"
        )
    project.customer("shelbyville", org="d-2")

    plan = project.plan("shelbyville", "--zip", day(project, made))
    assert plan.json["customers"][0]["outcome"] == "changes", plan.out
