"""Let Ctrl-C end a wait of the main thread."""

import signal


def allow_keyboard_interrupt() -> None:
    """Let Ctrl-C interrupt the next blocking call; call this before each wait.

    polars makes blocked calls resume after a signal, so Ctrl-C would have no effect until a server answers."""
    signal.siginterrupt(signal.SIGINT, True)
