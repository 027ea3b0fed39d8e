"""The door knows every class of the package that annotations of public functions name."""

from __future__ import annotations

import ast
import importlib
import inspect

from package_modules import package_modules
from surface import public

from admin_py.base.arguments import CLASSES


def classes_of_the_package() -> set[str]:
    found = set()
    for module in package_modules():
        if not module.endswith(("__main__", "_core", "_core64")):
            for name, value in vars(importlib.import_module(module)).items():
                if inspect.isclass(value) and value.__module__ == module:
                    found.add(name)
    return found


def members(annotation: str) -> list[str]:
    """The names of a union of plain classes; none where something else is among them."""
    nodes, found = [ast.parse(annotation, mode="eval").body], []
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.BinOp):
            nodes += [node.left, node.right]
        elif isinstance(node, ast.Name):
            found.append(node.id)
        elif not (isinstance(node, ast.Constant) and node.value is None):
            return []
    return found


def test_every_class_that_annotations_name_is_known():
    own = classes_of_the_package()
    unknown = {}
    for callee in public():
        if hasattr(callee.attribute, "__dataclass_fields__"):
            continue  # its fields are checked where it is made
        for parameter in callee.parameters:
            if isinstance(parameter.annotation, str):
                named = members(parameter.annotation)
                if named and set(named) <= own and not set(named) <= CLASSES:
                    unknown[f"{callee.name}({parameter.name})"] = parameter.annotation
    assert not unknown


def test_no_class_is_known_that_there_is_not():
    assert {name for name in CLASSES if "." not in name} <= classes_of_the_package()
