"""Language models that answer questions, by any OpenAI-compatible server; needs httpx, of the extra ``serve``.

    from palate.oracles.language_model import LanguageModel, calibrate, draw_gold

What they say counts once it is calibrated on gold drawn at random. What they are sent of items is untrusted, what they
send back is one of the options or nothing, and no call goes over a budget.
"""

from palate.oracles.language_model.asked import InPlace
from palate.oracles.language_model.choosing import Said
from palate.oracles.language_model.concepts import Kept, keep, propose
from palate.oracles.language_model.gold import Calibrated, calibrate, draw_gold
from palate.oracles.language_model.language_model import LanguageModel
from palate.oracles.language_model.ledger import FREE, Ledger, TokenPrice
from palate.oracles.language_model.modes import Mode
from palate.oracles.language_model.prompts import Choice
from palate.oracles.language_model.reading import read, reading_choice
from palate.oracles.language_model.server import Limits, SpentError

__all__ = [
    "FREE",
    "Calibrated",
    "Choice",
    "InPlace",
    "Kept",
    "LanguageModel",
    "Ledger",
    "Limits",
    "Mode",
    "Said",
    "SpentError",
    "TokenPrice",
    "calibrate",
    "draw_gold",
    "keep",
    "propose",
    "read",
    "reading_choice",
]
