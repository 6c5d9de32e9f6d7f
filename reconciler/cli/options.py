"""The options that every verb takes: where the customers' files are, and which live store is meant."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_DIRECTORY = Path("customers")


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


def add_workspace_options(command: Command) -> Command:
    """`--dir`, `--env` and `--store`, as `directory`, `environment` and `store`."""
    return _add_directory_option(must_exist=True)(_add_store_options(needs_store=True)(command))


def add_new_workspace_options(command: Command) -> Command:
    """As `workspace_options`, for a verb that makes the directory where it is missing."""
    return _add_directory_option(must_exist=False)(_add_store_options(needs_store=True)(command))


def add_files_options(command: Command) -> Command:
    """`--dir` as `directory`; the store's options are taken and mean nothing here."""
    return _add_directory_option(must_exist=True)(_add_store_options(needs_store=False)(command))


def add_new_files_options(command: Command) -> Command:
    """As `files_options`, for a verb that makes the directory where it is missing, be it within that of all
    customers."""
    return _add_directory_option(must_exist=False, all_customers=False)(_add_store_options(needs_store=False)(command))


def add_ignored_store_options(command: Command) -> Command:
    """Nothing; `--env` and `--store` are taken and mean nothing here, for a verb that names its place itself."""
    return _add_store_options(needs_store=False)(command)
