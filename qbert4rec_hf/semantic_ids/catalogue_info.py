"""What a catalogue's table does not say of itself: `catalog.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ..errors import QBert4RecError
from ..files import read_json, write_json

FORMAT_VERSION = 1


@dataclass(frozen=True)
class CatalogInfo:
    """Codebooks and domains of a catalogue, and the name of its codes.

    Args:
        codebook_sizes: codes of each level.
        domains: name of each domain.
        domain_sizes: items of each domain, in the same order.
        allow_shared: whether items of a domain may share a semantic ID.
        fingerprint: names codes and codebook sizes.
    """

    codebook_sizes: list[int]
    domains: list[str]
    domain_sizes: list[int]
    allow_shared: bool
    fingerprint: str

    def save(self, path: Path) -> None:
        """Writes the JSON file."""
        write_json(path, {"format_version": FORMAT_VERSION, **asdict(self)})

    @classmethod
    def load(cls, path: Path) -> CatalogInfo:
        """Reads the JSON file; whether its values fit the table shows where both are put together.

        Raises:
            QBert4RecError: the file is missing or damaged, or of another format.
        """
        info = read_json(path)
        if not isinstance(info, dict) or info.get("format_version") != FORMAT_VERSION:
            raise QBert4RecError(
                f"{path} is not a catalogue of format {FORMAT_VERSION}; copy the whole folder "
                "again, or update qbert4rec_hf"
            )
        try:
            found = cls(**{field.name: info[field.name] for field in fields(cls)})
        except KeyError as error:
            raise QBert4RecError(f"{path} lacks {error}; copy the whole folder") from None
        if not all(
            isinstance(part, list)
            for part in (found.codebook_sizes, found.domains, found.domain_sizes)
        ):
            raise QBert4RecError(f"{path} is damaged (sizes must be lists); copy it again")
        return found
