"""Fetch a customer's roster into a file, or probe its source, without a plan."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from reconciler.config.models import Customer, OneRosterRostering
from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error, sort_diagnostics
from reconciler.model.ids import CustomerId, Moment
from reconciler.oneroster.bundle import read_bundle
from reconciler.oneroster.snapshot import build_quarantine_diagnostics
from reconciler.oneroster.sources import FetchRequest, ProbeFinding, Source, SourceBundle
from reconciler.operations.fetch.fetching import ProgressFactory, create_host_throttle, create_source
from reconciler.operations.workspace import Workspace, describe_unknown_customer

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class SavedRoster:
    #: of the source
    name: str
    #: by file stem; None if the reader refuses the bundle, which is saved anyway
    rows: dict[str, int] | None
    diagnostics: tuple[Diagnostic, ...]


def save_roster(
    workspace: Workspace, customer: CustomerId, out: Path, fetched_at: Moment, progress_factory: ProgressFactory
) -> SavedRoster:
    """Fetch the full roster into a file of mode 0600, which is written completely or not at all.

    Raises Refusal if the fetch fails or the folder does not exist, OSError if the file cannot be written."""
    if not out.parent.is_dir():
        raise Refusal(
            [
                build_error(
                    "no-folder",
                    f"{out.parent} is not a folder; nothing was fetched",
                    hint="Create it, or correct --out.",
                )
            ]
        )
    fetched = _create_customer_source(workspace, customer).fetch(FetchRequest(fetched_at, progress_factory(customer)))
    with fetched.stream:
        _write_bundle(fetched, out)
        fetched.stream.seek(0)
        try:
            snapshot = read_bundle(fetched.stream, type=fetched.type, name=out.name, fetched_at=fetched_at)
        except Refusal as refusal:
            return SavedRoster(fetched.name, None, (*fetched.diagnostics, *refusal.diagnostics))
    diagnostics = sort_diagnostics((*fetched.diagnostics, *snapshot.diagnostics))
    return SavedRoster(
        fetched.name,
        dict(snapshot.rows),
        (*diagnostics, *build_quarantine_diagnostics(snapshot.quarantine)),
    )


def probe_source(workspace: Workspace, customer: CustomerId, fetched_at: Moment) -> tuple[ProbeFinding, ...]:
    """Probe the server of a customer's source. Raises Refusal."""
    return _create_customer_source(workspace, customer).probe(FetchRequest(fetched_at))


def probe_address(workspace: Workspace, address: str, fetched_at: Moment) -> tuple[ProbeFinding, ...]:
    """Read the host keys of a server that is not configured yet, without signing in.

    address: `sftp://HOST` or `sftp://HOST:PORT`. Raises Refusal."""
    from reconciler.oneroster.sources.sftp import SftpAccount, SftpSource

    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port or 22
    except ValueError:
        host, port = None, 0
    if host is None or parts.scheme != "sftp" or parts.username is not None:
        raise Refusal(
            [
                build_error(
                    "invalid-address",
                    "the address must be sftp://HOST or sftp://HOST:PORT, without a user",
                    hint="To probe a OneRoster API, name its customer.",
                )
            ]
        )
    account = SftpAccount(host=host, port=port, username="", path="/", host_key=None)
    allows = workspace.repository.settings.network.is_allowed
    return SftpSource(account, create_host_throttle(workspace), allows).probe(FetchRequest(fetched_at))


def _create_customer_source(workspace: Workspace, name: CustomerId) -> Source:
    customer = _find_customer(workspace, name)
    rostering = customer.rostering
    if not isinstance(rostering, OneRosterRostering) or rostering.sync.type == "zip":
        raise Refusal([_describe_nothing_to_fetch(workspace, customer)])
    source = create_source(workspace, customer, rostering, create_host_throttle(workspace))
    assert source is not None
    return source


def _find_customer(workspace: Workspace, name: CustomerId) -> Customer:
    repository = workspace.repository
    if name in repository.invalid:
        raise Refusal(repository.invalid[name])
    if name not in repository.customers:
        raise Refusal([describe_unknown_customer(name, repository.customers, Span(str(workspace.directory)))])
    return repository.customers[name].customer


def _describe_nothing_to_fetch(workspace: Workspace, customer: Customer) -> Diagnostic:
    return build_error(
        "nothing-to-fetch",
        f"the roster of {customer.id} is not on a server",
        workspace.repository.customers[customer.id].span,
        "Set rostering.sync.type to sftp or api to fetch rosters.",
    )


def _write_bundle(fetched: SourceBundle, out: Path) -> None:
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            fetched.stream.seek(0)
            while chunk := fetched.stream.read(_CHUNK):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)
