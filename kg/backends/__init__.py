"""The graph in other libraries, and graphs of other libraries here.

>>> from kg import KnowledgeGraph
>>> kg = KnowledgeGraph.from_triples([("Paris", "capital of", "France")])
>>> kg.to_networkx().number_of_edges()
1
"""

from kg.backends.base import BACKENDS, Backend
from kg.backends.networkx import NetworkX
from kg.backends.ntriples import NTriplesLines
from kg.backends.oxigraph import Oxigraph
from kg.backends.pyg import PyG
from kg.backends.rdflib import RDFLib
from kg.backends.scipy import SciPy
from kg.backends.tsv import TSVLines

__all__ = [
    "BACKENDS",
    "Backend",
    "NTriplesLines",
    "NetworkX",
    "Oxigraph",
    "PyG",
    "RDFLib",
    "SciPy",
    "TSVLines",
]
