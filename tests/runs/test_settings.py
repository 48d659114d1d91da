from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.runs.settings import build, override


@dataclass
class Inner:
    epochs: int = 3
    learning_rate: float = 1e-3
    sizes: int | list[int] = 256
    kind: Literal["dynamic", "fixed"] = "dynamic"
    name: str | None = None
    shuffle: bool = True
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise QBert4RecError(f"epochs must not be negative, got {self.epochs}")


@dataclass
class Outer:
    seed: int = 0
    fusion: Inner = field(default_factory=Inner)


def make(value):
    return build(Outer, value, source="config.yaml")


def test_absent_keys_take_their_defaults():
    assert make({}) == make(None) == Outer()
    assert make({"fusion": {"epochs": 7}}).fusion == Inner(epochs=7)
    assert make({"fusion": None}).fusion == Inner()


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"learning_rate": 1}, 1.0),
        ({"learning_rate": "1e-4"}, 1e-4),
        ({"learning_rate": "2.5E-3"}, 2.5e-3),
        ({"sizes": 4}, 4),
        ({"sizes": [4, 5]}, [4, 5]),
        ({"kind": "fixed"}, "fixed"),
        ({"name": None}, None),
        ({"options": {"a": 1}}, {"a": 1}),
    ],
)
def test_values_of_the_right_type(section, expected):
    (name,) = section
    value = getattr(make({"fusion": section}).fusion, name)
    assert value == expected and type(value) is type(expected)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"fuson": {}}, "config.yaml: unknown key 'fuson'; did you mean fusion?"),
        ({"fusion": {"epoch": 1}}, "unknown key 'fusion.epoch'; did you mean fusion.epochs?"),
        ({"fusion": {"zzz": 1}}, "fusion may hold epochs, learning_rate"),
        ({"seed": "one"}, "seed must be a whole number, got 'one'"),
        ({"seed": True}, "seed must be a whole number, got True"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"fusion": {"learning_rate": "fast"}}, "fusion.learning_rate must be a number"),
        ({"fusion": {"sizes": [1, "x"]}}, "a whole number or a list of whole numbers"),
        ({"fusion": {"kind": "deep"}}, "one of dynamic, fixed, got 'deep'"),
        ({"fusion": {"shuffle": 1}}, "true or false"),
        ({"fusion": 5}, "fusion must be a mapping"),
        ([1], "the whole file must be a mapping"),
        ({"fusion": {"epochs": -1}}, "config.yaml: fusion: epochs must not be negative"),
    ],
)
def test_wrong_values_are_named(value, message):
    with pytest.raises(QBert4RecError) as caught:
        make(value)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_overrides_lie_over_the_mapping_without_changing_it():
    value = {"fusion": {"epochs": 1}}
    result = override(value, ["fusion.epochs=5", "seed=2"], parse=int)
    assert result == {"fusion": {"epochs": 5}, "seed": 2}
    assert value == {"fusion": {"epochs": 1}}


@pytest.mark.parametrize("text", ["seed", "=3", "seed.x=3"])
def test_a_malformed_override_is_named(text):
    with pytest.raises(QBert4RecError, match="--set"):
        override({"seed": 1}, [text], parse=int)
