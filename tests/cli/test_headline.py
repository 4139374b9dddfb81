from __future__ import annotations

import pytest

from palate.cli.headline import headline, proposed


def document(needed: float | None, protocol: str = "new-users") -> dict[str, object]:
    def strategy(curve: list[float], questions: float | None) -> dict[str, object]:
        return {"rmse": {"mean": curve}, "labels_saved": {"questions": questions}}

    return {
        "dataset": {"name": "movies"},
        "protocol": {"name": protocol, "budget": 20},
        "strategies": {"random": strategy([1.0, 0.9], 20.0), "ours": strategy([1.0, 0.95], needed)},
    }


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            document(5.04),
            "movies, people never seen: Palate needed 5.0 questions and a random asker 20.0 "
            "to predict held-out ratings with an RMSE of 0.900.",
        ),
        (
            document(None, "new-items"),
            "movies, items never rated: after 20 questions ours has an RMSE of 0.950, a random asker 0.900.",
        ),
    ],
)
def test_the_headline_says_the_loss_as_plainly_as_the_win(made, expected):
    assert headline(made, "ours") == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["random", "popularity", "bald", "a-optimal", "ceiling"], "a-optimal"),
        (["random", "bald", "epig"], "bald"),
        (["random", "popularity", "answerable-random", "ceiling"], "random"),
    ],
)
def test_a_reference_is_never_proposed(names, expected):
    assert proposed({"strategies": dict.fromkeys(names)}, "a-optimal") == expected
