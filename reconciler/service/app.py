"""Assemble the parts of the service into one ASGI application."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from reconciler.service.expiry import forget_while_serving
from reconciler.service.failures import FailurePage, answer_busy, answer_gone
from reconciler.service.headers import ProtectiveHeaders
from reconciler.service.lti.endpoint import LAUNCH_PATH, build_launch_endpoint
from reconciler.service.pages import Notice, render_notice, set_static_path
from reconciler.service.reading.endpoints import (
    build_arrival_endpoint,
    build_lesson_endpoint,
    build_library_endpoint,
)
from reconciler.service.site import Site
from reconciler.store.service import DatabaseGoneError, RowsBusyError

_STATIC = Path(__file__).parent / "pages" / "static"


def build_app(site: Site) -> Starlette:
    """Return the application of a site."""
    launch = build_launch_endpoint(site)
    set_static_path(f"{site.path}/static")

    def live(app: Starlette) -> AbstractAsyncContextManager[None]:
        return forget_while_serving(site)

    app = Starlette(
        routes=[
            Route(LAUNCH_PATH, launch, methods=["POST"]),
            Route(f"{LAUNCH_PATH}/{{lesson}}", launch, methods=["POST"]),
            Route("/arrive/{token}", build_arrival_endpoint(site)),
            Route("/library", build_library_endpoint(site)),
            Route("/lessons/{lesson}", build_lesson_endpoint(site)),
            Route("/healthz", _report_health),
            Mount("/static", StaticFiles(directory=_STATIC)),
        ],
        middleware=[Middleware(ProtectiveHeaders, is_secure=site.is_secure), Middleware(FailurePage)],
        exception_handlers={
            404: _answer_missing,
            405: _answer_wrong_method,
            RowsBusyError: answer_busy,
            DatabaseGoneError: answer_gone,
        },
        lifespan=live,
    )
    # A redirect repeats the Host header, and would send a signed form to whatever host that names.
    app.router.redirect_slashes = False
    return app


async def _report_health(request: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _answer_missing(request: Request, problem: Exception) -> Response:
    return render_notice(Notice("There is no such page", ()), status=404)


async def _answer_wrong_method(request: Request, problem: Exception) -> Response:
    notice = Notice("There is no such page", ())
    if request.scope["path"].startswith(LAUNCH_PATH):
        text = ("This address works only from your LMS, which sends you here with a signed form.",)
        notice = Notice("Click the lesson in your LMS", text)
    answer = render_notice(notice, status=405)
    answer.headers.update(getattr(problem, "headers", None) or {})
    return answer
