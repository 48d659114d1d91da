from __future__ import annotations

import os
import signal
import sys

import duckdb
import pytest

from qbert4rec_hf.data.prepare.interrupt import interruptible


@pytest.fixture
def one_thread_at_a_time():
    """The main thread keeps Python to itself until it waits for another."""
    interval = sys.getswitchinterval()
    previous = signal.signal(signal.SIGINT, lambda *_: None)
    sys.setswitchinterval(60)
    yield
    sys.setswitchinterval(interval)
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("one_thread_at_a_time")
def test_an_error_that_overtakes_the_signal_is_the_interruption():
    with (
        duckdb.connect() as connection,
        pytest.raises(KeyboardInterrupt),
        interruptible(connection),
    ):
        os.kill(os.getpid(), signal.SIGINT)
        # What DuckDB raises where Python tells it of the signal.
        raise RuntimeError("Query interrupted")


def test_other_errors_stay_what_they_are():
    with (
        duckdb.connect() as connection,
        pytest.raises(RuntimeError, match="another"),
        interruptible(connection),
    ):
        raise RuntimeError("another")
    assert signal.set_wakeup_fd(-1) == -1
