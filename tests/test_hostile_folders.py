"""Folders from strangers: names that lead out of them, and texts that act instead of being read."""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import DatasetCard
from safetensors.numpy import save_file
from tiny_recommender import tiny_recommender

import qbert4rec_hf
from qbert4rec_hf.cli.main import main
from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.domain_card import domain_card
from qbert4rec_hf.data.domain_info import DomainInfo
from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.codes import CodesEncoder
from qbert4rec_hf.features.encoder_set import EncoderSet
from qbert4rec_hf.features.parquet import ParquetEncoder
from qbert4rec_hf.features.store import ItemFeatures, ModalityFeatures
from qbert4rec_hf.files import inside, stays_inside
from qbert4rec_hf.ranking.recommender import Recommender

LEAVING = [
    "../secret",
    "../../etc/passwd",
    "a/../../secret",
    "/etc/passwd",
    "C:\\secret",
    "c:secret",
    "..\\secret",
    "\\\\server\\share",
    "",
    "a\0b",
]
EVIL = (
    '<script>alert("x")</script> ](http://evil.example) | **b** `c`\n---\nlicense: gpl\n# h\x1b[2J'
)


@pytest.mark.parametrize("name", LEAVING)
def test_names_that_leave_a_folder(name, tmp_path):
    assert not stays_inside(name)
    with pytest.raises(QBert4RecError, match="index.json names .* not inside"):
        inside(tmp_path, name, "index.json")


@pytest.mark.parametrize("name", ["a", "a/b.txt", "a b", "..a", "a..b/c", "Größe.png"])
def test_names_that_stay(name, tmp_path):
    assert inside(tmp_path, name, "index.json") == tmp_path / name


@pytest.fixture
def secret(tmp_path):
    """What a folder beside the others holds, and must not be reached from there."""
    folder = tmp_path / "secret"
    folder.mkdir()
    save_file(
        {"vectors": np.ones((1, 1, 2), np.float32), "mask": np.ones((1, 1), bool)},
        folder / "text.safetensors",
    )
    table = pa.table({"item_id": ["a"], "embedding": [[1.0, 2.0]], "codes": [[1]]})
    pq.write_table(table, folder / "secret.parquet")
    return folder


def test_a_feature_index(secret, tmp_path):
    features = ItemFeatures(["a"], {"text": ModalityFeatures.empty(1, 2)})
    index = features.save(tmp_path / "features") / "index.json"
    about = json.loads(index.read_text())
    about["modalities"]["text"]["file"] = "../secret/text.safetensors"
    index.write_text(json.dumps(about))
    with pytest.raises(QBert4RecError, match="not inside"):
        ItemFeatures.load(tmp_path / "features")


def test_a_list_of_encoders(tmp_path):
    folder = tiny_recommender().save_pretrained(tmp_path / "model")
    shutil.copytree(folder / "features" / "text", tmp_path / "secret")
    path = folder / "features" / "encoders.json"
    about = json.loads(path.read_text())
    about["encoders"] = {"../../secret": about["encoders"]["text"]}
    path.write_text(json.dumps(about))
    for opening in (
        lambda: EncoderSet.load(path.parent),
        lambda: Recommender.from_pretrained(folder),
    ):
        with pytest.raises(QBert4RecError, match="not inside"):
            opening()


def test_encoders_that_read_files_of_a_domain(secret, tmp_path):
    items = pd.DataFrame({"item_id": ["a"], "title": ["x"], "text": [[]], "images": [[]]})
    domain = Domain.from_sequences(items, ["u"], Sequences.from_lists([[0]]), name="d")
    root = domain.save(tmp_path / "domain")
    ready = ParquetEncoder(path="../secret/secret.parquet")
    codes = CodesEncoder(key="../../secret/secret")
    for encoder in (ready, codes):
        with pytest.raises(QBert4RecError, match="not inside"):
            encoder.available(root)
    with pytest.raises(QBert4RecError, match="not inside"):
        ready.encode(items, root)
    # One that the user names in full is the user's own.
    assert ParquetEncoder(path=str(secret / "secret.parquet")).encode(items, root).mask.all()


@pytest.mark.parametrize("image", ["../secret/x.jpg", "/etc/passwd", "file:///etc/passwd"])
def test_pictures_of_a_domain_and_of_new_items(tmp_path, image):
    items = pd.DataFrame({"item_id": ["a"], "title": ["x"], "text": [[]], "images": [[]]})
    domain = Domain.from_sequences(items, ["u"], Sequences.from_lists([[0]]), name="d")
    folder = domain.save(tmp_path / "domain")
    table = pq.read_table(folder / "items.parquet")
    images = pa.array([[image]], pa.list_(pa.string()))
    table = table.set_column(table.column_names.index("images"), "images", images)
    pq.write_table(table, folder / "items.parquet")
    with pytest.raises(QBert4RecError, match="not inside"):
        Domain.load(folder)
    with pytest.raises(QBert4RecError, match="not inside"):
        tiny_recommender().add_items([{"item_id": "n", "images": [image]}], images_root=folder)


def test_the_package_never_opens_a_pickle_nor_trusts_code_by_itself():
    """Read from its sources: no default and no call of ours grants trust or unpickles."""
    package = Path(qbert4rec_hf.__file__).parent
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            where = f"{path.relative_to(package)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert not {"pickle", "joblib", "dill", "shelve", "marshal"} & set(names), where
            elif isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in ("torch.load", "pd.read_pickle"), where
                granted = {k.arg: k.value for k in node.keywords if k.arg}
                for name in ("trust_remote_code", "allow_pickle"):
                    value = granted.get(name)
                    assert not (isinstance(value, ast.Constant) and value.value), where
            elif isinstance(node, ast.arguments):
                given = [*node.posonlyargs, *node.args]
                pairs = zip(given[len(given) - len(node.defaults) :], node.defaults, strict=True)
                for argument, default in [
                    *pairs,
                    *zip(node.kwonlyargs, node.kw_defaults, strict=True),
                ]:
                    if argument.arg == "trust_remote_code" and default is not None:
                        assert ast.unparse(default) in ("False", "None"), where


# -- texts -----------------------------------------------------------------------------------------


def prose_of(card: str) -> str:
    """A card without its metadata and code blocks."""
    body = card.split("---\n", 2)[2]
    return "".join(body.split("```")[::2])


def test_the_card_of_a_domain():
    info = DomainInfo(name=EVIL, source=EVIL, num_items=3, num_users=2, num_interactions=5)
    preparation = {
        "table": {EVIL: EVIL},
        "dropped": {EVIL: 3},
        "read": [{"path": EVIL, "rows": 3}],
        "settings": {EVIL: EVIL},
    }
    text = domain_card(info, preparation)
    card = DatasetCard(text)
    assert card.data.license is None
    assert yaml.safe_load(text.split("---\n")[1])["pretty_name"].startswith("<script>")
    prose = prose_of(text)
    assert not [bad for bad in ("<script", "](http", "**b**", "\n# h", "\x1b") if bad in prose]
    assert "evil.example" in prose and "&#60;script&#62;" in prose
    # Nothing in a cell makes another row or column.
    rows = [line for line in prose.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {3}


def test_a_terminal_shows_titles_and_does_not_obey_them(tmp_path, capsys):
    recommender = tiny_recommender()
    recommender.catalog.titles[:] = [EVIL] * len(recommender.catalog.titles)
    folder = recommender.save_pretrained(tmp_path / "model")
    assert main(["recommend", str(folder), "--history", "item-1", "--top-k", "3"]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed and printed.count("\n") == 3 and "<script>" in printed
