from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_hub import FakeHub

from qbert4rec_hf.cli.export import FORMATS
from qbert4rec_hf.cli.main import main
from qbert4rec_hf.data.codes import load_codes
from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.import_published import import_published
from qbert4rec_hf.hub.push import push
from qbert4rec_hf.semantic_ids.catalogue import ItemCatalog

SAMPLE = Path(__file__).parents[2] / "examples" / "published_sample"


@pytest.fixture
def sample(tmp_path, capsys) -> Path:
    assert main(["import", str(SAMPLE), "--output-dir", str(tmp_path / "sample")]) == 0
    capsys.readouterr()
    return tmp_path / "sample"


def of_user(folder: Path) -> dict[str, list[str]]:
    domain = Domain.load(folder)
    users, sequences = domain.sequences()
    return {
        user: [domain.item_ids[row] for row in history]
        for user, history in zip(users, sequences, strict=True)
    }


@pytest.mark.parametrize("options", [["recbole"], ["recbole", "--benchmark"], ["published"]])
def test_there_and_back(sample, tmp_path, capsys, options):
    target = str(tmp_path / "out")
    assert main(["export", str(sample), "--output-dir", target, "--format", *options]) == 0
    printed = capsys.readouterr().out
    assert "out.inter" in printed or "out.train.inter" in printed
    assert main(["import", target, "--output-dir", str(tmp_path / "again")]) == 0
    assert "taken on trust" in capsys.readouterr().out
    assert of_user(tmp_path / "again") == of_user(sample)


def test_codes_of_a_model_folder(sample, tmp_path):
    ids = Domain.load(sample).item_ids
    codes = np.stack([np.arange(5), np.arange(5)[::-1]], axis=1)
    ItemCatalog(ids, [None] * 5, codes, [8, 8], ["Sample"], [5]).save(tmp_path / "model")
    arguments = ["export", str(sample), "--format", "published", "--output-dir"]
    assert main([*arguments, str(tmp_path / "out"), "--codes", str(tmp_path / "model")]) == 0
    imported = import_published(tmp_path / "out")
    assert list(imported.codes) == ["index"]
    for row, item_id in enumerate(ids):
        found = imported.codes["index"].codes[imported.domain.item_row[item_id]]
        assert found.tolist() == codes[row].tolist()
    # One set of the domain's own codes, under the name that the projects read.
    assert main([*arguments, str(tmp_path / "own"), "--codes", "lemb"]) == 0
    imported = import_published(tmp_path / "own")
    own = load_codes(sample)["lemb"]
    assert imported.codes["index"].num_distinct == own.num_distinct == 4


def test_mistakes_are_one_line(sample, tmp_path, capsys):
    arguments = ["export", str(sample), "--output-dir", str(tmp_path / "out"), "--format"]
    assert main([*arguments, "published", "--codes", "nope"]) == 2
    assert "this domain has the codes lemb" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "absent"), *arguments[2:], "recbole"]) == 2
    assert "absent is not a folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_every_format_is_explained(capsys):
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    printed = capsys.readouterr().out
    for name in FORMATS:
        assert f"{name}: " in printed


@pytest.mark.parametrize(
    "options",
    [
        ["recbole", "--seed", "3"],
        ["recbole", "--codes", "lemb"],
        ["published", "--benchmark"],
        ["onnx", "--codes", "lemb"],
    ],
)
def test_an_option_of_another_form_is_refused(sample, tmp_path, capsys, options):
    target = tmp_path / "out"
    assert main(["export", str(sample), "--output-dir", str(target), "--format", *options]) == 2
    printed = capsys.readouterr().err
    assert f"{options[1]} goes with --format" in printed and printed.count("\n") == 1
    assert not target.exists()


def test_a_domain_of_the_hub_comes_with_its_codes(sample, tmp_path, monkeypatch):
    with FakeHub() as hub:
        hub.connect(monkeypatch, tmp_path / "home")
        push(sample, "shop/sample", private=True)
        arguments = ["--output-dir", str(tmp_path / "out"), "--format", "published"]
        assert main(["export", "shop/sample", *arguments]) == 0
    imported = import_published(tmp_path / "out")
    assert list(imported.codes) == list(load_codes(sample)) == ["lemb"]
