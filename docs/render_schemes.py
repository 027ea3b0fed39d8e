"""Writes the tables of docs/schemes.md from the schemes themselves; a test checks that they are up to date.

Usage: python docs/render_schemes.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from admin_py import schemes
from admin_py.model.config import TransformerConfig
from admin_py.schemes import Residual, Scale

PAGE = Path(__file__).with_name("schemes.md")
LAYERS = 6


def short(value: float) -> str:
    """Four digits, without trailing zeros."""
    return f"{value:.4g}"


def span(values: Iterable[float]) -> str:
    """One value, or the smallest and the largest."""
    shown = sorted(set(values))
    return short(shown[0]) if len(shown) == 1 else f"{short(shown[0])} to {short(shown[-1])}"


def norm(values: Iterable[str]) -> str:
    """Kinds of norm in one place of a stack."""
    names = {"none": "", "layer": "LN", "rms": "RMS", "dyt": "DyT"}
    kinds = list(dict.fromkeys(values))
    return names[kinds[0]] if len(kinds) == 1 else "LN, in some"


def scale(scales: Iterable[Scale]) -> str:
    """Kind and values of an omega or alpha."""
    rows = list(scales)
    if rows[0].kind == "none":
        return "1"
    mark = "*" if rows[0].trained else ""
    kind = "vector " if rows[0].kind == "vector" else ""
    return f"{kind}{span(row.value for row in rows)}{mark}"


def gains(stacks: list[list[Residual]]) -> str:
    """Factors on the initial weights of encoder and decoder."""
    rows = [row for stack in stacks for row in stack]
    if any(row.init == "looks_linear" for row in rows):
        return "mirrored fc1, fc2"
    if all(set(row.gains.values()) == {1.0} for row in rows):
        return "1"
    which = schemes.WEIGHTS if any(row.gains["q"] != 1.0 for row in rows) else ("v", "out", "fc1", "fc2")
    spans = (span(row.gains[name] for row in stack for name in which) for stack in stacks)
    return ("all " if "q" in which else "v, out, fc1, fc2 ") + " / ".join(dict.fromkeys(spans))


def extra(rows: list[Residual]) -> str:
    """s and kappa, where they are not 1 and 0."""
    said = []
    if {row.input_scale for row in rows} != {1.0}:
        said.append(f"s {span(row.input_scale for row in rows)}")
    if {row.kappa for row in rows} != {0.0}:
        said.append(f"kappa {span(row.kappa for row in rows)}")
    return ", ".join(said)


def fields_row(name: str) -> list[str]:
    """One line of the table of fields."""
    config = TransformerConfig(
        vocab_size=100, encoder_layers=LAYERS, decoder_layers=LAYERS, d_model=64, heads=4, scheme=name
    )
    stacks = [list(config.residuals(stack)) for stack in ("encoder", "decoder")]

    def of(show: Callable[[list[Residual]], str]) -> str:
        return " / ".join(dict.fromkeys(show(rows) for rows in stacks))

    embedding = dict.fromkeys(short(config.embedding_gain(stack)) for stack in ("encoder", "decoder"))
    return [
        f"`{name}`",
        of(lambda rows: norm(row.norm_pre for row in rows)),
        of(lambda rows: norm(row.norm_inner for row in rows)),
        of(lambda rows: norm(row.norm_branch for row in rows)),
        of(lambda rows: norm(row.norm_post for row in rows)),
        norm([config.stack_scheme("encoder").final_norm]),
        of(lambda rows: scale(row.omega for row in rows)),
        of(lambda rows: scale(row.alpha for row in rows)),
        gains(stacks),
        " / ".join(embedding),
        of(extra),
    ]


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def tables() -> dict[str, str]:
    """All tables, by the names that the page calls them."""
    names = list(schemes.BUILT_IN)
    computed = [[f"`{name}`", schemes.get(name).summary, schemes.get(name).source] for name in names]
    head = [
        "scheme",
        "pre",
        "inner",
        "branch",
        "post",
        "final",
        "omega",
        "alpha",
        "gains",
        "embeddings",
        "more",
    ]
    return {
        "computed": table(["scheme", "a sub-layer", "source"], computed),
        "fields": table(head, [fields_row(name) for name in names]),
    }


def render(page: str) -> str:
    """The page with its tables made anew."""
    for name, rows in tables().items():
        begin, end = f"<!-- table: {name} -->\n", "<!-- end -->"
        before, after = page.split(begin)
        page = before + begin + rows + end + after.split(end, 1)[1]
    return page


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
