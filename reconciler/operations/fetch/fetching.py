"""Create the roster sources of customers, and fetch several of them at the same time."""

import logging
import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import assert_never

from pydantic import SecretStr

from reconciler.config.models import ApiSync, Customer, OneRosterRostering, SecretReference, SftpSync, ZipSync
from reconciler.log import log_step
from reconciler.model.diagnostic import Refusal, build_error
from reconciler.model.ids import CustomerId
from reconciler.network.politeness import HostThrottle
from reconciler.oneroster.sources import FetchRequest, ProgressCallback, Source, SourceBundle, ignore_progress
from reconciler.operations.fetch.cache_folder import find_cache_folder
from reconciler.operations.workspace import Workspace

_log = logging.getLogger(__name__)

#: parallel fetches of one run, over all hosts
MAX_PARALLEL_FETCHES = 8
#: running fetches and fetched rosters of one run that are not processed yet; each is an open file
WINDOW = 2 * MAX_PARALLEL_FETCHES
#: subfolder of the cache folder
CHECKPOINTS = "fetches"

#: makes a customer's progress callback from its id
ProgressFactory = Callable[[CustomerId], ProgressCallback]


def make_silent_progress(_: str) -> ProgressCallback:
    return ignore_progress


class FetchPool:
    """Threads that fetch the rosters of one run. A future's result is a bundle or a Refusal, which it never raises.

    The threads are daemons, so that an interrupted run waits for no server. Checkpoints keep the pages fetched so far.
    """

    def __init__(self, at_once: int) -> None:
        self._max_threads = at_once
        self._threads: list[threading.Thread] = []
        self._waiting: queue.SimpleQueue[
            tuple[CustomerId, Future[SourceBundle | Refusal], Source, FetchRequest] | None
        ] = queue.SimpleQueue()

    def start_fetch(
        self, customer: CustomerId, source: Source, request: FetchRequest
    ) -> Future[SourceBundle | Refusal]:
        future: Future[SourceBundle | Refusal] = Future()
        self._waiting.put((customer, future, source, request))
        if len(self._threads) < self._max_threads:
            self._threads.append(threading.Thread(target=self._run_worker, name="fetch", daemon=True))
            self._threads[-1].start()
        return future

    def stop_fetches(self) -> None:
        """Start no more fetches: those that wait for a thread are canceled."""
        with suppress(queue.Empty):
            while (job := self._waiting.get_nowait()) is not None:
                job[1].cancel()
        for _ in self._threads:
            self._waiting.put(None)

    def _run_worker(self) -> None:
        while (job := self._waiting.get()) is not None:
            customer, future, source, request = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(_fetch_or_refuse(customer, source, request))
            except BaseException as problem:  # noqa: BLE001 - raised where the result is read
                future.set_exception(problem)


@contextmanager
def open_fetch_pool(at_once: int = MAX_PARALLEL_FETCHES) -> Iterator[FetchPool]:
    """Provide a pool; the exit does not wait for running fetches."""
    pool = FetchPool(at_once)
    try:
        yield pool
    finally:
        pool.stop_fetches()


def _fetch_or_refuse(customer: CustomerId, source: Source, request: FetchRequest) -> SourceBundle | Refusal:
    with log_step(_log, "fetch", customer=customer) as results:
        try:
            bundle = source.fetch(request)
        except Refusal as refusal:
            results["refused"] = refusal.diagnostics[0].code if refusal.diagnostics else "unknown"
            return refusal
        results |= {"source": bundle.type, "bytes": bundle.stream.seek(0, os.SEEK_END)}
        bundle.stream.seek(0)
        return bundle


def create_host_throttle(workspace: Workspace) -> HostThrottle:
    """Return the throttle that all fetches of a run share."""
    network = workspace.repository.settings.network
    return HostThrottle(network.fetches_per_host, network.requests_per_second)


def create_source(
    workspace: Workspace, customer: Customer, rostering: OneRosterRostering, hosts: HostThrottle
) -> Source | None:
    """Return the customer's source, or None for sync type zip. Raises Refusal `secret-not-set`."""
    sync = rostering.sync
    allows = workspace.repository.settings.network.is_allowed
    match sync:
        case ZipSync():
            return None
        case SftpSync():
            from reconciler.oneroster.sources.sftp import SftpAccount, SftpSource

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
            from reconciler.oneroster.sources.api import ApiAccount, ApiSource, CheckpointSettings

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
                    f"secret {reference.secret} of {customer.id} is not set; its roster cannot be fetched",
                    hint=f"Set {workspace.secrets.describe_place(customer.id, reference.secret)} "
                    f"(rostering.sync.{key}).",
                )
            ]
        )
    return value


def delete_fetch_checkpoints() -> None:
    """Delete the saved pages of every interrupted fetch on this machine; a running fetch keeps its own.

    The encrypted pages may contain deleted people, and do not show their customer from outside. They only save time."""
    folder = find_cache_folder()
    if folder is not None and (folder / CHECKPOINTS).is_dir():
        from reconciler.oneroster.sources.api import remove_all_checkpoints

        remove_all_checkpoints(folder / CHECKPOINTS)
