"""Pictures as the maps of a frozen vision transformer: made once for a folder, and again for any picture later."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from kept.data.batch import Image
from kept.data.drawings import GridPictures, find_pictures
from kept.data.noise import Noise
from kept.data.pictures import PLAIN, digest, draw_variants, read_picture
from kept.modeling.image_tower import ImageEncoder
from kept.modeling.pretrained import PREPROCESSOR, Pretrained, load_encoder
from kg.errors import InputError
from kg.progress import track
from kg.storage import atomic_directory, read_json, sha256_file, write_json

if TYPE_CHECKING:
    from kept.modeling.model import KeptModel
    from kept.training.recipe import Recipe

STATES, ABOUT, BEGUN = "states.npy", "grid.json", "begun.json"
CHUNK = 32
KEY = "grid_features"


@dataclass(frozen=True)
class GridNetwork:
    """A frozen ViT, or the image side of a CLIP, whose last states at the patches are a picture's map.

    f_p = h_p for the patches p = 1 ... (size / patch)^2, row by row; the class token is left out. A picture is fitted
    into the square on white, as `kept.data.pictures.PLAIN` draws it, and scaled by what lies beside the weights.

    Args:
        found: the network in its folder.
        size: pixels of the side that pictures are brought to.

    Source: Huang et al. 2020, Pixel-BERT, section 3.2, with a vision transformer, which stays as it is, in place of the
    convolutional network; Dosovitskiy et al. 2021, ViT, section 3.2 (positions at another size).

        >>> GridNetwork.open(Path("vit-base")).places                                     # doctest: +SKIP
        196
    """

    found: Pretrained
    size: int

    @classmethod
    def open(cls, weights: Path, size: int | None = None) -> GridNetwork:
        """The network in a local transformers folder, at its own size unless another is given; reads no weights yet.

        Raises:
            InputError: naming the key, when the folder holds no ViT or CLIP, or the size is no multiple of its patch.
        """
        try:
            found = load_encoder(weights, "image")
        except InputError as error:
            raise InputError(f"{KEY}.weights: {error}") from None
        size, patch = size or int(found.options["size"]), int(found.options["patch"])
        if size % patch:
            raise InputError(f"{KEY}.size: {size} does not divide into patches of {patch}, which {weights} reads")
        return cls(found, size)

    @classmethod
    def of_recipe(cls, recipe: Recipe) -> GridNetwork | None:
        """The network that a recipe names, or None; refuses a tower that it does not fit before anything is encoded."""
        spec = recipe.grid_features
        if spec is None:
            return None
        network = cls.open(recipe.path(spec.weights).resolve(), spec.size)
        network.shape(recipe.model.image or {})
        return network

    @classmethod
    def of_model(cls, model: KeptModel) -> GridNetwork | None:
        """The network that a trained model's pictures go through; None for a model that reads no maps.

        Raises:
            InputError: when the folder is gone, or holds other weights than those that the model was trained on.
        """
        given = model.config.grid_features
        if given is None:
            return None
        weights = Path(given["weights"])
        if not weights.is_dir():
            raise InputError(
                f"{KEY}.weights: {weights} is gone, the network that this model sees pictures through; "
                "put it back, or write its new place into the model's config.json"
            )
        network = cls.open(weights, given["size"])
        if network.digest != given["digest"]:
            raise InputError(f"{KEY}.weights: {weights} holds another network than the one this model was trained on")
        return network

    @property
    def features(self) -> int:
        return int(self.found.options["encoder"]["width"])

    @property
    def places(self) -> int:
        return (self.size // int(self.found.options["patch"])) ** 2

    @cached_property
    def digest(self) -> str:
        """A hash of the weights, the configuration and the scaling of pixels."""
        folder, whole = self.found.folder, hashlib.sha256()
        files = {folder / "config.json", folder / PREPROCESSOR, *self.found.files.values()}
        for path in sorted(path for path in files if path.is_file()):
            whole.update(f"{path.name}\0{sha256_file(path)}\n".encode())
        return whole.hexdigest()

    @property
    def remembered(self) -> dict[str, Any]:
        """What a model's configuration keeps of it, and `of_model` reads."""
        return {"weights": str(self.found.folder), "size": self.size, "digest": self.digest}

    def shape(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options of the tower "grid", its features and places being filled in.

        Raises:
            InputError: when those given do not fit the network.
        """
        whole = {"features": self.features, "places": self.places, **options}
        if whole["features"] != self.features:
            raise InputError(f"model.image.features: {whole['features']}; {self.found.folder} gives {self.features}")
        if whole["places"] < self.places:
            raise InputError(f"model.image.places: {whole['places']}; a map of {self.found.folder} has {self.places}")
        return whole

    @cached_property
    def encoder(self) -> ImageEncoder:
        """The network itself, on the accelerator if there is one."""
        options = {key: value for key, value in self.found.options.items() if key != "projection"}
        encoder = ImageEncoder(self.features, **options)
        missing = encoder.load_weights(self.found.folder).missing
        if missing:
            raise InputError(f"{KEY}.weights: {self.found.folder} has no weights for {missing[0]}")
        return encoder.eval().requires_grad_(False).to("cuda" if torch.cuda.is_available() else "cpu")

    @torch.inference_mode()
    def encode(self, paths: Sequence[Path]) -> Tensor:
        """(N, places, features) float32, the maps of a few pictures.

        Raises:
            InputError: names the first file that is missing or no picture.
        """
        pixels = torch.from_numpy(np.stack([read_picture(path, self.size) for path in paths]))
        drawn = draw_variants(pixels, torch.zeros(len(paths), dtype=torch.int64), Noise(0, 0), PLAIN)
        image = Image(mask=torch.ones(len(paths), dtype=torch.bool), pixels=drawn)
        states, _ = self.encoder.encode(image.to(self.encoder.class_token.device))
        return states[:, 1:].cpu()

    def show(self, paths: Sequence[Path], names: Sequence[str]) -> GridPictures:
        """A few pictures, encoded now and kept nowhere."""
        states = [self._kept(paths[start : start + CHUNK]) for start in range(0, len(paths), CHUNK)]
        return GridPictures(np.concatenate(states), names)

    def load(self, root: Path) -> GridPictures:
        """All pictures under `root`, by their paths relative to it, encoded once into a cache beside them.

        The cache is called by the network and made anew when a picture has changed. Encoding that was interrupted goes
        on where it was; a second process waits for the first and reads what that made.

        Raises:
            InputError: when there is no picture, one cannot be read, or nothing can be written there.
        """
        from filelock import FileLock

        paths, names = find_pictures(root)
        about = {"digest": self.digest, "size": self.size, "count": len(paths), "pictures": digest(paths, names)}
        cache = root / f".grid-{self.size}-{self.digest[:12]}"
        if not _holds(cache / ABOUT, about):
            try:
                with FileLock(root / f"{cache.name}.lock"):
                    if not _holds(cache / ABOUT, about):
                        with atomic_directory(cache, keep_partial=True) as partial:
                            self._fill(partial, paths, about)
            except OSError as error:
                raise InputError(f"{cache}: cannot be written ({error.strerror or error})") from None
        return GridPictures(np.load(cache / STATES, mmap_mode="c", allow_pickle=False), names, str(root))

    def _fill(self, folder: Path, paths: Sequence[Path], about: dict[str, Any]) -> None:
        """Write the maps of all pictures, beginning behind those that are there."""
        begun = read_json(folder / BEGUN) if (folder / BEGUN).is_file() else {}
        done, mode = (begun["done"], "r+") if begun.get("about") == about else (0, "w+")
        shape = (len(paths), self.places, self.features)
        states = np.lib.format.open_memmap(folder / STATES, mode, np.float16, shape)
        for start in track(range(done, len(paths), CHUNK), "encoding pictures"):
            states[start : start + CHUNK] = self._kept(paths[start : start + CHUNK])
            states.flush()
            write_json(folder / BEGUN, {"about": about, "done": start + CHUNK})
        (folder / BEGUN).unlink(missing_ok=True)
        write_json(folder / ABOUT, about)

    def _kept(self, paths: Sequence[Path]) -> np.ndarray:
        states = self.encode(paths).half()
        if not states.isfinite().all():
            raise InputError(f"{KEY}.weights: {self.found.folder} gives states that float16 cannot hold")
        return states.numpy()


def _holds(path: Path, about: dict[str, Any]) -> bool:
    return path.is_file() and read_json(path) == about
