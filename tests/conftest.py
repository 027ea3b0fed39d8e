"""What pytest is to leave alone, and what its processes are to hear."""

import signal
from importlib.util import find_spec

collect_ignore = [] if find_spec("torch") else ["torch_reference.py", "make_torch_results.py"]

# Where the tests are started in the background, Ctrl-C is ignored, by the processes that they start too.
# Those that are sent one must hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
