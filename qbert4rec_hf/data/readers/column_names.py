"""Which of a file's columns holds what: as the user says, else by common names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...errors import QBert4RecError
from .options import (
    BRAND,
    CATEGORIES,
    IMAGES,
    ITEM_ID,
    PRICE,
    RATING,
    TEXT,
    TIMESTAMP,
    TITLE,
    USER_ID,
)

# Field -> groups of common names, lower case, letters and digits only. A later group counts where
# the file has no name of an earlier one; two names of one group are ambiguous, unless the field
# takes several columns.
COMMON_NAMES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    USER_ID: (
        ("userid",),
        ("user", "customerid", "reviewerid", "visitorid", "buyerid", "memberid", "accountid")
        + ("clientid", "uid", "customer", "userhash"),
        ("sessionid", "session", "visitor", "buyer", "member", "account", "client", "reviewer"),
    ),
    ITEM_ID: (
        ("itemid",),
        ("parentasin",),
        ("asin", "item", "productid", "product", "sku", "skuid", "articleid", "article", "movieid")
        + ("bookid", "isbn", "goodsid", "trackid", "songid", "gameid", "businessid", "recipeid")
        + ("newsid", "videoid", "productcode", "stockcode", "pid", "iid"),
        ("id",),
    ),
    RATING: (("rating",), ("overall", "stars", "score", "starrating", "ratings", "reviewrating")),
    TIMESTAMP: (
        ("timestamp",),
        ("time", "ts", "datetime", "eventtime", "unixtime", "unixreviewtime", "unixtimestamp")
        + ("createdat", "created", "orderdate", "invoicedate", "purchasedate", "reviewdate")
        + ("eventdate", "transactiondate", "eventtimestamp", "timestampms", "sorttimestamp"),
        ("date", "day", "reviewtime", "t"),
    ),
    TITLE: (
        ("title",),
        ("producttitle", "productname", "itemname", "itemtitle", "movietitle", "booktitle", "name"),
    ),
    TEXT: (
        ("text", "description", "descriptions", "desc", "features", "feature", "bulletpoints")
        + ("productdescription", "subtitle", "summary", "about", "overview", "details", "specs"),
    ),
    IMAGES: (
        ("images", "image", "imageurl", "imageurls", "imurl", "img", "imgurl", "picture")
        + ("pictures", "pictureurl", "photo", "photos", "imagepath", "imagehighres", "poster")
        + ("posterurl", "cover", "coverurl", "imagelink", "imageurlhighres"),
        ("thumbnail", "thumbnailurl", "thumb"),
    ),
    BRAND: (("brand",), ("brandname", "manufacturer", "vendor", "store", "maker", "publisher")),
    CATEGORIES: (
        ("categories", "category"),
        ("categoryname", "genre", "genres", "class", "producttype", "maincategory", "department")
        + ("tags", "maincat"),
    ),
    PRICE: (("price",), ("listprice", "saleprice", "unitprice", "itemprice", "priceusd")),
}
# Fields that are joined from all columns which hold them.
JOINED = frozenset({TEXT, IMAGES, CATEGORIES})
_MANY = 12


def find_columns(
    names: Sequence[str],
    fields: Sequence[str],
    given: Mapping[str, str],
    *,
    path: object,
    required: Sequence[str],
    known: Mapping[str, tuple[str, ...]] | None = None,
) -> dict[str, tuple[str, ...]]:
    """Finds the columns that hold the wanted fields.

    Args:
        names: the file's columns, or the keys of its JSON objects.
        fields: fields to look for.
        given: field -> column, as in `ReadOptions.columns`; fields that are not looked for are
            passed over.
        path: the file, for messages.
        required: fields without which the file is of no use.
        known: field -> columns in a format that is known; then nothing is guessed.

    Returns:
        Field -> its columns: one, or several for the fields of `JOINED` and for those of `known`
        (of which the first that a row has counts). Fields that the file lacks are left out.

    Raises:
        QBert4RecError: a required field has no column, or several could be it; lists the columns.
    """
    found: dict[str, tuple[str, ...]] = {}
    for field in fields:
        columns: Sequence[str] = _given(names, field, given[field]) if field in given else []
        # Reviews and metadata both have item ids, perhaps under different names.
        if field in given and not columns and field != ITEM_ID:
            raise QBert4RecError(
                f"{path} has no column {given[field]!r} for {field}; it has: {_listed(names)}"
            )
        if not columns and known is not None:
            columns = known.get(field, ())
        elif not columns:
            columns = _guessed(names, field, path)
        if columns:
            found[field] = tuple(columns)
        elif field in required:
            looks = f"named {given[field]!r}" if field in given else f"that looks like {field}"
            raise QBert4RecError(
                f"{path} has no column {looks}; it has: {_listed(names)}; "
                f"name the right one with --column {field}=NAME"
            )
    return found


def common_name(name: str, field: str) -> bool:
    """Whether a column's name commonly stands for a field (by more than a bare "id" or "name")."""
    return any(plain_name(name) in group for group in COMMON_NAMES[field][:2]) and (
        plain_name(name) != "name"
    )


def plain_name(name: str) -> str:
    """A column's name in lower case, letters and digits only."""
    return re.sub(r"[\W_]+", "", name.lower())


def _given(names: Sequence[str], field: str, wanted: str) -> list[str]:
    """Columns that the user names: as written, else split at commas."""
    if wanted in names:
        return [wanted]
    parts = [part.strip() for part in wanted.split(",")]
    columns = [part for part in parts if part in names]
    return columns if field in JOINED else columns[:1]


def _guessed(names: Sequence[str], field: str, path: object) -> list[str]:
    for group in COMMON_NAMES[field]:
        hits = [name for name in names if plain_name(name) in group]
        if len(hits) > 1 and field not in JOINED:
            raise QBert4RecError(
                f"{path}: {' and '.join(hits[:3])} could each be {field}; "
                f"name it with --column {field}={hits[0]}"
            )
        if hits:
            return sorted(hits, key=lambda name: group.index(plain_name(name)))
    return []


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) if not name.isprintable() else name for name in names[:_MANY])
    more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    return (shown or "no columns") + more
