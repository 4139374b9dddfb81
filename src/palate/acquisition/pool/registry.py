"""The strategies of the general literature, for any model, by name.

Costs are of one call on N candidates: T draws, C classes, E features, L labelled, J targets, k chosen.
"""

from typing import Any

from palate.acquisition.pool import (
    batch_bald,
    clusters,
    coverage,
    design,
    drawn,
    hierarchical,
    learned,
    neighbours,
    uncertainty,
)
from palate.acquisition.pool.pool import PoolChoose, PoolScore, PoolStrategy, named

_KIRSCH = "Kirsch et al. 2023"


def _scored(score: PoolScore, cost: str, source: str, unit: str = "", **options: Any) -> PoolStrategy:
    return PoolStrategy(named(score), cost, source, unit, score, **options)


def _batch(choose: PoolChoose, cost: str, source: str, unit: str = "", **options: Any) -> PoolStrategy:
    return PoolStrategy(named(choose), cost, source, unit, choose=choose, **options)


_SCORES = (
    _scored(uncertainty.random, "O(N)", "baseline", choose=uncertainty.choose_random, status="measured"),
    _scored(uncertainty.least_confidence, "O(N T C)", "Lewis & Gale 1994", "probability"),
    _scored(uncertainty.margin, "O(N T C)", "Scheffer et al. 2001", "probability", status="measured"),
    _scored(
        uncertainty.predictive_entropy, "O(N T C)", "Shannon 1948; Settles & Craven 2008", "nats", status="measured"
    ),
    _scored(uncertainty.vote_entropy, "O(N T C)", "Dagan & Engelson 1995; Seung et al. 1992", "nats"),
    _scored(uncertainty.bald, "O(N T C)", "McCallum & Nigam 1998; Houlsby et al. 2011", "nats", status="measured"),
    _scored(uncertainty.epig, "O(N T C² J)", "Bickford Smith et al. 2023", "nats", status="measured"),
    _scored(design.expected_gradient_length, "O(N (T C + E))", "Settles et al. 2007", "features"),
    _scored(design.expected_model_change, "O(N (T C + E))", "Cai et al. 2013", "levels × features"),
    _scored(design.expected_error_reduction, "O(64 C² N + E³)", "Roy & McCallum 2001", "nats"),
    _scored(design.variance_reduction, "O(N E² + E³)", "Cohn et al. 1996; Zhang & Oles 2000", "squared logit"),
    _scored(design.d_optimal, "O(N E² + E³)", "MacKay 1992", "nats"),
    _scored(uncertainty.density, "O(N (T C + E))", "Settles & Craven 2008", "nats"),
    _scored(coverage.ranked_batch, "O(N L E + k N E)", "Cardoso et al. 2017", choose=coverage.choose_ranked_batch),
    _scored(neighbours.contrastive, "O(N (L E + C))", "Margatina et al. 2021", "nats"),
    _scored(learned.learnt, "O(N (T C + L E) + trees)", "Konyushkova et al. 2017", "error rate"),
    _scored(learned.learning_loss, "O(N E + L² E)", "Yoo & Kweon 2019", "nats"),
    _scored(neighbours.quire, "O(N L²)", "Huang et al. 2010"),
)

_BATCHES = (
    _batch(drawn.power_bald, "O(N T C)", _KIRSCH, "nats"),
    _batch(drawn.softmax_bald, "O(N T C)", _KIRSCH, "nats"),
    _batch(drawn.softrank_bald, "O(N T C)", _KIRSCH, "nats"),
    _batch(batch_bald.batch_bald, "O(k N T C · min(C^k, 1024))", "Kirsch et al. 2019", "nats"),
    _batch(coverage.core_set, "O((L + k) N E)", "Sener & Savarese 2018", "distance", status="measured"),
    _batch(drawn.badge, "O(k N (C + E))", "Ash et al. 2020", "squared gradient", status="measured"),
    _batch(clusters.typiclust, "O((L + k) N E)", "Hacohen et al. 2022", "1 / distance", status="measured"),
    _batch(coverage.probcover, "O(N² E)", "Yehuda et al. 2022", "candidates", status="measured"),
    _batch(coverage.max_herding, "O(N² E)", "Bae et al. 2024", "similarity"),
    _batch(clusters.clue, "O(k N E)", "Prabhu et al. 2021", "nats"),
    _batch(drawn.falcun, "O(k N C)", "Gilhuber et al. 2024"),
    _batch(clusters.drop_query, "O(N T C + k N E)", "Gupte et al. 2024", "share of draws"),
    _batch(coverage.similar, "O(k N J)", "Kothawade et al. 2021", "similarity"),
    _batch(neighbours.seals, "O(N L E)", "Coleman et al. 2022", "probability"),
    _batch(hierarchical.hierarchical, "O(N E log N)", "Dasgupta & Hsu 2008"),
)

POOL_STRATEGIES: dict[str, PoolStrategy] = {strategy.name: strategy for strategy in (*_SCORES, *_BATCHES)}
