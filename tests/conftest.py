"""What pytest is to leave alone."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("torch") else ["torch_reference.py", "make_torch_results.py"]
