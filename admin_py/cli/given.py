"""Which options were typed, so that one that would do nothing is refused."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from admin_py.cli.options import UsageError


def note_given(parser: argparse.ArgumentParser) -> None:
    """Let the parser leave out what is not typed; `take_given` puts the defaults back.

    To be called when the parser has all its options.
    """
    defaults, names = {}, {}
    for action in parser._actions:
        if action.option_strings and action.default is not argparse.SUPPRESS:
            defaults[action.dest], names[action.dest] = action.default, action.option_strings[0]
            if action.help and action.help is not argparse.SUPPRESS:
                action.help = action.help.replace("%(default)s", str(action.default))
            action.default = argparse.SUPPRESS
    parser.set_defaults(noted=(defaults, names))


def take_given(options: argparse.Namespace) -> dict[str, str]:
    """The options that were typed, attribute to name; the others get their defaults.

    Examples
    --------
    >>> parser = argparse.ArgumentParser()
    >>> _ = parser.add_argument("--max-steps", type=int, default=5)
    >>> _ = parser.add_argument("--lr", type=float, default=0.1)
    >>> note_given(parser)
    >>> options = parser.parse_args(["--max-steps", "5"])
    >>> take_given(options), options.max_steps, options.lr
    ({'max_steps': '--max-steps'}, 5, 0.1)
    """
    defaults, names = options.noted
    given = {dest: name for dest, name in names.items() if hasattr(options, dest)}
    for dest, default in defaults.items():
        if dest not in given:
            setattr(options, dest, default)
    return given


def refuse(given: Mapping[str, str], unused: Mapping[str, str]) -> None:
    """UsageError if one of the given options is unused: attribute to what it would go with.

    Examples
    --------
    >>> refuse({"lr": "--lr"}, {"lr": "updates"})
    Traceback (most recent call last):
    admin_py.cli.options.UsageError: --lr goes with updates
    """
    for dest, used_by in unused.items():
        if dest in given:
            raise UsageError(f"{given[dest]} goes with {used_by}")
