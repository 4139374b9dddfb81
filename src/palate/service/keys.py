"""API keys of a model folder, and tokens for the browsers of its users.

``MODEL/keys`` (mode 700) holds ``admin``, the key made at the first start, and ``signing``, what tokens and question
ids are signed with (both mode 600), and ``keys.json`` with the SHA-256 of every other key. A key is 256 random bits, so
a plain digest of it cannot be guessed; digests are compared in constant time. A new key opens at once; what is revoked
is dead within a second.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from palate.errors import OptionError, StoreError
from palate.errors.checks import normalise_id, positive
from palate.service.settings import role_of
from palate.store.lock import exclusive

FOLDER, ADMIN, SIGNING, WEBHOOK, LIST = "keys", "admin", "signing", "webhook", "keys.json"
ADMIN_VARIABLE = "PALATE_ADMIN_KEY"
WEBHOOK_VARIABLE = "PALATE_WEBHOOK_SECRET"
SHORTEST = 22  # characters of an admin key that is given: 128 bits in base64
_PREFIX, _TOKEN = "palate_", "palateuser."
SESSION, STAFF = "session", "staff"  # purposes of a signature: a user's session, that of the holder of a key
_READ_SECONDS = 1.0  # between two looks at keys.json
_LONGEST = 2_000  # characters of a key that is looked at


@dataclass(frozen=True, slots=True)
class Key:
    """What is kept of a key.

    Attributes:
        id: Public part, by which it is listed and revoked.
        digest: SHA-256 of the whole key, hexadecimal.
        name: Whose it is.
        made_at, expires_at, revoked_at: Seconds since the epoch; ``None`` for never.
        source: Of an annotator's labels: one pseudonym for all keys of the same name, and of the name nothing in it.
    """

    id: str
    role: str
    name: str
    digest: str
    made_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    source: str = ""

    def is_good(self, now: float) -> bool:
        """Whether it opens anything."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls.

    Attributes:
        tenant: Whose data it may touch, and no other's.
        key: Id of the key, or of the key that made the token.
        name: Of the key.
        user_id: Of a user's token, who may touch what is theirs alone; empty otherwise.
        source: Of an annotator's labels.
    """

    tenant: str
    role: str
    key: str
    name: str
    user_id: str = ""
    source: str = ""


class KeyRing:
    """The keys of one model folder, made if there are none. Safe to share between threads.

    Args:
        folder: Of the model.
        tenant: Its name in the service.
        given: The admin key of the environment, in the place of the one in the folder; empty if there is none.
    Raises:
        OptionError: If the given key is too short.
        StoreError: If the folder cannot be written.
    """

    def __init__(
        self, folder: Path, *, tenant: str = "default", given: str = "", clock: Callable[[], float] = time.time
    ) -> None:
        if given and len(given) < SHORTEST:
            raise OptionError(f"{ADMIN_VARIABLE} has {len(given)} characters. Give at least {SHORTEST} random ones.")
        self._folder, self._tenant, self._clock = folder / FOLDER, tenant, clock
        self.made_admin = False
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            admin = given or self._secret(ADMIN)
            self._signing = self._secret(SIGNING).encode()
        except OSError as error:
            raise StoreError(
                f"{self._folder} cannot be used: {error.strerror}. Make it readable and writable."
            ) from None
        self._admin = _digest(admin)
        self._mutex = threading.Lock()
        self._keys: Mapping[str, Key] = {}
        self._stamp, self._looked = (0, 0), -_READ_SECONDS

    @property
    def admin_file(self) -> Path:
        """Where the admin key of the folder lies."""
        return self._folder / ADMIN

    def webhook_secret(self) -> str:
        """With which calls to a webhook are signed: of the environment, else in a file of the folder, made if missing.

        Raises:
            OptionError: If it is too short, or others than the owner may read the file.
        """
        given = os.environ.get(WEBHOOK_VARIABLE, "")
        if given and len(given) < SHORTEST:
            raise OptionError(f"{WEBHOOK_VARIABLE} has {len(given)} characters. Give at least {SHORTEST} random ones.")
        if given:
            return given
        secret, path = self._secret(WEBHOOK), self._folder / WEBHOOK
        if path.stat().st_mode & 0o077:
            raise OptionError(f"{path} can be read by others. Let its owner alone read it: chmod 600 {path}")
        return secret

    def _secret(self, name: str) -> str:
        """The secret in a file that only the owner can read; made at the first use, 256 random bits."""
        path = self._folder / name
        if path.exists() and len(found := path.read_text(encoding="utf-8").strip()) >= SHORTEST:
            return found
        with exclusive(self._folder / "lock", wait_seconds=10.0):  # another service may be making it
            return self._read_or_made(path)

    def _read_or_made(self, path: Path) -> str:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            found = path.read_text(encoding="utf-8").strip()
            if len(found) < SHORTEST:
                raise OptionError(
                    f"{path} holds {len(found)} characters. Remove it, and a new secret is made."
                ) from None
            return found
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            secret = secrets.token_urlsafe(32)
            file.write(secret + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.made_admin |= path.name == ADMIN
        return secret

    def add(self, role: str, *, name: str = "", days: float | None = None) -> tuple[Key, str]:
        """A new key; what is kept of it, and the key itself, which is kept nowhere.

        Args:
            name: Whose it is; its id if empty.
            days: That it is good for; for ever if None.
        """
        role, made = role_of(role), self._clock()
        ends = None if days is None else made + 86_400.0 * positive(days, "days")
        id = secrets.token_hex(6)
        whole = f"{_PREFIX}{id}_{secrets.token_urlsafe(32)}"
        name = normalise_id(name, "name") if name else id
        key = Key(id, role, name, _digest(whole), made, ends)

        def added(keys: Mapping[str, Key]) -> dict[str, Key]:
            before = [one.source for one in keys.values() if one.name == name and one.source]
            source = before[0] if before else f"annotator-{secrets.token_hex(6)}"
            return {**keys, id: replace(key, source=source if role == "annotator" else "")}

        return self._change(added)[id], whole

    def forget(self, id: str) -> Key:
        """Make every key of a holder useless, and forget their name; their labels stay under the pseudonym.

        Raises:
            OptionError: If there is no key of that id.
        """

        def forgotten(keys: Mapping[str, Key]) -> dict[str, Key]:
            name = _known(keys, id).name
            now = self._clock()
            return {
                one.id: replace(one, name=one.source or one.id, revoked_at=one.revoked_at or now)
                if one.name == name
                else one
                for one in keys.values()
            }

        return self._change(forgotten)[id]

    def revoke(self, id: str) -> Key:
        """Make a key useless, and the tokens made with it.

        Raises:
            OptionError: If there is none of that id.
        """

        def revoked(keys: Mapping[str, Key]) -> dict[str, Key]:
            found = _known(keys, id)
            return {**keys, id: replace(found, revoked_at=found.revoked_at or self._clock())}

        return self._change(revoked)[id]

    def all(self) -> list[Key]:
        """What is kept of every key, oldest first."""
        return sorted(self._read().values(), key=lambda key: key.made_at)

    def _change(self, change: Callable[[Mapping[str, Key]], dict[str, Key]]) -> dict[str, Key]:
        with exclusive(self._folder / "lock", wait_seconds=10.0):
            keys = change(self._read())
            text = json.dumps({"version": 1, "keys": [asdict(key) for key in keys.values()]}, indent=1)
            descriptor, temporary = tempfile.mkstemp(dir=self._folder)  # mode 600
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(temporary, self._folder / LIST)
            except BaseException:
                os.unlink(temporary)
                raise
        self._looked = -_READ_SECONDS
        return keys

    def _read(self) -> dict[str, Key]:
        path = self._folder / LIST
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))["keys"]
            return {row["id"]: Key(**row) for row in rows}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{path} cannot be read: {type(error).__name__}. Restore it, or remove it and add keys."
            ) from None

    def _of(self, id: str) -> Key | None:
        """The key of an id, one made a moment ago too."""
        found = self._current().get(id)
        if found is None:
            self._looked = -_READ_SECONDS
            found = self._current().get(id)
        return found

    def _current(self) -> Mapping[str, Key]:
        now = time.monotonic()
        if now - self._looked >= _READ_SECONDS:
            with self._mutex:
                try:
                    found = os.stat(self._folder / LIST)
                    stamp = (found.st_mtime_ns, found.st_ino)
                except FileNotFoundError:
                    stamp = (0, 0)
                if stamp != self._stamp:
                    self._keys, self._stamp = self._read(), stamp
                self._looked = now
        return self._keys

    def who(self, presented: str) -> Principal | None:
        """Who holds this key or token; None if nobody does."""
        if not presented or len(presented) > _LONGEST:
            return None
        if presented.startswith(_TOKEN):
            found = self.who_until(presented)
            return None if found is None else found[0]
        digest = _digest(presented)
        for id in (ADMIN, presented.removeprefix(_PREFIX).partition("_")[0]):
            holder = self._holder(id)
            if holder is not None and hmac.compare_digest(digest, holder[1]):
                return holder[0]
        return None

    def _holder(self, id: str) -> tuple[Principal, str] | None:
        """Who holds the key of an id, and its digest; None if it opens nothing."""
        if id == ADMIN:
            return Principal(self._tenant, "admin", ADMIN, ADMIN), self._admin
        key = self._of(id)
        if key is None or not key.is_good(self._clock()):
            return None
        return Principal(self._tenant, key.role, key.id, key.name, source=key.source or key.name), key.digest

    def token(self, user_id: str, *, seconds: float, key: str) -> tuple[str, float]:
        """A token with which a browser may act as one user, and when it ends.

        Args:
            key: Id of the key that asks for it; the token dies with that key.
        """
        ends = self._clock() + positive(seconds, "seconds")
        payload = _packed([self._tenant, user_id, round(ends, 3), key])
        return f"{_TOKEN}{payload}.{self.sign('token', payload)}", ends

    def session(self, user_id: str, *, ends: float, key: str) -> str:
        """What a browser's cookie holds, with which it may act as one user. It is no token: it opens nothing elsewhere.

        Args:
            ends: Seconds since the epoch.
            key: As of :meth:`token`.
        """
        payload = _packed([self._tenant, user_id, round(ends, 3), key])
        return f"{payload}.{self.sign(SESSION, payload)}"

    def staff_session(self, key: str, *, ends: float) -> str:
        """What a browser's cookie holds, with which it may do what the holder of a key may, until that key is dead.

        Args:
            key: Id of the key, which is good.
            ends: Seconds since the epoch.
        """
        holder = self._holder(key)
        assert holder is not None, "only the holder of a key gets a session for it"
        payload = _packed([self._tenant, round(ends, 3)])
        return f"{STAFF}.{key}.{payload}.{self.sign(STAFF, payload, key, holder[1])}"

    def staff_until(self, presented: str) -> tuple[Principal, float] | None:
        """Whose session this is, of the holders of keys, and when it ends; None if it is nobody's."""
        parts = presented[:_LONGEST].split(".")
        holder = self._holder(parts[1]) if len(parts) == 4 and parts[0] == STAFF else None
        if holder is None:
            return None
        _, key, payload, signature = parts
        right = self.sign(STAFF, payload, key, holder[1])  # of the key's digest too: another key, another session
        if not hmac.compare_digest(signature.encode(errors="replace"), right.encode()):
            return None
        tenant, ends = _unpacked(payload)
        return (holder[0], ends) if tenant == self._tenant and self._clock() < ends else None

    def who_until(self, presented: str, purpose: str = "token") -> tuple[Principal, float] | None:
        """Which user holds a token, or a session, and when it ends; None if nobody does."""
        text = presented[:_LONGEST]
        if purpose == "token" and not text.startswith(_TOKEN):
            return None
        payload, _, signature = text.removeprefix(_TOKEN if purpose == "token" else "").partition(".")
        if not hmac.compare_digest(signature.encode(errors="replace"), self.sign(purpose, payload).encode()):
            return None
        tenant, user_id, ends, key = _unpacked(payload)
        maker = None if key == ADMIN else self._of(key)
        is_made = key == ADMIN or (maker is not None and maker.is_good(self._clock()))
        if tenant != self._tenant or self._clock() >= ends or not is_made:
            return None
        return Principal(self._tenant, "user", key, f"user-of-{key}", user_id), ends

    def pseudonym(self, user_id: str) -> str:
        """Of a user in the list of actions: whoever has this folder can tell whose it is, if they know the id."""
        return self.sign("pseudonym", user_id)

    def sign(self, purpose: str, *parts: str) -> str:
        """A signature of 128 bits over texts, for one purpose."""
        text = json.dumps([purpose, *parts]).encode()
        return _text(hmac.new(self._signing, text, hashlib.sha256).digest()[:16])


def _known(keys: Mapping[str, Key], id: str) -> Key:
    if id not in keys:
        raise OptionError(f"there is no key {id[:40]!r}. See palate keys list.")
    return keys[id]


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _packed(parts: list[object]) -> str:
    return _text(json.dumps(parts, separators=(",", ":")).encode())


def _unpacked(text: str) -> list[Any]:
    """What was packed, of a text whose signature was checked."""
    try:
        found: list[Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError):
        return []
    return found
