"""The compute core in float64: as `_core`, from the same source."""

from ._core import Batch as Batch
from ._core import Decoder as Decoder
from ._core import DecoderLayer as DecoderLayer
from ._core import EncoderLayer as EncoderLayer
from ._core import Model as Model
from ._core import Optimizer as Optimizer
from ._core import Transformer as Transformer
from ._core import add as add
from ._core import block_length as block_length
from ._core import block_squares as block_squares
from ._core import cos_turns as cos_turns
from ._core import exp as exp
from ._core import get_num_threads as get_num_threads
from ._core import load_blas as load_blas
from ._core import log as log
from ._core import norm2 as norm2
from ._core import num_procs as num_procs
from ._core import parameter_shapes as parameter_shapes
from ._core import plan_memory as plan_memory
from ._core import power as power
from ._core import product as product
from ._core import set_num_threads as set_num_threads
from ._core import system_info as system_info
from ._core import tanh as tanh
from ._core import trace_begin as trace_begin
from ._core import trace_end as trace_end
