"""Options that several verbs share, and the values that carry them to a command."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

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
    from reconciler.config.load.directory import detect_wrong_directory

    found = detect_wrong_directory(directory)
    if found is not None:
        raise click.BadParameter(
            f"{directory} {found.reason}, and --dir names the folder of all customers; meant is --dir "
            f"{found.customers_directory}",
            context,
            parameter,
        )
    return directory


class _DirectoryType(click.Path):
    """A folder; whoever stands in the wrong one is told what to do."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        if self.exists and not os.path.lexists(value):
            self.fail(
                f"there is no folder {os.fspath(value)} here. Go to the folder that holds it, or name it with --dir;"
                " reconciler init DIR makes a new customers repository.",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


def _add_directory_option(*, must_exist: bool, all_customers: bool = True) -> Callable[[Command], Command]:
    """whole: False for a verb that may also be given a folder within that of all customers."""
    return click.option(
        "--dir",
        "directory",
        type=_DirectoryType(exists=must_exist, file_okay=False, path_type=Path),
        default=DEFAULT_DIRECTORY,
        show_default=True,
        callback=_check_customers_directory if all_customers else None,
        help="The directory of the customers' files; reconciler.yaml stands beside it.",
    )


def _add_store_options(*, needs_store: bool) -> Callable[[Command], Command]:
    """used: False for a verb that needs no store and takes the options all the same, as every verb does."""

    def decorate(command: Command) -> Command:
        store = click.option(
            "--store",
            envvar="RECONCILER_STORE",
            show_envvar=True,
            metavar="URL",
            help="The live store; wins over the environment's.",
            expose_value=needs_store,
            hidden=not needs_store,
        )
        environment = click.option(
            "--env",
            "environment",
            envvar="RECONCILER_ENV",
            show_envvar=True,
            metavar="NAME",
            help="An environment of reconciler.yaml.  [default: the first]",
            expose_value=needs_store,
            hidden=not needs_store,
        )
        return environment(store(command))

    return decorate


def add_location_options(command: Command) -> Command:
    """Add `--dir`, `--env` and `--store`, as one Location."""
    return _add_location_options(command, must_exist=True)


def add_new_location_options(command: Command) -> Command:
    """Add the same options to a verb that creates the directory if it is missing."""
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
    """`--dir` as `directory`; the store's options are taken and mean nothing here."""
    return _add_directory_option(must_exist=True)(_add_store_options(needs_store=False)(command))


def add_new_files_options(command: Command) -> Command:
    """As `add_files_options`, for a verb that makes the directory where it is missing, be it within that of all
    customers."""
    return _add_directory_option(must_exist=False, all_customers=False)(_add_store_options(needs_store=False)(command))


def add_ignored_store_options(command: Command) -> Command:
    """Nothing; `--env` and `--store` are taken and mean nothing here, for a verb that names its place itself."""
    return _add_store_options(needs_store=False)(command)


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    #: do not ask
    yes: bool = False
    #: ids of holds
    approve: tuple[str, ...] = ()
    #: seconds
    lock_timeout: float = 0.0


yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def add_lock_timeout_option(blocker: str = "another apply") -> Callable[[Command], Command]:
    return click.option(
        "--lock-timeout",
        type=click.FloatRange(min=0),
        default=0.0,
        help=f"Seconds to wait while {blocker} of the same customer runs.  [default: 0]",
    )


_approve_option = click.option(
    "--approve", multiple=True, metavar="HOLD", help="Release exactly this hold. May be repeated."
)

add_apply_options = add_options(ApplyOptions, "options", yes_option, _approve_option, add_lock_timeout_option())
