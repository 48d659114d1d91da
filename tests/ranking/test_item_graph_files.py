from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.ranking.item_graph import INFO_FILE, ItemGraphPrior
from qbert4rec_hf.ranking.item_graph_files import GRAPH_FILE, read_arrays, write_arrays
from qbert4rec_hf.ranking.recommender import Recommender


@pytest.fixture
def prior(histories) -> ItemGraphPrior:
    # So strong a penalty leaves counts of pairs: every one of them is positive.
    return ItemGraphPrior.fit(histories, 10, regularization=5000.0)


def same(first: ItemGraphPrior, second: ItemGraphPrior) -> bool:
    pairs = [(first.weights.data, second.weights.data)]
    pairs += [(first.weights.indices, second.weights.indices)]
    pairs += [(first.weights.indptr, second.weights.indptr), (first.popularity, second.popularity)]
    return first.info == second.info and all(np.array_equal(one, two) for one, two in pairs)


# Whole files, a rest in the last one, one weight a file.
@pytest.mark.parametrize(("weights", "files"), [(9000, 1), (90, 1), (89, 2), (12, 8), (0, 90)])
def test_any_number_of_files(prior, tmp_path, weights, files):
    assert prior.weights.nnz == 90
    size = weights * (prior.weights.data.itemsize + prior.weights.indices.itemsize)
    prior.save(tmp_path / "graph", max_shard_size=size)
    found = sorted(path.name for path in (tmp_path / "graph").glob("*.safetensors"))
    assert len(found) == files
    if files == 1:
        assert found == [GRAPH_FILE]
        assert "files" not in json.loads((tmp_path / "graph" / INFO_FILE).read_text())
    else:
        assert found[1] == f"item_graph-00002-of-{files:05d}.safetensors"
        assert "row_starts" not in load_file(tmp_path / "graph" / found[1])
    opened = ItemGraphPrior.load(tmp_path / "graph")
    assert same(opened, prior)
    # Saved again as one file, and nothing of the others stays.
    opened.save(tmp_path / "graph")
    assert len(list((tmp_path / "graph").iterdir())) == 2
    assert same(ItemGraphPrior.load(tmp_path / "graph"), prior)


def test_a_graph_without_weights(tmp_path):
    arrays = {"weights": np.zeros(0, np.float32), "columns": np.zeros(0, np.int32)}
    names = write_arrays(tmp_path, {**arrays, "popularity": np.zeros(3, np.int64)}, 8)
    assert names == [GRAPH_FILE]
    assert len(read_arrays(tmp_path, names)["weights"]) == 0


def test_what_is_wrong_is_named(prior, tmp_path):
    prior.save(tmp_path / "graph", max_shard_size=150)
    (tmp_path / "graph" / "item_graph-00003-of-00008.safetensors").unlink()
    with pytest.raises(QBert4RecError, match="item_graph-00003-of-00008.safetensors does not exis"):
        ItemGraphPrior.load(tmp_path / "graph")
    path = tmp_path / "graph" / INFO_FILE
    for files in (["../outside.safetensors"], [], ["sub/x.safetensors"]):
        path.write_text(json.dumps({**json.loads(path.read_text()), "files": files}))
        with pytest.raises(QBert4RecError, match=r"item_graph.*fit and save the graph again"):
            ItemGraphPrior.load(tmp_path / "graph")


def test_a_whole_model_folder_in_shards(recommender, tmp_path):
    folder = recommender.save_pretrained(tmp_path / "model", max_shard_size=4000)
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    assert len(json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]) > 20
    recommender.save_pretrained(folder, max_shard_size=200)
    assert len(list((folder / "item_graph").glob("*-of-*.safetensors"))) > 3
    opened = Recommender.from_pretrained(folder)
    histories = [["item-1"], ["item-2", "item-8"], []]
    assert opened.recommend(histories) == recommender.recommend(histories)
