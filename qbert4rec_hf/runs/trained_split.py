"""How the histories that a model was trained on were split, so that no figure is of trained items.

A domain folder may be given another split after a training; what is a test item then may have been
trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.split import Split, split_by
from ..data.time_order import order_by_time
from ..errors import QBert4RecError

if TYPE_CHECKING:
    from ..data.domain import Domain
    from ..data.domain_info import DomainInfo

TRAINED_SPLIT = "split"
"""Key of `recommender.json`: the settings of the split that a model was trained on."""
_SETTINGS = ("split", "validation_from", "test_from", "ties", "tie_seed")


def split_settings(info: DomainInfo) -> dict[str, Any]:
    """What decides which interactions of a domain are trained on, as `recommender.json` keeps it.

    Args:
        info: of the domain that the model is trained for.
    """
    return {name: getattr(info, name) for name in _SETTINGS}


def check_split(recorded: Mapping[str, Any] | None, domain: Domain, part: str) -> None:
    """Refuses to evaluate on items that a model was trained on.

    Args:
        recorded: what `split_settings` gave when the model was trained; None where nobody wrote it
            down, so that nothing can be said.
        domain: to evaluate on.
        part: "test" or "validation".

    Raises:
        QBert4RecError: items that are held out now were trained on, or this cannot be known since
            the domain has no time stamps any more; names the settings of the training.
    """
    if recorded is None or recorded == split_settings(domain.info):
        return
    given = ", ".join(f"{name} {recorded.get(name)}" for name in _SETTINGS)
    way_out = (
        f"the model was trained with {given}; set these in domain.json, or train again on the "
        "domain as it is"
    )
    try:
        trained = _trained_on(domain, replace(domain.info, **recorded))
    except (QBert4RecError, TypeError) as error:
        raise QBert4RecError(
            f"{domain.path or domain.name} cannot be split as it was for the training ({error}), "
            f"so its {part} items may have been trained on: {way_out}"
        ) from None
    held_out = domain.split().held_out[part]
    _, sequences = domain.sequences()
    count = int(trained[sequences.offsets[held_out.users] + held_out.places].sum())
    if count:
        raise QBert4RecError(
            f"{domain.path or domain.name}: the model was trained on {count:,} of the "
            f"{len(held_out.users):,} {part} items, so its figures would mean nothing: {way_out}"
        )


def _trained_on(domain: Domain, info: DomainInfo) -> np.ndarray:
    """Which interactions of a domain are for training under another split `[interactions]`."""
    user_ids, sequences = domain.sequences()
    split: Split = split_by(info, user_ids, sequences, domain.timestamps)
    users = sequences.row_index
    places = np.arange(len(users)) - sequences.offsets[users]
    in_training = places < split.training_lengths[users]
    if domain.timestamps is None or info.tie_seed == domain.info.tie_seed:
        return in_training
    # Equal time stamps stood in another order then; time stamps and places are the same.
    order = order_by_time(
        users, sequences.items, domain.timestamps, user_ids, domain.item_ids, seed=info.tie_seed
    )
    trained = np.empty_like(in_training)
    trained[order] = in_training
    return trained
