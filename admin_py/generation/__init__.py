"""Text from a model: greedy, by beam search or drawn, over the core's decoder, which reads nothing twice."""

from admin_py.generation.beam import beam_search
from admin_py.generation.greedy import greedy
from admin_py.generation.limits import BATCH_SIZE
from admin_py.generation.sampling import draw_from, sample

__all__ = ["BATCH_SIZE", "beam_search", "draw_from", "greedy", "sample"]
