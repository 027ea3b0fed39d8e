"""``--model`` of ``admin-py analyse`` and ``diagnose``: files, folders of trainings, others' models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers

import admin_py as ap
from admin_py.analysis import Dependency, GradientNorms, UpdateNorms
from admin_py.cli import entry as cli
from admin_py.cli.given_model import drawn_batch

SMALL = ["--layers", "1", "--d-model", "8", "--d-ff", "16", "--heads", "2", "--quiet"]


def model_of(**changes: Any) -> ap.Transformer:
    sizes = {
        "vocab_size": 19,
        "encoder_layers": 0,
        "decoder_layers": 2,
        "d_model": 12,
        "heads": 3,
        "d_ff": 20,
    }
    return ap.Transformer(ap.TransformerConfig(**{**sizes, "max_length": 30, **changes}), seed=3)


def test_all_of_a_model_is_its_analyses_and_a_page(tmp_path: Path, capsys) -> None:
    model_of(scheme="pre_ln").save(tmp_path / "model.safetensors")
    given = ["--model", f"{tmp_path / 'model.safetensors'}", "--max-tokens", "100", "--seed", "4"]
    status = cli.main(["analyse", *given, "--quiet", "--out", f"{tmp_path / 'out'}"])
    found = capsys.readouterr()
    assert status == 0
    assert "no text is given: about 100 ids are drawn from the vocabulary, seed 4" in found.err
    assert "updates of pre_ln, seed 4: not measured: updates train on text" in found.err
    folder = tmp_path / "out"
    whole = ap.load(folder / "examination.json")
    batch = drawn_batch(model_of(scheme="pre_ln"), 100, seed=4)
    assert whole == ap.examine(model_of(scheme="pre_ln"), batch, name="model.safetensors")
    assert Dependency.load(folder / "dependency.json") == whole.dependency
    assert GradientNorms.load(folder / "gradients.json") == whole.gradients
    page = (folder / "report.html").read_text("utf-8")
    assert "<title>model.safetensors</title>" in page
    assert (folder / "data" / "sublayers.csv").exists()
    assert not (folder / "updates.json").exists()


def test_another_size_of_change_is_computed_beside_the_page(tmp_path: Path) -> None:
    model_of().save(tmp_path / "model.safetensors")
    given = ["--model", f"{tmp_path / 'model.safetensors'}", "--max-tokens", "50", "--quiet"]
    assert cli.main(["analyse", *given, "--size", "0.001", "--out", f"{tmp_path / 'out'}"]) == 0
    change = ap.load(tmp_path / "out" / "output_change.json")
    assert change.size == 0.001
    assert ap.load(tmp_path / "out" / "examination.json").output_change.size != 0.001


def test_a_training_reads_text_by_its_own_tokenizer(tmp_path: Path, capsys) -> None:
    text = tmp_path / "text"
    text.write_text("to be or not to be, that is the question\n" * 40)
    trained, out = tmp_path / "run", tmp_path / "out"
    command = ["train", "--text", f"{text}", "--context", "16", "--steps", "2", *SMALL, "--out", f"{trained}"]
    assert cli.main(command) == 0
    given = ["--model", f"{trained}", "--text", f"{text}", "--quiet", "--out", f"{out}"]
    assert cli.main(["analyse", "updates", *given, "--steps", "2"]) == 0
    assert UpdateNorms.load(out / "updates.json").steps[-1] == 2
    capsys.readouterr()
    other = tmp_path / "other"
    other.write_text("WXYZ\n" * 200)
    ap.data.text(other).tokenizer.save(tmp_path / "tokenizer.json")
    foreign = [*given[:2], "--text", f"{other}", "--tokenizer", f"{tmp_path / 'tokenizer.json'}"]
    assert cli.main(["analyse", "gradients", *foreign, "--out", f"{out}"]) == 1
    assert "another vocabulary" in capsys.readouterr().err


def test_without_data_the_default_task_is_read_by_its_models(tmp_path: Path, capsys) -> None:
    assert cli.main(["train", "--steps", "2", *SMALL, "--out", f"{tmp_path / 'run'}"]) == 0
    capsys.readouterr()
    given = ["--model", f"{tmp_path / 'run'}", "--out", f"{tmp_path / 'out'}"]
    status = cli.main(["diagnose", *given, "--quiet"])
    found = capsys.readouterr()
    assert (status, found.err) == (0, "")
    assert found.out.startswith("Diagnosis of Admin: 1 + 1 layers")
    model = ap.load(tmp_path / "run").model
    data = ap.data.number_words()
    assert ap.load(tmp_path / "out" / "diagnose.json") == ap.diagnose(
        model, next(data.batches(max_tokens=512, seed=1))
    )


def test_models_of_hugging_face_are_read_where_they_lie(tmp_path: Path, capsys) -> None:
    pytest.importorskip("transformers")
    from hugging_face_models import theirs

    theirs("gpt2").save_pretrained(tmp_path / "small")
    given = [
        "--model",
        f"{tmp_path / 'small'}",
        "--max-tokens",
        "60",
        "--quiet",
        "--out",
        f"{tmp_path / 'out'}",
    ]
    assert cli.main(["diagnose", *given]) == 0
    assert "Pre-LN" in capsys.readouterr().out
    found = ap.load(tmp_path / "out" / "diagnose.json")
    model = ap.load_pretrained(tmp_path / "small")
    assert found == ap.diagnose(model, drawn_batch(model, 60, seed=1))


def tokenized(folder: Path, lines: list[str]) -> tokenizers.Tokenizer:
    """A tokenizer of these lines beside a model, of up to 19 ids."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=19, special_tokens=special, show_progress=False)
    made.train_from_iterator(lines, trainer)
    made.save(str(folder / "tokenizer.json"))
    return made


