"""Checks of the files of feature and encoder folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ..errors import QBert4RecError


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Reads a safetensors file.

    Raises:
        QBert4RecError: the file is missing or malformed.
    """
    try:
        return load_file(path)
    except FileNotFoundError:
        raise QBert4RecError(f"{path} does not exist; the folder is incomplete") from None
    except (SafetensorError, OSError, KeyError) as error:
        raise QBert4RecError(
            f"{path} cannot be read as safetensors ({error}); write or fetch it again"
        ) from None


def check_format_version(path: Path, about: dict[str, Any], supported: int) -> None:
    """Refuses a file that a newer version of the package wrote.

    Args:
        path: the file.
        about: its content; without a `format_version` it counts as the first.
        supported: the latest format that this version reads.

    Raises:
        QBert4RecError: the file has a later format, or none that is a number.
    """
    found = about.get("format_version", 1)
    if not isinstance(found, int) or not 1 <= found <= supported:
        raise QBert4RecError(
            f"{path} has format {found!r}, this version of qbert4rec_hf reads up to {supported}; "
            "update the package, or make the folder again"
        )
