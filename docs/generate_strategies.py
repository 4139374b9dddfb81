"""Writes docs/strategies.md from the registry: ``python docs/generate_strategies.py``.

A test compares the page with what this gives, so no strategy can be without its line.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from palate.acquisition import ABOUT_ITEM, DEFAULT, Strategy
from palate.acquisition.pool.pool import Status
from palate.acquisition.pool.registry import POOL_STRATEGIES
from palate.acquisition.registry import grouped

PAGE = Path(__file__).with_name("strategies.md")

HEAD = f"""# Strategies

Written by `docs/generate_strategies.py` from the registry (`src/palate/acquisition/registry.py`). A strategy says how
much each question is worth; the question worth most is asked. They stand here by how well their worth is known, and
then by idea; `palate strategies` prints the same on the command line.

The default is `{DEFAULT}`, by the list that people are shown after so many questions
([the table](results.md#what-a-question-is-worth-for-the-list)). Whom to ask about an item is chosen by `{ABOUT_ITEM}`:
there it is what everybody will think of it that is to be predicted. [Where each part comes from](papers.md) has the
references of the rest of Palate; [the model](model.md#3-asking) has these formulas beside those of the belief.

## What they have in common

The belief about a user is $z \\sim N(m, S)$; an item has the level $b_i$, the factors $w_i$ and the answer variance
$\\sigma_i^2$ given the taste ([the model](model.md)). Then $v_i = w_i^\\top S w_i + \\sigma_i^2$ is the variance of the
answer, and $c_{{ij}} = w_i^\\top S w_j$ the covariance of two answers. Targets have probabilities $q_j$: how likely the
user knows the item, of what they would be shown.

`select` turns scores into questions, the same way for all. It leaves out what was asked, multiplies by the *reach*
where the table says so, breaks ties by `rng`, and builds a batch one by one: after each pick the covariance is what it
will be once that answer is in. For ratings this does not depend on the answer, so a greedy batch needs no guess; for
likes its expectation is taken. `draw="power"`, `"softmax"` or `"softrank"` draws instead of taking the best, which
makes a batch diverse for the price of a sort. A share of the questions (5 %, `random_share`) is drawn uniformly,
because what is never asked can never be estimated from the answers. Each question keeps its propensity, the
probability with which it was chosen.

The reach of an item is $E[P(\\text{{can answer }} i)\\, n] / E[n]$, with $n$ the share of the catalogue that the user
knows. It is the chance of an answer, tilted towards users who will use more of the catalogue. Once it is certain what
somebody knows, it is the chance of an answer.

A strategy with an *extra* needs what `pip install '.[EXTRA]'` installs.

A strategy with a *shortlist* scores only so many candidates: the most promising by `a-optimal-relative`; of
`list-value` those that the user most likely knows.

In the tables, D is the number of taste dimensions, R of rating levels, I of candidates, J of targets drawn (64), C of
classes, T of posterior draws, K of aspects.
"""

STATUS = {
    "recommended": "The default and what to weigh it against, all measured ([results](results.md)).",
    "measured": "What their questions are worth stands in `benchmarks/results` ([results](results.md)).",
    "reference": "As published, and correct by their tests; what their questions are worth is not measured.",
}

FORMULAS = """### In formulas

- **variance**: $v_i$. For likes $p(1-p)$, with $p$ the probability of a like.
- **bald**: $\\tfrac12 \\log(1 + w_i^\\top S w_i / \\sigma_i^2)$. For likes the mutual information by Gauss-Hermite
  quadrature with 24 nodes.
- **a-optimal**: $w_i^\\top S Q S w_i / v_i$ with $Q = \\sum_j q_j w_j w_j^\\top$, by how much the answer lowers the
  targets' mean variance. No pass over targets. For likes $1/v_i$ is the expected shrinkage of the probit update.
- **a-optimal-relative**: the same with $Q = \\sum_j (q_j / v_j) w_j w_j^\\top$, the mean squared correlation with the
  targets: EPIG to first order, at A-optimality's price.
- **epig**: $E_{j \\sim q}[-\\tfrac12 \\log(1 - c_{ij}^2 / (v_i v_j))]$ over 64 targets drawn from $q$. For likes by
  quadrature with 12 nodes.
- **lookahead**: `a-optimal-relative`, and the value of what an answer, or the lack of one, says of what can be asked
  next; 0 where everything can be answered.
- **list-value**: the share by which an answer is expected to raise
  $V = \\sum_{r \\le 10} u_{(r)} / \\log_2(r + 1)$ at once, $u_j = P(\\text{knows } j)\\,P(\\text{likes } j)$, and 0.5
  times the mean squared correlation of the answer with what is not known of the 50 best items, of taste and of what
  the user knows. Three answers: "don't know it", above and below what is expected.
"""

TAIL = """## In simulations only

`answerable-random` asks at random among what the user can answer, and `ceiling` knows all their answers. They are
references, not strategies: both need to know what nobody can know. [How we measure](measuring.md).

## Your own

A function, or a `Strategy` with a name of its own; `ask(strategy=...)` takes either:
[tutorial, section 11](tutorial.md#11-a-strategy-of-your-own).
"""


def page() -> str:
    """The whole page."""
    parts = [_of_status(status, ideas) for status, ideas in grouped().items()]
    return "\n".join([HEAD, parts[0], FORMULAS, *parts[1:], _pools(), TAIL])


def _of_status(status: Status, ideas: dict[str, list[Strategy]]) -> str:
    own = {idea: found for idea, found in ideas.items() if found[0].pool is None}
    tables = [_table(idea, found) for idea, found in own.items()]
    return "\n".join([f"## {status.capitalize()}\n", f"{STATUS[status]}\n", *tables])


def _table(title: str, strategies: list[Strategy]) -> str:
    lines = [f"### {title}\n", "| name | | cost an item | unit | × reach | shortlist | source |", "|" + " --- |" * 7]
    for one in strategies:
        notes = [f"also `{alias}`" for alias in one.aliases] + ([f"extra `{one.extra}`"] if one.extra else [])
        says = one.description + (f" ({'; '.join(notes)})" if notes else "")
        cells = [f"`{one.name}`", says, one.cost, one.unit or "–", "yes" if one.weighs_answerability else "no"]
        lines.append(f"| {' | '.join([*cells, str(one.shortlist or '–'), one.source])} |")
    return "\n".join(lines) + "\n"


def _pools() -> str:
    lines = [
        "## Any model: pools\n",
        "These see draws of class probabilities, from whichever model, and features ([softmax](softmax.md)). All but\n"
        "random, bald and epig, with forms of their own above, serve a recommender too, on a shortlist of 200.\n"
        "Measured are those whose labels are compared on texts ([results](results.md)).\n",
        "| name | | cost | unit | gives | status | source |",
        "|" + " --- |" * 7,
    ]
    for one in sorted(POOL_STRATEGIES.values(), key=lambda one: get_args(Status).index(one.status)):
        gives = "a score each" if one.choose is None else "a batch"
        cells = [f"`{one.name}`", one.description, one.cost, one.unit or "–", gives, one.status, one.source]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
