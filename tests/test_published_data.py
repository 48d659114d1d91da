"""Real data: set QBERT4REC_DATA_DIR to a folder with `Instruments/` (MQL4GRec's files)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from qbert4rec_hf.data.import_published import import_published
from qbert4rec_hf.data.split import leave_one_out
from qbert4rec_hf.evaluation.baselines import item_graph_scorer
from qbert4rec_hf.evaluation.evaluator import evaluate_ranker
from qbert4rec_hf.ranking.item_graph import ItemGraphPrior

DATA_DIR = os.environ.get("QBERT4REC_DATA_DIR")
INSTRUMENTS = Path(DATA_DIR or "") / "Instruments"

pytestmark = pytest.mark.skipif(
    not DATA_DIR or not INSTRUMENTS.is_dir(),
    reason="QBERT4REC_DATA_DIR names no folder that holds Instruments/",
)


@pytest.fixture(scope="module")
def imported():
    return import_published(INSTRUMENTS)


@pytest.fixture(scope="module")
def split(imported):
    user_ids, sequences = imported.domain.sequences()
    return leave_one_out(sequences, user_ids)


def test_counts_are_those_of_the_paper(imported, split):
    info = imported.domain.info
    assert (info.num_users, info.num_items, info.num_interactions) == (17_112, 6_250, 136_226)
    assert len(split.train.items) == 136_226 - 2 * 17_112
    assert info.time_order == "trust" and not info.repeats
    assert imported.codes["lemb"].num_distinct == 5_988
    assert imported.codes["vitemb"].num_distinct == 6_250


def test_item_rows_no_longer_tell_the_future(split):
    highest = np.array([history.max() for history in split.histories("test")])
    # As published, "one above the highest number" is the test item for 3.1% of the users.
    assert np.mean(split.targets("test") == highest + 1) < 0.002


def test_the_item_graph_reaches_its_known_figures(split):
    prior = ItemGraphPrior.fit(split.train, 6_250, regularization=100.0, recency=0.6)
    result = evaluate_ranker(
        item_graph_scorer(prior),
        split.histories("test"),
        split.targets("test"),
        train=split.train,
        num_items=6_250,
    )
    assert result.metric("HR@10") == pytest.approx(0.1423, abs=0.002)
    assert result.metric("NDCG@10") == pytest.approx(0.1027, abs=0.002)
