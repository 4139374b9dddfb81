"""How long a user needs for an answer, by form of question: assumptions, in one place, each with its source.

No public data set has times of all forms, so they are built of operators of the keystroke-level model (Card, Moran,
Newell, *The keystroke-level model for user performance time with interactive systems*, CACM 23(7), 1980): a mental
preparation M = 1.35 s before each tap, pointing P = 1.10 s and a button press K = 0.20 s for the tap, together 2.65 s;
and of silent reading at 238 words a minute (Brysbaert, *How many words do we read per minute?*, Journal of Memory and
Language 109, 2019), so 4 words of a title are 1.0 s. Saying "don't know it" is a tap like any other.

Direction agrees with what was measured: finer scales take longer (Sparling, Sen, *Rating: how difficult is it?*, RecSys
2011), and so does a comparison (Checco, Demartini, *Pairwise, magnitude, or stars*, 2016). Only ratios matter to which
question is best. They differ by interface: people asked to judge photographs of dogs with care on a slider took 28 s
(the median of the 11,000 times in Brielmann, Berentelg, Dayan's data, half of them 22 to 38 s), looking included.
``benchmarks/question_kinds.py`` doubles and halves each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from palate.entities import Form
from palate.errors import OptionError

Array = NDArray[np.float64]
LISTS = (Form.GROUP, Form.PAGE)  # read line by line, with a tap where there is something to say


@dataclass(frozen=True, slots=True)
class Seconds:
    """Seconds of a user's time.

    Attributes:
        rate: Read a title, tap a level.
        pair: Read two titles, tap one.
        look: Read the title of one item of a group or a page, tapped or passed over.
        tap: Each tap in them, of a like or of a level; the last says that it is done.
        concept: Read two words (0.5 s), tap yes or no.
        preview: Read a title and a text of 50 words (12.6 s), tap yes or no.
    """

    rate: float = 3.65
    pair: float = 4.65
    look: float = 1.0
    tap: float = 2.65
    concept: float = 3.15
    preview: float = 16.25

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0.0 < value < math.inf:  # false for NaN too
                raise OptionError(f"seconds of {field.name} are {value:g}. Give a finite number above 0.")

    def group(self, items: int, tapped: Array | float) -> Array:
        """Of a group or a page of so many items, of which so many are tapped."""
        return np.asarray(self.look * items + self.tap * (1.0 + np.asarray(tapped, dtype=np.float64)))

    def of(self, form: Form, items: int = 1, tapped: float = 0.0) -> float:
        """Of one question."""
        return float(self.group(items, tapped)) if form in LISTS else float(getattr(self, form.value))

    def scaled(self, form: Form, factor: float) -> Seconds:
        """With one form slower, or faster, by a factor: groups and pages together."""
        names = ("look", "tap") if form in LISTS else (form.value,)
        return replace(self, **{name: factor * getattr(self, name) for name in names})
