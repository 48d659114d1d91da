"""The pipeline re-ranks as `Recommender.recommend` does, with the package and without it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import every_way_to_open
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_recommender import NUM_ITEMS, tiny_recommender
from transformers import pipeline

from qbert4rec_hf.hub.pipeline_reranker import FEATURES as FEATURES_OF_PIPELINE
from qbert4rec_hf.ranking.pipeline_code import TASK
from qbert4rec_hf.ranking.ranks import PROTOCOLS
from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.ranking.reranker import FEATURES, Reranker

LENGTHS = (1, 4, 9, NUM_ITEMS, 100)
HISTORIES = [
    [f"item-{row}" for row in np.random.default_rng(seed).integers(0, NUM_ITEMS, size=length)]
    for seed, length in enumerate([1, 2, 3, 6, 7, 11, 0, 30])
]
HISTORIES.append([f"item-{row}" for row in range(NUM_ITEMS)])
NEW_HISTORIES = [*HISTORIES, ["new-0"], ["item-4", "new-2", "new-1"]]
WITHOUT_THE_PACKAGE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from every_way_to_open import NoPackage
sys.meta_path.insert(0, NoPackage())
from transformers import pipeline
answers = []
for place, histories, exclude_seen in json.load(sys.stdin):
    ask = pipeline("next-item-recommendation", model=place, trust_remote_code=True, device="cpu")
    answers.append(ask(histories, exclude_seen=exclude_seen, top_k=50, batch_size=4))
assert not [name for name in sys.modules if name.startswith("qbert4rec_hf")]
with open("answers.json", "w", encoding="utf-8") as file:
    json.dump(answers, file)
"""


def reranking_recommender(length: int) -> Recommender:
    """The tiny one with a re-ranker of random weights, strong enough to change the order."""
    torch.manual_seed(2)
    reranker = Reranker(hidden_size=8, length=length)
    with torch.no_grad():
        reranker.mean.copy_(torch.rand(len(FEATURES)))
        reranker.scale.copy_(torch.rand(len(FEATURES)) + 0.5)
        reranker.out.weight.mul_(5)
    recommender = tiny_recommender()
    recommender.ranker = recommender.ranker.with_reranker(reranker)
    return recommender


@pytest.fixture(scope="module")
def recommenders(tmp_path_factory) -> dict[int, tuple[Recommender, Path]]:
    """Recommender and model folder by length of the list."""
    folder = tmp_path_factory.mktemp("reranker")
    made = {length: reranking_recommender(length) for length in LENGTHS}
    return {n: (one, one.save_pretrained(folder / f"model-{n}")) for n, one in made.items()}


@pytest.fixture
def folder_copy(recommenders, tmp_path) -> Path:
    return shutil.copytree(recommenders[4][1], tmp_path / "copy")


def assert_answers_as(recommender, answers, histories, exclude_seen):
    expected = recommender.recommend(histories, exclude_seen=exclude_seen, top_k=50)
    assert len(answers) == len(expected)
    for found, wanted in zip(answers, expected, strict=True):
        assert [item["item_id"] for item in found] == [item.item_id for item in wanted]
        scores = [item.score for item in wanted]
        assert [item["score"] for item in found] == pytest.approx(scores, rel=1e-5, abs=1e-9)


def test_both_read_the_same_of_an_item():
    assert FEATURES_OF_PIPELINE == FEATURES


@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("length", LENGTHS)
def test_it_answers_as_the_recommender_does(recommenders, length, exclude_seen):
    recommender, folder = recommenders[length]
    ask = pipeline(TASK, model=str(folder), exclude_seen=exclude_seen, top_k=50)
    assert_answers_as(recommender, ask(HISTORIES), HISTORIES, exclude_seen)
    assert_answers_as(recommender, ask(HISTORIES, batch_size=4), HISTORIES, exclude_seen)
    if length > 1:
        # The comparison says nothing where the re-ranker leaves all as it is.
        plain = tiny_recommender().recommend(HISTORIES[:5], exclude_seen=exclude_seen)
        again = recommender.recommend(HISTORIES[:5], exclude_seen=exclude_seen)
        first = [[(item.item_id, item.score) for item in row[:4]] for row in plain]
        second = [[(item.item_id, item.score) for item in row[:4]] for row in again]
        assert all(before != after for before, after in zip(first, second, strict=True))
        orders = [[[item.item_id for item in row] for row in found] for found in (plain, again)]
        assert orders[0] != orders[1]


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_it_re_ranks_where_the_graph_has_no_share(tmp_path, exclude_seen):
    recommender = reranking_recommender(5)
    recommender.ranker.weights = dict.fromkeys(PROTOCOLS, 0.0)
    folder = recommender.save_pretrained(tmp_path / "model")
    ask = pipeline(TASK, model=str(folder), exclude_seen=exclude_seen, top_k=50)
    assert_answers_as(recommender, ask(HISTORIES), HISTORIES, exclude_seen)


