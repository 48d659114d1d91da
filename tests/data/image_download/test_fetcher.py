from __future__ import annotations

from qbert4rec_hf.data.image_download.fetcher import growing_delay
from qbert4rec_hf.data.image_download.settings import DownloadSettings


def test_delays_grow_and_are_spread_and_end():
    delay = growing_delay(DownloadSettings(first_delay=1.0, longest_delay=60.0))
    for failed in range(1, 6):
        waits = [delay(failed, None) for _ in range(200)]
        middle = 2 ** (failed - 1)
        assert 0.5 * middle <= min(waits) < 0.7 * middle
        assert 1.3 * middle < max(waits) <= 1.5 * middle
    assert delay(20, None) == 60.0


def test_a_servers_wish_is_honoured_up_to_the_limit():
    delay = growing_delay(DownloadSettings(first_delay=1.0, longest_delay=60.0))
    assert delay(1, 30.0) == 30.0
    assert delay(1, 3600.0) == 60.0
    assert delay(1, 0.0) >= 0.5
