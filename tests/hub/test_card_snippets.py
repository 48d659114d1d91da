"""Every snippet that a card shows, run as it stands there, with what was pushed to a Hub."""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil
from pathlib import Path

import pytest
from fake_hub import FakeHub
from huggingface_hub import ModelCard
from run_snippets import in_a_new_process

from qbert4rec_hf.cli.main import build_parser, main
from qbert4rec_hf.evaluation.hr_ndcg import MODULE_PATH
from qbert4rec_hf.hub.card_snippets import transformers_snippet
from qbert4rec_hf.hub.run_card import card_of_run, facts_of_run

CARDS = Path(__file__).parents[2] / "model_cards"
# Of what the last snippet of a model leaves behind.
CHECKS = [
    "scores.shape == (1, len(model.catalog_codes))",
    "[part.config.model_type for part in (model, encoder, fusion, quantizer)]",
    "float(scores.logsumexp(1))",
]
MODEL, DOMAIN, METRIC = "shop/weekend", "shop/weekend-data", "shop/hr_ndcg"


def snippets(card: str, language: str = "python") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", card, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def cards(run_folder, tmp_path_factory):
    """The cards of what was pushed, by repository, and the results of their snippets."""
    place = tmp_path_factory.mktemp("cards")
    run = shutil.copytree(run_folder, place / "run")
    assert main(["card", str(run), "--quiet"]) == 0
    with FakeHub() as hub, pytest.MonkeyPatch.context() as patch:
        hub.connect(patch, place / "pusher")
        for folder, repo_id in (
            (run / "model", MODEL),
            (run_folder.parent / "shops" / "weekend", DOMAIN),
        ):
            assert main(["push", str(folder), "--repo-id", repo_id, "--quiet"]) == 0
        # Its owner writes a name of their own into the metric's card.
        metric = {
            path.name: path.read_text() for path in Path(MODULE_PATH).iterdir() if path.suffix
        }
        metric["README.md"] = metric["README.md"].replace("OWNER", "shop")
        hub.add(METRIC, metric, repo_type="space")
        found = {
            repo_id: hub.files(repo_id, repo_type=kind)["README.md"].decode()
            for repo_id, kind in ((MODEL, "model"), (DOMAIN, "dataset"), (METRIC, "space"))
        }
        ours = [code for code in snippets(found[MODEL]) if "qbert4rec_hf" in code]
        others = [code for card in found.values() for code in snippets(card) if code not in ours]
        results = []
        for codes, alone in ((ours, False), (others, True)):
            # Each snippet stands for itself, and each machine has downloaded nothing.
            groups = [[code, *(CHECKS if "score_items" in code else [])] for code in codes]
            folder = place / f"alone-{alone}"
            folder.mkdir()
            environment = hub.environment(folder / "home")
            results += in_a_new_process(groups, folder, environment, without_the_package=alone)
    return found, {result["snippet"]: result for group in results for result in group}


@pytest.mark.parametrize("repo_id", [MODEL, DOMAIN, METRIC])
def test_every_snippet_runs_as_printed(cards, repo_id):
    found = snippets(cards[0][repo_id])
    assert len(found) == {MODEL: 3, DOMAIN: 1, METRIC: 1}[repo_id]
    for code in found:
        assert f'"{repo_id}"' in code
        assert cards[1][code]["error"] is None, cards[1][code]["error"]


def test_both_front_doors_print_what_the_card_says(cards, run_folder):
    recommend, pipeline, _ = snippets(cards[0][MODEL])
    rows = facts_of_run(run_folder).answer
    expected = [f"{item.score:.3f}  {item.item_id}  {item.title}" for item in rows]
    assert len(expected) == 5
    for code in (recommend, pipeline):
        assert cards[1][code]["printed"].splitlines() == expected
    for item in rows:
        assert f"| {item.item_id} |" in cards[0][MODEL]


def test_the_plain_models_score_every_item(cards):
    """What the last snippet leaves behind, which prints nothing."""
    shape, types, total = (cards[1][check] for check in CHECKS)
    assert shape["value"] == "True" and abs(float(total["value"])) < 1e-4
    families = ["qbert4rec", "qbert4rec", "qbert4rec_fusion", "qbert4rec_quantizer"]
    assert types["value"] == str(families)


