from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.runs.lock import LOCK_FILE, run_lock

# Plain filelock, so that the child starts in a moment; it takes the same file.
HOLDER = textwrap.dedent(
    """
    import sys
    from filelock import FileLock
    lock = FileLock(sys.argv[1])
    lock.acquire()
    print("held", flush=True)
    sys.stdin.read()
    """
)


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / LOCK_FILE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_a_second_process_is_kept_out_until_the_first_dies(tmp_path, holder):
    with pytest.raises(QBert4RecError, match="another process"), run_lock(tmp_path):
        pass
    holder.kill()
    holder.wait()
    with run_lock(tmp_path) as folder:
        assert folder == tmp_path


def test_the_lock_ends_with_its_block_even_when_that_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), run_lock(tmp_path / "new"):
        raise ZeroDivisionError
    with run_lock(tmp_path / "new"):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(QBert4RecError, match="file"), run_lock(tmp_path / "file" / "run"):
        pass
