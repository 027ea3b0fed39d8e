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

from admin_py import analysis, data, generation, interop, plots, recipes, schedules, schemes, scores, trackers
from admin_py._version import __version__
from admin_py.analysis.diagnosis.diagnose import diagnose
from admin_py.analysis.diagnosis.results import Diagnosis
from admin_py.base.threads import get_num_threads, set_num_threads, threads
from admin_py.base.versions import show_versions
from admin_py.data.batch import Batch
from admin_py.experiments.examination.examine import examine
from admin_py.experiments.examination.results import Examination
from admin_py.experiments.grid.cell import GridCell
from admin_py.experiments.grid.grid import grid
from admin_py.experiments.grid.results import Grid
from admin_py.experiments.study.results import Sample, SchemeBleu, Study, StudyRun
from admin_py.experiments.study.study import study
from admin_py.experiments.trained import TrainedModel
from admin_py.experiments.translations import Translations
from admin_py.interop.pretrained import load_pretrained
from admin_py.interop.text import load_tokenizer_of
from admin_py.live import LivePlot
from admin_py.loading import load
from admin_py.model.config import TransformerConfig
from admin_py.model.decoder import Decoder
from admin_py.model.layers import DecoderLayer, EncoderLayer
from admin_py.model.loss import Loss
from admin_py.model.observation import Observation
from admin_py.model.profile import VarianceProfile
from admin_py.model.transformer import Transformer
from admin_py.plots.tables import GridTable
from admin_py.results import Result
from admin_py.schemes import Residual, Scale, Scheme, Site
from admin_py.training.average import average
from admin_py.training.history import History
from admin_py.training.memory import MemoryPlan, plan_memory
from admin_py.training.optimizers import SGD, Adam, AdamW, NovoGrad, Optimizer, RAdam
from admin_py.training.recorder import Recorder
from admin_py.training.stopping import Monitor
from admin_py.training.train import train

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Batch",
    "Decoder",
    "DecoderLayer",
    "Diagnosis",
    "EncoderLayer",
    "Examination",
    "Grid",
    "GridCell",
    "GridTable",
    "History",
    "LivePlot",
    "Loss",
    "MemoryPlan",
    "Monitor",
    "NovoGrad",
    "Observation",
    "Optimizer",
    "RAdam",
    "Recorder",
    "Residual",
    "Result",
    "Sample",
    "Scale",
    "Scheme",
    "SchemeBleu",
    "Site",
    "Study",
    "StudyRun",
    "TrainedModel",
    "Transformer",
    "TransformerConfig",
    "Translations",
    "VarianceProfile",
    "__version__",
    "analysis",
    "average",
    "data",
    "diagnose",
    "examine",
    "generation",
    "get_num_threads",
    "grid",
    "interop",
    "load",
    "load_pretrained",
    "load_tokenizer_of",
    "plan_memory",
    "plots",
    "recipes",
    "schedules",
    "schemes",
    "scores",
    "set_num_threads",
    "show_versions",
    "study",
    "threads",
    "trackers",
    "train",
]