def test_a_model_with_imported_ids_shows_no_parts_that_it_lacks(run_folder, tmp_path):
    facts = facts_of_run(run_folder)
    assert 'subfolder="fusion"' in transformers_snippet(facts)
    imported = transformers_snippet(dataclasses.replace(facts, imported_ids=True))
    assert "subfolder" not in imported


def test_the_command_in_the_card_is_one_that_the_program_takes(cards, run_folder):
    (command,) = snippets(cards[0][MODEL], "bash")
    parsed = build_parser().parse_args(shlex.split(command.replace("\\\n", " "))[1:])
    assert (parsed.domain, parsed.output_dir, parsed.seed) == ("weekend", "run", 3)


def test_a_domain_on_the_hub_is_in_the_metadata(run_copy, capsys):
    command = ["card", str(run_copy), "--model", MODEL, "--dataset", DOMAIN, "--quiet"]
    assert main(command) == 0
    card = ModelCard((run_copy / "model" / "README.md").read_text(encoding="utf-8"))
    assert card.data.datasets == [DOMAIN]
    assert {result.dataset_type for result in card.data.eval_results} == {DOMAIN}
    assert main([*command[:-2], "no id", "--quiet"]) == 2
    assert "'no id' is no repository id; write OWNER/NAME" in capsys.readouterr().err


# -- the cards of the repository -------------------------------------------------------------------


def shape(card: str) -> list[str]:
    """Headings, table headings and snippets of a card, without what differs from run to run."""
    body = card.split("---\n", 2)[2]
    lines = []
    for part in re.split(r"(^```.*?^```$)", body, flags=re.DOTALL | re.MULTILINE):
        if part.startswith("```python"):
            lines += re.sub(r"\[?\"[^\"\n]*\"(, \"[^\"\n]*\")*\]?", "TEXT", part).splitlines()
        elif not part.startswith("```"):
            lines += [line for line in part.splitlines() if line.startswith("## ")]
            lines += [line for line in part.splitlines() if line.startswith("| --")]
            lines += re.findall(r"^\| (\w[\w ]*) \| [^|]*\|$", part, re.MULTILINE)[:60]
            lines += [
                line for line in part.splitlines() if re.match(r"(The method|Without|With)", line)
            ]
    return lines


@pytest.mark.skipif(not CARDS.is_dir(), reason="the cards are not installed with the package")
def test_the_demos_card_is_what_the_present_code_renders(run_folder):
    """It is of a longer training, so figures differ; what the code writes around them may not."""
    card = (CARDS / "demo.md").read_text(encoding="utf-8")
    again = "; run `qbert4rec card demo/run --output model_cards/demo.md` again"
    assert shape(card) == shape(card_of_run(run_folder)), again
    data = ModelCard(card).data
    assert data.pipeline_tag == "fill-mask" and len(data.eval_results) == 10
    # The first row of its table is what its metadata says.
    row = re.search(r"^\| Q-BERT4Rec \+ item graph \| ([\d. |]+) \|$", card, re.MULTILINE)
    cells = [float(cell) for cell in row[1].split(" | ")]
    metadata = [result.metric_value for result in data.eval_results]
    assert cells[:5] == pytest.approx(metadata[:5], abs=1e-4)


@pytest.mark.skipif(not CARDS.is_dir(), reason="the cards are not installed with the package")
def test_the_commands_that_render_them(monkeypatch):
    text = (CARDS / "README.md").read_text(encoding="utf-8")
    lines = [line for block in snippets(text, "bash") for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("qbert4rec ")]
    assert len(commands) >= 4
    for line in commands:
        assert build_parser().parse_args(shlex.split(line)[1:]).verb in ("demo", "run", "card")
    named = re.findall(r"\[`(\w+\.md)`\]", text)
    cards = {path.name for path in CARDS.glob("*.md")} - {"README.md"}
    assert sorted(named) == sorted(cards)
