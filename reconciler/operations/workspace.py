"""What every operation starts from: the files, the environment, the store."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from reconciler.config.comparison import BaseComparison, compare_with_base
from reconciler.config.models.settings import Settings
from reconciler.config.repository import Repository, load_repository, load_settings
from reconciler.config.secrets import NoSecretBackend, SecretBackend, create_backend
from reconciler.model.diagnostic import Refusal, build_error
from reconciler.model.plan import StoreIdentity
from reconciler.operations.location import Location
from reconciler.store.open import Store, open_store


# no slots: the files are read when they are asked for
@dataclass(frozen=True)
class Workspace:
    """directory: as given (`--dir`). environment: its name. public_url: where people reach the service. comparison:
    with the state of git that the work starts from, if it does. read: the files, where they were read already.
    applied: what was read is the configuration last applied, from the store, and not the files: then it is what it is,
    and no secret of it is compared or written."""

    directory: Path
    environment: str
    public_url: str
    store: Store
    secrets: SecretBackend
    comparison: BaseComparison | None = None
    loaded_repository: Repository | None = None
    uses_applied_config: bool = False

    @cached_property
    def repository(self) -> Repository:
        """All files, or with a comparison those that it read. Mistakes in customers stay in it, since they stop only
        their customer."""
        return (
            self.comparison.current_repository
            if self.comparison
            else self.loaded_repository or load_repository(self.directory)
        )


def open_workspace(location: Location, *, make_store: bool = True) -> Workspace:
    """Open the files, the environment and the store of a location.

    make_store: False for a verb that only looks at a store, which may do without the files. Raises Refusal if
    reconciler.yaml, the environment's name or the store cannot be used, or a folder cannot be read."""
    # No store is made for files that are not there.
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
    """Raises Refusal where a plan was made for another store than this one."""
    if made_for != store.identity:
        raise Refusal(
            [
                build_error(
                    "other-store",
                    f"the plan was made for store {made_for.id} ({made_for.environment}), "
                    f"this is {store.identity.id} ({store.identity.environment})",
                    hint="name the store that the plan was made for with --env or --store, or plan again",
                )
            ]
        )
