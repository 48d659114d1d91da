"""Pictures of items: those of a domain folder, or a tile drawn from the semantic ID."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from qbert4rec_hf.columns import IMAGES, ITEM_ID, ITEMS
from qbert4rec_hf.data.domain_download import find_domain_folder
from qbert4rec_hf.data.tables import check_items, is_url, read_tables
from qbert4rec_hf.files import lies_inside, stays_inside
from qbert4rec_hf.pictures import read_image

SIZE = 160
# Thumbnails kept in memory, a few kilobytes each.
_KEPT = 4096
MAX_PIXELS = 40_000_000


class Pictures:
    """Thumbnails of items; shared by all visitors, and never changed.

    Args:
        names: item id -> paths of its pictures, best first.
        folder: what the paths are relative to; None shows drawn tiles only.
    """

    def __init__(
        self, names: Mapping[str, Sequence[str]] | None = None, folder: Path | None = None
    ) -> None:
        self._names = dict(names or {})
        self._folder = folder
        # An instance's own, so that two shops in one process do not share it.
        self._read = lru_cache(_KEPT)(self._thumbnail)

    @classmethod
    def of_domain(cls, domain: str | os.PathLike) -> Pictures:
        """Those of a domain folder, or of a dataset repository of the Hub.

        Addresses on the web are left out: a visitor's browser is not sent to other sites. (The
        command `qbert4rec images DOMAIN` downloads them into the folder.)

        Raises:
            QBert4RecError: there is no such domain, or its items cannot be read.
        """
        folder = find_domain_folder(domain)
        items = check_items(read_tables(folder, ITEMS))
        names = {
            item_id: [name for name in images if not is_url(name)]
            for item_id, images in zip(items[ITEM_ID], items[IMAGES], strict=True)
        }
        return cls(names, Path(folder))

    def uri(self, item_id: str) -> str | None:
        """A thumbnail as a `data:` URI; None where an item has none that can be shown."""
        return self._read(item_id)

    def _thumbnail(self, item_id: str) -> str | None:
        if self._folder is None:
            return None
        for name in self._names.get(item_id, ()):
            path = self._folder / name
            if not stays_inside(name) or not lies_inside(path, self._folder):
                continue
            uri = thumbnail(path)
            if uri is not None:
                return uri
        return None


def thumbnail(path: str | os.PathLike, size: int = SIZE) -> str | None:
    """A picture within `size` by `size` pixels as a `data:` URI; None if it cannot be read."""
    try:
        image = read_image(path, max_pixels=MAX_PIXELS, max_side=size)
        buffer = io.BytesIO()
        image.save(buffer, format="JPEG", quality=86, optimize=True)
    except (OSError, ValueError):
        return None
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def tile(codes: Sequence[int], sizes: Sequence[int]) -> str:
    """A tile for an item without a picture: alike for items whose semantic IDs begin alike.

    Its ground is the first code, and the first four draw a quarter each.

    Args:
        codes: of the item.
        sizes: codebook sizes of its levels.
    """
    hue = 360 * codes[0] / max(sizes[0], 1)
    parts = [f'<rect width="64" height="64" fill="hsl({hue:.0f} 32% 82%)"/>']
    for place in range(4):
        code = codes[place % len(codes)]
        x, y = 32 * (place % 2), 32 * (place // 2)
        tone = 34 + 30 * ((code // 4) % 8) / 7
        shade = f"hsl({(hue + 24 * (place - 1)) % 360:.0f} 38% {tone:.0f}%)"
        corner_x, corner_y = x + 32 * (code % 2), y + 32 * (code // 2 % 2)
        sweep = int((code % 2) == (code // 2 % 2))
        to_x, to_y = x + 32 - 32 * (code % 2), y + 32 - 32 * (code // 2 % 2)
        parts.append(
            f'<path d="M{corner_x} {corner_y}L{to_x} {corner_y}'
            f'A32 32 0 0 {sweep} {corner_x} {to_y}Z" fill="{shade}"/>'
        )
    return f'<svg viewBox="0 0 64 64" aria-hidden="true">{"".join(parts)}</svg>'
