"""Notify subscribers of a customer's syncs by webhook and email."""

from reconciler.operations.notify.notify import deliver_due_messages as deliver_due_messages
from reconciler.operations.notify.notify import enqueue_events as enqueue_events
