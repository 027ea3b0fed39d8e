"""JSON documents that are wrong in one place, drawn at random: what files from others may be."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]

WRONG: tuple[Any, ...] = (
    None, True, -1, 0, 2**31, 2**63, 2**64, 10**30, 0.5, -1e308, "", "1/../../x", "\x00", "nan", [], {}, [[]],
    [None], {"a": 1}, {"__array__": "S1000000000", "shape": [1], "data": ["x"]},
    {"__array__": "float64", "shape": [10**9], "data": []}, {"__array__": "int8", "shape": [-1], "data": [1]},
    {"__array__": "int8", "shape": [1], "data": [300]}, {"__float__": "x"}, {"__float__": "nan", "b": 1},
    {"kind": "history", "format": 1}, {"kind": ["x"], "format": 1},
)  # fmt: skip


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where something stands in a document, numbers of arrays apart."""
    yield path
    items: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, item in list(items)[:20]:
        yield from places(item, (*path, key))


def mutated(document: dict[str, Any], rng: random.Random) -> str:
    """The text of a document in which one thing is wrong."""
    changed = copy.deepcopy(document)
    path = rng.choice([one for one in places(changed) if one])
    parent: Any = changed
    for key in path[:-1]:
        parent = parent[key]
    way = rng.choice(("replace", "replace", "remove", "add", "double", "infinite", "deep"))
    mark = "@@HERE@@"
    if way == "remove":
        del parent[path[-1]]
    elif way == "add":
        if isinstance(parent, dict):
            parent["unknown"] = 1
        else:
            parent.append(rng.choice(WRONG))
    elif way == "replace":
        parent[path[-1]] = copy.deepcopy(rng.choice(WRONG))
    else:
        parent[path[-1]] = mark
    text = json.dumps(changed)
    inserted = {
        "double": '{"a": 1, "a": 1}',
        "infinite": rng.choice(("NaN", "Infinity", "-Infinity", "1e999")),
        "deep": "[" * 5000 + "]" * 5000,
    }
    return text.replace(f'"{mark}"', inserted.get(way, "null"), 1)
