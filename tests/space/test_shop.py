from __future__ import annotations

import numpy as np
import pytest
import yaml
from storefront.shop import Shop, open_shop

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.ranking.recommender import Recommender


def test_search_wants_every_word_and_knows_accents(shop):
    assert shop.search("TENT red", 9) == (["item-0"], 1)
    assert shop.search("boot", 9) == (["item-10"], 1)
    assert shop.search("tent blue", 9) == ([], 0)
    found, total = shop.search("rope", 1)
    assert total == 2 and len(found) == 1


def test_an_id_written_out_comes_first(shop):
    # item-5 has another item's id as its title, item-10 and item-11 begin with it.
    found, total = shop.search("item-1", 9)
    assert found[0] == "item-1" and total == 4
    assert set(found[1:]) == {"item-5", "item-10", "item-11"}


def test_without_a_query_the_popular_ones_are_shown(shop, recommender):
    found, total = shop.search("  ", 3)
    popularity = recommender.ranker.prior.popularity
    assert total == len(shop) == 12
    assert found == [f"item-{row}" for row in np.argsort(-popularity, kind="stable")[:3]]
    bare = Shop(Recommender(recommender.model, recommender.catalog))
    assert bare.search("", 2)[0] == ["item-0", "item-1"]


def test_an_item_without_title_is_called_by_its_id(shop):
    assert shop.plain_title("item-6") == "Item item-6"
    assert "item-6" in shop and "nowhere" not in shop and None not in shop


def test_the_domain_of_the_run_gives_the_pictures(recommender, tmp_path):
    from PIL import Image

    recommender.save_pretrained(tmp_path / "run" / "model")
    assert open_shop(tmp_path / "run" / "model").pictures.uri("item-0") is None

    import pandas as pd

    domain = tmp_path / "camp"
    domain.mkdir()
    Image.new("RGB", (8, 8), "red").save(domain / "tent.png")
    items = pd.DataFrame({"item_id": recommender.items.item_ids, "title": None})
    items["text"] = [[] for _ in range(12)]
    items["images"] = [["tent.png"] if row == 0 else [] for row in range(12)]
    items.to_parquet(domain / "items.parquet")
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump({"domain": str(domain)}))
    pictures = open_shop(tmp_path / "run" / "model").pictures
    assert pictures.uri("item-0").startswith("data:image/jpeg;base64,")
    assert pictures.uri("item-1") is None
    # A run of another shop has other pictures.
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump({"domain": str(tmp_path)}))
    assert open_shop(tmp_path / "run" / "model").pictures.uri("item-0") is None


def test_what_is_missing_is_named(recommender, tmp_path):
    with pytest.raises(QBert4RecError, match="neither a folder nor a repository"):
        open_shop(tmp_path / "nowhere")
    recommender.save_pretrained(tmp_path / "model")
    with pytest.raises(QBert4RecError, match="pictures"):
        open_shop(tmp_path / "model", domain=tmp_path / "pictures")
    with pytest.raises(QBert4RecError, match="no domain 'x'"):
        open_shop(tmp_path / "model", catalogue="x")
