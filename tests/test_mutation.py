"""Would the tests notice if the code were wrong? See `tests/mutation.py`."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.mutation import ROOT, survivors

SAMPLE, SEED = 60, 1
LEAST = 0.80  # of the sample is noticed; of two samples 0.90 were (docs/measuring.md), and another one may have 0.82


@pytest.mark.long
def test_small_changes_of_the_code_are_noticed() -> None:
    left = survivors(SAMPLE, SEED)
    print(*left.values(), sep="\n")
    assert 1 - len(left) / SAMPLE >= LEAST, f"{len(left)} of {SAMPLE} changes were not noticed: {', '.join(left)}"


def test_what_mutmut_is_told_of_exists() -> None:
    """A module or a test by an old name would be left out without a word."""
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]
    for pattern in options["only_mutate"] + options["pytest_add_cli_args_test_selection"]:
        assert list(ROOT.glob(pattern)), pattern
    unfit = [argument.split("::") for argument in options["pytest_add_cli_args"] if "::" in argument]
    assert unfit
    for file, name in unfit:
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), name
