"""Runs a function over many items in worker processes.

The workers are forks: they share what is in memory and pickle only their results. A process with other threads never
forks, because a lock that another thread holds would stay locked in the fork.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

#: fewer items take longer to distribute than to read
MIN_ITEMS = 400
MAX_PROCESSES = 8
#: items per task: small, so that no worker waits for a slower one at the end
CHUNK = 32

Item = TypeVar("Item")
Result = TypeVar("Result")

#: the function that a worker runs; set when it is forked
_work: Callable[[Any], Any] | None = None


def map_in_processes(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result] | None:
    """Return the results of `work` in the order of the items, or None if processes are not worth it or not available.

    work: must not change anything that the caller sees; its results are pickled. Its exceptions are raised here.
    """
    processes = min(_count_processors(), MAX_PROCESSES)
    if len(items) < MIN_ITEMS or processes < 2 or threading.active_count() > 1:
        return None
    pool = ProcessPoolExecutor(processes, get_context("fork"), _start_worker, (work,))
    try:
        return list(pool.map(_run, items, chunksize=CHUNK))
    # The system may refuse to fork a process that has reserved much memory.
    except (OSError, BrokenProcessPool):
        return None
    finally:
        pool.shutdown(cancel_futures=True)


def _count_processors() -> int:
    """Return the number of processors this process may use; 1 on systems other than Linux, where a fork is not safe
    enough."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


def _start_worker(work: Callable[[Any], Any]) -> None:
    global _work  # noqa: PLW0603 - a fork has no other place that each task can reach without pickling
    _work = work
    # Ctrl-C reaches every process of a terminal; only the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run(item: Any) -> Any:
    assert _work is not None
    return _work(item)
