from __future__ import annotations

import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.runs.config import RunConfig, change
from qbert4rec_hf.runs.pipeline import Run
from qbert4rec_hf.runs.presets import PRESETS, preset_assignments


def with_preset(name: str, values: dict | None = None) -> RunConfig:
    return RunConfig.from_dict(change(values or {}, preset_assignments(name)))


def test_the_recipe_is_what_a_run_does_by_itself():
    assert with_preset("recipe") == RunConfig.from_dict({})


def test_one_preset_takes_the_place_of_another():
    assert len({frozenset(preset) for preset in PRESETS.values()}) == 1
    large = with_preset("large")
    assert large.model.architecture() == {"hidden_size": 256, "num_hidden_layers": 4}
    assert large.pretrain.bf16 and large.finetune.bf16
    quick = with_preset("quick", large.to_dict())
    assert quick == with_preset("quick") and not quick.pretrain.enabled
    assert with_preset("recipe", quick.to_dict()) == RunConfig.from_dict({})


def test_a_run_takes_a_preset_and_what_is_set_goes_before_it(shops, tmp_path):
    domain = str(shops / "weekend")
    run = Run.open(
        tmp_path / "run", domain=domain, preset="quick", assignments=["finetune.epochs=1"]
    )
    assert run.config.finetune.epochs == 1 and run.config.fusion.epochs == 5
    # It stays, as every setting does.
    assert Run.open(tmp_path / "run").config == run.config


def test_what_a_model_brings_is_left_to_it():
    assert all(
        text.startswith("finetune.") for text in preset_assignments("quick", from_model=True)
    )


def test_an_unknown_preset_is_refused():
    with pytest.raises(QBert4RecError, match="one of recipe, quick, large, got 'slow'"):
        preset_assignments("slow")
