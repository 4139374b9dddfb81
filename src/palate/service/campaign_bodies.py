"""What calls about campaigns hold and answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from palate.service.bodies import Id, OneOrMany, Strict, Time

Words = Annotated[str, StringConstraints(max_length=1_000, pattern="^[^\\x00]*$")]
Whole = Annotated[int, Field(ge=0, le=10_000)]
State = Literal["open", "paused", "closed"]
MOST_LISTED = 100_000  # users, items or truths of one campaign


class CampaignIn(Strict):
    """A labelling job."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "first", "question": "How would they rate it?", "users": ["ann"], "budget": 100}]
        }
    )

    key: Id | None = Field(None, description="Made by the client: the campaign's id; the same again makes no other.")
    name: Id
    question: Words
    subject: Id = Field("taste", description="taste, or the name of an attribute of items.")
    users: list[Id] = Field(default_factory=list, max_length=MOST_LISTED, description="Of taste: whose.")
    items: list[Id] = Field(default_factory=list, max_length=MOST_LISTED, description="None: all of the model.")
    options: list[Words] | None = Field(None, max_length=20, description="Of an attribute: 2 to 20 texts.")
    overlap: Annotated[int, Field(ge=1, le=10_000)] = 1
    budget: Annotated[int, Field(ge=0, le=10**9)] | None = Field(None, description="Labels that may be bought.")
    price: Annotated[float, Field(ge=0.0, le=1e9)] = 0.0
    repeat_every: Whole = Field(0, description="Of taste: one in so many is asked again of the same annotator.")
    gold: dict[Id, Annotated[int, Field(ge=0, le=19)]] = Field(default_factory=dict, max_length=MOST_LISTED)
    gold_every: Whole = 0
    lease_seconds: Annotated[float, Field(gt=0.0, le=604_800.0)] = 120.0
    stop: Annotated[float, Field(ge=0.0)] | None = Field(None, description="Expected gain below which it stops.")


class Campaign(BaseModel):
    """A labelling job as it is kept: what was sent, and this."""

    model_config = ConfigDict(extra="allow")

    id: str
    name: str
    question: str
    subject: str
    state: State
    made_at: float


class CampaignOut(BaseModel):
    """One campaign."""

    campaign: Campaign


class Brief(BaseModel):
    """What an annotator sees of a campaign."""

    model_config = ConfigDict(extra="allow")

    id: str
    name: str
    question: str
    subject: str
    state: State


class CampaignsOut(BaseModel):
    """Campaigns, the last first; to an annotator without what is not theirs to know."""

    campaigns: list[Brief]


class StateIn(Strict):
    """What becomes of a campaign: paused gives nothing new and takes labels; closed takes none."""

    state: State


class OfAnnotator(BaseModel):
    """What an annotator did in a campaign."""

    source: str
    labels: int
    skipped: int
    flagged: int
    median_seconds: float | None


class Progress(BaseModel):
    """How far a campaign is."""

    labels: int
    skipped: int
    flagged: int
    leased: int
    budget_left: int | None
    spent: float
    annotators: list[OfAnnotator]
    expected_gain_left: float = Field(description="Of the best pair that is free.")


class ProgressOut(BaseModel):
    """A campaign, and how far it is."""

    campaign: Campaign
    progress: Progress


class NextQuery(BaseModel):
    """What an annotator asks for."""

    model_config = ConfigDict(extra="forbid")

    campaign: Id
    k: Annotated[int, Field(ge=1, le=20)] = 1
    held: Annotated[str, StringConstraints(max_length=1_000, pattern="^[A-Za-z0-9,]*$")] = Field(
        "", description="Ids of leases that they hold and have not looked at, with commas between."
    )


class Value(BaseModel):
    """What can be answered."""

    key: str = Field(description="Of a keyboard, as on Palate's own pages; empty of options beyond the tenth.")
    value: float
    label: str


class LeaseOut(BaseModel):
    """A question that is the annotator's until it expires, with what is to be shown."""

    lease_id: str
    expires_at: float
    user_id: str = Field(description="Whose taste; empty of an attribute.")
    item_id: str
    title: str
    text: str
    image: str | None
    audio: str | None
    values: list[Value]
    why: str
    gain: float


class Mine(BaseModel):
    """How far the annotator and the team are."""

    mine: int
    team: int
    budget_left: int | None
    expected_gain_left: float


class NextOut(BaseModel):
    """The questions that are the annotator's now."""

    campaign: Brief
    leases: list[LeaseOut]
    stale: list[str] = Field(description="Leases that were taken back, since there is better to ask.")
    done: str | None = Field(None, description="Why there is none: paused, closed, budget, gain or asked.")
    progress: Mine


class LeaseLabel(Strict):
    """An annotator's answer to a question that is theirs; what it is about is known."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"key": "k1", "lease_id": "0f3c", "value": 4}]})

    key: Id
    lease_id: Id
    kind: Literal["rating", "unknown", "no-opinion", "skipped"] = "rating"
    value: float | None = Field(None, description="The rating, or the place of the option.")
    shown_at: Time | None = Field(None, description="When it came on the screen: it may have been fetched before.")
    answered_at: Time | None = None
    reason: Words = Field("", description="Why it was skipped.")


class LeaseStateOut(BaseModel):
    """A lease as it is now."""

    lease_id: str
    state: str
    expires_at: float


class NoteIn(Strict):
    """A flag and a comment; the last one of a lease counts."""

    key: Id
    flag: bool = False
    comment: Words = ""


class NoteOut(BaseModel):
    """A note that is kept."""

    key: str


class Asked(BaseModel):
    """What was asked and why, and what came of it: one line each."""

    model_config = ConfigDict(extra="allow")

    id: str
    source: str
    user_id: str
    item_id: str
    state: str


LEASE_LABELS = OneOrMany(LeaseLabel)
