"""A tiny shop whose titles try to break the page."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_recommender import tiny_recommender

from qbert4rec_hf.ranking.recommender import Recommender

SPACE = Path(__file__).parents[2] / "examples" / "space"
HOSTILE = {
    2: "<script>window.harm = 1</script> stove",
    3: "${window.harm = 1} rope",
    4: "{{constructor}} rope",
    9: '" onmouseover="window.harm = 1" data-act="clear" bag',
    10: "<img src=x onerror='window.harm = 1'> Böot",
}

sys.path[:0] = [str(SPACE), str(Path(__file__).parent)]

if not SPACE.is_dir():
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def recommender() -> Recommender:
    made = tiny_recommender()
    titles = [HOSTILE.get(row, title) for row, title in enumerate(made.catalog.titles)]
    return Recommender(
        made.model,
        replace(made.catalog, titles=titles),
        prior=made.ranker.prior,
        weights=made.ranker.weights,
        coder=made.coder,
    )


@pytest.fixture(scope="session")
def shop(recommender):
    from storefront.shop import Shop

    return Shop(recommender)
