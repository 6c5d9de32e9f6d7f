"""Options that several commands share, and the values that carry them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from reconciler.model.ids import HoldId
from reconciler.operations.location import Location

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_DIRECTORY = Path("customers")


def add_options(
    value_type: type[DataclassInstance], name: str, *options: Callable[[Any], Any]
) -> Callable[[Command], Command]:
    """Return a decorator that adds options to a command, which gets their values as one `value_type` named `name`.

    The options are named as the fields; a field without an option keeps its default."""
    names = [each.name for each in fields(value_type)]

    def decorate(command: Command) -> Command:
        @wraps(command)
        def call_with_value(*arguments: Any, **given: Any) -> Any:
            values = {each: given.pop(each) for each in names if each in given}
            return command(*arguments, **given, **{name: value_type(**values)})

        decorated: Any = call_with_value
        for option in reversed(options):
            decorated = option(decorated)
        return decorated  # type: ignore[no-any-return]

    return decorate


def _check_customers_directory(context: click.Context, parameter: click.Parameter, directory: Path) -> Path:
    from reconciler.config.load import detect_wrong_directory

    found = detect_wrong_directory(directory)
    if found is not None:
        raise click.BadParameter(
            f"{directory} {found.reason}; --dir must be the folder of all customers. "
            f"Did you mean --dir {found.customers_directory}?",
            context,
            parameter,
        )
    return directory


class _DirectoryType(click.Path):
    """A directory; the error for a missing one says what to do."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        if self.exists and not os.path.lexists(value):
            self.fail(
                f"directory {os.fspath(value)} not found. Run this command where it exists, pass --dir, or create a "
                "repository with: reconciler init DIR",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


def _add_directory_option(*, must_exist: bool, all_customers: bool = True) -> Callable[[Command], Command]:
    """Return the decorator that adds `--dir`.

    all_customers: False for a command that also accepts a folder inside the one of all customers."""
    return click.option(
        "--dir",
        "directory",
        type=_DirectoryType(exists=must_exist, file_okay=False, path_type=Path),
        default=DEFAULT_DIRECTORY,
        show_default=True,
        callback=_check_customers_directory if all_customers else None,
        help="Directory with the customer files; reconciler.yaml is next to it.",
    )


def _add_store_options(*, needs_store: bool) -> Callable[[Command], Command]:
    """Return the decorator that adds `--store` and `--env`.

    needs_store: False for a command that only accepts the options, as every command does, and ignores them."""

    def decorate(command: Command) -> Command:
        store = click.option(
            "--store",
            envvar="RECONCILER_STORE",
            show_envvar=True,
            metavar="URL",
            help="Store URL. Overrides the environment's store.",
            expose_value=needs_store,
            hidden=not needs_store,
        )
        environment = click.option(
            "--env",
            "environment",
            envvar="RECONCILER_ENV",
            show_envvar=True,
            metavar="NAME",
            help="Environment in reconciler.yaml.  [default: the first]",
            expose_value=needs_store,
            hidden=not needs_store,
        )
        return environment(store(command))

    return decorate


def add_location_options(command: Command) -> Command:
    """Add `--dir`, `--env` and `--store`, as one Location."""
    return _add_location_options(command, must_exist=True)


def add_new_location_options(command: Command) -> Command:
    """Add the same options to a command that creates the directory if it is missing."""
    return _add_location_options(command, must_exist=False)


def _add_location_options(command: Command, *, must_exist: bool) -> Command:
    options = (_add_directory_option(must_exist=must_exist), _add_store_options(needs_store=True))
    return add_options(Location, "location", *options)(command)


def format_location_options(location: Location) -> list[str]:
    """Return the options that name a location again; a store's URL with a password is never repeated."""
    words = []
    if location.directory != DEFAULT_DIRECTORY:
        words += ["--dir", str(location.directory)]
    if location.environment:
        words += ["--env", location.environment]
    if location.store:
        words += ["--store", location.store if "@" not in location.store else "URL"]
    return words


def add_files_options(command: Command) -> Command:
    """Add `--dir` as `directory`, and the store's options, which are ignored."""
    return _add_directory_option(must_exist=True)(_add_store_options(needs_store=False)(command))


def add_new_files_options(command: Command) -> Command:
    """Add the same options to a command that creates the directory, which may be inside the one of all customers."""
    return _add_directory_option(must_exist=False, all_customers=False)(_add_store_options(needs_store=False)(command))


def add_ignored_store_options(command: Command) -> Command:
    """Add `--env` and `--store`, which are ignored, to a command that takes its directory as an argument."""
    return _add_store_options(needs_store=False)(command)


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    #: do not ask
    yes: bool = False
    #: ids of holds
    approve: tuple[HoldId, ...] = ()
    #: seconds
    lock_timeout: float = 0.0


yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def add_lock_timeout_option(blocker: str = "another apply") -> Callable[[Command], Command]:
    """Return the decorator that adds `--lock-timeout`. blocker: the operation that holds the lock, in words."""
    return click.option(
        "--lock-timeout",
        type=click.FloatRange(min=0),
        default=0.0,
        metavar="SECONDS",
        help=f"Seconds to wait for {blocker} of the same customer.  [default: 0]",
    )


_approve_option = click.option("--approve", multiple=True, metavar="HOLD", help="Approve this hold. Repeatable.")

add_apply_options = add_options(ApplyOptions, "options", yes_option, _approve_option, add_lock_timeout_option())
