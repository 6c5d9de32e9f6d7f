"""The workspace that every operation starts from: the files, the environment and the store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from reconciler.config.comparison import BaseComparison, compare_with_base
from reconciler.config.models import Settings
from reconciler.config.repository import Repository, load_repository, load_settings
from reconciler.config.secrets import NoSecretBackend, SecretBackend, create_backend
from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error
from reconciler.model.plan import StoreIdentity
from reconciler.model.suggestion import find_intended_name
from reconciler.operations.location import Location
from reconciler.store.open import Store, open_store

#: customers that an error lists if none is near
MOST_LISTED_CUSTOMERS = 20


# No slots: cached_property needs a __dict__.
@dataclass(frozen=True)
class Workspace:
    #: as given (`--dir`)
    directory: Path
    #: name of the environment
    environment: str
    #: URL under which people reach the service
    public_url: str
    store: Store
    secrets: SecretBackend
    #: with a base in git; None without one
    comparison: BaseComparison | None = None
    #: the files, if they are loaded already
    loaded_repository: Repository | None = None
    #: the repository is the configuration last applied, from the store: its secrets are neither compared nor written
    uses_applied_config: bool = False

    @cached_property
    def repository(self) -> Repository:
        """Return all files, or with a comparison those that it read.

        Errors in a customer's files are part of it, because they stop only that customer."""
        return (
            self.comparison.current_repository
            if self.comparison
            else self.loaded_repository or load_repository(self.directory)
        )


def open_workspace(location: Location, *, make_store: bool = True) -> Workspace:
    """Open the files, the environment and the store of a location.

    make_store: False for a verb that only reads an existing store and needs no files. Raises Refusal if
    reconciler.yaml, the environment's name or the store cannot be used, or a folder cannot be read."""
    # The files are loaded first, so that no store is made for files that do not exist.
    directory = location.directory
    read = load_repository(directory) if make_store else None
    name, chosen = (read.settings if read else load_settings(directory)).get_environment(location.environment)
    store = open_store(location.store or chosen.store, name, make=make_store)
    return Workspace(directory, name, chosen.public_url, store, create_backend(chosen.secrets), loaded_repository=read)


def open_comparison_workspace(base: str, location: Location, *, trusted: bool) -> Workspace:
    """Open a workspace that covers only what differs from a git ref.

    trusted: False for files that anybody may have written; the environment, and with it the store, then comes from the
    base, and no secret is read. Raises Refusal as `open_workspace`, and if there is no such ref."""
    comparison = compare_with_base(location.directory, base)
    settings: Settings = (comparison.current_repository if trusted else comparison.base_repository).settings
    name, chosen = settings.get_environment(location.environment)
    store = open_store(location.store or chosen.store, name, make=True)
    secrets = create_backend(chosen.secrets) if trusted else NoSecretBackend()
    return Workspace(location.directory, name, chosen.public_url, store, secrets, comparison)


def refuse_other_store(made_for: StoreIdentity, store: Store) -> None:
    """Raise Refusal if a plan was made for another store than this one."""
    if made_for != store.identity:
        raise Refusal(
            [
                build_error(
                    "other-store",
                    f"this plan is for store {made_for.id} ({made_for.environment}), "
                    f"but the current store is {store.identity.id} ({store.identity.environment})",
                    hint="Select the plan's store with --env or --store, or make a new plan.",
                )
            ]
        )


def describe_unknown_customer(name: str, known: Iterable[str], span: Span | None = None) -> Diagnostic:
    """Return an error for an id that is none of the known ones."""
    names = sorted(known)
    meant = find_intended_name(name, names)
    if meant is not None:
        hint = f"Did you mean {meant}?"
    elif names:
        more = f" and {len(names) - MOST_LISTED_CUSTOMERS:,} more" if len(names) > MOST_LISTED_CUSTOMERS else ""
        hint = f"Customers: {', '.join(names[:MOST_LISTED_CUSTOMERS])}{more}"
    else:
        hint = "No customers yet. Create one: reconciler new customer ID"
    return build_error("unknown-customer", f"unknown customer {name}", span, hint)
