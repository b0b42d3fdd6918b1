"""Products of small matrices, tile by tile in the processor's vector registers.

A library's product is made for large matrices: it packs, and for more than a few thousand entries wakes up other
threads. Of the few dozen rows of a short text, each tile of the result stays in registers while the inner axis passes
by (K. Goto and R. van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS 2008), from where the
operands lie.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic, overload

from leo_core.kernels._compile import kernel

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    Rows = npt.NDArray[np.float32]

__all__ = ["COLUMNS", "ROWS", "multiply"]

COLUMNS = 32
"""A product has a multiple of so many columns."""
ROWS = 3
"""Rows are multiplied in threes and sixes."""
_TALL = 2 * ROWS
_LANES = 16 if binding.get_host_cpu_features().get("avx512f") else 8
_WIDE = 2 * _LANES
_ALIGNMENT = 4


def multiply(rows: Rows, weights: Rows, start: Rows, found: Rows) -> None:
    """Write ``start + rows[:, :k] @ weights`` to ``found``, all of float32; inside a kernel by tiles, without checks.

    Args:
        rows: Shape (n, k or more), n a multiple of :data:`ROWS`; contiguous, as all of them.
        weights: Shape (k, m), k at least 1, m a multiple of :data:`COLUMNS`.
        start: Shape (1, m) for the same in every row, or (n, m); may be ``found``.
        found: Shape (n, m).
    """
    found[:] = start + rows[:, : len(weights)] @ weights


def _make_tile(height: int) -> Any:
    """A product of ``height`` rows by two vectors of columns, as instructions."""

    @intrinsic
    def tile(
        _context: Any, rows: Any, row: Any, weights: Any, column: Any, start: Any, step: Any, found: Any
    ) -> tuple[Any, Callable[..., Any]]:
        def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            arrays = (target.make_array(signature.args[at])(target, builder, arguments[at]) for at in (0, 2, 4, 6))
            operands = [_Operand(builder, array) for array in arrays]
            _write_tile(builder, height, operands, row=arguments[1], column=arguments[3], step=arguments[5])
            return target.get_dummy_value()

        return types.void(rows, row, weights, column, start, step, found), generate

    return tile


class _Operand:
    """A contiguous array in the code that is being written: where its numbers are."""

    def __init__(self, builder: Any, array: Any) -> None:
        self._builder, self._data = builder, array.data
        self.height, self._width = (builder.extract_value(array.shape, axis) for axis in range(2))

    def at(self, row: Any, column: Any) -> Any:
        """Pointer to a number."""
        return self._builder.gep(self._data, [self._builder.add(self._builder.mul(row, self._width), column)])


def _write_tile(builder: Any, height: int, operands: list[_Operand], *, row: Any, column: Any, step: Any) -> None:
    """The loop over the inner axis, with the sums in registers."""
    rows, weights, start, found = operands
    place = ir.IntType(64)
    vector = ir.VectorType(ir.FloatType(), _LANES)
    lines = [builder.add(row, place(line)) for line in range(height)]
    columns = [builder.add(column, place(part * _LANES)) for part in range(2)]
    firsts = [rows.at(line, place(0)) for line in lines]
    begun = [[_load(builder, start.at(builder.mul(line, step), each), vector) for each in columns] for line in lines]
    before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
    builder.branch(loop)
    builder.position_at_end(loop)
    inner = builder.phi(place)
    sums = [[builder.phi(vector) for _ in columns] for _ in lines]
    parts = [_load(builder, weights.at(inner, each), vector) for each in columns]
    totals = []
    for line, first in zip(sums, firsts, strict=True):
        factor = _spread(builder, builder.load(builder.gep(first, [inner])), vector)
        products = [builder.fmul(factor, part, flags=("contract",)) for part in parts]
        totals.append([builder.fadd(*each, flags=("contract",)) for each in zip(line, products, strict=True)])
    following = builder.add(inner, place(1))
    _begin_and_go_on(inner, (place(0), before), (following, loop))
    for line, first_sums, total in zip(sums, begun, totals, strict=True):
        for each, begin, then in zip(line, first_sums, total, strict=True):
            _begin_and_go_on(each, (begin, before), (then, loop))
    builder.cbranch(builder.icmp_unsigned("<", following, weights.height), loop, after)
    builder.position_at_end(after)
    for line, total in zip(lines, totals, strict=True):
        for each, at in zip(total, columns, strict=True):
            pointer = builder.bitcast(found.at(line, at), vector.as_pointer())
            builder.store(each, pointer, align=_ALIGNMENT)


def _begin_and_go_on(value: Any, begin: tuple[Any, Any], then: tuple[Any, Any]) -> None:
    """What a value of a loop is at first, and after each round."""
    value.add_incoming(*begin)
    value.add_incoming(*then)


def _load(builder: Any, pointer: Any, vector: Any) -> Any:
    return builder.load(builder.bitcast(pointer, vector.as_pointer()), align=_ALIGNMENT)


def _spread(builder: Any, number: Any, vector: Any) -> Any:
    """A vector that has a number in all its places."""
    place = ir.IntType(32)
    alone = builder.insert_element(ir.Constant(vector, ir.Undefined), number, place(0))
    return builder.shuffle_vector(
        alone, ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(place, _LANES), [0] * _LANES)
    )


_tall_tile, _tile = _make_tile(_TALL), _make_tile(ROWS)


@kernel
def _multiply(rows: Rows, weights: Rows, start: Rows, found: Rows) -> None:
    """See :func:`multiply`."""
    step = 0 if start.shape[0] == 1 else 1
    for column in range(0, found.shape[1], _WIDE):
        row = 0
        while row + _TALL <= rows.shape[0]:
            _tall_tile(rows, row, weights, column, start, step, found)
            row += _TALL
        if row < rows.shape[0]:
            _tile(rows, row, weights, column, start, step, found)


@overload(multiply, strict=False)
def _multiply_in_kernels(rows: Any, weights: Any, start: Any, found: Any) -> Callable[..., Any]:  # noqa: ARG001 - their types are what the compiler reads
    return lambda rows, weights, start, found: _multiply(rows, weights, start, found)  # noqa: PLW0108 - numba compiles a Python function
