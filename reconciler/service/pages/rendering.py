"""Render templates into answers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from reconciler.service.headers import build_policy


@dataclass(frozen=True, slots=True)
class Notice:
    """A page with a heading, a few sentences, and at most one thing to do."""

    heading: str
    #: paragraphs
    text: tuple[str, ...]
    #: an address of ours, and the words on its button; empty for none
    action: tuple[str, str] | None = None
    #: whom to ask, as the customer's `support` says: an e-mail address or a URL
    support: str = ""


def render_page(
    template: str,
    values: Mapping[str, object],
    *,
    status: int = 200,
    frame_ancestors: Iterable[str] = (),
    frames: Iterable[str] = (),
) -> HTMLResponse:
    """Return a page.

    frame_ancestors: origins that may show it in a frame. frames: URLs that it shows in one.
    """
    text = _load_environment().get_template(template).render(values)
    headers = {"Content-Security-Policy": build_policy(frame_ancestors=frame_ancestors, frames=frames)}
    return HTMLResponse(text, status, headers)


def render_notice(notice: Notice, *, status: int = 200, frame_ancestors: Iterable[str] = ()) -> HTMLResponse:
    """Return the page of a notice."""
    return render_page("notice.html", {"notice": notice}, status=status, frame_ancestors=frame_ancestors)


def set_static_path(path: str) -> None:
    """Make every page load its style sheets from below a path."""
    _load_environment().globals["static"] = path


@cache
def _load_environment() -> Environment:
    return Environment(
        loader=PackageLoader("reconciler.service.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
