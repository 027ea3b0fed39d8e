"""The compute core in float32: models, optimisers, batches. `_core64` is the same in float64."""

import os
from typing import Any, Literal, NoReturn, TypedDict

import numpy as np
from numpy.typing import NDArray
from typing_extensions import NotRequired, disjoint_base

class _Memory(TypedDict):
    weights: int
    gradients: int
    activations: int

class _MemoryPlan(TypedDict):
    weights: int
    gradients: int
    moments: int
    encoder: int
    decoder: int
    again: int
    backward: int
    logits: int
    packed: int
    other: int
    activations: int
    encoder_rows: int
    decoder_rows: int

class _Observations(TypedDict):
    var_input: NDArray[np.float64]
    var_branch: NDArray[np.float64]
    grad_norm: NDArray[np.float64]

class _Profile(TypedDict):
    omega: NDArray[np.float64]
    var_input: NDArray[np.float64]
    var_branch: NDArray[np.float64]

class _Dependency(TypedDict):
    variances: NDArray[np.float64]
    sums: NDArray[np.float64]
    predicted: NDArray[np.float64]
    num_tokens: int
    last: NotRequired[NDArray[Any]]

class _OutputChange(TypedDict):
    change: NDArray[np.float64]
    var_branch: NDArray[np.float64]
    var_sum: NDArray[np.float64]
    input_change: float

class _State(TypedDict):
    step: int
    m: NDArray[Any] | None
    v: NDArray[Any] | None

class _SystemInfo(TypedDict):
    kernels: str
    blas: str
    blas_file: str
    dtype: str
    num_procs: int
    threads: int
    compiler: str

@disjoint_base
class Batch:
    def __new__(
        cls,
        source_tokens: NDArray[np.int32],
        source_offsets: NDArray[np.int64],
        target_tokens: NDArray[np.int32] | None = None,
        target_offsets: NDArray[np.int64] | None = None,
    ) -> Batch: ...
    def __reduce__(self) -> NoReturn: ...
    @property
    def source_tokens(self) -> NDArray[np.int32]: ...
    @property
    def source_offsets(self) -> NDArray[np.int64]: ...
    @property
    def target_tokens(self) -> NDArray[np.int32] | None: ...
    @property
    def target_offsets(self) -> NDArray[np.int64] | None: ...
    @property
    def num_sequences(self) -> int: ...

@disjoint_base
class Decoder:
    def __new__(cls, model: Transformer) -> Decoder: ...
    def __reduce__(self) -> NoReturn: ...
    @property
    def model(self) -> Transformer: ...
    @property
    def rows(self) -> int: ...
    @property
    def sequences(self) -> NDArray[np.int64]: ...
    @property
    def lengths(self) -> NDArray[np.int64]: ...
    @property
    def memory(self) -> int: ...
    def begin(self, batch: Batch, *, pack: bool = True) -> None: ...
    def step(self, ids: NDArray[np.int32], /) -> None: ...
    def reorder(self, parents: NDArray[np.int64], /) -> None: ...
    def scores(self) -> NDArray[Any]: ...
    def top(self, k: int, /) -> tuple[NDArray[np.float64], NDArray[np.int32]]: ...
    def beam_search(
        self,
        batch: Batch,
        least: NDArray[np.int64],
        most: NDArray[np.int64],
        *,
        beam: int = 5,
        best: int = 1,
        penalty: Literal["power", "gnmt"] = "power",
        alpha: float = 1.0,
        end: Literal["bound", "count"] = "bound",
        no_repeat: int = 0,
        eos: int = 2,
        cut: bool = False,
        pack: bool = True,
    ) -> list[tuple[int, float, float, NDArray[np.int32]]]: ...

@disjoint_base
class Model:
    seed: int
    def __reduce__(self) -> NoReturn: ...
    @property
    def parameters(self) -> dict[str, NDArray[Any]]: ...
    @property
    def gradients(self) -> dict[str, NDArray[Any]]: ...
    @property
    def weights(self) -> NDArray[Any]: ...
    @property
    def gradient_buffer(self) -> NDArray[Any]: ...
    @property
    def trained(self) -> tuple[str, ...]: ...
    @property
    def trained_length(self) -> int: ...
    @property
    def num_parameters(self) -> int: ...
    @property
    def memory(self) -> _Memory: ...
    @property
    def timings(self) -> dict[str, float]: ...
    def init_weights(self, seed: int, /) -> None: ...
    def find_nonfinite(self, which: Literal["weights", "gradients"], /) -> str | None: ...
    def norms(
        self, which: Literal["weights", "gradients"], before: NDArray[Any] | None = None
    ) -> NDArray[np.float64]: ...
    def observations(self) -> dict[str, _Observations]: ...
    def activation(
        self,
        stack: Literal["encoder", "decoder"],
        index: int,
        site: Literal["output", "branch", "normed", "sum", "end", "output_gradient", "branch_gradient"],
    ) -> NDArray[Any]: ...

