"""The desk on a Label Studio made for tests: the contract, and what of the server would lose or double an answer."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from palate.entities import AnswerKind, Question
from palate.entities.item_attributes import AttributeQuestion, ItemAttribute
from palate.errors import OptionError, OracleError, PalateError
from palate.oracles.label_studio import LabelStudio, Server
from palate.oracles.protocol import question_key
from palate.testing.desks import TOPIC
from tests.oracles.label_studio.fake_server import PERSONAL, TOKENS, FakeLabelStudio, running
from tests.oracles.label_studio.members import LabelStudioDesks, Members, choice


@pytest.fixture
def fake() -> FakeLabelStudio:
    return FakeLabelStudio()


@pytest.fixture
def members(fake: FakeLabelStudio) -> Iterator[Members]:
    with running(fake) as url:
        found = Members(url, TOKENS)
        yield found
        found.close()


class TestLabelStudio(LabelStudioDesks):
    @pytest.fixture(autouse=True)
    def _server(self, members: Members, tmp_path: Path) -> None:
        self.members, self.folder = members, tmp_path


def questions(n: int, first: int = 0) -> list[AttributeQuestion]:
    return [
        AttributeQuestion(TOPIC, f"i{number}", strategy="information", propensity=0.5, value=1.0 / (1 + number))
        for number in range(first, first + n)
    ]


def items(fake: FakeLabelStudio, project: int) -> list[str]:
    return [fake.tasks[task]["data"]["palate"]["item_id"] for task in fake.queue(project)]


# ---- tokens


def test_access_that_has_ended_is_had_anew(fake: FakeLabelStudio, members: Members, tmp_path: Path) -> None:
    desk = members.desk(tmp_path / "desk", token=PERSONAL)
    desk.put(questions(2))
    fake.access.clear()  # five minutes later
    assert desk.take() == ((), "0")
    assert fake.calls.count(("POST", "/api/token/refresh")) == 2


@pytest.mark.parametrize("token", ["f" * 40, "wrong.personal.token"])
def test_a_wrong_token_is_told_and_never_shown(members: Members, tmp_path: Path, token: str) -> None:
    desk = members.desk(tmp_path / "desk", token=token)
    with pytest.raises(OracleError, match="answered 401") as error:
        desk.put(questions(1))
    assert token not in str(error.value)
    assert token not in repr(members.open_desks[0])
    shown = [error.value.__cause__, error.value.__context__]
    assert token not in repr(shown)


def test_no_token_is_in_what_any_library_logs(
    fake: FakeLabelStudio, members: Members, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for token in (PERSONAL, TOKENS["owner"]):
            members.desk(tmp_path / token[:3], token=token).put(questions(1))
    assert caplog.text
    assert not [secret for secret in (PERSONAL, TOKENS["owner"], *fake.access) if secret in caplog.text]


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("ftp://x", "t"),
        ("http://", "t"),
        ("http://user:secret@host", "t"),
        ("http://host:port", "t"),
        (None, "t"),
        ("http://host", ""),
        ("http://host", "a b"),
        ("http://host", "a\nb"),
        ("http://host", None),
    ],
)
def test_an_address_or_a_token_that_is_none_is_refused(url: str, token: str) -> None:
    with pytest.raises(OptionError) as error:
        Server(url, token)
    assert "secret" not in str(error.value)


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    server = Server("http://127.0.0.1:9", "t")
    with pytest.raises(OracleError, match=r"could not be reached \(ConnectError\)"):
        LabelStudio(server, tmp_path, TOPIC).put(questions(1))
    server.close()


# ---- put


def test_tasks_are_given_out_in_the_order_of_the_last_put(
    fake: FakeLabelStudio, members: Members, tmp_path: Path
) -> None:
    desk = members.desk(tmp_path / "desk")
    desk.put(questions(3))
    (project,) = fake.projects
    assert items(fake, project) == ["i0", "i1", "i2"]
    tickets = desk.put([*questions(2, first=3), questions(3)[2]])
    assert items(fake, project) == ["i3", "i4", "i2", "i0", "i1"], "open tasks keep their places behind the new ones"
    members.say("ann", tickets[0].place, 0)
    desk.put(questions(1, first=9))
    assert items(fake, project) == ["i9", "i0", "i1", "i2", "i4"]
    version = fake.projects[project]["model_version"]
    counts = [one for task in fake.tasks.values() for one in task["predictions"] if one["model_version"] == version]
    assert sorted(one["score"] for one in counts) == [0.0, 0.2, 0.4, 0.6, 0.8], "rank / N"
    made = sum(len(task["predictions"]) for task in fake.tasks.values())
    desk.put(questions(1, first=9))
    assert sum(len(task["predictions"]) for task in fake.tasks.values()) == made, "a queue that is as it was"
    fake.projects[project]["model_version"] = "of somebody else"
    desk.put(questions(1, first=9))
    assert items(fake, project) == ["i9", "i0", "i1", "i2", "i4"]


def test_what_is_answered_already_is_put_without_a_word(members: Members, tmp_path: Path) -> None:
    desk = members.desk(tmp_path / "desk")
    tickets = desk.put(questions(1))
    members.say("ann", tickets[0].place, 0)
    assert desk.put(questions(1)) == tickets
    assert len(desk.take()[0]) == 1


def test_a_put_that_dies_anywhere_is_put_whole_by_the_next(
    fake: FakeLabelStudio, members: Members, tmp_path: Path
) -> None:
    """After each of its calls the server does what it was asked, and the connection breaks before it answers."""
    members.desk(tmp_path / "0").put(questions(3))
    whole = len(fake.calls)
    for dies_after in range(whole):
        asked = [AttributeQuestion(TOPIC, f"{dies_after} {n}", strategy="s", propensity=0.25) for n in range(3)]
        folder = tmp_path / f"dies after {dies_after}"
        fake.dies_after = dies_after
        with pytest.raises(OracleError, match="could not be reached"):
            members.desk(folder).put(asked)
        fake.dies_after = None
        early = [task["id"] for task in fake.tasks.values() if task["data"]["palate"]["key"] == question_key(asked[0])]
        for task in early:  # somebody answers before it is put again
            members.say("ann", str(task), 1)
        desk = members.desk(folder)
        tickets = desk.put(asked)
        keys = [task["data"]["palate"]["key"] for task in fake.tasks.values()]
        assert [keys.count(question_key(one)) for one in asked] == [1, 1, 1], (
            f"doubled or lost after {dies_after} calls"
        )
        taken, _ = desk.take()
        assert [one.ticket for one in taken] == [tickets[0]] * len(early)
        assert all(one.answer is not None and one.answer.propensity == 0.25 for one in taken)


def test_answers_to_what_was_imported_before_a_put_died_are_taken_without_another_put(
    fake: FakeLabelStudio, members: Members, tmp_path: Path
) -> None:
    members.desk(tmp_path / "0").put(questions(1))
    fake.dies_after = [path for _, path in fake.calls].index("/api/projects/1/import")
    with pytest.raises(OracleError):
        members.desk(tmp_path / "desk").put(questions(2))
    fake.dies_after = None
    members.say("ann", str(max(fake.tasks)), 2)
    ((found,), _) = members.desk(tmp_path / "desk").take()
    assert found.answer is not None and (found.answer.item_id, found.answer.value) == ("i1", 2.0)


def test_a_task_that_was_imported_twice_is_one_question(
    fake: FakeLabelStudio, members: Members, tmp_path: Path
) -> None:
    desk = members.desk(tmp_path / "desk")
    (ticket,) = desk.put(questions(1))
    (project,) = fake.projects
    data = fake.tasks[int(ticket.place)]["data"]
    for _ in range(2):
        members.call("owner", "POST", f"/api/projects/{project}/import", [{"data": data}])
    _, first, second = fake.tasks
    members.say("ann", str(first), 0)
    members.say("ann", str(second), 1)
    taken, _ = desk.take()
    assert [(one.answer and one.answer.value) for one in taken] == [1.0], "one person, one question: the last counts"
    desk.put(questions(1))
    assert list(fake.tasks) == [first, second], "the copy that nobody did is away"


# ---- take


def test_what_is_no_answer_is_told(members: Members, tmp_path: Path) -> None:
    desk = members.desk(tmp_path / "desk")
    (ticket,) = desk.put(questions(1))
    members.call("ann", "POST", f"/api/tasks/{ticket.place}/annotations/", {"result": choice("no such topic")})
    desk.take()
    (said,) = desk.left_out
    assert said.endswith("chooses 'no such topic', which is none of the options")


def test_an_answer_that_is_changed_to_nonsense_is_taken_back(members: Members, tmp_path: Path) -> None:
    desk = members.desk(tmp_path / "desk")
    (ticket,) = desk.put(questions(1))
    members.say("ann", ticket.place, 0)
    ((first,), cursor) = desk.take()
    mine = members.mine("ann", ticket.place)
    assert mine is not None and first.answer is not None
    members.call("ann", "PATCH", f"/api/annotations/{mine['id']}/", {"result": choice("x")})
    ((gone,), _) = desk.take(cursor)
    assert (gone.answer, gone.replaces) == (None, first.answer.key)


def test_the_second_annotation_of_one_person_is_a_correction(members: Members, tmp_path: Path) -> None:
    desk = members.desk(tmp_path / "desk")
    (ticket,) = desk.put(questions(1))
    members.say("ann", ticket.place, 0)
    ((first,), cursor) = desk.take()
    members.call("ann", "POST", f"/api/tasks/{ticket.place}/annotations/", {"result": choice("travel")})
    ((second,), cursor) = desk.take(cursor)
    assert first.answer is not None and second.answer is not None
    assert (second.replaces, second.answer.value) == (first.answer.key, 2.0)
    last = members.annotations(ticket.place)[-1]
    members.call("ann", "DELETE", f"/api/annotations/{last['id']}/")
    ((third,), _) = desk.take(cursor)
    assert third.answer is not None and (third.replaces, third.answer.value) == (second.answer.key, 0.0)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>a page</html>"),
        (200, b'{"detail": "come back later"}'),
        (200, b'[{"id": 1}]'),
        (200, b"null"),
        (502, b"bad gateway"),
        (302, b""),
    ],
)
def test_a_list_that_is_none_takes_nothing_back(
    fake: FakeLabelStudio, members: Members, tmp_path: Path, status: int, body: bytes
) -> None:
    desk = members.desk(tmp_path / "desk")
    (ticket,) = desk.put(questions(1))
    members.say("ann", ticket.place, 0)
    taken, cursor = desk.take()
    (project,) = fake.projects
    fake.replies[f"/api/projects/{project}/export"] = status, body
    with pytest.raises(OracleError):
        desk.take(cursor)
    fake.replies.clear()
    assert desk.take("") == (taken, cursor)


def test_how_items_are_liked_is_an_answer_of_the_user_by_the_annotator(members: Members, tmp_path: Path) -> None:
    asked = [
        Question("zoe", f"i{n}", "epig", 0.75, 0.5, 0.25, titles=(f"Film {n}",), text=f"How is {n}?") for n in (1, 2)
    ]
    desk = members.desk(tmp_path / "desk", [0.5, 1, 1.5, 2])
    rated, unknown = desk.put(asked)
    task = members.call("owner", "GET", f"/api/tasks/{rated.place}/")
    assert task["data"]["title"] == "Film 1" and task["data"]["question"] == "How is 1?"
    for ticket, word in ((rated, "1.5"), (unknown, "Don't know")):
        members.call("ann", "POST", f"/api/tasks/{ticket.place}/annotations/", {"result": choice(word)})
    taken, _ = desk.take()
    first, second = (one.answer for one in taken)
    assert first is not None and second is not None
    about = (first.user_id, first.item_id, first.value, first.source, first.question, first.propensity)
    assert about == ("zoe", "i1", 1.5, f"label-studio:{members.id_of('ann')}", "epig", 0.25)
    came = first.provenance
    assert (came.channel, came.question_id, came.score) == ("label-studio", question_key(asked[0]), 0.75)
    assert second.kind is AnswerKind.UNKNOWN


def test_options_of_any_letters_come_back(fake: FakeLabelStudio, members: Members, tmp_path: Path) -> None:
    odd = ItemAttribute("odd", 'Is "it" <b>?', ("<a> & 'b'", '"quoted"', "日本", "$title", "Don't  know"))
    desk = members.desk(tmp_path / "desk", odd)
    tickets = desk.put([AttributeQuestion(odd, f"i{n}") for n in range(5)])
    for ticket, word in zip(tickets, odd.options, strict=True):
        members.call("ann", "POST", f"/api/tasks/{ticket.place}/annotations/", {"result": choice(word)})
    assert [one.answer and one.answer.value for one in desk.take()[0]] == [0.0, 1.0, 2.0, 3.0, 4.0]


# ---- the folder


def test_half_a_line_is_of_a_process_that_was_killed(members: Members, tmp_path: Path) -> None:
    desk = members.desk(tmp_path / "desk")
    (ticket,) = desk.put(questions(1))
    members.say("ann", ticket.place, 0)
    before = desk.take()
    journal = tmp_path / "desk" / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"what": "taken", "quest')
    again = members.desk(tmp_path / "desk")
    assert again.take() == before
    again.put(questions(2))
    assert all(json.loads(line) for line in journal.read_text().splitlines())


@pytest.mark.parametrize("line", [b"{}\n", b"[]\n", b'{"what": "who knows"}\n', b"\xff\n", b'{"what": "taken"}\n'])
def test_a_line_that_is_none_of_ours_is_told(members: Members, tmp_path: Path, line: bytes) -> None:
    members.desk(tmp_path / "desk").put(questions(1))
    with (tmp_path / "desk" / "journal.jsonl").open("ab") as stream:
        stream.write(line)
    with pytest.raises(OracleError, match="is none of ours"):
        members.desk(tmp_path / "desk").take()


def test_a_folder_that_was_lost_doubles_nothing(members: Members, tmp_path: Path) -> None:
    desk = members.desk(tmp_path / "desk")
    (ticket,) = desk.put(questions(1))
    members.say("ann", ticket.place, 0)
    first = desk.take()[0][0].answer
    project = json.loads((tmp_path / "desk" / "journal.jsonl").read_text().splitlines()[0])
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "journal.jsonl").write_text(json.dumps(project) + "\n")
    again = members.desk(tmp_path / "new")
    again.put(questions(1))
    assert first is not None and [one.answer and one.answer.key for one in again.take()[0]] == [first.key]


def test_one_folder_is_one_desk(members: Members, tmp_path: Path) -> None:
    members.desk(tmp_path / "desk").put(questions(1))
    other = ItemAttribute("topic", "What is it about?", ("sports", "food"))
    with pytest.raises(OptionError, match="is of a desk with the options"):
        members.desk(tmp_path / "desk", other).put([AttributeQuestion(other, "i1")])


@pytest.mark.parametrize(
    ("asks", "options"),
    [([1], {}), ([1, 1], {}), (range(30), {}), ("12", {}), ([1, 2], {"dont_know": "1"}), ([1, 2], {"dont_know": " "})],
)
def test_what_cannot_be_asked_is_refused(members: Members, tmp_path: Path, asks: object, options: object) -> None:
    with pytest.raises(PalateError):
        members.desk(tmp_path / "desk", asks, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "call",
    [
        lambda desk: desk.put(None),
        lambda desk: desk.put("i1"),
        lambda desk: desk.put([3]),
        lambda desk: desk.put([Question("ann", "i1", "s", 0.0, 1.0, 1.0)]),
        lambda desk: desk.take(3),
        lambda desk: desk.take(None),
        lambda desk: desk.withdraw(3),
        lambda desk: desk.withdraw(["ticket"]),
    ],
)
def test_what_is_no_question_cursor_or_ticket_is_refused_and_changes_nothing(
    fake: FakeLabelStudio, members: Members, tmp_path: Path, call: Callable[[LabelStudio], object]
) -> None:
    desk = members.desk(tmp_path / "desk")
    with pytest.raises(OptionError):
        call(desk)
    assert fake.calls == []


# ---- hints


def test_an_address_listens_once_with_its_key(fake: FakeLabelStudio, members: Members, tmp_path: Path) -> None:
    desk = members.desk(tmp_path / "desk")
    with pytest.raises(OracleError, match=r"answered 403 .*reserved network address"):
        desk.listen("http://127.0.0.1:8000/label-studio/webhook", "key")
    fake.allows_local = True
    for key in ("key", "another"):
        desk.listen("http://127.0.0.1:8000/label-studio/webhook", key)
    (hook,) = fake.webhooks
    assert hook["headers"] == {"Authorization": "Bearer another"}
    assert hook["send_payload"] is False, "what was labelled is not sent around"
