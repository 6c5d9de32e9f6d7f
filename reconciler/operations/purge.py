"""`purge`: what was deleted longer ago than its customer's retention goes for good, customer by customer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler import clock
from reconciler.config.models.rostering import OneRosterRostering
from reconciler.config.yaml.documents import customer_from_document
from reconciler.model.diagnostic import Diagnostic, Refusal, error
from reconciler.model.plan import CATALOGUE
from reconciler.operations.actor import actor
from reconciler.operations.failure import UNFORESEEN, unexpected
from reconciler.operations.fetch.fetching import forget_kept_pages
from reconciler.operations.workspace import Workspace
from reconciler.store.read.records import CustomerRecord
from reconciler.store.removal.certificates import Certificate
from reconciler.store.removal.purge import Purgeable, purge_customer, purgeable
from reconciler.store.removal.retention import newest_moment

#: Of customers without a roster, and of the shared lessons.
RETENTION: timedelta = OneRosterRostering.model_fields["retention"].default

#: How far the clock may be ahead of everything that the store knows, before nobody believes it.
TRUSTED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Due:
    """One customer. cut: what was deleted before this moment is past retention. declared: the files have it."""

    id: str
    retention: timedelta
    cut: str
    declared: bool
    found: Purgeable


@dataclass(frozen=True, slots=True)
class Purged:
    """What became of one customer. certificate: None where nothing was left to go, or it failed."""

    id: str
    certificate: Certificate | None
    diagnostics: tuple[Diagnostic, ...] = ()


def refuse_wrong_clock(workspace: Workspace, today: str | None) -> None:
    """Raises Refusal where the clock is more than a day ahead of everything stored and nobody says that it is right.
    today: the day as a person says it is, YYYY-MM-DD in UTC; it must be the clock's."""
    if today is not None:
        if today != clock.today():
            raise Refusal(
                [error("clock-disagrees", f"--today says {today}, the clock says {clock.today()}; nothing was purged")]
            )
        return
    newest = newest_moment(workspace.store)
    if datetime.fromisoformat(clock.now()) - datetime.fromisoformat(newest) > TRUSTED:
        raise Refusal(
            [
                error(
                    "clock-ahead",
                    f"the clock says {clock.now()}, but nothing in the store is newer than {newest}: "
                    "by a clock that is wrong, people would be purged too early; nothing was purged",
                    hint=f"if the clock is right, say so: --today {clock.today()}",
                )
            ]
        )


def due(workspace: Workspace) -> tuple[Due, ...]:
    """Every customer of the store and the catalogue, by name, whether anything of it is past retention or not."""
    now = clock.now()
    with workspace.store.reading() as reader:
        records = reader.customers()
    retentions = {CATALOGUE: RETENTION} | {slug: retention_of(record) for slug, record in records.items()}
    found = []
    for slug, retention in sorted(retentions.items()):
        cut = clock.before(now, retention)
        declared = is_declared(workspace, slug)
        found.append(Due(slug, retention, cut, declared, purgeable(workspace.store, slug, cut, declared=declared)))
    return tuple(found)


def purge(
    workspace: Workspace, each: Due, *, lock_timeout: float = 0.0, finished: Callable[[Purged], object]
) -> Purged:
    """One customer by itself: one that fails does not stop the others. finished: is given the result as soon as it is
    there."""
    try:
        certificate = purge_customer(
            workspace.store,
            each.id,
            each.cut,
            declared=each.declared,
            now=clock.now(),
            actor=actor(),
            lock_timeout=lock_timeout,
        )
        if certificate is not None:
            forget_kept_pages()
        result = Purged(each.id, certificate)
    except Refusal as refusal:
        result = Purged(each.id, None, refusal.diagnostics)
    except UNFORESEEN as problem:  # a door: one customer's defect must not keep the others from being purged
        result = Purged(each.id, None, (unexpected(each.id, "purging", problem),))
    finished(result)
    return result


def retention_of(record: CustomerRecord) -> timedelta:
    """As last applied."""
    rostering = customer_from_document(record.document).rostering
    return rostering.retention if isinstance(rostering, OneRosterRostering) else RETENTION


def is_declared(workspace: Workspace, slug: str) -> bool:
    """Whether any file is about this customer, valid or not, under this name or as its former one."""
    repository = workspace.repository
    former = {
        str(name)
        for each in repository.customers.values()
        for name in _names(each.declared[0].document.get("previously"))
    }
    return slug in repository.customers or slug in repository.invalid or slug in former


def _names(listed: object) -> list[object] | tuple[object, ...]:
    return listed if isinstance(listed, list | tuple) else ()
