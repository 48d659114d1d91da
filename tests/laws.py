"""Laws that every model family must keep.

Each function takes a model in any state and leaves it unchanged. `run` is what the law is about: a
function `(model, inputs) -> tensors by name`; the default calls the model and keeps every tensor of
its output. Inputs are keyword arguments of the model, tensors or dictionaries of tensors, the batch
in front.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, set_seed

Tensors = dict[str, torch.Tensor]
Run = Callable[[PreTrainedModel, dict[str, Any]], Tensors]


def checkpoint_activations(model: PreTrainedModel) -> None:
    """Turns gradient checkpointing on, by the name that the installed transformers has for it."""
    new = getattr(model, "activation_checkpointing_enable", None)
    (new or model.gradient_checkpointing_enable)()


def outputs(model: PreTrainedModel, inputs: dict[str, Any]) -> Tensors:
    """Every tensor of the model's output, in evaluation mode and without gradients."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            output = model(**inputs)
    finally:
        model.train(training)
    return {name: value for name, value in output.items() if isinstance(value, torch.Tensor)}


def assert_same(first: Tensors, second: Tensors, atol: float = 0.0) -> None:
    """The same names and values; bit for bit with `atol=0`."""
    assert first.keys() == second.keys()
    assert first, "there is nothing to compare"
    for name, value in first.items():
        torch.testing.assert_close(
            value,
            second[name],
            rtol=0.0,
            atol=atol,
            equal_nan=True,
            msg=lambda m, n=name: f"{n}: {m}",
        )


def rows_of(value: Any, rows: Any) -> Any:
    """The given rows of a tensor, or of every tensor in a dictionary."""
    if isinstance(value, dict):
        return {name: rows_of(part, rows) for name, part in value.items()}
    return value[rows] if isinstance(value, torch.Tensor) and value.ndim else value


def assert_save_load_is_bit_equal(
    model: PreTrainedModel,
    inputs: dict[str, Any],
    folder: Path,
    *loaders: type,
    run: Run = outputs,
) -> None:
    """A saved model gives the same bits when it is loaded, by its own class and by `loaders`."""
    expected = run(model, inputs)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    model.save_pretrained(folder)
    for loader in (type(model), *loaders):
        loaded = loader.from_pretrained(folder)
        assert type(loaded) is type(model)
        assert _fields(loaded) == _fields(model)
        assert_same(weights, dict(loaded.state_dict()))
        assert_same(expected, run(loaded, inputs))


def assert_padding_changes_nothing(
    model: PreTrainedModel,
    inputs: dict[str, Any],
    padded: dict[str, Any],
    *,
    run: Run = outputs,
    atol: float = 1e-5,
) -> None:
    """Padded inputs give what the bare ones give; `run` keeps what padding must not change."""
    assert_same(run(model, inputs), run(model, padded), atol)


def assert_batch_equals_single(
    model: PreTrainedModel, inputs: dict[str, Any], *, run: Run = outputs, atol: float = 1e-5
) -> None:
    """Each row of a batch comes out as if it stood alone; numbers about the batch are left out."""
    size = len(next(value for value in _tensors(inputs)))
    together = {
        name: value
        for name, value in run(model, inputs).items()
        if value.ndim and len(value) == size
    }
    for row in range(size):
        alone = run(model, rows_of(inputs, slice(row, row + 1)))
        assert_same(
            rows_of(together, slice(row, row + 1)), {name: alone[name] for name in together}, atol
        )


def assert_sdpa_equals_eager(
    model: PreTrainedModel, inputs: dict[str, Any], *, run: Run = outputs, atol: float = 1e-5
) -> None:
    """Fast attention and attention in plain steps agree."""
    before = model.config._attn_implementation
    results = []
    try:
        for implementation in ("sdpa", "eager"):
            model.set_attn_implementation(implementation)
            assert model.config._attn_implementation == implementation
            results.append(run(model, inputs))
    finally:
        model.set_attn_implementation(before)
    assert_same(*results, atol)


def assert_seeded_run_repeats(run: Callable[[], Tensors], *, seed: int = 0) -> None:
    """The same seed gives the same bits, and another seed does not."""
    results = []
    for number in (seed, seed, seed + 1):
        set_seed(number)
        results.append(run())
    assert_same(results[0], results[1])
    assert any(not torch.equal(value, results[2][name]) for name, value in results[0].items()), (
        "another seed gives the same result: the seed has no effect"
    )


def _fields(model: PreTrainedModel) -> dict[str, Any]:
    # Where a model came from is no property of it.
    return {k: v for k, v in model.config.to_dict().items() if k != "_name_or_path"}


def _tensors(value: Any):
    if isinstance(value, torch.Tensor):
        if value.ndim:
            yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _tensors(part)
