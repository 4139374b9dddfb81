import csv
import json

import numpy as np
import polars as pl
import pytest

from palate import Recommender
from palate.entities import Answer, AnswerKind
from palate.oracles.source_reliability import GOLD
from tests.cli.folders import kept
from tests.oracles.language_model.recorded_server import Reply, about, completion, honest, prompt, recorded_server

WORDS = {"sports": "the team won the match in the last minute {}", "food": "bake the bread with butter and salt {}"}


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def shop(tmp_path):
    """Sixty texts of two topics, and what they are about."""
    topics = [list(WORDS)[row % 2] for row in range(60)]
    items = pl.DataFrame(
        {
            "item_id": [f"i{row}" for row in range(60)],
            "title": [WORDS[one].format(row) for row, one in enumerate(topics)],
        }
    )
    items.write_csv(tmp_path / "items.csv")
    rows = "\n".join(f"i{row},{one}" for row, one in enumerate(topics))
    written(tmp_path / "people.csv", f"item_id,option\n{rows}\n")
    return tmp_path


CAMPAIGN = """
name = "news"
items = "items.csv"
[worth]
USD = 100.0
s = 0.0
[attribute]
name = "topic"
question = "What is it about?"
options = ["sports", "food"]
budget = {budget}
[attribute.people]
source = "team"
price = 0.05
unit = "USD"
{answers}
"""


def campaign(shop, answers='answers = "people.csv"', budget=10_000):
    return written(shop / "campaign.toml", CAMPAIGN.format(answers=answers, budget=budget))


def labels(shop):
    with (shop / "news-labels" / "labels.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_people_from_a_file_label_some_and_the_machine_the_rest(cli, shop):
    done = cli("label", campaign(shop), "--json")
    assert done.code == 0, done.err
    found = done.json["attribute"]
    assert found["is_shown"]
    assert found["error"] <= 0.1
    assert found["human_share"] < 1.0
    assert found["spent"] == pytest.approx(5.0 * round(found["human_share"] * 60))
    rows = labels(shop)
    assert {row["source"] for row in rows} == {"team", "machine"}
    right = [row["option"] == list(WORDS)[int(row["item_id"][1:]) % 2] for row in rows]
    assert np.mean(right) >= 0.9


def test_a_budget_that_ends_says_that_nothing_is_promised(cli, shop):
    done = cli("label", campaign(shop, budget=110))
    assert done.code == 0, done.err
    assert "the promise is not shown" in done.out
    assert "Spent 110 of 110." in done.out


def knows(body):
    """A model that is right, and quite sure."""
    if "fruit" in prompt(body):  # the question by which it is tried
        return honest(body)
    return Reply(completion(body, "sports" if "match" in about(body) else "food"))


MODEL = """
[attribute.model]
base_url = "{url}"
model = "tiny"
read = 100.0
written = 0.0
"""


def with_model(path, server):
    return written(path, path.read_text() + MODEL.format(url=server.url))


def test_what_a_language_model_says_is_paid_once_and_is_no_label(cli, shop):
    with recorded_server(knows) as server:
        path = with_model(campaign(shop, budget=1_000), server)
        found = cli("label", path, "--json").json["attribute"]
        calls = len(server.bodies)
        paid = (
            100.0 * 100.0 * sum(len(prompt(body)) // 4 for body in server.bodies if "fruit" not in prompt(body)) / 1e6
        )
        again = cli("label", path, "--json").json["attribute"]
        asked_again = [body for body in server.bodies[calls:] if "fruit" not in prompt(body)]
    assert not asked_again
    assert again == found
    assert found["is_shown"]
    assert found["spent_on_model"] == pytest.approx(paid)
    assert found["spent"] == pytest.approx(paid + 5.0 * round(found["human_share"] * 60))
    assert {row["source"] for row in labels(shop)} == {"team", "machine"}


def test_a_language_model_is_paid_no_more_than_the_budget_and_what_is_left_is_for_people(cli, shop):
    with recorded_server(knows) as server:
        done = cli("label", with_model(campaign(shop, budget=30), server), "--json")
    found = done.json["attribute"]
    assert 0.0 < found["spent_on_model"] <= found["spent"] <= 30.0
    assert len(labels(shop)) == 60


def test_answers_of_another_build_are_not_mixed_in(cli, shop):
    path = campaign(shop, budget=1_000)
    with recorded_server(knows) as server:
        cli("label", with_model(path, server))
    rows = (shop / "news-labels" / "model.jsonl").read_text().splitlines()
    written(shop / "news-labels" / "model.jsonl", "\n".join(rows[:30]) + "\n")
    with recorded_server(lambda body: Reply(knows(body).content | {"system_fingerprint": "b2"})) as server:
        written(path, path.read_text().split("[attribute.model]")[0])
        done = cli("label", with_model(path, server))
    assert done.code == 2
    assert "another build or wording" in done.err


def test_at_the_terminal_it_stops_goes_on_and_takes_the_last_back(cli, shop):
    path = campaign(shop, answers="")
    first = cli("label", path, stdin="1\nx\ns\nz\n2\n1\nq\n")
    assert first.code == 0, first.err
    assert "'x' is no answer: a number from 1 to 2" in first.out
    assert "Stopped. Every answer is kept" in first.out
    rows = [json.loads(one) for one in (shop / "news-labels" / "labels.jsonl").read_text().splitlines()]
    given = [row["answer"] for row in rows if "answer" in row]
    assert [one["option"] for one in given] == [0, None, 1, 0]
    assert given[2]["item"] == given[1]["item"]
    second = cli(
        "label",
        path,
        stdin="1\n" * 60,
    )
    assert second.code == 0, second.err
    asked = [
        row["answer"]["item"]
        for row in map(json.loads, (shop / "news-labels" / "labels.jsonl").read_text().splitlines())
        if "answer" in row
    ]
    assert len(set(asked)) == len(asked) - 1  # the one that was corrected


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('options = ["sports", "food"]', "options = []"),
        ('options = ["sports", "food"]', "options = 3"),
        ('items = "items.csv"', ""),
        ('unit = "USD"', 'unit = "EUR"'),
        ("[worth]", "[wurth]"),
        ('answers = "people.csv"', 'answers = "nobody.csv"'),
        ('name = "topic"', 'name = "taste"'),
    ],
)
def test_a_campaign_that_cannot_be_is_refused_in_one_line(cli, shop, text, match):
    path = campaign(shop)
    written(path, path.read_text().replace(text, match))
    done = cli("label", path)
    assert done.code == 2
    assert done.err.startswith("Error: ")
    assert done.err.count("\n") == 1


