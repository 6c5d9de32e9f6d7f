"""Runs operations on an SFTP server, and repeats them on a new connection if one breaks."""

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
from reconciler.oneroster.sources.sftp import connection
from reconciler.oneroster.sources.sftp.account import SftpAccount
from reconciler.oneroster.sources.sftp.credentials import HostKey, list_signature_algorithms

# The deadline of a whole fetch.


class Deadline:
    """Counts down the seconds of a fetch."""

    def __init__(self, timeout: timedelta, clock: Callable[[], float], sleep: Callable[[float], object]) -> None:
        self._timeout = timeout
        self._clock = clock
        self._sleep = sleep
        self._begin = clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._begin

    @property
    def remaining(self) -> float:
        """Seconds left; negative after the deadline."""
        return self._timeout.total_seconds() - self.elapsed

    def check(self) -> None:
        """Raise Refusal `fetch-timeout` after the deadline."""
        if self.remaining <= 0:
            raise Refusal([self._make_timeout_error()])

    def wait(self, seconds: float) -> None:
        """Sleep. Raises Refusal `fetch-timeout` if the deadline would pass meanwhile."""
        if seconds >= self.remaining:
            raise Refusal([self._make_timeout_error()])
        self._sleep(seconds)

    def _make_timeout_error(self) -> Diagnostic:
        minutes = self._timeout.total_seconds() / 60
        return build_error(
            "fetch-timeout",
            f"the fetch was stopped after its timeout of {minutes:,.4g} minutes",
            hint="The next fetch starts again. If the server is slow, raise rostering.sync.timeout.",
        )


#: Maximum number of reconnections in one fetch; each signs in again.
MAX_RECONNECTIONS = 5
#: Seconds before the first one; the pause doubles each time.
BACKOFF = 1.0
#: Codes of failures that may pass, unlike a refused sign-in or a changed host key.
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
        """Return the operation's result; if the connection breaks, call it again on a new one.

        Raises FileNotFoundError and PermissionError, which are the server's responses, and Refusal: `connection-lost`,
        `fetch-timeout`, `server-failure`, or the reason why there is no connection.
        """
        while True:
            client = self._ensure_client()
            try:
                return operation(client)
            except (FileNotFoundError, PermissionError):
                raise
            except (*connection.CONNECTION_ERRORS, SFTPError, UnicodeError) as problem:
                self.deadline.check()
                if self._is_server_answer(problem):
                    raise Refusal([_make_server_failure_error(self._account)]) from problem
                self._drop_and_wait()

    def _is_server_answer(self, problem: BaseException) -> bool:
        """Return whether the error is the server's response, so that the connection still works."""
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
            except connection.CONNECTION_ERRORS:
                self.deadline.check()
                self._drop_and_wait()
        return self._client

    def _connect(self) -> SFTPClient:
        self._hosts.wait_for_turn(self._account.host)
        self.deadline.check()
        transport = connection.open_transport(
            self._account, self._allows, list_signature_algorithms(self._wanted), lambda: self.deadline.remaining
        )
        self._transport = transport
        self._open.callback(transport.close)
        connection.check_host_key(self._account, self._wanted, connection.get_host_key(transport))
        self._open.enter_context(connection.close_after(transport, self.deadline.remaining))
        connection.sign_in(transport, self._account, self._key)
        return connection.open_sftp_client(transport, self._account, self.deadline.remaining)

    def _drop_and_wait(self) -> None:
        """Close the connection, and wait before the next one. Raises Refusal after too many."""
        self.close()
        self._broken += 1
        if self._broken > MAX_RECONNECTIONS:
            raise Refusal([_make_connection_lost_error(self._account)])
        self.deadline.wait(BACKOFF * 2 ** (self._broken - 1))


def _make_connection_lost_error(account: SftpAccount) -> Diagnostic:
    return build_error(
        "connection-lost",
        f"the connection to {account.host} broke {MAX_RECONNECTIONS + 1} times before the roster was complete",
        hint="Nothing was compared. The next fetch tries again. If the error stays, ask the server's owner.",
    )


def _make_server_failure_error(account: SftpAccount) -> Diagnostic:
    return build_error(
        "server-failure",
        f"{account.host} could not carry out a request, for an unknown reason",
        hint="Ask the server's owner to check the server's log. The next fetch tries again.",
    )
