"""The garbage collector is as it was before, whatever happened in between."""

from __future__ import annotations

import gc
import weakref

import pytest

from reconciler.gc_pause import gc_paused


def test_collector_is_paused_and_resumes_after_an_error() -> None:
    assert gc.isenabled()
    with gc_paused():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), gc_paused():
        _ = 1 / 0
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with gc_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


class Cycle:
    """Refers to itself."""

    def __init__(self) -> None:
        self.me = self


def test_what_was_made_in_the_block_is_collected_afterwards() -> None:
    frozen = gc.get_freeze_count()
    with gc_paused():
        gone = weakref.ref(Cycle())
    assert gc.get_freeze_count() == frozen, "a process that makes many plans would keep all of them"
    gc.collect()
    assert gone() is None
