"""What a run learns from: the training parts, and validation items for choices alone."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.runs.pipeline import run_domain

STAGES = ("features", "fusion", "quantizer", "pretrain", "finetune", "model")


def run_with(histories: list[np.ndarray], original: Domain, folder, short: list[str]):
    domain = Domain.from_sequences(
        original.items.assign(images=[[] for _ in range(len(original))]),
        original.user_ids,
        Sequences.from_lists(histories),
        name="weekend",
    )
    domain.save(folder / "domain")
    settings = [text for text in short if "from_scratch" not in text]
    run_domain(folder / "domain", folder / "run", assignments=settings, seed=0)
    return {
        path.relative_to(folder / "run"): load_file(path)
        for stage in STAGES
        for path in sorted((folder / "run" / stage).rglob("*.safetensors"))
    }


@pytest.fixture(scope="module")
def original(shops) -> Domain:
    return Domain.load(shops / "weekend")


@pytest.fixture(scope="module")
def learnt(original, short, tmp_path_factory):
    _, sequences = original.sequences()
    return run_with(list(sequences), original, tmp_path_factory.mktemp("original"), short)


def with_other_item(history: np.ndarray, place: int, num_items: int) -> np.ndarray:
    """A history of three or more items with another item, new to it, at `place` from the end."""
    if len(history) < 3:
        return history
    changed = history.copy()
    changed[-place] = np.setdiff1d(np.arange(num_items), history)[0]
    return changed


def test_test_items_change_nothing_that_is_learnt(original, learnt, short, tmp_path):
    _, sequences = original.sequences()
    histories = [with_other_item(history, 1, len(original)) for history in sequences]
    assert any(not np.array_equal(a, b) for a, b in zip(histories, sequences, strict=True))
    other = run_with(histories, original, tmp_path, short)
    assert other.keys() == learnt.keys() and len(learnt) > len(STAGES)
    for path, tensors in learnt.items():
        assert tensors.keys() == other[path].keys()
        for name, value in tensors.items():
            np.testing.assert_array_equal(other[path][name], value, err_msg=f"{path}: {name}")


def test_validation_items_are_in_no_training_input(original, learnt, short, tmp_path):
    _, sequences = original.sequences()
    histories = [with_other_item(history, 2, len(original)) for history in sequences]
    other = run_with(histories, original, tmp_path, short)
    # Validation may pick another checkpoint or setting; what items are made of stays as it is.
    made = [path for path in learnt if path.parts[0] in ("features", "fusion", "quantizer")]
    assert any("structural" in path.name for path in made)
    for path in made:
        for name, value in learnt[path].items():
            np.testing.assert_array_equal(other[path][name], value, err_msg=f"{path}: {name}")
