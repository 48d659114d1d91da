"""Real files: set QBERT4REC_DATA_DIR to a folder with `raw/` (Amazon Gift Cards of 2018)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.prepare.pipeline import prepare_domain
from qbert4rec_hf.data.prepare.settings import PrepareSettings

DATA_DIR = os.environ.get("QBERT4REC_DATA_DIR")
RAW = Path(DATA_DIR or "") / "raw"
REVIEWS, METADATA = RAW / "Gift_Cards_5.json.gz", RAW / "meta_Gift_Cards.json.gz"

pytestmark = pytest.mark.skipif(
    not DATA_DIR or not REVIEWS.is_file() or not METADATA.is_file(),
    reason="QBERT4REC_DATA_DIR names no folder that holds raw/Gift_Cards_5.json.gz and metadata",
)


def test_gift_cards_with_5_core_and_first_of_repeats(tmp_path):
    prepared = prepare_domain([REVIEWS], tmp_path / "gift", metadata=[METADATA], threads=1)
    info = prepared.info
    assert (info.num_users, info.num_items, info.num_interactions) == (453, 147, 2_941)
    assert info.tied_users == 289 and not info.repeats
    assert sum(prepared.dropped.values()) == 2_972 - 2_941
    assert prepared.table["items without metadata"] == 0
    domain = Domain.load(tmp_path / "gift")
    assert domain.info == info
    assert not any("<" in title or "&amp;" in title for title in domain.items["title"])
    assert domain.items["images"].map(len).gt(0).mean() > 0.7


def test_dropping_users_with_ties_leaves_the_others_to_evaluate(tmp_path):
    settings = PrepareSettings(ties="drop-users")
    prepare_domain([REVIEWS], tmp_path / "gift", settings=settings, threads=1)
    split = Domain.load(tmp_path / "gift").split()
    assert 0 < len(split.evaluated("test")) <= 453 - 289
