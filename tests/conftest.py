"""What pytest is to leave alone, and what its processes are to hear."""

import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec

# NumPy's BLAS and PyTorch compute on one thread, where nobody says otherwise, in the processes that tests
# start, too: tests run side by side, and threads that wait for one without a processor burn what the others
# need. They did so for most of the time of the comparisons with PyTorch. Both read it as they are loaded.
for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import hypothesis  # noqa: E402
import pytest  # noqa: E402

import admin_py as ap  # noqa: E402

OF_PYTORCH = (
    "torch_reference.py",
    "torch_batches.py",
    "make_torch_results.py",
    "fairseq_model.py",
    "hugging_face_models.py",
)
OF_HUGGING_FACE = ("hugging_face_models.py",)

PROGRAMS = ("mpi_faults.py",)
"""Begin MPI and read their arguments as they are imported."""

collect_ignore = [f"helpers/{name}" for name in PROGRAMS]
collect_ignore += [f"helpers/{name}" for name in OF_PYTORCH if not find_spec("torch")]
collect_ignore += [f"helpers/{name}" for name in OF_HUGGING_FACE if not find_spec("transformers")]

# No test is about time: a machine that does other things too takes longer than a deadline now and then.
hypothesis.settings.register_profile("admin_py", deadline=None)
hypothesis.settings.load_profile("admin_py")

# Where the tests are started in the background, Ctrl-C is ignored, by the processes that they start too.
# Those that are sent one must hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without pictures, which take most of their time: for tests of their words alone."""
    from markupsafe import Markup

    from admin_py.report import rendering

    def no_picture(draw: object, height: float, *, name: str, alt: str) -> Markup:
        return Markup('<svg role="img" id="{}" aria-label="{}"></svg>').format(f"{name}-picture", alt)

    monkeypatch.setattr(rendering, "inline_svg", no_picture)


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    """Results note the number of threads: no test leaves its own to those after it in the same process."""
    before = ap.get_num_threads()
    yield
    if ap.get_num_threads() != before:
        ap.set_num_threads(before, oversubscribe=True)
