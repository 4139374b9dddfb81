import json
from contextlib import suppress

import numpy as np
import pytest

from palate.errors import DataError, OptionError, StoreBusy
from palate.oracles.honest_labels import honest_labels
from palate.oracles.journal import opened
from palate.oracles.labelling_file import kept
from tests.oracles.test_honest_labels import known, pool, world


class Dying:
    """People who answer so many questions, and then the power fails."""

    def __init__(self, people, lives):
        self.people, self.lives, self.asked = people, lives, []

    def answer(self, questions):
        if len(self.asked) == self.lives:
            raise KeyboardInterrupt
        self.asked += [one.item_id for one in questions]
        return self.people.answer(questions)


@pytest.fixture
def stage():
    truth, machine = world(np.random.default_rng(0), n=120)
    return pool(120), known(truth, source="ann", cost=0.1), machine


def test_it_dies_after_any_answer_and_nothing_is_paid_twice(tmp_path, stage):
    questions, people, machine = stage
    whole = honest_labels(questions, people, machine, rng=np.random.default_rng(7))
    path, asked = tmp_path / "labels.jsonl", []
    for lives in (0, 1, 19, 1, 5, 2, 10_000):
        dying = Dying(people, lives)
        with suppress(KeyboardInterrupt):
            found = kept(path, questions, dying, machine, rng=np.random.default_rng(7))
        asked += dying.asked
    assert found == whole
    assert len(asked) == len(set(asked)) == round(whole.cost / 0.1)
    again = kept(path, questions, Dying(people, 0), machine, rng=np.random.default_rng(8))
    assert again == whole


def test_a_kill_between_any_two_lines_or_within_one_loses_at_most_that_line(tmp_path, stage):
    questions, people, machine = stage
    path = tmp_path / "labels.jsonl"
    whole = kept(path, questions, people, machine, rng=np.random.default_rng(7))
    text = path.read_bytes()
    ends = [place + 1 for place, byte in enumerate(text) if byte == 10]
    for cut in (*ends[:3], *ends[20:23], ends[-2], ends[2] - 3, 3):
        path.write_bytes(text[:cut])
        assert kept(path, questions, people, machine, rng=np.random.default_rng(7)) == whole
        assert path.read_bytes() == text


def test_a_larger_budget_goes_on(tmp_path, stage):
    questions, people, machine = stage
    path = tmp_path / "labels.jsonl"
    few = kept(path, questions, people, machine, budget=30, rng=np.random.default_rng(7))
    assert not few.is_shown
    more = kept(path, questions, people, machine, rng=np.random.default_rng(7))
    assert more.is_shown
    with pytest.raises(OptionError, match="asked"):
        kept(path, questions, people, machine, budget=30, rng=np.random.default_rng(7))


def test_a_file_of_another_labelling_or_a_damaged_one_is_refused(tmp_path, stage):
    questions, people, machine = stage
    path = tmp_path / "labels.jsonl"
    rng = np.random.default_rng(7)
    kept(path, questions, people, machine, budget=25, rng=rng)
    with pytest.raises(DataError, match=r"its target is 0\.9, not 0\.8"):
        kept(path, questions, people, machine, target=0.8, rng=rng)
    with pytest.raises(DataError, match="its items is"):
        kept(path, questions[:-1], people, machine, rng=rng)
    lines = path.read_text().splitlines()
    stranger = json.dumps({"answer": json.loads(lines[2])["answer"] | {"item": "nobody"}})
    for broken, match in (("{", "line 3 of .* is no JSON"), (stranger, "nobody"), ('{"answer": 3}', "no labelling")):
        path.write_text("\n".join([*lines[:2], broken, *lines[3:]]) + "\n")
        with pytest.raises(DataError, match=match):
            kept(path, questions, people, machine, rng=rng)


def test_two_processes_do_not_share_a_file(tmp_path, stage):
    questions, people, machine = stage
    path = tmp_path / "labels.jsonl"
    with opened(path), pytest.raises(StoreBusy, match="in use by process"):
        kept(path, questions, people, machine, rng=np.random.default_rng(7))


def test_a_clock_that_jumps_changes_nothing(tmp_path, stage):
    questions, people, machine = stage
    whole = kept(tmp_path / "one.jsonl", questions, people, machine, rng=np.random.default_rng(7))

    class Jumping:
        def answer(self, questions):
            (one,) = questions
            (answer,) = people.answer(questions)
            at = float(hash(one.item_id) % 1_000_003 - 500_000)
            return (one.answer(int(answer.value), source="ann", at=at, of=answer.provenance),)

    found = kept(tmp_path / "two.jsonl", questions, Jumping(), machine, rng=np.random.default_rng(7))
    assert [(one.item_id, one.value) for one in found.labels] == [(one.item_id, one.value) for one in whole.labels]
