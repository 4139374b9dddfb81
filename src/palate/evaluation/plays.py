"""The plays of a simulation as tasks: each by itself, so that they may run anywhere and in any order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from palate.acquisition import get_strategy
from palate.datasets.tables import Dataset
from palate.evaluation.cold_system import play_cold_system
from palate.evaluation.play import Played, average, ceiling, play
from palate.evaluation.world import World
from palate.random import derive_rng
from palate.runners import Handle, InProcess, Runner, Threads

RANDOM_PLAYS = 5  # averaged: the luck of one random asker would be in every comparison
_AHEAD = 4  # tasks a worker that are submitted before the first result is taken


class Rules(NamedTuple):
    """What is the same in every play: see :class:`palate.evaluation.simulate.SimulationOptions`."""

    budget: int
    pool: str
    targets: str
    encoder: str
    max_users: int


class Plays(NamedTuple):
    """What was played, by name and seed.

    Attributes:
        runs: One a seed, by name.
        people: The subjects of each seed.
        facts: Of the last seed's world.
        whole: The world of a seed with its learner, by the seed's number; made anew where no process here has it.
    """

    runs: dict[str, list[Played]]
    people: list[list[str]]
    facts: dict[str, Any]
    whole: Callable[[int], World]


def play_all(
    data: Dataset,
    names: Sequence[str],
    rules: Rules,
    make: Callable[..., World] | None,
    *,
    seeds: Sequence[int],
    runner: Runner,
    progress: Callable[[int, int], None] | None,
) -> Plays:
    """Every name on every seed; a task makes the world of a seed, and another one each play.

    Args:
        make: Makes the world of a seed; None: of a cold system, which has none.
    """
    here = isinstance(runner, InProcess | Threads)  # no learner leaves its process: it holds locks
    ahead = 0 if isinstance(runner, InProcess) else _AHEAD * runner.workers
    arguments = {"encoder": rules.encoder, "max_users": rules.max_users}
    runs: dict[str, list[Played]] = {name: [] for name in names}
    people: list[list[str]] = []
    facts: dict[str, Any] = {}
    first: Handle | None = None
    given = runner.submit(_same, data)
    waiting: deque[tuple[str, Handle]] = deque()
    done, of = 0, len(names) * len(seeds)

    def take(most: int) -> None:
        nonlocal done, facts
        while len(waiting) > most:
            name, handle = waiting.popleft()
            played, subjects, facts = runner.get(handle)
            runner.free([handle])
            runs[name].append(played)
            if name == names[0]:
                people.append(subjects)
            done += 1
            if progress is not None:
                progress(done, of)

    for seed in seeds:
        world = given if make is None else runner.submit(_world, given, make, arguments, seed, here)
        for name in names:
            waiting.append((name, runner.submit(_cold if make is None else _play, world, name, rules, seed)))
            take(ahead)
        if make is not None and here and first is None:
            first = world
        elif make is not None:
            runner.free([world])
    take(0)

    def whole(number: int) -> World:
        if make is None:
            raise ValueError("a cold system has no world")
        if number == 0 and first is not None:
            world: World = runner.get(first)
            return world
        return make(data, seed=seeds[number], **arguments)

    return Plays(runs, people, facts, whole)


def _same(data: Dataset) -> Dataset:
    return data


def _world(data: Dataset, make: Callable[..., World], arguments: dict[str, Any], seed: int, here: bool) -> World:
    world = make(data, seed=seed, **arguments)
    return world if here else replace(world, learner=None)


def _play(world: World, name: str, rules: Rules, seed: int) -> tuple[Played, list[str], dict[str, Any]]:
    rng = derive_rng(seed, "play", name)
    facts = {"fit_users": world.fitted_users, "test_users": len(world.subjects), "like": world.scale.like}
    if name == "ceiling":
        return ceiling(world, rules.budget), world.subjects, facts
    if name in ("random", "answerable-random"):
        pool = rules.pool if name == "random" else "answered"
        plays = [
            play(world, get_strategy("random"), pool=pool, budget=rules.budget, rng=rng) for _ in range(RANDOM_PLAYS)
        ]
        return average(plays), world.subjects, facts
    strategy, aims = get_strategy(name), rules.targets
    played = play(world, strategy, pool=rules.pool, budget=rules.budget, targets=aims, rng=rng)
    return played, world.subjects, facts


def _cold(data: Dataset, name: str, rules: Rules, seed: int) -> tuple[Played, list[str], dict[str, Any]]:
    return play_cold_system(
        data,
        name,
        budget=rules.budget,
        pool=rules.pool,
        encoder=rules.encoder,
        max_users=rules.max_users,
        seed=seed,
    )
