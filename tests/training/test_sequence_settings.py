from __future__ import annotations

import dataclasses

import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.sequence.configuration_qbert4rec import QBert4RecConfig
from qbert4rec_hf.training.sequence_settings import (
    ARCHITECTURES,
    FINETUNING,
    PRETRAINING,
    SequenceSettings,
)


@pytest.mark.parametrize("presets", [FINETUNING, PRETRAINING])
def test_presets_are_settings(presets):
    assert {"recipe", "paper"} <= set(presets)
    for preset in presets.values():
        settings = SequenceSettings(**preset)
        assert dataclasses.asdict(settings) == dataclasses.asdict(SequenceSettings()) | preset


def test_the_papers_recipes():
    paper = SequenceSettings(**FINETUNING["paper"])
    assert paper.masks == {"random": 0.3} and paper.learning_rate == 1e-4
    paper = SequenceSettings(**PRETRAINING["paper"])
    assert paper.masks == {"span": 0.3, "multi_region": 0.15, "tail": 0.1}


def test_architectures_are_configs():
    for name, fields in ARCHITECTURES.items():
        config = QBert4RecConfig(**fields)
        assert set(fields) <= set(QBert4RecConfig.__annotations__), name
        assert config.max_items > 0
    assert ARCHITECTURES["paper"] == {}


def test_two_settings_share_no_masks():
    first = SequenceSettings(**PRETRAINING["recipe"])
    SequenceSettings().masks["span"] = 0.9
    assert SequenceSettings().masks == {"last": 0.0, "random": 0.3}
    assert "last" not in first.masks


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("gradient_accumulation", 0),
        ("patience", 0),
        ("evaluate_every", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("max_grad_norm", -1.0),
        ("warmup", 1.5),
        ("crop_probability", -0.1),
        ("evaluate_from", 2.0),
        ("weight_decay", -0.1),
        ("select_by", "some_items"),
        ("schedule", "cosinus"),
        ("combination", "both"),
        ("masks", {"middle": 0.3}),
        ("mask_weights", {"last": 1.0}),
    ],
)
def test_it_refuses(field, value):
    with pytest.raises(QBert4RecError, match="mask" if "mask" in field else field) as error:
        SequenceSettings(**{field: value})
    assert "\n" not in str(error.value)