def grown(length: int, folder: Path) -> Recommender:
    """One with three items that joined after training, saved to `folder` and opened from there."""
    recommender = reranking_recommender(length)
    recommender.add_items([{"item_id": f"new-{n}", "title": f"tent {n}"} for n in range(3)])
    recommender.save_pretrained(folder)
    # The tiny encoders find one set of neighbours for all three, and so three equal scores. Which
    # of those is larger in the last digits, and so the ranks that the network reads, depends on
    # the batch.
    neighbours = [["item-3", "item-9"], ["item-2", "item-7"], ["item-11", "item-0", "item-5"]]
    content = json.loads((folder / "new_items.json").read_text())
    content["neighbours"]["camp"] = {f"new-{n}": ids for n, ids in enumerate(neighbours)}
    (folder / "new_items.json").write_text(json.dumps(content))
    return Recommender.from_pretrained(folder)


@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("length", [4, 100])
def test_items_that_joined_after_training(tmp_path, length, exclude_seen):
    folder = tmp_path / "grown"
    recommender = grown(length, folder)
    ask = pipeline(TASK, model=str(folder), exclude_seen=exclude_seen, top_k=50)
    assert_answers_as(recommender, ask(NEW_HISTORIES), NEW_HISTORIES, exclude_seen)
    # The second new item is known to the graph by now.
    log = [("u", "item-1", 1), ("u", "new-1", 2), ("v", "item-0", 1), ("v", "item-3", 2)]
    recommender.update(pd.DataFrame(log, columns=["user_id", "item_id", "timestamp"]))
    folder = recommender.save_pretrained(tmp_path / "later")
    ask = pipeline(TASK, model=str(folder), exclude_seen=exclude_seen, top_k=50)
    assert_answers_as(recommender, ask(NEW_HISTORIES), NEW_HISTORIES, exclude_seen)


def test_the_uploaded_code_answers_so_without_the_package(recommenders, tmp_path):
    folder = tmp_path / "grown"
    cases = [(*recommenders[length], HISTORIES) for length in (4, 100)]
    cases.append((grown(4, folder), folder, NEW_HISTORIES))
    cases = [(*case, exclude_seen) for case in cases for exclude_seen in (True, False)]
    done = subprocess.run(
        [sys.executable, "-I", "-c", WITHOUT_THE_PACKAGE, Path(every_way_to_open.__file__).parent],
        input=json.dumps([(str(folder), *asked) for _, folder, *asked in cases]),
        cwd=tmp_path,
        env={"HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads((tmp_path / "answers.json").read_text())
    for (recommender, _, *asked), found in zip(cases, answers, strict=True):
        assert_answers_as(recommender, found, *asked)


def test_saving_the_pipeline_takes_it_along(recommenders, tmp_path):
    recommender, folder = recommenders[4]
    pipeline(TASK, model=str(folder)).save_pretrained(tmp_path / "saved")
    names = {"reranker/reranker.json", "reranker/reranker.safetensors", "pipeline_reranker.py"}
    for name in names:
        assert (tmp_path / "saved" / name).read_bytes() == (folder / name).read_bytes()
    again = pipeline(TASK, model=str(tmp_path / "saved"), top_k=50)
    assert_answers_as(recommender, again(HISTORIES), HISTORIES, True)
    assert isinstance(Recommender.from_pretrained(folder).ranker.reranker, Reranker)


def test_a_folder_without_one(tmp_path):
    folder = tiny_recommender().save_pretrained(tmp_path / "model")
    found = pipeline(TASK, model=str(folder))
    assert found.reranker is None
    found.save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved" / "reranker").exists()


def test_without_an_item_graph_nothing_is_re_ranked(folder_copy):
    shutil.rmtree(folder_copy / "item_graph")
    recommender = tiny_recommender()
    alone = Recommender(recommender.model, recommender.catalog)
    found = pipeline(TASK, model=str(folder_copy), top_k=50)(HISTORIES)
    assert_answers_as(alone, found, HISTORIES, True)


def _write(**fields):
    def change(folder: Path) -> None:
        content = json.loads((folder / "reranker.json").read_text())
        content = {name: value for name, value in {**content, **fields}.items() if value}
        (folder / "reranker.json").write_text(json.dumps(content))

    return change


def _without(name):
    def change(folder: Path) -> None:
        tensors = load_file(folder / "reranker.safetensors")
        # Read lazily from the file that is about to be replaced.
        tensors = {key: value.clone() for key, value in tensors.items() if key != name}
        save_file(tensors, folder / "reranker.safetensors")

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda folder: (folder / "reranker.safetensors").unlink(),
            "reranker/reranker.safetensors is missing; copy the whole model folder",
        ),
        (_write(format_version=2), "reranker.json is newer than this pipeline"),
        (_write(features=["model"]), "names features that this pipeline does not know"),
        (_write(length=None), "lacks length; fetch the folder again"),
        (_without("out.weight"), "lacks out.weight; fetch the folder again"),
        (_without("mean"), "lacks mean; fetch the folder again"),
    ],
)
def test_a_damaged_re_ranker_is_named(folder_copy, change, message):
    change(folder_copy / "reranker")
    with pytest.raises(ValueError, match=message) as caught:
        pipeline(TASK, model=str(folder_copy))
    assert "\n" not in str(caught.value)
