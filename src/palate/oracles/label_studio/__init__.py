"""Label Studio as a desk, over plain REST: questions are tasks there, annotations are answers here.

Import from here, since the modules beside this one may move.
"""

from palate.oracles.label_studio.calls import Server
from palate.oracles.label_studio.desk import LabelStudio

__all__ = ["LabelStudio", "Server"]
