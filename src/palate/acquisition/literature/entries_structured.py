"""Strategies that learn a structure of the population first: trees, clusters, aspects, questionnaires."""

from __future__ import annotations

from palate.acquisition.literature.aspects import aspect_model, bayesian_aspect, flexible_mixture, personalised
from palate.acquisition.literature.clusters import igcn, user_partitioning
from palate.acquisition.literature.questionnaire import relative_questions, static_pairs
from palate.acquisition.literature.trees import decision_tree, functional_mf, multi_question_tree
from palate.acquisition.strategy import Score, Strategy

__all__ = ["ENTRIES", "static_pairs"]

SHORTLIST = 2_000  # catalogues up to this are scored whole, which takes a few milliseconds


def _entry(name: str, score: Score, cost: str, source: str, unit: str, shortlist: int = 0) -> Strategy:
    """All of these know "not rated" or leave the chance of an answer out, as their sources do."""
    return Strategy(name, score, cost, source, unit, weighs_answerability=False, shortlist=shortlist)


ENTRIES: tuple[Strategy, ...] = (
    _entry("igcn", igcn, "O(R clusters)", "Rashid, Karypis, Riedl 2008", "nats"),
    _entry("decision-tree", decision_tree, "O(1)", "Golbandi, Koren, Lempel 2011", "squared rating"),
    _entry("functional-mf", functional_mf, "O(1)", "Zhou, Yang, Zha 2011", "squared rating"),
    _entry("multi-question-tree", multi_question_tree, "O(1)", "Sun et al. 2013", "squared taste"),
    _entry("aspect-model", aspect_model, "O(R K)", "Boutilier, Zemel, Marlin 2003; Hofmann 2004", "nats", SHORTLIST),
    _entry("bayesian-aspect", bayesian_aspect, "O(R K)", "Jin & Si 2004", "nats", SHORTLIST),
    _entry("flexible-mixture", flexible_mixture, "O(R K)", "Si & Jin 2003; Jin & Si 2004", "nats", SHORTLIST),
    _entry("personalised", personalised, "O(R K)", "Harpale & Yang 2008", "nats", SHORTLIST),
    _entry("user-partitioning", user_partitioning, "O(R D)", "Teixeira et al. 2002", "squared taste", SHORTLIST),
    _entry("relative-questions", relative_questions, "O(1)", "Sepliarskaya et al. 2018", "places"),
)
