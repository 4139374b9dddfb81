"""The desk: puts questions as tasks, takes annotations as answers, and withdraws tasks that nobody has done.

What this relies on was tried on Label Studio 1.23.2. It sends webhooks once and forgets, so they are hints to take
soon, and an export is the truth.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from palate.entities import Form, Question
from palate.entities.item_attributes import AttributeQuestion, ItemAttribute
from palate.errors import OptionError
from palate.errors.checks import check_text, count, instance, normalise_id, several, shown
from palate.oracles.label_studio.calls import Server
from palate.oracles.label_studio.journal import Journal, Row, Voice
from palate.oracles.label_studio.questions import Choices, NoAnswer, kept, newest, said_at
from palate.oracles.label_studio.tasks import Task, Tasks
from palate.oracles.protocol import Asked, Cursor, Taken, Terms, Ticket, question_key

ACTIONS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED")  # of which a webhook tells


class LabelStudio:
    """A project of Label Studio that asks about one attribute, or how items are liked. A desk.

    Args:
        server: Where it is.
        folder: Where it is kept what was put and taken; back it up with the log. One desk a folder.
        asks: An attribute, or the levels of the scale on which items are rated, such as ``(1, 2, 3, 4, 5)``.
        name: Of the desk; answers come from the source ``NAME:ID OF THE ANNOTATOR``.
        people: That each question is to be answered by.
        title: Of the project, which the first put makes.
        dont_know: The choice of who does not know it.
        terms: What annotators ask for; about what is asked here, to be rated, if None.
    Attributes:
        left_out: What the last take found that is no answer, and why.
    """

    def __init__(
        self,
        server: Server,
        folder: str | Path,
        asks: ItemAttribute | Iterable[float],
        *,
        name: str = "label-studio",
        people: int = 1,
        title: str = "Palate",
        dont_know: str = "Don't know",
        terms: Terms | None = None,
    ) -> None:
        self._server = instance(server, Server, "server", "a palate.oracles.label_studio.Server")
        self._choices = Choices.of(asks, dont_know)
        self._people = count(people, "people", least=1)
        self._title = title
        check_text(title, "title")
        self.name = normalise_id(name, "name")
        of_ours = Terms(subjects=frozenset({self._choices.subject}))
        self.terms = of_ours if terms is None else instance(terms, Terms, "terms", "palate.oracles.protocol.Terms")
        self.left_out: tuple[str, ...] = ()
        self._journal = Journal(folder)

    @classmethod
    def reopen(cls, folder: str | Path, token: str) -> Self:
        """The desk that has this folder, to go on with.

        Raises:
            OptionError: If nothing was ever put there.
        """
        journal = Journal(folder)
        if journal.path.is_file():
            with journal.held():
                facts = journal.facts
        if not journal.facts:
            raise OptionError(f"{journal.folder} is no desk: nothing was put there. Put questions first.")
        asks = facts["levels"] or ItemAttribute(facts["subject"], facts["question"], tuple(facts["options"]))
        more = {name: facts[name] for name in ("name", "people", "dont_know")}
        return cls(Server(facts["server"], token), folder, asks, **more)

    def close(self) -> None:
        """Let the connections to its server go."""
        self._server.close()

    def put(self, questions: Sequence[Asked]) -> tuple[Ticket, ...]:
        """Lay questions there, the first to be answered first, before those that lie there already.

        A call that fails may have put some: the same again puts the others.

        Raises:
            OptionError: If one is about something else.
            OracleError: If the server cannot be reached, or refuses.
        """
        given = [(self._key(asked), asked) for asked in several(questions, "questions", "[question]")]
        wanted = dict(given)
        if not wanted:
            return ()
        with self._journal.held():
            tasks = self._tasks(make=True)
            there = tasks.each_once()
            new = {key: asked for key, asked in wanted.items() if key not in there}
            rows = ({"what": "put", "key": key, **kept(asked)} for key, asked in new.items())
            self._journal.add(*rows)  # before they are put: an answer must find its question, whatever happens now
            tasks.rank(self._choices, new, list(wanted), there, self._people)
            return tuple(Ticket(key, str(self._journal.tasks[key])) for key, _ in given)

    def take(self, since: Cursor = "") -> tuple[tuple[Taken, ...], Cursor]:
        """What is new, changed or taken back since then; and how far that is.

        Of what somebody says twice to one question the last counts. What is deleted there is taken back.

        Raises:
            OptionError: If the cursor is none of this desk's.
            OracleError: If the server cannot be reached, or refuses.
        """
        with self._journal.held():
            after = self._place_of(since)
            tasks = self._tasks(make=False)
            if tasks.project:
                self._journal.add(*self._changes(self._voices(tasks.exported(untouched=False))))
            rows = self._journal.taken
            return tuple(map(self._taken, rows[after:])), str(len(rows))

    def withdraw(self, tickets: Sequence[Ticket]) -> None:
        """Take questions away that nobody has answered; those that were answered stay.

        Raises:
            OptionError: If a question was never put here.
            OracleError: If the server cannot be reached, or refuses.
        """
        given = (instance(one, Ticket, "a ticket", "tickets that put gave") for one in several(tickets, "tickets"))
        keys = {ticket.question for ticket in given}
        with self._journal.held():
            strange = sorted(keys - self._journal.questions.keys())
            if strange:
                raise OptionError(f"the question {shown(strange[0])} was never put here. Give tickets of this desk.")
            if not keys:
                return
            tasks = self._tasks(make=False)
            for task in tasks.exported():
                if task.key in keys and task.is_untouched:
                    tasks.delete(task.id)

    def listen(self, url: str, key: str) -> None:
        """Have the server tell an address of each annotation: a hint that something is to be taken.

        Args:
            url: Where a Palate service listens: ``.../label-studio/webhook``.
            key: Of that service, sent along as it expects it.
        Raises:
            OracleError: If the server cannot be reached, or refuses: addresses of its own network it does, unless it
                was started with ``SSRF_PROTECTION_ENABLED=false``.
        """
        with self._journal.held():
            project = self._project(make=True)
        wanted = {
            "url": url,
            "project": project,
            "send_payload": False,
            "send_for_all_actions": False,
            "actions": list(ACTIONS),
            "headers": {"Authorization": f"Bearer {key}"},
        }
        there = self._server.call("GET", "/api/webhooks/", query={"project": project})
        same = [hook["id"] for hook in there if hook.get("url") == url] if isinstance(there, list) else []
        if same:
            self._server.call("PATCH", f"/api/webhooks/{same[0]}/", body=wanted)
        else:
            self._server.call("POST", "/api/webhooks/", body=wanted)

    # ---- put

    def _key(self, asked: Asked) -> str:
        ours = self._choices.attribute
        if isinstance(asked, AttributeQuestion):
            of = asked.attribute
            is_ours = ours is not None and (of.name, of.options) == (ours.name, ours.options)
        else:
            is_ours = ours is None and isinstance(asked, Question) and asked.form is Form.RATE
        if not is_ours or not self.terms.takes(asked):
            what = "how items are liked, to be rated" if ours is None else self._choices.subject
            raise OptionError(f"{shown(asked)} is not asked here. Give questions about {what}.")
        return question_key(asked)

    def _project(self, *, make: bool) -> int:
        """The project's id; 0 if there is none yet and it is not to be made.

        Raises:
            OptionError: If the folder is that of a desk that asks something else, or elsewhere.
        """
        own, facts = self._facts(), self._journal.facts
        for what, value in own.items():
            if facts and facts[what] != value:
                was = shown(facts[what])
                raise OptionError(f"{self._journal.folder} is of a desk with the {what} {was}. Give another folder.")
        if facts or not make:
            return int(facts.get("id", 0))
        body = {
            "title": self._title,
            "label_config": self._choices.label_config,
            "sampling": "Uncertainty sampling",  # by score, the smallest first
            "maximum_annotations": self._people,
            "show_collab_predictions": False,  # a prediction is a place in the queue here, and no guess
        }
        made = self._server.call("POST", "/api/projects/", body=body)
        self._journal.add({"what": "project", "id": int(made["id"]), **own})
        return int(made["id"])

    def _tasks(self, *, make: bool) -> Tasks:
        return Tasks(self._server, self._journal, self._project(make=make))

    def _facts(self) -> Row:
        """What the folder is of, by which it can be opened again."""
        asks, of = self._choices, self._choices.attribute
        return {
            "server": self._server.url,
            "name": self.name,
            "people": self._people,
            "subject": asks.subject,
            "question": "" if of is None else of.question,
            "options": list(asks.options),
            "levels": list(asks.values) if of is None else None,
            "dont_know": asks.dont_know,
        }

    # ---- take

    def _voices(self, tasks: Iterable[Task]) -> dict[Voice, Row]:
        """What each person says to each question now: the last that is an answer."""
        found: dict[Voice, Row] = {}
        left_out = []
        of_question: dict[str, list[Mapping[str, Any]]] = {}
        for task in tasks:
            of_question.setdefault(task.key, []).extend(task.annotations)
        for key, made in of_question.items():
            for one in newest(made):
                try:
                    said = self._choices.said(one)
                except NoAnswer as reason:
                    left_out.append(f"annotation {one['id']} {reason}")
                    continue
                found[key, _who(one)] = {
                    "what": "taken",
                    "question": key,
                    "asked": self._journal.questions[key],  # as it was then: it may be put again, by another strategy
                    "who": _who(one),
                    "said": said,
                    "annotation": one["id"],
                    "at": said_at(one),
                }
        self.left_out = tuple(left_out)
        return found

    def _changes(self, now: Mapping[Voice, Row]) -> list[Row]:
        """Lines of the journal for what is not in it yet, in the order in which it was said; what is gone, last."""
        before = self._journal.voices
        rows = []
        for voice, row in sorted(now.items(), key=lambda one: (one[1]["at"] or 0.0, one[1]["annotation"])):
            last = before.get(voice, {"key": "", "said": None})
            if last["key"] and last["said"] == row["said"]:
                continue
            rows.append(row | {"key": self._answer_key(voice, row["said"]), "replaces": last["key"]})
        gone = [(voice, last) for voice, last in before.items() if last["key"] and voice not in now]
        rows += [{**last, "key": "", "said": None, "replaces": last["key"]} for _, last in gone]
        return rows

    def _answer_key(self, voice: Voice, said: object) -> str:
        """The same for the same words, so that a journal that was lost doubles nothing; another the next time."""
        text = json.dumps([self.name, *voice, said, self._journal.times_said(voice, said)])
        return f"{self.name[:64]}:{hashlib.sha256(text.encode()).hexdigest()[:32]}"

    def _taken(self, row: Row) -> Taken:
        ticket = Ticket(row["question"], str(self._journal.tasks.get(row["question"], "")))
        if not row["key"]:
            return Taken(ticket, None, row["replaces"])
        source = f"{self.name}:{row['who']}"
        answer = self._choices.answer(row["asked"], row["said"], source, row["key"], row["at"])
        return Taken(ticket, answer, row["replaces"])

    def _place_of(self, cursor: Cursor) -> int:
        if cursor == "":
            return 0
        place = int(cursor) if isinstance(cursor, str) and cursor.isascii() and cursor.isdigit() else -1
        if not 0 <= place <= len(self._journal.taken):
            raise OptionError(f"the cursor {shown(cursor)} is none of this desk's. Give one that take gave, or none.")
        return place


def _who(annotation: Mapping[str, Any]) -> str:
    """The id of whoever made it: no address, which the log is not to hold."""
    by = annotation.get("completed_by")
    found = by.get("id") if isinstance(by, Mapping) else by
    return "nobody" if found is None else str(found)
