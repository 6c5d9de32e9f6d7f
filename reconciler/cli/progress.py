"""Show the progress of fetches as bars on stderr, on a terminal only."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from reconciler.model.ids import CustomerId
from reconciler.oneroster.sources import FetchProgress, ProgressCallback
from reconciler.operations.fetch import ProgressFactory, make_silent_progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

_log = logging.getLogger(__name__)


@contextmanager
def show_progress_bars() -> Iterator[ProgressFactory]:
    """Show one bar for each part of each customer's roster, with rows or bytes, pages, rate and time left."""
    if not sys.stderr.isatty():
        yield make_silent_progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        # File names come from a server; markup in them must not take effect.
        TextColumn("{task.fields[customer]}", markup=False),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[amount]}", markup=False),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(compact=True),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True, refresh_per_second=5) as bars:
        yield _ProgressDisplay(bars).create_progress_callback


class _ProgressDisplay:
    """Draws bars for fetches that report from several threads. A bar that cannot be drawn fails no fetch."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._lock = threading.Lock()
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._works = True

    def create_progress_callback(self, customer: CustomerId) -> ProgressCallback:
        def update(step: FetchProgress) -> None:
            with self._lock:
                if not self._works:
                    return
                try:
                    self._update_bar(customer, step)
                except Exception as problem:  # noqa: BLE001 - the fetch continues without bars
                    self._works = False
                    _log.debug("progress cannot be shown", exc_info=problem)

        return update

    def _update_bar(self, customer: CustomerId, step: FetchProgress) -> None:
        task = self._tasks.get((customer, step.part))
        if task is None:
            task = self._bars.add_task(step.part, total=step.total, customer=customer, amount="", rate="")
            self._tasks[customer, step.part] = task
        speed = self._bars.tasks[self._bars.task_ids.index(task)].speed
        self._bars.update(
            task, completed=step.done, total=step.total, amount=format_amount(step), rate=format_rate(step, speed)
        )


def format_amount(step: FetchProgress) -> str:
    """Return the amount that was fetched: `12,000 of 48,210 rows, 12 pages`, `3.1 of 12.0 MiB`."""
    if step.unit == "bytes":
        whole = f" of {step.total / 2**20:,.1f}" if step.total is not None else ""
        return f"{step.done / 2**20:,.1f}{whole} MiB"
    whole = f" of {step.total:,}" if step.total is not None else ""
    pages = f", {step.pages:,} {'page' if step.pages == 1 else 'pages'}" if step.pages else ""
    return f"{step.done:,}{whole} {step.unit}{pages}"


def format_rate(step: FetchProgress, speed: float | None) -> str:
    """Return the rate in words. speed: units of the step per second; None while unknown."""
    if not speed:
        return ""
    return f"{speed / 2**20:,.1f} MiB/s" if step.unit == "bytes" else f"{speed:,.0f} {step.unit}/s"
