"""Entity vectors: similarity scorers, GNN encoders, training, exact ranking, vectors on disk.

>>> import numpy as np
>>> from kg.embedding import FitConfig, fit, rank
>>> facts = np.array([[0, 0, 1], [1, 0, 2], [2, 0, 3]])
>>> result = fit(facts, num_entities=4, num_relations=1, config=FitConfig(dim=8, epochs=20))
>>> rank(result.model, facts, known=facts).mrr() > 0.5
True
"""

from kg.embedding.config import FitConfig
from kg.embedding.encoders import ENCODERS, Encoder
from kg.embedding.fit import FitResult, fit
from kg.embedding.modes import MODES, Mode
from kg.embedding.ranking import Ranks, rank
from kg.embedding.refit import refit_rows, touched
from kg.embedding.scorers import SCORERS, Scorer
from kg.embedding.states import Edges, States
from kg.embedding.vectors import Vectors

__all__ = [
    "ENCODERS",
    "MODES",
    "SCORERS",
    "Edges",
    "Encoder",
    "FitConfig",
    "FitResult",
    "Mode",
    "Ranks",
    "Scorer",
    "States",
    "Vectors",
    "fit",
    "rank",
    "refit_rows",
    "touched",
]
