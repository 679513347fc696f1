"""Sources are fetched whole or not at all, from a server on this machine only."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import yaml

from data_scripts import _download
from data_scripts._download import File, obtain
from data_scripts._source import Source, count_lines, fetch, run, run_one_of
from kg import InputError
from kg.dumps import find_dumps

DATA = bytes(range(256)) * 4000
NAMES = ("wikidata", "dbpedia", "yago", "conceptnet", "wordnet", "fb15k237", "wn18rr", "codex", "wikidata5m")


class Handler(BaseHTTPRequestHandler):
    """Serves `DATA` as told: with or without ranges, breaking off, changing, refusing."""

    content: ClassVar[bytes] = DATA
    breaks: ClassVar[list[int]] = []
    ranges: ClassVar[bool] = True
    tag: ClassVar[str] = '"one"'
    status: ClassVar[int] = 200
    asked: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        Handler.asked.append(asked)
        if self.status != 200:
            self.send_error(self.status)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges else 0
        if start and self.headers.get("If-Range") not in (None, self.tag):
            start = 0
        if start >= len(self.content):
            self.send_error(416)
            return
        body = self.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", self.tag)
        self.end_headers()
        self.wfile.write(body[: Handler.breaks.pop(0)] if Handler.breaks else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in (
        ("content", DATA),
        ("breaks", []),
        ("ranges", True),
        ("tag", '"one"'),
        ("status", 200),
        ("asked", []),
    ):
        monkeypatch.setattr(Handler, name, value)
    monkeypatch.setattr(_download, "PAUSE", 0.0)
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}/a"
    running.shutdown()
    running.server_close()


def known(url: str) -> File:
    return File("a.bin", url, len(DATA), hashlib.sha256(DATA).hexdigest())


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_download(server: str, tmp_path: Path) -> None:
    path = obtain(known(server), tmp_path)
    assert path.read_bytes() == DATA and left(tmp_path) == ["a.bin"]
    obtain(known(server), tmp_path)
    assert Handler.asked == [None], "what is there is not fetched again"


def test_one_that_breaks_off_goes_on(server: str, tmp_path: Path) -> None:
    Handler.breaks = [1000, 300_000]
    assert obtain(known(server), tmp_path).read_bytes() == DATA
    assert Handler.asked == [None, "bytes=1000-", "bytes=301000-"] and left(tmp_path) == ["a.bin"]


def test_the_next_call_goes_on(server: str, tmp_path: Path) -> None:
    Handler.breaks = [1000] + [10] * 4
    with pytest.raises(InputError, match=r"http.*ended after 1,040 of 1,024,000 bytes"):
        obtain(known(server), tmp_path)
    assert left(tmp_path) == [".a.bin.json", ".a.bin.partial"]
    assert obtain(known(server), tmp_path).read_bytes() == DATA
    assert Handler.asked[-1] == "bytes=1040-" and left(tmp_path) == ["a.bin"]


def test_a_server_without_ranges_begins_again(server: str, tmp_path: Path) -> None:
    Handler.breaks, Handler.ranges = [1000], False
    assert obtain(known(server), tmp_path).read_bytes() == DATA


def test_a_file_that_changed_meanwhile_begins_again(server: str, tmp_path: Path) -> None:
    Handler.breaks = [1000] + [0] * 4
    with pytest.raises(InputError):
        obtain(File("a.bin", server), tmp_path)
    Handler.content, Handler.tag = DATA[::-1], '"two"'
    assert obtain(File("a.bin", server), tmp_path).read_bytes() == DATA[::-1]


def test_all_bytes_but_no_end(server: str, tmp_path: Path) -> None:
    """The program died between the last byte and the check."""
    (tmp_path / ".a.bin.partial").write_bytes(DATA)
    (tmp_path / ".a.bin.json").write_text(json.dumps({"size": len(DATA), "ETag": '"one"'}))
    assert obtain(known(server), tmp_path).read_bytes() == DATA and left(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("status", [404, 503])
def test_a_refusal_names_the_address(status: int, server: str, tmp_path: Path) -> None:
    Handler.status = status
    with pytest.raises(InputError, match=rf"{server}: .*{status}"):
        obtain(known(server), tmp_path)
    assert left(tmp_path) == [] and len(Handler.asked) == (1 if status == 404 else _download.TRIES)


def test_nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_download, "PAUSE", 0.0)
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9/a: "):
        obtain(known("http://127.0.0.1:9/a"), tmp_path)


@pytest.mark.parametrize("change", [{"size": 5}, {"sha256": "0" * 64}])
def test_another_file_is_refused(change: dict, server: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.bin"):
        obtain(replace(known(server), **change), tmp_path)
    assert left(tmp_path) == []


def test_a_local_copy(tmp_path: Path) -> None:
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies" / "a.bin").write_bytes(DATA)
    file = known("http://127.0.0.1:9/a")
    assert obtain(file, tmp_path / "x", tmp_path / "copies").read_bytes() == DATA
    assert obtain(file, tmp_path / "y", tmp_path / "copies" / "a.bin").read_bytes() == DATA
    (tmp_path / "copies" / "a.bin").write_bytes(DATA[1:])
    with pytest.raises(InputError, match="1,024,000"):
        obtain(file, tmp_path / "z", tmp_path / "copies")
    with pytest.raises(InputError, match="no such file"):
        obtain(file, tmp_path / "z", tmp_path / "nowhere")


def archives(folder: Path) -> dict[str, Path]:
    text = b"a\tb\tc\nd\te\tf\n"
    with zipfile.ZipFile(folder / "a.zip", "w") as packed:
        packed.writestr("dir/train.txt", text)
    with tarfile.open(folder / "a.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo("dir/train.txt")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
        tar.addfile(tarfile.TarInfo("dir/link"))
    return {"a.zip": folder / "a.zip", "a.tar.gz": folder / "a.tar.gz"}


def source(archive: str, inside: str = "dir/train.txt", lines: int = 2) -> Source:
    return Source(
        name="toy",
        about="A toy.",
        home="http://example.org",
        licence="CC0",
        files=(File(archive, "http://127.0.0.1:9/a"),),
        members={"train.txt": (archive, inside)},
        lines={"train.txt": lines},
        next="kept embed {out}",
    )


@pytest.mark.parametrize("archive", ["a.zip", "a.tar.gz"])
def test_a_source(archive: str, tmp_path: Path) -> None:
    archives(tmp_path)
    (made,) = fetch(source(archive), tmp_path / "out", tmp_path)
    assert made.read_bytes() == b"a\tb\tc\nd\te\tf\n"
    report = yaml.safe_load((tmp_path / "out" / "source.yaml").read_text())
    assert report["licence"] == "CC0" and len(report["files"][0]["sha256"]) == 64
    with pytest.raises(InputError, match="no dump there"):
        find_dumps([tmp_path / "out"])
    with pytest.raises(InputError, match="2 lines, but toy has 3"):
        fetch(source(archive, lines=3), tmp_path / "out", tmp_path)
    with pytest.raises(InputError, match=r"nothing\.txt"):
        fetch(source(archive, inside="nothing.txt"), tmp_path / "other", tmp_path)


def test_a_broken_archive(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"a\.tar\.gz: "):
        fetch(source("a.tar.gz"), tmp_path / "out", tmp_path)


def test_as_a_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archives(tmp_path)
    arguments = ["--out", str(tmp_path / "out"), "--local", str(tmp_path)]
    assert run(source("a.zip"), arguments) == 0
    out = capsys.readouterr().out
    assert "licence: CC0" in out and f"next: kept embed {tmp_path / 'out'}" in out
    assert run(source("a.zip", lines=9), arguments) == 2
    assert "has 9" in capsys.readouterr().err
    several = {"x": source("a.zip"), "y": source("a.tar.gz")}
    assert run_one_of(several, "x", ["--out", str(tmp_path / "y"), "--local", str(tmp_path), "--set", "y"]) == 0


def test_lines(tmp_path: Path) -> None:
    for text, count in ((b"", 0), (b"a", 1), (b"a\n", 1), (b"a\n\nb", 3)):
        (tmp_path / "a").write_bytes(text)
        assert count_lines(tmp_path / "a") == count


@pytest.mark.parametrize("name", NAMES)
def test_every_source_says_what_it_is(name: str) -> None:
    module = importlib.import_module(f"data_scripts.{name}")
    sources = getattr(module, "SOURCES", None) or {"": module.SOURCE}
    for one in sources.values():
        assert one.licence and one.home.startswith("https://") and one.about.endswith(".") and "{out}" in one.next
        assert all(file.url.startswith("https://") for file in one.files)
        names = {file.name for file in one.files}
        assert {archive for archive, _ in one.members.values()} <= names
        assert set(one.lines) <= names | set(one.members)


@pytest.mark.data
def test_fb15k237_from_a_copy(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    from data_scripts.fb15k237 import SOURCE

    made = fetch(SOURCE, tmp_path, real_data("kg/fb15k-237"))
    assert [path.name for path in made] == ["train.txt", "valid.txt", "test.txt"]


@pytest.mark.data
def test_wordnet_from_a_copy(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    from data_scripts.wordnet import ARCHIVE, SOURCE, SYNSETS

    folder = real_data("kg/wordnet30")
    with tarfile.open(tmp_path / ARCHIVE, "w:gz", compresslevel=1) as tar:
        for kind in SYNSETS:
            tar.add(folder / f"data.{kind}", f"dict/data.{kind}")
    assert len(fetch(SOURCE, tmp_path / "out", tmp_path)) == 4


@pytest.mark.data
def test_codex_from_a_copy(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    from data_scripts.codex import SOURCES

    folder = real_data("kg/codex") / "triples" / "codex-s"
    assert len(fetch(SOURCES["s"], tmp_path, folder)) == 5
