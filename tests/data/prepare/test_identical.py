from __future__ import annotations

from qbert4rec_hf.data.domain import Domain


def item(item_id: str, title: str | None, **further) -> dict:
    return {"item_id": item_id, "title": title, **further}


ITEMS = [
    item("red-1", "Red &amp; round", description="A ball.", brand="Holm"),
    item("red-2", "Red & round", description="A <b>ball</b>.", brand="Holm"),
    item("red-3", "Red & round", description="A ball.", brand="Other"),
    item("bare-1", None),
    item("bare-2", None),
    item("red-9", "Red & round", description="A ball.", brand="Holm"),
]
ROWS = [
    ("u", "red-1", 1, 5.0),
    ("u", "red-2", 1, 5.0),
    ("v", "red-2", 2, 5.0),
    ("v", "red-3", 3, 5.0),
    ("v", "bare-1", 4, 5.0),
    ("w", "bare-2", 4, 5.0),
]


def test_identical_products_are_reported_and_kept(prepare):
    prepared = prepare(ROWS, ITEMS)
    assert prepared.table["items that equal another in text and image"] == 2
    assert prepared.info.num_items == 6 and prepared.info.num_interactions == 6


def test_identical_products_are_merged_into_the_one_with_most_interactions(prepare, file_order):
    prepared = prepare(ROWS, ITEMS, merge_identical=True)
    ids = set(Domain.load(prepared.folder).item_ids)
    # Neither another brand nor having no text makes items equal.
    assert ids == {"red-2", "red-3", "bare-1", "bare-2"}
    assert file_order(prepared.folder)["u"] == [("red-2", 1)]
    assert prepared.table["identical products merged into another"] == 2
    # The same review, shown with two variants.
    assert prepared.dropped == {"duplicate row": 1}


def test_the_core_is_taken_after_merging(prepare):
    rows = [(f"u{n}", f"red-{1 + n % 2}", n, 5.0) for n in range(6)]
    assert prepare(rows, ITEMS, user_core=1, item_core=6, merge_identical=True).info.num_items == 1


def test_pictures_and_brands_tell_products_apart(prepare):
    items = [
        item("a", "Mug", images=["https://shop.example/a.jpg"]),
        item("b", "Mug", images=["https://shop.example/b.jpg"]),
        item("c", "Mug"),
        item("x", None, images=["https://shop.example/none.jpg"]),
        item("y", None, images=["https://shop.example/none.jpg"]),
    ]
    prepared = prepare([("u", "a", 1)], items, merge_identical=True)
    assert prepared.table["identical products merged into another"] == 0
    assert prepared.info.num_items == 5
