"""What an evaluation found, as an object and as a JSON file."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..data.splitting import Splitting
from ..errors import QBert4RecError
from ..files import read_json, write_json
from .metrics import ALL_ITEMS, PROTOCOLS, UNSEEN_ITEMS
from .result_html import results_html
from .segments import Bucket
from .tables import PROTOCOL_TITLES, markdown_table

PRIMARY_METRIC = "NDCG@10"
FORMAT_VERSION = 1

NOT_STATED = {"splitting": "not stated", "history": "not stated"}
SEEN_RULES = {
    ALL_ITEMS: "kept: items of the user's history compete and may be recommended",
    UNSEEN_ITEMS: "excluded: items of the user's history are no candidates",
}


@dataclass(frozen=True, repr=False)
class ProtocolResult:
    """Figures under one seen-item rule.

    Attributes:
        metrics: `{"HR@10": ..., "NDCG@10": ..., ...}`, means over users.
        ranks: `[users]` int64, the target's rank for each user.
        coverage: share of the catalogue that is among the first ten of any user.
        by_popularity: metrics by the target's interactions in training.
        by_history_length: metrics by the number of items in the history.
    """

    metrics: dict[str, float]
    ranks: np.ndarray
    coverage: float
    by_popularity: list[Bucket]
    by_history_length: list[Bucket]

    def __repr__(self) -> str:
        figures = ", ".join(f"{name}: {value:.4f}" for name, value in self.metrics.items())
        return f"ProtocolResult({figures}, coverage@10: {self.coverage:.3f})"


@dataclass(frozen=True, repr=False)
class EvaluationResult:
    """What an evaluation found for one system.

    Attributes:
        name: how tables call the system.
        split: `validation` or `test`.
        num_items: candidates ranked for each user.
        num_users: users evaluated.
        num_seen_targets: users whose target is in their history already; with seen items
            excluded these are misses by rule.
        num_cold_targets: users whose target has no interaction in training.
        protocols: figures by protocol, `all_items` and `unseen_items`.
        seconds: wall time of scoring and ranking.
        splitting: how histories and targets were held out; None where the caller did not say.
        extra: what else belongs beside the figures (the rate of shared semantic IDs, say).
    """

    name: str
    split: str
    num_items: int
    num_users: int
    num_seen_targets: int
    num_cold_targets: int
    protocols: dict[str, ProtocolResult]
    seconds: float
    splitting: Splitting | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def metric(self, name: str = PRIMARY_METRIC, protocol: str = ALL_ITEMS) -> float:
        """One figure, by default the primary one."""
        return self.protocols[protocol].metrics[name]

    @property
    def order_note(self) -> str:
        """How far the order behind these figures can be believed: a sentence for under a table."""
        return "" if self.splitting is None else self.splitting.note

    def __repr__(self) -> str:
        figures = "".join(
            f", {PRIMARY_METRIC} {found.metrics[PRIMARY_METRIC]:.4f} {PROTOCOL_TITLES[protocol]}"
            for protocol, found in self.protocols.items()
            if PRIMARY_METRIC in found.metrics
        )
        return (
            f"EvaluationResult({self.name!r}, {self.split} split, {self.num_users} users, "
            f"{self.num_items} items{figures})"
        )

    def _repr_html_(self) -> str:
        return results_html([self])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; names protocol, candidates and seen-item rule. No ranks."""
        protocols = {}
        for protocol, found in self.protocols.items():
            protocols[protocol] = {
                "seen_items": SEEN_RULES[protocol],
                "metrics": found.metrics,
                "coverage@10": found.coverage,
                "by_target_popularity": [asdict(bucket) for bucket in found.by_popularity],
                "by_history_length": [asdict(bucket) for bucket in found.by_history_length],
            }
        return {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "primary_metric": PRIMARY_METRIC,
            "protocol": {
                "split": self.split,
                **(NOT_STATED if self.splitting is None else self.splitting.to_dict()),
                "candidates": "full catalogue, nothing sampled",
                "num_candidates": self.num_items,
                "ties": "against the target: rank = 1 + other items that score at least as high",
                "unit": "items, not semantic IDs",
            },
            "counts": {
                "users": self.num_users,
                "items": self.num_items,
                "targets_already_seen": self.num_seen_targets,
                "targets_not_in_training": self.num_cold_targets,
            },
            "results": protocols,
            "seconds": round(self.seconds, 2),
            "extra": self.extra,
        }

    def save(self, path: str | os.PathLike, *, ranks: bool = False) -> None:
        """Writes the JSON file, and with `ranks` the ranks beside it as safetensors.

        Raises:
            QBert4RecError: the file cannot be written.
        """
        path = Path(path)
        write_json(path, self.to_dict())
        if ranks:
            from safetensors.numpy import save_file

            arrays = {protocol: found.ranks for protocol, found in self.protocols.items()}
            save_file(arrays, _ranks_path(path))

    @classmethod
    def load(cls, path: str | os.PathLike) -> EvaluationResult:
        """Reads what `save` wrote; ranks are empty where they were not saved.

        Raises:
            QBert4RecError: the file is missing or not a result of this format.
        """
        path = Path(path)
        value = read_json(path)
        if not isinstance(value, dict) or value.get("format_version") != FORMAT_VERSION:
            raise QBert4RecError(
                f"{path} is not an evaluation result of format {FORMAT_VERSION}; evaluate again"
            )
        arrays = {protocol: np.empty(0, dtype=np.int64) for protocol in PROTOCOLS}
        if _ranks_path(path).exists():
            from safetensors.numpy import load_file

            arrays.update(load_file(_ranks_path(path)))
        try:
            counts = value["counts"]
            protocols = {
                protocol: ProtocolResult(
                    metrics=found["metrics"],
                    ranks=arrays[protocol],
                    coverage=found["coverage@10"],
                    by_popularity=[Bucket(**b) for b in found["by_target_popularity"]],
                    by_history_length=[Bucket(**b) for b in found["by_history_length"]],
                )
                for protocol, found in value["results"].items()
            }
            return cls(
                name=value["name"],
                split=value["protocol"]["split"],
                num_items=counts["items"],
                num_users=counts["users"],
                num_seen_targets=counts["targets_already_seen"],
                num_cold_targets=counts["targets_not_in_training"],
                protocols=protocols,
                seconds=value["seconds"],
                splitting=Splitting.from_dict(
                    value["protocol"], value["protocol"]["split"], counts["users"]
                ),
                extra=value["extra"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise QBert4RecError(
                f"{path} lacks a part of an evaluation result ({error}); evaluate again"
            ) from None


class EvaluationResults(list[EvaluationResult]):
    """Results of several systems on the same users, which show themselves as tables.

    In everything else it is a list.
    """

    def __repr__(self) -> str:
        return markdown_table(self).rstrip() if self else "EvaluationResults([])"

    def _repr_html_(self) -> str:
        return results_html(self)


def _ranks_path(path: Path) -> Path:
    return path.with_suffix(".ranks.safetensors")
