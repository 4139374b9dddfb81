from __future__ import annotations

import pytest

from palate.cli.headline import headline, proposed


def document(
    needed: float | None, protocol: str = "new-users", metric: str = "list-ndcg@10", popular: float | None = 7.0
) -> dict[str, object]:
    def strategy(curve: list[float], questions: float | None) -> dict[str, object]:
        return {metric: {"mean": curve}, "labels_saved": {"questions": questions}}

    return {
        "dataset": {"name": "movies"},
        "protocol": {"name": protocol, "budget": 20},
        "metric": metric,
        "strategies": {
            "random": strategy([0.3, 0.4], 20.0),
            "popularity": strategy([0.3, 0.45], popular),
            "ours": strategy([0.3, 0.5], needed),
        },
    }


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            document(5.04),
            "movies, people never seen: Palate needed 5.0 questions, questions about popular items 7.0 and a random "
            "asker 20.0, for lists with an NDCG@10 of 0.400.",
        ),
        (
            document(5.04, metric="rmse", popular=None),
            "movies, people never seen: Palate needed 5.0 questions, questions about popular items more than 20 and a "
            "random asker 20.0, to predict held-out ratings with an RMSE of 0.400.",
        ),
        (
            document(None, "new-items"),
            "movies, items never rated: after 20 questions ours has an NDCG@10 of 0.500, questions about popular items "
            "0.450, a random asker 0.400.",
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
