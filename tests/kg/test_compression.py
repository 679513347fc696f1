"""Compressed dumps: whole or refused."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from kg import InputError
from kg.bzip2 import Bzip2Blocks
from kg.compression import Dump, compression_of, open_dump

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}
DATA = b"".join(b"<urn:%d> <urn:p> <urn:%d> .\n" % (n, n * n % 997) for n in range(20_000))

suffixes = pytest.mark.parametrize("suffix", COMPRESSORS)


@suffixes
def test_members_follow_each_other(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"d.nt{suffix}"
    stored = COMPRESSORS[suffix](DATA) + COMPRESSORS[suffix](b"") + COMPRESSORS[suffix](b"end")
    path.write_bytes(stored)
    with Dump(path) as dump:
        assert dump.readall() == DATA + b"end"
        assert (dump.size, dump.sha256) == (len(stored), hashlib.sha256(stored).hexdigest())
        assert dump.produced == len(DATA) + 3


@suffixes
@pytest.mark.parametrize("cut", [0, 1, 9, 0.5, -1])
def test_truncated(suffix: str, cut: float, tmp_path: Path) -> None:
    stored = COMPRESSORS[suffix](DATA)
    path = tmp_path / f"d.nt{suffix}"
    path.write_bytes(stored[: int(len(stored) * cut) if isinstance(cut, float) else cut])
    with pytest.raises(InputError, match=rf"d\.nt{suffix}: (truncated|not .* data)"):
        Dump(path).readall()


@suffixes
def test_truncated_in_a_later_member(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"d.nt{suffix}"
    path.write_bytes(COMPRESSORS[suffix](DATA) + COMPRESSORS[suffix](DATA)[:-5])
    with pytest.raises(InputError, match="truncated"):
        Dump(path).readall()


@suffixes
def test_corrupt(suffix: str, tmp_path: Path) -> None:
    stored = bytearray(COMPRESSORS[suffix](DATA))
    stored[len(stored) // 2] ^= 0xFF
    stored[len(stored) // 2 + 1] ^= 0x55
    path = tmp_path / f"d.nt{suffix}"
    path.write_bytes(stored)
    if suffix == ".zst":  # its frames carry no checksum unless asked for, so damage can decode to other bytes
        path.write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(DATA)[:-1] + b"\0")
    with pytest.raises(InputError, match=rf"d\.nt{suffix}: corrupt"):
        Dump(path).readall()


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_zero_padding_is_no_member(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"d.nt{suffix}"
    path.write_bytes(COMPRESSORS[suffix](DATA) + bytes(512))
    assert Dump(path).readall() == DATA


def test_zstd_skippable_frames(tmp_path: Path) -> None:
    path = tmp_path / "d.nt.zst"
    path.write_bytes(struct.pack("<II", 0x184D2A50, 4) + b"note" + COMPRESSORS[".zst"](DATA))
    assert Dump(path).readall() == DATA


@suffixes
def test_a_suffix_that_lies(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"d.nt{suffix}"
    path.write_bytes(DATA)
    with pytest.raises(InputError, match=f"not .* data, although its name ends in {suffix}"):
        Dump(path)
    plain = tmp_path / "d.nt"
    plain.write_bytes(COMPRESSORS[suffix](DATA))
    assert Dump(plain).readall() == DATA, "content decides"


@pytest.mark.parametrize("suffix", [".bz2", ".xz", ".zst"])
def test_a_bomb_is_refused(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kg.compression.MIN_BOUNDED", 1 << 20)
    path = tmp_path / f"d.nt{suffix}"
    path.write_bytes(COMPRESSORS[suffix](bytes(1 << 25)))
    piece = bytearray(1 << 16)
    dump = Dump(path)
    with pytest.raises(InputError, match="refused as a bomb"):
        while dump.readinto(piece):
            pass


def test_absent_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.nt: no such file"):
        Dump(tmp_path / "absent.nt")
    with pytest.raises(InputError, match=r"(?i)directory"):
        Dump(tmp_path)


def test_progress_counts_stored_bytes(tmp_path: Path) -> None:
    path = tmp_path / "d.nt.gz"
    path.write_bytes(gzip.compress(DATA))
    seen: list[int] = []
    Dump(path, seen.append).readall()
    assert sum(seen) == path.stat().st_size


@suffixes
@given(st.lists(st.binary(max_size=2000), max_size=4), st.integers(1, 300))
@settings(deadline=None, max_examples=30)
def test_any_bytes_in_any_pieces(
    suffix: str, tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], size: int
) -> None:
    path = tmp_path_factory.mktemp("any") / "d"
    path.write_bytes(b"".join(map(COMPRESSORS[suffix], [*parts, b"."])))
    stream = io.BufferedReader(Dump(path), size)
    assert b"".join(iter(lambda: stream.read(size), b"")) == b"".join(parts) + b"."


def test_plain_text_is_no_compression() -> None:
    assert compression_of(b"") is None and compression_of(b"B") is None and compression_of(b"<urn:a>") is None


# bzip2 by several threads


@pytest.fixture
def bzip2_blocks(tmp_path: Path) -> Callable[[bytes], bytes]:
    def read(stored: bytes) -> bytes:
        path = tmp_path / "d.nt.bz2"
        path.write_bytes(stored)
        with open_dump(str(path), None, 2) as dump:
            assert isinstance(dump, Bzip2Blocks) and dump.size == len(stored)
            return dump.read()

    return read


def test_blocks_side_by_side(bzip2_blocks: Callable[[bytes], bytes]) -> None:
    for parts in ([DATA], [DATA, b"", DATA * 3, b"end"], [b""], [b"", b"x"]):
        assert bzip2_blocks(b"".join(map(bz2.compress, parts))) == b"".join(parts)


@pytest.mark.parametrize("cut", [0.3, 0.9, -1, -10])
def test_blocks_are_whole_or_refused(cut: float, bzip2_blocks: Callable[[bytes], bytes]) -> None:
    whole = bz2.compress(DATA)
    broken = whole[: int(len(whole) * cut) if isinstance(cut, float) else cut]
    for stored in (broken, whole + broken, whole + b"BZh9", whole + b"nothing"):
        with pytest.raises(InputError, match="truncated or corrupt"):
            bzip2_blocks(stored)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    with pytest.raises(InputError, match="truncated or corrupt"):
        bzip2_blocks(bytes(flipped))


def test_a_bomb_of_blocks(bzip2_blocks: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kg.compression.MIN_BOUNDED", 1 << 20)
    with pytest.raises(InputError, match="refused as a bomb"):
        bzip2_blocks(bz2.compress(bytes(1 << 25)))
