"""From opened sums to the next public model: all of it pure, and all after the noise, so that it costs no privacy.

    round 0             counts and levels of items (:mod:`palate.federated.private_means`)
    rounds of gradients y = w̃ + ĝ / n, a running average over rounds, an item's belief given it and the text

The gradient's fixed point is that of the batch fit with the same prior: n only sets the step.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from palate.arrays import TINY, Array
from palate.errors import FederatedError
from palate.federated.accounting import GRADIENTS, SCALARS, noise_std
from palate.federated.fixed_point import Words, decode
from palate.federated.noise import noised
from palate.federated.options import FederatedOptions
from palate.federated.private_means import LEAST_SPREAD, Counted, with_bias, with_means
from palate.federated.public import MASS_UNIT, PublicModel, header_of
from palate.federated.text_prior import columns_of, fitted
from palate.random import derive_rng

_ARRAYS = ("observed", "variance", "spread")
_MASSES = (0.2, 2.0)  # least and most that the masses may come to, of what the counts say
_START = 0.05  # standard deviation of the random factors that the first round begins with


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Where a line is between two openings; nothing in it has less noise than what was published.

    Attributes:
        options: Of the line.
        public: The newest public model.
        counted: What the rounds of counts said; None before the first.
        observed: Running sum over rounds of observations of level and factors, (I, A).
        weight: Of how many rounds, the newest counting whole.
        variance: Of the running sum, by the noise alone, (I,).
        mass: Running sum of the masses, in answers.
        spread: Λ, (A,).
        columns: The text as the ridge hears it, (I, E).
    """

    options: FederatedOptions
    public: PublicModel
    counted: Counted | None
    observed: Array
    weight: float
    variance: Array
    mass: float
    spread: Array
    columns: Array = field(repr=False)

    @property
    def is_done(self) -> bool:
        """Whether the line has published its last model."""
        is_short = self.public.form == "means" and self.public.round > 0
        return self.public.round >= (2 if is_short else self.options.rounds + 1)

    @property
    def mu_squared(self) -> float:
        """What the next opening spends, as μ²; infinite without privacy."""
        split = self.options.budget
        if self.public.round == 0:
            return split.round_zero
        rounds = self.options.rounds * (split.scalars + split.gradients)
        return rounds if self.public.form == "means" else rounds * self.share

    @property
    def share(self) -> float:
        """Of what all rounds of gradients may spend, that of the next."""
        return float(self.options.shares[self.public.round - 1])

    @property
    def weighed(self) -> Array:
        """What the answers to each item weigh together, clipped ones less, (I,): the step of the gradient.

        Where few answered, the masses are mostly noise: they are taken within what the counts leave possible.
        """
        assert self.counted is not None
        shares = self.counted.at_least * self.public.item_weights
        least, most = _MASSES[0] * self.counted.per_user, _MASSES[1] * self.counted.per_user
        whole = float(shares.sum())
        return np.asarray(shares * np.clip(self.mass / self.weight / max(whole, TINY), least, most))

    def to_buffers(self) -> bytes:
        """As safetensors, without the text; for a file of the server."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        config: dict[str, object] = {"options": asdict(self.options), "weight": self.weight, "mass": self.mass}
        if self.counted is not None:
            config |= {"users": self.counted.users, "std": self.counted.std}
            arrays |= {"answered": self.counted.answered, "levels": self.counted.levels}
        arrays["public"] = np.frombuffer(self.public.to_buffers(), dtype=np.uint8)
        return save(
            {name: np.ascontiguousarray(array) for name, array in arrays.items()}, {"state": json.dumps(config)}
        )

    @classmethod
    def from_buffers(cls, buffers: bytes, content: Array | None = None) -> State:
        """What :meth:`to_buffers` gave.

        Args:
            content: As of :func:`begin`, the same.
        Raises:
            FederatedError: If it is damaged.
        """
        try:
            config, arrays = header_of(buffers, "state"), load(buffers)
            public = PublicModel.from_buffers(arrays["public"].tobytes())
            counted = None
            if "users" in config:
                counted = Counted(config["users"], arrays["answered"], arrays["levels"], config["std"])
            return cls(
                options=FederatedOptions(**config["options"]),
                public=public,
                counted=counted,
                **{name: arrays[name] for name in _ARRAYS},
                weight=config["weight"],
                mass=config["mass"],
                columns=columns_of(content, len(public)),
            )
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise FederatedError(
                "the state of a federated line cannot be read. Restore the file of its server."
            ) from error


def begin(item_ids: Sequence[str], options: FederatedOptions, content: Array | None = None, *, line: str) -> State:
    """A line before its first opening.

    Args:
        item_ids: Of the I items.
        content: Public encodings of them, (I, E), such as of their text; None: none.
        line: Id of the model line; the random start follows from it, so it is public.
    """
    n = len(item_ids)
    public = PublicModel(
        line=line,
        round=0,
        form="means",
        item_ids=tuple(item_ids),
        factors=with_bias(np.zeros(n)),
        variances=np.zeros((n, 2)),
        noise=options.noise,
        item_weights=np.ones(n),
        counts=np.zeros(n),
        answer_rate=np.ones(n),
        centre=options.centre,
        size=options.size,
        kind=options.kind,
        clip=options.clip,
        item_clip=options.item_clip,
    )
    shape = n, options.dim + 1
    return State(
        options, public, None, np.zeros(shape), 0.0, np.zeros(n), 0.0, np.full(shape[1], 0.09), columns_of(content, n)
    )


def advance(
    state: State,
    total: Words,
    devices: int,
    *,
    mu_squared: float | None = None,
    factor: float = 1.0,
    ledger: str = "",
    rng: np.random.Generator | None = None,
) -> State:
    """The line after one more opening.

    Args:
        total: The sum of what the devices sent, without noise.
        devices: How many took part.
        mu_squared: What the ledger spent on it; None: what the options say.
        factor: By how much more one device moves this sum than a plain one, such as one that is robust.
        ledger: Head of the ledger after that.
        rng: Of the noise, in simulations and tests; None: the system's secure generator.
    Raises:
        FederatedError: If the line is done, or the sum is of another length.
    """
    public, parts = state.public, state.public.parts
    if state.is_done:
        raise FederatedError(f"line {public.line} is done after {public.round} openings. Begin another line.")
    if len(total) != sum(length for length, _ in parts):
        raise FederatedError(f"a sum of {len(total)} numbers is not of this round. Open the one that is.")
    spent = state.mu_squared if mu_squared is None else mu_squared
    shares = [1.0] if public.form == "means" else [GRADIENTS / (GRADIENTS + SCALARS), SCALARS / (GRADIENTS + SCALARS)]
    costs = [share * spent for share in shares]
    stds = [
        0.0 if math.isinf(cost) else factor * noise_std(bound, cost)
        for (_, bound), cost in zip(parts, costs, strict=True)
    ]
    ends = np.cumsum([length for length, _ in parts])[:-1]
    sums = [decode(noised(one, std, rng)) for one, std in zip(np.split(total, ends), stds, strict=True)]
    share = state.share if public.form == "factors" else 1.0
    known = 0.0 if math.isinf(spent) else public.mu_squared + spent
    state = replace(state, public=replace(public, round=public.round + 1, ledger=ledger, mu_squared=known))
    if public.form == "means":
        answered, levels = np.split(sums[0], 2)
        return _after_counts(state, Counted(devices, answered, levels, stds[0]))
    return _after_gradients(state, sums[0].reshape(public.factors.shape), float(sums[1][0]), stds[0], share)


def _after_counts(state: State, counted: Counted) -> State:
    options, columns = state.options, state.columns
    counted = counted if state.counted is None else state.counted.with_more(counted)
    state = replace(state, counted=counted, public=with_means(state.public, counted, options, columns))
    if options.form == "means" or (options.form == "auto" and counted.is_hopeless(options)) or state.public.round > 1:
        return state
    factors = _START * derive_rng(0, "federated", state.public.line).normal(size=(len(columns), options.dim))
    level, level_variance = state.public.factors[:, :1], state.public.variances[:, :1]
    return replace(
        state,
        public=replace(
            state.public,
            form="factors",
            factors=np.concatenate([level, factors], 1),
            variances=np.concatenate([level_variance, np.full_like(factors, _START**2)], 1),
            noise=options.noise,
        ),
    )


def _after_gradients(state: State, gradient: Array, mass: float, std: float, share: float) -> State:
    options, public = state.options, state.public
    is_last = public.round > options.rounds
    keep, weight = options.keep, options.keep * state.weight + share
    total_mass = keep * state.mass + share * MASS_UNIT * mass
    state = replace(state, weight=weight, mass=total_mass)
    n = state.weighed
    known = n > 0.0
    base = np.where(known, n, 1.0)
    observed = keep * state.observed + share * (public.factors + gradient / base[:, None])
    variance = keep**2 * state.variance + (share * std / base) ** 2
    own = options.noise * public.item_weights / base
    doubt = np.where(known, own + variance / weight**2, np.inf)
    floors = np.full(options.dim + 1, LEAST_SPREAD if is_last else options.floor)
    floors[0] = LEAST_SPREAD
    prior = fitted(state.columns, observed / weight, doubt, state.spread, floors)
    factors, variances = prior.posterior(observed / weight, doubt)
    return replace(
        state,
        public=replace(public, factors=factors, variances=variances),
        observed=observed,
        variance=variance,
        spread=prior.spread,
    )
