"""What a report page shows, as plain data."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .result import EvaluationResult


@dataclass(frozen=True)
class Curves:
    """One chart of training curves.

    Attributes:
        title: of the chart.
        x_label: "Epoch", "Step".
        y_label: what is measured.
        series: name -> points `(x, y)`.
        note: a sentence below the chart.
    """

    title: str
    x_label: str
    y_label: str
    series: Mapping[str, Sequence[tuple[float, float]]]
    note: str = ""


@dataclass(frozen=True)
class CodebookLevel:
    """Use of one codebook.

    Attributes:
        name: of the level, "a".
        size: codewords.
        used: codewords that at least one item has.
        perplexity: exponential of the entropy of use; equals `size` when all are used alike.
    """

    name: str
    size: int
    used: int
    perplexity: float | None = None


@dataclass(frozen=True)
class ReportItem:
    """An item as a user's card shows it.

    Attributes:
        item_id: as the shop writes it.
        title: to read; `None` shows the id alone.
        image: path of a picture, its bytes, or `None`. URLs are not fetched, so that the page
            never depends on the network.
        score: of a recommendation.
    """

    item_id: str
    title: str | None = None
    image: str | os.PathLike | bytes | None = None
    score: float | None = None


@dataclass(frozen=True)
class ReportUser:
    """One user's history and what the model recommends.

    Attributes:
        name: user id or any heading.
        history: oldest first.
        recommendations: best first.
        target_id: the item that the user took next, where known; marked among the
            recommendations.
        target: the same to show when it is not among them.
        cold_start: the recommendations are those for an empty history.
    """

    name: str
    history: Sequence[ReportItem]
    recommendations: Sequence[ReportItem]
    target_id: str | None = None
    target: ReportItem | None = None
    cold_start: bool = False


@dataclass
class ReportData:
    """Everything a report page may show; each part is optional and left out when empty.

    Attributes:
        title: heading of the page.
        subtitle: a sentence below it.
        facts: name -> value, shown as tiles: items, users, seed, training time.
        evaluations: systems to put side by side, the model first.
        curves: charts of training.
        codebooks: use of each level of the semantic IDs.
        depths: fusion layers -> number of items that stop there.
        depths_by_group: the same by a name (a domain); replaces `depths` when given.
        users: a handful of them.
        settings: name -> value, folded away at the end of the page.
        notes: sentences that belong beside the figures (seed, machine, command).
    """

    title: str
    subtitle: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    evaluations: Sequence[EvaluationResult] = ()
    curves: Sequence[Curves] = ()
    codebooks: Sequence[CodebookLevel] = ()
    depths: Mapping[int, int] = field(default_factory=dict)
    depths_by_group: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    users: Sequence[ReportUser] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    notes: Sequence[str] = ()


def curves_from_history(
    history: Sequence[Mapping[str, object]], keys: Sequence[str], *, x: str = "epoch"
) -> dict[str, list[tuple[float, float]]]:
    """Series for `Curves` from a list of log entries, as `Trainer.state.log_history` holds them.

    Args:
        history: entries; those that lack `x` or a key are passed over for that key.
        keys: what to draw, one series each.
        x: what the horizontal axis shows, `epoch` or `step`.

    Example:
        >>> curves_from_history([{"epoch": 1, "loss": 2.5}, {"epoch": 2, "eval_loss": 1}], ["loss"])
        {'loss': [(1.0, 2.5)]}
    """
    series: dict[str, list[tuple[float, float]]] = {}
    for key in keys:
        points = [
            (float(entry[x]), float(entry[key]))  # type: ignore[arg-type]
            for entry in history
            if isinstance(entry.get(x), int | float) and isinstance(entry.get(key), int | float)
        ]
        if points:
            series[key] = points
    return series
