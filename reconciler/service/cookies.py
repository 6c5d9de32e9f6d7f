"""Name and write the two cookies: one for a page in an LMS's frame, which can only read, and one for a tab of its own.

A frame's cookie is partitioned: it is sent only within the same LMS's pages, and never opens settings. A tab's cookie
is Lax: no other site's form is sent with it.
"""

from enum import StrEnum

from starlette.datastructures import Headers
from starlette.requests import cookie_parser


class Place(StrEnum):
    """Where a session is shown."""

    FRAME = "frame"
    TAB = "tab"


def name_cookie(place: Place, *, is_secure: bool) -> str:
    """Return a cookie's name. The prefix `__Host-` keeps it to this host and to TLS; browsers refuse it over http."""
    return f"__Host-{place}" if is_secure else f"reconciler-{place}"


def build_cookie(place: Place, value: str, max_age: int, *, is_secure: bool) -> str:
    """Return a Set-Cookie header.

    value: a token, so nothing in it needs quoting. max_age: seconds; 0 deletes the cookie. Without TLS, a frame's
    cookie is Lax too, because browsers take SameSite=None only with Secure.
    """
    same_site = "None" if place is Place.FRAME and is_secure else "Lax"
    parts = [f"{name_cookie(place, is_secure=is_secure)}={value}", "Path=/", f"Max-Age={max_age}", "HttpOnly"]
    parts.append(f"SameSite={same_site}")
    if is_secure:
        parts.append("Secure")
        if place is Place.FRAME:
            parts.append("Partitioned")
    return "; ".join(parts)


def read_cookie(headers: Headers, place: Place, *, is_secure: bool) -> str:
    """Return the value of a cookie, empty if the browser sent none.

    Cookies of other applications on the domain may follow no standard; they do not hide ours.
    """
    name = name_cookie(place, is_secure=is_secure)
    for header in headers.getlist("cookie"):
        value = cookie_parser(header).get(name)
        if value is not None:
            return value
    return ""
