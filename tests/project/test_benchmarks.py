"""The instruments of benchmarks/: what they count, keep and print. No test asserts a time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import keeping, kernels, machine, our_side, rounds, scaling, single_kernels, table
from benchmarks.counting import compulsory_bytes, num_weights, useful_flops
from benchmarks.rooflines import draw_roofline
from benchmarks.turns import Runner, SideFailed, child_environment, take_turns
from benchmarks.workload import WORKLOADS, Goal, Pairs, Workload, make_batches

ROOT = Path(__file__).resolve().parents[2]
TINY = Workload(
    name="test",
    what="of a test",
    encoder_layers=2,
    decoder_layers=3,
    d_model=8,
    d_ff=12,
    heads=2,
    vocab_size=20,
)
ALONE = replace(TINY, encoder_layers=0)


def pairs(source: list[int], target: list[int]) -> Pairs:
    """Sequences of given lengths."""
    return Pairs([np.full(n, 5, np.int32) for n in source], [np.full(n, 5, np.int32) for n in target])


# Counting


def product(m: int, k: int, n: int) -> int:
    """FLOPs of [m, k] x [k, n]."""
    return 2 * m * k * n


def counted(workload: Workload, batch: Pairs) -> float:
    """Useful FLOPs, one product of one sequence after the other."""
    d, f, heads = workload.d_model, workload.d_ff, workload.heads
    width = d // heads

    def attention(queries: int, keys: int, share: float) -> float:
        projections = product(queries, d, d) + 2 * product(keys, d, d) + product(queries, d, d)
        scores = sum(product(queries, width, keys) + product(queries, keys, width) for _ in range(heads))
        return projections + share * scores

    def feed_forward(tokens: int) -> float:
        return product(tokens, d, f) + product(tokens, f, d)

    forward = 0.0
    for b, target in enumerate(batch.target):
        t = len(target) - 1
        s = len(batch.source[b]) if batch.source else 0
        forward += workload.encoder_layers * (attention(s, s, 1) + feed_forward(s))
        cross = attention(t, s, 1) if batch.source else 0
        forward += workload.decoder_layers * (attention(t, t, 0.5) + cross + feed_forward(t))
        forward += product(t, d, workload.vocab_size)
    return 3 * forward


def test_useful_flops_are_those_of_every_product_of_every_sequence() -> None:
    batch = pairs([3, 7, 1], [5, 2, 9])
    assert useful_flops(TINY, batch) == counted(TINY, batch)
    alone = pairs([], [5, 2, 9])
    assert useful_flops(ALONE, alone) == counted(ALONE, alone)


@pytest.mark.parametrize("workload", [TINY, ALONE, *WORKLOADS.values()], ids=lambda workload: workload.name)
def test_weights_are_those_of_the_model(workload: Workload) -> None:
    import admin_py as ap
    from benchmarks.our_side import make_config

    model = ap.Transformer(make_config(workload))
    matrices = {n: v for n, v in model.parameters.items() if v.ndim == 2 and "position" not in n}
    assert num_weights(workload) == sum(v.size for v in matrices.values())


def test_bytes_grow_with_weights_and_tokens() -> None:
    one, two = pairs([4], [5]), pairs([4, 4], [5, 5])
    per_pair = compulsory_bytes(TINY, two) - compulsory_bytes(TINY, one)
    assert per_pair == 2 * 4 * 4 * (2 * (6 * 8 + 12) + 3 * (6 * 8 + 12 + 5 * 8))
    assert compulsory_bytes(TINY, one) - per_pair == 40 * num_weights(TINY)


# Workloads


def test_batches_have_the_lengths_that_the_workload_names() -> None:
    for workload in WORKLOADS.values():
        for batch in make_batches(workload):
            sides = [batch.target_lengths] + ([batch.source_lengths] if workload.encoder_layers else [])
            for lengths in sides:
                assert lengths.sum() <= workload.max_tokens
                if not workload.ragged:
                    assert set(lengths) == {workload.length}
                    assert lengths.sum() == workload.max_tokens
            assert min(map(np.min, batch.target)) >= 4


def test_real_lengths_differ_and_fill_the_batch() -> None:
    for batch in make_batches(WORKLOADS["ragged"]):
        assert batch.num_tokens > 0.75 * 2 * 4096
    assert len(set(batch.target_lengths)) > 1


def test_our_side_makes_the_steps_of_every_kind_of_workload() -> None:
    from benchmarks.our_side import Side

    for workload in (TINY, replace(ALONE, optimizer="adamw", scheme="pre_ln", positions="learned")):
        side = Side(workload, make_batches(replace(workload, max_tokens=64), count=2), 1)
        seconds, loss = side.steps(0, 3)
        assert len(seconds) == 3
        assert abs(loss - np.log(workload.vocab_size)) < 1.5
        assert side.describe()["threads"] == 1


# Processes


class Side:
    """Stands for a side in another process."""

    def __init__(self, answer: float) -> None:
        self.answer = answer

    def steps(self, first: int, count: int) -> tuple[list[float], float]:
        return [self.answer] * count, float(first + count)

    def variable(self, name: str) -> str | None:
        return os.environ.get(name)

    def fail(self) -> None:
        raise ValueError("of no use")


def start(answer: float, **changes: str | None) -> Runner:
    path = os.pathsep.join([str(ROOT), *(str(ROOT / "tests" / name) for name in ("project", "helpers"))])
    return Runner("test_benchmarks", answer, environment=child_environment({"PYTHONPATH": path, **changes}))


def test_sides_take_turns_in_processes_of_their_own() -> None:
    runners = [start(1.0, OMP_NUM_THREADS="3"), start(2.0, OMP_NUM_THREADS=None)]
    seconds, losses = take_turns(runners, samples=3, per_sample=2, first=4, rest=0.0)
    assert seconds.tolist() == [[1.0, 2.0]] * 3
    assert losses == [10.0, 10.0]
    assert [runner.call("variable", "OMP_NUM_THREADS") for runner in runners] == ["3", None]
    assert all(runner.finish() > 1 for runner in runners)


def test_a_side_that_fails_says_why() -> None:
    runner = start(1.0)
    with pytest.raises(SideFailed, match="ValueError: of no use"):
        runner.call("fail")


def test_the_setting_of_the_cpu_replaces_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in machine.FORCING:
        monkeypatch.setenv(name, "something")
    native = child_environment(machine.environment("native", 2))
    assert not set(machine.FORCING) & set(native)
    assert native["OMP_NUM_THREADS"] == "2"
    assert child_environment(machine.environment("avx2", 1))["ATEN_CPU_CAPABILITY"] == "avx2"
    assert set(machine.CPU_SETTINGS["avx2"]) <= set(machine.FORCING)


def test_long_steps_get_few_samples_and_short_ones_many_steps() -> None:
    options = rounds.Options(samples=11, seconds=60, sample_seconds=0.5, rest=0.25)
    assert rounds.plan_samples([8.0, 10.0], 1, options) == (rounds.FEWEST_SAMPLES, 1)
    assert rounds.plan_samples([0.05, 0.06], 1, options) == (11, 10)
    assert rounds.plan_samples([0.4, 0.3], 4, options) == (11, 4)
    assert rounds.plan_samples([0.8, 0.9, 6.8], 1, options) == (6, 1)


def test_each_setting_of_the_cpu_has_its_own_compiled_code() -> None:
    folders = {rounds.compiled_code(cpu) for cpu in machine.CPU_SETTINGS}
    assert len(folders) == len(machine.CPU_SETTINGS)


def test_no_choice_of_kernels_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_PY_GEMM", "openblas")
    monkeypatch.setenv("ADMIN_PY_CPU", "generic")
    environment = child_environment(machine.environment("native", 2))
    assert not {"ADMIN_PY_GEMM", "ADMIN_PY_CPU"} & set(environment)


# Files and tables


def entry(workload: Workload, **ours: Any) -> dict[str, Any]:
    """What a measurement of 2 GFLOP might have found: 10 and 25 ms, peaks of 400 and 390 GFLOP/s."""
    side = {"kernels": "avx2", "loss": 3.0, "peak_memory_mib": 100}
    return {
        "workload": asdict(workload),
        "options": asdict(rounds.Options()),
        "versions": {"numpy": "2"},
        "measured_at": "2026-01-01T00:00Z",
        "steps_per_sample": 4,
        "tokens": 100.0,
        "flops": 2e9,
        "bytes": 1e8,
        "peak": [4.0e11, 3.9e11],
        "peak_blas": "openblas",
        "bandwidth": 4e10,
        "ours": {**side, "name": "admin-py", "seconds": [0.010, 0.011, 0.010], "timings": None, **ours},
        "pytorch": {
            **side,
            "name": "PyTorch",
            "seconds": [0.025, 0.022, 0.030],
            "variant": "eager, glibc",
            "variants": {"eager, glibc": {"seconds": [0.02]}, "compiled, glibc": {"left_out": "no compiler"}},
        },
    }


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "found.json"
    entries = {
        "one": entry(replace(TINY, name="one", goal=Goal(2.4, 0.6))),
        "two": entry(replace(TINY, name="two"), timings={"attention": 1.0, "matrix products": 3.0}),
    }
    keeping.save(path, table.KIND, machine.describe(), entries)
    return path


def test_the_file_holds_what_was_saved(stored: Path) -> None:
    found = keeping.load(stored, table.KIND)
    assert found["entries"]["one"] == entry(replace(TINY, name="one", goal=Goal(2.4, 0.6))) | {
        "workload": {**asdict(TINY), "name": "one", "goal": [2.4, 0.6]}
    }
    stored.write_text('{"kind": "something else"}')
    with pytest.raises(ValueError, match="is not a file of training steps"):
        keeping.load(stored, table.KIND)


def test_the_table_prints_medians_ratios_goals_and_shares(stored: Path) -> None:
    text = table.format_table(keeping.load(stored, table.KIND))
    rows = {line.split()[0]: line for line in text.splitlines() if line.endswith("eager, glibc")}
    # 2 GFLOP in 10 ms are 200 GFLOP/s, half of the better peak; 25 ms are a fifth
    assert re.search(
        r"one +10\.0 +200 +50 % +25\.0 +20 % +2\.50 \(2\.25 to 2\.75; 2\.00 to 3\.00\)", rows["one"]
    )
    assert re.search(r"2\.40 yes +60 % no", rows["one"])
    assert "yes" not in rows["two"]
    assert "matrix products 75 %, attention 25 %" in text
    assert "compiled, glibc: left out, no compiler" in text
    assert "peak 400 GFLOP/s before and 390 after" in text
    assert "not finite" not in text


def test_mixed_precision_has_a_column_of_its_own(stored: Path) -> None:
    found = keeping.load(stored, table.KIND)
    one = found["entries"]["one"]
    variants = {
        "eager, glibc, bfloat16": {"seconds": [0.02]},
        "compiled, jemalloc, bfloat16": {"left_out": "no such"},
    }
    one["pytorch_bfloat16"] = one["pytorch"] | {
        "name": "PyTorch, bfloat16",
        "seconds": [0.015, 0.011, 0.016],
        "variant": "eager, glibc, bfloat16",
        "variants": variants,
    }
    text = table.format_table(found)
    rows = {line.split()[0]: line for line in text.splitlines() if line.endswith("  eager, glibc")}
    assert re.search(r"60 % no +15\.0 +1\.50  eager", rows["one"])
    assert re.search(r"- +-  eager", rows["two"])
    assert "PyTorch, bfloat16, avx2 kernels: from 11.0 to 16.0 ms" in text
    assert "compiled, jemalloc, bfloat16: left out, no such" in text


def test_mixed_precision_is_pytorch_under_autocast() -> None:
    torch_side = pytest.importorskip("benchmarks.torch_side", reason="PyTorch is not installed")
    batches = make_batches(replace(TINY, max_tokens=64), count=1)
    losses = [torch_side.Side(TINY, batches, 1, False, mixed).steps(0, 3)[1] for mixed in (False, True)]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)  # of bfloat16's 8 bits


def test_only_processors_with_bfloat16_are_measured_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for flags, expected in (("avx2 fma", False), ("avx512f avx512_bf16", True), ("amx_bf16", True)):
        monkeypatch.setattr(machine, "_cpuinfo", lambda flags=flags: {"flags": flags})
        assert machine.has_bfloat16("native") is expected
        assert not machine.has_bfloat16("avx2")


def test_a_loss_that_is_lost_is_said_to_be(stored: Path) -> None:
    found = keeping.load(stored, table.KIND)
    found["entries"]["one"]["pytorch"]["loss"] = rounds._finite(float("nan"))
    keeping.save(stored, table.KIND, found["machine"], found["entries"])
    assert "last loss not finite" in table.format_table(keeping.load(stored, table.KIND))


def test_the_command_prints_a_file_and_needs_no_pytorch(stored: Path) -> None:
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "import benchmarks.training_step as command\n"
        f"code = command.main(['--table', {str(stored)!r}])\n"
        "assert 'admin_py' not in sys.modules\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.rstrip("\n") == table.format_table(keeping.load(stored, table.KIND))


def test_results_of_settings_lie_in_files_of_their_own() -> None:
    about = {**machine.describe(), "processor": "Some(R) CPU @ 2.00GHz", "kind": "AVX-512"}
    names = {
        keeping.results_path("training_step", about, cpu=cpu, threads=threads).name
        for cpu in machine.CPU_SETTINGS
        for threads in (1, 2)
    }
    assert len(names) == 4
    assert all(re.fullmatch(r"training_step-some-[a-z0-9-]+\.json", name) for name in names)


def test_the_roofline_is_a_picture(stored: Path, tmp_path: Path) -> None:
    draw_roofline(keeping.load(stored, table.KIND), tmp_path / "roofs.png")
    from pictures import Picture  # not at the top: processes of the tests import this file

    assert Picture(tmp_path / "roofs.png").drawn > 0.01


# Scaling and kernels


def test_a_line_is_found_and_what_is_off_it() -> None:
    sizes = np.array([10.0, 100.0, 1000.0])
    line = scaling.fit_line(sizes, 2.0 + 0.5 * sizes)
    assert (line.a, line.b) == pytest.approx((2.0, 0.5))
    assert line.worst == pytest.approx(0.0, abs=1e-12)
    assert scaling.fit_line(sizes, sizes**1.3).worst > scaling.GOAL


def test_scaling_times_models_of_the_sizes_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, series in scaling.SERIES.items():
        for size in series.sizes:
            workload = series.workload(size)
            (batch,) = make_batches(workload, count=1)
            found = 2 * workload.decoder_layers if series.unit == "sub-layers" else batch.target_lengths.sum()
            assert found == size
        monkeypatch.setitem(scaling.SERIES, name, replace(series, sizes=series.sizes[:1]))
        assert scaling.Side(name, 1).sample(series.sizes[0], 0.0) > 0


def test_a_series_is_printed_with_its_line() -> None:
    entry = {
        "what": "a thing",
        "unit": "tokens",
        "sizes": [10, 20, 40],
        "seconds": [[0.01, 0.02, 0.05], [0.01, 0.02, 0.05], [0.02, 0.03, 0.06]],
        "peak_memory_mib": 10,
        "threads": 2,
    }
    text = scaling.format_series("one", entry)
    assert re.search(r"40 +50\.00 +50\.00 +60\.00 +\+", text)
    assert "within 10%" in text


def test_kernels_are_held_against_the_longer_of_two_bounds() -> None:
    entry = {"flops": 1e9, "bytes": 1e9, "peak": 1e11, "bandwidth": 1e10, "seconds": [0.2, 0.1, 0.2]}
    assert kernels.bound(entry) == (0.1, "memory")
    assert kernels.bound({**entry, "flops": 2e10}) == (0.2, "arithmetic")
    assert re.search(
        r"Adam +200\.00 +100\.00 +200\.00 +5\.0 +50%  memory", kernels.format_entries({"Adam": entry})
    )


LINES = """
{"kernels": "avx512", "blas": "OpenBLAS", "peak_flops": 1e6}
{"name": "qkv forward, D 128", "group": "products", "flops": 4e8, "bytes": 8e6, "elements": 1.5e6, \
"working_set": 8e6, "seconds": {"core": [0.005, 0.004, 0.005], "openblas": [0.01, 0.008, 0.005], \
"openblas, whole": [0.006, 0.006, 0.006], "multiply-adds": [1e-5, 1e-5, 2e-5]}}
{"name": "dropout, 256 x 128", "group": "rows", "flops": 0, "bytes": 2e6, "elements": 2.5e5, \
"working_set": 1e6, "seconds": {"core": [5e-5, 4e-5, 5e-5], "a += b": [1e-5, 1e-5, 2e-5]}}
""".strip()


def test_lines_of_single_kernels_become_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = single_kernels.parse(LINES.splitlines())
    assert list(entries) == ["qkv forward, D 128", "dropout, 256 x 128"]
    assert {entry["kernels"] for entry in entries.values()} == {"avx512"}
    # 400 MFLOP in 5 ms, at best 500 in that time: in the turns 80, 100, 160 % and 1.2, 1.5, 1.0 OpenBLAS
    # 2 MB in 50 us, where a += b moves 1.5 x 1 MB in 10 us; of the turns' shares 27, 33 and 53 % the median
    path = tmp_path / "single.json"
    about = {**machine.describe(), "caches": {"L1 data": "32K", "L1 instruction": "32K", "L2 unified": "1M"}}
    keeping.save(path, single_kernels.KIND, about, entries)
    assert kernels.main(["--table", str(path)]) == 0
    text = capsys.readouterr().out
    assert "products, avx512, one thread, medians of 3" in text
    assert re.search(r"qkv forward, D 128 +80\.0 +100\.0 +100% +100\.0 +66\.7 +1\.20", text)
    assert re.search(r"dropout, 256 x 128 +40\.0 +50\.0 +33% +150\.0 +5\.00  L2", text)


def test_a_working_set_lies_in_the_smallest_cache_that_holds_it() -> None:
    caches = {"L1 data": "32K", "L1 instruction": "64K", "L2 unified": "1024K", "L3 unified": "32M"}
    sizes = [2**15, 2**15 + 1, 2**20, 2**25, 2**25 + 1]
    assert [single_kernels.place(size, caches) for size in sizes] == ["L1", "L2", "L2", "L3", "memory"]
    assert single_kernels.place(1.0, {}) == "memory"


def test_files_that_are_kept_can_be_printed() -> None:
    for path in keeping.RESULTS.glob("training_step-*.json"):
        assert set(keeping.load(path, table.KIND)["entries"]) <= set(WORKLOADS)
        assert table.format_table(keeping.load(path, table.KIND))
    for path in keeping.RESULTS.glob("scaling-*.json"):
        for name, entry in keeping.load(path, scaling.KIND)["entries"].items():
            assert scaling.format_series(name, entry)
    for path in keeping.RESULTS.glob("kernels-*.json"):
        assert kernels.format_entries(keeping.load(path, kernels.KIND)["entries"])
    for path in keeping.RESULTS.glob("single_kernels-*.json"):
        assert kernels.format_file(path)


def test_what_is_kept_names_no_folder_of_a_machine() -> None:
    for path in (ROOT / "benchmarks" / "results").glob("*.json"):
        assert re.findall(r'"/[^" ]*/[^"]*"', path.read_text(encoding="utf-8")) == [], path.name


def test_a_side_tells_of_its_library_by_name() -> None:
    file = our_side.told_system().get("blas_file")
    assert file is None or file == Path(file).name
