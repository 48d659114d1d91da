"""Real files: set QBERT4REC_DATA_DIR to a folder with `raw/` (Amazon Gift Cards of 2018)."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

DATA_DIR = os.environ.get("QBERT4REC_DATA_DIR")
RAW = Path(DATA_DIR or "") / "raw"
REVIEWS, METADATA = RAW / "Gift_Cards_5.json.gz", RAW / "meta_Gift_Cards.json.gz"

pytestmark = pytest.mark.skipif(
    not DATA_DIR or not REVIEWS.is_file() or not METADATA.is_file(),
    reason="QBERT4REC_DATA_DIR names no folder that holds raw/Gift_Cards_5.json.gz and metadata",
)


def test_reviews(reviews):
    report, rows = reviews(REVIEWS)
    (file,) = report.files
    assert (file.format, file.compression, file.time_unit) == ("amazon2018", "gzip", "s")
    assert (file.rows, file.malformed, file.dropped, file.noted) == (2_972, 0, {}, {})
    assert len({row["user_id"] for row in rows}) == 458
    assert len({row["item_id"] for row in rows}) == 148
    # Whole days.
    assert {row["timestamp"] % 86_400_000 for row in rows} == {0}


def test_metadata(metadata):
    report, items = metadata(METADATA)
    (file,) = report.files
    assert (file.rows, file.malformed, report.duplicates) == (1_547, 0, 0)
    assert items["B001H53QE4"]["price"] == 1250.0
    texts = [
        text
        for item in items.values()
        for text in (item["title"], item["brand"] or "", *item["text"], *item["categories"])
    ]
    page = re.compile(r"</?[a-z]+[ >]|&[a-z]+;|&#|aPageStart|[\n\t]|\s\s")
    assert not [text for text in texts if text is None or page.search(text)]
    pictures = [image for item in items.values() for image in item["images"]]
    # Every picture is there in the large size.
    assert pictures and not [image for image in pictures if "._" in image]
