"""implicit's ALS at work, in an environment of its own that need not hold palate.

    PYTHON benchmarks/_peers_implicit.py INPUT.json OUTPUT.npz

INPUT names ``train`` (.npz: users, items, whole numbers from 0, and values), ``n_users``, ``n_items``, ``rank``,
``iterations``, ``threads`` and ``settings``: each ``reg`` and ``alpha``. Solved by Cholesky's factor. OUTPUT has the
factors of users and items of each setting; standard output has JSON with the seconds of each iteration but the first.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_limits


def main() -> None:
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with np.load(given["train"]) as file:
        shape = (given["n_users"], given["n_items"])
        matrix = sparse.csr_matrix((file["values"].astype(np.float32), (file["users"], file["items"])), shape=shape)
    arrays, settings = {}, []
    for number, setting in enumerate(given["settings"]):
        stamps = [time.perf_counter()]

        def note(*_: Any, stamps: list[float] = stamps) -> None:
            stamps.append(time.perf_counter())

        with threadpool_limits(1, "blas"):
            model = AlternatingLeastSquares(
                factors=given["rank"],
                regularization=setting["reg"],
                alpha=setting["alpha"],
                iterations=given["iterations"],
                num_threads=given["threads"],
                use_cg=False,
                random_state=0,
            )
            model.fit(matrix, show_progress=False, callback=note)
        settings.append({**setting, "iteration": np.diff(stamps)[1:].tolist()})
        arrays |= {f"users-{number}": model.user_factors, f"items-{number}": model.item_factors}
    np.savez(sys.argv[2], **arrays)
    print(json.dumps({"version": version("implicit"), "settings": settings}))


if __name__ == "__main__":
    main()
