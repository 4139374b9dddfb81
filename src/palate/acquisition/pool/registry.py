"""The strategies of the general literature, for any model, by name.

Costs are of one call on N candidates: T draws, C classes, E features, L labelled, J targets, k chosen.
"""

from functools import partial

from palate.acquisition.pool.badge import badge
from palate.acquisition.pool.batch_bald import batch_bald
from palate.acquisition.pool.clue import clue
from palate.acquisition.pool.contrastive import contrastive
from palate.acquisition.pool.core_set import core_set
from palate.acquisition.pool.design import (
    d_optimal,
    expected_error_reduction,
    expected_gradient_length,
    expected_model_change,
    variance_reduction,
)
from palate.acquisition.pool.drop_query import drop_query
from palate.acquisition.pool.falcun import falcun
from palate.acquisition.pool.hierarchical import hierarchical
from palate.acquisition.pool.learned import learning_loss, learnt
from palate.acquisition.pool.max_herding import max_herding
from palate.acquisition.pool.pool import PoolStrategy
from palate.acquisition.pool.probcover import probcover
from palate.acquisition.pool.quire import quire
from palate.acquisition.pool.ranked_batch import choose_ranked_batch, ranked_batch
from palate.acquisition.pool.sampled_bald import power_bald, softmax_bald, softrank_bald
from palate.acquisition.pool.seals import seals
from palate.acquisition.pool.similar import similar
from palate.acquisition.pool.typiclust import typiclust
from palate.acquisition.pool.uncertainty import (
    bald,
    choose_random,
    density,
    epig,
    least_confidence,
    margin,
    predictive_entropy,
    random,
    vote_entropy,
)

_KIRSCH = "Kirsch et al. 2023"
_measured = partial(PoolStrategy, status="measured")

_SCORES = (
    _measured("random", "O(N)", "baseline", "", random, choose_random),
    PoolStrategy("least-confidence", "O(N T C)", "Lewis & Gale 1994", "probability", least_confidence),
    _measured("margin", "O(N T C)", "Scheffer et al. 2001", "probability", margin),
    _measured("predictive-entropy", "O(N T C)", "Shannon 1948; Settles & Craven 2008", "nats", predictive_entropy),
    PoolStrategy("vote-entropy", "O(N T C)", "Dagan & Engelson 1995; Seung et al. 1992", "nats", vote_entropy),
    _measured("bald", "O(N T C)", "McCallum & Nigam 1998; Houlsby et al. 2011", "nats", bald),
    _measured("epig", "O(N T C² J)", "Bickford Smith et al. 2023", "nats", epig),
    PoolStrategy(
        "expected-gradient-length", "O(N (T C + E))", "Settles et al. 2007", "features", expected_gradient_length
    ),
    PoolStrategy(
        "expected-model-change", "O(N (T C + E))", "Cai et al. 2013", "levels × features", expected_model_change
    ),
    PoolStrategy(
        "expected-error-reduction", "O(64 C² N + E³)", "Roy & McCallum 2001", "nats", expected_error_reduction
    ),
    PoolStrategy(
        "variance-reduction", "O(N E² + E³)", "Cohn et al. 1996; Zhang & Oles 2000", "squared logit", variance_reduction
    ),
    PoolStrategy("d-optimal", "O(N E² + E³)", "MacKay 1992", "nats", d_optimal),
    PoolStrategy("density", "O(N (T C + E))", "Settles & Craven 2008", "nats", density),
    PoolStrategy("ranked-batch", "O(N L E + k N E)", "Cardoso et al. 2017", "", ranked_batch, choose_ranked_batch),
    PoolStrategy("contrastive", "O(N (L E + C))", "Margatina et al. 2021", "nats", contrastive),
    PoolStrategy("learnt", "O(N (T C + L E) + trees)", "Konyushkova et al. 2017", "error rate", learnt),
    PoolStrategy("learning-loss", "O(N E + L² E)", "Yoo & Kweon 2019", "nats", learning_loss),
    PoolStrategy("quire", "O(N L²)", "Huang et al. 2010", "", quire),
)

_BATCHES = (
    PoolStrategy("power-bald", "O(N T C)", _KIRSCH, "nats", choose=power_bald),
    PoolStrategy("softmax-bald", "O(N T C)", _KIRSCH, "nats", choose=softmax_bald),
    PoolStrategy("softrank-bald", "O(N T C)", _KIRSCH, "nats", choose=softrank_bald),
    PoolStrategy("batch-bald", "O(k N T C · min(C^k, 1024))", "Kirsch et al. 2019", "nats", choose=batch_bald),
    _measured("core-set", "O((L + k) N E)", "Sener & Savarese 2018", "distance", choose=core_set),
    _measured("badge", "O(k N (C + E))", "Ash et al. 2020", "squared gradient", choose=badge),
    _measured("typiclust", "O((L + k) N E)", "Hacohen et al. 2022", "1 / distance", choose=typiclust),
    _measured("probcover", "O(N² E)", "Yehuda et al. 2022", "candidates", choose=probcover),
    PoolStrategy("max-herding", "O(N² E)", "Bae et al. 2024", "similarity", choose=max_herding),
    PoolStrategy("clue", "O(k N E)", "Prabhu et al. 2021", "nats", choose=clue),
    PoolStrategy("falcun", "O(k N C)", "Gilhuber et al. 2024", "", choose=falcun),
    PoolStrategy("drop-query", "O(N T C + k N E)", "Gupte et al. 2024", "share of draws", choose=drop_query),
    PoolStrategy("similar", "O(k N J)", "Kothawade et al. 2021", "similarity", choose=similar),
    PoolStrategy("seals", "O(N L E)", "Coleman et al. 2022", "probability", choose=seals),
    PoolStrategy("hierarchical", "O(N E log N)", "Dasgupta & Hsu 2008", "", choose=hierarchical),
)

POOL_STRATEGIES: dict[str, PoolStrategy] = {strategy.name: strategy for strategy in (*_SCORES, *_BATCHES)}
