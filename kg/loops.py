"""Loops as machine code: compiled once by numba, kept beside their source, and run ever after without it.

Loading numba and what it compiled takes longer than all that most graphs need of it, so what it makes of a loop is
kept as an object file, which LLVM loads in a few milliseconds. A loop is a plain function over arrays, numbers and
tuples of them. It makes no array, and returns a number or nothing.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import hashlib
import os
import platform
import sys
from array import array
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

SOURCES = (
    *("words", "grammar", "interning", "layout", "tokens", "hashing", "scanning"),
    *("sorting", "gathering", "folding", "fuzzy", "linking", "sha256"),
)
"""The modules of `kg` that loops are made of: when one of them changes, all loops are compiled anew."""
ENTRY = "entry"
"""The function of an object file that takes the address of a loop's arguments, see `laid_out`."""
SUFFIX = ".loop"

Key = Any
"""What kinds of arguments a loop is given: for each "i" (a number), "b" (a truth value), the type and the number of
dimensions of an array, or a tuple of such with the name of its class in front."""

# When a process ends, Python looks for cycles once more, which takes a fifth of a second with a compiler in memory.
atexit.register(gc.freeze)

_lock = Lock()
_engines: list[Any] = []
"""What holds the code, for as long as the process lives."""


class Loop:
    """A compiled loop; other threads run beside it.

    Args:
        module: where its function is, which is loaded only to compile it.
        name: the function.

    >>> order, room = np.arange(3), np.empty(3, np.int64)
    >>> data, starts = np.frombuffer(b"cab" + bytes(16), np.uint8), np.arange(4)
    >>> Loop("kg.gathering", "offsets_of")(np.diff(starts), order, np.empty(4, np.int64))
    3
    """

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name
        self._codes: dict[Key, Callable[[int, int, int], int]] = {}

    def __call__(self, *arguments: Any) -> int:
        """What the function returns; nothing is 0.

        Raises:
            ValueError: for an array that is not contiguous.
        """
        words = [0]
        key = tuple([laid_out(argument, words) for argument in arguments])
        code = self._codes.get(key) or self._found(key, arguments)
        held = array("q", words)
        spare = array("q", (0, 0))
        place, _ = spare.buffer_info()
        if code(place, place + 8, held.buffer_info()[0]):
            raise RuntimeError(f"{self.module}.{self.name} failed")
        return held[0]

    def _found(self, key: Key, arguments: tuple[Any, ...]) -> Callable[[int, int, int], int]:
        """The code for arguments of these kinds: loaded, or compiled now and kept for the next process."""
        with _lock:
            if key not in self._codes:
                self._codes[key] = self._load(key) or self._compile(key, arguments)
        return self._codes[key]

    def path(self, key: Key) -> Path:
        """Where its machine code is kept."""
        kinds = hashlib.sha256(repr(key).encode()).hexdigest()[:12]
        return store() / f"{self.module}.{self.name}-{kinds}-{machine()}-{source()}{SUFFIX}"

    def _load(self, key: Key) -> Callable[[int, int, int], int] | None:
        try:
            kept = self.path(key).read_bytes()
        except OSError:
            return None
        check, code = kept[:32], kept[32:]
        return callable_at(load(code)) if hashlib.sha256(code).digest() == check else None

    def _compile(self, key: Key, arguments: tuple[Any, ...]) -> Callable[[int, int, int], int]:
        from kg.compiling import compile_loop

        code, address = compile_loop(self.module, self.name, arguments)
        if code is None:
            return callable_at(address)
        keep(self.path(key), hashlib.sha256(code).digest() + code)
        return callable_at(load(code))


def laid_out(value: Any, words: list[int]) -> Key:
    """Add an argument to words of eight bytes, in which compiled code finds it again; returns what kind it is of.

    A number is one word; an array the address of its data, and its shape; a tuple what its members are.

    >>> laid_out((1, True, np.zeros((2, 3))), words := []), words[:2], words[3:]
    (('tuple', 'i', 'b', ('<f8', 2)), [1, 1], [2, 3])
    """
    if isinstance(value, np.ndarray):
        if not value.flags.c_contiguous:
            raise ValueError("a compiled loop takes contiguous arrays only")
        words.append(value.__array_interface__["data"][0])
        words.extend(value.shape)
        return value.dtype.str, value.ndim
    if isinstance(value, tuple):
        return (type(value).__name__, *[laid_out(member, words) for member in value])
    words.append(int(value))
    return "b" if isinstance(value, bool | np.bool_) else "i"


@cache
def compiler() -> Any:
    """LLVM, ready for this machine."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    return llvm


def load(code: bytes) -> int:
    """The address of an object file's entry."""
    llvm = compiler()
    target = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    return int(engine.get_function_address(ENTRY))


def callable_at(address: int) -> Callable[[int, int, int], int]:
    """Code as a function of three addresses: of room for a result and an error, which it does without, and of words."""
    return ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(address)


@cache
def machine() -> str:
    """Stands for what code for another processor, or by another LLVM, would not fit."""
    import llvmlite

    llvm = compiler()
    about = (llvmlite.__version__, sys.platform, llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    return hashlib.sha256(repr(about).encode()).hexdigest()[:12]


@cache
def knows_sha256() -> bool:
    """Whether this processor has the instructions that `kg.sha256` is made of."""
    return platform.machine() in ("x86_64", "AMD64") and bool(compiler().get_host_cpu_features().get("sha"))


@cache
def source() -> str:
    """Stands for the text of all that loops are made of."""
    folder, digest = Path(__file__).parent, hashlib.sha256()
    for name in (*SOURCES, "compiling"):
        digest.update((folder / f"{name}.py").read_bytes())
    return digest.hexdigest()[:12]


@cache
def store() -> Path:
    """The folder of compiled loops: beside their source, else in the person's cache."""
    beside = Path(__file__).parent / "__pycache__"
    if os.access(beside if beside.exists() else beside.parent, os.W_OK):
        return beside
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kept"


def keep(path: Path, content: bytes) -> None:
    """Write a loop's code, if that can be, and remove what it was for older sources."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
        for older in path.parent.glob(f"{path.name.rpartition('-')[0]}-*{SUFFIX}"):
            if older != path:
                older.unlink(missing_ok=True)
    except OSError:
        with suppress(OSError):
            partial.unlink()
