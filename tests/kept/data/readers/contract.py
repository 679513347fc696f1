"""What every reader promises, inherited unchanged by each member's test."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kept.data.readers import READERS, Rejects
from kept.data.record import Record
from kept.data.shards import read_records, write_records
from kg import InputError
from tests.contracts import Contract

MANGLED = 60


def picture(path: Path, size: tuple[int, int] = (40, 20)) -> None:
    """A picture file that can be decoded."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (200, 30, 30)).save(path)


def mangled(data: bytes, draw: random.Random) -> bytes:
    """Bytes with a few changed, lost, doubled or put elsewhere."""
    changed = bytearray(data)
    for _ in range(draw.randint(0, 3)):
        start = draw.randrange(len(changed) + 1)
        stop = min(len(changed), start + draw.choice([1, 1, 2, 8, 40]))
        piece = draw.choice([b"", b"0", b"-", b'"', b"{", b"[", b"]", b",", b"\t", b"\n", b"\xff", b"null", b"1e400"])
        changed[start:stop] = draw.choice([piece, bytes(changed[start:stop]) * 2, b""])
    return bytes(changed)


class ReaderContract(Contract):
    """Every reader: a stream of records with ids of their own, boxes that are shares, and bad input by its name.

    A member's test lays out files of its format, on request with one item more at the end that cannot be taken.
    """

    family = READERS
    reason: ClassVar[str] = "empty text"
    """Why the last item is refused."""
    place: ClassVar[str]
    """How a message names it."""

    def lay(self, folder: Path, *, broken: bool = False) -> dict[str, Any]:
        """Write the files; returns the reader's options."""
        raise NotImplementedError

    def reader(self, folder: Path, *, broken: bool = False, rejects: Rejects | None = None, **options: Any) -> Any:
        return self.made({**self.lay(folder, broken=broken), **options}, rejects or Rejects())

    def made(self, options: dict[str, Any], rejects: Rejects) -> Any:
        reader: Any = READERS[self.member]
        return reader(rejects=rejects, **options)

    def records(self, folder: Path, **options: Any) -> list[Record]:
        return list(self.reader(folder, **options).records())

    def test_ids_are_unique(self, tmp_path: Path) -> None:
        ids = [record.id for record in self.records(tmp_path)]
        assert len(ids) == len(set(ids)) > 1
        assert all(ids)

    def test_the_same_files_give_the_same_records(self, tmp_path: Path) -> None:
        assert self.records(tmp_path) == self.records(tmp_path)

    def test_every_record_says_where_it_is_from(self, tmp_path: Path) -> None:
        assert all(record.source for record in self.records(tmp_path))

    def test_boxes_are_shares_and_relations_lead_to_them(self, tmp_path: Path) -> None:
        for record in self.records(tmp_path):
            for region in record.regions:
                left, top, right, bottom = region.box
                assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
            for relation in record.relations:
                assert min(relation.subject, relation.object) >= 0
                assert max(relation.subject, relation.object) < len(record.regions)

    def test_pictures_lie_below_the_root(self, tmp_path: Path) -> None:
        reader = self.reader(tmp_path)
        names = {name for record in reader.records() for name in record.pictures()}
        assert names and all((reader.root / name).is_file() for name in names)

    def test_records_survive_the_disk(self, tmp_path: Path) -> None:
        made = self.records(tmp_path / "data")
        write_records(tmp_path / "records", made)
        assert list(read_records(tmp_path / "records")) == made

    def test_it_streams(self, tmp_path: Path) -> None:
        """What is wrong with the last item is not met before the first record, and stops there by its name."""
        whole = self.records(tmp_path)
        stream = self.reader(tmp_path, broken=True).records()
        assert next(stream) == whole[0]
        with pytest.raises(InputError) as caught:
            list(stream)
        assert self.place in str(caught.value) and self.reason in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_what_is_unfit_can_be_skipped(self, tmp_path: Path) -> None:
        whole = self.records(tmp_path)
        rejects = Rejects("skip", max_errors=1)
        assert self.records(tmp_path, broken=True, rejects=rejects) == whole
        assert rejects.counts == {self.reason: 1}
        rejects.write(tmp_path)
        header, line = (tmp_path / "rejected.tsv").read_text(encoding="utf-8").splitlines()
        assert header == "file\tkey\treason\tdetail"
        file, key, reason, _ = line.split("\t")
        assert f"{file}:{key}".endswith(self.place) and reason == self.reason

    def test_too_much_that_is_unfit_stops(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="more than 0 errors"):
            self.records(tmp_path, broken=True, rejects=Rejects("skip", max_errors=0))

    def test_pictures_are_looked_at(self, tmp_path: Path) -> None:
        whole = self.records(tmp_path, check_pictures=True)
        first = next(record.image for record in whole if record.image)
        self.spoil(tmp_path, first)
        rejects = Rejects("skip")
        left = list(self.made({**self.options, "check_pictures": True}, rejects).records())
        assert left == [record for record in whole if record.image != first]
        assert set(rejects.counts) == {"picture"}

    def spoil(self, folder: Path, image: str) -> None:
        """Lay out the files and cut a picture off."""
        self.options = self.lay(folder)
        path = self.made(self.options, Rejects()).root / image
        path.write_bytes(path.read_bytes()[:-30])

    def test_mangled_files_are_refused_in_words(self, tmp_path: Path) -> None:
        """Whatever the bytes, there are records or an `InputError`, and what comes out is sound."""
        options = self.lay(tmp_path)
        files = [path for path in tmp_path.rglob("*") if path.suffix not in (".png", ".jpg") and path.is_file()]
        whole = {path: path.read_bytes() for path in sorted(files)}
        draw = random.Random(0)
        for _ in range(MANGLED):
            for path, data in whole.items():
                path.write_bytes(mangled(data, draw))
            try:
                found = list(self.made(options, Rejects("skip")).records())
            except InputError as error:
                assert "\n" not in str(error)
            else:
                write_records(tmp_path / "records", found)
                assert all(0 <= side <= 1 for record in found for region in record.regions for side in region.box)

    def test_absent_files_are_named(self, tmp_path: Path) -> None:
        options = {**self.lay(tmp_path), "paths": (str(tmp_path / "absent"),)}
        with pytest.raises(InputError, match="absent: no such file"):
            list(self.made(options, Rejects()).records())

    def test_a_folder_without_them_is_named(self, tmp_path: Path) -> None:
        options = {**self.lay(tmp_path / "data"), "paths": (str(tmp_path / "empty"),)}
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputError, match=r"empty: no .* here"):
            list(self.made(options, Rejects()).records())
