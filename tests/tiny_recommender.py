"""A tiny recommender with all its parts: random weights, real encoders, some doubtful titles."""

from __future__ import annotations

import numpy as np
import pandas as pd
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

# Two items have one title, another one's title is an item id, and one has none.
TITLES = ["red tent", "blue lamp", "Camp stove", "rope", "rope", "item-1", None]
TITLES += ["map", "cup & saucer", "<b>bag</b>", "boot", "mug"]
NUM_ITEMS = len(TITLES)


def tiny_recommender(**fields) -> Recommender:
    """`fields` change the sequence model's configuration."""
    rng = np.random.default_rng(0)
    histories = Sequences.from_lists(
        [rng.permutation(NUM_ITEMS)[: rng.integers(2, 6)] for _ in range(40)]
    )
    ids = [f"item-{row}" for row in range(NUM_ITEMS)]
    table = pd.DataFrame({"item_id": ids, "title": TITLES})
    table["text"] = [[f"a thing for {title or 'all'}"] for title in TITLES]
    table["images"] = [[] for _ in TITLES]
    domain = Domain.from_sequences(table, [f"u{row}" for row in range(40)], histories, name="camp")
    encoders = EncoderSet({"text": TfidfTextEncoder(dim=6)}).fit([domain])
    set_seed(0)
    fusion = QBert4RecFusionConfig(
        modalities={"text": encoders.dims["text"]},
        num_items=0,
        hidden_size=8,
        intermediate_size=8,
        num_attention_heads=2,
        max_layers=2,
    )
    quantizer = QBert4RecQuantizerConfig(
        input_size=8, num_levels=3, codebook_size=SIZES, codebook_dim=4, hidden_sizes=[8]
    )
    codes = distinct_codes(NUM_ITEMS)
    return Recommender(
        make_model(codes, ranking_temperature=1.5, **fields),
        ItemCatalog(ids, TITLES, codes.numpy(), SIZES, ["camp"], [NUM_ITEMS]),
        prior=ItemGraphPrior.fit(
            histories, NUM_ITEMS, regularization=5.0, recency={ALL_ITEMS: 0.7, UNSEEN_ITEMS: 0.9}
        ),
        weights={ALL_ITEMS: 0.4, UNSEEN_ITEMS: 0.6},
        seen_weight=0.3,
        exclude_seen=True,
        coder=ItemCoder(
            encoders,
            QBert4RecFusionModel(fusion).eval(),
            QBert4RecQuantizerModel(quantizer).eval(),
        ),
    )
