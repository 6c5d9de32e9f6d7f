"""DNS lookup with a timeout, which the system's own lookup does not have."""

import socket
import threading
from concurrent.futures import Future

from reconciler.model.diagnostic import Diagnostic, Refusal, build_error

#: In seconds; enough for one name server that is down and an answer from the next.
LOOKUP_TIMEOUT = 15.0


def resolve_host(host: str, port: int, timeout: float = LOOKUP_TIMEOUT) -> tuple[str, ...]:
    """Return every numeric address of a host, in the system's order. Waits at most LOOKUP_TIMEOUT seconds.

    A lookup that still hangs then stays in a daemon thread. Raises Refusal `unknown-host` if the lookup fails or times
    out."""
    seconds = min(timeout, LOOKUP_TIMEOUT)
    if seconds <= 0:
        raise Refusal([_make_lookup_timeout_error(host)])
    addresses: Future[tuple[str, ...]] = Future()

    def look_up() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            addresses.set_result(tuple(dict.fromkeys(str(each[4][0]) for each in rows)))
        except BaseException as problem:  # noqa: BLE001 - passed on to the waiting thread
            addresses.set_exception(problem)

    threading.Thread(target=look_up, name="lookup", daemon=True).start()
    try:
        return addresses.result(seconds)
    except TimeoutError as problem:
        raise Refusal([_make_lookup_timeout_error(host)]) from problem
    except (OSError, UnicodeError) as problem:
        hint = "Correct the host name, or try again later."
        raise Refusal([build_error("unknown-host", f"host {host} not found", hint=hint)]) from problem


def _make_lookup_timeout_error(host: str) -> Diagnostic:
    return build_error(
        "unknown-host",
        f"DNS lookup of {host} timed out",
        hint="Check this machine's name servers (/etc/resolv.conf). The next fetch tries again.",
    )
