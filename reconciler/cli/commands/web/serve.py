"""`serve`: run the web application for people who arrive from an LMS."""

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import add_new_location_options
from reconciler.config.fields import is_web_url
from reconciler.model.diagnostic import Refusal, build_error
from reconciler.operations.location import Location
from reconciler.operations.sync import open_applied_workspace
from reconciler.service.serving import ServeOptions, bind
from reconciler.service.serving import serve as run_server

MAX_PORT = 65_535


def _check_public_url(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and (not is_web_url(value) or "?" in value or "#" in value):
        raise click.BadParameter("must be a complete URL with https:// (or http://) and a host, without ? and #")
    return value


@click.command()
@add_new_location_options
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(1, MAX_PORT), default=8000, show_default=True, help="The port to listen on."
)
@click.option(
    "--public-url",
    metavar="URL",
    callback=_check_public_url,
    help="Where people reach the application.  [default: from reconciler.yaml]",
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Worker processes.")
@click.option(
    "--proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="A proxy whose X-Forwarded-For header is trusted. Repeat the option for several.",
)
def serve(
    location: Location, host: str, port: int, public_url: str | None, workers: int, proxies: tuple[str, ...]
) -> ExitCode:
    """Serve people who arrive from an LMS, using the last applied settings.

    Stops on Ctrl-C or SIGTERM, after it has answered the running requests.
    """
    workspace = open_applied_workspace(location)
    url = public_url or workspace.public_url
    options = ServeOptions(url, workspace.store.address, workspace.store.key, workers=workers, proxies=proxies)
    try:
        bound = bind(host, port)
    except OSError as problem:
        error = build_error(
            "address-in-use",
            f"cannot listen on {host}:{port}: {problem.strerror}",
            None,
            "Choose another --port, or stop the program that uses it.",
        )
        raise Refusal([error]) from None
    with bound:
        click.echo(f"{url} on {host}:{port}, {workspace.store.address}. Stop with Ctrl-C.")
        run_server(options, bound)
    return ExitCode.DONE
