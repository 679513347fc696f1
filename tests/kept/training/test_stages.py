"""From a recipe to a model: the same whether it was interrupted or not, and never on top of another run."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import yaml
from PIL import Image

from kept.data.record import Record
from kept.data.shards import write_records
from kept.data.tokenized_files import arrays_of
from kept.modeling.fusion import MentionFusion
from kept.modeling.model import KeptModel
from kept.objectives.mlm import MaskedLanguageModeling
from kept.training.reading import Tokenizing
from kept.training.recipe_file import read_recipe
from kept.training.stages import Run
from kg import KnowledgeGraph
from kg.errors import InputError
from tests.kept import tiny
from tests.kept.training.stage import assert_equal, weights

STAGE = {"steps": 4, "save_every": 2, "sources": {"all": {"records": "records", "batch": 4}}}
RECIPE: dict[str, Any] = {
    "name": "small",
    "tokenizer": {"vocabulary": 120},
    "model": {
        "width": 16,
        "heads": 2,
        "hidden": 32,
        "image": {"size": 8, "patch": 4, "heads": 2},
        "knowledge": {"decoders": ["operator"]},
    },
    "graph": "graph.kg",
    "vectors": "vectors",
    "pictures": "pictures",
    "encode_pictures": True,
    "stages": [
        {"name": "pictures", "objectives": {"itc": {}, "itm": {}}, **STAGE},
        {
            "name": "facts",
            "objectives": {"mlm": {}, "mep": {}},
            "freeze": ["towers.image", "contrast", "match"],
            **STAGE,
        },
    ],
}


class Killed(Exception):
    """What stops a run in these tests."""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    captions = [
        tiny.record(f"c{e}", f"A banner of {tiny.ENTITIES[e]}.", e, image=f"{e // 2}.png") for e in (0, 2, 4, 6)
    ]
    write_records(tmp_path / "records", [*tiny.RECORDS, *captions])
    triples = [(tiny.ENTITIES[h], "capital", tiny.ENTITIES[t]) for h, _, t in tiny.CAPITALS.tolist()]
    graph = KnowledgeGraph.from_triples([*triples, ("Wien", "capital", "Wien")])
    graph.save(tmp_path / "graph.kg")
    tiny.vectors().save(tmp_path / "vectors")
    (tmp_path / "pictures").mkdir()
    for name, pixels in zip(tiny.pixels().names, tiny.pixels().pixels, strict=True):
        Image.fromarray(pixels).save(tmp_path / "pictures" / name)
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, "root": str(tmp_path)}, sort_keys=False))
    return path


def prepared(recipe: Path, *settings: str) -> Run:
    return Run.prepare(read_recipe(recipe, settings))


@pytest.mark.parametrize("killed_at", [("pictures", 3), ("facts", 1), ("facts", 3)])
def test_an_interrupted_run_ends_with_the_same_model(recipe: Path, killed_at: tuple[str, int], tmp_path: Path) -> None:
    def stop(stage: str, step: int, steps: int) -> None:
        if (stage, step) == killed_at:
            raise Killed

    whole = prepared(recipe).train(tmp_path / "whole")
    with pytest.raises(Killed):
        prepared(recipe).train(tmp_path / "killed", on_step=stop)
    assert not (tmp_path / "killed" / "model").exists()
    seen: list[tuple[str, int]] = []
    resumed = prepared(recipe).train(tmp_path / "killed", on_step=lambda stage, step, _: seen.append((stage, step)))
    assert seen[0] == (killed_at[0], killed_at[1] // 2 * 2 + 1)
    assert_equal(weights(KeptModel.load(resumed)), weights(KeptModel.load(whole)))
    for name in ("model.safetensors", "picture-linker.safetensors", "pictures/states.safetensors", "tokenizer.json"):
        assert (resumed / name).read_bytes() == (whole / name).read_bytes(), name
    for stage in ("pictures", "facts"):
        curves = [tmp_path / run / "stages" / stage / "curves.jsonl" for run in ("whole", "killed")]
        assert curves[0].read_text() == curves[1].read_text()
    assert prepared(recipe).train(tmp_path / "whole", on_step=stop) == whole, "a finished run is left alone"


def test_records_in_files_train_the_same_model(recipe: Path, tmp_path: Path) -> None:
    held = prepared(recipe).train(tmp_path / "held")
    mapped = Run.prepare(read_recipe(recipe), out=tmp_path / "mapped")
    arrays = arrays_of(mapped.corpora["facts"]["all"])
    assert all(isinstance(array, np.memmap) for array in arrays.values() if array.size)
    assert (tmp_path / "mapped" / "tokenized").is_dir()
    trained = mapped.train(tmp_path / "mapped")
    assert (trained / "model.safetensors").read_bytes() == (held / "model.safetensors").read_bytes()
    assert not (tmp_path / "mapped" / "tokenized").exists(), "what is no longer needed goes"


def test_records_in_files_are_used_again_and_made_anew_when_something_changed(recipe: Path, tmp_path: Path) -> None:
    made = tmp_path / "run" / "tokenized"

    def again() -> list[str]:
        Run.prepare(read_recipe(recipe), out=tmp_path / "run")
        return sorted(path.name for path in made.iterdir() if not path.name.startswith("."))

    first = again()
    stamp = next((made / first[0]).glob("ids.bin")).stat().st_mtime_ns
    assert again() == first and (made / first[0] / "ids.bin").stat().st_mtime_ns == stamp
    write_records(tmp_path / "records", [tiny.record("other", "A banner of France.", 0, image="0.png")])
    assert len(again()) == 2


def test_a_record_that_cannot_be_tokenised_leaves_nothing(recipe: Path, tmp_path: Path) -> None:
    write_records(tmp_path / "records", [*tiny.RECORDS, Record(id="lost", image="lost.png")], shard=4)
    with pytest.raises(InputError, match=r"no picture 'lost\.png'"):
        Run.prepare(read_recipe(recipe), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_full_disk_is_told_and_what_was_finished_stays(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_records(tmp_path / "records", tiny.RECORDS, shard=4)
    save, saved = safetensors.numpy.save_file, []

    def fill(*given: Any) -> None:
        saved.append(given)
        if len(saved) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(*given)

    monkeypatch.setattr(safetensors.numpy, "save_file", fill)
    with pytest.raises(InputError, match=r"run/tokenized: cannot be written \(.*No space left on device"):
        Run.prepare(read_recipe(recipe), out=tmp_path / "run")
    assert Run.prepare(read_recipe(recipe), out=tmp_path / "run").corpora["facts"]
    assert len(saved) == 1 + len(list((tmp_path / "records").iterdir()))


def test_a_finished_run_tokenises_nothing(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Run.prepare(read_recipe(recipe), out=tmp_path / "run").train(tmp_path / "run")
    monkeypatch.setattr(Tokenizing, "build", lambda self, records: pytest.fail("tokenised again"))
    assert Run.prepare(read_recipe(recipe), out=tmp_path / "run").train(tmp_path / "run") == whole
    with pytest.raises(InputError, match="holds a run of other settings"):
        Run.prepare(read_recipe(recipe, ["seed=7"]), out=tmp_path / "run")


def test_a_run_goes_on_from_a_model_with_its_encoded_pictures(recipe: Path, tmp_path: Path) -> None:
    first = prepared(recipe).train(tmp_path / "first")
    second = Run.prepare(read_recipe(recipe, ["encode_pictures=false", "seed=5"]), first)
    assert second.not_taken == []
    assert_equal(weights(second.model), weights(KeptModel.load(first)))
    corpus = second.corpora["facts"]["all"]
    batch = corpus.batch(tiny.rows(0), tiny.NOISE)
    assert batch.image is not None
    assert batch.image.pixels is None
    smaller = Run.prepare(read_recipe(recipe, ["encode_pictures=false", "model.hidden=40"]), first)
    assert smaller.not_taken
    assert all(".feed_forward." in name for name in smaller.not_taken)


def test_another_recipe_is_refused_where_one_has_begun(recipe: Path, tmp_path: Path) -> None:
    prepared(recipe).train(tmp_path / "out")
    with pytest.raises(InputError, match="holds a run of other settings"):
        prepared(recipe, "seed=1").train(tmp_path / "out")


def test_what_does_not_fit_is_told_before_training(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--from .*absent: no model here"):
        Run.prepare(read_recipe(recipe), tmp_path / "absent")
    write_records(tmp_path / "none", [])
    with pytest.raises(InputError, match="none: holds no record"):
        prepared(recipe, "stages.facts.sources.all.records=none")
    given = tiny.vectors()
    replace(given, entities=given.entities[:5], keys=given.keys[:5], labels=given.labels[:5]).save(tmp_path / "few")
    with pytest.raises(InputError, match="few holds 5 entities, the graph 9"):
        prepared(recipe, "vectors=few")


def test_a_fusion_may_rewrite_records_but_not_those_of_a_model_without_it(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rewrite(self: MentionFusion, record: Record) -> Record:
        return replace(record, text=f"{record.text} Wien.")

    plain = prepared(recipe)
    monkeypatch.setattr(MentionFusion, "rewrite", rewrite)
    longer = prepared(recipe)
    for name, corpus in longer.corpora["facts"].items():
        before = plain.corpora["facts"][name].lengths
        assert (corpus.lengths > before).all()
    records = list(tiny.RECORDS)
    assert list(longer.model.rewritten(records, knowledge=False)) == records
    assert list(tiny.model(knowledge=False).rewritten(records)) == records


def test_a_fusion_may_bring_an_objective_of_its_own(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MentionFusion, "objective", lambda self: MaskedLanguageModeling(rate=0.5))
    run = prepared(recipe)
    trainer = run.trainer(run.recipe.stages[0], None)
    assert trainer.tasks["fusion"].sources == ("all",)
    assert {"itc", "itm", "mlm", "names"} <= set(trainer.train_step())
    with pytest.raises(InputError, match="stage facts: the recipe and the fusion both train 'mlm'"):
        run.trainer(run.recipe.stages[1], None)
