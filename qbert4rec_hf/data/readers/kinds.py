"""Reviews given as metadata, and metadata given as reviews."""

from __future__ import annotations

from ...errors import QBert4RecError
from .column_names import common_name
from .options import BRAND, IMAGES, METADATA, RATING, REVIEWS, TIMESTAMP, TITLE, USER_ID
from .sniff import Found

# Kind -> what the user names its files with.
ARGUMENTS = {REVIEWS: "--reviews", METADATA: "--metadata"}
_WORDS = {REVIEWS: "reviews", METADATA: "metadata of items"}


def check_kind(found: Found, wanted: str) -> None:
    """Checks that a file holds what it was given as.

    Args:
        found: the file.
        wanted: "reviews" or "metadata".

    Raises:
        QBert4RecError: it holds the other.
    """
    kind = found.kind or _kind_of_columns(found)
    if kind is None or kind == wanted:
        return
    raise QBert4RecError(
        f"{found.path} holds {_WORDS[kind]} ({found.format}), not {_WORDS[wanted]}; "
        f"give it with {ARGUMENTS[kind]}"
    )


def _kind_of_columns(found: Found) -> str | None:
    """What the columns of a shop's file say clearly, else None."""

    def has(field: str) -> bool:
        return any(common_name(name, field) for name in found.columns)

    acts = has(USER_ID) and (has(RATING) or has(TIMESTAMP))
    describes = has(TITLE) or has(IMAGES) or has(BRAND)
    if acts and not describes:
        return REVIEWS
    if describes and not acts and not has(USER_ID):
        return METADATA
    return None
