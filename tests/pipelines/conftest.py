"""What the commands leave one after the other on a toy graph, made once a worker."""

from __future__ import annotations

import pytest

from tests.pipelines.chain import Chain, make_chain


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Graph, split, records, vectors, and a model of a few steps; read it, write elsewhere."""
    return make_chain(tmp_path_factory.mktemp("chain"))
