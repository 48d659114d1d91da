"""The Auto classes and pipelines, with the package and in a process that cannot import it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import every_way_to_open
import pytest
import torch
from every_way_to_open import WAYS, run_every_way
from fake_hub import FakeHub
from laws import assert_same
from safetensors.torch import load_file, save_file
from tiny_recommender import tiny_recommender

import qbert4rec_hf  # noqa: F401 - registers the families
from qbert4rec_hf.runs.threads import cpu_threads


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_recommender().save_pretrained(tmp_path_factory.mktemp("auto") / "model")


@pytest.fixture(scope="module")
def inputs() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "features": torch.randn(5, 1, 6, generator=generator),
        "embeddings": torch.randn(5, 8, generator=generator),
    }


@pytest.fixture(scope="module")
def expected(folder, inputs, tmp_path_factory):
    """What the package itself gives, on one thread as in the other process: bits depend on it."""
    again = tmp_path_factory.mktemp("again") / "model"
    with cpu_threads(1):
        return run_every_way(str(folder), inputs, str(again), list(WAYS))


def without_the_package(place, inputs, tmp_path, environment, ways, **settings):
    """The same in a process whose imports of the package fail."""
    save_file(inputs, tmp_path / "inputs.safetensors")
    arguments = [place, "inputs.safetensors", "results", json.dumps(settings), ",".join(ways)]
    done = subprocess.run(
        [sys.executable, "-I", every_way_to_open.__file__, *arguments],
        cwd=tmp_path,
        env={**environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads((tmp_path / "results.json").read_text())
    return load_file(tmp_path / "results.safetensors"), answers


def test_what_is_uploaded_imports_nothing_of_the_package(folder):
    files = sorted(folder.glob("*.py"))
    assert len(files) == 17, [path.name for path in files]
    package = Path(qbert4rec_hf.__file__).parent
    for file in files:
        # transformers copies these files by name, so a name must mean one file only.
        assert [path.read_bytes() for path in package.rglob(file.name)] == [file.read_bytes()]
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                assert not [name for name in node.names if "qbert4rec_hf" in name.name]
            elif isinstance(node, ast.ImportFrom) and node.level:
                # `from .name import x` alone is copied along.
                assert node.level == 1 and f"{node.module}.py" in {path.name for path in files}
            elif isinstance(node, ast.ImportFrom):
                assert not node.module.startswith("qbert4rec_hf")


def test_every_way_gives_the_same(expected):
    tensors, answers = expected
    for way in ("map", "auto", "sdpa", "again"):
        for name in ("logits", "scores", "states", "fused", "codes"):
            assert torch.equal(tensors[f"{way}/{name}"], tensors[f"plain/{name}"]), (way, name)
    torch.testing.assert_close(tensors["eager/scores"], tensors["plain/scores"])
    torch.testing.assert_close(tensors["half/scores"], tensors["plain/scores"], atol=0.1, rtol=0)
    # A batch changes no list; the last digits of a score may.
    ids = [[[item["item_id"] for item in found[:4]] for found in answer] for answer in answers]
    assert ids[0] == ids[1]


def test_a_folder_gives_the_same_bits_without_the_package(folder, inputs, expected, tmp_path):
    environment = {"HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    tensors, answers = without_the_package(str(folder), inputs, tmp_path, environment, list(WAYS))
    assert_same(expected[0], tensors)
    assert answers == expected[1]


def test_a_private_repository_gives_the_same_bits(folder, inputs, expected, tmp_path):
    with FakeHub() as hub:
        wanted = hub.add_folder("tester/camp", folder, private=True).find("main").id
        # What the main branch holds by now is no model.
        hub.add("tester/camp", {"config.json": b"{}", "catalog.parquet": b"", "catalog.json": b""})
        # Nobody is logged in: the token is an argument, and reaches the catalogue too.
        environment = hub.environment(tmp_path / "home", token=None)
        tensors, answers = without_the_package(
            "tester/camp",
            inputs,
            tmp_path,
            environment,
            ["plain"],
            revision=wanted,
            token=hub.token,
            cache_dir="mine",
        )
        assert any(f"resolve/{wanted}/catalog.parquet" in request for request in hub.requests)
    assert_same({name: expected[0][name] for name in tensors}, tensors)
    assert answers == expected[1]
    assert (tmp_path / "mine" / "models--tester--camp" / "snapshots" / wanted).is_dir()
    texts = [*tmp_path.glob("results-again/**/*.json"), *tmp_path.glob("results-again/**/*.py")]
    assert texts and not [path for path in texts if hub.token in path.read_text()]
