"""Which columns of an item make up its text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from transformers.utils import logging

from ..columns import TEXT, TITLE
from ..errors import QBert4RecError

logger = logging.get_logger(__name__)

# Columns that shops often have; a table without them is nothing to warn of.
_COMMON_FIELDS = ("brand", "category", "categories")
DEFAULT_FIELDS = (TITLE, *_COMMON_FIELDS, TEXT)
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class TextTemplate:
    """Turns an item's columns into the texts that are encoded.

    Args:
        fields: columns, in the order in which they are read. A value may be a text, a number, a
            list of them, nested or not, or a mapping such as "details" of Amazon's metadata.
        separate: encode each field by itself, so that an item has a vector a field; otherwise the
            fields are joined into one text.
        labels: write the name of a column before its value ("brand: Amber"). Helps language
            models; TF-IDF does better without.
        separator: stands between the fields of a joined text.

    Raises:
        QBert4RecError: no field, or one that is there twice.
    """

    fields: tuple[str, ...] = DEFAULT_FIELDS
    separate: bool = False
    labels: bool = False
    separator: str = "\n"

    def __post_init__(self) -> None:
        if not isinstance(self.fields, list | tuple) or not all(
            isinstance(name, str) for name in self.fields
        ):
            raise QBert4RecError(f"fields must be a list of columns, got {self.fields!r}")
        object.__setattr__(self, "fields", tuple(self.fields))
        if not self.fields or len(set(self.fields)) < len(self.fields):
            raise QBert4RecError(
                f"a text template needs different fields, got {list(self.fields)}; name columns "
                "such as title and text"
            )

    def to_dict(self) -> dict[str, Any]:
        """The settings, for JSON."""
        return {**asdict(self), "fields": list(self.fields)}

    @property
    def num_texts(self) -> int:
        """Number of texts an item."""
        return len(self.fields) if self.separate else 1

    def render(self, items: pd.DataFrame) -> list[list[str]]:
        """The texts of each item, `num_texts` an item; empty where the item has none.

        Args:
            items: columns as in the items table.

        Raises:
            QBert4RecError: the table has none of the fields.
        """
        absent = [name for name in self.fields if name not in items.columns]
        if len(absent) == len(self.fields):
            raise QBert4RecError(
                f"the items table has none of the template's fields {', '.join(self.fields)}; "
                f"it has {', '.join(map(str, items.columns))}"
            )
        for name in absent:
            if name not in _COMMON_FIELDS:
                logger.warning_once(
                    f"the text template names column {name!r}, which the items table lacks; "
                    f"it has {', '.join(map(str, items.columns))}"
                )
        columns = [
            [self._written(name, value) for value in items[name]]
            if name in items.columns
            else [""] * len(items)
            for name in self.fields
        ]
        rows = [list(row) for row in zip(*columns, strict=True)]
        if self.separate:
            return rows
        return [[self.separator.join(filter(None, row))] for row in rows]

    def _written(self, name: str, value: Any) -> str:
        text = ", ".join(_parts(value)) if name != TEXT else " ".join(_parts(value))
        return f"{name}: {text}" if text and self.labels else text


def _parts(value: Any) -> Iterable[str]:
    """All texts of a value, lists taken apart, in order."""
    if isinstance(value, str):
        text = _SPACE.sub(" ", value).strip()
        if text:
            yield text
    elif isinstance(value, list | tuple | np.ndarray):
        for part in value:
            yield from _parts(part)
    elif isinstance(value, dict):
        for name, inner in value.items():
            # A Parquet column of mappings has every name on every row.
            text = ", ".join(_parts(inner))
            if text:
                yield f"{name}: {text}"
    elif value is not None and not pd.isna(value):
        yield str(value)


def template_of(value: TextTemplate | dict[str, Any] | None) -> TextTemplate:
    """A template from a template, its settings, or nothing (the default).

    Raises:
        QBert4RecError: a setting that does not exist or cannot be what it is.
    """
    if isinstance(value, TextTemplate):
        return value
    names = list(TextTemplate.__dataclass_fields__)
    if value is not None and not isinstance(value, dict):
        raise QBert4RecError(
            f"a text template is a mapping of settings ({', '.join(names)}), got {value!r}"
        )
    unknown = [key for key in value or {} if key not in names]
    if unknown:
        raise QBert4RecError(
            f"a text template has no setting {unknown[0]!r}; it has {', '.join(names)}"
        )
    return TextTemplate(**(value or {}))
