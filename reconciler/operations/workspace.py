"""What every operation starts from: the files, the environment, the store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reconciler.config.repository import Repository, load
from reconciler.config.secrets import SecretBackend, backend_for
from reconciler.model.diagnostic import Refusal, error
from reconciler.model.plan import StoreIdentity
from reconciler.store.live import Store
from reconciler.store.opening import open_store


@dataclass(frozen=True, slots=True)
class Workspace:
    """directory: as given (`--dir`). environment: its name. public_url: where people reach the service."""

    directory: Path
    repository: Repository
    environment: str
    public_url: str
    store: Store
    secrets: SecretBackend


def open_workspace(
    directory: Path, environment: str | None, store_url: str | None, *, make_store: bool = True
) -> Workspace:
    """`store_url` wins over the environment's. make_store: False for what only looks at one.

    Raises Refusal where reconciler.yaml, the environment's name or the
    store cannot be used; mistakes in customers stay in the repository, since they stop only their customer."""
    repository = load(directory)
    name, chosen = repository.for_environment(environment)
    store = open_store(store_url or chosen.store, name, make=make_store)
    return Workspace(directory, repository, name, chosen.public_url, store, backend_for(chosen.secrets))


def refuse_other_store(made_for: StoreIdentity, store: Store) -> None:
    """Raises Refusal where a plan was made for another store than this one."""
    if made_for != store.identity:
        raise Refusal(
            [
                error(
                    "other-store",
                    f"the plan was made for store {made_for.id} ({made_for.environment}), "
                    f"this is {store.identity.id} ({store.identity.environment})",
                    hint="name the store that the plan was made for with --env or --store, or plan again",
                )
            ]
        )
