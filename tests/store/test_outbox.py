"""Test that the outbox gives each message to one process at a time until it is settled."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from reconciler.model.sync import EventKind
from reconciler.notices.notice import Notice, NoticeHold
from reconciler.store.open import Store
from reconciler.store.removal.erasure import ErasureJob, erase_customer
from reconciler.store.sync import outbox
from reconciler.store.sync.notices import list_message_notices, list_open_notices, record_notice
from reconciler.store.sync.outbox import DeliveryChannel, OutboxEntry
from tests.support.plans import store_plans

NOW, SOON, LATER = "2026-11-23T07:00:00Z", "2026-11-23T07:10:00Z", "2026-11-24T07:00:00Z"
HOOK = "https://hooks.example/a"
HELD = Notice(
    EventKind.HELD,
    store_plans.SLUG,
    NOW,
    NOW,
    ("10 of 20 people would be removed; the limit is 5 at once.",),
    NoticeHold("springfield:10:abc", 10),
)


@pytest.fixture
def loaded(store: Store) -> Store:
    store_plans.load(store)
    return store


def customer_of(store: Store) -> int:
    with store.open_reader() as reader:
        return reader.read_customers()[store_plans.SLUG].id


def noted(store: Store, *notices: Notice) -> list[int | None]:
    customer = customer_of(store)
    with store.open_connection() as connection, connection.open_write_transaction():
        return [record_notice(connection, customer, each) for each in notices]


def put(store: Store, name: str, *, address: str = HOOK, notice: int = 1, now: str = NOW) -> None:
    entry = OutboxEntry(
        name, DeliveryChannel.WEBHOOK, address, "held", now, {notice: True}, customer_of(store), '{"a": 1}'
    )
    with store.open_connection() as connection, connection.open_write_transaction():
        outbox.enqueue_message(connection, entry)


def take(store: Store, channel: DeliveryChannel, now: str, until: str) -> outbox.OutboxMessage | None:
    with store.open_connection() as connection:
        return outbox.take_next_message(connection, channel, now, until)


def settle(store: Store, message: outbox.OutboxMessage, sent_at: str | None, code: str | None = None) -> None:
    with store.open_connection() as connection:
        outbox.settle_message(connection, message, sent_at, code)


def rows(store: Store, columns: str) -> list[tuple[object, ...]]:
    with store.open_connection() as connection:
        return connection.fetch_rows(f"SELECT {columns} FROM outbox ORDER BY id")


def test_message_is_queued_once_and_taken_by_one(loaded: Store) -> None:
    put(loaded, "msg_1")
    put(loaded, "msg_1")
    taken = take(loaded, DeliveryChannel.WEBHOOK, NOW, SOON)
    assert taken is not None
    assert (taken.message_id, taken.customer, taken.address, taken.body, taken.attempts) == (
        "msg_1",
        store_plans.SLUG,
        HOOK,
        '{"a": 1}',
        0,
    )
    assert take(loaded, DeliveryChannel.WEBHOOK, NOW, SOON) is None


def test_message_taken_by_a_dead_process_is_due_again(loaded: Store) -> None:
    put(loaded, "msg_1")
    take(loaded, DeliveryChannel.WEBHOOK, NOW, SOON)
    again = take(loaded, DeliveryChannel.WEBHOOK, SOON, LATER)
    assert again is not None
    assert (again.message_id, again.attempts) == ("msg_1", 1)


def test_two_processes_never_have_the_same_message(loaded: Store) -> None:
    for number in range(12):
        put(loaded, f"msg_{number:02}")
    taken: list[str] = []

    def work() -> None:
        while (message := take(loaded, DeliveryChannel.WEBHOOK, NOW, SOON)) is not None:
            taken.append(message.message_id)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for each in workers:
        each.start()
    for each in workers:
        each.join(30)
    assert sorted(taken) == [f"msg_{number:02}" for number in range(12)]


def test_settled_and_given_up_are_taken_no_more(loaded: Store) -> None:
    put(loaded, "msg_1")
    put(loaded, "msg_2")
    for sent, code in ((SOON, None), (None, "webhook-gone")):
        message = take(loaded, DeliveryChannel.WEBHOOK, NOW, SOON)
        assert message is not None
        settle(loaded, message, sent, code)
    assert take(loaded, DeliveryChannel.WEBHOOK, LATER, LATER) is None
    assert rows(loaded, "message_id, sent_at, last_error, not_before") == [
        ("msg_1", SOON, None, None),
        ("msg_2", None, "webhook-gone", None),
    ]


def test_other_messages_for_an_address_are_postponed_with_it(loaded: Store) -> None:
    put(loaded, "msg_1")
    put(loaded, "msg_2")
    put(loaded, "msg_3", address="https://hooks.example/b")
    message = take(loaded, DeliveryChannel.WEBHOOK, NOW, SOON)
    assert message is not None
    with loaded.open_connection() as connection:
        outbox.defer_message(connection, message, LATER, "webhook-timeout")
        outbox.defer_due_messages(connection, DeliveryChannel.WEBHOOK, HOOK, NOW, LATER, "webhook-timeout")
    other = take(loaded, DeliveryChannel.WEBHOOK, NOW, SOON)
    assert other is not None
    assert other.message_id == "msg_3"
    assert rows(loaded, "message_id, attempts, not_before, last_error") == [
        ("msg_1", 1, LATER, "webhook-timeout"),
        ("msg_2", 0, LATER, "webhook-timeout"),
        ("msg_3", 1, SOON, None),
    ]


def test_same_event_is_recorded_once_until_the_next_outcome(loaded: Store) -> None:
    [first, again, other] = noted(
        loaded, HELD, replace(HELD, at=SOON), replace(HELD, hold=NoticeHold("springfield:11:def", 11))
    )
    assert first is not None
    assert again is None
    assert other is not None
    refused = replace(HELD, event=EventKind.REFUSED, at=SOON, since=SOON, hold=None)
    stale = replace(refused, event=EventKind.STALE)
    noted(loaded, refused, stale)
    with loaded.open_connection() as connection:
        assert [(each.notice.event, each.is_open) for each in list_open_notices(connection, NOW)] == [
            (EventKind.HELD, False),
            (EventKind.HELD, False),
            (EventKind.REFUSED, True),
            (EventKind.STALE, True),
        ]
    recovered = replace(refused, event=EventKind.RECOVERED, at=LATER, since=LATER)
    assert [each is None for each in noted(loaded, recovered, recovered)] == [False, True]
    with loaded.open_connection() as connection:
        assert [each.notice.event for each in list_open_notices(connection, LATER)] == [EventKind.RECOVERED]


def test_what_is_told_comes_back_as_it_was(loaded: Store) -> None:
    [number] = noted(loaded, HELD)
    put(loaded, "msg_1", notice=number)
    with loaded.open_connection() as connection:
        [told] = list_message_notices(connection, 1)
    assert told.notice == replace(HELD, name="Springfield")


def test_old_messages_expire_and_pending_ones_stay(loaded: Store) -> None:
    recovered = replace(HELD, event=EventKind.RECOVERED, hold=None)
    failed = replace(HELD, event=EventKind.FAILED, at=SOON, hold=None)
    numbers = noted(loaded, replace(HELD, at="2026-10-01T07:00:00Z"), recovered, failed)
    for place, number in enumerate(numbers):
        put(loaded, f"msg_{place}", notice=number)
    message = take(loaded, DeliveryChannel.WEBHOOK, NOW, SOON)
    assert message is not None
    settle(loaded, message, NOW)
    with loaded.open_connection() as connection, connection.open_write_transaction():
        outbox.prune_outbox(connection, LATER)
    assert rows(loaded, "message_id") == [("msg_1",), ("msg_2",)]
    with loaded.open_connection() as connection:
        assert connection.fetch_rows("SELECT id FROM notices ORDER BY id") == [(numbers[1],), (numbers[2],)]
        assert connection.fetch_rows("SELECT notice_id FROM outbox_notices ORDER BY 1") == [
            (numbers[1],),
            (numbers[2],),
        ]


def test_customers_messages_go_with_the_customer(loaded: Store) -> None:
    [number] = noted(loaded, HELD)
    put(loaded, "msg_1", notice=number)
    digest = OutboxEntry(
        "msg_2", DeliveryChannel.MAIL, "ops@springfield.example", "digest", NOW, {number: True}, day="2026-11-23"
    )
    with loaded.open_connection() as connection, connection.open_write_transaction():
        outbox.enqueue_message(connection, digest)
        connection.execute("UPDATE customers SET tombstoned_at = :now", {"now": NOW})
    certificate = erase_customer(loaded, ErasureJob(store_plans.SLUG, customer_of(loaded), "r-1", SOON, "ann"))
    assert {"outbox", "outbox_notices", "notices"} <= certificate.counts.keys()
    with loaded.open_connection() as connection:
        left = [
            connection.fetch_scalar(f"SELECT count(*) FROM {table}")
            for table in ("notices", "outbox_notices", "outbox")
        ]
    # The digest itself tells of nobody any more.
    assert left == [0, 0, 1]
