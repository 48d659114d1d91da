"""A catalogue's codes as codes that are published with a domain."""

from __future__ import annotations

from collections.abc import Sequence

from ..data.codes import ImportedCodes
from .catalogue import ItemCatalog
from .tokenization_semantic_id import level_name


def catalog_codes(
    catalog: ItemCatalog, item_ids: Sequence[str], *, domain: str | None = None
) -> ImportedCodes:
    """The codes of some items of a catalogue, such as all of a domain's.

    Args:
        catalog: of a model folder or a run.
        item_ids: in the order that is wanted.
        domain: the items' domain; looked up where the catalogue has one of that name.

    Raises:
        QBert4RecError: an item is not in the catalogue.
    """
    rows = catalog.rows(item_ids, domain=domain if domain in catalog.domains else None)
    return ImportedCodes(
        codes=catalog.codes[rows],
        codebook_sizes=list(catalog.codebook_sizes),
        prefixes=[level_name(level) for level in range(catalog.num_levels)],
    )
