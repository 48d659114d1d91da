"""Pushing folders and opening them again, by the real client on a Hub of our own."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
from tiny_recommender import tiny_recommender

from qbert4rec_hf.cli import push as cli_push
from qbert4rec_hf.cli.main import main
from qbert4rec_hf.data.demo import make_demo_domains
from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.store import ItemFeatures
from qbert4rec_hf.hub.push import plan_push, push
from qbert4rec_hf.ranking.recommender import Recommender

HISTORY = ["item-2", "item-8"]
CARD = """---
license: apache-2.0
---
```python
recommender = Recommender.from_pretrained("demo/run/model")
model = AutoModel.from_pretrained("demo/run/model", trust_remote_code=True)
other = AutoModel.from_pretrained("other/encoder")
```
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A model folder, the shops and a feature folder. Read only."""
    place = tmp_path_factory.mktemp("made")
    recommender = tiny_recommender()
    recommender.card = CARD
    recommender.save_pretrained(place / "model")
    make_demo_domains(place / "shops", scale=0.03)
    domain = Domain.load(place / "shops" / "weekend")
    recommender.coder.encoders.encode_domain(domain, place / "features", progress=False)
    return place


@pytest.fixture
def model(made, tmp_path) -> Path:
    """The model folder, to change."""
    return Path(shutil.copytree(made / "model", tmp_path / "model"))


def paths(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


# -- model folders ---------------------------------------------------------------------------------


def test_a_model_folder_goes_up_whole_and_comes_back(hub, made):
    done = push(made / "model", "shop/camp", message="first")
    assert hub.files("shop/camp").keys() == paths(made / "model")
    assert hub.history("shop/camp")[0].message == "first" and not done.nothing_changed
    opened = Recommender.from_pretrained("shop/camp")
    expected = Recommender.from_pretrained(made / "model")
    assert opened.recommend([HISTORY, []]) == expected.recommend([HISTORY, []])
    new = [{"item_id": "new", "title": "blue cup"}]
    assert opened.add_items(new) == expected.add_items(new)


def test_the_front_door_pushes_the_same(hub, made):
    push(made / "model", "shop/camp")
    recommender = Recommender.from_pretrained(made / "model")
    assert recommender.push_to_hub("shop/camp") == f"{hub.url}/shop/camp"
    assert len(hub.history("shop/camp")) == 2
    recommender.add_items([{"item_id": "new", "title": "blue cup"}])
    address = recommender.push_to_hub("shop/camp", commit_message="one more", private=False)
    assert address == f"{hub.url}/shop/camp/commit/{hub.history('shop/camp')[0].id}"
    opened = Recommender.from_pretrained("shop/camp")
    assert opened.recommend(["new"]) == recommender.recommend(["new"])
    assert "blue cup" in [
        item.title
        for item in Recommender.from_pretrained("shop/camp").similar_items("item-1", top_k=20)
    ]


def test_the_snippets_of_the_card_open_the_repository(hub, model):
    push(model, "shop/camp")
    card = hub.files("shop/camp")["README.md"].decode()
    assert card == CARD.replace("demo/run/model", "shop/camp") and "other/encoder" in card
    assert (model / "README.md").read_text() == CARD
    assert push(model, "shop/camp").nothing_changed
    # Also that of a copy, which already names the first repository.
    (model / "README.md").write_text(card)
    push(model, "tester/copy")
    assert hub.files("tester/copy")["README.md"].decode() == card.replace(
        "shop/camp", "tester/copy"
    )


def test_a_smaller_model_leaves_nothing_of_the_larger_one(hub, model):
    push(model, "shop/camp")
    hub.add("shop/camp", {"LICENSE": "mine", "notebook.ipynb": "{}"})
    for name in ("features", "fusion", "quantizer", "item_graph"):
        shutil.rmtree(model / name)
    plan = plan_push(model, "shop/camp")
    assert {path.split("/")[0] for path in plan.deleted} == {
        "features",
        "fusion",
        "quantizer",
        "item_graph",
    }
    push(model, "shop/camp")
    assert hub.files("shop/camp").keys() - paths(model) == {"LICENSE", "notebook.ipynb"}
    assert Recommender.from_pretrained("shop/camp").coder is None


def test_one_part_alone_is_a_model_too(hub, made):
    push(made / "model" / "fusion", "shop/fusion")
    from transformers import AutoModel

    assert AutoModel.from_pretrained("shop/fusion").config.model_type == "qbert4rec_fusion"


def test_pickles_and_private_files_stay_here(hub, model):
    private = ["training_args.bin", "optimizer.pt", "stage.json", ".env", "fusion/scheduler.pt"]
    for name in private:
        (model / name).write_text("x")
    push(model, "shop/camp")
    assert hub.files("shop/camp").keys() == paths(model) - set(private)


@pytest.mark.parametrize("name", ["quantizer", "catalog.parquet", "tokenizer_config.json"])
def test_half_a_model_is_not_pushed(hub, model, name):
    shutil.rmtree(model / name) if (model / name).is_dir() else (model / name).unlink()
    with pytest.raises(QBert4RecError, match=name):
        push(model, "shop/camp")
    assert hub.requests == []


def test_parts_of_different_models_are_not_pushed(hub, model, tmp_path):
    other = tiny_recommender(hidden_size=8)
    other.add_items([{"item_id": "new", "title": "blue cup"}])
    other.save_pretrained(tmp_path / "other")
    for name in ("catalog.json", "catalog.parquet"):
        shutil.copy(tmp_path / "other" / name, model / name)
    with pytest.raises(QBert4RecError, match="catalog.json.* from the same run"):
        push(model, "shop/camp")
    assert hub.requests == []


# -- other folders ---------------------------------------------------------------------------------


def test_a_domain_is_a_dataset(hub, made):
    folder = made / "shops" / "weekend"
    done = push(folder, "shop/weekend")
    assert done.url.startswith(f"{hub.url}/datasets/shop/weekend/commit/")
    assert hub.files("shop/weekend", repo_type="dataset").keys() == paths(folder)
    opened, here = Domain.load("shop/weekend"), Domain.load(folder)
    assert opened.items.equals(here.items) and opened.info == here.info
    assert opened.interactions().equals(here.interactions())
    images = [image for row in opened.items["images"] for image in row]
    assert images and all(opened.image_path(image).is_file() for image in images)
    assert push(folder, "shop/weekend").nothing_changed
    assert (
        'load_dataset("shop/weekend"'
        in hub.files("shop/weekend", repo_type="dataset")["README.md"].decode()
    )


def test_the_datasets_library_reads_a_pushed_domain(hub, made):
    from datasets import load_dataset

    push(made / "shops" / "weekend", "shop/weekend")
    items = load_dataset("shop/weekend", "items", split="train")
    assert items["item_id"][:] == Domain.load(made / "shops" / "weekend").item_ids
    rows = load_dataset("shop/weekend", "interactions", split="train", streaming=True)
    assert set(next(iter(rows))) == {"user_id", "item_id", "timestamp"}


def test_a_domain_brings_its_own_files_only(hub, made):
    push(made / "shops" / "weekend", "shop/weekend")
    hub.add("shop/weekend", {"raw/all.bin": b"x" * 1000, "huge.csv": b"x"}, repo_type="dataset")
    path = Domain.load("shop/weekend").path
    assert not (path / "raw").exists() and not (path / "huge.csv").exists()


def test_a_domain_without_a_name_is_called_after_its_repository(hub, made, tmp_path):
    folder = Path(shutil.copytree(made / "shops" / "weekend", tmp_path / "weekend"))
    (folder / "domain.json").unlink()
    push(folder, "shop/nameless")
    assert Domain.load("shop/nameless").name == "nameless"


def test_features_are_a_dataset(hub, made):
    push(made / "features", "shop/features")
    assert hub.files("shop/features", repo_type="dataset").keys() == paths(made / "features")
    from huggingface_hub import snapshot_download

    copy = ItemFeatures.load(snapshot_download("shop/features", repo_type="dataset"))
    assert copy.fingerprint == ItemFeatures.load(made / "features").fingerprint


def test_folders_that_are_not_ours(hub, made, tmp_path):
    (tmp_path / "run" / "model").mkdir(parents=True)
    (tmp_path / "run" / "model" / "config.json").write_text("{}")
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "config.json").write_text("[]")
    for folder, message in {
        tmp_path / "run": r"is no model folder .* push .*run/model",
        tmp_path / "absent": "is not a folder",
        tmp_path / "bert": "'bert', none of qbert4rec",
        tmp_path / "list": "none of qbert4rec",
        tmp_path: "is no model folder",
    }.items():
        with pytest.raises(QBert4RecError, match=message):
            push(folder, "shop/x")
    with pytest.raises(QBert4RecError, match="--repo-type dataset"):
        push(made / "features", "shop/x", repo_type="model")
    assert hub.requests == []


# -- the command line ------------------------------------------------------------------------------


def test_the_command(hub, model, capsys):
    command = ["push", str(model), "--repo-id", "shop/camp", "--quiet"]
    assert main([*command, "--private", "--message", "from a terminal"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{len(paths(model))} files uploaded (")
    assert printed.strip().endswith(hub.history("shop/camp")[0].id)
    assert hub.history("shop/camp")[0].message == "from a terminal"
    assert hub.repositories["model", "shop/camp"].private
    assert main(command) == 0
    assert capsys.readouterr().out == f"nothing changed: {hub.url}/shop/camp\n"
    (model / "item_graph" / "item_graph.safetensors").write_bytes(b"other")
    assert main([*command, "--create-pr"]) == 0
    assert "1 files uploaded" in (printed := capsys.readouterr().out)
    assert printed.strip().endswith("/discussions/1")
    assert main([*command, "--revision", "next"]) == 0
    assert hub.files("shop/camp", revision="next")["item_graph/item_graph.safetensors"] == b"other"
    assert main(["push", str(model / "features"), "--repo-id", "shop/x"]) == 2
    assert "is no model folder" in capsys.readouterr().err


def test_the_example_of_the_help_works(hub, made, tmp_path, monkeypatch, capsys):
    shutil.copytree(made / "model", tmp_path / "demo" / "run" / "model")
    monkeypatch.chdir(tmp_path)
    for line in cli_push.EXAMPLE.strip().splitlines():
        assert main(line.split()[1:]) == 0
    assert "would upload" in capsys.readouterr().out


def test_a_dry_run_needs_no_token_and_changes_nothing(hub, model, monkeypatch, tmp_path, capsys):
    hub.connect(monkeypatch, tmp_path / "nobody", token=None)
    (model / "training_args.bin").write_bytes(b"pickle")
    command = ["push", str(model), "--repo-id", "shop/camp", "--dry-run", "--quiet"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "is new, or you may not see it" in printed
    assert "leave out             training_args.bin (a pickle" in printed
    listed = {line.split()[-1] for line in printed.splitlines() if line.startswith("  upload")}
    assert listed == paths(model) - {"training_args.bin"}
    size = (model / "model.safetensors").stat().st_size
    assert f"{size / 1000:.1f} kB  model.safetensors" in printed
    assert f"would upload {len(listed)} files" in printed
    assert {request.split()[0] for request in hub.requests} == {"GET"}
    hub.add("shop/camp", {name: (model / name).read_bytes() for name in ("config.json",)})
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "unchanged" in printed and f"would upload {len(listed) - 1} files" in printed
    # Without a network it still says what would go up.
    hub.connect(monkeypatch, tmp_path / "nobody", token=None, offline=True)
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "could not be compared with: HF_HUB_OFFLINE is set" in printed
    assert f"would upload {len(listed)} files" in printed
    assert main([*command[:2], "--repo-id", "camp", "--dry-run"]) == 2


def test_a_token_is_nowhere(hub, model, tmp_path, monkeypatch, capfd, caplog):
    """Neither printed nor logged, nor written into any folder, whatever goes well or wrong."""
    # The client logs every request as a command line.
    monkeypatch.setattr("huggingface_hub.constants.HF_DEBUG", True)
    monkeypatch.setattr(logging.getLogger("huggingface_hub"), "propagate", True)
    caplog.set_level("DEBUG", logger="huggingface_hub")
    for arguments in ([], ["--dry-run"], ["--create-pr"], ["--revision", "x"]):
        main(["push", str(model), "--repo-id", "shop/camp", *arguments])
    for status in (401, 403, 500):
        hub.fail("GET", status)
        main(["push", str(model), "--repo-id", "shop/camp"])
    recommender = Recommender.from_pretrained("shop/camp", token=hub.token)
    recommender.push_to_hub("shop/other", token=hub.token)
    recommender.save_pretrained(tmp_path / "saved")
    captured = capfd.readouterr()
    shown = captured.out + captured.err + caplog.text
    assert "curl" in shown and "authorization: <TOKEN>" in shown and hub.token not in shown
    places = [model, tmp_path / "saved", tmp_path / "home"]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert files and not [path for path in files if hub.token.encode() in path.read_bytes()]
    uploaded = [hub.files(name) for name in ("shop/camp", "shop/other")]
    assert not [path for files in uploaded for path, c in files.items() if hub.token.encode() in c]


# -- large catalogues ------------------------------------------------------------------------------


def test_a_model_in_shards_goes_up_and_comes_back_bit_equal(hub, made, tmp_path):
    from transformers import AutoModelForMaskedLM

    recommender = Recommender.from_pretrained(made / "model")
    folder = recommender.save_pretrained(tmp_path / "shards", max_shard_size=4000)
    push(folder, "shop/camp")
    shards = [path for path in hub.files("shop/camp") if path.startswith("model-")]
    assert len(shards) > 2 and "model.safetensors" not in hub.files("shop/camp")
    opened = AutoModelForMaskedLM.from_pretrained("shop/camp").state_dict()
    expected = recommender.model.state_dict()
    # The codes of the items, which grow with the catalogue, are among them.
    assert opened.keys() == expected.keys() and "catalog_codes" in "".join(opened)
    assert all(opened[name].equal(tensor) for name, tensor in expected.items())
    again = Recommender.from_pretrained("shop/camp")
    assert again.recommend([HISTORY, []]) == recommender.recommend([HISTORY, []])
    # In one file again: no shard stays behind that somebody could load instead.
    push(made / "model", "shop/camp")
    left = hub.files("shop/camp").keys()
    assert not left & {*shards, "model.safetensors.index.json"} and "model.safetensors" in left
