"""Files of tensors: digests that notice every flipped bit, headers held against what they promise."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_results import made_observation
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from small_models import PAIRS, small
from small_training import make_model, train

import admin_py as ap
from admin_py.base import tensors
from admin_py.base.digests import BLOCK, BlockDigest
from admin_py.base.tensors import CHECKPOINT, DIGEST, MODEL


def model_file(path: Path) -> None:
    model = small()
    model.profile(PAIRS)
    model.save(path)


def checkpoint_file(path: Path) -> None:
    train(make_model(), steps=2, checkpoint=path)


WRITERS: dict[str, Callable[[Path], None]] = {
    "model": model_file,
    "checkpoint": checkpoint_file,
    "observation": lambda path: made_observation().save(path),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_flipped_bit_is_noticed(kind: str, tmp_path: Path) -> None:
    """All bits of the first bytes, and some of every region: header, its padding, the numbers."""
    path = tmp_path / "thing"
    WRITERS[kind](path)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    rng = np.random.default_rng(7)
    places = [
        *range(8 * 40),
        *rng.integers(0, 8 * header, 150),
        *rng.integers(8 * header, 8 * len(whole), 100),
    ]
    digest = 8 * whole.index(b'"digest": "blocks:')
    named, places = 0, [*places, *range(digest, digest + 8 * 90, 5), 8 * len(whole) - 1]
    for place in map(int, places):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            ap.load(path)
        except ValueError as error:
            named += "thing" in str(error)
        else:
            pytest.fail(f"bit {place} of the {kind} was not noticed, seed 7")
    assert named == len(places)


def test_the_digest_does_not_depend_on_how_the_bytes_come() -> None:
    data = np.random.default_rng(1).bytes(2 * BLOCK + 12345)
    whole = BlockDigest(b"head")
    whole.update(data)
    parts = BlockDigest(b"head")
    for begin in range(0, len(data), 99_991):
        parts.update(memoryview(data)[begin : begin + 99_991])
    assert whole.hexdigest() == parts.hexdigest()
    for other in (data[:-1], data + b"\0", data[1:] + data[:1], data[BLOCK:] + data[:BLOCK]):
        changed = BlockDigest(b"head")
        changed.update(other)
        assert changed.hexdigest() != whole.hexdigest()


def test_files_without_a_digest_are_read(tmp_path: Path) -> None:
    """As earlier versions wrote them."""
    model_file(tmp_path / "new")
    with safe_open(tmp_path / "new", "numpy") as file:
        header = file.metadata()
    assert header.pop(DIGEST).startswith("blocks:")
    save_file(load_file(tmp_path / "new"), tmp_path / "old", metadata=header)
    old, new = ap.load(tmp_path / "old"), ap.load(tmp_path / "new")
    np.testing.assert_equal(dict(old.parameters), dict(new.parameters))


def test_who_writes_the_tensors_anew_makes_no_promise(tmp_path: Path) -> None:
    """The library's writer, given a copy of the header: other numbers, the old digest among the entries."""
    model_file(tmp_path / "new")
    with safe_open(tmp_path / "new", "numpy") as file:
        header = file.metadata()
    state = {name: 2 * value for name, value in load_file(tmp_path / "new").items()}
    save_file(state, tmp_path / "twice", metadata=header)
    np.testing.assert_equal(dict(ap.load(tmp_path / "twice").parameters), state)


def test_a_name_of_the_digest_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "thing"
    model_file(path)
    path.write_bytes(path.read_bytes().replace(b'"digest"', b'"dogest"', 1))
    with pytest.raises(ValueError, match=r"thing.*damaged"):
        ap.load(path)


# Tensors of other types


def written_as(path: Path, kind: str, *, only: str | None = None) -> dict[str, np.ndarray]:
    """A model's file with tensors of another type, one of them or all; the numbers that it stands for."""
    model = small()
    header, offset, blob, stood = {}, 0, b"", {}
    for name, value in model.parameters.items():
        own = kind if only in (None, name) else "F32"
        if own == "BF16":
            upper = (value.view(np.uint32) >> 16).astype("<u2")
            data, stood[name] = upper.tobytes(), (upper.astype(np.uint32) << 16).view(np.float32)
        elif own == "F16":
            data, stood[name] = value.astype("<f2").tobytes(), value.astype("<f2").astype(np.float32)
        elif own == "F32":
            data, stood[name] = value.tobytes(), value
        else:
            data, stood[name] = bytes(value.size * {"I32": 4, "I64": 8}.get(own, 1)), value
        header[name] = {"dtype": own, "shape": value.shape, "data_offsets": [offset, offset + len(data)]}
        offset, blob = offset + len(data), blob + data
    told = {"seed": "1", "config": json.dumps(model.config.to_dict())}
    header["__metadata__"] = {"format": MODEL.name, "version": MODEL.version, **told}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + blob)
    return stood


