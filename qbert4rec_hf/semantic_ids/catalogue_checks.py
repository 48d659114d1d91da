"""What a catalogue's columns must be like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import QBert4RecError

if TYPE_CHECKING:
    from .catalogue import ItemCatalog


def check_lengths(catalog: ItemCatalog) -> None:
    """Raises where an item lacks something, or a domain a name of its own."""
    lengths = {
        "item ids": len(catalog.item_ids),
        "titles": len(catalog.titles),
        "codes": len(catalog.codes),
        "domain sizes in all": sum(catalog.domain_sizes),
    }
    if len(set(lengths.values())) > 1:
        given = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise QBert4RecError(f"a catalogue needs one of each for every item, got {given}")
    if (
        len(catalog.domains) != len(catalog.domain_sizes)
        or len(set(catalog.domains)) < len(catalog.domains)
        or min(catalog.domain_sizes, default=0) < 0
    ):
        raise QBert4RecError(
            f"domains need names of their own and a size each, got {catalog.domains} and "
            f"{catalog.domain_sizes}"
        )


def check_item_ids(catalog: ItemCatalog) -> None:
    """Raises where an item id is no text, or occurs twice in a domain."""
    for name in catalog.domains:
        rows = catalog.domain_slice(name)
        first: dict[str, int] = {}
        for row in range(rows.start, rows.stop):
            item_id = catalog.item_ids[row]
            if not isinstance(item_id, str) or not item_id:
                raise QBert4RecError(
                    f"catalogue row {row}: an item id must be text, got {item_id!r}"
                )
            if item_id in first:
                raise QBert4RecError(
                    f"catalogue rows {first[item_id]} and {row}: item {item_id!r} occurs twice "
                    f"in domain {name!r}; keep one"
                )
            first[item_id] = row
