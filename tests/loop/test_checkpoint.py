"""A learner on disk: what comes back, what the log adds, what is refused."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from palate import Learner
from palate.datasets import Dataset
from palate.entities import Answer, AnswerKind
from palate.errors import AnswerError, ModelFolderError
from palate.loop.checkpoint import open_log
from palate.loop.memory import Memory
from palate.model.model import Model
from palate.posteriors.items import Items, Spread
from palate.posteriors.taste import Taste
from palate.records import Event
from palate.store.model_folder.folder import LoadedFolder, load_folder, save_folder
from tests.worlds import data, learner, without_lists, words

KINDS = ("ratings", "likes", "events", "both")
USERS = ("newcomer", "u007", "u200")


@pytest.fixture(autouse=True)
def _words() -> Iterator[None]:
    with words():
        yield


def rating(item: str, value: float = 1.0, user: str = "newcomer", key: str = "") -> Answer:
    return Answer(user, item, AnswerKind.RATING, value, key=key)


def assert_same(one: Learner, two: Learner) -> None:
    """To the bit, in all that can be seen."""
    assert one.model.user_ids == two.model.user_ids and one.model.catalogue.ids == two.model.catalogue.ids
    assert one.told == two.told
    for user in USERS:
        first, second = one.state(user), two.state(user)
        for name in ("start", "belief", "exposure"):
            assert np.array_equal(getattr(first, name).mean, getattr(second, name).mean), (user, name)
            assert np.array_equal(getattr(first, name).covariance, getattr(second, name).covariance), (user, name)
        assert (first.rated, first.values, first.asked) == (second.rated, second.values, second.asked)
        assert one.recommend(user, k=200) == two.recommend(user, k=200)
        assert one.profile(user) == two.profile(user)
        questions = [of.ask(user, k=5, rng=np.random.default_rng(0)) for of in (one, two)]
        assert questions[0] == questions[1]


def again(of: Learner, folder: Path) -> Learner:
    of.save(folder)
    return Learner.load(folder)


# ---- what comes back ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["events", "both", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("ratings", "likes"))]
)
@pytest.mark.parametrize("encoder", ["words", pytest.param("none", marks=pytest.mark.long)])
def test_a_learner_comes_back_to_the_bit(kind: str, encoder: str, tmp_path: Path) -> None:
    told = learner(kind, encoder).tell(
        [rating("i001"), rating("i050", user="u007"), Answer("newcomer", "i002", AnswerKind.UNKNOWN), rating("i001")]
    )
    told = told.see([Event("newcomer", "i003"), Event("newcomer", "i004", liking=-0.5), Event("u200", "i005")])
    back = again(told, tmp_path / "model")
    assert_same(told, back)
    assert dict(back.memory.seen) == dict(told.memory.seen)
    for name in ("scale", "encoder", "fingerprint"):
        assert getattr(back.model, name) == getattr(told.model, name), name
    assert back.model.taste.likelihood == told.model.taste.likelihood


@pytest.mark.parametrize("kind", [pytest.param(one, marks=() if one == "both" else pytest.mark.long) for one in KINDS])
def test_new_items_come_back_too(kind: str, tmp_path: Path) -> None:
    """With events alone, nobody could have used them: where people start must not move."""
    more = learner(kind).with_items(pl.DataFrame({"item_id": ["new"], "text": ["a jazz album"], "year": [2026]}))
    more = more.tell(rating("new"))
    back = again(more, tmp_path / "model")
    assert_same(more, back)
    assert back.model.catalogue.table["year"].to_list()[-1] == 2026
    assert len(back.with_items(pl.DataFrame({"item_id": ["newer"], "text": ["a cake"]})).model.catalogue) == 122


@pytest.mark.parametrize("form", ["diagonal", "isotropic"])
def test_each_form_of_the_covariances_comes_back(form: Any, tmp_path: Path) -> None:
    items = learner().model.taste.items
    kept = Spread(form, np.abs(np.random.default_rng(0).normal(size=(120, items.dim + 1 if form == "diagonal" else 1))))
    small = Items(items.level, items.factors, kept, items.noise)
    of = Learner(Memory(replace(learner().model, taste=Taste.build(small, learner().model.taste.likelihood))))
    back = again(of, tmp_path / "model")
    assert back.model.taste.items.spread.form == form
    assert_same(of, back)


def test_times_before_1970_and_unknown_ones_come_back(tmp_path: Path) -> None:
    rows = data("both").interactions.with_columns(
        timestamp=pl.when(pl.int_range(pl.len()) % 2 == 0).then(-pl.col("timestamp"))
    )
    of = without_lists(replace(data("both"), interactions=rows), encoder="words", dim=3)
    back = again(of, tmp_path / "model")
    assert of.model.events is not None and back.model.events is not None
    times = of.model.events.timestamps.data
    assert np.isnan(times).any() and (times < 0).any()
    np.testing.assert_array_equal(back.model.events.timestamps.data, times)
    assert_same(of, back)


@pytest.mark.parametrize(
    "rows",
    [[("a", "x", 4.0)], [("a", "x", 4.0), ("b", "x", 2.0)], [("a", "x", 1.0), ("a", "y", 0.0)]],
    ids=["one answer", "one item", "two likes"],
)
def test_IN_10_the_smallest_models_come_back(rows: list[tuple[str, str, float]], tmp_path: Path) -> None:
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "rating"], orient="row")
    of = Learner.fit(Dataset.from_tables(table), encoder="none", dim=3)
    back = again(of, tmp_path / "model")
    for user in ("a", "nobody"):
        assert back.recommend(user, include_seen=True) == of.recommend(user, include_seen=True)


def test_nothing_in_the_folder_can_run(tmp_path: Path) -> None:
    learner("both").tell(rating("i001")).save(tmp_path / "model")
    kinds = {path.suffix for path in (tmp_path / "model").iterdir()}
    assert kinds <= {".json", ".safetensors", ".parquet", ".sqlite", ".sqlite-lock", ".sqlite-head", ".lock"}, kinds


# ---- the log --------------------------------------------------------------------------------------------------------


def test_answers_appended_to_the_log_are_heard(tmp_path: Path) -> None:
    learner().save(tmp_path / "model")
    with open_log(tmp_path / "model") as log:
        log.append([rating("i001", 5.0, key="k1"), rating("i002", 2.0, key="k2")])
    back = Learner.load(tmp_path / "model")
    assert_same(back, learner().tell([rating("i001", 5.0, key="k1"), rating("i002", 2.0, key="k2")]))


def test_an_answer_retracted_in_the_log_is_not_heard(tmp_path: Path) -> None:
    learner().tell([rating("i001", 5.0, key="k1"), rating("i002", 2.0, key="k2")]).save(tmp_path / "model")
    with open_log(tmp_path / "model") as log:
        log.retract("k1")
    back = Learner.load(tmp_path / "model")
    assert_same(back, learner().tell(rating("i002", 2.0, key="k2")))
    assert back.tell(rating("i001", 5.0, key="k1")).told == back.told, "a late repeat brings a retracted answer back"


def test_an_answer_undone_after_a_save_stays_undone(tmp_path: Path) -> None:
    told = again(learner().tell([rating("i001", 5.0, key="k1"), rating("i002", 2.0, key="k2")]), tmp_path / "model")
    undone = told.undo("newcomer", "k1")
    back = again(undone, tmp_path / "model")
    assert_same(back, learner().tell(rating("i002", 2.0, key="k2")))
    back.save(tmp_path / "model")  # to retract it twice would be an error
    assert_same(Learner.load(tmp_path / "model"), back)


def test_saving_twice_keeps_the_labels_once(tmp_path: Path) -> None:
    told = learner().tell([rating("i001", 5.0), rating("i002", 2.0)])
    told.save(tmp_path / "model")
    told.save(tmp_path / "model")
    more = Learner.load(tmp_path / "model").tell(rating("i003", 3.0))
    more.save(tmp_path / "model")
    with open_log(tmp_path / "model") as log:
        assert [label.answer.item_id for label in log.records()] == ["i001", "i002", "i003"]
    assert_same(Learner.load(tmp_path / "model"), more)


def test_a_label_that_the_model_cannot_take_is_passed_over_and_told(tmp_path: Path) -> None:
    learner().tell(rating("i001", 5.0)).save(tmp_path / "model")
    with open_log(tmp_path / "model") as log:
        log.append([rating("later", 5.0), rating("i002", 77.0), rating("i003", 3.0)])
    message = r"^2 of 4 rows of the log of .*model do not fit the model and were passed over; the first: item 'later'"
    with pytest.warns(UserWarning, match=message) as caught:
        back = Learner.load(tmp_path / "model")
    assert caught[0].filename == __file__
    assert [answer.item_id for answer in back.told["newcomer"]] == ["i001", "i003"]
    with open_log(tmp_path / "model") as log:
        assert len(list(log.records())) == 4


def test_a_key_that_another_answer_has_stops_the_save(tmp_path: Path) -> None:
    learner().tell(rating("i001", 5.0, key="k1")).save(tmp_path / "model")
    with pytest.raises(AnswerError, match="the label key 'k1' is taken"):
        learner().tell(rating("i002", 5.0, key="k1")).save(tmp_path / "model")
    assert [answer.item_id for answer in Learner.load(tmp_path / "model").told["newcomer"]] == ["i001"]


def test_without_a_log_there_are_no_answers(tmp_path: Path) -> None:
    learner().tell(rating("i001", 5.0)).save(tmp_path / "model")
    (tmp_path / "model" / "labels.sqlite").unlink()
    assert not Learner.load(tmp_path / "model").told


def test_a_damaged_checkpoint_falls_back_to_the_one_before_and_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    learner("ratings", "none").save(folder)
    more = learner("ratings", "none").with_items(pl.DataFrame({"item_id": ["new"]})).tell(rating("new", 5.0))
    more.save(folder)
    (newest,) = (
        name for name in json.loads((folder / "config.json").read_text())["files"] if name.startswith("taste-")
    )
    (folder / newest).write_bytes((folder / newest).read_bytes()[:-1])
    with pytest.warns(UserWarning, match="do not fit|was loaded instead") as caught:
        back = Learner.load(folder)
    said = [str(warning.message) for warning in caught]
    assert any("generation 1 of previous.json was loaded instead. Save again." in text for text in said), said
    assert any("1 of 1 rows" in text and "item 'new' is not in the model" in text for text in said), said
    assert len(back.model.catalogue) == 120 and len(back.recommend("newcomer", k=200)) == 120


def test_a_whole_checkpoint_is_loaded_without_a_word(tmp_path: Path) -> None:
    learner().save(tmp_path / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Learner.load(tmp_path / "model")


# ---- what is refused ------------------------------------------------------------------------------------------------

Change = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], None]


def set_config(**values: Any) -> Change:
    return lambda config, arrays, tables: config.update(values)


def set_array(name: str, change: Callable[[np.ndarray], np.ndarray], file: str = "taste") -> Change:
    return lambda config, arrays, tables: arrays[file].update({name: change(arrays[file][name])})


def drop_array(name: str, file: str = "taste") -> Change:
    def change(config: dict[str, Any], arrays: dict[str, Any], tables: dict[str, Any]) -> None:
        del arrays[file][name]

    return change


def add_table(name: str, table: pl.DataFrame) -> Change:
    return lambda config, arrays, tables: tables.update({name: table})


def set_table(name: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Change:
    return lambda config, arrays, tables: tables.update({name: change(tables[name])})


LABEL = {"user_id": ["a"], "item": [1], "value": [4.0], "weight": [1.0]}
PROMISE = r"the model folder .*model does not hold what its config promises: {}.*\. Fit its data into it again"
WRONG: list[tuple[str, Change, str]] = [
    ("more items", set_config(items=121), r"the rows of items is 120, config\.json says 121\. Save the model again\."),
    ("a billion items", set_config(items=10**9), r"the rows of items is 120, config\.json says 1000000000\."),
    ("items as text", set_config(items="120"), r"the rows of items is 120, config\.json says 120\."),
    ("a billion users", set_config(users=10**9), r"the rows of users is 300, config\.json says 1000000000\."),
    (
        "a billion dimensions",
        set_config(dim=10**9),
        r"the shape of factors is \(120, \d+\), .* says \(120, 1000000000\)\.",
    ),
    ("another form", set_config(covariance="diagonal"), r"the shape of spread is \(120, \d+\), .* says \(120, \d+\)\."),
    ("an unknown form", set_config(covariance="sparse"), PROMISE.format(r"KeyError\('sparse'\)")),
    ("an unknown likelihood", set_config(likelihood={"kind": "poisson"}), PROMISE.format("OptionError")),
    ("another setting of it", set_config(likelihood={"kind": "gaussian", "df": 3}), PROMISE.format("TypeError")),
    ("no scale", lambda config, arrays, tables: config.pop("scale"), PROMISE.format(r"KeyError\('scale'\)")),
    (
        "fewer factors",
        set_array("factors", lambda a: a[:-1]),
        r"the shape of factors is \(119, \d+\), .* \(120, \d+\)\.",
    ),
    ("fewer levels", set_array("level", lambda a: a[:-1]), r"the shape of level is \(119,\), .* says \(120,\)\."),
    ("fewer shares", set_array("levels", lambda a: a[:-1]), r"the rows of levels is 119, config\.json says 120\."),
    ("noise in columns", set_array("noise", lambda a: a[:, None]), r"the shape of noise is \(120, 1\), .* \(120,\)\."),
    (
        "fewer loadings",
        set_array("loadings", lambda a: a[:-1]),
        r"the rows of loadings is 119, config\.json says 120\.",
    ),
    (
        "a shorter start",
        set_array("start.mean", lambda a: a[:-1]),
        r"the shape of start\.mean is \(\d+,\), .* \(\d+,\)\.",
    ),
    (
        "fewer encodings",
        set_array("content", lambda a: a[:-1]),
        r"the shape of content is \(119, 148\), .* \(120, 148\)\.",
    ),
    (
        "other encodings",
        set_array("content", lambda a: a[:, :9]),
        r"the shape of content is \(120, 9\), .* \(120, 148\)\.",
    ),
    ("no encodings", drop_array("content"), r"the shape of content is None, config\.json says \(120, 148\)\."),
    (
        "another map",
        set_array("prior.coefficients", lambda a: a[:, :2]),
        r"the shape of prior\.coefficients is \(148, 2\)",
    ),
    (
        "other histories",
        set_array("history.centre", lambda a: a[:9]),
        r"the length of history\.centre is 9, .* says 148\.",
    ),
    ("an unknown history", set_config(history="guess"), PROMISE.format(r"KeyError\('guess'\)")),
    ("another history", set_config(history="factors"), r"the length of history\.centre is 148, .* says \d+\."),
    ("no factors", drop_array("factors"), PROMISE.format(r"KeyError\('factors'\)")),
    ("answers to no item", set_array("answers.items", lambda a: a + 120, "answers"), PROMISE.format("ValueError")),
    ("answers of no user", set_array("answers.start", lambda a: a[:-1], "answers"), PROMISE.format("ValueError")),
    ("items without ids", set_table("items", lambda t: t.drop("item_id")), PROMISE.format("ColumnNotFoundError")),
    (
        "labels of no item",
        set_table("labels", lambda t: pl.DataFrame({**LABEL, "item": [120]}, schema=t.schema)),
        r"the range of labels is False, config\.json says True\.",
    ),
    (
        "labels of no weight",
        set_table("labels", lambda t: pl.DataFrame({**LABEL, "weight": [0.0]}, schema=t.schema)),
        r"the range of labels is False",
    ),
    ("labels without users", set_table("labels", lambda t: t.drop("user_id")), r"the types of labels is"),
    (
        "a history of no item",
        add_table("histories", pl.DataFrame({"user_id": ["a"], "liking": [1.0]})),
        PROMISE.format("KeyError"),
    ),
    (
        "a history beyond liking",
        add_table("histories", pl.DataFrame({"user_id": ["a"], "item_id": ["i001"], "liking": [7.0]})),
        PROMISE.format("OptionError"),
    ),
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> LoadedFolder:
    folder = tmp_path_factory.mktemp("good") / "model"
    with words():
        learner().save(folder)
    return load_folder(folder)


@pytest.mark.parametrize(("change", "message"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_MF_02_MF_05_parts_that_disagree_are_refused_with_the_difference(
    change: Change, message: str, saved: LoadedFolder, tmp_path: Path
) -> None:
    good = copy.deepcopy(saved)
    change(good.config, good.arrays, good.tables)
    save_folder(tmp_path / "model", config=good.config, arrays=good.arrays, tables=good.tables)
    with pytest.raises(ModelFolderError, match=f"^{message}") as caught:
        Learner.load(tmp_path / "model")
    assert "\n" not in str(caught.value)


def test_MF_05_a_sick_model_is_not_saved(tmp_path: Path) -> None:
    learner().save(tmp_path / "model")
    items = learner().model.taste.items
    for bad in (np.nan, 1e31):
        factors = items.factors.copy()
        factors[3, 1] = bad
        sick: Model = replace(
            learner().model,
            taste=replace(learner().model.taste, items=Items(items.level, factors, items.spread, items.noise)),
        )
        with pytest.raises(ModelFolderError, match="factors"):
            Learner(Memory(sick)).save(tmp_path / "model")
    assert_same(Learner.load(tmp_path / "model"), learner())


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"is not a model folder: it has no config\.json"):
        Learner.load(tmp_path)
    with pytest.raises(ModelFolderError, match="cannot be read"):
        Learner.load(tmp_path / "nowhere")


def test_the_seed_of_a_learner_comes_back(tmp_path: Path) -> None:
    replace(learner(), seed=7).save(tmp_path / "model")
    assert Learner.load(tmp_path / "model").seed == 7
