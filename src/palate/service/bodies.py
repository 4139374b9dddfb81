"""What calls hold, as pydantic models: nothing that is not named here is taken, and no number that is not finite."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, TypeAdapter

from palate.service.settings import MAX_BATCH, MAX_LIST, MAX_QUESTIONS

LAST_SECOND = 253_402_300_799.0  # of the year 9999
FORMS = Literal["rate", "pair", "group", "pick", "concept", "preview", "recall", "slate"]
ASKED = Literal["rate", "pair", "group", "page", "concept", "preview", "recall", "pick"]

# What an id may hold, as far as a pattern can say it: no control character, nothing that does not show, not only space.
_BAD = (
    "\\x00-\\x1f\\x7f-\\x9f\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e"
)
_BAD += "\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\uffff"
ID_PATTERN = f"^[^{_BAD}]*[^\\s{_BAD}][^{_BAD}]*$"

SLASH = "\0"  # stands for a slash inside a part of a path (gate.py)
Id = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=ID_PATTERN)]
PathId = Annotated[
    str, BeforeValidator(lambda text: text.replace(SLASH, "/")), Field(min_length=1, max_length=256, pattern=ID_PATTERN)
]
Word = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern="^[a-z0-9][a-z0-9_.-]{0,63}$")]
Time = Annotated[float, Field(ge=0.0, le=LAST_SECOND)]
Words = Annotated[str, StringConstraints(max_length=100_000)]


class Strict(BaseModel):
    """What is sent: no further fields, no other types, no number that is not finite."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Label(Strict):
    """One answer. Which fields it needs hangs on its form."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"key": "k1", "user_id": "ann", "item_id": "i1", "kind": "rating", "value": 4}]}
    )

    key: Id = Field(description="Made by the client: the same key again changes nothing.")
    user_id: Id
    item_id: Annotated[str, StringConstraints(max_length=256)] = Field(
        "", description="The item; the first of several; the name of the concept; what was named."
    )
    kind: Literal["rating", "unknown", "no-opinion", "skipped"] = "rating"
    value: float | None = Field(None, description="The rating; 1 or 0 to a pair, a concept or a preview.")
    form: Literal[FORMS, "words"] = "rate"
    others: list[Id] = Field(default_factory=list, max_length=100, description="The further items of several.")
    tapped: list[Id] = Field(default_factory=list, max_length=100, description="Tapped, picked or clicked of them.")
    text: Words = Field("", description="Of the form words: what somebody wrote; titles in it are named.")
    source: Id | None = Field(None, description="Who answered; by default a person.")
    question_id: Annotated[str, StringConstraints(max_length=256)] | None = None
    asked_at: Time | None = None
    answered_at: Time | None = None
    cost: Annotated[float, Field(ge=0.0, le=1e9)] | None = None
    slate: Id | None = Field(None, description="Id of the list in which the item was shown.")


class Event(Strict):
    """Something that a user did with an item."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"key": "e1", "user_id": "ann", "item_id": "i1", "event": "click"}]}
    )

    key: Id
    user_id: Id
    item_id: Id
    event: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    at: Time | None = None
    slate: Id | None = Field(None, description="Id of the list in which it happened.")


class Attributes(Strict):
    """Who somebody is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"key": "a1", "attributes": {"age": 31}}]})

    key: Id
    attributes: dict[
        Id,
        float | Annotated[str, StringConstraints(max_length=1_000)] | Annotated[list[Id], Field(max_length=500)] | None,
    ] = Field(min_length=1, max_length=100, description="Of friends a list: the ids of those whom they follow.")


class ItemIn(Strict):
    """An item by its content."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"item_id": "i900", "title": "A new one"}]})

    item_id: Id
    title: Annotated[str, StringConstraints(max_length=1_000)] = ""
    text: Words = ""
    category: Annotated[str, StringConstraints(max_length=1_000)] = Field("", description="One or several, | between.")


class TokenIn(Strict):
    """A token for a user's browser."""

    seconds: Annotated[float, Field(gt=0.0, le=31_536_000.0)] = 3_600.0


class Consent(Strict):
    """What a user allows from now on."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"key": "c1", "purposes": ["serve", "ask"], "version": "2026-01"}]}
    )

    key: Id
    purposes: list[Literal["serve", "ask", "research"]] = Field(max_length=3, description="None: nothing is allowed.")
    version: Id = Field(description="Of the text that they were shown.")
    at: Time | None = None


class ListQuery(BaseModel):
    """What a list may be told."""

    model_config = ConfigDict(extra="forbid")

    k: Annotated[int, Field(ge=0, le=MAX_LIST)] = 10
    exclude: Annotated[list[Id], Field(max_length=100)] = []
    category: Id | None = None
    language: Literal["en", "zh"] = Field("en", description="Of the reasons.")


class QuestionQuery(BaseModel):
    """What questions may be told."""

    model_config = ConfigDict(extra="forbid")

    k: Annotated[int, Field(ge=1, le=MAX_QUESTIONS)] = 5
    forms: Annotated[list[ASKED], Field(min_length=1, max_length=8)] = ["rate"]
    strategy: Word | None = None


class ReadyQuery(BaseModel):
    """What it is to be ready for; both if nothing is said."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    purpose: Annotated[Literal["labels", "scoring"] | None, Field(alias="for")] = None


