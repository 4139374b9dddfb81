"""All rounds of a line in one process, over users whose answers are at hand: for simulations and benchmarks."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from palate.arrays import Array
from palate.federated.devices import Devices
from palate.federated.fixed_point import encode
from palate.federated.options import FederatedOptions
from palate.federated.public import PublicModel
from palate.federated.server import advance, begin


def private_fit(
    answers: sparse.csr_matrix,
    content: Array | None,
    options: FederatedOptions,
    *,
    rng: np.random.Generator | None = None,
    line: str = "simulated",
) -> PublicModel:
    """The last public model of a line to which all users contribute in every round.

    Args:
        answers: As given, such as stars, (U, I) CSR.
        content: Public encodings of the items, (I, E), or None.
        rng: Of the noise; None: the system's secure generator.
        line: Its name, from which the random start follows.
    """
    devices = Devices.of(answers)
    state = begin([str(item) for item in range(answers.shape[1])], options, content, line=line)
    while not state.is_done:
        public = state.public
        total = devices.round_zeros(public) if public.form == "means" else devices.contributions(public)
        state = advance(state, encode(total), devices.users, rng=rng)
    return state.public
