import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from stage_inputs import Messages, StopTraining, make_views, stop_at_call

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.files import read_json
from qbert4rec_hf.quantizer.configuration_quantizer import QBert4RecQuantizerConfig
from qbert4rec_hf.quantizer.modeling_quantizer import QBert4RecQuantizerModel
from qbert4rec_hf.training import train_quantizer as module
from qbert4rec_hf.training.stage_settings import QuantizerSettings
from qbert4rec_hf.training.train_quantizer import train_quantizer

MODEL = {"codebook_size": 16, "codebook_dim": 4, "hidden_sizes": [16], "num_levels": 3}


def settings(model=None, **fields):
    model = MODEL | (model or {})
    if model.get("quantizer_type") == "residual_kmeans":
        model = {"codebook_size": 16, "num_levels": 3} | model
        model = {k: v for k, v in model.items() if k not in ("codebook_dim", "hidden_sizes")}
    return QuantizerSettings(
        **{"epochs": 6, "batch_size": 64, "evaluate_every": 2, "model": model} | fields
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quantizer")
    return folder, train_quantizer(make_views(), settings(), folder)


def test_leaves_a_model_and_its_curves_and_no_pickle(run):
    folder, model = run
    names = {path.name for path in folder.iterdir()}
    assert {"model.safetensors", "config.json", "history.json", "summary.json"} <= names
    assert {Path(name).suffix for name in names} == {".safetensors", ".json", ".py"}
    loaded = QBert4RecQuantizerModel.from_pretrained(folder)
    assert torch.equal(loaded.encode(make_views()[0])[0], model.encode(make_views()[0])[0])
    assert loaded.config.checkpoint_rule == "collisions+reconstruction" and not model.training


def test_curves_name_their_losses_and_figures(run):
    history = read_json(run[0] / "history.json")
    steps = [entry for entry in history if "loss" in entry]
    assert len(steps) == 6
    for entry in steps:
        total = entry["reconstruction_loss"] + entry["codebook_loss"]
        total += 0.25 * entry["commitment_loss"]
        assert entry["loss"] == pytest.approx(total, rel=1e-3)
    measured = [entry for entry in history if "eval_usage" in entry]
    assert [entry["epoch"] for entry in measured] == [2, 4, 6]
    for entry in measured:
        for name in ("eval_usage", "eval_perplexity", "eval_view_agreement"):
            assert len(entry[name]) == 3
        assert entry["eval_usage"][0] > 0.5
    assert steps[-1]["reconstruction_loss"] < steps[0]["reconstruction_loss"]


def test_the_same_seed_gives_the_same_codes_byte_for_byte(run, tmp_path):
    again = train_quantizer(make_views(), settings(), tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == (
        run[0] / "model.safetensors"
    ).read_bytes()
    other = train_quantizer(make_views(), settings(seed=1), tmp_path)
    views = make_views()[0]
    assert not torch.equal(again.encode(views)[0], other.encode(views)[0])


def test_interrupted_training_ends_like_an_unbroken_one(run, tmp_path, monkeypatch):
    figures = module.quantizer_figures
    monkeypatch.setattr(module, "quantizer_figures", stop_at_call(figures, 4))
    with pytest.raises(StopTraining):
        train_quantizer(make_views(), settings(), tmp_path)
    monkeypatch.setattr(module, "quantizer_figures", figures)
    resumed = train_quantizer(make_views(), settings(), tmp_path)
    for name, value in run[1].state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@pytest.mark.parametrize(
    ("rule", "kept"),
    [("collisions+reconstruction", 1), ("collisions", 2), ("reconstruction", 0), ("last", 2)],
)
def test_the_rule_decides_which_checkpoint_is_kept(rule, kept, tmp_path, monkeypatch):
    planned = iter([(1.0, 1.0), (0.4, 0.1), (0.1, 0.2), (0.0, 0.7)])
    weights, figures = [], module.quantizer_figures

    def plan(model, *args):
        found = figures(model, *args)
        weights.append(model.codebooks[0].weight.detach().clone())
        found["collision_rate"], found["reconstruction"] = next(planned, (0.0, 0.0))
        return found

    monkeypatch.setattr(module, "quantizer_figures", plan)
    model = train_quantizer(make_views(), settings({"checkpoint_rule": rule}), tmp_path)
    assert torch.equal(model.codebooks[0].weight, weights[kept + 1])
    assert not torch.equal(weights[1], weights[3])


def test_more_codewords_than_items_and_a_batch_above_them_are_fitted_and_said(tmp_path):
    with Messages(module.logger) as texts:
        model = train_quantizer(
            make_views(items=10),
            settings({"codebook_size": [4, 64, 16]}, batch_size=20480),
            tmp_path,
        )
    assert model.codebook_sizes == [4, 10, 10]
    assert QBert4RecQuantizerModel.from_pretrained(tmp_path).codebook_sizes == [4, 10, 10]
    assert any("[4, 64, 16] is above the 10 items" in text for text in texts)
    assert any("batch_size 20480 is above the 20 embeddings" in text for text in texts)


@pytest.mark.parametrize("quantizer_type", ["rqvae", "residual_kmeans"])
def test_equal_embeddings_are_warned_of(quantizer_type, tmp_path):
    with Messages(module.logger) as texts:
        train_quantizer(torch.ones(50, 8), settings({"quantizer_type": quantizer_type}), tmp_path)
    warned = [text for text in texts if "collapsing" in text]
    assert [text.split()[1] for text in warned] == ["1", "2", "3"]
    assert all("equal embeddings" in text for text in warned)


def test_a_learning_rate_far_too_high_is_warned_of_before_the_end(tmp_path, monkeypatch):
    # The first measurement is of the start, the second after two of six epochs.
    evaluations, figures = [], module.quantizer_figures
    monkeypatch.setattr(
        module, "quantizer_figures", lambda *a: evaluations.append(0) or figures(*a)
    )

    class First(Messages):
        def emit(self, record):
            self.texts.append((len(evaluations), record.getMessage()))

    with First(module.logger) as texts:
        train_quantizer(make_views(), settings(learning_rate=30.0), tmp_path)
    assert any(at == 2 and "lower learning_rate" in text for at, text in texts)


LOW, FULL = [0.1, 1.0], [1.0, 1.0]


@pytest.mark.parametrize(
    ("usages", "warned_at"),
    [
        # Shares of the epochs 0.1, 0.2, 0.3, 0.4 and 0.5.
        ([LOW, FULL, FULL, FULL, FULL], None),
        ([LOW, FULL, LOW, FULL, FULL], None),
        ([LOW, LOW, FULL, FULL, FULL], 1),
        ([FULL, FULL, FULL, LOW, LOW], 3),
        ([FULL, FULL, LOW, LOW, LOW], 3),
    ],
)
def test_a_level_that_recovers_is_not_warned_of_and_one_that_does_not_is_in_time(usages, warned_at):
    watch = module.CollapseWatch(0.25, QBert4RecQuantizerConfig())
    counts = []
    with Messages(module.logger) as texts:
        for number, usage in enumerate(usages, start=1):
            watch({"usage": usage, "reconstruction": 0.5}, progress=number / 10)
            counts.append(len(texts))
    assert all("level 1 uses 10.0%" in text for text in texts)
    assert counts == [int(warned_at is not None and n >= warned_at) for n in range(5)]


def test_healthy_training_says_nothing(tmp_path):
    with Messages(module.logger) as texts:
        train_quantizer(make_views(), settings(), tmp_path)
    assert texts == []


def test_residual_kmeans_through_the_same_door(tmp_path):
    views = make_views()
    model = train_quantizer(views, settings({"quantizer_type": "residual_kmeans"}), tmp_path)
    summary = read_json(tmp_path / "summary.json")
    assert summary["usage"][0] == 1 and summary["reconstruction"] < 0.2
    again = train_quantizer(
        views, settings({"quantizer_type": "residual_kmeans"}), tmp_path / "again"
    )
    assert torch.equal(model.encode(views[0])[0], again.encode(views[0])[0])


def test_one_view_is_enough(tmp_path):
    train_quantizer(make_views()[0], settings(epochs=1), tmp_path)
    assert "view_agreement" not in read_json(tmp_path / "summary.json")


@pytest.mark.parametrize(
    ("views", "reason"),
    [
        ([], "no embeddings"),
        (torch.zeros(0, 4), "no embeddings"),
        ([torch.zeros(3, 4), torch.zeros(2, 4)], r"view 1 has shape \[2, 4\]"),
        (torch.tensor([[0.0], [float("nan")]]), "row 1"),
    ],
)
def test_bad_input_is_named(views, reason, tmp_path):
    with pytest.raises(QBert4RecError, match=reason):
        train_quantizer(views, settings(), tmp_path)
