"""The loop: ask, tell, undo. A learner never changes; each answer gives the next one, and the old one still works."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from palate.acquisition import DEFAULT
from palate.acquisition.draw import Draw
from palate.acquisition.oracle_choice import Action
from palate.acquisition.targets import KNOWN
from palate.costs import Budget, Price, Seconds
from palate.encoders.histories.events import History
from palate.encoders.histories.history import HistoryName, kind_codes
from palate.entities import USER, Answer, AnswerKind, Form, Question, normalise_id
from palate.errors import AnswerError, OptionError
from palate.loop import next_step as deciding
from palate.loop import replay as hearing
from palate.loop.ask_about_item import whom_to_ask
from palate.loop.ask_pairs import pairs_to_ask
from palate.loop.ask_user import ask_forms, ask_items, forms_of
from palate.loop.next_step import Step
from palate.loop.state import UserState, check_form
from palate.model.model import Model
from palate.oracles.pseudo_labels import is_pseudo, weight_of
from palate.posteriors.attribute_coding import Told
from palate.posteriors.likelihoods import Likelihood

if TYPE_CHECKING:
    from palate.datasets.tables import Dataset
    from palate.loop.lists import Companion, Interest, Recommendation
    from palate.model.explain import ItemReport

RANDOM_SHARE = 0.05  # what is never asked can never be estimated from the answers


@dataclass(frozen=True, slots=True, eq=False)
class Learner:
    """What is believed about everybody, and what to ask next.

    Attributes:
        model: The batch fit.
        told: Answers since the fit, by user, in order.
        histories: Events since the fit, by user.
        undone: Keys of answers taken back since; a repeat of one changes nothing.
        known: Attributes told since the fit, by user and name.

    Example:
        >>> from palate import Learner
        >>> from palate.datasets import planted_world
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> learner = Learner.fit(planted_world(users=60, items=40, rng=rng).dataset, encoder="none")
        >>> (question,) = learner.ask("newcomer", rng=rng)
        >>> after = learner.tell(learner.answer(question, 4))
        >>> len(after.told["newcomer"]), "newcomer" in learner.told
        (1, False)
    """

    model: Model
    told: Mapping[str, tuple[Answer, ...]] = field(default_factory=dict)
    histories: Mapping[str, History] = field(default_factory=dict)
    undone: frozenset[str] = frozenset()
    known: Mapping[str, Mapping[str, Told]] = field(default_factory=dict)
    _states: dict[str, UserState] = field(default_factory=dict, repr=False)  # a cache: replay gives the same
    _rows: Mapping[str, int] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self._rows:
            object.__setattr__(self, "_rows", {user: row for row, user in enumerate(self.model.user_ids)})

    @classmethod
    def fit(
        cls,
        data: Dataset,
        *,
        encoder: str = "default",
        image: str | None = None,
        audio: str | None = None,
        categories: bool = False,
        on_corrupt: Literal["raise", "skip"] = "raise",
        likelihood: str | Likelihood = "auto",
        dim: int = 16,
        history: HistoryName = "mean",
        companions: bool = False,
        adapt: Literal["none", "linear", "lora"] = "none",
        labels: Iterable[Answer] = (),
        seed: int = 0,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> Learner:
        """Batch fit.

        Args:
            data: Ratings, events, items; where a table of users says who they are, that is a prior of their taste.
            encoder: Name of a text encoder (``palate encoders``), or ``none``.
            image: Name of an encoder of the items' images; None: they are not looked at.
            audio: Name of an encoder of their sounds, likewise.
            categories: Whether the items' categories count on their own, beside their words in the text.
            on_corrupt: ``raise`` at an image or sound that cannot be read, or ``skip`` it: its item goes without.
            likelihood: ``gaussian`` ratings, ``probit`` likes, ``implicit`` events, one of one's own, or ``auto``:
                implicit where there is no rating, probit where ratings are 0 and 1, gaussian otherwise.
            dim: Taste dimensions at the start; those the data does not support are dropped.
            history: What encodes histories: the recency-weighted ``mean`` of content; that of ``factors``; the encoder
                of text, told what was liked and disliked (``text``); or a Transformer trained on the data
                (``behaviour``, which needs the extra hf).
            companions: Whether to count what comes with what, for :meth:`companions`. Memory grows with the items, a
                thousand numbers each.
            adapt: Whether the text encoder is adapted to the answers, if that tells more of items held out: ``linear``
                maps its encodings, ``lora`` trains it (extra hf); ``model.adaptation`` says what came of it.
            labels: Answers kept since; they count in the fit and are told again after it.
            progress: Called with (what, done, of).
        Raises:
            DataError: If the data has nothing to learn from.
            OptionError: If an option is unknown, or there is nothing to adapt.
        """
        from palate.model.fit import fit_model

        answers = tuple(labels)
        model = fit_model(
            data,
            encoder=encoder,
            image=image,
            audio=audio,
            categories=categories,
            on_corrupt=on_corrupt,
            likelihood=likelihood,
            dim=dim,
            history=history,
            companions=companions,
            adapt=adapt,
            labels=answers,
            seed=seed,
            progress=progress,
        )
        return cls(model).tell(answers)

    def state(self, user_id: str) -> UserState:
        """What is held about a user; somebody never heard of has the population's belief."""
        user_id = normalise_id(user_id, USER)
        if user_id not in self._states:
            row, answers = self._rows.get(user_id), self.told.get(user_id, ())
            known = {**self.model.described(user_id), **self.known.get(user_id, {})}
            self._states[user_id] = hearing.replay(self.model, row, self.history(user_id), known, answers)
        return self._states[user_id]

    def knows(self, user_id: str) -> bool:
        """Whether anything is held about a user."""
        held = (self._rows, self.told, self.histories, self.known)
        return any(user_id in part for part in held) or bool(self.model.described(user_id))

    def history(self, user_id: str) -> History | None:
        """What a user did, in the data and since, beside answering; None if nothing."""
        row, since = self._rows.get(user_id), self.histories.get(user_id)
        before = self.model.events.of(row) if row is not None and self.model.events is not None else None
        if before is None or since is None:
            return since if before is None else before
        return before + since

    def ask(
        self,
        user_id: str | None = None,
        *,
        item: str | None = None,
        budget: int | None = None,
        k: int = 1,
        strategy: str = DEFAULT,
        kinds: Sequence[str] = (Form.RATE,),
        candidates: Sequence[str] | None = None,
        concepts: Sequence[str] | None = None,
        seconds: Seconds | None = None,
        users: Sequence[str] | None = None,
        per_user: int | None = None,
        targets: str = KNOWN,
        random_share: float = RANDOM_SHARE,
        draw: Draw = "greedy",
        rng: np.random.Generator,
    ) -> tuple[Question, ...]:
        """Up to ``k`` questions worth asking now, best first. Reads only.

        Give one of three: a user, to learn their taste; an ``item``, to learn what everybody will think of it; a
        ``budget``, for the questions that tell most about all users and items together.

        Args:
            item: Whom to ask about it (:func:`palate.loop.ask_about_item.whom_to_ask`), among ``users``.
            budget: Questions over the whole system (:func:`palate.loop.ask_pairs.pairs_to_ask`), at most ``per_user``
                to one.
            strategy: How items to rate are chosen. Where other kinds are asked too, all are compared by one
                measure: the expected fall of the uncertainty about what the user may be shown, per second.
            kinds: Of question: ``rate``, ``pair``, ``group``, ``page``, ``concept``, ``preview``.
            candidates: Ids that may be asked; the whole catalogue if None. What the user has answered is left out.
            concepts: Names of categories, or other words, that may be asked; all categories if None.
            seconds: What each kind costs; None: the assumptions of :mod:`palate.costs`.
            users: Who may be asked about an item; everybody known if None.
            targets: What is to be predicted well: ``known``, what the user is likely to know; ``slate``, what they are
                likely to be shown next; ``popularity``; or ``uniform``.
            random_share: Probability that a question to rate an item is drawn uniformly instead.
            draw: ``greedy`` takes the best; ``power``, ``softmax`` and ``softrank`` draw by the scores.
            rng: Breaks ties, and draws where the strategy does.
        Raises:
            UnknownItem, OptionError: If a candidate, a concept, the strategy or a kind is unknown or does not fit.
        """
        if sum(given is not None for given in (user_id, item, budget)) != 1:
            raise OptionError(
                f"a question goes to one of user_id ({user_id!r}), item ({item!r}) and budget ({budget!r}). Give one."
            )
        if user_id is None and targets != KNOWN:
            raise OptionError(f"targets {targets!r} are what one user may be shown. Give a user_id, or leave them out.")
        if budget is not None:
            return pairs_to_ask(self, budget, per_user=per_user, rng=rng)
        if item is not None:
            return whom_to_ask(self, item, k=k, strategy=strategy, users=users, random_share=random_share, rng=rng)
        user_id, forms = normalise_id(user_id, USER), forms_of(kinds)
        if forms != (Form.RATE,) and targets != KNOWN:
            raise OptionError(f"targets {targets!r} are for questions that rate items. Leave them, or the kinds, out.")
        if forms == (Form.RATE,):
            return ask_items(
                self,
                user_id,
                k=k,
                strategy=strategy,
                candidates=candidates,
                targets=targets,
                random_share=random_share,
                draw=draw,
                rng=rng,
            )
        return ask_forms(
            self,
            user_id,
            forms=forms,
            k=k,
            strategy=strategy,
            candidates=candidates,
            concepts=concepts,
            seconds=seconds or Seconds(),
            rng=rng,
        )

    def decide(
        self,
        user_id: str,
        prices: Mapping[Action, Price],
        *,
        labels: Sequence[Answer] = (),
        budget: Budget | None = None,
        candidates: Sequence[str] | None = None,
        least: float = 0.0,
        rng: np.random.Generator,
    ) -> Step:
        """Whom to ask about what, for the most that is learnt for its price, or to stop: :func:`deciding.next_step`."""
        return deciding.next_step(
            self, user_id, prices, labels=labels, budget=budget, candidates=candidates, least=least, rng=rng
        )

    def answer(
        self, question: Question, value: float | AnswerKind | Sequence[str], *, source: str = "person"
    ) -> Answer:
        """An answer to a question, ready for :meth:`tell`.

        Args:
            value: The rating; 1 for the first of a pair, 0 for the second; 1 for yes, 0 for no; the ids tapped in a
                group, which may be none; or one of the answers that are no rating.
        """
        is_other = isinstance(value, AnswerKind)
        is_group = question.form is Form.GROUP and not is_other
        return Answer(
            user_id=question.user_id,
            item_id=question.item_id,
            kind=value if isinstance(value, AnswerKind) else AnswerKind.RATING,
            value=None if is_other or is_group else value,  # type: ignore[arg-type]  # a group counts its taps itself
            source=source,
            propensity=question.propensity,
            question=question.strategy,
            form=question.form,
            others=question.others,
            tapped=_ids(value) if is_group else (),
        )

    def answers(
        self, page: Question, ratings: Mapping[str, float | AnswerKind], *, source: str = "person"
    ) -> tuple[Answer, ...]:
        """The answers to a page, one for each item of it, ready for :meth:`tell`.

        Args:
            ratings: By id, of the items that the user knows; the others are not known to them.
        Raises:
            AnswerError: If the question is no page, or an item is not on it.
        """
        parts = page.parts
        strange = sorted(set(ratings) - {part.item_id for part in parts})
        if page.form is not Form.PAGE or strange:
            what = f"item {strange[0]!r} is not on the page" if strange else f"a {page.form.value} question is no page"
            raise AnswerError(f"{what}. Give ratings of the items of a page.")
        given = [ratings.get(part.item_id, AnswerKind.UNKNOWN) for part in parts]
        return tuple(self.answer(part, value, source=source) for part, value in zip(parts, given, strict=True))

    def tell(self, answers: Answer | Iterable[Answer]) -> Learner:
        """The learner that has heard one answer or several. This one stays as it is.

        An answer without a key gets one; one whose key was told before changes nothing, even if it was undone since.

        Raises:
            UnknownItem, AnswerError: If one of them cannot be taken; then none is.
        """
        given = (answers,) if isinstance(answers, Answer) else tuple(answers)
        told, states = dict(self.told), dict(self._states)
        for answer in given:
            answer = self.check(answer)
            before = told.get(answer.user_id, ())
            if answer.key in self.undone or any(answer.key == earlier.key for earlier in before):
                continue
            told[answer.user_id] = (*before, answer)
            state = states.pop(answer.user_id, None)
            if state is not None and not self._answered(state, before, answer):
                states[answer.user_id] = hearing.told(self.model, state, answer)
        return replace(self, told=told, _states=states)

    def _answered(self, state: UserState, before: tuple[Answer, ...], answer: Answer) -> bool:
        """Whether the question had an answer already, so that all are to be replayed."""
        if answer.form is Form.RATE and self.model.catalogue.position(answer.item_id) in state.asked:
            return True
        return any(answer.subject == earlier.subject for earlier in before)

    def check(self, answer: Answer) -> Answer:
        """The answer with a key, if this model can take it.

        Raises:
            UnknownItem: If the model does not hold an item, or cannot read a concept.
            AnswerError: If the rating is off the scale, or the model knows events and cannot take this kind of answer.
        """
        self.model.catalogue.positions(answer.items)
        if answer.form is Form.RATE and answer.value is not None:
            self.model.scale.check(answer.value)
        if answer.form is not Form.RATE:
            check_form(self.model, answer)
        if is_pseudo(answer):
            weight_of(answer)
        return answer if answer.key else replace(answer, key=uuid.uuid4().hex)

    def undo(self, user_id: str, key: str | None = None) -> Learner:
        """The learner as if an answer had never been given: by replay, so exactly.

        Args:
            key: Of the answer; the user's last one if None.
        Raises:
            AnswerError: If there is nothing to undo.
        """
        user_id = normalise_id(user_id, USER)
        answers = self.told.get(user_id, ())
        if key is not None and key in self.undone:
            raise AnswerError(f"the answer {key!r} has already been undone. There is nothing left to undo.")
        if not answers:
            raise AnswerError(f"user {user_id!r} has told nothing that could be undone. Tell an answer first.")
        key = answers[-1].key if key is None else key
        left = tuple(answer for answer in answers if answer.key != key)
        if len(left) == len(answers):
            raise AnswerError(
                f"user {user_id!r} has no answer with the key {key!r}. Undo one of {len(answers)} there are."
            )
        told = {**self.told, user_id: left}
        if not left:
            del told[user_id]
        states = {user: state for user, state in self._states.items() if user != user_id}
        return replace(self, told=told, undone=self.undone | {key}, _states=states)

    def see(
        self,
        user_id: str,
        item_ids: Sequence[str],
        *,
        liking: Sequence[float] | float = 1.0,
        events: Sequence[str] | None = None,
    ) -> Learner:
        """The learner that knows of events: views, clicks, purchases. They move the prior of the user's taste.

        Args:
            item_ids: In order of time.
            liking: In [-1, 1]: 1 for a purchase or click, -1 for a dislike; one for all, or one an item.
            events: Kind of each, such as ``click``; only a model with ``history="behaviour"`` tells them apart.
        Raises:
            UnknownItem: If the model does not hold an item.
            OptionError: If a liking is not in [-1, 1], or there are not as many likings or events as items.
            DataError: If a kind of event is unknown.
        """
        user_id = normalise_id(user_id, USER)
        items = self.model.catalogue.positions(item_ids)
        weights = np.asarray(liking, dtype=np.float64)
        if weights.ndim and weights.shape != items.shape:
            raise OptionError(
                f"there are {weights.size} likings for {items.size} items. Give one for all, or one an item."
            )
        weights = np.broadcast_to(weights, items.shape).copy()
        bad = ~(np.abs(weights) <= 1.0)  # true for NaN too
        if bad.any():
            raise OptionError(f"liking {weights[bad][0]:g} is out of range. Give numbers from -1 to 1.")
        if events is not None and len(events) != items.size:
            raise OptionError(f"there are {len(events)} events for {items.size} items. Give one an item.")
        new = History(items, weights, np.full(len(items), np.nan), kind_codes(events or [""] * items.size))
        since = self.histories[user_id] + new if user_id in self.histories else new
        states = {user: state for user, state in self._states.items() if user != user_id}
        return replace(self, histories={**self.histories, user_id: since}, _states=states)

    def know(self, user_id: str, /, **attributes: object) -> Learner:
        """The learner that knows who a user is, by attributes such as age. They move the prior of the user's taste.

        What was told before of the same attribute, or is in the data, no longer counts; the others stay. The fit learns
        what attributes say of taste from the data's own table of users, not from what is told here.

        Args:
            attributes: By the names of the columns in that table; None for what is not known.
        Raises:
            OptionError: If the model knows no attributes, none is given, or a name or a value cannot be taken.
        """
        user_id = normalise_id(user_id, USER)
        known = {**self.known.get(user_id, {}), **self.check_attributes(attributes)}
        states = {user: state for user, state in self._states.items() if user != user_id}
        return replace(self, known={**self.known, user_id: known}, _states=states)

    def check_attributes(self, attributes: Mapping[str, object]) -> dict[str, Told]:
        """Attributes of a user as they are kept, if this model can take them.

        Raises:
            OptionError: If not (:meth:`know`).
        """
        if self.model.attributes is None:
            raise OptionError("the model knows no attributes of users: 0 were fitted. Fit data with a table of users.")
        if not attributes:
            names = ", ".join(self.model.attributes.coding.names)
            raise OptionError(f"0 attributes are given. Give at least one of {names}.")
        return self.model.attributes.coding.check(attributes)

    def recommend(self, user_id: str, **options: Any) -> list[Recommendation]:
        """The list to show, best first (:func:`palate.loop.lists.recommend`)."""
        from palate.loop.lists import recommend

        return recommend(self, user_id, **options)

    def companions(self, user_id: str, **options: Any) -> list[Companion]:
        """What others did who did the same, most likely first (:func:`palate.loop.lists.companions`)."""
        from palate.loop.lists import companions

        return companions(self, user_id, **options)

    def profile(self, user_id: str) -> list[Interest]:
        """Interest per category (:func:`palate.loop.lists.profile`)."""
        from palate.loop.lists import profile

        return profile(self, user_id)

    def explain_item(self, item_id: str) -> ItemReport:
        """What an item's text, image, sound and categories say of it (:func:`palate.model.explain.explain_item`).

        Raises:
            UnknownItem: If the model does not hold it.
        """
        from palate.model.explain import explain_item

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
        from palate.model.new_items import extend

        where = None if folder is None else Path(folder)
        return replace(self, model=extend(self.model, items, where, on_corrupt), _states={})

    def save(self, folder: str | Path) -> None:
        """Write the model folder: safetensors, JSON and parquet, and the answers told into its label log."""
        from palate.loop.checkpoint import save

        save(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> Learner:
        """Read a model folder and replay its label log.

        Raises:
            ModelFolderError: If it is damaged, unsafe or of a newer format.
        """
        from palate.loop.checkpoint import load

        return load(Path(folder))


def _ids(tapped: object) -> tuple[str, ...]:
    """The items tapped in a group; a number says how many, and not which."""
    if isinstance(tapped, str) or not isinstance(tapped, Sequence):
        raise AnswerError(f"the answer to a group is {tapped!r}. Give the ids that were tapped, in a list.")
    return tuple(tapped)
