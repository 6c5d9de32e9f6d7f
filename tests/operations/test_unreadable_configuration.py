"""A customer with an invalid configuration in the store fails on record and delays no other customer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from reconciler import clock
from reconciler.model.diagnostic import Refusal
from reconciler.operations.notify.subscribers import parse_listener
from reconciler.store.json_text import parse_stored_document
from reconciler.store.read.records import CustomerRecord
from tests.support.customers.project import Project
from tests.support.operations.synced_customers import DAILY, MONDAY, NIGHT, codes, only, outcomes, people, synced
from tests.support.servers.webhook_receiver import Receiver, receiving
from tests.support.sources.in_memory import GivenSource

pytestmark = pytest.mark.slow

NO_JSON = "{not json"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def by_another_hand(project: Project, name: str, document: str, table: str = "customers") -> None:
    with project.by_hand() as cursor:
        cursor.execute(f"update {table} set document = '{document}' where slug = '{name}'")


@pytest.mark.parametrize("document", [NO_JSON, "{}"])
def test_sync_failure_is_recorded_and_others_are_synced(
    project: Project, customer: Callable[..., GivenSource], document: str
) -> None:
    customer(auto=DAILY)
    customer("shelby", auto=DAILY)
    assert synced(project, "--due").code == 0
    of_it = "from syncs s join customers c on c.id = s.customer_id where c.slug = 'springfield'"
    (before,) = project.ask(f"select next_at, attempted_at {of_it}")
    by_another_hand(project, "springfield", document)

    done = synced(project, "--due", at=MONDAY + NIGHT)
    assert outcomes(done) == {"springfield": "failed", "shelby": "unchanged"}
    (found,) = [each for each in done.json["customers"] if each["id"] == "springfield"]
    assert codes(found) == {"applied-configuration-unreadable"}
    assert found["since"] == "2026-11-24T12:00:00Z"
    assert found["sentences"] == ["The roster could not be processed because of an internal error. Nobody was changed."]
    kept = project.ask(f"select outcome, since, next_at, attempted_at {of_it}")
    assert kept == [("failed", "2026-11-24T12:00:00Z", *before)]

    again = synced(project, "springfield", at=MONDAY + 2 * NIGHT)
    assert (again.code, only(again)["since"]) == (1, "2026-11-24T12:00:00Z"), "it is no news"
    assert project.apply("springfield", "--roster", "none").code == 0
    assert outcomes(synced(project, "--due", at=MONDAY + 2 * NIGHT))["springfield"] == "unchanged"


@pytest.mark.parametrize("text", [NO_JSON, "", "[]", "null", '"text"', "{'id': 'springfield'}"])
def test_invalid_document_reads_as_empty_and_notifies_nobody(text: str) -> None:
    """So that a plan of the files shows all of it as changed, and an apply writes it anew."""
    assert parse_stored_document(text) is None
    assert CustomerRecord(1, "springfield", "Springfield", text, None, (0, 0), False).document == {}
    with pytest.raises(Refusal, match="nobody can be notified about it"):
        parse_listener("springfield", parse_stored_document(text))


def test_a_document_that_says_nothing_names_nobody_to_tell() -> None:
    with pytest.raises(Refusal, match="notify-unreadable"):
        parse_listener("springfield", {})
    assert parse_listener("springfield", {"id": "springfield"}).notify.webhook is None


def test_a_community_that_is_none_fails_its_customer_alone(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    customer()
    customer("shelby")
    project.write(
        "customers/springfield/communities/high.yaml",
        "kind: community\nid: high\nname: High\n"
        "site_license: {seats: 100, starts: 2026-08-01, ends: 2027-07-31}\nlessons: all\n",
    )
    assert project.apply("springfield", "--roster", "none").code == 0
    by_another_hand(project, "high", NO_JSON, "communities")
    assert outcomes(synced(project, "springfield", "shelby")) == {"springfield": "failed", "shelby": "applied"}
    assert (people(project), people(project, "shelby")) == (0, 40)
    assert project.apply("springfield", "--roster", "none").code == 0
    assert outcomes(synced(project, "springfield")) == {"springfield": "applied"}


def test_recipients_are_notified_once_readable_again(
    project: Project, customer: Callable[..., GivenSource], receiver: Receiver
) -> None:
    """Until then a warning says that nobody is."""
    settings = (project.folder / "reconciler.yaml").read_text(encoding="utf-8")
    project.write("reconciler.yaml", f'{settings}network: {{allow: ["127.0.0.1"]}}\n')
    customer(more=f"notify: {{email: [ops@read.example], webhook: '{receiver.url}'}}\n")
    customer("shelby", more="notify: {email: [ops@read.example]}\n")
    assert synced(project, "springfield", "shelby").code == 0
    for name in ("springfield", "shelby"):
        by_another_hand(project, name, NO_JSON)
    with clock.freeze_time(MONDAY + NIGHT):
        done = project.run("sync", "springfield", "shelby")
    assert done.code == 1
    assert done.err.count("[notify-unreadable]") == 2
    assert project.ask("select event, stands from notices where event = 'failed'") in (
        [("failed", 1)] * 2,
        [("failed", True)] * 2,
    )

    assert project.apply("shelby", "--roster", "none").code == 0
    with clock.freeze_time(MONDAY + 2 * NIGHT):
        done = project.run("sync", "springfield")
    assert done.err.count("[notify-unreadable]") == 1
    folder = project.folder / ".reconciler" / "outbox"
    [mail] = [each.read_text(encoding="utf-8") for each in folder.iterdir()]
    assert "Shelby District" in mail
    assert "Springfield" not in mail


def test_broken_document_with_readable_notify_still_notifies(
    project: Project, customer: Callable[..., GivenSource], receiver: Receiver
) -> None:
    settings = (project.folder / "reconciler.yaml").read_text(encoding="utf-8")
    project.write("reconciler.yaml", f'{settings}network: {{allow: ["127.0.0.1"]}}\n')
    customer(more=f"notify: {{webhook: '{receiver.url}'}}\n")
    document = json.loads(project.ask("select document from customers")[0][0]) | {"rostering": "none"}
    by_another_hand(project, "springfield", json.dumps(document))
    with clock.freeze_time(MONDAY + NIGHT):
        assert project.run("sync", "springfield").code == 1
        assert project.run("sync", "springfield").code == 1
    assert [each.json["type"] for each in receiver.received] == ["sync.failed"]


def test_manually_fetched_roster_never_fails_a_due_run(project: Project, customer: Callable[..., GivenSource]) -> None:
    customer()
    customer("shelby", auto=DAILY)
    synced(project, "--due")
    by_another_hand(project, "springfield", NO_JSON)
    assert outcomes(synced(project, "--due", at=MONDAY + NIGHT)) == {"shelby": "unchanged"}
    assert outcomes(synced(project, at=MONDAY + NIGHT)) == {"shelby": "unchanged"}
    assert outcomes(synced(project, "springfield")) == {"springfield": "failed"}
