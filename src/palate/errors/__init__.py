"""Everything Palate raises on purpose, one tree. The checks of arguments are in :mod:`palate.errors.checks`.

    PalateError
    ├── InputError               what was given is wrong (exit code 2 on the command line)
    │   ├── DataError            a table, file or row
    │   │   └── LimitError       larger than a stated limit
    │   ├── IdError              a user, item or label id that cannot be kept
    │   ├── UnknownItem          an item the model does not hold
    │   ├── AnswerError          an answer outside the scale, or to nothing
    │   │   └── KeyTaken         a key under which the log holds something else
    │   ├── ErasedUser           a row about a user who was erased and has not come back
    │   ├── OptionError          an unknown name or a value out of range
    │   ├── ConsentError         something a user has not allowed
    │   ├── CampaignError        a campaign, or a lease of one, that does not take this now
    │   │   └── UnknownCampaign  one that is not there
    │   └── ModelFolderError     a saved model that cannot be trusted or read
    ├── MissingExtra             an optional library is not installed
    ├── FetchError               a data set could not be had
    ├── FederatedError           a federated round that could not go on
    │   ├── PrivacyBudgetError   a model line has spent its privacy budget
    │   ├── LedgerError          the ledger of what was spent cannot be trusted, read or written
    │   ├── UploadError          a message of one device that is left out; the round goes on without it
    │   └── SecureSumError       a sum that is not opened
    ├── RunnerError              work on threads, processes or machines that could not be done
    └── StoreError               the label log could not keep or read something
        ├── StoreBusy            another program held it too long; the same again may work
        └── StoreFull            the disk is full; the same again works when there is space

Every message is fact, value, remedy, in one line: what is so, the value that shows it, what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

NEWER = "Install a newer Palate, in its checkout: git pull && pip install ."


def install_line(extra: str) -> str:
    """The line that installs optional dependencies, from a checkout: the package is on no index."""
    return f"pip install '.[{extra}]'"


class PalateError(Exception):
    """Base of every error Palate raises on purpose."""


class InputError(PalateError):
    """What was given is wrong; nothing was changed."""


class DataError(InputError):
    """A table, file or row cannot be used."""


class LimitError(DataError):
    """An input is larger than a stated limit; the message names the limit."""


class IdError(InputError):
    """An id is empty, too long, or holds characters that stores cannot keep."""


class UnknownItem(InputError):
    """An item that the model does not hold."""


class AnswerError(InputError):
    """An answer outside the scale, of the wrong kind, or to nothing that was asked."""


class ErasedUser(InputError):
    """A row about a user who was erased and has not consented anew."""


class KeyTaken(AnswerError):
    """A key under which the log holds something else."""


class OptionError(InputError):
    """An unknown name, or a value out of its range."""


class ConsentError(InputError):
    """Something that a user was asked about and has not allowed."""


class CampaignError(InputError):
    """A campaign, or a lease of one, that does not take this now.

    Attributes:
        code: A word for programs, such as ``campaign_closed``.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class UnknownCampaign(CampaignError):
    """A campaign or a lease that is not there."""

    def __init__(self, what: str, id: str) -> None:
        super().__init__(f"there is no {what} {id!r}. Give the id of one that is there.", f"unknown_{what}")


class ModelFolderError(InputError):
    """A model folder that is damaged, unsafe, of a newer format or not one at all."""


class CheckpointError(InputError):
    """A checkpoint is of another fit, cannot be read, or is there unasked."""


class MissingExtra(PalateError):
    """An optional library is not installed; the message gives the line that installs it."""

    def __init__(self, library: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the library {library!r}, which is not installed. "
            f"Install it, in the checkout of Palate: {install_line(extra)}"
        )
        self._said = library, extra, purpose

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str, str]]:  # it may come from another process
        return type(self), self._said


class FetchError(PalateError):
    """A public data set could not be downloaded or did not match its checksum."""


class OracleError(PalateError):
    """Whoever was asked cannot answer: a server that is not there, refuses, or says what is no answer."""


class FederatedError(PalateError):
    """A federated round that could not go on."""


class PrivacyBudgetError(FederatedError):
    """A model line that has no privacy budget left for this; nothing was opened."""


class LedgerError(FederatedError):
    """The ledger of what was spent cannot be trusted, read or written; nothing was opened."""


class UploadError(FederatedError):
    """A message of one device that is left out; the round goes on without it.

    Attributes:
        code: A word for programs, such as ``late``.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class SecureSumError(FederatedError):
    """A secure sum that is not opened, or a message to a device that it does not follow."""


class RunnerError(PalateError):
    """Work on threads, processes or machines that could not be done; nothing of it was kept."""


class StoreError(PalateError):
    """The label log could not keep or read something; what was acknowledged before is safe."""


class OlderLog(StoreError):
    """A log that has to be made, or moved to this version, before it can be used."""


class StoreBusy(StoreError):
    """Another program held the log too long. Nothing was kept; the same again may work."""


class StoreFull(StoreError):
    """The disk is full. Nothing was kept; the same again works when there is space."""


def did_you_mean(name: object, known: Iterable[str], n: int = 3) -> str:
    """A sentence with the nearest of the known names, whatever their case; empty where none is near.

    >>> did_you_mean("Epik", ["epig", "bald"])
    "Did you mean 'epig'?"
    """
    folded = {one.casefold(): one for one in known} if isinstance(name, str) else {}
    near = difflib.get_close_matches(str(name).casefold(), folded, n=n) if folded else []
    return f"Did you mean {' or '.join(repr(folded[one]) for one in near)}?" if near else ""


def some_of(names: Iterable[str], at_most: int = 12) -> str:
    """The first of some names, and how many are left out.

    >>> some_of("abc", at_most=2)
    'a, b and 1 more'
    """
    known = list(names)
    left = f" and {len(known) - at_most:,} more" if len(known) > at_most else ""
    return f"{', '.join(known[:at_most]) or 'none'}{left}"
