"""Answer what readers ask for: their arrival from an LMS, a lesson, the library."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from reconciler.model.ids import Moment
from reconciler.service.cookies import Place, build_cookie, read_cookie
from reconciler.service.lti.endpoint import ARRIVAL_PURPOSE
from reconciler.service.pages import Notice, render_notice, render_page
from reconciler.service.reading.reader import Reader, find_reader, is_framed, resolve_session
from reconciler.service.site import Site
from reconciler.service.work import run_quickly
from reconciler.store.service import RequestConnection, visits

Endpoint = Callable[[Request], Awaitable[Response]]

_CLICK_AGAIN = Notice("Click the lesson in your LMS again", ("Your browser did not keep you signed in on this page.",))
_SIGNED_OUT = Notice("You are not signed in", ("Click a lesson in your LMS to sign in.",))
_NO_LESSON = Notice("There is no such lesson", ("Your school does not have it, or no longer has it.",))


def build_arrival_endpoint(site: Site) -> Endpoint:
    """Return the endpoint of `GET /arrive/TOKEN`, where a launch ends: the lesson itself, with or without cookies."""

    async def arrive(request: Request) -> Response:
        if request.method == "HEAD":
            # A request that only checks whether the page exists does not use up the arrival.
            raise HTTPException(405, headers={"Allow": "GET"})
        begun = await run_quickly(site, lambda: _begin(site, request.path_params["token"], request.headers))
        if begun is None:
            reader = await run_quickly(site, lambda: find_reader(site, request.headers))
            if reader is None:
                return render_notice(_CLICK_AGAIN, status=401)
            return RedirectResponse(f"{site.path}/library", 303)
        reader, lesson, cookies = begun
        answer = _show_lesson(reader, lesson) if lesson else _show_library(site, reader)
        for cookie in cookies:
            answer.headers.append("Set-Cookie", cookie)
        return answer

    return arrive


def build_lesson_endpoint(site: Site) -> Endpoint:
    """Return the endpoint of `GET /lessons/LESSON`."""

    async def show_lesson(request: Request) -> Response:
        reader = await run_quickly(site, lambda: find_reader(site, request.headers))
        if reader is None:
            return render_notice(_SIGNED_OUT, status=401)
        return _show_lesson(reader, request.path_params["lesson"])

    return show_lesson


def build_library_endpoint(site: Site) -> Endpoint:
    """Return the endpoint of `GET /library`."""

    async def show_library(request: Request) -> Response:
        reader = await run_quickly(site, lambda: find_reader(site, request.headers))
        return render_notice(_SIGNED_OUT, status=401) if reader is None else _show_library(site, reader)

    return show_library


def _choose_places(headers: Headers) -> tuple[Place, ...]:
    """Return where a session begins: in the frame or the tab that the browser names, or in both if it names neither."""
    if is_framed(headers):
        return (Place.FRAME,)
    return (Place.TAB,) if headers.get("sec-fetch-dest") == "document" else (Place.FRAME, Place.TAB)


def _begin(site: Site, token: str, headers: Headers) -> tuple[Reader, str, tuple[str, ...]] | None:
    """Return the reader, the lesson's ID and the cookies of an arrival; None if it was used or took too long."""
    moment = site.get_moment()
    with site.database.open_transaction(durable=False) as connection:
        data: Mapping[str, Any] | None = visits.redeem_token(connection, ARRIVAL_PURPOSE, token, moment)
    customer = site.configurations.find_customer(data["customer"]) if data else None
    community = customer.communities.get(data["community"]) if data and customer else None
    if data is None or community is None:
        return None
    account, places = data["account"] or 0, _choose_places(headers)
    kept = {name: data[name] for name in ("customer", "platform", "community")}
    reader = resolve_session(site, visits.Session(account, kept, moment, moment), places[0])
    if reader is None:
        return None
    with site.database.open_transaction(durable=False) as connection:
        _end_former(site, connection, headers, account, places, moment)
        values = {
            place: visits.begin_session(connection, account, {**kept, "place": place}, moment, community.login_timeout)
            for place in places
        }
    seconds = int(community.login_timeout.total_seconds())
    cookies = tuple(build_cookie(place, value, seconds, is_secure=site.is_secure) for place, value in values.items())
    return reader, data["lesson"], cookies


def _end_former(
    site: Site,
    connection: RequestConnection,
    headers: Headers,
    account: int,
    places: tuple[Place, ...],
    moment: Moment,
) -> None:
    """End the browser's sessions that new ones replace, and those of other people who used it before."""
    for place in Place:
        token = read_cookie(headers, place, is_secure=site.is_secure)
        former = visits.find_session(connection, token, moment) if token else None
        if former is not None and (place in places or former.account != account):
            visits.end_session(connection, token)


def _show_lesson(reader: Reader, lesson: str) -> Response:
    found = reader.customer.find_lesson(reader.community, lesson)
    if found is None:
        return render_notice(_NO_LESSON, status=404, frame_ancestors=reader.origins)
    return render_page(
        "lesson.html",
        {"lesson": found, "reader": reader.name},
        frame_ancestors=reader.origins,
        frames=(found.url,),
    )


def _show_library(site: Site, reader: Reader) -> Response:
    lessons = reader.customer.list_lessons(reader.community)
    values = {"lessons": lessons, "reader": reader.name, "base": f"{site.path}/lessons"}
    return render_page("library.html", values, frame_ancestors=reader.origins)
