"""The stage verbs, one after the other, on a tiny shop; then evaluate and recommend."""

from __future__ import annotations

import json

import numpy as np
import pytest

from qbert4rec_hf.cli.main import main
from qbert4rec_hf.data.demo import make_demo_domains
from qbert4rec_hf.data.domain import Domain

SHORT = [
    "fusion.epochs=1",
    "fusion.model.hidden_size=16",
    "fusion.model.num_attention_heads=2",
    "quantizer.model.quantizer_type=residual_kmeans",
    "quantizer.model.codebook_size=8",
    "model.hidden_size=16",
    "model.num_attention_heads=2",
    "pretrain.epochs=1",
    "finetune.epochs=1",
    "ranking.regularizations=[50.0]",
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shops")
    make_demo_domains(folder, scale=0.05)
    return folder / "weekend"


@pytest.fixture(scope="module")
def run_folder(shop, tmp_path_factory):
    """A run made verb by verb."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    first = ["--domain", str(shop)] + [part for text in SHORT for part in ("--set", text)]
    for verb in ("features", "fuse", "quantize", "pretrain", "finetune", "run"):
        assert main([verb, "--output-dir", str(folder), "--quiet", *first]) == 0, verb
        first = []
    return folder


def test_the_verbs_do_their_stages(run_folder):
    for name in ("features", "fusion", "quantizer", "semantic_ids", "pretrain", "finetune"):
        assert json.loads((run_folder / name / "stage.json").read_text())["status"] == "finished"


def test_run_prints_the_table_again_without_work(run_folder, capsys):
    manifests = {path: path.read_text() for path in run_folder.glob("*/stage.json")}
    assert len(manifests) == 8
    assert main(["run", "--output-dir", str(run_folder)]) == 0
    captured = capsys.readouterr()
    assert "NDCG@10" in captured.out and "EASE" in captured.out
    assert "report.html" in captured.out
    # Each attempt is counted in its manifest.
    assert {path: path.read_text() for path in run_folder.glob("*/stage.json")} == manifests


def test_the_card_of_a_run(run_folder, tmp_path, capsys):
    card = (run_folder / "model" / "README.md").read_text()
    assert "CPU cores" in card and "NDCG@10" in card
    output = tmp_path / "cards" / "weekend.md"
    arguments = ["--output", str(output), "--model", "shop/weekend", "--name", "tiny-weekend"]
    assert main(["card", str(run_folder), *arguments]) == 0
    assert capsys.readouterr().out.strip() == str(output)
    assert "# tiny-weekend" in output.read_text() and "shop/weekend" in output.read_text()
    assert (run_folder / "model" / "README.md").read_text() == card
    assert "finished report stage" in run_wrong(capsys, "card", str(tmp_path))


def test_the_demo_leaves_its_card_in_the_model(tmp_path, capsys):
    short = [part for text in SHORT for part in ("--set", text)]
    arguments = ["demo", "--output-dir", str(tmp_path), "--scale", "0.05", "--quiet", *short]
    assert main(arguments) == 0
    card = tmp_path / "run" / "model" / "README.md"
    assert str(card) in capsys.readouterr().out
    assert "Q-BERT4Rec, pre-trained only" in card.read_text()


def test_evaluate_agrees_with_the_report(run_folder, shop, tmp_path, capsys):
    path = tmp_path / "figures.json"
    arguments = ["evaluate", str(run_folder / "model"), "--domain", str(shop)]
    assert main([*arguments, "--json", str(path)]) == 0
    assert "Popularity" in capsys.readouterr().out
    measured = json.loads(path.read_text())["systems"]
    reported = json.loads((run_folder / "report" / "system_0.json").read_text())
    assert measured[0]["results"] == reported["results"]
    assert measured[0]["protocol"]["candidates"].startswith("full catalogue")
    assert main([*arguments, "--json", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert f"cannot write {tmp_path}" in captured.err and "Popularity" in captured.out


def test_evaluate_refuses_items_that_were_trained_on(run_folder, shop, tmp_path, capsys):
    stamps = np.sort(Domain.load(shop).timestamps)
    cuts = {"validation_from": int(stamps[len(stamps) // 4]), "test_from": int(np.median(stamps))}
    Domain.load(shop).with_split("temporal", **cuts).save(tmp_path / "shop")
    message = run_wrong(
        capsys, "evaluate", str(run_folder / "model"), "--domain", str(tmp_path / "shop")
    )
    assert "the model was trained on" in message and "split leave_one_out" in message


def test_recommend_prints_titles_and_scores(run_folder, shop, capsys):
    domain = Domain.load(shop)
    history = domain.item_ids[:2]
    model = str(run_folder / "model")
    assert main(["recommend", model, "--history", *history, "--top-k", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    shown = [line.split(maxsplit=3) for line in lines]
    assert [place for place, *_ in shown] == ["1", "2", "3"]
    assert not {item_id for _, _, item_id, *_ in shown} & set(history)
    title = domain.items["title"].iloc[domain.item_row[shown[0][2]]]
    assert lines[0].endswith(title or shown[0][2])


def test_an_empty_history_is_no_error(run_folder, capsys):
    assert main(["recommend", str(run_folder / "model")]) == 0
    assert "most popular" in capsys.readouterr().out


def run_wrong(capsys, *arguments: str) -> str:
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("qbert4rec: ")]
    assert len(lines) == 1 and "Traceback" not in captured.err
    return lines[0]


def test_mistakes_end_in_one_line(run_folder, shop, tmp_path, capsys):
    model = str(run_folder / "model")
    assert "'NO-SUCH'" in run_wrong(capsys, "recommend", model, "--history", "NO-SUCH")
    assert "family" in run_wrong(capsys, "recommend", str(run_folder / "fusion"))
    assert "absent" in run_wrong(capsys, "evaluate", model, "--domain", str(tmp_path / "absent"))
    output = ["--output-dir", str(tmp_path / "new")]
    assert "--domain" in run_wrong(capsys, "run", *output)
    domain = ["--domain", str(shop)]
    message = run_wrong(capsys, "run", *output, *domain, "--set", "finetune.epoch=1")
    assert "did you mean finetune.epochs?" in message
    assert "qbert4rec features" in run_wrong(capsys, "fuse", *output, *domain)
    (tmp_path / "file").write_text("x")
    blocked = str(tmp_path / "file" / "run")
    assert "file" in run_wrong(capsys, "run", "--output-dir", blocked, *domain)
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("fusoin: {}")
    message = run_wrong(capsys, "run", *output, *domain, "--config", str(wrong))
    assert "wrong.yaml" in message and "did you mean fusion?" in message


def test_a_catalogue_of_another_model_is_refused(run_folder, tmp_path, capsys):
    import shutil

    broken = shutil.copytree(run_folder / "model", tmp_path / "model")
    table = run_folder / "semantic_ids" / "target" / "catalog.json"
    value = json.loads(table.read_text())
    value["fingerprint"] = "0" * 16
    (broken / "catalog.json").write_text(json.dumps(value))
    assert "do not belong together" in run_wrong(capsys, "recommend", str(broken))