class Transformer(Model):
    def __new__(cls, config: dict[str, Any], seed: int = 0, draw: bool = True) -> Transformer: ...
    def forward(
        self, batch: Batch, *, training: bool = False, step: int = 0, observe: bool = False
    ) -> NDArray[Any]: ...
    def loss(
        self,
        batch: Batch,
        *,
        label_smoothing: float = 0.0,
        training: bool = False,
        step: int = 0,
        z_loss: float = 0.0,
    ) -> tuple[float, float, int]: ...
    def backward(
        self,
        batch: Batch,
        *,
        label_smoothing: float = 0.0,
        training: bool = True,
        step: int = 0,
        accumulate: bool = False,
        scale: float = 1.0,
        observe: bool = False,
        keep_gradients: bool = False,
        segment_layers: int = 0,
        z_loss: float = 0.0,
        ready: int = -1,
    ) -> tuple[float, float, int]: ...
    def profile(
        self,
        batch: Batch,
        *,
        method: Literal["clinic", "paper"] = "clinic",
        dropout: bool = True,
        seed: int = 0,
        apply: bool = True,
    ) -> dict[str, _Profile]: ...
    def dependency(
        self, batch: Batch, *, max_memory: int = 134217728, components: bool = False
    ) -> dict[str, _Dependency]: ...
    def output_change(self, other: Transformer, batch: Batch) -> dict[str, _OutputChange]: ...

@disjoint_base
class EncoderLayer(Model):
    def __new__(cls, config: dict[str, Any], seed: int = 0) -> EncoderLayer: ...
    def forward(
        self,
        x: NDArray[Any],
        lengths: NDArray[np.int64],
        memory: NDArray[Any] | None = None,
        memory_lengths: NDArray[np.int64] | None = None,
        *,
        training: bool = False,
        step: int = 0,
        observe: bool = False,
    ) -> NDArray[Any]: ...
    def backward(self, dy: NDArray[Any], *, accumulate: bool = False) -> Any: ...
    def profile(
        self,
        x: NDArray[Any],
        lengths: NDArray[np.int64],
        memory: NDArray[Any] | None = None,
        memory_lengths: NDArray[np.int64] | None = None,
        *,
        method: Literal["clinic", "paper"] = "clinic",
        dropout: bool = True,
        seed: int = 0,
        apply: bool = True,
    ) -> _Profile: ...

@disjoint_base
class DecoderLayer(Model):
    def __new__(cls, config: dict[str, Any], seed: int = 0) -> DecoderLayer: ...
    def forward(
        self,
        x: NDArray[Any],
        lengths: NDArray[np.int64],
        memory: NDArray[Any] | None = None,
        memory_lengths: NDArray[np.int64] | None = None,
        *,
        training: bool = False,
        step: int = 0,
        observe: bool = False,
    ) -> NDArray[Any]: ...
    def backward(self, dy: NDArray[Any], *, accumulate: bool = False) -> Any: ...
    def profile(
        self,
        x: NDArray[Any],
        lengths: NDArray[np.int64],
        memory: NDArray[Any] | None = None,
        memory_lengths: NDArray[np.int64] | None = None,
        *,
        method: Literal["clinic", "paper"] = "clinic",
        dropout: bool = True,
        seed: int = 0,
        apply: bool = True,
    ) -> _Profile: ...

@disjoint_base
class Optimizer:
    def __new__(
        cls,
        kind: Literal["sgd", "adam", "adamw", "radam", "novograd"],
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> Optimizer: ...
    def __reduce__(self) -> NoReturn: ...
    @property
    def state(self) -> _State: ...
    def step(self, model: Model, lr: float, grad_scale: float = 1.0) -> float: ...
    def part_squares(self, model: Model, begin: int, end: int) -> NDArray[np.float64]: ...
    def step_part(
        self,
        model: Model,
        lr: float,
        grad_scale: float,
        bounds: tuple[int, ...],
        squares: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]: ...
    def load_state(self, state: dict[str, Any], /) -> None: ...

def set_num_threads(n: int, /) -> None: ...
def get_num_threads() -> int: ...
def num_procs() -> int: ...
def load_blas(file: str | os.PathLike[str], /) -> None: ...
def system_info() -> _SystemInfo: ...
def exp(x: NDArray[np.float64], /) -> NDArray[np.float64]: ...
def tanh(x: NDArray[np.float64], /) -> NDArray[np.float64]: ...
def log(x: NDArray[np.float64], /) -> NDArray[np.float64]: ...
def cos_turns(turns: NDArray[np.float64], /) -> NDArray[np.float64]: ...
def power(x: NDArray[np.float64], exponent: float, /) -> NDArray[np.float64]: ...
def trace_begin(capacity: int, /) -> None: ...
def trace_end() -> NDArray[np.float64]: ...
def norm2(array: NDArray[Any], /) -> float: ...
def block_length(n: int, /) -> int: ...
def block_squares(array: NDArray[Any], block: int, /) -> NDArray[np.float64]: ...
def add(total: NDArray[Any], array: NDArray[Any], /) -> None: ...
def product(a: NDArray[Any], b: NDArray[Any], /) -> NDArray[Any]: ...
def plan_memory(
    config: dict[str, Any],
    batch: Batch | tuple[int, int, int],
    *,
    optimizer: Optimizer | None = None,
    segment_layers: int = 0,
) -> _MemoryPlan: ...
def parameter_shapes(config: dict[str, Any], /) -> dict[str, tuple[int, ...]]: ...
