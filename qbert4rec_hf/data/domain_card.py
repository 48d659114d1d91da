"""The dataset card of a domain folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

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
  data_files: items.parquet
  default: true
- config_name: interactions
  data_files: interactions.parquet
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
| the same item twice in a history | {repeats} |

`items.parquet` has one row an item: `item_id`, `title`, `text` (list of strings), `images` (list
of paths in this folder, or URLs) and further columns of the shop. `interactions.parquet` has one
row an interaction, in time order within a user: `user_id`, `item_id`, `timestamp`.

```python
from datasets import load_dataset

items = load_dataset("path/to/this/folder", "items", split="train")
```
"""


def domain_card(info: DomainInfo) -> str:
    """Renders the `README.md` of a domain folder.

    Args:
        info: what is known of the domain.

    Returns:
        Markdown with the metadata that `datasets.load_dataset` reads.
    """
    if info.time_order == "trust":
        order = "taken on trust from the source, which has no time stamps"
    else:
        order = f"by time stamp; for {info.tied_users:,} users the last two are at the same time"
    return _CARD.format(
        name=info.name,
        quoted_name=json.dumps(info.name, ensure_ascii=False),
        num_items=info.num_items,
        num_users=info.num_users,
        num_interactions=info.num_interactions,
        source=info.source or "not stated",
        order=order,
        repeats="occurs" if info.repeats else "does not occur",
    )
