"""The workspace that every operation starts from: the files, the environment and the store."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from reconciler.config.comparison import BaseComparison, compare_with_base
from reconciler.config.load import find_settings_folder
from reconciler.config.models import Environment, Mail, Settings
from reconciler.config.repository import Repository, load_repository, load_settings
from reconciler.config.secrets import NoSecretBackend, SecretBackend, create_backend
from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error
from reconciler.model.plan import StoreIdentity
from reconciler.model.suggestion import find_intended_name
from reconciler.operations.location import Location
from reconciler.store.errors import StoreProblem
from reconciler.store.key import KEY_BYTES
from reconciler.store.open import KEY_FOLDER, NO_STORE, Store, open_store

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
    #: removed with the workspace: a store for this once, because there is none yet; None for a store that exists
    scratch: TemporaryDirectory[str] | None = field(default=None, repr=False, compare=False)
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

    @property
    def mail(self) -> Mail:
        """Return how the environment's mail is sent."""
        environment = self.repository.settings.get_environment(self.environment)[1]
        return environment.resolve_paths(find_settings_folder(self.directory)).mail

    @property
    def has_store(self) -> bool:
        """Return False if the store does not exist yet, and the work is done on an empty one that is thrown away."""
        return self.scratch is None


class AbsentStore(Enum):
    """The treatment of a store that does not exist yet."""

    #: by a verb that writes
    MAKE = auto()
    #: by a verb that needs what is in it, and no files
    REFUSE = auto()
    #: by a verb that only shows what would be: nothing is left behind
    IMAGINE = auto()


def open_workspace(location: Location, *, absent: AbsentStore = AbsentStore.MAKE) -> Workspace:
    """Open the files, the environment and the store of a location.

    Raises Refusal if reconciler.yaml, the environment's name or the store cannot be used, or a folder cannot be
    read."""
    # The files are loaded first, so that no store is made for files that do not exist.
    directory = location.directory
    read = load_repository(directory) if absent is not AbsentStore.REFUSE else None
    settings = read.settings if read else load_settings(directory)
    name, chosen = resolve_environment(settings, location)
    store, scratch = _open_environment_store(location, name, chosen, absent)
    return Workspace(
        directory,
        name,
        chosen.public_url,
        store,
        create_backend(chosen.secrets),
        loaded_repository=read,
        scratch=scratch,
    )


def resolve_environment(settings: Settings, location: Location) -> tuple[str, Environment]:
    """Return the location's environment and its name; relative paths start at the folder of reconciler.yaml."""
    name, chosen = settings.get_environment(location.environment)
    return name, chosen.resolve_paths(find_settings_folder(location.directory))


def _open_environment_store(
    location: Location, name: str, chosen: Environment, absent: AbsentStore
) -> tuple[Store, TemporaryDirectory[str] | None]:
    """Return the store, and the folder of an imagined one."""
    url, keys = location.store or chosen.store, find_settings_folder(location.directory) / KEY_FOLDER
    try:
        return open_store(url, name, make=absent is AbsentStore.MAKE, key_folder=keys), None
    except StoreProblem as problem:
        if problem.diagnostic.code != NO_STORE or absent is not AbsentStore.IMAGINE:
            raise
    scratch = TemporaryDirectory(prefix="reconciler-")
    return open_store(f"sqlite:///{scratch.name}/store.db", name, key=secrets.token_bytes(KEY_BYTES)), scratch


def open_comparison_workspace(
    base: str, location: Location, *, trusted: bool, absent: AbsentStore = AbsentStore.MAKE
) -> Workspace:
    """Open a workspace that covers only what differs from a git ref.

    trusted: False for files that anybody may have written; the environment, and with it the store, then comes from the
    base, and no secret is read. Raises Refusal as `open_workspace`, and if there is no such ref."""
    comparison = compare_with_base(location.directory, base)
    settings: Settings = (comparison.current_repository if trusted else comparison.base_repository).settings
    name, chosen = resolve_environment(settings, location)
    store, scratch = _open_environment_store(location, name, chosen, absent)
    backend = create_backend(chosen.secrets) if trusted else NoSecretBackend()
    return Workspace(location.directory, name, chosen.public_url, store, backend, comparison, scratch=scratch)


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
