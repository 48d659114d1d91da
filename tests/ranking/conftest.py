"""A tiny recommender with all its parts; random weights, real encoders."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_sequence import SIZES, distinct_codes, make_model
from transformers import set_seed

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.features.encoder_set import EncoderSet
from qbert4rec_hf.features.tfidf import TfidfTextEncoder
from qbert4rec_hf.fusion.configuration_fusion import QBert4RecFusionConfig
from qbert4rec_hf.fusion.modeling_fusion import QBert4RecFusionModel
from qbert4rec_hf.quantizer.configuration_quantizer import QBert4RecQuantizerConfig
from qbert4rec_hf.quantizer.modeling_quantizer import QBert4RecQuantizerModel
from qbert4rec_hf.ranking.item_coder import ItemCoder
from qbert4rec_hf.ranking.item_graph import ItemGraphPrior
from qbert4rec_hf.ranking.ranks import ALL_ITEMS, UNSEEN_ITEMS
from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.semantic_ids.catalogue import ItemCatalog

WORDS = ("red", "blue", "tent", "lamp", "stove", "rope", "boot", "map", "cup", "bag")


def item_table(count: int, start: int = 0) -> pd.DataFrame:
    rows = range(start, start + count)
    return pd.DataFrame(
        {
            "item_id": [f"item-{row}" for row in rows],
            "title": [f"{WORDS[row % 10]} {WORDS[(row * 3 + 1) % 10]}" for row in rows],
            "text": [[f"a {WORDS[(row * 7) % 10]} for {WORDS[(row + 4) % 10]}"] for row in rows],
            "images": [[] for _ in rows],
        }
    )


@pytest.fixture(scope="session")
def histories() -> Sequences:
    rng = np.random.default_rng(0)
    return Sequences.from_lists([rng.permutation(10)[: rng.integers(2, 6)] for _ in range(40)])


@pytest.fixture(scope="session")
def coder(histories) -> ItemCoder:
    domain = Domain.from_sequences(
        item_table(10), [f"u{i}" for i in range(len(histories))], histories, name="camp"
    )
    encoders = EncoderSet({"text": TfidfTextEncoder(dim=6)}).fit([domain])
    set_seed(0)
    fusion = QBert4RecFusionModel(
        QBert4RecFusionConfig(
            modalities={"text": encoders.dims["text"]},
            num_items=0,
            hidden_size=8,
            intermediate_size=8,
            num_attention_heads=2,
            max_layers=2,
        )
    )
    quantizer = QBert4RecQuantizerModel(
        QBert4RecQuantizerConfig(
            input_size=8, num_levels=3, codebook_size=SIZES, codebook_dim=4, hidden_sizes=[8]
        )
    )
    return ItemCoder(encoders, fusion.eval(), quantizer.eval())


@pytest.fixture
def recommender(histories, coder) -> Recommender:
    codes = distinct_codes(10)
    table = item_table(10)
    return Recommender(
        make_model(codes, ranking_temperature=1.5),
        ItemCatalog(
            table["item_id"].tolist(), table["title"].tolist(), codes.numpy(), SIZES, ["camp"], [10]
        ),
        prior=ItemGraphPrior.fit(histories, 10, regularization=5.0, recency=0.8),
        weights={ALL_ITEMS: 0.4, UNSEEN_ITEMS: 0.6},
        seen_weight=0.3,
        exclude_seen=True,
        coder=coder,
    )


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield
