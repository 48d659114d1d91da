"""A log of three columns and nothing else: structure alone makes a recommender."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from qbert4rec_hf.cli.main import main
from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.evaluation.baselines import POPULARITY
from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.runs.evaluation import MODEL, WITH_GRAPH
from qbert4rec_hf.runs.pipeline import Run

SHELVES, PER_SHELF, USERS = 4, 6, 120
SETTINGS = [
    "features.spectral_dim=12",
    "fusion.epochs=3",
    "fusion.model.hidden_size=16",
    "fusion.model.num_attention_heads=2",
    "quantizer.model.quantizer_type=residual_kmeans",
    "quantizer.model.codebook_size=8",
    "model.hidden_size=32",
    "model.num_attention_heads=2",
    "pretrain.enabled=false",
    "finetune.epochs=12",
    "finetune.batch_size=32",
    "finetune.learning_rate=0.01",
    "ranking.regularizations=[20.0]",
]


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    """Users who stay with one shelf of the shop; nothing but user, item and time."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(USERS):
        shelf = int(rng.integers(SHELVES))
        items = rng.permutation(PER_SHELF)[: rng.integers(4, PER_SHELF + 1)]
        rows += [(f"u{user}", f"{shelf}-{item}", 100 * user + t) for t, item in enumerate(items)]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])


@pytest.fixture(scope="module")
def run_folder(log, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    items = pd.DataFrame({"item_id": sorted(log["item_id"].unique())})
    items = items.assign(title=None, text=[[] for _ in range(len(items))])
    items["images"] = [[] for _ in range(len(items))]
    Domain.from_tables(items, log, name="shop").save(folder / "shop")
    arguments = ["run", "--domain", str(folder / "shop"), "--output-dir", str(folder / "run")]
    for setting in SETTINGS:
        arguments += ["--set", setting]
    assert main([*arguments, "--quiet"]) == 0
    return folder / "run"


def test_it_recommends_what_belongs_together(run_folder):
    results = {result.name: result for result in Run.open(run_folder).results()}
    best = results.get(WITH_GRAPH, results[MODEL])
    # Five others of its shelf compete with the target, 23 of the shop.
    assert best.metric("HR@5", "unseen_items") > 0.8
    assert results[MODEL].metric("HR@5", "unseen_items") > 0.6
    assert results[POPULARITY].metric("HR@5", "unseen_items") < 0.5
    found = Recommender.from_pretrained(run_folder / "model").recommend(["2-0", "2-3"], top_k=4)
    assert [item.item_id[0] for item in found].count("2") >= 3


def test_ids_come_from_structure_alone(run_folder):
    recommender = Recommender.from_pretrained(run_folder / "model")
    assert not len(recommender.coder.encoders)
    assert list(recommender.coder.fusion.config.modalities) == ["structural"]
    assert not recommender.items.collides.any()
    assert recommender.info["structural"] == "spectral"


def test_new_items_cannot_be_coded_and_the_message_says_why(run_folder):
    recommender = Recommender.from_pretrained(run_folder / "model")
    with pytest.raises(QBert4RecError, match="interactions alone.*train it again"):
        recommender.add_items([{"item_id": "new", "title": "A lamp"}])
    assert len(recommender.items) == SHELVES * PER_SHELF


def test_the_card_promises_no_more(run_folder):
    card = (run_folder / "model" / "README.md").read_text()
    assert "trained on interactions alone, so it cannot code new items" in card
    assert "add_items" not in card


def test_no_other_domain_can_start_from_it(run_folder, shops, tmp_path):
    with pytest.raises(QBert4RecError, match="interactions alone"):
        Run.open(tmp_path / "run", domain=str(shops / "home"), from_model=str(run_folder / "model"))
