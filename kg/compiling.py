"""Machine code for `kg.loops`, by numba: what only a process that finds a loop not yet compiled needs."""

from __future__ import annotations

import importlib
import re
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import overload

from kg.loops import ENTRY, compiler
from kg.words import intrinsic

FREED = re.compile(r"^declare void @NRT_MemInfo_call_dtor\(([^ ),]+).*$", re.MULTILINE)
"""What numba calls when nobody holds an array any more. A loop's arrays are its caller's, so that never happens."""

EVERYWHERE = ("memcpy", "memmove", "memset", "memcmp", "bcmp")
"""What every process has."""
BARE: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Without what Python would call it by, which needs more of numba."""


@intrinsic
def pointer(typing: Any, address: Any) -> Any:
    """An address as a pointer."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


def put(words: Any, result: Any) -> None:
    """Leave what a loop returned in the first word."""


@overload(put)
def _put(words: Any, result: Any) -> Any:
    def nothing(words: Any, result: Any) -> None:
        pass

    def number(words: Any, result: Any) -> None:
        words[0] = result

    return nothing if result is types.none else number


def compile_loop(module: str, name: str, arguments: tuple[Any, ...]) -> tuple[bytes | None, int]:
    """(object file, address): a loop's code for such arguments as these.

    The object file is None where the code needs something of numba when it runs; its address is good in any case.
    """
    function = getattr(importlib.import_module(module), name)
    known = {"loop": njit(function), "put": put, "pointer": pointer, "carray": carray}
    places = [1]
    given = ", ".join([expression(argument, known, places) for argument in arguments])
    exec(f"def entry(words):\n    put(words, loop({given}))\n", known)
    entry: Any = njit([types.void(types.CPointer(types.int64))], **BARE)(known["entry"])
    made = entry.overloads[entry.signatures[0]]
    address = made.library.get_pointer_to_function(made.fndesc.llvm_func_name)
    return object_file(entry.inspect_llvm(entry.signatures[0]), made.fndesc.llvm_func_name), int(address)


def expression(value: Any, known: dict[str, Any], places: list[int]) -> str:
    """How an argument is found in the words of `kg.loops.laid_out`; what it is called by goes to `known`.

    Args:
        places: the next word, which is moved on.
    """
    if isinstance(value, tuple):
        members = [expression(member, known, places) for member in value]
        if type(value) is tuple:
            return f"({', '.join(members)},)"
        known[type(value).__name__] = type(value)
        return f"{type(value).__name__}({', '.join(members)})"
    place = places[0]
    places[0] += 1
    if isinstance(value, np.ndarray):
        places[0] += value.ndim
        kind = f"kind_{value.dtype.str[1:]}"
        known[kind] = value.dtype.type
        shape = ", ".join(f"words[{place + axis}]" for axis in range(1, value.ndim + 1))
        return f"carray(pointer(words[{place}]), ({shape},), {kind})"
    return f"words[{place}] != 0" if isinstance(value, bool | np.bool_) else f"words[{place}]"


def object_file(text: str, function: str) -> bytes | None:
    """A module's machine code, with `function` as its entry; None where it calls what only numba has."""
    llvm = compiler()
    module = llvm.parse_assembly(FREED.sub(r"define internal void @NRT_MemInfo_call_dtor(\1 %0) { ret void }", text))
    for each in module.functions:
        if each.name == function:
            each.name = ENTRY
        elif each.is_declaration and not each.name.startswith("llvm.") and each.name not in EVERYWHERE:
            return None
    target = llvm.Target.from_triple(module.triple).create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        codemodel="jitdefault",
    )
    return bytes(target.emit_object(module))
