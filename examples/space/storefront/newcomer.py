"""The third tab: a new item, its semantic ID and its neighbours, without adding it to the shop."""

from __future__ import annotations

import os
from dataclasses import dataclass

from qbert4rec_hf.columns import IMAGE_MODALITY
from qbert4rec_hf.pictures import read_image
from qbert4rec_hf.ranking.previewed_catalogue import ItemPreview

from .markup import esc, note, semantic_id
from .neighbours import neighbour_list
from .pictures import MAX_PIXELS, thumbnail, tile
from .shop import Shop

MAX_TEXT = 5000
EMPTY = (
    '<div class="q-empty q-tall"><span class="q-sid" aria-hidden="true">'
    + "".join(
        f'<span class="q-token q-hollow q-l{level}">{name}<b>?</b></span>'
        for level, name in enumerate("abcd")
    )
    + "</span><p>Describe an item that this shop does not have, in words, with a picture, or both. "
    "Its semantic ID and its neighbours appear here at once, without any training.</p></div>"
)
NO_CODER = (
    "This model cannot code new items: its semantic IDs were imported, or it knows interactions "
    "only, without texts or pictures."
)


@dataclass(frozen=True)
class NewItem:
    """What a visitor says of a new item.

    Attributes:
        title: its name.
        text: what it is.
        picture: path of the file that came, or None.
    """

    title: str = ""
    text: str = ""
    picture: str | os.PathLike | None = None


def preview_panel(shop: Shop, item: NewItem) -> str:
    """What the model makes of a new item; a sentence in words where it can make nothing of it."""
    title, text = item.title.strip()[:MAX_TEXT], item.text.strip()[:MAX_TEXT]
    if not title and not text and item.picture is None:
        return EMPTY + note("Write a title or a text, or choose a picture first.", kind="problem")
    picture = None if item.picture is None else os.fspath(item.picture)
    if picture is not None:
        try:
            read_image(picture, max_pixels=MAX_PIXELS, max_side=64)
        except OSError:
            return EMPTY + note(
                "This file cannot be read as a picture. Choose a JPEG, PNG or WebP file that opens "
                "on your computer, of at most 40 megapixels.",
                kind="problem",
            )
    coder = shop.recommender.coder
    if coder is None or not len(coder.encoders):
        return EMPTY + note(NO_CODER, kind="problem")
    folder, name = os.path.split(picture or "")
    described = {
        "item_id": _free_id(shop),
        "title": title or None,
        "text": [text] if text else [],
        "images": [name] if picture else [],
    }
    (preview,) = shop.recommender.preview_items([described], images_root=folder or None)
    if not preview.known:
        return EMPTY + note(_nothing_read(title or text, picture), kind="problem")
    return _shown(shop, preview, title, picture)


def _shown(shop: Shop, preview: ItemPreview, title: str, picture: str | None) -> str:
    uri = None if picture is None else thumbnail(picture)
    drawn = f'<img src="{uri}" alt="">' if uri else tile(preview.codes, shop.code_sizes)
    read = [
        "picture" if name == IMAGE_MODALITY else name
        for name, found in preview.modalities.items()
        if found
    ]
    moved = ""
    if preview.codes != preview.wanted_codes:
        moved = (
            f'<p class="q-small">Its content alone says {semantic_id(preview.wanted_codes)}, which '
            "another item has; this is the nearest free one.</p>"
        )
    speaking = "".join(
        f'<li>{shop.picture(item_id)}<span class="q-name">{shop.title(item_id)}</span></li>'
        for item_id in preview.speaking
    )
    return (
        f'<div class="q-new"><span class="q-pic q-large">{drawn}</span>'
        f'<div><h2 class="q-h2" tabindex="-1"><bdi>{esc(title or "New item")}</bdi></h2>'
        f"{semantic_id(preview.codes, link='new')}"
        f'<p class="q-small" role="status">Read from: {esc(" and ".join(read))}. It was not added '
        f"to the shop.</p>{moved}</div></div>"
        '<h3 class="q-h3">Who would speak for it</h3>'
        '<p class="q-small">Once added, it scores like the mean of these, the nearest by content, '
        "until the model is trained again.</p>"
        f'<ul class="q-near q-still">{speaking}</ul>'
        + neighbour_list(
            shop,
            preview.neighbours,
            head="Nearest by semantic ID",
            none="No item begins with the same code: it opens a branch of its own.",
            where="new",
        )
    )


def _nothing_read(words: str, picture: str | None) -> str:
    if words and picture is None:
        return (
            "The model knows none of these words, so there is nothing to code the item from. Use "
            "words of the kind that stand in this shop's titles, or add a picture."
        )
    if picture is not None and not words:
        return "This model does not read pictures. Describe the item in words."
    return "The model can read neither these words nor this picture; try others."


def _free_id(shop: Shop) -> str:
    """An id that no item has; it is never shown."""
    number = 0
    while (item_id := f"new item {number}") in shop:
        number += 1
    return item_id
