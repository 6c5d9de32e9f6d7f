"""Fetching rosters for customers: from which source, with which secrets, and how many beside each other."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import assert_never

from pydantic import SecretStr

from reconciler.config.models.customer import Customer
from reconciler.config.models.rostering import OneRosterRostering
from reconciler.config.models.secret import SecretReference
from reconciler.config.models.sync import ApiSync, SftpSync, ZipSync
from reconciler.log import log_step
from reconciler.model.diagnostic import Refusal, build_error
from reconciler.network.politeness import HostThrottle
from reconciler.oneroster.sources.interface import FetchRequest, ProgressCallback, Source, SourceBundle, ignore_progress
from reconciler.operations.fetch.cache_folder import find_cache_folder
from reconciler.operations.workspace import Workspace

_log = logging.getLogger(__name__)

#: Fetches of one run beside each other, whatever hosts they are from.
MAX_PARALLEL_FETCHES = 8
#: Fetches under way, and fetched rosters that wait for their turn, of one run: each is an open file.
WINDOW = 2 * MAX_PARALLEL_FETCHES
#: Below the folder of what may be lost.
CHECKPOINTS = "fetches"

#: Gives each customer's progress, by id.
ProgressFactory = Callable[[str], ProgressCallback]


def make_silent_progress(_: str) -> ProgressCallback:
    return ignore_progress


class FetchPool:
    """Fetches of one run, under way. Each future gives what came of it, and never raises Refusal.

    The threads are daemons: somebody who interrupts the run waits for no server. What a fetch had is not lost by that,
    since checkpoints are made for being killed.
    """

    def __init__(self, at_once: int) -> None:
        self._max_threads = at_once
        self._threads: list[threading.Thread] = []
        self._waiting: queue.SimpleQueue[tuple[str, Future[SourceBundle | Refusal], Source, FetchRequest] | None] = (
            queue.SimpleQueue()
        )

    def start_fetch(self, customer: str, source: Source, ask: FetchRequest) -> Future[SourceBundle | Refusal]:
        future: Future[SourceBundle | Refusal] = Future()
        self._waiting.put((customer, future, source, ask))
        if len(self._threads) < self._max_threads:
            self._threads.append(threading.Thread(target=self._run_worker, name="fetch", daemon=True))
            self._threads[-1].start()
        return future

    def stop_fetches(self) -> None:
        """Begins nothing more."""
        for _ in self._threads:
            self._waiting.put(None)

    def _run_worker(self) -> None:
        while (job := self._waiting.get()) is not None:
            customer, future, source, ask = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(_fetch_or_refuse(customer, source, ask))
            except BaseException as problem:  # noqa: BLE001 - whoever waits for it is told
                future.set_exception(problem)


@contextmanager
def open_fetch_pool(at_once: int = MAX_PARALLEL_FETCHES) -> Iterator[FetchPool]:
    """Who leaves early waits for nothing."""
    made = FetchPool(at_once)
    try:
        yield made
    finally:
        made.stop_fetches()


def _fetch_or_refuse(customer: str, source: Source, ask: FetchRequest) -> SourceBundle | Refusal:
    with log_step(_log, "fetch", customer=customer) as results:
        try:
            bundle = source.fetch(ask)
        except Refusal as refusal:
            results["refused"] = refusal.diagnostics[0].code if refusal.diagnostics else "unknown"
            return refusal
        results |= {"source": bundle.type, "bytes": bundle.stream.seek(0, os.SEEK_END)}
        bundle.stream.seek(0)
        return bundle


def create_host_throttle(workspace: Workspace) -> HostThrottle:
    """One for all fetches of a run."""
    network = workspace.repository.settings.network
    return HostThrottle(network.fetches_per_host, network.requests_per_second)


def create_source(
    workspace: Workspace, customer: Customer, rostering: OneRosterRostering, hosts: HostThrottle
) -> Source | None:
    """None for a zip, which somebody has to give. Raises Refusal `secret-not-set` where the secret is missing."""
    sync = rostering.sync
    allows = workspace.repository.settings.network.is_allowed
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
                password=_read_secret(workspace, customer, "password", sync.password),
                private_key=_read_secret(workspace, customer, "private_key", sync.private_key),
                pick=sync.pick,
                done_marker=sync.done_marker,
                timeout=sync.timeout,
            )
            return SftpSource(sftp, hosts, allows)
        case ApiSync():
            from reconciler.oneroster.sources.api.account import ApiAccount
            from reconciler.oneroster.sources.api.pages.checkpoint import CheckpointSettings
            from reconciler.oneroster.sources.api.source import ApiSource

            secret = _read_secret(workspace, customer, "secret_key", sync.secret_key)
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
            key = workspace.store.key.derive_key("checkpoint")
            return ApiSource(api, hosts, allows, CheckpointSettings(folder / CHECKPOINTS, key) if folder else None)
        case _:
            assert_never(sync)


def _read_secret(
    workspace: Workspace, customer: Customer, key: str, reference: SecretReference | None
) -> SecretStr | None:
    if reference is None:
        return None
    value = workspace.secrets.get_secret(customer.id, reference.secret)
    if value is None:
        raise Refusal(
            [
                build_error(
                    "secret-not-set",
                    f"the secret {reference.secret} of {customer.id} is not set; its roster cannot be "
                    "fetched without it",
                    hint=(
                        f"set {workspace.secrets.describe_place(customer.id, reference.secret)} (rostering.sync.{key})"
                    ),
                )
            ]
        )
    return value


# Pages that fetches left behind outside the store: encrypted, but full of people who may be gone.


def delete_fetch_checkpoints() -> None:
    """Of every fetch that is not under way on this machine, whoever it is about: that cannot be told from outside, and
    all that they save is time."""
    folder = find_cache_folder()
    if folder is not None and (folder / CHECKPOINTS).is_dir():
        from reconciler.oneroster.sources.api.pages.checkpoint import remove_all_checkpoints

        remove_all_checkpoints(folder / CHECKPOINTS)
