from __future__ import annotations

import copy
import json
import pickle
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import Dataset
from fake_hub import FakeHub
from tiny_recommender import NUM_ITEMS, TITLES, tiny_recommender
from tiny_sequence import SIZES, make_model
from transformers import AutoModelForMaskedLM, AutoTokenizer, pipeline
from transformers.pipelines import PIPELINE_REGISTRY
from transformers.pipelines.pt_utils import KeyDataset

from qbert4rec_hf.hub.pipeline_recommendation import ENTRY, NextItemRecommendationPipeline
from qbert4rec_hf.ranking.pipeline_code import TASK, add_pipeline_code
from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.semantic_ids.catalogue import ItemCatalog
from qbert4rec_hf.semantic_ids.tokenization_semantic_id import QBert4RecTokenizer


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return tiny_recommender()


@pytest.fixture(scope="module")
def folder(recommender, tmp_path_factory):
    return recommender.save_pretrained(tmp_path_factory.mktemp("pipeline") / "model")


@pytest.fixture
def folder_copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.fixture(scope="module")
def recommend(folder) -> NextItemRecommendationPipeline:
    return pipeline(TASK, model=str(folder))


def ids(found) -> list[str]:
    return [item["item_id"] for item in found]


def assert_answers_as(recommender, answers, histories, **arguments):
    """The same items, titles and semantic IDs in the same order; scores to the last digits."""
    expected = recommender.recommend(histories, **arguments)
    assert len(answers) == len(expected)
    for found, wanted in zip(answers, expected, strict=True):
        assert ids(found) == [item.item_id for item in wanted]
        for item, other in zip(found, wanted, strict=True):
            assert set(item) == {"item_id", "title", "score", "semantic_id"}
            assert (item["title"], item["semantic_id"]) == (other.title, other.semantic_id)
            assert item["score"] == pytest.approx(other.score, rel=1e-5)


HISTORIES = [
    [f"item-{row}" for row in np.random.default_rng(seed).integers(0, NUM_ITEMS, size=length)]
    for seed, length in enumerate([1, 2, 3, 6, 7, 11, 0, 30])
]


@pytest.mark.parametrize("exclude_seen", [None, True, False])
def test_it_answers_as_the_recommender_does(recommender, recommend, exclude_seen):
    answers = recommend(HISTORIES, exclude_seen=exclude_seen)
    assert_answers_as(recommender, answers, HISTORIES, exclude_seen=exclude_seen)
    several = recommend(HISTORIES, exclude_seen=exclude_seen, batch_size=3)
    assert_answers_as(recommender, several, HISTORIES, exclude_seen=exclude_seen)


@pytest.mark.parametrize(
    "arguments",
    [
        {"top_k": 1},
        {"top_k": 50},
        {"allowed_items": ["item-2", "item-7", "item-9"], "top_k": 5},
        {"blocked_items": ["item-2", "item-7"]},
        {"allowed_items": ["item-2", "item-7"], "blocked_items": ["item-7"]},
        {"allowed_items": []},
    ],
)
def test_arguments_mean_what_they_mean_there(recommender, recommend, arguments):
    histories = [["item-2"], ["item-7", "item-3"], []]
    assert_answers_as(recommender, recommend(histories, **arguments), histories, **arguments)


def test_items_may_be_written_in_several_ways(recommender, recommend):
    tent, lamp, stove = (recommender.catalog.encode(f"item-{row}") for row in range(3))
    expected = recommend(["item-0", "item-1", "item-2"])
    assert recommend(["Red  TENT", "blue lamp", "camp stove"]) == expected
    assert recommend([tent, lamp, stove]) == expected
    assert recommend([tent, "blue lamp", "item-2"]) == expected
    assert recommend([f"{tent} {lamp}", "item-2"]) == expected
    assert recommend(tent + lamp + stove) == expected
    # A title that begins like a semantic ID, and one that is another item's id.
    assert recommend("<b>bag</b>") == recommend(["item-9"])
    assert recommend(["item-1"]) == recommend(["blue lamp"])
    allowed = recommend(["item-0"], allowed_items=["blue lamp", stove])
    assert set(ids(allowed)) == {"item-1", "item-2"}


