"""Every backend: what goes out is the graph, what comes back is the same graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kg import InputError, KnowledgeGraph
from kg.backends import BACKENDS, Backend, NetworkX, NTriplesLines, Oxigraph, PyG, RDFLib, SciPy, TSVLines
from kg.literals import IRI_VALUE, Literal
from kg.predicates import RDFS_LABEL
from kg.terms import iri_of, is_iri, key_of
from tests.contracts import Contract

Triples = set[tuple[str, str, str]]
E = "http://example.org/"
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
XSD = "http://www.w3.org/2001/XMLSchema#"


def wild(*, odd_spelling: bool = True) -> KnowledgeGraph:
    """IRIs, blank nodes, plain names, parallel edges, a loop, literals of every kind, a relation that is only named."""
    return KnowledgeGraph.from_triples(
        [
            (E + "Paris", E + "capitalOf", E + "France"),
            (E + "Paris", E + "in", E + "France"),
            ("_:b0", E + "in", E + "Paris"),
            ("Crème brûlée", "made in", E + "France"),
            (E + "Narcissus", E + "loves", E + "Narcissus"),
            (E + "a%20b", E + "in", "urn:kept:odd"),
        ],
        labels={E + "Paris": "Paris", E + "capitalOf": "capital of"},
        types={E + "Paris": E + "City"},
        literals=[
            (E + "Paris", Literal(RDFS_LABEL, "Paris", None, "fr")),
            (E + "Paris", Literal(E + "said", 'a "quoted"\nline\ttab \\ back \x00 nul \U0001f600')),
            *([(E + "Paris", Literal(E + "inhabitants", "007", XSD + "integer"))] if odd_spelling else []),
            (E + "Paris", Literal(E + "inhabitants", "7", XSD + "integer")),
            (E + "Paris", Literal("http://schema.org/image", E + "paris.png", IRI_VALUE)),
            ("Crème brûlée", Literal(E + "when", "1691-01-01", XSD + "date")),
        ],
    )


class BackendContract(Contract):
    family = BACKENDS

    def backend(self) -> Backend:
        return self.family[self.member]()

    def triples_of(self, other: Any, kg: KnowledgeGraph) -> Triples:
        raise NotImplementedError

    def exported(self, kg: KnowledgeGraph) -> Any:
        other = self.backend().export(kg)
        return list(other) if isinstance(other, Iterable) and iter(other) is other else other

    def test_every_triple_goes_out_once(self) -> None:
        kg = wild()
        assert self.triples_of(self.exported(kg), kg) == set(kg.statements())

    def test_an_empty_graph_goes_out(self) -> None:
        kg = KnowledgeGraph.from_triples([])
        assert self.triples_of(self.exported(kg), kg) == set()

    def test_what_comes_back_is_the_same_graph(self) -> None:
        kg = wild(odd_spelling=self.backend().keeps_spelling)
        if not self.backend().loads:
            with pytest.raises(InputError, match="goes out only"):
                self.backend().load(self.exported(kg))
            return
        if not self.backend().keeps_literals:
            kg = KnowledgeGraph.from_triples(kg.statements())
        back = self.backend().load(self.exported(kg))
        assert back.hash == kg.hash
        assert back.labels(range(back.num_entities)) == kg.labels(range(kg.num_entities))

    def test_a_holdout_stays_out(self) -> None:
        kg = wild()
        held_out = kg.without(np.array([0, 2]))
        assert self.triples_of(self.exported(held_out), held_out) == set(held_out.statements())


class TestNetworkX(BackendContract):
    member = "networkx"

    def triples_of(self, other: Any, kg: KnowledgeGraph) -> Triples:
        return {(head, relation, tail) for head, tail, relation in other.edges(keys=True)}

    def test_labels_are_attributes(self) -> None:
        graph = wild().to_networkx()
        assert graph.nodes[E + "Paris"]["label"] == "Paris"
        assert graph.edges[E + "Paris", E + "France", E + "capitalOf"]["label"] == "capital of"

    def test_a_graph_of_ones_own(self) -> None:
        import networkx

        graph = networkx.Graph()
        graph.add_node(1, label="one")
        graph.add_edge(1, 2, relation="next to")
        graph.add_edge(2, 3)
        kg = KnowledgeGraph.from_networkx(graph)
        assert set(kg.statements()) == {
            ("1", "next to", "2"),
            ("2", "next to", "1"),
            ("2", "linked to", "3"),
            ("3", "linked to", "2"),
        }
        assert kg.label(kg.entities.id("1")) == "one"

    def test_nodes_that_would_merge_are_refused(self) -> None:
        import networkx

        with pytest.raises(InputError, match="same name"):
            KnowledgeGraph.from_networkx(networkx.DiGraph([(1, "1")]))

    def test_some_rows_only(self) -> None:
        kg = wild()
        graph = NetworkX().export(kg, rows=kg.subgraph([kg.entities.id(E + "Narcissus")]))
        assert list(graph) == [E + "Narcissus"] and graph.number_of_edges() == 1


class TestRDFLib(BackendContract):
    member = "rdflib"

    def triples_of(self, other: Any, kg: KnowledgeGraph) -> Triples:
        import rdflib

        literal_predicates = {rdflib.URIRef("http://schema.org/image")}
        edges = rdflib.Graph()
        for s, p, o in other:
            if not isinstance(o, rdflib.Literal) and p not in literal_predicates:
                edges.add((s, p, o))
        return set(RDFLib().load(edges).statements())

    def test_sparql(self) -> None:
        answer = wild().to_rdflib().query(f"SELECT ?c WHERE {{ ?c <{E}capitalOf> <{E}France> }}")
        assert [str(row[0]) for row in answer] == [E + "Paris"]

    def test_spellings_of_a_number_stay_apart(self) -> None:
        graph = wild().to_rdflib()
        import rdflib

        values = {str(value) for value in graph.objects(predicate=rdflib.URIRef(E + "inhabitants"))}
        assert values == {"7", "007"}

    def test_a_dataset_is_taken_as_one_graph(self) -> None:
        import rdflib

        dataset = rdflib.Dataset()
        for name in ("g", "h"):
            dataset.graph(rdflib.URIRef(E + name)).add(
                (rdflib.URIRef(E + "a"), rdflib.URIRef(E + "p"), rdflib.URIRef(E + name))
            )
        assert RDFLib().load(dataset).num_triples == 2


class TestOxigraph(BackendContract):
    member = "oxigraph"

    def triples_of(self, other: Any, kg: KnowledgeGraph) -> Triples:
        return set(Oxigraph().load(other).statements())


class TestNTriples(BackendContract):
    member = "ntriples"

    def triples_of(self, other: Any, kg: KnowledgeGraph) -> Triples:
        return set(NTriplesLines().load(other).statements())

    def test_a_bad_line_is_named(self) -> None:
        with pytest.raises(InputError, match="line 2: "):
            NTriplesLines().load(["<urn:a> <urn:b> <urn:c> .", "<urn:a> <urn:b> ."])

    @example("", "_:", ":")
    @settings(deadline=None, max_examples=200)
    @given(texts, st.sampled_from(["", "http://", "urn:", "_:", "urn:kept:"]), texts)
    def test_any_text_survives(self, value: str, start: str, end: str) -> None:
        key = start + end
        kg = KnowledgeGraph.from_triples([(key, key, "x")], literals=[(key, Literal(E + "p", value))])
        lines = list(NTriplesLines().export(kg))
        assert not any("\n" in line or "\r" in line for line in lines)
        for backend in (NTriplesLines, Oxigraph, RDFLib):
            native = backend().export(kg) if backend is not NTriplesLines else lines
            assert backend().load(native).hash == kg.hash


class TestTSV(BackendContract):
    member = "tsv"

    def triples_of(self, other: Any, kg: KnowledgeGraph) -> Triples:
        return set(TSVLines().load(other).statements())

    def test_a_bad_line_is_named(self) -> None:
        with pytest.raises(InputError, match="line 2: 2 fields"):
            TSVLines().load(["a\tb\tc", "a\tb"])

    def test_a_tab_in_a_key_is_refused(self) -> None:
        with pytest.raises(InputError, match="tab"):
            list(TSVLines().export(KnowledgeGraph.from_triples([("a\tb", "p", "c")])))


class TestPyG(BackendContract):
    member = "pyg"

    def triples_of(self, other: Any, kg: KnowledgeGraph) -> Triples:
        heads, tails = other.edge_index.tolist()
        return {
            (kg.entities.key(head), kg.relations.key(relation), kg.entities.key(tail))
            for head, relation, tail in zip(heads, other.edge_type.tolist(), tails, strict=True)
        }

    def test_inverse_edges(self) -> None:
        kg = wild()
        data = PyG().export(kg, inverse=True)
        assert data.num_edges == 2 * kg.num_triples and data.num_relations == 2 * kg.num_relations
        assert data.num_nodes == kg.num_entities
        there, back = data.edge_index[:, : kg.num_triples], data.edge_index[:, kg.num_triples :]
        assert (there == back.flip(0)).all()
        assert (data.edge_type[kg.num_triples :] == data.edge_type[: kg.num_triples] + kg.num_relations).all()


def test_pyg_with_types() -> None:
    from kg.backends.pyg import THING, hetero

    kg = KnowledgeGraph.from_triples(
        [("Paris", "in", "France"), ("Lyon", "in", "France"), ("France", "borders", "Spain"), ("Paris", "near", "x")],
        types={"Paris": "City", "Lyon": "City", "France": "Country", "Spain": "Country"},
    )
    data = hetero(kg)
    data.validate()
    assert set(data.edge_types) == {
        ("City", "in", "Country"),
        ("Country", "borders", "Country"),
        ("City", "near", THING),
    }
    names = {kind: kg.entities.keys(data[kind].n_id.numpy()) for kind in data.node_types}
    assert sorted(names["City"]) == ["Lyon", "Paris"] and sorted(names[THING]) == ["City", "Country", "x"]
    heads, tails = data["City", "in", "Country"].edge_index.tolist()
    found = {(names["City"][head], names["Country"][tail]) for head, tail in zip(heads, tails, strict=True)}
    assert found == {("Paris", "France"), ("Lyon", "France")}


class TestSciPy(BackendContract):
    member = "scipy"

    def triples_of(self, other: Any, kg: KnowledgeGraph) -> Triples:
        return {
            (kg.entities.key(head), kg.relations.key(relation), kg.entities.key(tail))
            for relation, matrix in other.items()
            for head, tail in zip(*matrix.nonzero(), strict=True)
        }

    def test_the_whole_counts_parallel_edges(self) -> None:
        kg = wild()
        whole = SciPy().export(kg).whole()
        assert whole[kg.entities.id(E + "Paris"), kg.entities.id(E + "France")] == 2
        assert whole.sum() == kg.num_triples


@pytest.mark.parametrize("key", ["http://e.org/", "urn:a:b", "file:///x", "mailto:a@b.c", "http://e.org/\u00e9"])
def test_iris_stay_as_they_are(key: str) -> None:
    assert is_iri(key) and iri_of(key) == key_of(key) == key


@pytest.mark.parametrize(
    "key", ["a b", "http://e.org/a b", "<http://e.org>", "", "e.org/x", "12:3", "/film/genre", "_:a b"]
)
def test_other_keys_are_wrapped(key: str) -> None:
    assert not is_iri(key) and is_iri(iri_of(key)) and key_of(iri_of(key)) == key
