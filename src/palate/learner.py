"""The loop as a pure value: ask, tell, undo. Each answer gives the next learner, and the old one still works."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np
import polars as pl

from palate.acquisition import ABOUT_ITEM, DEFAULT
from palate.acquisition.draw import Draw
from palate.acquisition.oracle_choice import Action
from palate.acquisition.strategy import Score, Strategy
from palate.acquisition.targets import KNOWN
from palate.arrays import Progress
from palate.costs import Budget, Price, Seconds
from palate.datasets.tables import Dataset
from palate.encoders.histories.history import HistoryName
from palate.encoders.protocol import Encoder
from palate.entities import ITEM, USER, Answer, Form, Item, Question
from palate.entities.item_attributes import ItemAttribute
from palate.errors.checks import count, normalise_id, number, path_of
from palate.loop import all_lists, ask_about_item, ask_pairs, ask_user, checkpoint, lists, next_step, taken
from palate.loop.lists import Interest, ListArguments, Recommendation
from palate.loop.memory import Memory
from palate.loop.state import UserState
from palate.model.explain import ItemReport, explain_item
from palate.model.fit import check_arguments, fit_model
from palate.model.model import Model
from palate.model.new_items import extend
from palate.oracles.source_reliability import Reliability
from palate.posteriors.likelihood import Likelihood
from palate.random import generator
from palate.records import Attribute, Event

RANDOM_SHARE = 0.05  # what is never asked can never be estimated from the answers


@dataclass(frozen=True, slots=True, eq=False)
class Learner:
    """What is believed about everybody, and what to ask next.

    Wherever ``rng`` is left out, draws come from the seed, the user and how much they have told: the same learner asks
    the same.

    Attributes:
        memory: The batch fit, and what was told since.
        seed: Of the fit, and of draws without ``rng``.

    Example:
        >>> from palate import Learner
        >>> from palate.datasets import planted_world
        >>> import numpy as np
        >>> world = planted_world(users=60, items=40, rng=np.random.default_rng(0))
        >>> learner = Learner.fit(world.dataset, encoder="none")
        >>> (question,) = learner.ask("newcomer")
        >>> after = learner.tell(question.answer(4))
        >>> len(after.told["newcomer"]), "newcomer" in learner.told
        (1, False)
    """

    memory: Memory
    seed: int = 0

    @classmethod
    def fit(
        cls,
        data: Dataset,
        *,
        encoder: str | Encoder = "default",
        image: str | Encoder | None = None,
        audio: str | Encoder | None = None,
        categories: bool = False,
        on_corrupt: Literal["raise", "skip"] = "raise",
        likelihood: str | Likelihood = "auto",
        dim: int | None = None,
        history: HistoryName = "mean",
        companions: bool = False,
        adapt: Literal["none", "linear", "lora"] = "none",
        item_attributes: Iterable[ItemAttribute] = (),
        labels: Iterable[Answer] = (),
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Learner:
        """Batch fit.
        Args:
            data: Ratings, events, items; where a table of users says who they are, that is a prior of their taste.
            encoder: A text encoder or its name (``palate encoders``), or ``none``.
            image, audio: Encoders of the items' images and sounds, or their names; None: these are left out.
            categories: Whether the items' categories count on their own, beside their words in the text.
            on_corrupt: ``raise`` at an image or sound that cannot be read, or ``skip`` it: its item goes without.
            likelihood: ``gaussian`` ratings, ``ordered`` stars of uneven steps, ``probit`` likes, ``implicit`` events,
                or ``auto``: implicit where there is no rating, probit where ratings are 0 and 1, gaussian otherwise,
                unless another tells answers held out better. Or one with other weights: ``Implicit(24.0, 8.0)``.
            dim: Taste dimensions at the start, those without support are dropped; None: 16, of many events up to 64.
            history: What encodes histories: the recency-weighted ``mean`` of content; that of ``factors``; the encoder
                of text, told what was liked and disliked (``text``); or a Transformer trained on the data
                (``behaviour``, which needs the extra hf).
            companions: Without effect: what comes with what is always counted.
            adapt: Whether the text encoder is adapted to the answers, if that tells more of items held out: ``linear``
                maps its encodings, ``lora`` trains it (extra hf); ``model.adaptation`` says what came of it.
            item_attributes: What labels say of items: each a feature of the items, or a filter of lists where it has
                ``only`` and ``at_least`` (:mod:`palate.model.item_labels`).
            labels: Answers kept since; they count in the fit and are told again after it.
            progress: Called with (what, done, of).
        Raises:
            DataError: If the data has nothing to learn from.
            OptionError: If an option is unknown, or there is nothing to adapt.
        """
        answers = taken.several(labels, Answer)
        given = check_arguments(
            {
                "data": data,
                "encoder": encoder,
                "image": image,
                "audio": audio,
                "categories": categories,
                "on_corrupt": on_corrupt,
                "likelihood": likelihood,
                "dim": dim,
                "history": history,
                "companions": companions,
                "adapt": adapt,
                "item_attributes": item_attributes,
                "seed": seed,
                "progress": progress,
            }
        )
        return cls(Memory(fit_model(**given, labels=answers)).tell(answers), given["seed"])

    @property
    def model(self) -> Model:
        """The batch fit, its items as all answers since have taught them."""
        return self.memory.model

    @property
    def told(self) -> Mapping[str, tuple[Answer, ...]]:
        """Answers since the fit, by user."""
        return self.memory.told

    def state(self, user_id: str) -> UserState:
        """What is held about a user; somebody never heard of has the population's belief."""
        return self.memory.state(user_id)

    def knows(self, user_id: str) -> bool:
        """Whether anything is held about a user."""
        return self.memory.knows(user_id)

    def ask(
        self,
        user_id: str,
        *,
        k: int = 1,
        strategy: str | Strategy | Score = DEFAULT,
        forms: Sequence[str] = (Form.RATE,),
        candidates: Sequence[str] | None = None,
        concepts: Sequence[str] | None = None,
        seconds: Seconds | None = None,
        targets: str = KNOWN,
        random_share: float = RANDOM_SHARE,
        draw: Draw = "greedy",
        rng: np.random.Generator | None = None,
    ) -> tuple[Question, ...]:
        """Up to ``k`` questions worth asking a user now, best first. Reads only.
        Args:
            strategy: How items to rate are chosen: a name, a strategy, or a function that scores. Where other forms are
                asked too, all are compared by one measure: the expected fall of the uncertainty about what the user
                may be shown, per second.
            forms: Of question: ``rate``, ``pair``, ``group``, ``page``, ``concept``, ``preview``, ``pick``, ``recall``
                (to name one that is liked: first where it is given, and three times at most).
            candidates: Ids that may be asked; the whole catalogue if None. What the user has answered is left out.
            concepts: Names of categories, or other words, that may be asked; all categories if None.
            seconds: What each form costs; None: the assumptions of :mod:`palate.costs`.
            targets: What is to be predicted well, of a strategy that is aimed, as the default is not, whose aim is the
                list: ``known``, what the user is likely to know; ``slate``, what they are likely to be shown next;
                ``popularity``; or ``uniform``.
            random_share: Probability that a question to rate an item is drawn uniformly instead.
            draw: ``greedy`` takes the best; ``power``, ``softmax`` and ``softrank`` draw by the scores.
            rng: Breaks ties, and draws where the strategy does.
        Raises:
            UnknownItem, OptionError: If a candidate, a concept, the strategy or a form is unknown or does not fit.
        """
        costs = Seconds() if seconds is None else seconds
        wish = ask_user.Wish(forms, strategy, candidates, concepts, costs, targets, random_share, draw)
        return ask_user.ask(self.memory, user_id, wish, k=k, rng=self._rng(rng, "ask", normalise_id(user_id, USER)))

    def ask_about(
        self,
        item_id: str,
        *,
        k: int = 1,
        strategy: str | Strategy | Score = ABOUT_ITEM,
        users: Sequence[str] | None = None,
        random_share: float = RANDOM_SHARE,
        rng: np.random.Generator | None = None,
    ) -> tuple[Question, ...]:
        """Up to ``k`` users to ask about an item, to learn what everybody will think of it, best first. Reads only.
        Args:
            users: Who may be asked; everybody known if None.
        Raises:
            UnknownItem: If the model does not hold the item.
            OptionError: If a user or the strategy is unknown.
        """
        draws = self._rng(rng, "ask about", normalise_id(item_id, ITEM))
        return ask_about_item.whom_to_ask(
            self.memory, item_id, k=k, strategy=strategy, users=users, random_share=random_share, rng=draws
        )

    def ask_pairs(
        self, budget: int, *, per_user: int | None = None, rng: np.random.Generator | None = None
    ) -> tuple[Question, ...]:
        """The ``budget`` questions that tell most about all users and items together. Reads only.
        Args:
            per_user: At most so many to one user; no limit if None.
        Raises:
            OptionError: If budget or per_user is below 1.
        """
        return ask_pairs.pairs_to_ask(self.memory, budget, per_user=per_user, rng=self._rng(rng, "ask pairs"))

    def decide(
        self,
        user_id: str,
        prices: Mapping[Action, Price],
        *,
        learnt: Mapping[Action, Reliability] | None = None,
        labels: Sequence[Answer] = (),
        budget: Budget | None = None,
        candidates: Sequence[str] | None = None,
        least: float = 0.0,
        rng: np.random.Generator | None = None,
    ) -> next_step.Step:
        """Whom to ask about what, for the most that is learnt for its price (:mod:`palate.loop.next_step`)."""
        draws = self._rng(rng, "decide", normalise_id(user_id, USER))
        return next_step.next_step(
            self.memory, user_id, prices, learnt, labels, budget=budget, candidates=candidates, least=least, rng=draws
        )

    def _rng(self, rng: np.random.Generator | None, *names: str) -> np.random.Generator:
        told = len(self.told.get(names[1], ())) if len(names) > 1 else len(self.told)
        return generator(rng, self.seed, *names, str(told))

    def tell(self, answers: Answer | Iterable[Answer]) -> Learner:
        """The learner that has one answer more, or several. This one stays as it is.
        An answer without a key gets one; one whose key was told before changes nothing, even if it was undone since.
        Raises:
            UnknownItem, AnswerError: If one of them cannot be taken; then none is.
        """
        return replace(self, memory=self.memory.tell(answers))

    def check(self, answer: Answer) -> Answer:
        """The answer with a key, if this model can take it.
        Raises:
            UnknownItem, AnswerError: If it cannot.
        """
        return taken.check_answer(self.memory.fitted, answer)

    def undo(self, user_id: str, key: str | None = None) -> Learner:
        """The learner as if an answer had never been given: by replay, so exactly.
        Args:
            key: Of the answer; the user's last one if None.
        Raises:
            AnswerError: If there is nothing to undo.
        """
        return replace(self, memory=self.memory.undo(user_id, key))

    def see(self, events: Event | Iterable[Event]) -> Learner:
        """The learner that knows of events (:func:`palate.events`). They move the prior of the user's taste.
        Raises:
            UnknownItem: If the model does not hold an item.
        """
        return replace(self, memory=self.memory.see(events))

    def know(self, user_id: str, /, **attributes: Any) -> Learner:
        """The learner that knows who a user is, by attributes such as age. They move the prior of the user's taste.

        What was told before of the same attribute, or is in the data, no longer counts; the others stay. The fit learns
        what attributes say of taste from the data's own table of users, not from what is told here.
        Args:
            attributes: By the names of the columns in that table; None for what is not known. ``friends=["bob"]`` are
                whom they follow (:mod:`palate.loop.friends`).
        Raises:
            OptionError: If none is given, or a name or a value cannot be taken. A model that knows no attributes takes
                all: they count once a recommender is fitted anew.
        """
        given = [Attribute(user_id, name, value) for name, value in attributes.items()]
        return replace(self, memory=self.memory.know(given))

    def at(self, time: float) -> Learner:
        """The learner at a time, in seconds since the epoch: what people said has faded until then, if it does at all
        (``model.forgetting``). Otherwise it has until each was heard last.
        """
        return replace(self, memory=self.memory.at(number(time, "time")))

    def search(self, typed: str, k: int = 5) -> list[Item]:
        """Up to k items that are called so or nearly so, likeliest first (:mod:`palate.model.titles`)."""
        return [self.model.catalogue.item(place) for place in self.model.titles.search(typed, count(k, "k"))]

    def titles_in(self, text: str) -> list[Item]:
        """Items whose titles stand in what somebody wrote, in order; what else it says is not read."""
        return [self.model.catalogue.item(place) for place in self.model.titles.within(text)]

    def recommend(
        self,
        user_id: str,
        k: int = 10,
        *,
        exclude: Sequence[str] = (),
        allow: Sequence[str] | None = None,
        category: str | None = None,
        include_seen: bool = False,
        familiarity: float = 1.0,
        min_certainty: float = 0.0,
        diversity: float = 0.0,
        language: str = "en",
        explore: float = 0.0,
        rng: np.random.Generator | None = None,
    ) -> list[Recommendation]:
        """The list to show: up to k items, those first that a user is likeliest to take up next and to like.
        Args:
            exclude: Ids never to show. Ids the model does not hold are ignored: a list may outlive an item.
            allow: Ids that may be shown; all if None.
            category: Only items of this category.
            include_seen: Also what the user rated, told of or did, by how likely they do it again where people do.
            familiarity: In [0, 1]: 1 predicts what is taken up and liked, 0 what would be liked, however unknown.
            min_certainty: In [0, 1]: only items of which at least this share of the prior variance is resolved.
            diversity: In [0, 1]: 1 ranks by difference from what is above alone.
            language: Of the reasons: ``en`` or ``zh``.
            explore: Temperature at which the list is drawn (:mod:`palate.loop.explore`), without diversity; 0: none is.
        Raises:
            OptionError: If k or explore is negative, a share is not in [0, 1], or the language is another.
            UnknownItem: If an allowed item or the category is not in the model.
        """
        wish = lists.Wish(exclude, allow, category, include_seen, familiarity, min_certainty, diversity, language)
        draws = self._rng(rng, "recommend", normalise_id(user_id, USER))
        return lists.recommend(self.memory, user_id, wish, k=k, explore=explore, rng=draws)

    def recommend_all(
        self, users: Iterable[str] | None = None, k: int = 10, **options: Unpack[ListArguments]
    ) -> Iterator[pl.DataFrame]:
        """The lists of many users, as tables of a thousand users each, so that not all of them need be in memory.

        A row an item: user_id, rank (from 1), item_id, score, std, chance, reason. Who has nothing left has no row.
        Args:
            users: Ids, in the order wanted; everybody who is known if None.
            k: Of each user.
            options: As of :meth:`recommend`.
        Raises:
            OptionError, UnknownItem: As of :meth:`recommend`; before the first table.
        """
        return all_lists.lists_of(self.memory, users, lists.Wish.of(options), k=k)

    def companions(self, user_id: str, k: int = 10, **options: Unpack[ListArguments]) -> list[Recommendation]:
        """:meth:`recommend`, under the name of what was a list of its own. Gives a DeprecationWarning."""
        warnings.warn("companions is recommend now. Call recommend.", DeprecationWarning, stacklevel=2)
        return self.recommend(user_id, k, **options)

    def profile(self, user_id: str) -> list[Interest]:
        """Interest in each category against the average person, most first, with 95 % intervals."""
        return lists.profile(self.memory, user_id)

    def explain_item(self, item_id: str) -> ItemReport:
        """What an item's text, image, sound and categories say of it (:func:`palate.model.explain.explain_item`).
        Raises:
            UnknownItem: If the model does not hold it.
        """
        return explain_item(self.model, item_id)

    def with_items(
        self, items: Any, *, folder: str | Path | None = None, on_corrupt: Literal["raise", "skip"] = "raise"
    ) -> Learner:
        """The learner with new items, whose factors come from what they hold: text, image, sound, categories.
        Args:
            items: A table that Narwhals reads, with item_id and any of title, text, category, image, audio. What an
                item lacks is as unsure as it is among the items of the model.
            folder: Where paths in image and audio start; bytes need none.
            on_corrupt: As in :meth:`fit`.
        Raises:
            DataError: If an id is in the model already or comes twice, or a row cannot be read.
        """
        where = None if folder is None else path_of(folder, "folder")
        return replace(self, memory=self.memory.under(extend(self.memory.fitted, items, where, on_corrupt)))

    def save(self, folder: str | Path) -> None:
        """Write the model folder: safetensors, JSON and parquet, and what was told into its log."""
        checkpoint.save(self.memory, checkpoint.folder_of(folder), seed=self.seed)

    @classmethod
    def load(cls, folder: str | Path, *, encoders: Iterable[Encoder] = ()) -> Learner:
        """Read a model folder and replay its log.
        Args:
            encoders: Those of your own that it was fitted with.
        Raises:
            ModelFolderError: If it is damaged, unsafe or of a newer format.
        """
        loaded = checkpoint.load(checkpoint.folder_of(folder), encoders)
        return cls(loaded.memory, loaded.seed)
