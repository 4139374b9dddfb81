from __future__ import annotations

import json

import pytest

from palate import Recommender
from palate.entities.item_attributes import AttributeQuestion, ItemAttribute

TOPIC = ItemAttribute("topic", "What is it about?", ("sports", "food"))
DECLARED = [{"name": "topic", "question": TOPIC.question, "options": ["sports", "food"]}]


def test_labels_of_items_are_shown_and_count_after_a_refit(cli, model, tmp_path):
    with Recommender.open(model) as recommender:
        ids = recommender.fitted.catalogue.ids[:4]
        votes = [(item, f"w{n}", row % 2) for row, item in enumerate(ids) for n in range(2 + row)]
        recommender.tell([AttributeQuestion(TOPIC, item).answer(o, source=who) for item, who, o in votes])
    unknown = cli("item", "labels", model, "topic")
    assert (unknown.code, "Give its name, or an ItemAttribute" in unknown.err) == (2, True)
    (tmp_path / "attributes.json").write_text(json.dumps(DECLARED))
    fitted = cli("refit", model, "--item-attributes", tmp_path / "attributes.json", "--json")
    assert (fitted.code, fitted.json["content"]["attribute:topic"]) == (0, "labels")
    assert "attribute:topic by labels" in cli("refit", model).out, "kept for the next refit"
    found = cli("item", "labels", model, "topic", "-k", "3", "--json").json
    assert (found["labelled"], found["calibrated"], found["options"]) == (4, False, ["sports", "food"])
    assert [(one["votes"], one["option"]) for one in found["items"]] == [(5, "food"), (4, "sports"), (3, "food")]
    assert all(0.0 < one["at_least"] < one["probability"] < 1.0 for one in found["items"])
    text = cli("item", "labels", model, "topic").out
    assert text.startswith("topic: 4 of 40 items have labels; not calibrated.\n") and text.count("food") == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read as JSON"),
        ('{"name": "topic"}', "holds no list of attributes"),
        ('[{"name": "topic", "question": "?"}]', "has no 'options'"),
        ('[{"name": "topic", "question": "?", "options": ["a", "b"], "gold": 1}]', "has 'gold', which is unknown"),
        ('[{"name": "taste", "question": "?", "options": ["a", "b"]}]', "has the name 'taste'"),
        ('[{"name": "topic", "question": "?", "options": "ab"}]', "options"),
        ('[{"name": "topic", "question": "?", "options": ["a", "b"], "only": "c", "at_least": 0.9}]', "'c' is unknown"),
    ],
)
def test_a_file_that_declares_no_attributes_is_refused(cli, model, tmp_path, content, said):
    (tmp_path / "attributes.json").write_text(content)
    refused = cli("refit", model, "--item-attributes", tmp_path / "attributes.json")
    assert (refused.code, said in refused.err, refused.err.count("\n")) == (2, True, 1), refused.err
