"""The demo shops: deterministic, complete with oddities, and worth learning from."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

from qbert4rec_hf.data.demo import DEMO_PRETRAIN, DEMO_TARGET, make_demo_domains
from qbert4rec_hf.data.demo.catalog import make_catalog
from qbert4rec_hf.data.demo.categories_home import HOME_CATEGORIES
from qbert4rec_hf.data.demo.histories import make_interactions
from qbert4rec_hf.data.demo.images import draw_product
from qbert4rec_hf.data.demo.vocabulary import BRANDS, CATEGORIES
from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.split import leave_one_out
from qbert4rec_hf.errors import QBert4RecError


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def shops(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    return folder, make_demo_domains(folder, seed=1, scale=0.1)


def test_the_seed_decides_every_byte(shops, tmp_path):
    folder, paths = shops
    assert [path.name for path in paths] == [*DEMO_PRETRAIN, DEMO_TARGET]
    make_demo_domains(tmp_path / "again", seed=1, scale=0.1)
    assert digests(tmp_path / "again") == digests(folder)
    make_demo_domains(tmp_path / "other", seed=2, scale=0.1)
    other = digests(tmp_path / "other")
    assert other["home/interactions.parquet"] != digests(folder)["home/interactions.parquet"]


def test_shops_have_the_gaps_of_real_ones(shops):
    for path in shops[1]:
        domain = Domain.load(path)
        items = domain.items
        assert items["title"].isna().any()
        assert (items["text"].str.len() == 0).any()
        assert (items["images"].str.len() == 0).any()
        # Something is left to tell every item by.
        assert not ((items["text"].str.len() == 0) & (items["images"].str.len() == 0)).any()
        users, sequences = domain.sequences()
        train = leave_one_out(sequences, users).train
        assert (np.bincount(train.items, minlength=len(domain)) == 0).any()
        assert not domain.info.repeats and domain.info.time_order == "timestamps"
        # Neither rows nor ids are sorted by what the items are.
        assert items["category"].tolist() != sorted(items["category"])


def test_some_products_are_listed_twice(shops):
    path = shops[1][0]
    items = Domain.load(path).items
    shown = items[items["title"].notna()]
    twins = shown[shown.duplicated(["title", "price"], keep=False)].sort_values("title")
    assert len(twins) >= 2
    first, second = twins.iloc[0], twins.iloc[1]
    assert first["text"] == second["text"] and first["item_id"] != second["item_id"]
    assert first["images"] != second["images"]
    for one, other in zip(first["images"], second["images"], strict=True):
        assert (path / one).read_bytes() == (path / other).read_bytes()


def test_pictures_open(shops):
    path = shops[1][2]
    images = [image for images in Domain.load(path).items["images"] for image in images]
    assert images
    for image in images:
        with Image.open(path / image) as picture:
            assert picture.size == (96, 96) and picture.mode == "RGB"


def test_the_target_shares_some_categories(shops):
    *sources, target = [set(Domain.load(path).items["category"]) for path in shops[1]]
    assert target & (sources[0] | sources[1])


def test_every_kind_can_be_drawn_and_looks_different():
    names = tuple(category.name for category in CATEGORIES)
    kinds = sum(len(category.kinds) for category in CATEGORIES)
    products = make_catalog(names, 3 * kinds + 3, "X", np.random.default_rng(0))
    pictures = {}
    for product in products:
        array = np.asarray(draw_product(product), dtype=float)
        pictures.setdefault((product.category.name, product.kind.name), array)
    assert len(pictures) == kinds
    distances = [
        np.abs(one - other).mean()
        for place, one in enumerate(pictures.values())
        for other in list(pictures.values())[:place]
    ]
    assert min(distances) > 0


def test_vocabulary_fits_together():
    names = {category.name for category in CATEGORIES}
    assert len(names) == len(CATEGORIES) and set(HOME_CATEGORIES) < set(CATEGORIES)
    for category in CATEGORIES:
        assert category.leads_to in names - {category.name}
        assert len(category.kinds) == 6
        assert sum(category.department in brand.departments for brand in BRANDS) >= 4


def test_knowing_the_order_of_purchases_beats_popularity():
    rng = np.random.default_rng(0)
    products = make_catalog(("Camping", "Cycling", "Hiking", "Running"), 320, "X", rng)
    rows = {product.item_id: row for row, product in enumerate(products)}
    table = make_interactions(products, 500, 8, rng)
    histories = table["item_id"].map(rows).groupby(table["user_id"]).agg(list)
    histories = [history for history in histories if len(history) >= 3]
    kinds = {product.kind.name: number for number, product in enumerate(products)}
    kind = np.array([kinds[product.kind.name] for product in products])
    moves = np.zeros((len(products), len(products)))
    bought = np.zeros(len(products))
    for history in histories:
        np.add.at(moves, (kind[history[:-2]], kind[history[1:-1]]), 1)
        np.add.at(bought, history[:-1], 1)
    by_move = moves[kind[[history[-2] for history in histories]]][:, kind] + bought / 1e6
    targets = np.array([history[-1] for history in histories])

    def hit_rate(scores):
        rank = (scores >= scores[np.arange(len(targets)), targets][:, None]).sum(axis=1)
        return (rank <= 10).mean()

    popular = hit_rate(np.tile(bought, (len(targets), 1)))
    assert popular < 0.15
    assert hit_rate(by_move) > max(0.3, 3 * popular)


def test_cold_items_are_nobodys_last_but_one_however_ties_fall():
    rng = np.random.default_rng(3)
    products = make_catalog(("Camping", "Cycling"), 120, "X", rng)
    cold = {product.item_id for product in products if product.is_cold}
    table = make_interactions(products, 4000, 6, rng)
    taken = table[table["item_id"].isin(cold)]
    latest = table.groupby("user_id")["timestamp"]
    ties = (table["timestamp"] == table["user_id"].map(latest.max())).groupby(table["user_id"])
    # Each is the only interaction at its user's latest time.
    assert len(taken) > 30
    assert (taken["timestamp"] == taken["user_id"].map(latest.max())).all()
    assert (taken["user_id"].map(ties.sum()) == 1).all()


@pytest.mark.parametrize("scale", [0, -1.0, float("nan")])
def test_a_scale_of_nothing_is_refused(tmp_path, scale):
    with pytest.raises(QBert4RecError, match="scale must be above 0"):
        make_demo_domains(tmp_path, scale=scale)
