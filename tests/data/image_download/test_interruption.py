"""A download that is stopped from outside, in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from picture_server import numbered_picture

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.image_download.download import download_images
from qbert4rec_hf.data.image_download.manifest import Manifest
from qbert4rec_hf.data.image_download.settings import DownloadSettings

PICTURES = 60
# As an installed script runs it.
SCRIPT = "import signal, sys; sys.argv[0] = 'qbert4rec'; from qbert4rec_hf.cli.main import main; "
# A suite started in the background hands down that Ctrl-C is ignored.
SCRIPT += "signal.signal(signal.SIGINT, signal.default_int_handler); "
SCRIPT += "sys.exit(main())"


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_download_goes_on_where_it_stopped(server, make_folder, how):
    def route(handler, number):
        time.sleep(0.01)
        handler.reply(200, numbered_picture(int(handler.path.strip("/"))))

    server.default = route
    folder = make_folder([[server.url(f"/{number}")] for number in range(PICTURES)])
    items = (folder / "items.parquet").read_bytes()
    command = [sys.executable, "-c", SCRIPT, "images", str(folder)]
    command += ["--allow-private-addresses", "--concurrency", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        while len(server.counts) < PICTURES // 3 and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(how)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert errors.strip() == "qbert4rec: interrupted; the same command goes on where it stopped"
        # Half-written files are gone.
        assert not [path for path in folder.rglob(".*.*") if path.suffix != ".lock"]
    # The table is as it was, and the domain can be used.
    assert (folder / "items.parquet").read_bytes() == items
    assert len(Domain.load(folder)) == PICTURES
    done = set(Manifest(folder).entries)
    assert 0 < len(done) < PICTURES
    server.counts.clear()
    summary = download_images(folder, DownloadSettings(allow_private_addresses=True))
    assert summary.pictures == summary.items_with_picture == PICTURES
    assert summary.fetched == PICTURES - len(done)
    # What was finished was not asked for again.
    assert {server.url(path) for path in server.counts} == set(Manifest(folder).entries) - done
