"""Answer requests that fail: a calm page for people, and a log line without names of people."""

import logging
import traceback
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconciler.service.pages import Notice, render_notice
from reconciler.store.service import DatabaseGoneError, RowsBusyError

#: Shown while an apply locks the rows that a launch needs
BUSY = Notice("One moment, please", ("Your school's list is being updated. Click the lesson again in a minute.",))
#: Shown while the database does not answer
GONE = Notice("One moment, please", ("We cannot look anything up at the moment. Please try again in a minute.",))
_BROKEN = Notice("Something went wrong", ("That was our fault, and it is in our log. Please try again.",))
#: How many files at the end of a traceback the log names
_NAMED_FILES = 6

_LOG = logging.getLogger(__name__)


class FailurePage:
    """Middleware that answers unexpected exceptions with neither traceback nor exception text, which may have names."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_started = False

        async def send_watched(message: Message) -> None:
            nonlocal is_started
            is_started = True
            await send(message)

        try:
            await self._app(scope, receive, send_watched)
        except Exception as problem:  # noqa: BLE001 - the outermost door
            _log_failure(problem)
            if not is_started:
                await render_notice(_BROKEN, status=500)(scope, receive, send)


async def answer_busy(request: Request, problem: Exception) -> Response:
    """Return the page for rows that somebody else is writing."""
    assert isinstance(problem, RowsBusyError)
    return render_notice(BUSY, status=503)


async def answer_gone(request: Request, problem: Exception) -> Response:
    """Return the page for a database that does not answer."""
    assert isinstance(problem, DatabaseGoneError)
    _LOG.error("the database does not answer: %s", problem)
    return render_notice(GONE, status=503)


def _log_failure(problem: Exception) -> None:
    frames = traceback.extract_tb(problem.__traceback__)[-_NAMED_FILES:]
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
    _LOG.error("unexpected %s at %s", type(problem).__name__, places)
