"""What is public says what it is."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest
from package_modules import package_modules

import admin_py


def public_modules() -> list[str]:
    return sorted(
        name for name in package_modules() if not any(part.startswith("_") for part in name.split("."))
    )


def public_objects() -> list[tuple[str, object]]:
    """Functions and classes defined in public modules, and public methods of those classes."""
    found = []
    for module in map(importlib.import_module, public_modules()):
        for name, one in vars(module).items():
            if name.startswith("_") or getattr(one, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(one) or inspect.isclass(one):
                found.append((f"{module.__name__}.{name}", one))
            if inspect.isclass(one):
                for attribute, member in vars(one).items():
                    member = getattr(member, "__func__", member)
                    if not attribute.startswith("_") and (
                        inspect.isfunction(member) or isinstance(member, property)
                    ):
                        found.append((f"{module.__name__}.{name}.{attribute}", member))
    return found


def test_everything_public_says_what_it_is():
    assert not [name for name in public_modules() if not importlib.import_module(name).__doc__]
    assert not [name for name, one in public_objects() if not inspect.getdoc(one)]


@pytest.mark.parametrize("name", [name for name in admin_py.__all__ if not name.startswith("_")])
def test_the_front_door_is_documented_in_full(name):
    """What `import admin_py` offers has its parameters, and an example that runs as a doctest."""
    one = getattr(admin_py, name)
    text = inspect.getdoc(one) or ""
    assert len(text) > 40
    if inspect.isfunction(one):
        signature = inspect.signature(one)
        if signature.parameters:
            assert re.search(r"^Parameters\n-+$", text, flags=re.MULTILINE)
            missing = [p for p in signature.parameters if not re.search(rf"\b{p}\b.* : |\b{p}\b,", text)]
            assert not missing
        assert ">>>" in text
    if inspect.isclass(one):
        assert ">>>" in text
