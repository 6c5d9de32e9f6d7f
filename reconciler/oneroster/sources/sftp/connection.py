"""Opens an SSH connection to a server, and checks its host key before sending anything confidential.

Only configured keys are used: no SSH agent, and no keys or known hosts of the current user. Every wait has a timeout.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from paramiko import SFTPClient, Transport
from paramiko.pkey import PKey
from paramiko.sftp import SFTPError
from paramiko.ssh_exception import AuthenticationException, BadAuthenticationType, IncompatiblePeer, SSHException

from reconciler.model.diagnostic import Diagnostic, Refusal, build_error
from reconciler.network.reach import HostFilter, open_connection
from reconciler.oneroster.sources.sftp.account import SftpAccount
from reconciler.oneroster.sources.sftp.credentials import HostKey
from reconciler.oneroster.sources.sftp.messages import format_names, sanitize_name
from reconciler.oneroster.sources.sftp.wire import BoundedPacketizer, BoundedSftpClient

#: In seconds: for the server's first line, the whole handshake, the response to a sign-in and any other response, and
#: between two keep-alive messages.
BANNER_TIMEOUT = 15.0
HANDSHAKE_TIMEOUT = 30.0
SIGN_IN_TIMEOUT = 30.0
RESPONSE_TIMEOUT = 30.0
KEEPALIVE = 15

#: Exceptions of a connection that broke or does not respond. An OSError may also be the server's own response.
CONNECTION_ERRORS = (SSHException, EOFError, OSError)

# Without a handler, paramiko's log of a broken connection would go to stderr.
_log = logging.getLogger("paramiko")
_log.addHandler(logging.NullHandler())
_log.propagate = False


@contextmanager
def close_after(transport: Transport, seconds: float) -> Iterator[None]:
    """Close the connection after so many seconds, even if it hangs or receives a byte now and then."""
    timer = threading.Timer(max(seconds, 0.0), transport.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def open_transport(
    account: SftpAccount, allows: HostFilter, signatures: Sequence[str], get_seconds_left: Callable[[], float]
) -> Transport:
    """Return an encrypted connection whose host key is known but not checked yet; only versions were sent.

    Raises Refusal: as `network.reach.open_connection`, `no-ssh` if the server does not speak SSH 2 in time,
    `no-common-algorithm`.
    """
    socket = open_connection(account.host, account.port, allows, get_seconds_left())
    transport: Transport | None = None
    seconds = max(get_seconds_left(), 0.1)
    try:
        transport = Transport(socket, packetizer_class=BoundedPacketizer)
        transport.banner_timeout = BANNER_TIMEOUT
        transport.auth_timeout = min(SIGN_IN_TIMEOUT, seconds)
        transport.channel_timeout = RESPONSE_TIMEOUT
        transport.get_security_options().key_types = tuple(signatures)
        within = min(HANDSHAKE_TIMEOUT, seconds)
        with close_after(transport, within):
            transport.start_client(timeout=within)
        # A handshake that timed out raises nothing, but then there is no host key, which raises.
        transport.get_remote_server_key()
    except IncompatiblePeer as problem:
        _close_transport(transport)
        raise Refusal([_make_no_algorithm_error(account)]) from problem
    except CONNECTION_ERRORS as problem:
        _close_transport(transport)
        socket.close()
        raise Refusal([_make_no_ssh_error(account)]) from problem
    return transport


def get_host_key(transport: Transport) -> HostKey:
    key = transport.get_remote_server_key()
    return HostKey(key.get_name(), key.asbytes())


def check_host_key(account: SftpAccount, expected: HostKey, actual: HostKey) -> None:
    """Raise Refusal `host-key-changed`, with both fingerprints, if the keys differ."""
    if expected != actual:
        raise Refusal([_make_host_key_changed_error(account, expected, actual)])


def sign_in(transport: Transport, account: SftpAccount, key: PKey | None) -> None:
    """Sign in by a single attempt, because repeated attempts may lock the account.

    Raises Refusal `sign-in-refused`, also if the connection breaks meanwhile: the server may count that as an attempt.
    """
    further: Sequence[str] = ()
    try:
        if key is not None:
            further = transport.auth_publickey(account.username, key)
        else:
            assert account.password is not None
            further = transport.auth_password(account.username, account.password.get_secret_value(), fallback=False)
    except BadAuthenticationType as problem:
        raise Refusal([_make_other_method_error(account, problem.allowed_types)]) from None
    except AuthenticationException:
        raise Refusal([_make_sign_in_refused_error(account, is_disconnected=not transport.is_active())]) from None
    except CONNECTION_ERRORS:
        raise Refusal([_make_sign_in_refused_error(account, is_disconnected=True)]) from None
    if further:
        raise Refusal([_make_further_step_error(account, further)])


def open_sftp_client(transport: Transport, account: SftpAccount, seconds: float) -> SFTPClient:
    """Open an SFTP session. Raises Refusal `no-sftp` if the server lacks it, CONNECTION_ERRORS if it breaks."""
    with close_after(transport, min(HANDSHAKE_TIMEOUT, seconds)):
        try:
            channel = transport.open_session(timeout=RESPONSE_TIMEOUT)
            channel.settimeout(RESPONSE_TIMEOUT)
            channel.invoke_subsystem("sftp")
            client = BoundedSftpClient(channel)
        except (SSHException, SFTPError):
            if transport.is_active():
                raise Refusal([_make_no_sftp_error(account)]) from None
            raise
    transport.set_keepalive(KEEPALIVE)
    return client


def _close_transport(transport: Transport | None) -> None:
    if transport is not None:
        transport.close()


def _make_no_ssh_error(account: SftpAccount) -> Diagnostic:
    return build_error(
        "no-ssh",
        f"{account.host} port {account.port} did not answer as an SSH server does",
        hint="Check host and port (SFTP is not FTP or FTPS). If they are right, the server is busy or rejects this"
        " machine. The next fetch tries again.",
    )


def _make_no_algorithm_error(account: SftpAccount) -> Diagnostic:
    return build_error(
        "no-common-algorithm",
        f"{account.host} supports no encryption or signature that is safe today",
        hint="Ask its owner to update the server. It should offer an Ed25519, ECDSA or RSA (SHA-2) host key.",
    )


def _make_host_key_changed_error(account: SftpAccount, expected: HostKey, actual: HostKey) -> Diagnostic:
    return build_error(
        "host-key-changed",
        f"{account.host} presented host key {sanitize_name(str(actual))}, "
        f"but host_key pins {sanitize_name(str(expected))}; nothing was sent",
        hint="Call the server's owner to confirm the new key's fingerprint. If it matches, paste the line that"
        " `reconciler roster probe CUSTOMER` prints.",
    )


def _make_sign_in_refused_error(account: SftpAccount, *, is_disconnected: bool) -> Diagnostic:
    what = "private key" if account.private_key is not None else "password"
    how = "closed the connection when" if is_disconnected else "did not let"
    return build_error(
        "sign-in-refused",
        f"{account.host} {how} {sanitize_name(account.username)} "
        f"{'signed' if is_disconnected else 'sign'} in with the {what}",
        hint=f"Check rostering.sync.username and its {what} secret with the server's owner. reconciler tries only once"
        " per fetch, so that the account is not locked.",
    )


def _make_other_method_error(account: SftpAccount, methods: Sequence[str]) -> Diagnostic:
    what = "private keys" if account.private_key is not None else "passwords"
    return build_error(
        "sign-in-refused",
        f"{account.host} accepts no {what} from {sanitize_name(account.username)}; "
        f"it offers {format_names(list(methods))}",
        hint="Set rostering.sync.private_key for publickey, or rostering.sync.password for password.",
    )


def _make_further_step_error(account: SftpAccount, methods: Sequence[str]) -> Diagnostic:
    return build_error(
        "sign-in-refused",
        f"{account.host} asks {sanitize_name(account.username)} for another sign-in step: "
        f"{format_names(list(methods))}",
        hint="Ask the server's owner for an account that a program can use with one secret.",
    )


def _make_no_sftp_error(account: SftpAccount) -> Diagnostic:
    return build_error(
        "no-sftp",
        f"{account.host} let {sanitize_name(account.username)} sign in, but does not offer SFTP",
        hint="Ask the server's owner to allow the sftp subsystem for this account.",
    )
