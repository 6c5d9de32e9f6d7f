"""The addresses of a name, waited for no longer than may be: the system's own look-up knows no bound."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future

from reconciler.model.diagnostic import Diagnostic, Refusal, build_error

#: Seconds for one look-up: a name server that is down, and an answer of the next one.
LOOKUP_TIMEOUT = 15.0


def resolve_host(host: str, port: int, timeout: float = LOOKUP_TIMEOUT) -> tuple[str, ...]:
    """Every address as a number, in the system's order. within: seconds; never more than LOOKUP_TIMEOUT.

    What still hangs then is left behind in a thread that keeps no program from ending. Raises Refusal `unknown-host`
    where the name leads nowhere, or nobody says in time where."""
    seconds = min(timeout, LOOKUP_TIMEOUT)
    if seconds <= 0:
        raise Refusal([_make_lookup_timeout_error(host)])
    found: Future[tuple[str, ...]] = Future()

    def ask() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.set_result(tuple(dict.fromkeys(str(each[4][0]) for each in rows)))
        except BaseException as problem:  # noqa: BLE001 - whoever waits for it is told
            found.set_exception(problem)

    threading.Thread(target=ask, name="lookup", daemon=True).start()
    try:
        return found.result(seconds)
    except TimeoutError as problem:
        raise Refusal([_make_lookup_timeout_error(host)]) from problem
    except (OSError, UnicodeError) as problem:
        hint = "correct its name, or try again later"
        raise Refusal([build_error("unknown-host", f"the host {host} cannot be found", hint=hint)]) from problem


def _make_lookup_timeout_error(host: str) -> Diagnostic:
    return build_error(
        "unknown-host",
        f"where the host {host} is was not answered in time",
        hint="look at the name servers of this machine (/etc/resolv.conf); the next fetch tries again",
    )
