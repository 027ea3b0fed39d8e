"""``admin-py convert``: a model of another library becomes a file of this package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command import run

import admin_py as ap

torch = pytest.importorskip("torch")

from fairseq_model import Model  # noqa: E402  needs PyTorch


def test_a_checkpoint_becomes_a_model_that_is_analysed(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = Model(pre=True)
    torch.save({"cfg": {"model": model.settings}, "model": model.state_dict()}, tmp_path / "theirs.pt")
    found = run("convert", tmp_path / "theirs.pt", tmp_path / "ours.safetensors")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.splitlines()[-1] == str(tmp_path / "ours.safetensors")
    assert "pre_ln" in found.stdout
    ours, wanted = ap.load(tmp_path / "ours.safetensors"), ap.load_pretrained(tmp_path / "theirs.pt")
    assert ours.config == wanted.config
    assert all(np.array_equal(ours.parameters[x], wanted.parameters[x]) for x in wanted.parameters)


def test_settings_are_typed(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = Model(encoder=False)
    torch.save({"model": model.state_dict()}, tmp_path / "theirs.pt")
    heads = ["--setting", "decoder_attention_heads=3"]
    more = ["--setting", "dropout=.3", "--setting", "no_scale_embedding=true", "--dtype", "float64"]
    found = run("convert", tmp_path / "theirs.pt", tmp_path / "ours.safetensors", *heads, *more)
    assert found.returncode == 0, found.stderr
    ours = ap.load(tmp_path / "ours.safetensors")
    assert (ours.config.heads, ours.config.dropout, ours.config.embedding_scale) == (3, 0.3, 1.0)
    assert ours.dtype == "float64"


def test_what_is_wrong_is_one_line_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no checkpoint\n")
    for arguments, status, words in (
        ([tmp_path / "text"], 1, "must hold tensors and plain values alone, but is no checkpoint of PyTorch"),
        ([tmp_path / "none.pt"], 1, "none.pt: No such file"),
        ([tmp_path / "text", "--setting", "heads"], 2, "--setting must be NAME=VALUE, got 'heads'"),
    ):
        source, *more = arguments
        found = run("convert", source, tmp_path / "ours.safetensors", *more)
        assert (found.returncode, found.stdout) == (status, "")
        assert words in found.stderr
        assert "Traceback" not in found.stderr
    assert not (tmp_path / "ours.safetensors").exists()


# The other way


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's file, and a folder as `admin-py train` writes it."""
    folder = tmp_path_factory.mktemp("trained")
    data = ap.data.copy_task(symbols=5, max_length=5, train=20, valid=5)
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=8
    )
    model = ap.Transformer(config, seed=1)
    model.profile(next(data.batches()))
    ap.TrainedModel(model, data.tokenizer).save(folder)
    return folder


@pytest.mark.parametrize("file", ["", "model.safetensors"])
@pytest.mark.parametrize("to", ["torch", "hugging_face", "fairseq"])
def test_a_model_of_this_package_goes_out(trained: Path, to: str, file: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = run("convert", "--to", to, trained / file, out)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.splitlines()[-1] == str(out)
    assert ("post_ln" if to != "torch" else "admin") in found.stdout
    model = ap.load(trained).model
    wanted = model if to == "torch" else ap.interop.to_hugging_face(model, tmp_path / "again")
    again = ap.load_pretrained(out)
    assert all(np.array_equal(again.parameters[x], wanted.parameters[x]) for x in wanted.parameters)


def test_what_is_wrong_on_the_way_out_is_one_line(trained: Path, tmp_path: Path) -> None:
    for arguments, status, words in (
        (
            ["--to", "torch", "--dtype", "float64"],
            2,
            "--dtype goes with reading a model of another library, with",
        ),
        (
            ["--to", "torch", "--setting", "a=1"],
            2,
            "--setting goes with reading a model of another library, with",
        ),
        (["--family", "opt"], 2, "--family goes with --to hugging_face"),
        (
            ["--to", "hugging_face", "--family", "gpt2"],
            1,
            "model is of the kind encoder_decoder, and gpt2 is",
        ),
    ):
        found = run("convert", *arguments, trained, tmp_path / "out")
        assert (found.returncode, found.stdout) == (status, "")
        assert words in found.stderr
        assert "Traceback" not in found.stderr
    tokenizer = run("convert", "--to", "torch", trained / "tokenizer.json", tmp_path / "out")
    assert (tokenizer.returncode, "holds no model, but a" in tokenizer.stderr) == (1, True)
    assert not (tmp_path / "out").exists()
