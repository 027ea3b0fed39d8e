"""The benchmark that reads somebody else's large model, at tiny sizes; what it writes is Hugging Face's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import admin_py as ap
from benchmarks import keeping, large_checkpoint
from benchmarks.large_checkpoint import Sizes

TINY = Sizes(d_model=16, layers=3, heads=4, kv_heads=2, d_ff=24, vocab_size=50, max_length=64)
PUBLISHED = Sizes(2048, 22, 32, 4, 5632, 32_000, 2048)


def arguments(folder: Path, *more: str) -> list[str]:
    sizes = [
        text for name, value in TINY._asdict().items() for text in (f"--{name}".replace("_", "-"), str(value))
    ]
    return [*sizes, "--tokens", "20", "--work", str(folder), "--out", str(folder / "found.json"), *more]


def test_the_whole_script_measures_keeps_and_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert large_checkpoint.main(arguments(tmp_path, "--limit", "1e6")) == 0
    printed = capsys.readouterr().out
    entry = keeping.load(tmp_path / "found.json", large_checkpoint.KIND)["entries"]["llama"]
    assert list(entry["parts"]) == list(large_checkpoint.PARTS)
    peaks = [part["peak_bytes"] for part in entry["parts"].values()]
    assert peaks == sorted(peaks)
    assert all(part["seconds"] > 0 for part in entry["parts"].values())
    model = ap.load_pretrained(tmp_path)
    assert entry["float32_bytes"] == 4 * model.num_parameters == 4 * entry["seen"]["num_parameters"]
    assert entry["seen"]["sublayers"] == 2 * TINY.layers
    assert (tmp_path / "dependency.png").read_bytes().startswith(b"\x89PNG")
    assert large_checkpoint.format_entry(entry) in printed
    assert large_checkpoint.main(["--table", str(tmp_path / "found.json")]) == 0
    assert capsys.readouterr().out.strip() == large_checkpoint.format_entry(entry).strip()


def test_too_much_memory_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert large_checkpoint.main(arguments(tmp_path)) == 1  # the interpreter alone is more than this model
    assert "more than 1.2 times" in capsys.readouterr().err


def test_the_model_is_the_numbers_that_were_written(tmp_path: Path) -> None:
    count = large_checkpoint.write_checkpoint(tmp_path, TINY, seed=3)
    model = ap.load_pretrained(tmp_path)
    assert model.num_parameters == count
    assert (model.config.kv_heads, model.config.norm_eps) == (TINY.kv_heads, 1e-5)
    rng = np.random.default_rng(3)
    first = next(large_checkpoint.drawn(TINY.shards()[0], rng))
    read = model.parameters["embedding.weight"].view(np.uint32)
    np.testing.assert_array_equal(read >> 16, first)
    assert not (read & 0xFFFF).any()
    for values in model.parameters.values():  # nothing of the first weights is left
        assert not (values.view(np.uint32) & 0xFFFF).any()


def test_bfloat16_is_the_nearest() -> None:
    rng = np.random.default_rng(5)
    values = rng.standard_normal(1000, np.float32)
    found = (large_checkpoint.bfloat16(values).astype(np.uint32) << 16).view(np.float32)
    assert np.abs(found / values - 1).max() <= 2.0**-8  # half a step of 8 bits of mantissa
    halves = np.array([0x3F808000, 0x3F818000, 0x3F808001], np.uint32).view(np.float32)
    assert large_checkpoint.bfloat16(halves).tolist() == [0x3F80, 0x3F82, 0x3F81]


def test_it_has_the_published_number_of_parameters() -> None:
    """1,100,048,384, as TinyLlama 1.1B is counted."""
    shapes = [shape for shard in PUBLISHED.shards() for shape in shard.values()]
    assert sum(int(np.prod(shape)) for shape in shapes) == 1_100_048_384


def test_transformers_reads_the_folder_with_the_same_logits(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    large_checkpoint.write_checkpoint(tmp_path, TINY, seed=1)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    tokens = np.random.default_rng(2).integers(4, TINY.vocab_size, 13)
    with torch.no_grad():
        expected = theirs(torch.tensor(tokens[None, :-1])).logits[0].numpy()
    found = ap.load_pretrained(tmp_path).forward(ap.Batch([tokens]))
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=1e-5 * np.abs(expected).max()
    )  # float32, 3 layers
