"""admin-py: why deep Transformers are hard to train, measured.

Transformer layers with Admin initialisation, variance profiling, and the experiments of "Understanding the
Difficulty of Training Transformers" (Liu, Liu, Gao, Chen, Han, EMNLP 2020, arXiv 2004.08249), on a C core.

>>> import admin_py as ap
>>> data = ap.data.number_words(train=200, valid=20)
>>> config = ap.TransformerConfig(vocab_size=data.vocab_size, encoder_layers=2, decoder_layers=2, d_model=32,
...                               heads=2, d_ff=64, scheme="admin")
>>> model = ap.Transformer(config, seed=1)
>>> profile = model.profile(next(data.batches(max_tokens=256, seed=1)))
>>> float(profile.omega("encoder")[0])
1.0
"""

from __future__ import annotations

from admin_py._patience import load_core

load_core()  # before anything else imports it

from admin_py import analysis, data, generation, plots, schedules, schemes  # noqa: E402
from admin_py._version import __version__  # noqa: E402
from admin_py.batch import Batch  # noqa: E402
from admin_py.config import TransformerConfig  # noqa: E402
from admin_py.diagnose import diagnose  # noqa: E402
from admin_py.diagnose_results import Diagnosis  # noqa: E402
from admin_py.grid import grid  # noqa: E402
from admin_py.grid_cell import GridCell  # noqa: E402
from admin_py.grid_results import Grid  # noqa: E402
from admin_py.history import History  # noqa: E402
from admin_py.layers import DecoderLayer, EncoderLayer  # noqa: E402
from admin_py.live import LivePlot  # noqa: E402
from admin_py.memory import MemoryPlan, plan_memory  # noqa: E402
from admin_py.model import Loss, Transformer  # noqa: E402
from admin_py.optimizers import SGD, Adam, AdamW, NovoGrad, RAdam  # noqa: E402
from admin_py.profiling import VarianceProfile  # noqa: E402
from admin_py.schemes import Residual, Scale, Scheme, Site  # noqa: E402
from admin_py.study import study  # noqa: E402
from admin_py.study_results import Study  # noqa: E402
from admin_py.threads import get_num_threads, set_num_threads  # noqa: E402
from admin_py.training import train  # noqa: E402
from admin_py.versions import show_versions  # noqa: E402

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Batch",
    "DecoderLayer",
    "Diagnosis",
    "EncoderLayer",
    "Grid",
    "GridCell",
    "History",
    "LivePlot",
    "Loss",
    "MemoryPlan",
    "NovoGrad",
    "RAdam",
    "Residual",
    "Scale",
    "Scheme",
    "Site",
    "Study",
    "Transformer",
    "TransformerConfig",
    "VarianceProfile",
    "__version__",
    "analysis",
    "data",
    "diagnose",
    "generation",
    "get_num_threads",
    "grid",
    "plan_memory",
    "plots",
    "schedules",
    "schemes",
    "set_num_threads",
    "show_versions",
    "study",
    "train",
]
