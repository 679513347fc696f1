"""Maps of a frozen network: transformers' own states, made once, and read again by what was trained on them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from typer.testing import CliRunner

from kept.data.shards import write_records
from kept.modeling.model import KeptModel
from kept.probing import media
from kept.probing.answering import ModelScorer
from kept.probing.looking import shown
from kept.training import grid
from kept.training.check import check_run
from kept.training.grid import GridNetwork
from kept.training.recipe_file import read_recipe
from kept.training.stages import Run
from kg import KnowledgeGraph
from kg.errors import InputError
from pipelines.cli import app
from tests.kept import tiny
from tests.kept.modeling.folders import make, save
from tests.kept.training.stage import assert_equal, weights

RECIPE: dict[str, Any] = {
    "name": "maps",
    "tokenizer": {"vocabulary": 120},
    "model": {"width": 16, "heads": 2, "hidden": 32, "image": {"tower": "grid"}},
    "pictures": "pictures",
    "grid_features": {"weights": "vit"},
    "stages": [
        {
            "name": "all",
            "steps": 2,
            "sources": {"all": {"records": "records", "batch": 4}},
            "objectives": {"caption": {}, "itc": {}, "iqa": {}},
        }
    ],
}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """The four pictures of the tiny world, one of them half transparent."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, pixels in enumerate(tiny.pixels().pixels):
        drawn = pixels.copy()
        drawn[..., 3] = 128 if number == 3 else 255
        Image.fromarray(drawn).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def vit(tmp_path: Path) -> Path:
    return save(make("ViTModel"), tmp_path / "vit")


