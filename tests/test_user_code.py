"""What a user writes, run as they would: a fresh process, nothing of this package but its source on the path.

``USER_CODE`` is how the interface is meant to look. It may not be changed to make the test pass.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import palate

SOURCE = Path(palate.__file__).parents[1]

TABLES = """
import sys
sys.modules["pandas"] = None  # as if it were not installed

import numpy as np
import polars as pl

draw = np.random.default_rng(0)
n_users, n_items = 40, 20
taste = draw.normal(size=(n_users, 2)) @ draw.normal(size=(2, n_items))
rated = draw.random((n_users, n_items)) < 0.5
users, rows = np.nonzero(rated)
interactions = pl.DataFrame(
    {
        "user_id": [f"u{user}" for user in users],
        "item_id": [f"i{row}" for row in rows],
        "rating": np.clip(np.round(3 + taste[users, rows]), 1, 5),
    }
)
words = ["slow", "loud", "warm", "blue"]
items = pl.DataFrame(
    {
        "item_id": [f"i{row}" for row in range(n_items)],
        "title": [f"{words[row % 4]} {words[row // 4 % 4]} song {row}" for row in range(n_items)],
        "category": [words[row % 4] for row in range(n_items)],
    }
)


def my_strategy(belief, candidates, *, rng):
    return candidates.items.level
"""

USER_CODE = """
from palate import Dataset, Recommender, events, rate

data = Dataset.from_tables(interactions, items)            # pandas, Polars, PyArrow; columns may be mapped
with Recommender.create("my-model", data, seed=0) as rec:  # a folder; or postgresql://...
    for question in rec.ask("ann", k=3):                   # rng from the seed and the user, unless given
        rec.tell(question.answer(4))                       # on disk before it returns
    rec.tell(rate("ann", "i7", 4.0))                       # nobody asked
    rec.see(events("ann", ["i1", "i2"], kind="click"))     # the same log
    rec.know("ann", age=31)
    for item in rec.recommend("ann", 10, exclude=["i3"]):  # every option named and typed
        print(item.title, item.score, item.reason)
    rec.ask_about("i9", k=5); rec.ask_pairs(budget=100)    # three acts, three verbs
    rec.ask("ann", strategy=my_strategy)                   # an object or a name; no global to write into
    rec.undo("ann"); rec.refit()
learner = rec.learner                                      # the pure value
"""

AFTERWARDS = """
assert [one.value for one in learner.told["ann"]] == [4.0] * 3, learner.told
assert "i7" not in [one.item_id for one in learner.told["ann"]]
with Recommender.open("my-model") as again:
    assert again.recommend("ann", 20) == learner.recommend("ann", 20)
    assert [(row.seq, type(row.content).__name__, row.retracts != "") for row in again._live.log.records()] == [
        (1, "Answer", False), (2, "Answer", False), (3, "Answer", False), (4, "Answer", False),
        (5, "Event", False), (6, "Event", False), (7, "Attribute", False), (8, "Answer", True),
    ]
try:
    rec.ask("ann")
except Exception as error:
    print(f"{type(error).__name__}: {error}")
assert sys.modules["pandas"] is None
"""

PARTS = """
from palate import Dataset, Learner, PalateError, Recommender, rate
from palate.acquisition import Strategy
from palate.posteriors.likelihoods import Gaussian
import warnings
import zlib


class Letters:
    '''Counts pairs of letters, hashed: crude, and quick.'''

    modality, name, revision, dim = "text", "letters", "1", 64

    def encode(self, texts):
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for pair in zip(text, text[1:]):
                row[zlib.crc32("".join(pair).encode("utf-8", "replace")) % self.dim] += 1
        return vectors


def said(call):
    try:
        call()
    except PalateError as error:
        text = str(error)
        assert "\\n" not in text and text.count(". ") >= 1, text
        return text
    raise AssertionError("nothing was refused")


data = Dataset.from_tables(interactions, items)
new = pl.DataFrame({"item_id": ["n1"], "title": ["slow blue song new"]})

