"""Somebody else's model of 1.1 G parameters, read and looked at: `python -m benchmarks.large_checkpoint`.

TinyLlama's sizes (22 layers, D 2048, 32 heads over 4 of keys and values, F 5632, vocabulary 32,000), random
weights, as a folder of Hugging Face in bfloat16: two files and an index. A process of its own reads it with
`load_pretrained`, profiles it on 512 tokens and draws what its layers depend on. Prints the seconds of each
part and the most memory held so far, which reading may bring to 1.2 times the model's float32 numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import keeping, machine
from benchmarks.turns import Runner, child_environment

KIND = "large checkpoint"
LIMIT = 1.2
"""Times the float32 numbers of the model: what reading it may hold at most."""
PARTS = ("import", "profile", "dependency", "picture")
WIDTH = 0.02
"""Standard deviation of the weights."""
MIB = 2**20


class Sizes(NamedTuple):
    """Of a Llama-like model."""

    d_model: int
    layers: int
    heads: int
    kv_heads: int
    d_ff: int
    vocab_size: int
    max_length: int

    def config(self) -> dict[str, Any]:
        """What stands in ``config.json``."""
        return {
            "model_type": "llama",
            "architectures": ["LlamaForCausalLM"],
            "dtype": "bfloat16",
            "hidden_size": self.d_model,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "intermediate_size": self.d_ff,
            "vocab_size": self.vocab_size,
            "max_position_embeddings": self.max_length,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10_000.0,
            "hidden_act": "silu",
            "tie_word_embeddings": False,
        }

    def shards(self) -> list[dict[str, tuple[int, ...]]]:
        """Names and shapes of the tensors of two files: the lower half of the layers, the upper one."""
        d, f = self.d_model, self.d_ff
        keys = d // self.heads * self.kv_heads
        within = {
            "self_attn.q_proj": (d, d),
            "self_attn.k_proj": (keys, d),
            "self_attn.v_proj": (keys, d),
            "self_attn.o_proj": (d, d),
            "mlp.gate_proj": (f, d),
            "mlp.up_proj": (f, d),
            "mlp.down_proj": (d, f),
            "input_layernorm": (d,),
            "post_attention_layernorm": (d,),
        }
        first: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocab_size, d)}
        second: dict[str, tuple[int, ...]] = {}
        for layer in range(self.layers):
            part = first if 2 * layer < self.layers else second
            part |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in within.items()}
        return [first, {**second, "model.norm.weight": (d,), "lm_head.weight": (self.vocab_size, d)}]


def bfloat16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The upper halves of float32 numbers, rounded to the nearest, of two as near to the even one."""
    bits = values.view(np.uint32)
    return ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype("<u2")


def drawn(shapes: Mapping[str, tuple[int, ...]], rng: np.random.Generator) -> Iterator[NDArray[np.uint16]]:
    """The tensors of a file, one after another; gains of norms are 1."""
    for shape in shapes.values():
        if len(shape) == 1:
            yield bfloat16(np.ones(shape, np.float32))
        else:
            yield bfloat16(np.float32(WIDTH) * rng.standard_normal(shape, np.float32))


