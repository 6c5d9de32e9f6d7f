"""Run work that waits for the store in threads, and other work in the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from reconciler.service.site import Site

Result = TypeVar("Result")

#: Threads for work that may wait for locked rows; other work has threads of its own
_waiting = ThreadPoolExecutor(20, thread_name_prefix="waiting")


async def run_quickly(site: Site, work: Callable[[], Result]) -> Result:
    """Return the result of work that writes at most to volatile tables.

    On a local store it runs at once, because handing it to a thread takes longer than the work itself.
    """
    return work() if site.database.is_local else await run_in_threadpool(work)


async def run_waiting(work: Callable[[], Result]) -> Result:
    """Return the result of work that may wait for rows that somebody else has locked."""
    return await asyncio.get_running_loop().run_in_executor(_waiting, copy_context().run, work)
