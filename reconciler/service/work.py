"""Run what waits for the store outside the event loop, and what does not within it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from reconciler.service.site import Site

Result = TypeVar("Result")

#: In which work waits for rows of others; work that waits for nobody has other threads
_waiting = ThreadPoolExecutor(20, thread_name_prefix="waiting")


async def run_quickly(site: Site, work: Callable[[], Result]) -> Result:
    """Return the result of work that writes to volatile tables at most: on a store without a network it is done at
    once, because handing it to a thread takes longer than the work."""
    return work() if site.database.is_local else await run_in_threadpool(work)


async def run_waiting(work: Callable[[], Result]) -> Result:
    """Return the result of work that may wait for rows of others."""
    return await asyncio.get_running_loop().run_in_executor(_waiting, copy_context().run, work)
