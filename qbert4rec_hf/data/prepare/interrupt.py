"""Ctrl-C during a long query."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_EVERY_SECONDS = 0.05


@contextmanager
def interruptible(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Lets Ctrl-C stop the connection's running query.

    While DuckDB works, the main thread is in its code, where Python's handlers do not run: the
    query would go on to its end. Here the signal reaches another thread, which stops the query;
    then the block ends with `KeyboardInterrupt`, whatever the query raised. Outside the main
    thread, which alone gets signals, nothing is changed.

    Args:
        connection: the connection; used by the block alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    interrupted, done = threading.Event(), threading.Event()

    def watch() -> None:
        while signals := receiver.recv(64):
            if signal.SIGINT in signals:
                interrupted.set()
                # Again and again: the next query may not have begun yet.
                while not done.wait(_EVERY_SECONDS):
                    connection.interrupt()

    watcher = threading.Thread(target=watch, name="interrupt", daemon=True)
    watcher.start()
    previous = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    try:
        try:
            yield
        finally:
            signal.set_wakeup_fd(previous)
            done.set()
            sender.close()
            # It reads to the end: DuckDB may have raised before it had read the signal.
            watcher.join()
            receiver.close()
    except BaseException as error:
        if interrupted.is_set():
            raise KeyboardInterrupt from error
        raise
