"""Fit a generated world, then ask somebody never seen ten questions and watch the list move.

Run it with ``python examples/quickstart.py``; it takes a few seconds and needs no network.
"""

from __future__ import annotations

import numpy as np

from palate import Learner
from palate.datasets import planted_world
from palate.datasets.planted import PlantedWorld
from palate.oracles import Simulated

QUESTIONS = 10
NEWCOMER = 0  # the world knows this person's taste; the learner never sees them


def main() -> None:
    rng = np.random.default_rng(0)
    world = planted_world(users=200, items=100, rng=rng)
    newcomer = world.user_ids[NEWCOMER]
    data = world.dataset.filter(world.dataset.interactions["user_id"] != newcomer)
    learner = Learner.fit(data)

    truth = true_ratings(world)
    person = Simulated({newcomer: known_part(truth, rng)})  # has a rating for half of the items, else: don't know it
    show(learner, newcomer, truth, "Before any question")
    for _ in range(QUESTIONS):
        questions = learner.ask(newcomer, rng=rng)
        (answer,) = person.answer(questions)
        learner = learner.tell(answer)
        said = "don't know it" if answer.value is None else f"{answer.value:g}"
        title = learner.model.catalogue.names[learner.model.catalogue.position(answer.item_id)]
        print(f"  {title:28} {said}")
    show(learner, newcomer, truth, f"After {QUESTIONS} questions")


def true_ratings(world: PlantedWorld) -> dict[str, float]:
    """What the newcomer would say of every item."""
    ratings = np.clip(np.rint(world.expected()[NEWCOMER]), 1, 5)
    return dict(zip(world.item_ids, ratings.tolist(), strict=True))


def known_part(truth: dict[str, float], rng: np.random.Generator) -> dict[str, float]:
    return {item: rating for item, rating in truth.items() if rng.random() < 0.5}


def show(learner: Learner, user: str, truth: dict[str, float], heading: str) -> None:
    """The top of the list with the truth beside it, and the error over the whole catalogue."""
    everything = learner.recommend(user, k=len(truth), include_seen=True)
    error = np.sqrt(np.mean([(item.score - truth[item.item_id]) ** 2 for item in everything]))
    print(f"{heading}: RMSE {error:.2f} over {len(truth)} items")
    for item in learner.recommend(user, k=5):
        print(f"  {item.score:.1f} ± {item.std:.1f}, truly {truth[item.item_id]:g}  {item.title}: {item.reason}")


if __name__ == "__main__":
    main()
