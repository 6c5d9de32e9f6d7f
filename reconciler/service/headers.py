"""Set the headers that protect every answer (ASVS 5.0, section 3.4)."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Scripts, styles and pictures come from this site alone, forms go to it alone. Nobody may show a page in a frame
#: unless the page allows it.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'"
)
_YEAR = 31_536_000
_is_host = re.compile(r"[a-z0-9._:\[\]-]+").fullmatch


def build_policy(*, frame_ancestors: Iterable[str] = (), frames: Iterable[str] = ()) -> str:
    """Return a Content-Security-Policy.

    frame_ancestors: origins that may show the page in a frame; none by default. frames: URLs that the page shows.
    """
    ancestors = " ".join(filter(None, map(_make_source, frame_ancestors))) or "'none'"
    shown = " ".join(filter(None, map(_make_source, frames)))
    return f"{_POLICY}; frame-ancestors {ancestors}" + (f"; frame-src {shown}" if shown else "")


def _make_source(url: str) -> str:
    """Return a URL's origin in ASCII, as a policy writes it; empty if it would change the rest of the policy."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        name = (parts.hostname or "").encode("idna").decode()
    except ValueError:
        return ""
    host = f"[{name}]" if ":" in name else name
    is_usable = parts.scheme in ("http", "https") and _is_host(host)
    return f"{parts.scheme}://{host}{port}" if is_usable else ""


class ProtectiveHeaders:
    """Middleware that adds to every answer the protective headers that the answer does not set itself."""

    def __init__(self, app: ASGIApp, *, is_secure: bool) -> None:
        self._app = app
        headers = {
            "Content-Security-Policy": build_policy(),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
            "Cache-Control": "no-store",
        }
        if is_secure:
            headers["Strict-Transport-Security"] = f"max-age={_YEAR}; includeSubDomains"
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    present.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_protected)
