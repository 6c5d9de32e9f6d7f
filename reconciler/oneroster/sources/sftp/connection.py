"""One SSH connection to one server: its key is compared before anything is said that the server could keep.

Only what is configured is used: no agent, no key or known host of the user that this runs as. Everything that the
network can hold up has a bound.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from paramiko import SFTPClient, Transport
from paramiko.pkey import PKey
from paramiko.sftp import SFTPError
from paramiko.ssh_exception import AuthenticationException, BadAuthenticationType, IncompatiblePeer, SSHException

from reconciler.model.diagnostic import Diagnostic, Refusal, error
from reconciler.network.reach import Allows, connected
from reconciler.oneroster.sources.sftp.account import SftpAccount
from reconciler.oneroster.sources.sftp.credentials import HostKey
from reconciler.oneroster.sources.sftp.messages import listed, shown
from reconciler.oneroster.sources.sftp.wire import BoundedPackets, Client

#: Seconds: for the server's first line, for all of the handshake, for the answer to a sign-in, for any other answer,
#: and between two signs of life.
BANNER_TIMEOUT = 15.0
HANDSHAKE_TIMEOUT = 30.0
SIGN_IN_TIMEOUT = 30.0
ANSWER_TIMEOUT = 30.0
KEEPALIVE = 15

#: What a connection that broke, or does not answer, comes up as. An OSError may also be the server's own word.
BROKEN = (SSHException, EOFError, OSError)

# Without a handler of its own, what paramiko logs of a broken connection would reach stderr.
_log = logging.getLogger("paramiko")
_log.addHandler(logging.NullHandler())
_log.propagate = False


@contextmanager
def cut_off_after(transport: Transport, seconds: float) -> Iterator[None]:
    """Whatever hangs in it, and whoever sends a byte a minute: the connection is closed after so many seconds."""
    timer = threading.Timer(max(seconds, 0.0), transport.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def handshake(account: SftpAccount, allows: Allows, signatures: Sequence[str], left: Callable[[], float]) -> Transport:
    """A connection that is encrypted, with the server's key known and not yet compared. Nothing was said but versions.

    left: gives the seconds that are left. Raises Refusal: what `network.reach.connected` raises, `no-ssh` where nobody
    there speaks SSH 2 in time, `no-common-algorithm`.
    """
    socket = connected(account.host, account.port, allows, left())
    transport: Transport | None = None
    seconds = max(left(), 0.1)
    try:
        transport = Transport(socket, packetizer_class=BoundedPackets)
        transport.banner_timeout = BANNER_TIMEOUT
        transport.auth_timeout = min(SIGN_IN_TIMEOUT, seconds)
        transport.channel_timeout = ANSWER_TIMEOUT
        transport.get_security_options().key_types = tuple(signatures)
        within = min(HANDSHAKE_TIMEOUT, seconds)
        with cut_off_after(transport, within):
            transport.start_client(timeout=within)
        # It says nothing when its time is over; a key that is not there yet does.
        transport.get_remote_server_key()
    except IncompatiblePeer as problem:
        _close(transport)
        raise Refusal([_no_common_algorithm(account)]) from problem
    except BROKEN as problem:
        _close(transport)
        socket.close()
        raise Refusal([_no_ssh(account)]) from problem
    return transport


def key_of(transport: Transport) -> HostKey:
    key = transport.get_remote_server_key()
    return HostKey(key.get_name(), key.asbytes())


def compare(account: SftpAccount, wanted: HostKey, found: HostKey) -> None:
    """Raises Refusal `host-key-changed` with both fingerprints."""
    if wanted != found:
        raise Refusal([_changed(account, wanted, found)])


def sign_in(transport: Transport, account: SftpAccount, key: PKey | None) -> None:
    """One attempt by one method: what is refused once is not tried again, lest the account be locked.

    Raises Refusal `sign-in-refused`, also where the connection breaks within: the server may count that as an attempt.
    """
    further: Sequence[str] = ()
    try:
        if key is not None:
            further = transport.auth_publickey(account.username, key)
        else:
            assert account.password is not None
            further = transport.auth_password(account.username, account.password.get_secret_value(), fallback=False)
    except BadAuthenticationType as problem:
        raise Refusal([_other_method(account, problem.allowed_types)]) from None
    except AuthenticationException:
        raise Refusal([_refused(account, ended=not transport.is_active())]) from None
    except BROKEN:
        raise Refusal([_refused(account, ended=True)]) from None
    if further:
        raise Refusal([_further_step(account, further)])


def files_of(transport: Transport, account: SftpAccount, seconds: float) -> SFTPClient:
    """Raises Refusal `no-sftp` where the server has none for this user; what breaks, as it broke."""
    with cut_off_after(transport, min(HANDSHAKE_TIMEOUT, seconds)):
        try:
            channel = transport.open_session(timeout=ANSWER_TIMEOUT)
            channel.settimeout(ANSWER_TIMEOUT)
            channel.invoke_subsystem("sftp")
            client = Client(channel)
        except (SSHException, SFTPError):
            if transport.is_active():
                raise Refusal([_no_sftp(account)]) from None
            raise
    transport.set_keepalive(KEEPALIVE)
    return client


def _close(transport: Transport | None) -> None:
    if transport is not None:
        transport.close()


def _no_ssh(account: SftpAccount) -> Diagnostic:
    return error(
        "no-ssh",
        f"{account.host} port {account.port} did not answer as an SSH server does",
        hint="check host and port (SFTP is not FTP or FTPS); if they are right, the server is busy or turns this"
        " machine away: the next fetch tries again",
    )


def _no_common_algorithm(account: SftpAccount) -> Diagnostic:
    return error(
        "no-common-algorithm",
        f"{account.host} knows none of the ways to encrypt or to sign that are safe today",
        hint="its owner has to update the server: it should offer an Ed25519, ECDSA or RSA (SHA-2) host key",
    )


def _changed(account: SftpAccount, wanted: HostKey, found: HostKey) -> Diagnostic:
    return error(
        "host-key-changed",
        f"{account.host} is not the server that is pinned: it shows {shown(str(found))}, pinned is {shown(str(wanted))}"
        "; nothing was sent to it",
        hint="ask the server's owner, by telephone, whether its key was changed and what its fingerprint is; if it is"
        " that, paste the line that `reconciler roster probe CUSTOMER` prints",
    )


def _refused(account: SftpAccount, *, ended: bool) -> Diagnostic:
    what = "private key" if account.private_key is not None else "password"
    how = "ended the connection when" if ended else "did not let"
    return error(
        "sign-in-refused",
        f"{account.host} {how} {shown(account.username)} {'signed' if ended else 'sign'} in with the {what}",
        hint=f"check rostering.sync.username and the secret of its {what} with the server's owner; it was tried once"
        " and is not tried again before the next fetch, lest the account be locked",
    )


def _other_method(account: SftpAccount, offered: Sequence[str]) -> Diagnostic:
    what = "private keys" if account.private_key is not None else "passwords"
    return error(
        "sign-in-refused",
        f"{account.host} takes no {what} of {shown(account.username)}; it offers {listed(list(offered))}",
        hint="give rostering.sync.private_key for publickey, or rostering.sync.password for password",
    )


def _further_step(account: SftpAccount, offered: Sequence[str]) -> Diagnostic:
    return error(
        "sign-in-refused",
        f"{account.host} asks {shown(account.username)} for a further step to sign in: {listed(list(offered))}",
        hint="ask the server's owner for an account that a program can sign in with by one secret",
    )


def _no_sftp(account: SftpAccount) -> Diagnostic:
    return error(
        "no-sftp",
        f"{account.host} let {shown(account.username)} sign in, but serves no files by SFTP",
        hint="ask the server's owner to allow the sftp subsystem for this account",
    )
