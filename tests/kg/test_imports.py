"""`kg` is light: heavy libraries are imported where they are used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kg.build import build

HEAVY = (
    "transformers",
    "spacy",
    "torch",
    "torch_geometric",
    "networkx",
    "rdflib",
    "matplotlib",
    "scipy",
    "numba",
    "faiss",
)


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import kg",
        "from kg import KnowledgeGraph",
        "import kg.build, kg.backends",
        "import pipelines.build_kg, pipelines.kg_commands",
    ],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    assert not loaded_by(code) & set(HEAVY)


def test_kg_stands_alone() -> None:
    rooms = {name.split(".")[0] for name in loaded_by("import kg.build, kg.backends, kg.draw, kg.sparql, kg.export")}
    assert not rooms & {"kept", "pipelines", "data_scripts"}


def test_the_graph_is_an_attribute_of_the_package() -> None:
    import kg
    from kg.graph import KnowledgeGraph

    assert kg.KnowledgeGraph is KnowledgeGraph
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        kg.Nonsense  # noqa: B018


def test_a_graph_is_opened_and_asked_without_pandas(tmp_path: Path) -> None:
    """Arrow's own conversions load it where it is installed, which takes longer than all else."""
    pytest.importorskip("pandas")
    label = '<http://e.org/a> <http://www.w3.org/2000/01/rdf-schema#label> "A" .'
    (tmp_path / "a.nt").write_text(f"<http://e.org/a> <http://e.org/p> <http://e.org/b> .\n{label}\n")
    build([tmp_path / "a.nt"], tmp_path / "a.kg")
    loaded = loaded_by(
        f"from kg import KnowledgeGraph\nkg = KnowledgeGraph.open({str(tmp_path / 'a.kg')!r})\n"
        "assert kg.label(0) == 'A' and kg.out(0) and len(kg.find('a')) == 1"
    )
    assert not loaded & {"pandas", *HEAVY}
