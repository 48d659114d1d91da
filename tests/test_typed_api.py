"""The package is typed, says so, and shows a checker of types what it exports lazily."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import pytest

import qbert4rec_hf

PACKAGE = Path(qbert4rec_hf.__file__).parent
PUBLIC = sorted(set(qbert4rec_hf.__all__) - {"__version__"})
# Names that transformers gave, without a word either.
OF_TRANSFORMERS = {"get_output_embeddings", "set_output_embeddings"}
# Public by their use, though not by their names.
PROTOCOLS = {"__init__", "__post_init__", "__call__", "__getitem__", "__iter__", "__len__"}


def is_ours(function: Callable) -> bool:
    """Whether it was written here; what `dataclass` generates and what is inherited was not."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and Path(code.co_filename).is_relative_to(PACKAGE)


def functions_of(value: object) -> Iterator[tuple[str, Callable]]:
    """A function itself, or every public method and property of a class with those it inherits."""
    if not inspect.isclass(value):
        yield value.__name__, value
        return
    for owner in value.__mro__:
        for name, member in vars(owner).items():
            if name.startswith("_") and name not in PROTOCOLS:
                continue
            function = getattr(member, "__func__", None) or getattr(member, "fget", None)
            function = function or getattr(member, "func", member)
            if callable(function) and is_ours(function):
                yield f"{owner.__name__}.{name}", inspect.unwrap(function)


def lacking(function: Callable) -> list[str]:
    """Parameters without a type, and "return"."""
    signature = inspect.signature(function)
    empty = inspect.Signature.empty
    names = [
        name
        for number, (name, parameter) in enumerate(signature.parameters.items())
        if parameter.annotation is empty and not (number == 0 and name in ("self", "cls"))
    ]
    return names + (["return"] if signature.return_annotation is empty else [])


@pytest.mark.parametrize("name", PUBLIC)
def test_every_parameter_and_return_is_annotated(name):
    found = {
        at: missing
        for at, f in functions_of(getattr(qbert4rec_hf, name))
        if (missing := lacking(f))
    }
    assert found == {}


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_function_says_what_it_does(name):
    value = getattr(qbert4rec_hf, name)
    assert value.__doc__ and not value.__doc__.startswith(f"{name}(")
    methods = (
        [at.partition(".")[2] for at, _ in functions_of(value)] if inspect.isclass(value) else []
    )
    # A method may have what it says from the class that it overrides.
    silent = [
        at
        for at in methods
        if at not in PROTOCOLS | OF_TRANSFORMERS and not inspect.getdoc(getattr(value, at))
    ]
    assert silent == []


def test_the_checks_find_something():
    def good(a: int, *, b: str = "") -> None: ...

    def bad(a, *arguments, b: str = "", **keywords): ...

    assert lacking(good) == []
    assert lacking(bad) == ["a", "arguments", "keywords", "return"]
    methods = dict(functions_of(qbert4rec_hf.Recommender))
    assert {"Recommender.recommend", "LivingCatalogue.add_items"} <= methods.keys()
    assert "Domain.item_ids" in dict(functions_of(qbert4rec_hf.Domain))
    assert "QBert4RecForMaskedLM.forward" in dict(functions_of(qbert4rec_hf.QBert4RecForMaskedLM))


def test_the_package_says_that_it_is_typed():
    assert resources.files(qbert4rec_hf).joinpath("py.typed").is_file()


def test_a_checker_of_types_sees_every_public_name():
    """It never calls `__getattr__`; what it sees are the imports under TYPE_CHECKING."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (block,) = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    ]
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == qbert4rec_hf._MODULES
    assert set(seen) | {"QBert4RecError", "register", "__version__"} == set(qbert4rec_hf.__all__)


def test_the_help_of_the_package_names_what_it_offers():
    listed = [name for name in PUBLIC if f"`{name}`" in qbert4rec_hf.__doc__]
    assert listed == PUBLIC
