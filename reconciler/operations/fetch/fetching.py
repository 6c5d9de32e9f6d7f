"""Fetching rosters for customers: from which source, with which secrets, and how many beside each other."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import assert_never

from pydantic import SecretStr

from reconciler.config.fields.secret import SecretReference
from reconciler.config.models.customer import Customer
from reconciler.config.models.rostering import OneRosterRostering
from reconciler.config.models.sync import ApiSync, SftpSync, ZipSync
from reconciler.model.diagnostic import Refusal, error
from reconciler.network.politeness import Hosts
from reconciler.oneroster.sources.interface import Ask, Fetched, Progress, Source, unheard
from reconciler.operations.fetch.cache_folder import find_cache_folder
from reconciler.operations.workspace import Workspace

#: Fetches of one run beside each other, whatever hosts they are from.
MOST_AT_ONCE = 8
#: Fetches under way, and fetched rosters that wait for their turn, of one run: each is an open file.
WINDOW = 2 * MOST_AT_ONCE
#: Below the folder of what may be lost.
CHECKPOINTS = "fetches"

#: Gives each customer's progress, by id.
Heard = Callable[[str], Progress]


def nobody(_: str) -> Progress:
    return unheard


class Fetches:
    """Fetches of one run, under way. Each future gives what came of it, and never raises Refusal.

    The threads are daemons: somebody who interrupts the run waits for no server. What a fetch had is not lost by that,
    since checkpoints are made for being killed.
    """

    def __init__(self, at_once: int) -> None:
        self._most = at_once
        self._threads: list[threading.Thread] = []
        self._waiting: queue.SimpleQueue[tuple[Future[Fetched | Refusal], Source, Ask] | None] = queue.SimpleQueue()

    def start(self, source: Source, ask: Ask) -> Future[Fetched | Refusal]:
        future: Future[Fetched | Refusal] = Future()
        self._waiting.put((future, source, ask))
        if len(self._threads) < self._most:
            self._threads.append(threading.Thread(target=self._work, name="fetch", daemon=True))
            self._threads[-1].start()
        return future

    def stop(self) -> None:
        """Begins nothing more."""
        for _ in self._threads:
            self._waiting.put(None)

    def _work(self) -> None:
        while (job := self._waiting.get()) is not None:
            future, source, ask = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(_fetched(source, ask))
            except BaseException as problem:  # noqa: BLE001 - whoever waits for it is told
                future.set_exception(problem)


@contextmanager
def fetches(at_once: int = MOST_AT_ONCE) -> Iterator[Fetches]:
    """Who leaves early waits for nothing."""
    made = Fetches(at_once)
    try:
        yield made
    finally:
        made.stop()


def _fetched(source: Source, ask: Ask) -> Fetched | Refusal:
    try:
        return source.fetch(ask)
    except Refusal as refusal:
        return refusal


def hosts_of(workspace: Workspace) -> Hosts:
    """One for all fetches of a run."""
    network = workspace.repository.settings.network
    return Hosts(network.fetches_per_host, network.requests_per_second)


def source_of(workspace: Workspace, customer: Customer, rostering: OneRosterRostering, hosts: Hosts) -> Source | None:
    """None for a zip, which somebody has to give. Raises Refusal `secret-not-set` where the secret is missing."""
    sync = rostering.sync
    allows = workspace.repository.settings.network.allows
    match sync:
        case ZipSync():
            return None
        case SftpSync():
            from reconciler.oneroster.sources.sftp.account import SftpAccount
            from reconciler.oneroster.sources.sftp.source import SftpSource

            sftp = SftpAccount(
                host=sync.host,
                port=sync.port,
                username=sync.username,
                path=sync.path,
                host_key=sync.host_key,
                password=_secret(workspace, customer, "password", sync.password),
                private_key=_secret(workspace, customer, "private_key", sync.private_key),
                pick=sync.pick,
                done_marker=sync.done_marker,
                timeout=sync.timeout,
            )
            return SftpSource(sftp, hosts, allows)
        case ApiSync():
            from reconciler.oneroster.sources.api.account import ApiAccount
            from reconciler.oneroster.sources.api.checkpoint import Checkpoints
            from reconciler.oneroster.sources.api.source import ApiSource

            secret = _secret(workspace, customer, "secret_key", sync.secret_key)
            assert secret is not None
            api = ApiAccount(
                url=sync.url.rstrip("/"),
                version=rostering.version,
                authorization=sync.authorization,
                consumer_key=sync.consumer_key,
                secret_key=secret,
                signature=sync.signature or "hmac-sha1",
                token_url=sync.token_url,
                scopes=sync.scopes,
                page_size=sync.page_size,
                timeout=sync.timeout,
                delta=sync.delta,
            )
            folder = find_cache_folder()
            key = workspace.store.key.bytes_for("checkpoint")
            return ApiSource(api, hosts, allows, Checkpoints(folder / CHECKPOINTS, key) if folder else None)
        case _:
            assert_never(sync)


def _secret(workspace: Workspace, customer: Customer, key: str, named: SecretReference | None) -> SecretStr | None:
    if named is None:
        return None
    value = workspace.secrets.get(customer.id, named.secret)
    if value is None:
        raise Refusal(
            [
                error(
                    "secret-not-set",
                    f"the secret {named.secret} of {customer.id} is not set; its roster cannot be fetched without it",
                    hint=f"set {workspace.secrets.place(customer.id, named.secret)} (rostering.sync.{key})",
                )
            ]
        )
    return value


# Pages that fetches left behind outside the store: encrypted, but full of people who may be gone.


def forget_kept_pages() -> None:
    """Of every fetch that is not under way on this machine, whoever it is about: that cannot be told from outside, and
    all that they save is time."""
    folder = find_cache_folder()
    if folder is not None and (folder / CHECKPOINTS).is_dir():
        from reconciler.oneroster.sources.api.checkpoint import remove_all

        remove_all(folder / CHECKPOINTS)
