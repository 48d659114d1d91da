"""What a notebook shows of evaluation results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..notebook import NOTHING, block, paragraph, table
from .tables import PROTOCOL_TITLES, metric_names

if TYPE_CHECKING:
    from .result import EvaluationResult


def results_html(results: Sequence[EvaluationResult]) -> str:
    """Systems as rows, one table a seen-item rule, with what the figures were measured on."""
    if not results:
        return block(paragraph("There are no results."))
    names = metric_names(results)
    first = results[0]
    tables = []
    for protocol, title in PROTOCOL_TITLES.items():
        rows = []
        for result in results:
            found = result.protocols.get(protocol)
            if found is None:
                continue
            figures = [
                f"{found.metrics[name]:.4f}" if name in found.metrics else NOTHING for name in names
            ]
            rows.append((result.name, *figures, f"{found.coverage:.1%}"))
        if rows:
            tables.append(
                table(
                    ("system", *names, "coverage@10"),
                    rows,
                    caption=f"{first.split.capitalize()} split, {title}",
                    numbers=len(names) + 1,
                )
            )
    note = (
        f"{first.num_users:,} users, {first.num_items:,} candidates each (full catalogue), ties "
        f"count against the target. {first.order_note}"
    )
    return block(*tables, paragraph(note))
