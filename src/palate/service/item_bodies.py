"""What calls about items hold and answer."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from palate.service.bodies import Id
from palate.service.settings import MAX_LIST


class SearchQuery(BaseModel):
    """What is looked for."""

    model_config = ConfigDict(extra="forbid")

    q: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    k: Annotated[int, Field(ge=0, le=MAX_LIST)] = 5


class DetailsQuery(BaseModel):
    """Which items."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[list[Id], Field(min_length=1, max_length=100)]


class Found(BaseModel):
    """An item that is called so."""

    item_id: str
    title: str


class SearchOut(BaseModel):
    """What was found, likeliest first."""

    items: list[Found]


class Details(BaseModel):
    """What an item is, as one shows it."""

    item_id: str
    title: str = Field(description="As people say it: without year and series, its article in front.")
    year: str
    categories: list[str]
    text: str
    has_image: bool


class DetailsOut(BaseModel):
    """Items, in the order in which they were named."""

    items: list[Details]


class TextOut(BaseModel):
    """All of an item's text."""

    item_id: str
    text: str


class AttributeOut(BaseModel):
    """What those who label items say of an attribute of one."""

    name: str
    options: list[str]
    probabilities: list[float] | None = Field(description="Of the options; null where nobody labelled the item.")
    at_least: list[float] | None = Field(description="Lower bounds of the probabilities.")
    votes: float = Field(description="One for each source, less where it is not always right; one for each family.")
    known: bool = Field(description="Whether the option is known from gold.")
    calibrated: bool = Field(description="Whether the probabilities were fitted on items whose option is known.")


class AttributesOut(BaseModel):
    """The attributes of an item that the model was fitted with."""

    item_id: str
    attributes: list[AttributeOut]


class ItemsOut(BaseModel):
    """How many items are new, and how many have other content now."""

    added: int
    changed: int


class Withdrawn(BaseModel):
    """An item that is in no list any more."""

    item_id: str