def test_one_history_several_and_streams(recommend):
    one = recommend(["item-2", "item-8"])
    assert recommend([["item-2", "item-8"]]) == [one]
    assert recommend((["item-2", "item-8"],)) == [one]
    assert recommend({"history": ["item-2", "item-8"]}) == one
    streamed = recommend(row for row in [["item-2", "item-8"], {"history": ["item-2", "item-8"]}])
    assert not isinstance(streamed, list) and list(streamed) == [one, one]
    assert recommend([]) == recommend([[]])[0]


def test_datasets_stream(recommend):
    table = Dataset.from_dict({"history": [["item-2", "item-8"], ["item-1"], []]})
    expected = recommend([["item-2", "item-8"], ["item-1"], []])
    for rows in (
        table,
        table["history"],
        table.to_iterable_dataset(),
        KeyDataset(table, "history"),
    ):
        streamed = recommend(rows)
        assert not isinstance(streamed, list) and list(streamed) == expected
    assert list(recommend(table.select([]))) == []


@pytest.mark.parametrize(
    ("history", "arguments", "message"),
    [
        (["rope"], {}, "the title 'rope' belongs to several items: 'item-3', 'item-4'; give an"),
        (["item-99"], {}, "'item-99' is no item id, title or semantic ID of the 12 items"),
        (["<a_4><b_3>"], {}, "is no item id, title or semantic ID"),
        (["[MASK][MASK][MASK]"], {}, "is no item id, title or semantic ID"),
        ([["item-1", 3]], {}, "a history is a list of texts, got 3"),
        (3, {}, "a history must be a list of item ids"),
        ([None], {}, "a history must be a list of item ids"),
        (["item-1"], {"top_k": 0}, "top_k must be at least 1, got 0"),
        (["item-1"], {"unknown": "drop"}, "unknown must be 'error' or 'skip'"),
        (["item-1"], {"blocked_items": ["item-99"]}, "'item-99' is no item id"),
    ],
)
def test_bad_input_is_named(recommend, history, arguments, message):
    with pytest.raises(ValueError, match=message.replace("[", r"\[")) as caught:
        recommend(history, **arguments)
    assert "\n" not in str(caught.value)


def test_unknown_entries_may_be_left_out(recommend, caplog):
    assert recommend(["item-99", "item-1"], unknown="skip") == recommend(["item-1"])
    assert "left out 1 unknown entries, such as 'item-99'" in caplog.text


def test_arguments_of_the_pipeline_are_defaults(folder, recommend):
    eager = pipeline(TASK, model=str(folder), top_k=2, exclude_seen=False)
    assert eager(["item-1"]) == recommend(["item-1"], top_k=2, exclude_seen=False)
    assert len(eager(["item-1"], top_k=3)) == 3