def write_checkpoint(folder: Path, sizes: Sizes, seed: int) -> int:
    """Write the folder; the number of its parameters. At no time is there more than a tensor in memory."""
    rng = np.random.default_rng(seed)
    shards = sizes.shards()
    folder.mkdir(parents=True, exist_ok=True)
    places: dict[str, str] = {}
    for number, shapes in enumerate(shards, start=1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        header, end = {}, 0
        for tensor, shape in shapes.items():
            begin, end = end, end + 2 * int(np.prod(shape))
            header[tensor] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
            places[tensor] = name
        text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
        text += b" " * (-len(text) % 8)
        with open(folder / name, "wb") as stream:
            stream.write(len(text).to_bytes(8, "little") + text)
            for values in drawn(shapes, rng):
                stream.write(values.data)
    count = sum(int(np.prod(shape)) for shapes in shards for shape in shapes.values())
    index = {"metadata": {"total_size": 2 * count}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(sizes.config(), indent=2), encoding="utf-8")
    return count


class Side:
    """The process that reads the folder and looks at the model."""

    def __init__(self, folder: str, picture: str, tokens: int, threads: int) -> None:
        import admin_py as ap

        ap.set_num_threads(threads)
        self.ap, self.folder, self.picture, self.tokens = ap, folder, picture, tokens
        self.found: dict[str, Any] = {}

    def part(self, name: str) -> tuple[float, int]:
        """Seconds of a part, and the most bytes that the process has held so far."""
        from benchmarks.large_model import peak_bytes

        work: Mapping[str, Callable[[], object]] = {
            "import": lambda: self.ap.load_pretrained(self.folder),
            "profile": lambda: self.found["import"].profile(self._batch()),
            "dependency": lambda: self.ap.analysis.dependency(self.found["import"], self._batch()),
            "picture": self._draw,
        }
        start = time.perf_counter()
        self.found[name] = work[name]()
        return time.perf_counter() - start, peak_bytes()

    def seen(self) -> dict[str, Any]:
        """Of the model, so that it can be told from another: its size, and sums of what was found."""
        profile, dependency = self.found["profile"], self.found["dependency"]
        return {
            "num_parameters": self.found["import"].num_parameters,
            "sublayers": len(profile.var_branch("decoder")),
            "mean_branch_variance": float(profile.var_branch("decoder").mean()),
            "amplification": float(dependency.own("decoder").sum()),
        }

    def _batch(self) -> Any:
        """One text of random words."""
        vocab_size = self.found["import"].config.vocab_size
        return self.ap.Batch([np.random.default_rng(1).integers(4, vocab_size, self.tokens + 1)])

    def _draw(self) -> None:
        with self.ap.plots.context():
            self.ap.plots.plot_dependency(self.found["dependency"]).figure.savefig(self.picture)


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Write the folder, and what reading and looking at it cost."""
    sizes = Sizes(*(getattr(options, name) for name in Sizes._fields))
    start = time.perf_counter()
    count = write_checkpoint(folder, sizes, options.seed)
    print(f"{count / 1e6:.0f} M parameters, written in {time.perf_counter() - start:.1f} s", flush=True)
    environment = child_environment(machine.environment("native", options.threads))
    picture = str(folder / "dependency.png")
    arguments = (str(folder), picture, options.tokens, options.threads)
    runner = Runner("benchmarks.large_checkpoint", *arguments, environment=environment)
    parts = {}
    for name in PARTS:
        seconds, peak = runner.call("part", name)
        parts[name] = {"seconds": seconds, "peak_bytes": peak}
    seen = runner.call("seen")
    runner.finish()
    return {
        "sizes": sizes._asdict(),
        "tokens": options.tokens,
        "threads": options.threads,
        "float32_bytes": 4 * count,
        "parts": parts,
        "seen": seen,
        "versions": machine.package_versions(),
        "measured_at": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
    }


def times_of(entry: Mapping[str, Any], name: str) -> float:
    """The most memory held up to the end of a part, over the model's float32 numbers."""
    return entry["parts"][name]["peak_bytes"] / entry["float32_bytes"]


def format_entry(entry: Mapping[str, Any]) -> str:
    """A row a part."""
    lines = [f"{'':<12} {'seconds':>8} {'peak MiB':>9} {'times the float32 numbers':>26}"]
    for name, part in entry["parts"].items():
        peak = part["peak_bytes"] / MIB
        lines.append(f"{name:<12} {part['seconds']:>8.1f} {peak:>9,.0f} {times_of(entry, name):>26.3f}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure, keep, print; 1 if reading held more than it may."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_checkpoint", description=__doc__)
    for name, value in zip(Sizes._fields, (2048, 22, 32, 4, 5632, 32_000, 2048), strict=True):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--limit", type=float, default=LIMIT, help="times the float32 numbers")
    parser.add_argument(
        "--work",
        type=Path,
        metavar="FOLDER",
        help="where the checkpoint is written and left",
    )
    parser.add_argument("--out", type=Path, help="file of the results, by default one in benchmarks/results")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print what a file holds; measure nothing")
    options = parser.parse_args(arguments)
    if options.table is not None:
        print(format_entry(keeping.load(options.table, KIND)["entries"]["llama"]))
        return 0
    about = machine.describe()
    print(machine.one_line(about), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        entry = measure(Path(folder) if options.work is None else options.work, options)
    path = options.out or keeping.results_path(
        "large_checkpoint", about, cpu="native", threads=options.threads
    )
    keeping.save(path, KIND, about, {"llama": entry})
    print(f"{format_entry(entry)}\n\nkept in {os.path.relpath(path)}")
    if times_of(entry, "import") > options.limit:
        print(f"reading held more than {options.limit} times the model's float32 numbers", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
