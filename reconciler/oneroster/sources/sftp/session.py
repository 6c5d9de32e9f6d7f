"""A conversation with one server that survives a broken connection: what was asked is asked again on a new one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from types import TracebackType
from typing import Self, TypeVar

from paramiko import SFTPClient, Transport
from paramiko.pkey import PKey
from paramiko.sftp import SFTPError

from reconciler.model.diagnostic import Diagnostic, Refusal, build_error
from reconciler.network.politeness import HostThrottle
from reconciler.network.reach import HostFilter
from reconciler.oneroster.sources.sftp.account import SftpAccount
from reconciler.oneroster.sources.sftp.connection import (
    CONNECTION_ERRORS,
    check_host_key,
    close_after,
    get_host_key,
    open_sftp_client,
    open_transport,
    sign_in,
)
from reconciler.oneroster.sources.sftp.credentials import HostKey, list_signature_algorithms

# When a whole fetch has to be done.


class Deadline:
    """Counts down the seconds of a fetch."""

    def __init__(self, timeout: timedelta, clock: Callable[[], float], sleep: Callable[[float], object]) -> None:
        self._timeout = timeout
        self._clock = clock
        self._sleep = sleep
        self._begin = clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._begin

    @property
    def remaining(self) -> float:
        """Seconds; below 0 when it is over."""
        return self._timeout.total_seconds() - self.elapsed

    def check(self) -> None:
        """Raises Refusal `fetch-timeout` when it is over."""
        if self.remaining <= 0:
            raise Refusal([self._make_timeout_error()])

    def wait(self, seconds: float) -> None:
        """Sleeps. Raises Refusal where it would be over before that."""
        if seconds >= self.remaining:
            raise Refusal([self._make_timeout_error()])
        self._sleep(seconds)

    def _make_timeout_error(self) -> Diagnostic:
        minutes = self._timeout.total_seconds() / 60
        return build_error(
            "fetch-timeout",
            f"the fetch was given up: it is not done after {minutes:,.4g} minutes",
            hint="the next one begins anew; if the server is that slow, give it longer with rostering.sync.timeout",
        )


#: How often a broken connection is made anew in one fetch: each time signs in once more.
MAX_RECONNECTIONS = 5
#: Seconds before the first of them; twice as long before each that follows.
BACKOFF = 1.0
#: What may be otherwise a moment later. A refused sign-in or another key is not.
RETRYABLE_CODES = frozenset({"host-unreachable", "unknown-host", "no-ssh"})

OperationResult = TypeVar("OperationResult")


class SftpSession:
    """A connection that reconnects after a break."""

    def __init__(
        self,
        account: SftpAccount,
        host_key: HostKey,
        key: PKey | None,
        hosts: HostThrottle,
        allows: HostFilter,
        deadline: Deadline,
    ) -> None:
        self.deadline = deadline
        self._account = account
        self._wanted = host_key
        self._key = key
        self._hosts = hosts
        self._allows = allows
        self._open = ExitStack()
        self._transport: Transport | None = None
        self._client: SFTPClient | None = None
        self._broken = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._client = self._transport = None
        self._open.close()

    def run_operation(self, operation: Callable[[SFTPClient], OperationResult]) -> OperationResult:
        """The operation's answer; after a break it is called anew, from its beginning, on another connection.

        FileNotFoundError and PermissionError are answers of the server and come through. Raises Refusal:
        `connection-lost`, `fetch-timeout`, `server-failure`, or why there is no connection."""
        while True:
            client = self._ensure_client()
            try:
                return operation(client)
            except (FileNotFoundError, PermissionError):
                raise
            except (*CONNECTION_ERRORS, SFTPError, UnicodeError) as problem:
                self.deadline.check()
                if self._is_server_answer(problem):
                    raise Refusal([_make_server_failure_error(self._account)]) from problem
                self._drop_and_wait()

    def _is_server_answer(self, problem: BaseException) -> bool:
        """Return whether the server said it, so that the connection is still good."""
        if isinstance(problem, (SFTPError, UnicodeError)):
            return True
        return (
            isinstance(problem, OSError)
            and not isinstance(problem, TimeoutError)
            and self._transport is not None
            and self._transport.is_active()
            and self._client is not None
            and not self._client.get_channel().closed  # type: ignore[union-attr]
        )

    def _ensure_client(self) -> SFTPClient:
        while self._client is None:
            try:
                self._client = self._connect()
            except Refusal as refusal:
                self.close()
                self.deadline.check()
                if not self._broken or not {each.code for each in refusal.diagnostics} <= RETRYABLE_CODES:
                    raise
                self._drop_and_wait()
            except CONNECTION_ERRORS:
                self.deadline.check()
                self._drop_and_wait()
        return self._client

    def _connect(self) -> SFTPClient:
        self._hosts.wait_for_turn(self._account.host)
        self.deadline.check()
        transport = open_transport(
            self._account, self._allows, list_signature_algorithms(self._wanted), lambda: self.deadline.remaining
        )
        self._transport = transport
        self._open.callback(transport.close)
        check_host_key(self._account, self._wanted, get_host_key(transport))
        self._open.enter_context(close_after(transport, self.deadline.remaining))
        sign_in(transport, self._account, self._key)
        return open_sftp_client(transport, self._account, self.deadline.remaining)

    def _drop_and_wait(self) -> None:
        """Gives the connection up, and waits before the next. Raises Refusal where there is to be none."""
        self.close()
        self._broken += 1
        if self._broken > MAX_RECONNECTIONS:
            raise Refusal([_make_connection_lost_error(self._account)])
        self.deadline.wait(BACKOFF * 2 ** (self._broken - 1))


def _make_connection_lost_error(account: SftpAccount) -> Diagnostic:
    return build_error(
        "connection-lost",
        f"the connection to {account.host} broke {MAX_RECONNECTIONS + 1} times and the roster did not come whole",
        hint="nothing was compared; the next fetch tries again. If it stays so, ask the server's owner",
    )


def _make_server_failure_error(account: SftpAccount) -> Diagnostic:
    return build_error(
        "server-failure",
        f"{account.host} could not do what it was asked, and did not say why in a way that is known",
        hint="ask the server's owner what it logged; the next fetch tries again",
    )