def test_the_packages_own_class_answers_without_trust(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config["custom_pipelines"] == {TASK: ENTRY}
    assert type(pipeline(TASK, model=str(folder))) is NextItemRecommendationPipeline
    assert PIPELINE_REGISTRY.supported_tasks[TASK]["impl"] is NextItemRecommendationPipeline
    # A model that is saved by itself has no pipeline beside it and names none.
    model = AutoModelForMaskedLM.from_pretrained(folder)
    assert not getattr(model.config, "custom_pipelines", None)


def test_saved_and_opened_again(recommender, recommend, tmp_path):
    recommend.save_pretrained(tmp_path / "saved")
    assert not list(tmp_path.rglob("*.bin"))
    again = pipeline(TASK, model=str(tmp_path / "saved"))
    assert_answers_as(recommender, again(HISTORIES), HISTORIES)
    assert again.model.origin.place == str(tmp_path / "saved")
    again.save_pretrained(tmp_path / "saved")
    assert Recommender.from_pretrained(tmp_path / "saved").recommend(["item-1"], top_k=1)
    # The model alone, into a folder without the pipeline's code.
    again.model.save_pretrained(tmp_path / "alone")
    assert not json.loads((tmp_path / "alone" / "config.json").read_text()).get("custom_pipelines")


@pytest.mark.parametrize("named", [None, {"other": {"impl": "other.Pipeline"}}])
def test_saving_leaves_the_models_configuration_as_it_was(folder, tmp_path, named):
    found = pipeline(TASK, model=str(folder))
    if named is not None:
        found.model.config.custom_pipelines = named
    found.save_pretrained(tmp_path / "saved")
    config = json.loads((tmp_path / "saved" / "config.json").read_text())
    assert config["custom_pipelines"] == {TASK: ENTRY}
    assert getattr(found.model.config, "custom_pipelines", None) == named


def test_no_token_is_sent_where_none_is_wanted(folder, tmp_path, monkeypatch):
    files = {name: (folder / name).read_bytes() for name in ("config.json", "model.safetensors")}
    with FakeHub() as hub:
        hub.connect(monkeypatch, tmp_path / "home")
        repository = hub.add("tester/camp", {**files, "catalog.json": b"{}"})
        model = AutoModelForMaskedLM.from_pretrained("tester/camp", token=False)
        repository.private = True
        with pytest.raises(OSError, match="tester/camp"):
            model.origin.find("catalog.json")


def test_a_model_from_memory_needs_its_folder(recommender, folder, recommend):
    model = make_model(torch.from_numpy(recommender.catalog.codes), ranking_temperature=1.5)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with pytest.raises(ValueError, match="give the model folder as folder="):
        pipeline(TASK, model=model, tokenizer=tokenizer)
    found = pipeline(TASK, model=model, tokenizer=tokenizer, folder=folder)
    assert found(HISTORIES) == recommend(HISTORIES)


def test_without_an_item_graph(recommender, folder_copy):
    shutil.rmtree(folder_copy / "item_graph")
    alone = Recommender(recommender.model, recommender.catalog)
    assert_answers_as(alone, pipeline(TASK, model=str(folder_copy))(HISTORIES), HISTORIES)


def test_a_graph_in_several_files(recommender, recommend, folder_copy):
    recommender.ranker.prior.save(folder_copy / "item_graph", max_shard_size=200)
    assert len(list((folder_copy / "item_graph").glob("*.safetensors"))) > 3
    assert pipeline(TASK, model=str(folder_copy))(HISTORIES) == recommend(HISTORIES)
    pipeline(TASK, model=str(folder_copy)).save_pretrained(folder_copy.parent / "saved")
    assert pipeline(TASK, model=str(folder_copy.parent / "saved"))([]) == recommend([])


def test_items_that_joined_after_training(tmp_path):
    recommender = tiny_recommender()
    recommender.add_items([{"item_id": f"new-{n}", "title": f"tent {n}"} for n in range(3)])
    histories = [*HISTORIES, ["new-0"], ["item-4", "new-2", "new-1"]]
    # The second one is known to the item graph by now.
    log = [("u", "item-1", 1), ("u", "new-1", 2), ("v", "item-0", 1), ("v", "item-3", 2)]
    recommender.save_pretrained(tmp_path / "grown")
    assert_answers_as(recommender, pipeline(TASK, str(tmp_path / "grown"))(histories), histories)
    recommender.update(pd.DataFrame(log, columns=["user_id", "item_id", "timestamp"]))
    recommender.save_pretrained(tmp_path / "later")
    found = pipeline(TASK, str(tmp_path / "later"))
    assert_answers_as(recommender, found(histories), histories)
    found.save_pretrained(tmp_path / "saved")
    assert pipeline(TASK, str(tmp_path / "saved"))(histories) == found(histories)


def test_one_domain_of_several(tmp_path):
    codes = torch.cartesian_prod(*[torch.arange(size) for size in SIZES])[:9]
    codes[5:] = codes[:4]  # a semantic ID belongs to one item a domain
    model = make_model(codes, num_items=[5, 4])
    items = ["a", "b", "c", "d", "e", "a", "b", "x", "y"]
    titles = [f"title of {row}" for row in range(9)]
    catalog = ItemCatalog(items, titles, codes.numpy(), SIZES, ["one", "two"], [5, 4])
    model.save_pretrained(tmp_path)
    catalog.save(tmp_path)
    QBert4RecTokenizer.from_codebook_sizes(SIZES).save_pretrained(tmp_path)
    add_pipeline_code(tmp_path)
    for domain in ("one", "two", None):
        found = pipeline(TASK, model=str(tmp_path), domain=domain)
        expected = Recommender(model, catalog, domain=domain or "one")
        assert_answers_as(expected, found([["a"], ["a", "b"]]), [["a"], ["a", "b"]])
    assert pipeline(TASK, model=str(tmp_path), domain="two")("title of 8", top_k=1)
    with pytest.raises(ValueError, match="there is no domain 'three', only one, two"):
        pipeline(TASK, model=str(tmp_path), domain="three")


def test_shared_semantic_ids(tmp_path):
    codes = torch.tensor([[0, 0, 0], [1, 1, 1], [1, 1, 1]])
    catalog = ItemCatalog(["a", "b", "c"], [None] * 3, codes, SIZES, ["x"], [3], allow_shared=True)
    recommender = Recommender(make_model(codes), catalog)
    found = pipeline(TASK, model=str(recommender.save_pretrained(tmp_path / "model")))
    with pytest.raises(ValueError, match="belongs to several items: 'b', 'c'"):
        found(catalog.encode("b"))
    assert_answers_as(recommender, found([["b"], ["a"]]), [["b"], ["a"]])


def _lose(name):
    return lambda folder: (folder / name).unlink()


def _write(name, **fields):
    def change(folder):
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**content, **fields}))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_lose("catalog.parquet"), "are not beside the model"),
        (_lose("catalog.json"), "are not beside the model"),
        (_lose("item_graph/item_graph.safetensors"), "item_graph.safetensors is missing"),
        (_write("catalog.json", format_version=2), "catalog.json is newer than this pipeline"),
        (
            lambda f: (f / "new_items.json").write_text('{"neighbours": {"camp": {"x": ["y"]}}}'),
            "new_items.json names item 'x', which the catalogue lacks",
        ),
        (
            lambda f: (f / "recommender.json").write_text("[]"),
            "recommender.json does not hold what belongs there; fetch it again",
        ),
        (_write("catalog.json", format_version="x"), "catalog.json does not hold what belongs"),
        (_write("item_graph/item_graph.json", files=["../../x"]), "not beside it"),
        (lambda f: (f / "recommender.json").write_text("{"), "recommender.json is not valid JSON"),
        (lambda f: make_model().save_pretrained(f), "are not those which the model ranks"),
    ],
)
def test_a_damaged_folder_is_named(folder_copy, change, message):
    change(folder_copy)
    with pytest.raises(ValueError, match=message) as caught:
        pipeline(TASK, model=str(folder_copy))
    assert "\n" not in str(caught.value)


