"""The arrays of an item graph on disk: safetensors, in several files where they are large."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

GRAPH_FILE = "item_graph.safetensors"
MAX_SHARD_SIZE = "5GB"
# One number for each weight; the other arrays have one for each item and stay whole.
_LONG = ("weights", "columns")


def write_arrays(
    folder: Path, arrays: dict[str, np.ndarray], max_shard_size: int | str = MAX_SHARD_SIZE
) -> list[str]:
    """Writes the arrays.

    Args:
        folder: must exist.
        arrays: `weights` and `columns` (`[weights]`), cut into pieces where they do not fit one
            file, and shorter ones, which lie in the first file.
        max_shard_size: bytes of weights and columns a file, such as `"5GB"`.

    Returns:
        The files' names, in the order of the pieces; one where all fits.
    """
    from safetensors.numpy import save_file
    from transformers.utils.hub import convert_file_size_to_int

    entry = sum(arrays[name].itemsize for name in _LONG)
    length = max(1, convert_file_size_to_int(max_shard_size) // entry)
    pieces = max(1, -(-len(arrays["weights"]) // length))
    names = [GRAPH_FILE]
    if pieces > 1:
        stem, suffix = GRAPH_FILE.split(".")
        names = [f"{stem}-{n:05d}-of-{pieces:05d}.{suffix}" for n in range(1, pieces + 1)]
    for number, name in enumerate(names):
        piece = slice(number * length, (number + 1) * length)
        content = {key: arrays[key][piece] for key in _LONG}
        if number == 0:
            content |= {key: array for key, array in arrays.items() if key not in _LONG}
        save_file(content, folder / name, metadata={"format": "csr"})
    return names


def read_arrays(folder: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Reads what `write_arrays` wrote.

    Raises:
        FileNotFoundError: a file is missing; names it.
        SafetensorError: a file is damaged.
        KeyError: a file lacks an array.
        ValueError: a name leads out of the folder.
    """
    from safetensors.numpy import load_file

    names = list(names)
    if not names or any(Path(name).name != name for name in names):
        raise ValueError(f"files {names} are not names of files beside it")
    found = load_file(folder / names[0])
    rest = [load_file(folder / name) for name in names[1:]]
    for key in _LONG if rest else ():
        # One array after the other, so that not all of them are in memory twice.
        found[key] = np.concatenate([found[key], *(piece.pop(key) for piece in rest)])
    return found