def test_text_is_cut_by_the_tokenizer_beside_a_model(tmp_path: Path, capsys) -> None:
    pytest.importorskip("transformers")
    from hugging_face_models import theirs

    lines = ["abc cab", "bca", "", "cba abc bac"] * 9
    theirs("gpt2").save_pretrained(tmp_path / "small")
    given = ["diagnose", "--model", f"{tmp_path / 'small'}", "--text", f"{tmp_path / 'text'}"]
    (tmp_path / "text").write_text("".join(f"{line}\n" for line in lines))
    assert cli.main(given) == 1
    assert "has no tokenizer for the text" in capsys.readouterr().err
    cut = tokenized(tmp_path / "small", lines)
    assert cli.main([*given, "--max-tokens", "70", "--quiet", "--out", f"{tmp_path / 'out'}"]) == 0
    model = ap.load_pretrained(tmp_path / "small")
    ids = [i for line in lines for i in cut.encode(f"{line}\n").ids][:71]
    batch = ap.Batch([ids[i : i + 30] for i in range(0, 70, 29)])
    assert ap.load(tmp_path / "out" / "diagnose.json") == ap.diagnose(model, batch)
    capsys.readouterr()
    assert cli.main([*given[:3], "--source", f"{tmp_path / 'text'}", "--target", f"{tmp_path / 'text'}"]) == 2
    assert "this model reads --text" in capsys.readouterr().err


def test_pairs_are_cut_by_the_tokenizer_beside_a_model(tmp_path: Path, capsys) -> None:
    pytest.importorskip("transformers")
    from hugging_face_models import theirs

    long = "".join(np.random.default_rng(3).choice(list("abcdef"), 300))
    sides = {"source": ["abc", "", "cab bca", long], "target": ["cab a", "abc", "bca", "c"]}
    theirs("bart").save_pretrained(tmp_path / "small")
    cut = tokenized(tmp_path / "small", ["abc cab bca", *sides["target"]])
    for name, lines in sides.items():
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    given = ["diagnose", "--model", f"{tmp_path / 'small'}", "--quiet", "--out", f"{tmp_path / 'out'}"]
    files = ["--source", f"{tmp_path / 'source'}", "--target", f"{tmp_path / 'target'}"]
    assert cli.main([*given, *files]) == 0
    model = ap.load_pretrained(tmp_path / "small")
    kept = [cut.encode(sides["source"][i]).ids for i in (0, 2)]
    targets = [[2, *cut.encode(sides["target"][i]).ids] for i in (0, 2)]
    assert ap.load(tmp_path / "out" / "diagnose.json") == ap.diagnose(model, ap.Batch(kept, targets))
    (tmp_path / "target").write_text("abc\n")
    capsys.readouterr()
    assert cli.main([*given, *files]) == 1
    assert "same number of lines" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["analyse", "diagnose"])
def test_what_a_given_model_has_itself_is_refused(command: str, tmp_path: Path, capsys) -> None:
    model_of().save(tmp_path / "model.safetensors")
    given = [command, "--model", f"{tmp_path / 'model.safetensors'}"]
    for more, words in (
        (["--layers", "3"], "--layers goes with fresh models: --model has its own"),
        (["--schemes", "admin"], "--schemes goes with fresh models"),
        (["--seeds", "1", "2"], "--model is one model: give one of --seeds with it"),
    ):
        assert cli.main([*given, *more]) == 2
        assert words in capsys.readouterr().err
    assert cli.main([command, "--model", f"{tmp_path / 'none'}"]) == 1
    assert "none: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "sides", [{"encoder_layers": 2, "decoder_layers": 0}, {"encoder_layers": 1, "decoder_layers": 1}, {}]
)
def test_drawn_ids_are_those_of_the_model(sides: dict[str, int]) -> None:
    model = model_of(**sides)
    for tokens in (1, 29, 30, 31, 200):
        batch = drawn_batch(model, tokens, seed=7)
        model.forward(batch)
        for side in filter(None, (batch.source, batch.target)):
            assert 0 <= side.tokens.min() <= side.tokens.max() < 19
            assert side.lengths.max() <= 30
    again = drawn_batch(model, 200, seed=7)
    np.testing.assert_array_equal(again.source.tokens, drawn_batch(model, 200, seed=7).source.tokens)
    assert not np.array_equal(again.source.tokens, drawn_batch(model, 200, seed=8).source.tokens)
