"""What a server keeps of a model line, in one folder.

line.json          which files are the newest, and why there are no more rounds; replaced in one step
ledger             what was spent (palate.federated.ledger)
enrol-code         the secret that lets a device in
devices            public keys of the devices, a journal
files/SHA256       the public model, ids and titles of the items, what the items hold, and the server's state
attempt/NONCE      messages of the attempt at a round that is going on, a journal
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from palate.errors import NEWER, FederatedError, OptionError, StoreError
from palate.federated.accounting import Budget
from palate.federated.ledger import Ledger
from palate.federated.options import FederatedOptions
from palate.federated.public import PublicModel
from palate.federated.secure_sum.keys import device_id
from palate.federated.server import State, begin
from palate.federated.wire import BLOCK_BYTES
from palate.service.federated.journal import Journal
from palate.store.model_folder.files import make_folder, sync_folder, write

FORMAT = 1
_LINE, _LEDGER, _CODE, _DEVICES, _FILES, _ATTEMPT = "line.json", "ledger", "enrol-code", "devices", "files", "attempt"
_CODE_BYTES = 16
PUBLIC = ("model", "items")  # files that everyone may fetch


class PublicFile(NamedTuple):
    """A file that everyone may fetch."""

    sha256: str
    content: bytes

    @property
    def facts(self) -> dict[str, Any]:
        return {"sha256": self.sha256, "bytes": len(self.content), "blocks": -(-len(self.content) // BLOCK_BYTES)}


class Line:
    """A folder that is open. One process holds it, by the lock of its ledger.

    Attributes:
        state: After the last opening.
        files: That everyone may fetch, by name: ``model`` and ``items``.
        code: What a device has to say to be enrolled.
        devices: Public keys by id.
        ended: Why there are no more rounds; empty while there are.
    """

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.folder, self.ledger = folder, ledger
        try:
            kept = json.loads((folder / _LINE).read_bytes())
            if kept["format"] != FORMAT:
                raise FederatedError(f"{folder} has a format that this Palate does not read. {NEWER}")
            self._names: dict[str, str] = kept["files"]
            self.ended = str(kept["ended"])
            self.code = (folder / _CODE).read_text(encoding="ascii").strip()
            if len(bytes.fromhex(self.code)) != _CODE_BYTES:
                raise ValueError(self.code)
            content = load(self._read("content")).get("content")
            self.state = State.from_buffers(self._read("state"), content)
            self.files = {name: PublicFile(self._names[name], self._read(name)) for name in PUBLIC}
        except OSError as error:
            raise _failed(folder, error) from error
        except (ValueError, TypeError, KeyError) as error:
            raise FederatedError(
                f"{folder / _LINE} or {_CODE} is damaged. Put back the copy that goes with the ledger."
            ) from error
        ledger.check(self.public.ledger)
        self._journal = Journal(folder / _DEVICES)
        keys = [self._journal.read(entry) for entry in self._journal.entries]
        self.devices = {device_id(key): key for key in keys}
        self._clear()

    @classmethod
    def create(
        cls,
        folder: Path,
        item_ids: list[str],
        options: FederatedOptions,
        *,
        content: NDArray[np.floating] | None = None,
        titles: Mapping[str, str] | None = None,
        name: str = "",
    ) -> Line:
        """A new line, of which nothing is spent.

        Args:
            content: Public encodings of the items, (I, E), such as of their text; None: none.
            titles: Of the items, by id; of some it may be missing.
            name: Of the line; drawn if empty.
        Raises:
            LedgerError: If there is one in this folder.
            OptionError: If it promises no privacy: what devices send would have no noise.
            StoreError: If the folder cannot be written.
        """
        if not np.isfinite(options.epsilon):
            raise OptionError("epsilon is infinite, and devices were to trust it. Give a number such as 3.")
        kept = {} if content is None else {"content": np.asarray(content, dtype=np.float64)}
        state = begin(item_ids, options, kept.get("content"), line=name or secrets.token_hex(8))
        shown = [{"item_id": item, "title": (titles or {}).get(item, "")} for item in item_ids]
        try:
            make_folder(folder)
            ledger = Ledger.create(
                folder / _LEDGER, line=state.public.line, budget=Budget(options.epsilon, options.delta)
            )
            for part in (_FILES, _ATTEMPT):
                (folder / part).mkdir(mode=0o700, exist_ok=True)
            write(folder / _CODE, f"{secrets.token_hex(_CODE_BYTES)}\n".encode())
            (folder / _CODE).chmod(0o600)
            files = {
                "model": state.public.to_buffers(),
                "items": json.dumps(shown).encode(),
                "content": save(kept),
                "state": state.to_buffers(),
            }
            _write_line(folder, {file: _write(folder, content) for file, content in files.items()}, "")
        except OSError as error:
            raise _failed(folder, error) from error
        return cls(folder, ledger)

    @classmethod
    def open(cls, folder: Path) -> Line:
        """One that was made before.

        Raises:
            LedgerError: If its ledger is gone, damaged, older than the public model, or held by another process.
            FederatedError: If the rest of it is damaged.
        """
        ledger = Ledger.open(folder / _LEDGER)
        try:
            return cls(folder, ledger)
        except BaseException:
            ledger.close()
            raise

    @staticmethod
    def is_there(folder: Path) -> bool:
        """Whether a line was made in a folder, so that no other is."""
        return (folder / _LEDGER).exists() or (folder / _LINE).exists()

    @property
    def public(self) -> PublicModel:
        """The newest public model."""
        return self.state.public

    @property
    def items(self) -> list[dict[str, str]]:
        """Id and title of each item."""
        found: list[dict[str, str]] = json.loads(self.files["items"].content)
        return found

    async def enrol(self, public_key: bytes) -> str:
        """Take a device in; its id. Again it changes nothing."""
        device = device_id(public_key)
        if device not in self.devices:
            await self._journal.append(0, public_key)
            self.devices[device] = public_key
        return device

    def block(self, sha256: str, number: int) -> bytes | None:
        """A block of a public file; None if there is none."""
        for file in self.files.values():
            if file.sha256 == sha256 and 0 <= number < file.facts["blocks"]:
                return file.content[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]
        return None

    def attempt(self, nonce: str) -> Path:
        """Where the messages of an attempt are kept."""
        return self.folder / _ATTEMPT / nonce

    def attempts(self) -> list[str]:
        """Nonces of the attempts of which there are messages."""
        return sorted(path.name for path in (self.folder / _ATTEMPT).iterdir())

    def commit(self, state: State) -> None:
        """The end of a round: its public model is the newest from now on.

        Raises:
            StoreError: If it cannot be written; then all is as it was.
        """
        content = state.public.to_buffers()
        try:
            names = self._names | {"model": _write(self.folder, content)}
            names["state"] = _write(self.folder, state.to_buffers())
            _write_line(self.folder, names, self.ended)
        except OSError as error:
            raise _failed(self.folder, error) from error
        self._names, self.state = names, state
        self.files["model"] = PublicFile(names["model"], content)
        self._clear()

    def end(self, why: str) -> None:
        """There are no more rounds."""
        try:
            _write_line(self.folder, self._names, why)
        except OSError as error:
            raise _failed(self.folder, error) from error
        self.ended = why

    def close(self) -> None:
        """Let another process hold it."""
        self._journal.close()
        self.ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _read(self, name: str) -> bytes:
        path = self.folder / _FILES / self._names[name]
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != self._names[name]:
            raise FederatedError(f"{path} is damaged. Put back the copy that goes with the ledger.")
        return content

    def _clear(self) -> None:
        """Files of rounds before, and of one that a killed process did not end."""
        for path in (self.folder / _FILES).iterdir():
            if path.name not in self._names.values():
                path.unlink()


def _write(folder: Path, content: bytes) -> str:
    name = hashlib.sha256(content).hexdigest()
    write(folder / _FILES / name, content)
    sync_folder(folder / _FILES)
    return name


def _write_line(folder: Path, names: Mapping[str, str], ended: str) -> None:
    write(folder / _LINE, json.dumps({"format": FORMAT, "files": dict(names), "ended": ended}, indent=1).encode())
    sync_folder(folder)


def _failed(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path} cannot be read or written: {error.strerror}. Check the folder and its disk.")
