"""Opening from the Hub as a user does: in new processes, online, offline, at another revision."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fake_hub import FakeHub
from tiny_recommender import tiny_recommender

from qbert4rec_hf.data.demo import make_demo_domains
from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.hub.push import push
from qbert4rec_hf.ranking.recommender import Recommender

# What the package adds to transformers: no code of the repository runs, so nothing asks for trust.
EVERYTHING = """
import json, sys, torch
import qbert4rec_hf
from qbert4rec_hf import Domain, Recommender
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoTokenizer

place = "shop/camp"
recommender = Recommender.from_pretrained(place, cache_dir="mine")
model = AutoModelForMaskedLM.from_pretrained(place)
tokenizer = AutoTokenizer.from_pretrained(place)
parts = [AutoModel.from_pretrained(place, subfolder=name) for name in ("fusion", "quantizer")]
parts += [AutoModel.from_pretrained(place), AutoModel.from_pretrained(place, dtype="bfloat16")]
assert all(type(part).__module__.startswith("qbert4rec_hf") for part in [model, *parts])
assert AutoConfig.from_pretrained(place).num_items == [12]
text = recommender.items.encode("item-2") + recommender.items.encode("item-8")
with torch.no_grad():
    scores = model.score_items(**tokenizer(text, return_tensors="pt"))
domain = Domain.load("shop/weekend")
print(json.dumps({
    "recommended": [item.item_id for item in recommender.recommend(["item-2", "item-8"])],
    "best": int(scores.argmax()),
    "types": [part.config.model_type for part in parts],
    "dtype": str(parts[-1].dtype),
    "items": domain.item_ids,
    "pictures": all(
        domain.image_path(image).is_file() for row in domain.items["images"] for image in row
    ),
}))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("made")
    tiny_recommender().save_pretrained(place / "model")
    make_demo_domains(place / "shops", scale=0.03)
    return place


def run(code: str, environment: dict[str, str], place: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=place,
        env={**environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


def test_new_processes_online_and_offline(made, monkeypatch, tmp_path):
    expected = Recommender.from_pretrained(made / "model")
    with FakeHub() as hub:
        hub.connect(monkeypatch, tmp_path / "pusher")
        push(made / "model", "shop/camp", private=True)
        push(made / "shops" / "weekend", "shop/weekend", private=True)
        found = []
        for offline in (False, True):
            asked = len(hub.requests)
            done = run(EVERYTHING, hub.environment(tmp_path / "user", offline=offline), tmp_path)
            assert done.returncode == 0, done.stderr[-3000:]
            found.append(json.loads(done.stdout.splitlines()[-1]))
            assert (len(hub.requests) == asked) == offline
        assert found[0] == found[1]
        history = ["item-2", "item-8"]
        assert found[0]["recommended"] == [i.item_id for i in expected.recommend(history)]
        assert found[0]["types"] == ["qbert4rec_fusion", "qbert4rec_quantizer"] + ["qbert4rec"] * 2
        assert found[0]["dtype"] == "torch.bfloat16" and found[0]["pictures"]
        assert found[0]["items"] == Domain.load(made / "shops" / "weekend").item_ids
        # On a machine that has downloaded nothing.
        hub.connect(monkeypatch, tmp_path / "new", offline=True)
        for opening in (Recommender.from_pretrained, Domain.load):
            with pytest.raises(QBert4RecError, match=r"HF_HUB_OFFLINE is set.*download it once"):
                opening("shop/camp")


def test_revisions_and_arguments(hub, made, tmp_path):
    push(made / "model", "shop/camp")
    first = hub.history("shop/camp")[0].id
    recommender = Recommender.from_pretrained("shop/camp")
    recommender.add_items([{"item_id": "new", "title": "blue cup"}])
    recommender.push_to_hub("shop/camp", revision="grown")
    assert len(Recommender.from_pretrained("shop/camp").items) == 12
    for revision, count in {"grown": 13, first: 12, "main": 12}.items():
        opened = Recommender.from_pretrained("shop/camp", revision=revision)
        assert len(opened.items) == count
    Recommender.from_pretrained("shop/camp", cache_dir=tmp_path / "mine", token=hub.token)
    assert (tmp_path / "mine" / "models--shop--camp").is_dir()
    with pytest.raises(QBert4RecError, match="no revision 'v9'"):
        Recommender.from_pretrained("shop/camp", revision="v9")
    with pytest.raises(TypeError, match="revison"):
        Recommender.from_pretrained("shop/camp", revison="v9")
    with pytest.raises(TypeError, match="revison"):
        Recommender.from_pretrained(made / "model", revison="v9")


def test_what_was_opened_from_the_hub_is_the_same_there(hub, made):
    push(made / "model", "shop/camp")
    opened = Recommender.from_pretrained("shop/camp")
    assert opened.push_to_hub("shop/camp") == f"{hub.url}/shop/camp"
    assert len(hub.history("shop/camp")) == 2


def test_another_model_is_not_downloaded(hub):
    weights = {"model.safetensors": b"x" * 1000, "config.json": '{"model_type": "llama"}'}
    hub.add("meta/large", weights)
    with pytest.raises(QBert4RecError, match="'llama', not 'qbert4rec'"):
        Recommender.from_pretrained("meta/large")
    assert not [request for request in hub.requests if "model.safetensors" in request]


def test_a_repository_with_a_pickle_only(hub, made):
    files = {p.name: p.read_bytes() for p in (made / "model").iterdir() if p.is_file()}
    files["pytorch_model.bin"] = files.pop("model.safetensors")
    hub.add("shop/old", files)
    with pytest.raises(QBert4RecError, match="holds no model.safetensors"):
        Recommender.from_pretrained("shop/old")
    assert not [request for request in hub.requests if ".bin" in request]


def test_repositories_that_are_no_domains(hub, made):
    hub.add("shop/text", {"train.csv": "a,b"}, repo_type="dataset")
    with pytest.raises(QBert4RecError, match=r"shop/text holds no items.parquet"):
        Domain.load("shop/text")
    with pytest.raises(QBert4RecError, match="there is no dataset repository shop/none"):
        Domain.load("shop/none")
    with pytest.raises(QBert4RecError, match="is not a folder; give the path of a domain folder"):
        Domain.load(made / "absent" / "shop")
    assert not [request for request in hub.requests if "train.csv" in request]
