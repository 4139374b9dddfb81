"""Where tasks run: in this process, on its threads, or by Ray on several machines; the same bits everywhere."""

from palate.runners.local import InProcess, Threads
from palate.runners.protocol import Handle, Runner
from palate.runners.registry import RUNNERS, open_runner
from palate.runners.tree import tree, tree_sum

__all__ = ["RUNNERS", "Handle", "InProcess", "Runner", "Threads", "open_runner", "tree", "tree_sum"]
