from __future__ import annotations

import pytest

from qbert4rec_hf.data.image_download.settings import DownloadSettings
from qbert4rec_hf.errors import QBert4RecError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("concurrency", 0),
        ("per_host", -1),
        ("timeout", 0),
        ("timeout", float("nan")),
        ("retries", -1),
        ("max_bytes", 0),
        ("max_side", 0),
        ("placeholder_repeats", 1),
        ("jpeg_quality", 100),
    ],
)
def test_values_out_of_range_are_named(name, value):
    with pytest.raises(QBert4RecError, match=f"{name} must be"):
        DownloadSettings(**{name: value})


def test_edges_are_allowed():
    DownloadSettings(retries=0, max_redirects=0, placeholder_repeats=0, timeout=0.1, first_delay=0)
