"""SHA-256 by the processor's own instructions, as a step of compiled loops.

One hash is one long chain of steps that each wait for the one before, so a processor that only hashes is mostly idle.
A loop that takes a step now and then gets the hash for two thirds of what it costs alone.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types

from kg.loops import knows_sha256
from kg.words import borrowed, intrinsic

BLOCK = 64
ROUNDS = (
    *(0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5),
    *(0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3, 0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174),
    *(0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA),
    *(0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967),
    *(0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13, 0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85),
    *(0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070),
    *(0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3),
    *(0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208, 0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2),
)
"""Source: NIST 2015, FIPS 180-4, "Secure hash standard", section 4.2.2."""


@intrinsic
def compress(typing: Any, state: Any, data: Any, place: Any) -> Any:
    """Take the 64 bytes from `place` on into a state: (8,) uint32, in the order a b e f, c d g h, each from behind."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if not knows_sha256():
            return context.get_dummy_value()
        four = ir.VectorType(ir.IntType(32), 4)
        held = context.make_array(signature.args[0])(context, builder, args[0]).data
        held = builder.bitcast(held, four.as_pointer())
        start = context.make_array(signature.args[1])(context, builder, args[1]).data
        start = builder.bitcast(builder.gep(start, [args[2]]), four.as_pointer())

        def declared(name: str, count: int) -> Any:
            return builder.module.declare_intrinsic(f"llvm.{name}", (), ir.FunctionType(four, [four] * count))

        rounds, first, second = (
            declared(f"x86.sha256{name}", n) for name, n in (("rnds2", 3), ("msg1", 2), ("msg2", 2))
        )
        swapped = declared("bswap.v4i32", 1)

        def mask(*lanes: int) -> Any:
            return ir.Constant(ir.VectorType(ir.IntType(32), 4), list(lanes))

        def at(pointer: Any, step: int) -> Any:
            return builder.gep(pointer, [ir.Constant(ir.IntType(64), step)])

        # These instructions know nothing of wide registers, and each would wait until those are put aside. So they are
        # emptied before, and nothing may come back into them until all is done.
        registers = [f"~{{xmm{number}}}" for number in range(32)]
        nothing = ir.FunctionType(ir.VoidType(), [])
        emptied = ir.InlineAsm(nothing, "vzeroupper", ",".join([*registers, "~{flags}"]), side_effect=True)
        builder.call(emptied, [])
        front, back = builder.load(at(held, 0), align=4), builder.load(at(held, 1), align=4)
        abef, cdgh = front, back
        words = [builder.call(swapped, [builder.load(at(start, step), align=1)]) for step in range(4)]
        for step in range(16):
            if step >= 4:
                behind = builder.shuffle_vector(words[2], words[3], mask(1, 2, 3, 4))
                sums = builder.add(builder.call(first, [words[0], words[1]]), behind)
                words = [*words[1:], builder.call(second, [sums, words[3]])]
            word = words[step] if step < 4 else words[3]
            added = builder.add(word, ir.Constant(four, list(ROUNDS[4 * step : 4 * step + 4])))
            cdgh = builder.call(rounds, [cdgh, abef, added])
            upper = builder.shuffle_vector(added, added, mask(2, 3, 0, 0))
            abef = builder.call(rounds, [abef, cdgh, upper])
        builder.store(builder.add(abef, front), at(held, 0), align=4)
        builder.store(builder.add(cdgh, back), at(held, 1), align=4)
        builder.call(emptied, [])
        return context.get_dummy_value()

    return types.void(state, data, types.int64), generate


@njit(inline="always")
def hash_on(hashing: Any) -> None:
    """Take the next 64 bytes of a piece, if there are some left."""
    start = hashing.place[0]
    if start + BLOCK <= len(hashing.piece):
        compress(hashing.state, hashing.piece, start)
        hashing.place[0] = start + BLOCK


def update(state: Any, data: Any, start: Any, stop: Any) -> Any:
    """Take whole blocks of 64 bytes into a state; returns where the last one ends."""
    state, data = borrowed((state, data))
    while start + BLOCK <= stop:
        compress(state, data, start)
        start += BLOCK
    return start