# an encoder
learner = Learner.fit(data, encoder=Letters())
asked = learner.ask("ann", k=2, forms=["concept"], concepts=["slow blue"])
assert [one.item_id for one in asked] == ["slow blue"], asked
told = learner.tell(asked[0].answer(1)).with_items(new)
assert "n1" in [one.item_id for one in told.recommend("ann", 30)]
told.save("mine")
same = Learner.load("mine", encoders=[Letters()])
assert same.recommend("ann", 30) == told.recommend("ann", 30)
assert same.ask("bob", forms=["concept"], concepts=["loud"]) == told.ask("bob", forms=["concept"], concepts=["loud"])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    without = Learner.load("mine")  # what needs no encoder goes on; an answer about other words waits
assert without.recommend("bob") == told.recommend("bob") and not dict(without.told)
for refusal in (
    str(caught[-1].message),
    said(lambda: without.with_items(new.with_columns(item_id=pl.lit("n2")))),
    said(lambda: without.ask("ann", forms=["concept"], concepts=["slow blue"])),
):
    assert "'letters', an object that its folder does not hold. Open it with encoders=[...]" in refusal, refusal
assert "is a class" in said(lambda: Learner.fit(data, encoder=Letters))
Letters.revision = "2"
other = said(lambda: Learner.load("mine", encoders=[Letters()]))
assert "'1'" in other and "'2'" in other, other
Letters.revision = "1"
with Recommender.create("kept", data, encoder=Letters()) as recommender:
    recommender.tell(rate("ann", "i1", 5))
    assert recommender.add_items(new) == 1
    recommender.refit()
    assert recommender.learner.model.catalogue.encoder("text") == ("letters", "1")
with Recommender.open("kept") as recommender:
    assert "'letters', an object" in said(recommender.refit)
with Recommender.open("kept", encoders=[Letters()]) as recommender:
    recommender.refit()
    assert "n1" in [one.item_id for one in recommender.recommend("ann", 30)]


class Wide(Letters):
    name = "wide"

    def encode(self, texts):
        return np.zeros((len(texts), 3), dtype=np.float32)


assert "'wide' gives vectors of the shape" in said(lambda: Learner.fit(data, encoder=Wide()))

# a strategy
mine = Strategy("mine", my_strategy, weighs_answerability=False)
level = learner.model.taste.items.level
for strategy in (my_strategy, mine):
    (question,) = learner.ask("ann", strategy=strategy, random_share=0.0)
    assert question.strategy in ("my_strategy", "mine")
    assert learner.ask_about("i1", strategy=strategy)[0].strategy == question.strategy
assert learner.model.catalogue.ids[int(level.argmax())] == question.item_id
few = lambda belief, candidates, *, rng: np.zeros(3)
assert "(3,)" in said(lambda: learner.ask("ann", strategy=few))
nothing = lambda belief, candidates, *, rng: np.full(len(candidates), np.nan)
assert "nan" in said(lambda: learner.ask("ann", strategy=nothing, random_share=0.0))
assert "mine" in said(lambda: learner.ask("ann", strategy=Strategy("mine", 3)))

# a likelihood
plain = Learner.fit(data, encoder="none", likelihood="gaussian")
assert Learner.fit(data, encoder="none", likelihood=Gaussian()).recommend("ann") == plain.recommend("ann")
with Recommender.create("rated", data, encoder="none", likelihood=Gaussian()) as recommender:
    recommender.refit()
with Recommender.open("rated") as recommender:
    recommender.refit()
    assert recommender.recommend("ann") == plain.recommend("ann")
liked = Learner.fit(data, encoder="none", likelihood="probit")
assert all(0 <= one.score <= 1 for one in liked.recommend("ann"))
liked.tell([rate("ann", "i1", 1), rate("ann", "i2", 0)])


class Loud(Gaussian):
    kind = "loud"


assert "loud" in said(lambda: Learner.fit(data, encoder="none", likelihood=Loud()).save("loud"))
print("done")
"""


def run(code: str, folder: Path) -> str:
    """What it prints. A warning is an error."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_interface_as_it_is_meant_to_look(tmp_path: Path) -> None:
    *listed, closed = run(TABLES + USER_CODE + AFTERWARDS, tmp_path).splitlines()
    assert len(listed) == 10
    assert closed == ("OptionError: the recommender on my-model is closed. Open it again with Recommender.open.")


def test_parts_of_ones_own_are_objects(tmp_path: Path) -> None:
    assert run(TABLES + PARTS, tmp_path) == "done\n"
