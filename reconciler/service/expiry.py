"""Delete expired nonces, tokens and sessions while the application runs."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.concurrency import run_in_threadpool

from reconciler.service.site import Site
from reconciler.store.service import DatabaseGoneError, RowsBusyError, visits

#: Approximate seconds between two deletions of one worker
INTERVAL = 300.0

_LOG = logging.getLogger(__name__)


@asynccontextmanager
async def forget_while_serving(site: Site) -> AsyncIterator[None]:
    """Delete what has expired every few minutes, until the block ends."""
    task = asyncio.create_task(_forget_regularly(site))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _forget_regularly(site: Site) -> None:
    while True:
        # Workers that start at the same time do not delete the same rows at the same time.
        await asyncio.sleep(random.uniform(0.5, 1.5) * INTERVAL)
        try:
            await run_in_threadpool(visits.forget_expired, site.database, site.get_moment())
        except (RowsBusyError, DatabaseGoneError) as problem:
            _LOG.warning("expired sessions are kept for now: %s", type(problem).__name__)
        except Exception as problem:  # noqa: BLE001 - sessions end without it; the next round tries again
            _LOG.error("expired sessions are kept: unexpected %s", type(problem).__name__)
