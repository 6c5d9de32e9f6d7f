"""Take the POST of an LMS, and redirect the browser to a GET (303), so that a reload does not launch again."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from reconciler.model.moment import add_span
from reconciler.service.failures import BUSY, GONE
from reconciler.service.form import MAX_BODY, FormProblem, UnreadableFormError, check_form_type
from reconciler.service.lti.admission import (
    Admission,
    AdmissionRefusal,
    Arrival,
    admit_unknown,
    find_destination,
    find_known,
)
from reconciler.service.lti.launch_check import (
    CLOCK_WINDOW,
    LaunchProblem,
    LaunchRefusal,
    LaunchRequest,
    PlatformSecrets,
    check_launch,
    read_launch,
)
from reconciler.service.lti.pages import build_admission_notice, build_launch_notice
from reconciler.service.pages import Notice, render_notice
from reconciler.service.site import Site
from reconciler.service.work import run_quickly, run_waiting
from reconciler.store.service import AppliedPlatform, RequestConnection, RowsBusyError, visits

LAUNCH_PATH = "/lti/launch"
#: The time that the browser may take from the POST to the GET
ARRIVAL_SPAN = timedelta(minutes=1)
ARRIVAL_PURPOSE = "arrival"
#: Seconds that a browser may take to send a launch
BODY_SECONDS = 30.0
#: A nonce is kept until no launch with its timestamp is accepted anymore.
_NONCE_SPAN = 2 * CLOCK_WINDOW + timedelta(minutes=1)


def build_launch_endpoint(site: Site) -> Callable[[Request], object]:
    """Return the endpoint of `POST /lti/launch` and `POST /lti/launch/LESSON`."""

    async def launch(request: Request) -> Response:
        try:
            received = await _receive(site, request)
            found = await run_quickly(site, lambda: _check(site, received, request.path_params.get("lesson", "")))
            token, arrival = found if isinstance(found, tuple) else (None, found)
            if token is None:
                token = await run_waiting(lambda: _admit(site, arrival))
        except LaunchRefusal as refusal:
            status, notice = build_launch_notice(refusal.problem)
            answer = render_notice(notice, status=status)
            if refusal.problem is LaunchProblem.UNREADABLE:
                # The rest of the body may still be on its way.
                answer.headers["Connection"] = "close"
            return answer
        except _Refused as refused:
            origins = refused.arrival_origins
            return render_notice(refused.notice, status=refused.status, frame_ancestors=origins)
        return RedirectResponse(f"{site.path}/arrive/{token}", 303)

    return launch


class _Refused(Exception):  # noqa: N818 - an outcome that a person reads, not a bug
    def __init__(self, status: int, notice: Notice, arrival_origins: tuple[str, ...]) -> None:
        super().__init__(notice.heading)
        self.status, self.notice, self.arrival_origins = status, notice, arrival_origins


async def _receive(site: Site, request: Request) -> LaunchRequest:
    """Return the launch of a request. Raises LaunchRefusal for a body that is too large, too slow or not a form."""
    try:
        check_form_type(request.headers.get("content-type", ""))
    except UnreadableFormError as problem:
        raise LaunchRefusal(LaunchProblem.UNREADABLE, problem.problem.value) from None
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > MAX_BODY:
                    raise LaunchRefusal(LaunchProblem.UNREADABLE, FormProblem.TOO_LARGE.value)
    except TimeoutError:
        raise LaunchRefusal(LaunchProblem.UNREADABLE, "too-slow") from None
    except ClientDisconnect:
        raise LaunchRefusal(LaunchProblem.UNREADABLE, "disconnected") from None
    path: bytes = request.scope.get("raw_path") or quote(request.url.path).encode()
    return read_launch(f"{site.public_url}{path.decode('latin-1')}", request.scope["query_string"], bytes(body))


def _check(site: Site, received: LaunchRequest, lesson: str) -> tuple[str, Arrival] | Arrival:
    """Return the token of a known person's visit, or the arrival of somebody whom the LMS did not send before.

    Raises LaunchRefusal and _Refused.
    """
    found = site.configurations.find_platform(received.consumer_key)
    if found is not None and found[1].is_unreadable:
        raise _Refused(503, GONE, found[1].origins)
    secrets = PlatformSecrets(found[1].secrets) if found else None
    time = site.get_time()
    try:
        parameters = check_launch(received, secrets, int(time.timestamp()))
    except LaunchRefusal as refusal:
        if found is None or refusal.parameters is None:
            raise
        # The LMS signed it, and shows the page in its frame.
        raise _Refused(*build_launch_notice(refusal.problem), found[1].origins) from None
    assert found is not None
    customer, platform = found
    try:
        arrival = find_destination(customer, platform, parameters, lesson, time)
        known = find_known(site.database, arrival)
    except AdmissionRefusal as refusal:
        with site.database.open_transaction(durable=False) as connection:
            _keep_nonce(site, connection, received, platform)
        raise _Refused(*build_admission_notice(refusal.problem, customer.support), platform.origins) from None
    with site.database.open_transaction(durable=False) as connection:
        _keep_nonce(site, connection, received, platform)
        return (_issue_arrival(site, connection, arrival, known), arrival) if known is not None else arrival


def _keep_nonce(site: Site, connection: RequestConnection, received: LaunchRequest, platform: AppliedPlatform) -> None:
    until = add_span(site.get_moment(), _NONCE_SPAN)
    if not visits.keep_nonce(connection, received.consumer_key, received.nonce, until):
        raise _Refused(*build_launch_notice(LaunchProblem.REPLAYED), platform.origins)


def _admit(site: Site, arrival: Arrival) -> str:
    try:
        admission = admit_unknown(site.database, site.key, arrival)
    except RowsBusyError:
        raise _Refused(503, BUSY, arrival.platform.origins) from None
    except AdmissionRefusal as refusal:
        notice = build_admission_notice(refusal.problem, arrival.customer.support)
        raise _Refused(*notice, arrival.platform.origins) from None
    with site.database.open_transaction(durable=False) as connection:
        return _issue_arrival(site, connection, arrival, admission)


def _issue_arrival(site: Site, connection: RequestConnection, arrival: Arrival, admission: Admission) -> str:
    """Return the one-use token with which the browser's GET begins a session."""
    data = {
        "account": admission.account,
        "customer": arrival.customer.number,
        "platform": arrival.platform.id,
        "community": arrival.community.id,
        "lesson": arrival.lesson.id if arrival.lesson else "",
        "new": admission.is_new,
    }
    return visits.issue_token(connection, ARRIVAL_PURPOSE, data, site.get_moment(), ARRIVAL_SPAN)