@pytest.mark.parametrize("kind", ["BF16", "F16"])
@pytest.mark.parametrize("only", [None, "encoder.0.self_attn.q.weight"])
def test_halves_are_widened_exactly(kind: str, only: str | None, tmp_path: Path) -> None:
    stood = written_as(tmp_path / "half", kind, only=only)
    model = ap.load(tmp_path / "half")
    assert model.dtype == "float32"
    np.testing.assert_equal(dict(model.parameters), stood)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (7,), (2, BLOCK), (5, BLOCK // 2 + 3)], ids=str)
def test_large_tensors_are_widened_block_by_block(shape: tuple[int, ...], tmp_path: Path) -> None:
    upper = np.random.default_rng(4).integers(0, 0x7F80, shape, "<u2")
    count = int(np.prod(shape))
    text = json.dumps({"w": {"dtype": "BF16", "shape": shape, "data_offsets": [0, 2 * count]}}).encode()
    (tmp_path / "large").write_bytes(len(text).to_bytes(8, "little") + text + upper.tobytes())
    with tensors.opened_foreign(tmp_path / "large") as file:
        found = file.read_one("w")
    assert found.shape == shape
    np.testing.assert_array_equal(found.view(np.uint32), np.left_shift(upper, 16, dtype=np.uint32))


@pytest.mark.parametrize("kind", ["I32", "I64", "U8", "I8", "BOOL", "F8_E4M3", "F8_E5M2"])
@pytest.mark.parametrize("only", [None, "encoder.0.self_attn.q.weight"])
def test_what_is_no_weight_is_named(kind: str, only: str | None, tmp_path: Path) -> None:
    written_as(tmp_path / "other", kind, only=only)
    first = only or next(iter(small().parameters))
    with pytest.raises(ValueError, match=f"other' must hold arrays of float32.*'{first}'"):
        ap.load(tmp_path / "other")


# Files that promise more than there is

SMALL = {"vocab_size": 9, "encoder_layers": 1, "decoder_layers": 0, "d_model": 8, "heads": 2, "d_ff": 16}

HUGE: dict[str, dict[str, Any]] = {
    "a vocabulary": {"vocab_size": 2**30, "d_model": 2, "heads": 1},
    "a width": {"d_model": 2**15, "d_ff": 2**15},
    "layers": {"encoder_layers": 100_000},
    "layers of a decoder": {"decoder_layers": 100_000},
    "positions": {"positions": "learned", "max_length": 2**30},
}

LOADED = """
import sys, resource
import admin_py as ap
limit = 1 << 30
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + limit // 4, resource.RLIM_INFINITY))
try:
    ap.load(sys.argv[1])
except ValueError as error:
    print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
@pytest.mark.parametrize("kind", ["model", "checkpoint"])
@pytest.mark.parametrize("case", HUGE)
def test_a_small_file_of_a_huge_model_takes_no_memory(case: str, kind: str, tmp_path: Path) -> None:
    """A quarter of a gibibyte is more than enough to say that the tensors are not there."""
    config = {**SMALL, **HUGE[case]}
    if kind == "model":
        header = {"format": MODEL.name, "version": MODEL.version, "config": json.dumps(config), "seed": "1"}
        save_file({"embedding.weight": np.zeros((9, 8), np.float32)}, tmp_path / "huge", metadata=header)
    else:
        rest = {
            "setup": {"model": {"config": config, "seed": 1, "dtype": "float32"}},
            "optimizer_step": 0,
            "position": {"epoch": 0, "batch": 0},
            "progress": {"step": 0, "tail": True, "diverged_at": None, "diverged_because": None},
        }
        header = {"format": CHECKPOINT.name, "version": CHECKPOINT.version, "training": json.dumps(rest)}
        weights = {"weights/embedding.weight": np.zeros((9, 8), np.float32)}
        save_file(weights, tmp_path / "huge", metadata=header)
    done = subprocess.run(
        [sys.executable, "-c", LOADED, tmp_path / "huge"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "huge" in done.stdout


def test_a_tensor_that_the_file_has_no_room_for_is_refused(tmp_path: Path) -> None:
    text = json.dumps(
        {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]},
         "__metadata__": {"format": MODEL.name, "version": MODEL.version}}
    ).encode()  # fmt: skip
    (tmp_path / "short").write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(ValueError, match="short' is cut off or not a safetensors file"):
        ap.load(tmp_path / "short")


def test_a_key_twice_in_a_header_is_refused(tmp_path: Path) -> None:
    entry = '{"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}'
    for text in (
        f'{{"a": {entry}, "a": {entry}}}',
        f'{{"a": {entry}, "__metadata__": {{"format": "{MODEL.name}", "format": "{MODEL.name}"}}}}',
    ):
        (tmp_path / "twice").write_bytes(len(text).to_bytes(8, "little") + text.encode() + bytes(4))
        with pytest.raises(ValueError, match="twice'"):
            ap.Transformer.load(tmp_path / "twice")
