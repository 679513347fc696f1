"""The hash of a dump is hashlib's, however it was worked out."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg import lines, paired
from kg.build import build
from kg.digests import HashedBeside, Hashing, finished, update
from kg.lines import scan_dump
from kg.loops import knows_sha256
from kg.policy import Policy
from kg.rdf import NTriples
from kg.storage import sha256_file

SUFFIX = {bytes: "", bz2.compress: ".bz2", gzip.compress: ".gz"}
beside = pytest.mark.skipif(not knows_sha256(), reason="this processor has no instructions for SHA-256")


@beside
@given(st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 5)), max_size=8))
@settings(deadline=None)
def test_pieces(pieces: list[tuple[bytes, int]]) -> None:
    """A scan takes some steps of a piece along, or none, or all."""
    hashing = HashedBeside(Path("absent"))
    for piece, steps in pieces:
        data = np.frombuffer(b"." + piece + b"behind", np.uint8)
        with hashing.taking(data, 1, 1 + len(piece)) as hashed:
            start = int(hashed.place[0])
            hashed.place[0] = update(hashed.state, data, start, min(start + 64 * steps, 1 + len(piece)))
    whole = b"".join(piece for piece, _ in pieces)
    assert hashing.read == len(whole)
    waiting = hashing._pending[: hashing._waiting].tobytes()
    assert finished(hashing._state, waiting, len(whole)) == hashlib.sha256(whole).hexdigest()


@beside
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("block", [1, 700, 1 << 14])
def test_beside_a_scan(threads: int, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(b'<urn:%d> <urn:p> "%s" .\n' % (n, b"x" * (n % 90)) for n in range(2000))
    (tmp_path / "a.nt").write_bytes(data)
    monkeypatch.setattr(lines, "BLOCK", block)
    monkeypatch.setattr(paired, "BLOCK", block)
    monkeypatch.setattr(paired, "ROWS", 50)
    hashing = HashedBeside(tmp_path / "a.nt")
    tally, _ = scan_dump(io.BytesIO(data), NTriples(), Policy(), lambda *_: None, "", threads, hashing=hashing)
    assert tally.statements == 2000
    assert hashing.result() == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_of_a_build(start: bytes, workers: int, end: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kg.reading.COMPILED_FROM", 0)
    path = tmp_path / "a.nt"
    path.write_bytes(start + b"\n".join(b"<urn:%d> <urn:p> <urn:o> ." % n for n in range(999)) + end)
    (source,) = build([path], tmp_path / "a.kg", workers=workers).sources
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("memory", [None, 200_000])
@pytest.mark.parametrize("pack", [bytes, bz2.compress, gzip.compress])
def test_of_what_is_compressed(
    pack: Callable[[bytes], bytes], memory: int | None, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kg.reading.COMPILED_FROM", 0)
    path = tmp_path / ("a.nt" + SUFFIX[pack])
    path.write_bytes(pack(b"".join(b"<urn:%d> <urn:p> <urn:o> .\n" % n for n in range(999))))
    meta = build([path], tmp_path / "a.kg", workers=workers, memory=memory)
    assert (meta.statements, meta.sources[0].sha256) == (999, hashlib.sha256(path.read_bytes()).hexdigest())


def test_what_goes_wrong_is_raised_by_who_waits(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Hashing(tmp_path / "absent").result()
    (tmp_path / "a").write_bytes(b"a")
    assert Hashing(tmp_path / "a").result() == sha256_file(tmp_path / "a")
