"""The directive ``command-line``: every command and option, read from the parser itself."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from admin_py.cli.entry import build_parser


def subcommands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Name and parser of every command."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def shown(action: argparse.Action) -> str:
    """An option as it is typed."""
    takes = "" if action.nargs == 0 else (action.metavar or action.dest.upper())
    if action.choices is not None and action.metavar is None:
        takes = "{" + ",".join(map(str, action.choices)) + "}"
    if action.nargs == "+":
        takes = f"{takes} ..."
    if not action.option_strings:
        return str(takes)
    return f"{', '.join(action.option_strings)} {takes}".rstrip()


def options(group: Any) -> nodes.definition_list:
    """A group of options as a list."""
    found = nodes.definition_list(classes=["options"])
    for action in group._group_actions:
        if action.help is argparse.SUPPRESS:
            continue
        item = nodes.definition_list_item()
        item += nodes.term("", "", nodes.literal("", shown(action)))
        item += nodes.definition("", nodes.paragraph("", action.help or ""))
        found += item
    return found


class CommandLine(SphinxDirective):
    """Sections for all commands."""

    def run(self) -> list[nodes.Node]:
        sections: list[nodes.Node] = []
        for name, parser in subcommands(build_parser()):
            section = nodes.section(ids=[f"admin-py-{name}"])
            section += nodes.title("", f"admin-py {name}")
            self.state.document.note_implicit_target(section)
            section += nodes.paragraph("", parser.description or "")
            for group in parser._action_groups:
                found = options(group)
                if len(found):
                    section += nodes.rubric("", (group.title or "").capitalize())
                    section += found
            if parser.epilog:
                section += nodes.literal_block("", parser.epilog, language="none")
            sections.append(section)
        return sections


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