def test_a_token_stays_in_the_process(folder):
    model = AutoModelForMaskedLM.from_pretrained(folder, token="hf_secret", revision="main")
    for other in (pickle.dumps(model), pickle.dumps(copy.deepcopy(model)), repr(model.origin)):
        assert "hf_secret" not in str(other)
    assert pickle.loads(pickle.dumps(model)).origin.find("catalog.parquet")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_fill_mask_over_semantic_ids(recommender, folder, dtype):
    fill = pipeline("fill-mask", model=str(folder), dtype=dtype)
    item = recommender.catalog.encode("item-0")
    levels = recommender.tokenizer.tokenize(item)
    middle = fill(item + levels[0] + "[MASK]" + levels[2], top_k=SIZES[1])
    # Every code of the level, and nothing else, however small its probability.
    assert {guess["token_str"] for guess in middle} == {f"<b_{code}>" for code in range(SIZES[1])}
    assert sum(guess["score"] for guess in middle) == pytest.approx(1.0, abs=0.02)
    assert middle[0]["sequence"] == item + levels[0] + middle[0]["token_str"] + levels[2]
    whole = fill(item + "[MASK][MASK][MASK]", top_k=2)
    for level, guesses in zip("abc", whole, strict=True):
        assert all(guess["token_str"].startswith(f"<{level}_") for guess in guesses)


def test_titles_are_plain_values(recommend):
    titles = {item["title"] for item in recommend([], top_k=NUM_ITEMS)}
    assert titles == set(TITLES)
