"""The dataset card of a domain folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..columns import INTERACTIONS, ITEMS
from ..markdown import escape, table, yaml_text
from .domain_info import DROP_TIED_USERS, ON_TRUST
from .item_order import sorting_note
from .splitting import split_rule

if TYPE_CHECKING:
    from .domain_info import DomainInfo

_CARD = """\
---
pretty_name: {quoted_name}
tags:
- recommendation
- sequential-recommendation
- qbert4rec
configs:
- config_name: items
  data_files: {items_files}
  default: true
- config_name: interactions
  data_files: {interactions_files}
---

# {name}

A catalogue and its interaction histories, as `qbert4rec_hf` reads them.

| | |
|---|---|
| items | {num_items:,} |
| users | {num_users:,} |
| interactions | {num_interactions:,} |
| source | {source} |
| order of a user's interactions | {order} |
| split | {split} |
| the same item twice in a history | {repeats} |

The items table has one row an item: `item_id`, `title`, `text` (list of strings), `images` (list
of paths in this folder, or URLs) and further columns of the shop. The interactions table has one
row an interaction, in time order within a user: `user_id`, `item_id`, `timestamp`.

```python
from datasets import load_dataset

items = load_dataset("path/to/this/folder", "items", split="train")
rows = load_dataset("path/to/this/folder", "interactions", split="train", streaming=True)
```
"""


def domain_card(
    info: DomainInfo,
    preparation: Mapping[str, Any] | None = None,
    *,
    data_files: Mapping[str, str] | None = None,
) -> str:
    """Renders the `README.md` of a domain folder.

    Args:
        info: what is known of the domain.
        preparation: how the folder was made from raw files, as `preparation.json` has it:
            "table" (name -> value), "dropped" (reason -> rows), "read" (one mapping a file) and
            "settings" (name -> value), each of them optional.
        data_files: pattern of the files of each table ("items", "interactions") where it is not
            `<table>.parquet`, for the metadata that `datasets.load_dataset` reads.

    Returns:
        Markdown with the metadata that `datasets.load_dataset` reads.
    """
    files = {table: f"{table}.parquet" for table in (ITEMS, INTERACTIONS)} | dict(data_files or {})
    card = _CARD.format(
        name=escape(info.name),
        quoted_name=yaml_text(info.name),
        items_files=files[ITEMS],
        interactions_files=files[INTERACTIONS],
        num_items=info.num_items,
        num_users=info.num_users,
        num_interactions=info.num_interactions,
        source=escape(info.source or "not stated"),
        order=_order(info),
        split=_split(info),
        repeats="occurs" if info.repeats else "does not occur",
    )
    return card if preparation is None else f"{card}\n{preparation_section(preparation)}"


def preparation_section(preparation: Mapping[str, Any]) -> str:
    """How a folder was made from raw files, as a section of its card (see `domain_card`)."""
    parts = ["## How this was prepared"]
    if preparation.get("table"):
        parts.append(table(["", ""], _cells(preparation["table"])))
    if preparation.get("dropped"):
        parts.append(table(["left out because", "rows"], _cells(preparation["dropped"])))
    if preparation.get("read"):
        # Details of a file, such as its first malformed line, stay in preparation.json.
        files = [
            {name: value for name, value in file.items() if not isinstance(value, Mapping | list)}
            for file in preparation["read"]
        ]
        columns = list(dict.fromkeys(name for file in files for name in file))
        rows = [[_cell(file.get(name)) for name in columns] for file in files]
        parts.append(table([name.replace("_", " ") for name in columns], rows))
    if preparation.get("settings"):
        parts.append(table(["setting", "value"], _cells(preparation["settings"])))
    return "\n\n".join(parts) + "\n"


def _order(info: DomainInfo) -> str:
    if info.time_order == ON_TRUST:
        words = "taken on trust from the source, which has no time stamps"
        note = sorting_note(info.rising_share)
        return f"{words}. {note}" if note else words
    unit = f" ({info.time_unit})" if info.time_unit else ""
    pairs = info.num_interactions - info.num_users
    tied = ""
    if info.tied_pairs is not None and pairs > 0:
        tied = f"; {info.tied_pairs / pairs:.1%} of neighbouring pairs are at the same time"
    return (
        f"by time stamp{unit}{tied}; for {info.tied_users or 0:,} users the tie-break alone "
        "decides which is the test item"
    )


def _split(info: DomainInfo) -> str:
    words = split_rule(info.split, info.validation_from, info.test_from, info.time_unit)
    if info.ties == DROP_TIED_USERS:
        words += "; users whose held-out item is tied are not evaluated"
    return words


def _cell(value: Any) -> str:
    """A value as a card shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    return str(value)


def _cells(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), _cell(value)) for name, value in values.items()]
