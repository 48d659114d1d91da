import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from stage_inputs import Messages, StopTraining, make_features, stop_at_call

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.store import ItemFeatures
from qbert4rec_hf.files import read_json
from qbert4rec_hf.fusion.modeling_fusion import QBert4RecFusionModel
from qbert4rec_hf.training import train_fusion as module
from qbert4rec_hf.training.stage_settings import FusionSettings
from qbert4rec_hf.training.train_fusion import train_fusion

MODEL = {"hidden_size": 16, "intermediate_size": 16, "max_layers": 3}


def settings(**fields):
    return FusionSettings(**{"epochs": 3, "batch_size": 16, "model": MODEL} | fields)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fusion")
    return folder, train_fusion(make_features(), settings(), folder, catalog_fingerprint="abc")


def test_leaves_a_model_and_its_curves_and_no_pickle(run):
    folder, model = run
    names = {path.name for path in folder.iterdir()}
    assert {"model.safetensors", "config.json", "history.json", "summary.json"} <= names
    assert {Path(name).suffix for name in names} == {".safetensors", ".json", ".py"}
    vectors, masks = make_features().as_tensors()
    loaded = QBert4RecFusionModel.from_pretrained(folder)
    rows = torch.arange(48)
    assert torch.equal(
        loaded.embed(vectors, masks, rows).fused, model.embed(vectors, masks, rows).fused
    )
    assert loaded.config.catalog_fingerprint == "abc" and not model.training


def test_curves_name_their_losses_and_fall(run):
    history = read_json(run[0] / "history.json")
    steps = [entry for entry in history if "loss" in entry]
    names = {"contrastive_loss", "consistency_loss", "depth_loss", "image-text_loss"}
    assert len(steps) == 3 and all(names <= set(entry) for entry in steps)
    for entry in steps:
        pairs = ("fused-image_loss", "fused-text_loss", "image-text_loss")
        assert sum(entry[name] for name in pairs) == pytest.approx(entry["contrastive_loss"], 1e-4)
    measured = [entry for entry in history if "eval_loss" in entry]
    assert len(measured) == 3
    assert all(sum(entry["eval_depth_histogram"]) == 48 for entry in measured)
    assert steps[-1]["loss"] < steps[0]["loss"]
    summary = read_json(run[0] / "summary.json")
    assert summary["items"] == 48 and summary["items_with_image"] == 38


def test_interrupted_training_ends_like_an_unbroken_one(run, tmp_path, monkeypatch):
    figures = module.fusion_figures
    monkeypatch.setattr(module, "fusion_figures", stop_at_call(figures, 3))
    with pytest.raises(StopTraining):
        train_fusion(make_features(), settings(), tmp_path, catalog_fingerprint="abc")
    assert list((tmp_path / "checkpoints").glob("checkpoint-*"))
    monkeypatch.setattr(module, "fusion_figures", figures)
    resumed = train_fusion(make_features(), settings(), tmp_path, catalog_fingerprint="abc")
    for name, value in run[1].state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert not (tmp_path / "checkpoints").exists()


def test_batch_above_the_catalogue_is_fitted_and_said(tmp_path):
    with Messages(module.logger) as texts:
        train_fusion(make_features(9), settings(epochs=1, batch_size=500), tmp_path)
    assert any("batch_size 500 is above the 9 items" in text for text in texts)


def test_bad_input_is_named(tmp_path):
    with pytest.raises(QBert4RecError, match="needs at least 2"):
        train_fusion(make_features(1), settings(), tmp_path)
    with pytest.raises(QBert4RecError, match="needs at least 2"):
        train_fusion(ItemFeatures(["a", "b"], {}), settings(), tmp_path)
    with pytest.raises(QBert4RecError, match="did you mean max_layers"):
        train_fusion(make_features(), settings(model={"max_layer": 2}), tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(QBert4RecError, match="another output folder"):
        train_fusion(make_features(), settings(), tmp_path / "file")
