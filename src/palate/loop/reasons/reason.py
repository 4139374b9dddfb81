"""A reason: what lifts an item, in a form that any language can say."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from palate.errors.checks import one_of
from palate.loop.reasons import chinese, english
from palate.loop.reasons.phrases import Facts

LANGUAGES = ("en", "zh")
_SAID = {"en": english.say, "zh": chinese.say}


class Kind(StrEnum):
    """What lifts an item."""

    TOGETHER = "together"  # people who met what the user met, met it too
    SAME_WORDS = "same-words"  # its content is that of something the user met
    SAME_MAKER = "same-maker"  # several that the user met are by the same maker
    SAME_CATEGORY = "same-category"  # several that the user met are of its category
    AGAIN = "again"  # the user did it before
    KNOWN = "known"  # people who know what the user knows, know it
    ANSWERS = "answers"  # what the user answered says that they will like it
    ABOUT_YOU = "about-you"  # who the user is, or what they did, says so
    WELL_LIKED = "well-liked"  # most of those who rated it liked it
    POPULAR = "popular"  # many met it
    LATELY = "lately"  # many met it lately
    FRIENDS = "friends"  # friends of the user met it
    NEW = "new"  # nobody has rated it, or too few to speak of


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an item is in a list.

    Attributes:
        kind: What lifts it.
        facts: What is said of that.
        items: Ids of what is named in it, most telling first.
        part: Name of the part of the score that it speaks of.
    """

    kind: Kind
    facts: Facts = field(default_factory=Facts)
    items: tuple[str, ...] = ()
    part: str = ""

    def text(self, language: str = "en") -> str:
        """It in words.

        Args:
            language: ``en`` or ``zh``.
        Raises:
            OptionError: If the language is another.
        """
        return _SAID[one_of(language, LANGUAGES, "language")](self.kind.value, self.facts)
