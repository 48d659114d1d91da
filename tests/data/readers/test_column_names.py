from __future__ import annotations

import pytest

from qbert4rec_hf.data.readers.column_names import find_columns
from qbert4rec_hf.data.readers.options import METADATA_FIELDS, REVIEW_FIELDS, ReadOptions
from qbert4rec_hf.errors import QBert4RecError


def reviews(*names, **given):
    return find_columns(
        names, REVIEW_FIELDS, given, path="log.csv", required=("user_id", "item_id")
    )


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (("user_id", "item_id", "rating", "timestamp"),) * 2,
        (("userId", "movieId", "rating", "timestamp"),) * 2,
        (("CustomerID", "StockCode", "stars", "InvoiceDate"),) * 2,
        (("User", "asin", "overall", "ts"),) * 2,
        (("uid", "sku", "score", "date"),) * 2,
        (("session-id", "id", "Star Rating", "event_time"),) * 2,
        # The better name wins over the vaguer one.
        (("user_id", "session", "item_id", "id", "rating", "timestamp", "date"),)
        + (("user_id", "item_id", "rating", "timestamp"),),
        (("user_id", "asin", "parent_asin", "rating", "timestamp"),)
        + (("user_id", "parent_asin", "rating", "timestamp"),),
    ],
)
def test_common_names(names, columns):
    assert [group[0] for group in reviews(*names).values()] == list(columns)


def test_missing_and_ambiguous_columns_show_the_way_out():
    with pytest.raises(QBert4RecError) as error:
        reviews("who", "item", "when")
    assert str(error.value) == (
        "log.csv has no column that looks like user_id; it has: who, item, when; "
        "name the right one with --column user_id=NAME"
    )
    with pytest.raises(QBert4RecError, match="customer and uid could each be user_id; .*=customer"):
        reviews("customer", "uid", "item")
    assert reviews("customer", "uid", "item", user_id="uid")["user_id"] == ("uid",)


def test_named_columns():
    found = reviews("who", "what", "a,b", user_id="who", item_id="a,b")
    assert found == {"user_id": ("who",), "item_id": ("a,b",)}
    assert reviews("b", "i", user_id="a, b", item_id="i")["user_id"] == ("b",)
    with pytest.raises(QBert4RecError, match="no column 'stars' for rating; it has: user, item"):
        reviews("user", "item", rating="stars")
    # Metadata may call the item otherwise.
    assert reviews("user", "item", item_id="sku")["item_id"] == ("item",)
    with pytest.raises(QBert4RecError, match="no column named 'sku'"):
        reviews("user", "ware", item_id="sku")


def test_texts_are_joined_from_all_their_columns():
    names = ("sku", "name", "description", "features", "img", "genres", "maker", "price")
    found = find_columns(names, METADATA_FIELDS, {}, path="x", required=("item_id",))
    assert found == {
        "item_id": ("sku",),
        "title": ("name",),
        "text": ("description", "features"),
        "images": ("img",),
        "brand": ("maker",),
        "categories": ("genres",),
        "price": ("price",),
    }
    given = {"text": "features,description", "title": "name"}
    found = find_columns(names, METADATA_FIELDS, given, path="x", required=())
    assert found["text"] == ("features", "description")


def test_long_lists_of_columns_are_cut():
    with pytest.raises(QBert4RecError, match="column11 and 18 more") as error:
        reviews(*(f"column{number}" for number in range(30)))
    assert "column12" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"format": "amazon2019"}, "format 'amazon2019' is not known; choose one of amazon2014"),
        ({"columns": {"user": "u"}}, "'user' is not a field; choose one of user_id"),
        ({"columns": {"user_id": ""}}, "give the name"),
        ({"time_unit": "minutes"}, "time unit 'minutes'"),
    ],
)
def test_options_are_checked(options, words):
    with pytest.raises(QBert4RecError, match=words):
        ReadOptions(**options)
