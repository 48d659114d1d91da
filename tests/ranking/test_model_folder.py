from __future__ import annotations

import json

import pytest
import torch
from fake_hub import FakeHub
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

import qbert4rec_hf  # noqa: F401 - registers the families
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.ranking.recommender import Recommender


@pytest.fixture
def folder(recommender, tmp_path):
    return recommender.save_pretrained(tmp_path / "model")


def test_everything_comes_back(recommender, folder):
    opened = Recommender.from_pretrained(folder)
    histories = [["item-1"], ["item-2", "item-8"], []]
    assert opened.recommend(histories) == recommender.recommend(histories)
    assert opened.ranker.weights == recommender.ranker.weights
    assert opened.ranker.seen_weight == recommender.ranker.seen_weight == 0.3
    assert opened.exclude_seen and opened.domain == "camp"
    new = [{"item_id": "new", "title": "blue cup"}]
    assert opened.add_items(new) == recommender.add_items(new)


def test_grown_catalogue_is_saved(recommender, tmp_path):
    recommender.add_items([{"item_id": "new", "title": "blue cup"}])
    opened = Recommender.from_pretrained(recommender.save_pretrained(tmp_path / "grown"))
    assert opened.recommend(["new", "item-2"]) == recommender.recommend(["new", "item-2"])


def test_the_card_goes_wherever_the_model_goes(recommender, folder, tmp_path, monkeypatch):
    assert not (folder / "README.md").exists()
    (folder / "README.md").write_text("# Nüsse\n", encoding="utf-8")
    opened = Recommender.from_pretrained(folder)
    copy = opened.save_pretrained(tmp_path / "copy")
    assert (copy / "README.md").read_text(encoding="utf-8") == "# Nüsse\n"
    opened.save_pretrained(folder)
    assert (folder / "README.md").exists()
    with FakeHub() as hub:
        hub.connect(monkeypatch, tmp_path / "home")
        address = Recommender.from_pretrained(copy).push_to_hub("shop/camp")
        assert address == f"{hub.url}/shop/camp/commit/{hub.history('shop/camp')[0].id}"
        assert hub.files("shop/camp")["README.md"].decode() == "# Nüsse\n"


def test_the_folder_is_a_plain_transformers_model(recommender, folder):
    model = AutoModelForMaskedLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(recommender.catalog.encode("item-4"), return_tensors="pt")
    torch.testing.assert_close(
        model.score_items(inputs["input_ids"]),
        recommender.model.score_items(inputs["input_ids"]),
        rtol=0,
        atol=0,
    )
    assert AutoModel.from_pretrained(folder).config.model_type == "qbert4rec"
    for name in ("fusion", "quantizer"):
        assert AutoModel.from_pretrained(folder / name).config.model_type == f"qbert4rec_{name}"


def test_no_pickle_in_the_folder(folder):
    suffixes = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".safetensors", ".parquet", ".py", ".txt"}


def test_a_stage_of_a_run_is_not_replaced(recommender, folder):
    (folder / "stage.json").write_text("{}")
    before = (folder / "catalog.parquet").read_bytes()
    recommender.add_items([{"item_id": "new", "title": "blue cup"}])
    with pytest.raises(QBert4RecError, match="stage of a run.*folder of its own"):
        recommender.save_pretrained(folder)
    assert (folder / "catalog.parquet").read_bytes() == before
    assert list(folder.parent.iterdir()) == [folder]


def test_code_of_others_is_trusted_for_this_time_only(recommender, folder, tmp_path):
    assert not Recommender.from_pretrained(folder).coder.encoders["text"].trust_remote_code
    trusting = Recommender.from_pretrained(folder, trust_remote_code=True)
    assert trusting.coder.encoders["text"].trust_remote_code
    again = trusting.save_pretrained(tmp_path / "again")
    assert not Recommender.from_pretrained(again).coder.encoders["text"].trust_remote_code


def test_saving_over_a_folder_replaces_it(recommender, folder):
    (folder / "stale.txt").write_text("x")
    recommender.save_pretrained(folder)
    assert not (folder / "stale.txt").exists()
    assert list(folder.parent.iterdir()) == [folder]


def test_a_catalogue_of_another_run_is_refused(folder):
    info = json.loads((folder / "config.json").read_text())
    info["catalog_fingerprint"] = "0" * 16
    (folder / "config.json").write_text(json.dumps(info))
    with pytest.raises(QBert4RecError, match="do not belong together"):
        Recommender.from_pretrained(folder)


def test_another_family_is_named(folder):
    with pytest.raises(QBert4RecError, match="'qbert4rec_fusion', not 'qbert4rec'"):
        Recommender.from_pretrained(folder / "fusion")


def test_missing_and_damaged_parts_are_named(folder, tmp_path):
    with pytest.raises(QBert4RecError, match="config.json"):
        Recommender.from_pretrained(tmp_path)
    (folder / "model.safetensors").write_bytes(b"rubbish")
    with pytest.raises(QBert4RecError, match="cannot be opened as QBert4RecForMaskedLM"):
        Recommender.from_pretrained(folder)


def test_a_missing_part_of_stage_two(folder):
    import shutil

    shutil.rmtree(folder / "quantizer")
    with pytest.raises(QBert4RecError, match="quantizer does not exist"):
        Recommender.from_pretrained(folder)


def test_a_newer_format_asks_for_an_update(folder):
    info = json.loads((folder / "recommender.json").read_text())
    (folder / "recommender.json").write_text(json.dumps({**info, "format_version": 99}))
    with pytest.raises(QBert4RecError, match="newer version"):
        Recommender.from_pretrained(folder)


def test_neither_folder_nor_repository(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(QBert4RecError, match="neither a folder nor a repository"):
        Recommender.from_pretrained("no/such/model/anywhere")
