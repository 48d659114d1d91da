"""Results as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .metrics import ALL_ITEMS, UNSEEN_ITEMS

if TYPE_CHECKING:
    from .result import EvaluationResult

PROTOCOL_TITLES = {ALL_ITEMS: "ranking everything", UNSEEN_ITEMS: "seen items excluded"}


def metric_names(results: Sequence[EvaluationResult]) -> list[str]:
    """The metrics of some results: HR by cut-off, then NDCG; NDCG@1 is HR@1 and left out."""
    names: list[str] = []
    for result in results:
        for found in result.protocols.values():
            names += [name for name in found.metrics if name not in names]
    return [name for name in names if not (name == "NDCG@1" and "HR@1" in names)]


def markdown_table(
    results: Sequence[EvaluationResult], *, metrics: Sequence[str] | None = None
) -> str:
    """All systems under both seen-item rules, as Markdown that also reads well in a terminal.

    Args:
        results: of one split and domain.
        metrics: columns; by default all that the results hold.

    Returns:
        Text that ends with a line break; names users, candidates and split, and says how far
        the order of time behind the figures can be believed.
    """
    metrics = list(metrics) if metrics is not None else metric_names(results)
    parts = []
    if results:
        first = results[0]
        parts.append(
            f"{first.split.capitalize()} split, {first.num_users:,} users, "
            f"{first.num_items:,} candidates each (full catalogue), ties count against us.\n"
        )
    for protocol, title in PROTOCOL_TITLES.items():
        rows = [[f"{title}", *metrics, "coverage@10"]]
        for result in results:
            found = result.protocols[protocol]
            figures = [
                f"{found.metrics[name]:.4f}" if name in found.metrics else "-" for name in metrics
            ]
            rows.append([result.name.replace("|", "\\|"), *figures, f"{found.coverage:.3f}"])
        parts.append(_markdown(rows))
    if results and results[0].order_note:
        parts.append(f"{results[0].order_note}\n")
    return "\n".join(parts)


def bucket_table(
    results: Sequence[EvaluationResult],
    by: str = "popularity",
    *,
    metric: str = "NDCG@10",
    protocol: str = ALL_ITEMS,
) -> str:
    """One metric by bucket, a column a system.

    Args:
        results: of one split and domain.
        by: `popularity` (of the target, in training) or `history_length`.
        metric: which.
        protocol: under which seen-item rule.
    """
    heading = {"popularity": "target's interactions", "history_length": "history length"}[by]
    rows = [[heading, "users", *(result.name.replace("|", "\\|") for result in results)]]
    columns = [getattr(result.protocols[protocol], f"by_{by}") for result in results]
    for buckets in zip(*columns, strict=True):
        figures = [f"{bucket.metrics[metric]:.4f}" for bucket in buckets]
        rows.append([buckets[0].label, str(buckets[0].users), *figures])
    return _markdown(rows)


def _markdown(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(row: list[str]) -> str:
        first, *rest = row
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        return "| " + " | ".join(cells) + " |"

    rule = ["-" * max(widths[0], 3), *("-" * (max(width, 2) - 1) + ":" for width in widths[1:])]
    return "\n".join([line(rows[0]), "| " + " | ".join(rule) + " |", *map(line, rows[1:]), ""])
