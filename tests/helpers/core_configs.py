"""Places in the core's description of a model."""

from __future__ import annotations

from typing import Any

from core_objects import core_config


def parent(config: dict[str, Any], path: tuple[Any, ...]) -> Any:
    """The dict that holds the last key of a path."""
    found: Any = config
    for key in path[:-1]:
        found = found[key]
    return found


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Keys to every field of a nested dict; of lists of dicts only the last item's."""
    found = []
    for key, item in value.items():
        found.append((*path, key))
        if isinstance(item, dict):
            found += paths(item, (*path, key))
        elif isinstance(item, list):
            found += paths(item[-1], (*path, key, len(item) - 1))
    return found


CONFIG = core_config()


PATHS = paths(CONFIG)
