"""What an importer gives: a domain, and the codes that were published with it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from .codes import ImportedCodes, save_codes
from .domain import Domain
from .domain_files import domain_folder


@dataclass(frozen=True)
class ImportedDomain:
    """What an importer found.

    Args:
        domain: catalogue and histories.
        codes: published codes by key, the part of the file name after `index` ("lemb" of
            `X.index_lemb.json`; "index" where there is none). Rows as in `domain.items`.
    """

    domain: Domain
    codes: dict[str, ImportedCodes] = field(default_factory=dict)

    def save(self, folder: str | os.PathLike) -> Path:
        """Writes the domain folder and, in it, `codes/<key>.parquet`."""
        with domain_folder(folder) as temporary:
            self.domain.write_into(temporary)
            save_codes(self.codes, self.domain.item_ids, temporary)
        self.domain.path = Path(folder)
        return self.domain.path
