"""What decides the last bits of a result: versions, and the kind of processor."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from palate._version import __version__

LIBRARIES = ("numpy", "scipy", "numba", "ray")


class Kind(NamedTuple):
    """Of a process."""

    python: str
    palate: str  # the version, and a digest of the code: a checkout changes without its version
    libraries: tuple[tuple[str, str], ...]
    processor: tuple[str, ...]


@cache
def kind_here() -> Kind:
    """Of this process."""
    import llvmlite.binding as llvm  # type: ignore[import-untyped]
    import numpy as np
    import scipy.linalg  # noqa: F401 - with its own OpenBLAS, which threadpoolctl then sees
    from threadpoolctl import threadpool_info

    blas = sorted({str(one.get("architecture")) for one in threadpool_info() if one["user_api"] == "blas"})
    simd = np.show_config("dicts")["SIMD Extensions"]
    return Kind(
        "{}.{}".format(*sys.version_info),
        f"{__version__} ({_digest(Path(__file__).parents[1])})",
        tuple((name, version(name)) for name in LIBRARIES),
        (platform.machine(), str(llvm.get_host_cpu_name()), *blas, *simd.get("found", [])),
    )


def _digest(package: Path) -> str:
    code = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        code.update(f"{path.relative_to(package).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return code.hexdigest()[:8]


def differences(kinds: Mapping[str, Kind], *, here: Kind) -> str:
    """A sentence about the first difference; empty where there is none.

    Args:
        kinds: By node.
        here: Of this process: its versions count, its processor does not.
    """
    for part, what in (("python", "Python"), ("palate", "Palate"), ("libraries", "libraries"), ("processor", "")):
        values = {name: getattr(kind, part) for name, kind in kinds.items()}
        if part != "processor":
            values = {"this process": getattr(here, part)} | values
        (first, one), *others = values.items()
        for name, other in others:
            if other != one:
                return f"{first} has {_shown(what, one, other)}, {name} has {_shown(what, other, one)}."
    return ""


def _shown(what: str, value: str | tuple[object, ...], other: str | tuple[object, ...]) -> str:
    if isinstance(value, str):
        return f"{what} {value}"
    alone = [" ".join(part) if isinstance(part, tuple) else str(part) for part in value if part not in other]
    return ("a processor with " * (not what)) + (", ".join(alone[:6]) or "less")
