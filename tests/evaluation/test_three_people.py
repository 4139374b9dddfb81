from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from palate.datasets import planted_world
from palate.evaluation.three_people import three_people
from palate.evaluation.world import World, users_world


@pytest.fixture(scope="module")
def world() -> World:
    data = planted_world(users=160, items=60, rng=np.random.default_rng(0)).dataset
    return users_world(data, encoder="none", seed=0, max_users=2000)


def met(world: World, seed: int = 0) -> dict[str, Any]:
    assert world.learner is not None
    found = three_people(world.learner, world.subjects, world.ratings, world.askable, seed=seed)
    assert found is not None
    return found


def test_they_are_drawn_by_what_they_like_and_not_by_how_it_goes(world: World) -> None:
    found, shuffled = met(world), met(world.shuffled(np.random.default_rng(1)))
    who = [person["user"] for person in found["people"]]
    assert who == [person["user"] for person in shuffled["people"]], "their answers play no part"
    assert [person["turns"] for person in found["people"]] != [person["turns"] for person in shuffled["people"]]
    likes = {
        user: int((row[~half] >= world.scale.like).sum())
        for user, row, half in zip(world.subjects, np.nan_to_num(world.ratings), world.askable, strict=True)
    }
    rule = found["rule"]
    assert rule["least"] == min(10, sorted(likes.values())[-3])
    assert rule["of"] == sum(n >= rule["least"] for n in likes.values()) and rule["among"] == len(likes)
    assert [person["likes_found"] for person in found["people"]] == [likes[user] for user in who]
    assert {tuple(p["user"] for p in met(world, seed)["people"]) for seed in range(4)} != {tuple(who)}


def test_they_answer_with_their_ratings_and_no_question_is_about_what_the_list_may_show(world: World) -> None:
    assert world.learner is not None
    catalogue = world.learner.model.catalogue
    for person in met(world)["people"]:
        row = world.subjects.index(person["user"])
        ratings, half = world.ratings[row], world.askable[row]
        for turn in person["turns"]:
            place = catalogue.position(turn["item_id"])
            assert half[place]
            value = ratings[place]
            assert turn["answer"] == ("don't know it" if np.isnan(value) else f"{value:g} of 5")
        for item in person["before"] + person["after"]:
            place = catalogue.position(item["item_id"])
            assert not half[place]
            assert item["liked"] == bool(np.nan_to_num(ratings[place]) >= world.scale.like)
        places = {item["item_id"]: at for at, item in enumerate(person["before"])}
        assert [item["place_before"] for item in person["after"]] == [
            places.get(item["item_id"]) for item in person["after"]
        ]
        assert len(person["before"]) == len(person["after"]) == 10


def test_where_nobody_likes_anything_there_is_nobody_to_show(world: World) -> None:
    assert world.learner is not None
    nothing = np.full_like(world.ratings, world.scale.low)
    assert three_people(world.learner, world.subjects, nothing, world.askable, seed=0) is None