@pytest.fixture
def recipe(tmp_path: Path, pictures: Path, vit: Path) -> Path:
    write_records(tmp_path / "records", [replace(tiny.RECORDS[row], mentions=(), tail=None) for row in tiny.FULL])
    path = tmp_path / "maps.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, "root": str(tmp_path)}, sort_keys=False))
    return path


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the pictures that a network has looked at."""
    names: list[str] = []
    encode = GridNetwork.encode

    def watched(self: GridNetwork, paths: Sequence[Path]) -> torch.Tensor:
        names.extend(path.name for path in paths)
        return encode(self, paths)

    monkeypatch.setattr(GridNetwork, "encode", watched)
    return names


def on_white(folder: Path) -> torch.Tensor:
    """(N, 3, 8, 8): c a + 1 - a, what transformers is given."""
    drawn = np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))]) / 255
    colours, alpha = drawn[..., :3], drawn[..., 3:]
    return torch.from_numpy(colours * alpha + 1 - alpha).float().permute(0, 3, 1, 2)


@pytest.mark.parametrize("name", ["ViTModel", "CLIPVisionModel", "CLIPModel"])
def test_maps_are_transformers_states_without_the_class_token(name: str, pictures: Path, tmp_path: Path) -> None:
    model = make(name)
    folder = save(model, tmp_path / "network")
    (folder / "preprocessor_config.json").write_text('{"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}')
    mean, deviation = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.4])
    scaled = (on_white(pictures) - mean[:, None, None]) / deviation[:, None, None]
    body = getattr(model, "vision_model", model)
    with torch.no_grad():
        expected = body(pixel_values=scaled).last_hidden_state[:, 1:]
    network = GridNetwork.open(folder)
    assert (network.places, network.features) == (4, 16)
    found = network.encode(sorted(pictures.glob("*.png")))
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-4)
    loaded = network.load(pictures)
    assert loaded.states.dtype == np.float16 and isinstance(loaded.states, np.memmap)
    image, links = loaded.draw(np.array([2, -1]), torch.tensor([1, 2]), tiny.NOISE)
    assert links is None and image.grid is not None
    assert image.mask.tolist() == [True, False]
    torch.testing.assert_close(image.grid[0], expected[2], atol=5e-3, rtol=5e-3)


def test_another_size_has_other_places(pictures: Path, vit: Path) -> None:
    model = make("ViTModel")
    network = GridNetwork.open(vit, 16)
    assert network.places == 16
    path = pictures / "0.png"
    enlarged = Image.open(path).resize((16, 16), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(enlarged, dtype=np.float32) / 255)[..., :3].permute(2, 0, 1)
    with torch.no_grad():
        expected = model(pixel_values=(pixels[None] - 0.5) / 0.5, interpolate_pos_encoding=True).last_hidden_state
    torch.testing.assert_close(network.encode([path]), expected[:, 1:], atol=2e-4, rtol=1e-4)


def test_a_folder_is_encoded_once(pictures: Path, vit: Path, seen: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    first = GridNetwork.open(vit).load(pictures)
    assert seen == ["0.png", "1.png", "2.png", "3.png"]
    monkeypatch.chdir(pictures.parent)
    again = GridNetwork.open(vit).load(Path("pictures"))
    assert len(seen) == 4, "the same folder by another path"
    assert np.array_equal(first.states, again.states)
    save(make("ViTModel", layer_norm_eps=1e-3), vit)
    assert not np.array_equal(GridNetwork.open(vit).load(pictures).states, first.states)
    assert len(seen) == 8, "another network"
    Image.new("RGB", (8, 8)).save(pictures / "2.png")
    changed = GridNetwork.open(vit).load(pictures)
    assert len(seen) == 12, "another picture"
    torch.testing.assert_close(
        torch.from_numpy(changed.states[2:3]).float(), GridNetwork.open(vit).encode([pictures / "2.png"]).half().float()
    )


def test_of_two_that_come_at_once_one_encodes(pictures: Path, vit: Path, seen: list[str]) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: GridNetwork.open(vit).load(pictures).states, range(2))
    assert np.array_equal(first, second)
    assert len(seen) == 4


def test_interrupted_encoding_goes_on(
    pictures: Path, vit: Path, seen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid, "CHUNK", 1)
    whole = GridNetwork.open(vit, 16).load(pictures)
    seen.clear()
    kept = GridNetwork._kept

    def killed(self: GridNetwork, paths: Sequence[Path]) -> np.ndarray:
        if paths[0].name == "2.png":
            raise KeyboardInterrupt
        return kept(self, paths)

    shelf = next(pictures.glob(".grid-16-*[!k]"))
    shutil.rmtree(shelf)
    monkeypatch.setattr(GridNetwork, "_kept", killed)
    with pytest.raises(KeyboardInterrupt):
        GridNetwork.open(vit, 16).load(pictures)
    assert not shelf.exists()
    monkeypatch.setattr(GridNetwork, "_kept", kept)
    assert np.array_equal(GridNetwork.open(vit, 16).load(pictures).states, whole.states)
    assert seen == ["0.png", "1.png", "2.png", "3.png"]
    assert sorted(file.name for file in shelf.iterdir()) == ["grid.json", "states.npy"]


def test_a_recipe_trains_on_maps_and_its_model_reads_them(
    recipe: Path, pictures: Path, vit: Path, tmp_path: Path, seen: list[str]
) -> None:
    run = Run.prepare(read_recipe(recipe))
    assert run.model.config.image == {"tower": "grid", "features": 16, "places": 4}
    assert not [name for name in run.model.state_dict() if "encoder" in name]
    checked = check_run(run, steps=1)
    assert checked["stages"][0]["sources"][0]["streams"]["image"] == {"length": 4, "real": 1.0}
    before = weights(run.model)
    model = KeptModel.load(run.train(tmp_path / "run"))
    assert not torch.equal(model.towers["image"].feature.weight, before["towers.image.feature.weight"])
    assert len(seen) == 4
    corpus = media.read_corpus(model, tiny.RECORDS[:4], run.tokenizer, pictures)
    assert len(seen) == 4, "the cache of training"
    batch = corpus.batch(np.arange(4), tiny.NOISE)
    own = run.corpora["all"]["all"].batch(np.arange(4), tiny.NOISE)
    alone = shown(model, run.tokenizer, [pictures / f"{number}.png" for number in range(4)], "Which?")
    assert batch.image is not None and own.image is not None and alone.image is not None
    assert batch.image.grid is not None and own.image.grid is not None and alone.image.grid is not None
    assert torch.equal(batch.image.grid, own.image.grid)
    torch.testing.assert_close(alone.image.grid, own.image.grid, atol=1e-3, rtol=1e-3)
    later = Run.prepare(read_recipe(recipe), tmp_path / "run" / "model")
    assert later.not_taken == []
    assert_equal(weights(later.model), weights(model))
    save(make("ViTModel", layer_norm_eps=1e-3), vit)
    with pytest.raises(InputError, match="holds a run of other settings"):
        Run.prepare(read_recipe(recipe)).train(tmp_path / "run")


def test_the_commands_read_maps(recipe: Path, pictures: Path, vit: Path, tmp_path: Path) -> None:
    def told(*arguments: object) -> Any:
        found = CliRunner().invoke(app, [*map(str, arguments), "--json"])
        assert found.exit_code == 0, found.output
        return json.loads(found.stdout)

    told("pretrain", recipe, "--out", tmp_path / "run")
    model, picture = tmp_path / "run" / "model", pictures / "1.png"
    tasks = [word for name in ("captions", "retrieval", "answers") for word in ("--task", name)]
    evaluate = ("evaluate", model, tmp_path / "records", *tasks, "--pictures", pictures)
    assert {row["task"] for row in told(*evaluate)["rows"]} == {"captions", "retrieval", "answers"}
    assert told("caption", model, picture)["captions"][0]["image"] == str(picture)
    assert {one["label"] for one in told("ask", model, "Is it red?", "--image", picture)["answers"]} == {"red", "blue"}
    moved = vit.rename(tmp_path / "elsewhere")
    for arguments in (("caption", model, picture), evaluate):
        found = CliRunner().invoke(app, [*map(str, arguments)])
        assert found.exit_code == 2
        assert f"grid_features.weights: {vit} is gone" in " ".join(found.stderr.split())
    config = json.loads((model / "config.json").read_text())
    config["grid_features"]["weights"] = str(moved)
    (model / "config.json").write_text(json.dumps(config))
    told("caption", model, picture)
    save(make("ViTModel", layer_norm_eps=1e-3), moved)
    found = CliRunner().invoke(app, ["caption", str(model), str(picture)])
    assert found.exit_code == 2 and "holds another network than the one this model was trained on" in found.stderr


def test_a_masked_name_is_asked_beside_a_map(pictures: Path, vit: Path) -> None:
    network = GridNetwork.open(vit)
    shape = {"tower": "grid", "features": 16, "places": 4}
    model = tiny.model(knowledge=False, regions=None, image=shape, grid_features=network.remembered)
    graph = KnowledgeGraph.from_triples([("France", "capital", "Paris")])
    scorer = ModelScorer(model, tiny.tokenizer(), graph, linker=None)  # type: ignore[arg-type]
    record = replace(
        tiny.RECORDS[0], text="The capital is [MASK].", mentions=(), regions=(), image=str(pictures / "2.png")
    )
    batch, _ = scorer.collate([record], [record.image])
    assert batch.image is not None and batch.image.grid is not None
    torch.testing.assert_close(batch.image.grid, network.encode([pictures / "2.png"]), atol=5e-3, rtol=5e-3)
    assert not batch.mentions.mask.any()
    model.config.grid_features = None
    other = ModelScorer(model, tiny.tokenizer(), graph, linker=None)  # type: ignore[arg-type]
    plain = other.fingerprint
    model.config.grid_features = network.remembered
    assert scorer.fingerprint != plain


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["grid_features=null"], "maps.yaml: model.image.tower: 'grid' needs grid_features"),
        (["model.image={size: 8, patch: 4}"], "maps.yaml: grid_features needs model.image.tower: grid"),
        (["model.image=null"], "maps.yaml: grid_features needs model.image.tower: grid"),
        (["pictures=null"], "maps.yaml: grid_features needs pictures"),
        (["encode_pictures=true"], "encode_pictures: the tower 'grid' reads pictures that are encoded already"),
        (["grid_features={size: 8}"], "maps.yaml: grid_features.weights: Field required"),
        (["grid_features.wieghts=x"], "unknown key 'grid_features.wieghts'; did you mean 'weights'?"),
        (["grid_features.size=0"], "maps.yaml: grid_features.size: Input should be greater than 0"),
        (["stages.all.objectives.picture-features={}"], "'picture-features' needs pixels"),
        (["stages.all.objectives.modality={pixels: true}"], "'modality' needs pixels"),
        (["grid_features.weights=absent"], "grid_features.weights: {root}/absent is no folder"),
        (["grid_features.weights=empty"], "grid_features.weights: {root}/empty/config.json: no such file"),
        (
            ["grid_features.weights=bert"],
            "grid_features.weights: {root}/bert: a bert has no encoder of the kind 'image'",
        ),
        (["grid_features.size=10"], "grid_features.size: 10 does not divide into patches of 4"),
        (["model.image.features=5"], "model.image.features: 5; {root}/vit gives 16"),
        (["model.image.places=2"], "model.image.places: 2; a map of {root}/vit has 4"),
        (["pictures=empty"], "{root}/empty: no picture in this folder"),
        (["pictures=absent"], "pictures: {root}/absent does not exist"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(recipe: Path, settings: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    save(make("BertModel"), tmp_path / "bert")
    with pytest.raises(InputError) as caught:
        Run.prepare(read_recipe(recipe, settings))
    assert message.format(root=tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_network_that_lacks_weights_or_overflows_is_refused(pictures: Path, tmp_path: Path) -> None:
    folder = save(make("ViTModel"), tmp_path / "short")
    (folder / "config.json").write_text((folder / "config.json").read_text().replace('_layers": 2', '_layers": 3'))
    with pytest.raises(InputError, match=r"grid_features.weights: .*short has no weights for encoder"):
        GridNetwork.open(folder).load(pictures)
    model = make("ViTModel")
    model.layernorm.weight.data *= 1e6
    with pytest.raises(InputError, match="states that float16 cannot hold"):
        GridNetwork.open(save(model, tmp_path / "loud")).load(pictures)