# ---- answers ----


class Fault(BaseModel):
    """What went wrong, without any value that was sent."""

    code: str
    message: str
    field: str | None = Field(None, description="Where the fault is, such as 3.value; null if nowhere alone.")
    request_id: str


class ErrorOut(BaseModel):
    """A fault."""

    error: Fault


class Kept(BaseModel):
    """A row of the log."""

    key: str
    seq: int
    repeated: bool = Field(description="Whether it was kept before.")


class LabelsOut(BaseModel):
    """Rows of labels, in the order in which they were sent."""

    labels: list[Kept]


class EventsOut(BaseModel):
    """Rows of events, in the order in which they were sent."""

    events: list[Kept]


class AttributesOut(BaseModel):
    """Rows of attributes, one for each name."""

    attributes: list[Kept]


class TakenBack(BaseModel):
    """A label that no longer counts."""

    key: str
    repeated: bool


class Listed(BaseModel):
    """One item of a list."""

    item_id: str
    title: str
    score: float
    std: float
    chance: float
    reason: str


class ListOut(BaseModel):
    """A list, best first."""

    user_id: str
    model: str
    seq: int
    slate: str | None = Field(
        None, description="Id of the list, for the events that come of it; null or absent where it was not drawn."
    )
    items: list[Listed]


class Asked(BaseModel):
    """A question, ready to be shown."""

    question_id: str
    form: str
    item_id: str
    others: list[str]
    title: str
    text: str
    value: float
    why: str
    propensity: float


class QuestionsOut(BaseModel):
    """Questions, best first."""

    user_id: str
    model: str
    seq: int
    questions: list[Asked]


class Interest(BaseModel):
    """Interest in a category against the average person, with a 95 % interval."""

    category: str
    mean: float
    low: float
    high: float
    items: int


class ProfileOut(BaseModel):
    """Interests, most first."""

    user_id: str
    interests: list[Interest]


class TokenOut(BaseModel):
    """A token, and when it ends, in seconds since the epoch."""

    token: str
    expires_at: float


class Version(BaseModel):
    """A model of this folder."""

    id: str
    digest: str
    saved_at: float
    fitted_seq: int
    is_live: bool


class TrialIn(Strict):
    """Which users a version is tried on."""

    share: Annotated[float, Field(ge=0.0, le=1.0)] = Field(0.0, description="Of the users; 0: in the shadow.")


class TrialOut(BaseModel):
    """A version on trial, and how it does beside the model that serves."""

    version: str
    share: float
    is_running: bool
    reason: str = Field(description="Why it was ended; empty while it runs.")
    shown: int
    compared: int
    alike: float | None = Field(description="Share of the items that both show, where it was compared.")
    faults: int
    labels: int
    error: float | None
    live_error: float | None


class TrialsOut(BaseModel):
    """The last trial."""

    trial: TrialOut | None


class VersionsOut(BaseModel):
    """Models, newest first."""

    models: list[Version]


class ErasedOut(BaseModel):
    """That a user was erased, without saying who."""

    seq: int
    key: str
    rows: int
    erased_at: float
    model: str = Field(description="exact, or approximate until the next refit.")


class ExportOut(BaseModel):
    """Everything that is held on a user."""

    model_config = ConfigDict(extra="allow")


class Ready(BaseModel):
    """Whether it is ready; if not, why."""

    ready: bool
    reasons: list[str]


class Alive(BaseModel):
    """Whether the process answers."""

    alive: bool


class OneOrMany:
    """A call that takes one thing or a list of them, parsed and checked in one pass."""

    def __init__(self, kind: type[Strict]) -> None:
        self.kind = kind
        self._one: TypeAdapter[Any] = TypeAdapter(kind)
        many = Annotated[list[kind], Field(min_length=1, max_length=MAX_BATCH)]  # type: ignore[valid-type]
        self._many: TypeAdapter[Any] = TypeAdapter(many)

    def read(self, raw: bytes) -> list[Any]:
        """Raises pydantic's ValidationError."""
        if raw.lstrip(b" \t\r\n")[:1] == b"[":
            found: list[Any] = self._many.validate_json(raw)
            return found
        return [self._one.validate_json(raw)]

    def schema(self) -> dict[str, Any]:
        """Of its JSON, by reference to the schema of one."""
        one = {"$ref": f"#/components/schemas/{self.kind.__name__}"}
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": MAX_BATCH}]}


LABELS, EVENTS, ITEMS = OneOrMany(Label), OneOrMany(Event), OneOrMany(ItemIn)