def test_an_answer_that_is_no_option_is_refused(cli, shop):
    written(shop / "people.csv", "item_id,option\ni1,weather\n")
    done = cli("label", campaign(shop))
    assert done.code == 2
    assert "line 2" in done.err
    assert "'weather' is no option. There are sports, food." in done.err


TASTE = """
name = "films"
model = "model"
[worth]
s = 1.0
[taste]
users = ["ann", "bob"]
budget = {budget}
again = false
[taste.user]
answers = "users.csv"
[taste.annotator]
source = "carl"
price = 0.5
seconds = 0.1
answers = "carl.csv"
"""


def team(model, budget=150):
    """Both users know what they like, and carl knows it as well."""
    folder = model.parent
    items = [f"i{row:02}" for row in range(40)]
    rows = [f"{user},{item},{1 + (int(item[1:]) * 7 + len(user)) % 5}" for user in ("ann", "bob") for item in items]
    text = "\n".join(["user_id,item_id,rating", *rows]) + "\n"
    written(folder / "users.csv", text)
    written(folder / "carl.csv", text)
    return written(folder / "campaign.toml", TASTE.format(budget=budget))


def test_an_annotator_is_asked_for_gold_first_and_then_for_taste(cli, model):
    done = cli("label", team(model), "--json")
    assert done.code == 0, done.err
    found = done.json["taste"]
    assert found["spent"] <= 150
    assert found["reliability"]["carl"]["gold"] >= 20
    answers = [one for one in kept(model) if isinstance(one, Answer)]
    by_carl = [one for one in answers if one.source == "carl"]
    gold = [place for place, one in enumerate(by_carl) if one.question == GOLD]
    assert gold[:20] == list(range(20))
    assert any(one.question != GOLD for one in by_carl)
    assert sum(one.provenance.cost for one in answers) == pytest.approx(found["spent"])
    with Recommender.open(model) as recommender:
        weights = [row.reliability for row in recommender.learner.memory.calibrations if row.source == "carl"]
    assert weights[0] == 0.0
    assert weights[-1] > 0.5


def test_a_taste_campaign_that_is_stopped_goes_on_within_its_budget(cli, model):
    path = team(model, budget=30)
    written(path, path.read_text().replace('answers = "users.csv"', ""))
    first = cli("label", path, "--json", stdin="4\nu\nq\n")
    assert first.json["stopped"]
    second = cli("label", path, "--json", stdin="3\n" * 30)
    assert second.code == 0, second.err
    spent = second.json["taste"]["spent"]
    assert spent <= 30
    own = [one for one in kept(model) if one.source == "person"]
    assert [own[0].value, own[1].kind] == [4.0, AnswerKind.UNKNOWN]
    assert len({(one.user_id, one.item_id) for one in own}) == len(own)
