"""What a device keeps: its key, the answers, the consent and the rounds it took part in. Nothing of it is sent.

    device.jsonl     one object a line, in the order in which it was kept
    key              the device's signing key, 32 bytes

Later lines overrule earlier ones: the last answer to an item counts, and the last consent.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from palate.errors import DataError, FederatedError, LedgerError, StoreError
from palate.errors.checks import flag, normalise_id, rating_of, shown
from palate.store.lock import exclusive
from palate.store.model_folder.files import make_folder, sync_folder

FILE, KEY, LOCK = "device.jsonl", "key", "lock"
CONTRIBUTE = "contribute"
CONSENT_TEXT = (
    "Your answers stay on this device. In every round the device sends one vector of fixed size, hidden by masks; the "
    "server can open only sums over many devices, and adds noise before it uses them. What was summed before you say "
    "no stays in the published model, within its privacy budget."
)
CONSENT_VERSION = "2026-11"


class DeviceLog:
    """The folder of one device. One process holds it at a time.

    Args:
        folder: Made if it is not there.
        now: Seconds since the epoch, for the lines; nothing depends on it.
    Raises:
        StoreError: If it cannot be made, or another process holds it.
        DataError: If a line of it cannot be read.
    """

    def __init__(self, folder: Path, *, now: Callable[[], float] = time.time) -> None:
        self.folder, self._now = folder, now
        self._path = folder / FILE
        self.answers: dict[str, float] = {}
        self._consent: dict[str, Any] | None = None
        self.rounds: list[dict[str, Any]] = []
        self.line = ""  # that it is enrolled in
        self._models: dict[int, str] = {}  # digests of public models, by round
        self._promised = math.inf, 1.0  # ε and δ of the line, when this device was enrolled
        self._spent = 0  # rows of the ledger, as the newest model said
        self._held = ExitStack()
        try:
            make_folder(folder)
            held = exclusive(folder / LOCK, wait_seconds=0.0, held=lambda process: _held(folder, process))
            self._held.enter_context(held)
            self._cut_off_half_a_line()
            for row in self.rows():
                self._take(row)
        except OSError as error:
            self.close()
            raise _failed(self._path, error) from error
        except BaseException:
            self.close()
            raise

    def _cut_off_half_a_line(self) -> None:
        """What a process that was killed did not finish was never acknowledged."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)

    def rows(self) -> Iterator[dict[str, Any]]:
        """All lines, the first first."""
        for number, line in enumerate(self._path.read_bytes().splitlines(), 1):
            try:
                row = json.loads(line)
                row["at"], row["what"]
            except (ValueError, TypeError, KeyError):
                raise DataError(
                    f"line {number} of {self._path} cannot be read. Take the line out, or restore the file."
                ) from None
            yield row

    def _take(self, row: dict[str, Any]) -> None:
        if row["what"] == "answer":
            self.answers.pop(row["item_id"], None)
            if row["value"] is not None:
                self.answers[row["item_id"]] = row["value"]
        elif row["what"] == "consent":
            self._consent = row
        elif row["what"] == "round":
            self.rounds.append(row)
        elif row["what"] == "enrolled":
            self.line, self._promised = row["line"], (row["epsilon"], row["delta"])
        elif row["what"] == "model":
            self._models[row["round"]] = row["digest"]
            self._spent = row["ledger"]

    def keep(self, what: str, **facts: Any) -> dict[str, Any]:
        """Add a line; it is on the disk when this returns.

        Raises:
            StoreError: If it cannot be written.
        """
        return self._keep([{"at": round(self._now(), 3), "what": what, **facts}])[0]

    def _keep(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        data = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows).encode()
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
            with os.fdopen(descriptor, "ab", buffering=0) as file:
                size = os.fstat(descriptor).st_size
                try:
                    if file.write(data) != len(data):
                        raise OSError(0, "only a part of it was written")
                    os.fsync(descriptor)
                except OSError:
                    file.truncate(size)
                    raise
        except OSError as error:
            raise _failed(self._path, error) from error
        for row in rows:
            self._take(row)
        return rows

    def answer(self, item_id: str, value: float | None) -> None:
        """Keep an answer, in the place of an earlier one to the item; None takes it back.

        Raises:
            IdError, AnswerError: If the id cannot be kept, or the value is no finite number.
        """
        self.answer_all([(item_id, value)])

    def answer_all(self, answers: list[tuple[str, float | None]]) -> None:
        """Keep several answers, all or none."""
        at = round(self._now(), 3)
        self._keep(
            [
                {
                    "at": at,
                    "what": "answer",
                    "item_id": normalise_id(item_id, "item_id"),
                    "value": None if value is None else rating_of(value),
                }
                for item_id, value in answers
            ]
        )

    def consent(self, given: bool, *, version: str = CONSENT_VERSION) -> None:
        """Keep that this device may, or may no longer, contribute to the sums of rounds.

        Args:
            version: Of the text that was shown.
        """
        self.keep("consent", purpose=CONTRIBUTE, given=flag(given, "given"), version=normalise_id(version, "version"))

    @property
    def contributes(self) -> bool:
        """Whether it may contribute now; not unless that was said."""
        return self._consent is not None and self._consent["given"] is True

    def check_promise(self, line: str, epsilon: float, delta: float) -> None:
        """That a server is of the line that this device is enrolled in, and promises no less than it did then.

        Raises:
            FederatedError: If not.
        """
        if line != self.line or epsilon > self._promised[0] or delta > self._promised[1]:
            raise FederatedError(
                f"the server is of line {shown(line)} with ε {shown(epsilon)} and δ {shown(delta)}; this device is in "
                f"line {self.line!r} with {self._promised[0]:g} and {self._promised[1]:g}. Ask its operator."
            )

    def check_model(self, round: int, digest: str, ledger: int) -> None:
        """That a public model does not go back behind one that was seen before; it is kept that it was seen.

        Args:
            ledger: Rows of the server's ledger when it was made.
        Raises:
            LedgerError: If it does, as when the server's folder was put back from an older copy.
        """
        if ledger < self._spent or round < max(self._models, default=0) or self._models.get(round, digest) != digest:
            raise LedgerError(
                f"the public model of round {round} does not follow what this device saw: a ledger of {ledger} rows, "
                f"after one of {self._spent}. The server was put back to an earlier state; its operator has to say why."
            )
        if round not in self._models:
            self.keep("model", round=round, digest=digest, ledger=ledger)

    def key(self, make: Callable[[], bytes]) -> bytes:
        """The signing key of this device, which is made at the first call."""
        path = self.folder / KEY
        try:
            if not path.exists():
                part = path.with_suffix(".part")
                descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(make())
                    file.flush()
                    os.fsync(descriptor)
                part.replace(path)
                sync_folder(self.folder)
            return path.read_bytes()
        except OSError as error:
            raise _failed(path, error) from error

    def export(self) -> bytes:
        """All lines, as JSON lines."""
        return self._path.read_bytes()

    def delete(self) -> dict[str, Any]:
        """Delete all that this device holds, its key too; what was summed before stays, within the privacy budget.

        Returns:
            A receipt without anything personal: how many answers and rounds there were, and ``"model": "bounded"``.
        """
        receipt = {"answers": len(self.answers), "rounds": len(self.rounds), "model": "bounded"}
        try:
            for name in (FILE, KEY):
                (self.folder / name).unlink(missing_ok=True)
            sync_folder(self.folder)
        except OSError as error:
            raise _failed(self.folder, error) from error
        self.answers, self._consent, self.rounds = {}, None, []
        return receipt

    def close(self) -> None:
        """Let another process hold it."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _held(folder: Path, process: str) -> str:
    return f"{folder} is held by process {process}. Let that one end, or give this device a folder of its own."


def _failed(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path} cannot be read or written: {error.strerror}. Check its folder and the disk.")
