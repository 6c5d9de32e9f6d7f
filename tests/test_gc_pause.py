"""The garbage collector is as it was before, whatever happened in between."""

from __future__ import annotations

import gc

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
