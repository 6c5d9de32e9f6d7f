"""Ctrl-C while the main thread waits."""

from __future__ import annotations

import signal


def allow_keyboard_interrupt() -> None:
    """To be called before a wait. polars lets whatever is blocked go on after a signal: Ctrl-C would end nothing before
    somebody presses Enter, or a server answers."""
    signal.siginterrupt(signal.SIGINT, True)
