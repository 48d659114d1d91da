from __future__ import annotations

import shlex

import pytest

from qbert4rec_hf.cli.main import build_parser
from qbert4rec_hf.hub.run_command import command_of, flat_settings, public, shown
from qbert4rec_hf.runs.config import RunConfig, change, reseed


def parsed(command: str):
    words = shlex.split(command.replace("\\\n", " "))
    assert words[0] == "qbert4rec"
    return build_parser().parse_args(words[1:])


@pytest.mark.parametrize(
    "assignments",
    [
        [],
        ["finetune.preset=paper", "finetune.epochs=7", "pretrain.enabled=false"],
        ["pretrain.preset=paper", "pretrain.learning_rate=1e-5", "fusion.seed=9"],
        ["model.objective=codes", "model.preset=paper", "semantic_ids.codes=[lemb, vitemb]"],
        ["finetune.masks={random: 0.25}", "features.text.options={template: 'a b'}"],
        ["fusion.model={hidden_size: 32}", "ranking.prior=false", "features.text.kind=none"],
    ],
)
def test_the_command_gives_the_same_configuration(assignments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = change({"domain": str(tmp_path / "shop"), "seed": 4}, assignments)
    config = RunConfig.from_dict(values)
    arguments = parsed(command_of(config, output_dir="runs/x"))
    assert (arguments.domain, arguments.output_dir, arguments.seed) == ("shop", "runs/x", 4)
    again = change(reseed({"domain": values["domain"]}, arguments.seed), arguments.set)
    assert RunConfig.from_dict(again) == config


def test_only_what_differs_is_written_out(tmp_path):
    config = RunConfig.from_dict({"domain": "shop", "finetune": {"preset": "paper"}})
    assert parsed(command_of(config)).set == ['finetune.preset="paper"']


def test_the_model_that_a_run_starts_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = {"domain": "shop", "from_model": "shop/model", "from_revision": "abc"}
    arguments = parsed(command_of(RunConfig.from_dict(values)))
    assert arguments.from_model == "shop/model" and arguments.set == ['from_revision="abc"']
    local = RunConfig.from_dict({"domain": "shop", "from_model": str(tmp_path.parent / "secret")})
    assert parsed(command_of(local)).from_model == "secret"


def test_names_with_spaces_survive_the_shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = RunConfig.from_dict(
        {
            "domain": str(tmp_path / "my shop; rm"),
            "pretrain_domains": [str(tmp_path / "a"), str(tmp_path / "b'")],
        }
    )
    arguments = parsed(command_of(config))
    assert arguments.domain == "my shop; rm" and arguments.pretrain_domain == ["a", "b'"]


def test_folders_of_the_machine_are_not_shown(tmp_path, monkeypatch):
    secret = tmp_path / "secret"
    monkeypatch.chdir(tmp_path)
    assert shown(secret / "shop") == "secret/shop"
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert shown(secret / "shop") == "shop"
    value = {"path": str(secret / "e.parquet"), "more": [str(secret), 1]}
    assert public(value) == {"path": "e.parquet", "more": ["secret", 1]}
    config = RunConfig.from_dict(
        {"domain": str(secret / "shop"), "features": {"text": {"options": value}}}
    )
    assert str(tmp_path) not in command_of(config)


def test_all_settings_by_dotted_name():
    flat = flat_settings(RunConfig())
    assert flat["finetune.epochs"] == RunConfig().finetune.epochs
    assert flat["fusion.model"] == {} and "domain" not in flat
