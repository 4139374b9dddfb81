"""The tasks of a project: which are there, new ones, and the queue in which they are given out.

Label Studio takes the same task twice without a word, so a put first reads which are there. It gives tasks out by the
score of their prediction, the smallest first, and of predictions only those of the project's one model version count:
so each put gives every open task a new prediction, whose score is its rank, and then names the version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from palate.errors import OracleError
from palate.oracles.label_studio.calls import Server
from palate.oracles.label_studio.journal import Journal, Row
from palate.oracles.label_studio.questions import EXTRA, Choices
from palate.oracles.protocol import Asked

AT_ONCE = 1_000  # tasks or predictions of a call
VERSION = "palate-"


class Task(NamedTuple):
    """A task of ours, as the server has it now."""

    id: int
    key: str
    annotations: Sequence[Mapping[str, Any]]

    @property
    def is_untouched(self) -> bool:
        return not self.annotations


class Tasks:
    """Those of a project whose questions are in a journal.

    Args:
        journal: Held by this process.
        project: Its id; 0: there is none yet.
    """

    def __init__(self, server: Server, journal: Journal, project: int) -> None:
        self._server, self._journal, self.project = server, journal, project

    def exported(self, *, untouched: bool = True) -> list[Task]:
        """All of them, by id.

        Args:
            untouched: Whether those without annotations are among them.
        Raises:
            OracleError: If what the server gives is no whole list: what is missing from one would be taken back.
        """
        query = {"exportType": "JSON", "download_all_tasks": "true" if untouched else "false"}
        found = self._call("GET", "export", query=query)
        keys = {task: key for key, task in self._journal.tasks.items()}
        tasks = []
        try:
            for one in found:
                key = keys.get(one["id"]) or str(one["data"].get(EXTRA, {}).get("key", ""))
                if key in self._journal.questions:
                    annotations = [{**made, "id": int(made["id"])} for made in one["annotations"]]
                    tasks.append(Task(int(one["id"]), key, annotations))
        except (TypeError, KeyError, AttributeError, ValueError):
            what = f"the export of project {self.project} is no list of tasks"
            raise OracleError(f"{what}. Check that {self._server.url} is Label Studio.") from None
        return sorted(tasks, key=lambda task: task.id)

    def each_once(self) -> dict[str, list[Task]]:
        """Tasks by their question. Of several of one, after calls that were not answered, the untouched are deleted."""
        there: dict[str, list[Task]] = {}
        for task in self.exported():
            there.setdefault(task.key, []).append(task)
        for key, tasks in there.items():
            first, *again = sorted(tasks, key=lambda task: (task.is_untouched, task.id))
            for task in again:
                if task.is_untouched:
                    self.delete(task.id)
            there[key] = [first, *(task for task in again if not task.is_untouched)]
        return there

    def delete(self, task: int) -> None:
        """One that was untouched a moment ago, unless somebody has done it since."""
        now = self._server.call("GET", f"/api/tasks/{task}/")
        if isinstance(now, dict) and not now.get("annotations"):
            self._server.call("DELETE", f"/api/tasks/{task}/")

    def rank(
        self,
        choices: Choices,
        new: Mapping[str, Asked],
        wanted: list[str],
        there: Mapping[str, list[Task]],
        people: int,
    ) -> None:
        """Import new tasks, and give every open one its place in the queue.

        Args:
            new: Questions without a task.
            wanted: All that were put, the first to be answered first; other open ones follow, as they were put.
            there: Tasks that are there, by question; those that a put was interrupted before it kept are among them.
            people: That are to answer each.
        """
        found = {key: tasks[0].id for key, tasks in there.items()}
        self._journal.add(*_placed({key: id for key, id in found.items() if self._journal.tasks.get(key) != id}))
        first = dict.fromkeys(wanted)
        others = [key for key in self._journal.questions if key in there and key not in first]
        queue = [key for key in (*first, *others) if key in new or _answers(there[key]) < people]
        digest = hashlib.sha256(json.dumps(queue).encode()).hexdigest()
        if not queue or (not new and self._is_ranked(digest)):
            return
        version = f"{VERSION}{self._journal.lines + 1}"  # of which there is no prediction yet
        self._journal.add({"what": "version", "version": version})
        ranks = {key: place / len(queue) for place, key in enumerate(queue)}

        def prediction(key: str) -> dict[str, Any]:
            return {"model_version": version, "score": ranks[key], "result": []}

        for keys in _parts([key for key in queue if key not in new]):
            self._call("POST", "import/predictions", body=[{"task": found[key], **prediction(key)} for key in keys])
        for keys in _parts(list(new)):
            tasks = [{"data": choices.task(new[key], key), "predictions": [prediction(key)]} for key in keys]
            made = self._call("POST", "import", query={"return_task_ids": "true"}, body=tasks)
            ids = made.get("task_ids") if isinstance(made, dict) else None
            if not isinstance(ids, list) or len(ids) != len(keys):
                n = len(ids) if isinstance(ids, list) else 0
                raise OracleError(f"Label Studio made {n} tasks of {len(keys)}. Put them again: what is there is read.")
            self._journal.add(*_placed(dict(zip(keys, ids, strict=True))))
        self._call("PATCH", "", body={"model_version": version})
        self._journal.add({"what": "ranked", "version": version, "queue": digest})

    def _is_ranked(self, digest: str) -> bool:
        """Whether the queue is as it was after the last put: predictions stay, so there are none more than it takes."""
        last = self._journal.ranked
        return last.get("queue") == digest and self._call("GET", "").get("model_version") == last["version"]

    def _call(self, method: str, path: str, **given: Any) -> Any:
        return self._server.call(method, f"/api/projects/{self.project}/{path}", **given)


def _answers(tasks: Iterable[Task]) -> int:
    return sum(not annotation.get("was_cancelled") for task in tasks for annotation in task.annotations)


def _placed(tasks: Mapping[str, int]) -> list[Row]:
    return [{"what": "placed", "key": key, "task": task} for key, task in tasks.items()]


def _parts(keys: list[str]) -> list[list[str]]:
    return [keys[first : first + AT_ONCE] for first in range(0, len(keys), AT_ONCE)]
