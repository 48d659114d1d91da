from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from qbert4rec_hf.data.prepare.engine import open_engine
from qbert4rec_hf.errors import QBert4RecError

# Minutes of work.
LONG = "SELECT sum(sqrt(a.range + b.range)) FROM range(10000000) AS a, range(1000000) AS b"


def test_a_table_may_be_made_of_its_former_self(tmp_path):
    with open_engine(tmp_path) as engine:
        assert engine.create("numbers", "SELECT range AS n FROM range(10)") == 10
        assert engine.create("numbers", "SELECT n FROM numbers WHERE n > 6") == 3
        engine.rename("numbers", "large")
        assert sorted(engine.rows("SELECT n FROM large")) == [(7,), (8,), (9,)]
        assert engine.row("SELECT min(n), max(n) FROM large") == (7, 9)
        assert sum(batch.num_rows for batch in engine.batches("SELECT n FROM large", 2)) == 3
        assert len(list(tmp_path.glob("*.parquet"))) == 1
        engine.drop("large")
        assert not list(tmp_path.glob("*.parquet"))


def test_work_in_a_folder_whose_name_is_a_pattern(tmp_path):
    with open_engine(tmp_path / "a[1]*?'s") as engine:
        engine.create("numbers", "SELECT range AS n FROM range(10)")
        assert engine.value("SELECT count(*) FROM numbers") == 10


@pytest.fixture
def ctrl_c_counts():
    """A suite started in the background hands down that Ctrl-C is ignored."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("ctrl_c_counts")
def test_ctrl_c_stops_a_running_query_at_once(tmp_path):
    def press() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.3, press)
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt), open_engine(tmp_path, threads=1) as engine:
        timer.start()
        engine.value(LONG)
    assert time.perf_counter() - start < 10
    # What was there before is there again.
    assert signal.set_wakeup_fd(-1) == -1
    assert threading.active_count() == 1 or not any(
        thread.name == "interrupt" for thread in threading.enumerate()
    )


def test_another_thread_may_have_an_engine(tmp_path):
    found = []

    def work() -> None:
        with open_engine(tmp_path) as engine:
            found.append(engine.value("SELECT 1"))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [1]


def test_a_disk_too_small_for_what_is_between_is_one_line(tmp_path):
    with (
        pytest.raises(QBert4RecError, match="disk of .* is full") as caught,
        open_engine(tmp_path, memory_limit="60MB", threads=1) as engine,
    ):
        engine.connection.execute("SET max_temp_directory_size = '1MB'")
        engine.create(
            "numbers",
            "SELECT hash(range) AS n, repeat('x', 100) AS text FROM range(2000000) ORDER BY n",
        )
    assert "\n" not in str(caught.value)


def test_too_little_memory_names_the_limit(tmp_path):
    with (
        pytest.raises(QBert4RecError, match="60MB of memory are too little.*--memory-limit"),
        open_engine(tmp_path, memory_limit="60MB", threads=1) as engine,
    ):
        # One value cannot be in part on disk.
        engine.value("SELECT len(string_agg(repeat('x', 1000), '')) FROM range(200000)")
