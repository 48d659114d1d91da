"""What a model card says about one model."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..columns import STRUCTURAL_MODALITY
from ..errors import QBert4RecError
from ..evaluation.result import EvaluationResult


@dataclass(frozen=True)
class ExampleItem:
    """An item as the card shows it.

    Args:
        item_id: as the shop writes it.
        title: to read.
        semantic_id: its tokens.
        score: where it is an answer of the model.
    """

    item_id: str
    title: str | None = None
    semantic_id: str = ""
    score: float | None = None


@dataclass(frozen=True, kw_only=True)
class ModelCardFacts:
    """What a model card says; everything else in it is true of every model.

    Args:
        name: of the model.
        model: what the snippets open: the id of a repository, or a folder.
        domain: name of the domain recommended in.
        num_items: items of the catalogue.
        codebook_sizes: codes of each level of a semantic ID.
        num_shared_ids: items that share their semantic ID with another one.
        imported_ids: semantic IDs were published with the domain, not made from its content.
        max_items: latest items of a history that the model reads.
        exclude_seen: whether items of the history are left out unless asked for.
        graph_share: share of the item graph in the ranking, by protocol; None without a graph.
        reranked_items: how many of the first items a re-ranker re-orders; 0 without one.
        seen_weight: what the scores of a history's items are multiplied by where they are ranked.
        temperature: what the model's logits are divided by before the item graph is mixed in.
        parameters: number of trained numbers of the sequence model.
        history: a few items of the catalogue for the snippets.
        answer: what the model recommends for them.
        pretrain_domains: names of the domains it was pre-trained on.
        encoders: modality -> what encodes it, in words.
        base_models: ids of the Hub's models that it was made from: the one that it was fine-tuned
            from, and those that encode items.
        taken_over: what it was fine-tuned from and what was taken over, in words; empty for a model
            that was trained from the start.
        datasets: ids of the Hub's datasets; none for a domain that is a local folder.
        domain_facts: further lines of the domain's table: users, interactions, source.
        notes: sentences on the data that belong to the limits, such as order taken on trust.
        recipe: the settings that matter most, name -> value.
        settings: all settings, dotted name -> value.
        command: what makes the model again.
        seed: of everything random.
        machine: what it was trained on, in words.
        seconds: time of each stage.
        versions: library -> version.
        results: what was measured, the model itself first.
        licence: identifier of the licence.
    """

    name: str
    domain: str
    num_items: int
    codebook_sizes: Sequence[int]
    model: str
    history: Sequence[ExampleItem]
    answer: Sequence[ExampleItem] = ()
    num_shared_ids: int = 0
    imported_ids: bool = False
    max_items: int | None = None
    exclude_seen: bool = True
    graph_share: Mapping[str, float] | None = None
    reranked_items: int = 0
    seen_weight: float = 1.0
    temperature: float = 1.0
    parameters: int | None = None
    pretrain_domains: Sequence[str] = ()
    encoders: Mapping[str, str] = field(default_factory=dict)
    base_models: Sequence[str] = ()
    taken_over: str = ""
    datasets: Sequence[str] = ()
    domain_facts: Mapping[str, object] = field(default_factory=dict)
    notes: Sequence[str] = ()
    recipe: Mapping[str, object] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    command: str = ""
    seed: int | None = None
    machine: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    results: Sequence[EvaluationResult] = ()
    licence: str = "apache-2.0"

    @property
    def codes_new_items(self) -> bool:
        """Whether items that come later can be coded: from content, by encoders of the model."""
        return not self.imported_ids and set(self.encoders) != {STRUCTURAL_MODALITY}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelCardFacts:
        """Facts from a mapping with the names above.

        Raises:
            QBert4RecError: an unknown name (the nearest one is named), or one that is missing.
        """
        fields = dataclasses.fields(cls)
        names = [known.name for known in fields]
        for name in values:
            if name not in names:
                near = difflib.get_close_matches(str(name), names, 1)
                raise QBert4RecError(
                    f"a model card has no fact {name!r}; "
                    + (f"did you mean {near[0]}?" if near else f"it has {', '.join(names)}")
                )
        try:
            return cls(**values)
        except TypeError as error:
            missing = re.findall(r"'(\w+)'", str(error))
            raise QBert4RecError(f"a model card needs the facts {', '.join(missing)}") from None
