from palate.entities import AnswerKind, Question
from palate.oracles import Simulated


def question(item: str) -> Question:
    return Question("ann", item, "epig", value=0.2, answerable=0.5, propensity=0.25)


def test_answers_with_the_rating_it_has_and_says_so_where_it_has_none():
    answers = Simulated({"ann": {"a": 4.0}}).answer([question("b"), question("a")])
    assert [(answer.item_id, answer.kind, answer.value) for answer in answers] == [
        ("b", AnswerKind.UNKNOWN, None),
        ("a", AnswerKind.RATING, 4.0),
    ]
    assert {answer.source for answer in answers} == {"simulated"}
    assert {(answer.propensity, answer.question) for answer in answers} == {(0.25, "epig")}


def test_a_user_without_ratings_knows_nothing():
    (answer,) = Simulated({}).answer([question("a")])
    assert answer.kind is AnswerKind.UNKNOWN
