"""The public names of `import edgetvm`: the list, and that each explains itself and its types."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable

import pytest

import edgetvm
from edgetvm import errors

FUNCTIONS = {"compile", "debug_accuracy", "fit", "inspect", "load", "quantize", "targets", "tune"}
CLASSES = {"EdgeTVMError", "Package"}


def callables() -> list[tuple[str, Callable[..., object]]]:
    """Every public function, and every public method and property of every public class."""
    found: list[tuple[str, Callable[..., object]]] = []
    for name in sorted(edgetvm.__all__):
        value = getattr(edgetvm, name)
        if inspect.isfunction(value):
            found.append((name, value))
        elif inspect.isclass(value):
            for member, attribute in vars(value).items():
                function = attribute.fget if isinstance(attribute, property) else attribute
                function = getattr(function, "__func__", function)
                if not member.startswith("_") and inspect.isfunction(function):
                    found.append((f"{name}.{member}", function))
    return found


def untyped(function: Callable[..., object]) -> list[str]:
    """Parameters (and "return") without a type; unresolvable types raise."""
    hints = typing.get_type_hints(function)
    parameters = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]
    return [name for name in [*parameters, "return"] if name not in hints]


def test_the_list() -> None:
    assert set(edgetvm.__all__) == FUNCTIONS | CLASSES


def test_nothing_else_is_public_by_accident() -> None:
    public = {name for name, value in vars(edgetvm).items() if name[0] != "_" and not inspect.ismodule(value)}
    assert public == set(edgetvm.__all__)


@pytest.mark.parametrize("name", sorted(FUNCTIONS | CLASSES))
def test_each_has_a_docstring(name: str) -> None:
    doc = getattr(edgetvm, name).__doc__
    # The docstring that a dataclass is given by itself repeats its fields and says nothing.
    assert doc and not doc.startswith(f"{name}(")


def test_every_error_is_one_a_user_can_catch() -> None:
    classes = [value for value in vars(errors).values() if inspect.isclass(value)]
    assert len(classes) > 5
    assert [value for value in classes if not issubclass(value, edgetvm.EdgeTVMError) or not value.__doc__] == []


@pytest.mark.parametrize(("name", "function"), callables(), ids=[name for name, _ in callables()])
def test_each_is_typed_and_documented(name: str, function: Callable[..., object]) -> None:
    assert inspect.getdoc(function)
    assert untyped(function) == []


def test_a_missing_type_is_seen() -> None:
    def half(one: int, two) -> None:  # type: ignore[no-untyped-def]
        pass

    assert untyped(half) == ["two"]
