"""What `palate label` is told by a file: who answers, at what price, and what may be spent."""

from __future__ import annotations

import csv
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from palate.entities.item_attributes import ItemAttribute
from palate.errors import DataError, OptionError, PalateError
from palate.errors.checks import instance, normalise_id, number, positive, several, shown
from palate.oracles.protocol import Terms

if TYPE_CHECKING:
    from palate.oracles.language_model.ledger import TokenPrice

TERMINAL = "terminal"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who answers.

    Attributes:
        source: As the log names them.
        answers: A file of what they say; None: they sit at the terminal.
        cost: Of an answer, in the unit of the budgets.
        family: Whose errors are shared.
        weight: Of a pseudo-label.
    """

    source: str
    answers: Path | None
    cost: float
    family: str = ""
    weight: float = 0.25


@dataclass(frozen=True, slots=True)
class Served:
    """A language model behind an OpenAI-compatible server.

    Attributes:
        worth: Of one unit of its price, in the unit of the budgets.
    """

    base_url: str
    model: str
    key_env: str
    price: TokenPrice | None
    worth: float


@dataclass(frozen=True, slots=True)
class AttributePart:
    """Labels of an attribute, with a promise.

    Attributes:
        budget: What people and the language model may be paid, in the unit of the budgets.
        encoder: Of the machine, which learns from the labels so far.
        model: Whose view of each item the machine is told, too.
    """

    attribute: ItemAttribute
    people: Who
    target: float = 0.9
    doubt: float = 0.1
    budget: float = math.inf
    encoder: str = "default"
    model: Served | None = None


@dataclass(frozen=True, slots=True)
class TastePart:
    """Answers about users' taste.

    Attributes:
        others: Who answers in the place of users, by what they are: ``annotator``, ``model``, ``pseudo-label``.
        again: Whether users may be asked again what they have rated.
        least: Worth of an answer, per unit of cost, at or below which nothing is asked.
    """

    users: tuple[str, ...]
    user: Who
    others: Mapping[str, Who] = field(default_factory=dict)
    again: bool = True
    budget: float = math.inf
    least: float = 0.0


@dataclass(frozen=True, slots=True)
class CampaignFile:
    """All of it.

    Attributes:
        items, model: Where the items are: a table, or a model folder, which takes the answers, too.
        out: Folder of what comes of it.
    """

    name: str
    out: Path
    items: Path | None
    model: Path | None
    attribute: AttributePart | None
    taste: TastePart | None


def read(path: Path) -> CampaignFile:
    """The campaign of a file; paths in it are relative to it.

    Raises:
        OptionError: If the file cannot be read, a name in it is unknown, or something is missing or out of range.
    """
    try:
        text = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror}. Give the file of a campaign.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"{path} is no TOML: {error}. docs/honest-labels.md shows a campaign.") from None
    try:
        return _campaign(_Table(text, "the campaign", path.parent))
    except PalateError as error:
        raise OptionError(f"{path}: {error}") from error


def _campaign(given: _Table) -> CampaignFile:
    name = normalise_id(given.take("name", str), "name")
    out = given.path("out", f"{name}-labels")
    items, model = given.path("items"), given.path("model")
    worth = {
        unit: number(one, f"the worth of {unit}", least=0.0) for unit, one in given.take("worth", dict, {}).items()
    }
    attribute, taste = given.table("attribute"), given.table("taste")
    found = CampaignFile(
        name,
        out or Path(name),
        items,
        model,
        None if attribute is None else _attribute(attribute, worth),
        None if taste is None else _taste(taste, worth),
    )
    given.end()
    if (items is None) == (model is None):
        raise OptionError("there is to be one of items and model. Give items = 'items.csv', or model = 'my-model'.")
    if attribute is None and taste is None:
        raise OptionError("there is nothing to label. Give a table [attribute] or [taste].")
    if taste is not None and model is None:
        raise OptionError("[taste] needs a fitted model. Give model = 'my-model', as `palate fit` wrote it.")
    return found


def _attribute(given: _Table, worth: Mapping[str, float]) -> AttributePart:
    options = tuple(several(given.take("options", list), "options"))
    attribute = ItemAttribute(given.take("name", str), given.take("question", str), options)
    found = AttributePart(
        attribute,
        _who(given.table("people"), "person", worth),
        number(given.take("target", float, 0.9), "target"),
        number(given.take("doubt", float, 0.1), "doubt"),
        _budget(given),
        given.take("encoder", str, "default"),
        _served(given.table("model"), worth),
    )
    given.end()
    return found


def _served(given: _Table | None, worth: Mapping[str, float]) -> Served | None:
    if given is None:
        return None
    from palate.oracles.language_model.ledger import TokenPrice

    is_priced = given.has("read") or given.has("written")
    price = TokenPrice(given.take("read", float, 0.0), given.take("written", float, 0.0)) if is_priced else None
    unit = given.take("unit", str, "USD")
    if is_priced and unit not in worth:
        raise OptionError(f"the model is paid in {unit}, whose worth is not said. Give it under [worth].")
    found = Served(
        given.take("base_url", str),
        given.take("model", str),
        given.take("key_env", str, "OPENAI_API_KEY"),
        price,
        worth.get(unit, 0.0) if is_priced else 0.0,
    )
    given.end()
    return found


def _taste(given: _Table, worth: Mapping[str, float]) -> TastePart:
    users = tuple(normalise_id(one, "user") for one in several(given.take("users", list), "users"))
    others = {}
    for kind in ("annotator", "model", "pseudo-label"):
        table = given.table(kind)
        if table is not None:
            others[kind] = _who(table, kind, worth)
            if kind != "annotator" and others[kind].answers is None:
                raise OptionError(f"the {kind} sits at no terminal. Give answers, a file of what it says.")
    found = TastePart(
        users,
        _who(given.table("user"), "person", worth),
        others,
        given.take("again", bool, True),
        _budget(given),
        number(given.take("least", float, 0.0), "least", least=0.0),
    )
    given.end()
    if not users:
        raise OptionError("[taste] names 0 users. Say whose is asked about: users = ['ann'].")
    return found


def _budget(given: _Table) -> float:
    return positive(given.take("budget", float, None), "budget") if given.has("budget") else math.inf


def _who(given: _Table | None, kind: str, worth: Mapping[str, float]) -> Who:
    """Somebody, and what an answer of theirs costs; by themselves they sit at the terminal, for their time alone."""
    table = given or _Table({}, kind, Path())
    terms = Terms(
        number(table.take("price", float, 0.0), "price"),
        table.take("unit", str, "s"),
        number(table.take("seconds", float, Terms().seconds), "seconds"),
        family=table.take("family", str, ""),
    )
    tokens = number(table.take("tokens", float, 0.0), "tokens")
    cost = terms.cost({"s": 1.0} | dict(worth), tokens=tokens)
    answers = None if table.get("answers", TERMINAL) == TERMINAL else table.path("answers")
    table.drop("answers")
    source = normalise_id(table.take("source", str, kind), "source")
    weight = number(table.take("weight", float, 0.25), "weight")
    table.end()
    return Who(source, answers, positive(cost, f"the cost of {source}"), terms.family, weight)


class _Table:
    """A table of the file; what nobody takes out of it is an error."""

    def __init__(self, rows: Mapping[str, Any], name: str, folder: Path) -> None:
        self._rows, self._name, self._folder = dict(rows), name, folder

    def has(self, name: str) -> bool:
        return name in self._rows

    def get(self, name: str, default: object) -> object:
        return self._rows.get(name, default)

    def drop(self, name: str) -> None:
        self._rows.pop(name, None)

    def take(self, name: str, kind: type[T], *default: Any) -> T:
        if name not in self._rows:
            if not default:
                raise OptionError(f"{self._name} has no {name}. Give one.")
            found: T = default[0]
            return found
        value = self._rows.pop(name)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        return instance(value, kind, f"{name} of {self._name}", f"a {_WORDS.get(kind, kind.__name__)}")

    def path(self, name: str, default: str = "") -> Path | None:
        text = self.take(name, str, default)
        return self._folder / text if text else None

    def table(self, name: str) -> _Table | None:
        if name not in self._rows:
            return None
        return _Table(self.take(name, dict), f"[{name}]", self._folder)

    def end(self) -> None:
        if self._rows:
            known = ", ".join(map(shown, self._rows))
            raise OptionError(f"{self._name} has {known}, which means nothing here. Take it out, or correct the name.")


_WORDS = {str: "text", float: "number", dict: "table", list: "list", bool: "true or false"}


def answers_of_items(who: Who, attribute: ItemAttribute) -> dict[str, int]:
    """What somebody says of items, from a table of ``item_id`` and ``option``: its text or its place.

    Raises:
        DataError: If it cannot be read, or names what is no option.
    """
    found = {}
    for number_, row in _rows(who, ("item_id", "option")):
        text = row["option"].strip()
        if text in attribute.options:
            found[normalise_id(row["item_id"], "item_id")] = attribute.options.index(text)
        elif text.isdecimal() and int(text) < len(attribute.options):
            found[normalise_id(row["item_id"], "item_id")] = int(text)
        else:
            options = ", ".join(attribute.options)
            raise DataError(f"line {number_} of {who.answers}: {shown(text)} is no option. There are {options}.")
    return found


def answers_of_users(who: Who) -> dict[tuple[str, str], float]:
    """What somebody says of users and items, from a table of ``user_id``, ``item_id`` and ``rating``.

    Raises:
        DataError: If it cannot be read.
    """
    found = {}
    for number_, row in _rows(who, ("user_id", "item_id", "rating")):
        try:
            value = float(row["rating"])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DataError(f"line {number_} of {who.answers}: the rating {shown(row['rating'])} is no number.")
        found[normalise_id(row["user_id"], "user_id"), normalise_id(row["item_id"], "item_id")] = value
    return found


def _rows(who: Who, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    assert who.answers is not None, "who sits at the terminal has no file"
    try:
        with who.answers.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(f"{who.answers} has no column {missing[0]}. Give a CSV with {', '.join(columns)}.")
            rows = list(reader)
    except OSError as error:
        raise DataError(f"{who.answers} cannot be read: {error.strerror}. Give a CSV.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{who.answers} is no CSV in UTF-8: {error}. Give one with {', '.join(columns)}.") from None
    for place, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise DataError(f"line {place} of {who.answers} has not as many cells as the head. Correct it.")
    return list(enumerate(rows, 2))
