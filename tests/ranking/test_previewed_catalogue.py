from __future__ import annotations

import pytest
import torch

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.encoder_set import EncoderSet
from qbert4rec_hf.ranking.item_coder import ItemCoder
from qbert4rec_hf.ranking.recommender import Recommender

NEW = {"item_id": "new", "title": "red lamp", "text": ["a rope for boot"]}
BLANK = {"item_id": "blank"}


def test_it_says_what_adding_does_and_changes_nothing(recommender):
    catalog, codes = recommender.catalog, recommender.model.catalog_codes.clone()
    preview, blank = recommender.preview_items([NEW, BLANK])
    assert recommender.catalog is catalog and not recommender.new_items.of("camp")
    torch.testing.assert_close(recommender.model.catalog_codes, codes)
    with pytest.raises(QBert4RecError, match="'new' is not in the catalogue"):
        recommender.recommend(["new"])

    assert recommender.add_items([NEW, BLANK]) == [preview.semantic_id, blank.semantic_id]
    assert recommender.new_items.of("camp") == {"new": preview.speaking, "blank": []}
    assert preview.known and preview.modalities == {"text": True} and len(preview.speaking) == 5
    shared = [neighbour.shared_levels for neighbour in preview.neighbours]
    assert shared == sorted(shared, reverse=True)


def test_nothing_is_said_of_an_item_without_content(recommender):
    (blank,) = recommender.preview_items([BLANK])
    assert not blank.known and blank.modalities == {"text": False}
    assert blank.speaking == [] and blank.neighbours == [] and blank.semantic_id


def test_a_taken_id_is_told_apart_from_the_wanted_one(recommender):
    (first,) = recommender.preview_items([NEW])
    assert first.codes == first.wanted_codes or first.wanted_codes in {
        tuple(codes) for codes in recommender.items.codes.tolist()
    }
    recommender.add_items([NEW])
    (second,) = recommender.preview_items([{**NEW, "item_id": "twin"}])
    assert second.wanted_codes == first.wanted_codes and second.codes != first.codes


def test_wrong_items_and_models_are_named(recommender):
    with pytest.raises(QBert4RecError, match="'item-1' is in the catalogue already"):
        recommender.preview_items([{**NEW, "item_id": "item-1"}])
    with pytest.raises(QBert4RecError, match="item_id"):
        recommender.preview_items([{"title": "red lamp"}])
    with pytest.raises(QBert4RecError, match="neighbours must be at least 1"):
        recommender.preview_items([NEW], neighbours=0)
    without = Recommender(recommender.model, recommender.catalog)
    with pytest.raises(QBert4RecError, match="cannot code new items"):
        without.preview_items([NEW])
    coder = recommender.coder
    recommender.coder = ItemCoder(EncoderSet({}), coder.fusion, coder.quantizer)
    with pytest.raises(QBert4RecError, match="interactions alone"):
        recommender.preview_items([NEW])
