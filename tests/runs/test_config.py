from __future__ import annotations

import pytest
import yaml

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.runs.config import RunConfig, change, read_yaml, reseed


def test_the_file_holds_every_value_and_reads_back_equal(tmp_path):
    config = RunConfig.from_dict({"seed": 3, "fusion": {"epochs": 2}, "domain": "shop"})
    config.save(tmp_path / "config.yaml")
    assert RunConfig.load(tmp_path / "config.yaml") == config
    written = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert written["fusion"]["epochs"] == 2
    assert written["finetune"]["learning_rate"] == config.finetune.learning_rate
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_presets_give_what_the_file_leaves_out():
    paper = RunConfig.from_dict({"finetune": {"preset": "paper", "epochs": 7}}).finetune
    assert paper.learning_rate == 1e-4 and paper.epochs == 7 and paper.crop_probability == 0
    assert RunConfig.from_dict({"pretrain": {"preset": "paper"}}).pretrain.batch_size == 512
    recipe = RunConfig.from_dict({}).finetune
    assert recipe.learning_rate != paper.learning_rate


def test_a_new_preset_takes_the_place_of_the_old_values():
    values = RunConfig.from_dict({}).to_dict()
    config = RunConfig.from_dict(change(values, ["finetune.epochs=7", "finetune.preset=paper"]))
    assert config.finetune.learning_rate == 1e-4 and config.finetune.epochs == 7


def test_the_seed_reaches_every_section_that_has_none_of_its_own():
    config = RunConfig.from_dict({"seed": 5, "fusion": {"seed": 9}})
    assert config.fusion.seed == 9
    assert config.quantizer.seed == config.pretrain.seed == config.finetune.seed == 5
    again = RunConfig.from_dict(reseed(config.to_dict(), 6))
    assert again.seed == again.fusion.seed == again.finetune.seed == 6


def test_an_assigned_seed_reaches_every_section_of_a_resolved_file():
    values = RunConfig.from_dict({"seed": 5}).to_dict()
    config = RunConfig.from_dict(change(values, ["fusion.seed=9", "seed=6"]))
    assert config.seed == config.quantizer.seed == config.finetune.seed == 6
    assert config.fusion.seed == 9


def test_an_empty_section_takes_assignments():
    assert change({"fusion": None}, ["fusion.epochs=2"]) == {"fusion": {"epochs": 2}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fusoin: {}", "unknown key 'fusoin'; did you mean fusion?"),
        ("finetune: {epoch: 3}", "did you mean finetune.epochs?"),
        ("features: {text: {knid: tfidf}}", "did you mean features.text.kind?"),
        ("fusion: {model: {hiden_size: 3}}", "did you mean hidden_size?"),
        ("quantizer: {model: {codebook_dim: 0}}", "codebook_dim"),
        (
            "quantizer: {model: {codebook_size: many}}",
            "quantizer.model.codebook_size must be a whole number or a list of whole numbers, "
            "got 'many'",
        ),
        ("num_threads: 0", "num_threads is 0; it must be at least 1"),
        ("finetune: {learning_rate: fast}", "finetune.learning_rate must be a number"),
        ("model: {preset: huge}", "model.preset must be one of small, paper, got 'huge'"),
        ("finetune: {preset: papre}", "finetune.preset must be one of recipe, histories, paper"),
        ("finetune: {preset: [paper]}", "finetune.preset must be"),
        ("seed: [1]", "seed must be a whole number"),
        ("seed: -1", "seed is -1; it must be from 0"),
        ("fusion: {seed: -1}", "fusion.seed is -1"),
        ("fusion: {epochs: 0}", "fusion.epochs is 0; it must be above 0"),
        ("model: {hidden_size: 30, num_attention_heads: 4}", "hidden_size 30 is not a multiple"),
        ("ranking: {weights: []}", "ranking: weights is []"),
        ("evaluation: {batch_size: 0}", "evaluation: batch_size is 0"),
        ("evaluation: {example_users: -1}", "evaluation: example_users is -1"),
        ("- a", "must hold a mapping"),
        ("a: [", "cannot be read as YAML"),
    ],
)
def test_a_wrong_file_is_named_with_the_way_out(tmp_path, text, message):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(QBert4RecError) as caught:
        RunConfig.load(path)
    assert str(path) in str(caught.value) and message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(QBert4RecError, match="does not exist"):
        read_yaml(tmp_path / "absent.yaml")


def test_an_empty_file_is_all_defaults(tmp_path):
    (tmp_path / "config.yaml").write_text("")
    assert RunConfig.load(tmp_path / "config.yaml") == RunConfig()


def test_the_architecture_holds_only_what_differs_from_the_preset():
    config = RunConfig.from_dict({"model": {"preset": "paper", "objective": "codes"}})
    assert config.model.architecture() == {"objective": "codes"}


@pytest.mark.parametrize(
    ("assignment", "value"), [("seed=4", 4), ("domain=shop", "shop"), ("domain=null", None)]
)
def test_assignments_are_read_as_yaml(assignment, value):
    name = assignment.partition("=")[0]
    assert change({}, [assignment]) == {name: value}
