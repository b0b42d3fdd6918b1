"""Programs in answers: one spelling per program, up to layout and comments."""

from __future__ import annotations

import ast
import re

__all__ = ["spell_program"]

_MAX_LENGTH = 20_000
_MAX_DEPTH = 80
_WARNS = re.compile(r"\\[^\n\\'\"abfnrtv0-7xNuU]|[0-9](?:and|else|for|if|in|is|not|or)\b|\\[4-7][0-7]{2}")
_COMMENT = re.compile(r"^[ \t]*(?:#|//).*$", re.MULTILINE)


def spell_program(source: str) -> str:
    """One spelling per program.

    A Python program is spelled by its syntax tree without docstrings. Anything else, and Python that is too long or
    nests too deep, by its lines without indentation width, blank lines and comment lines.
    """
    tree = _parse(source)
    if tree is None:
        return _spell_lines(source)
    for node in ast.walk(tree):
        _drop_docstring(node)
    try:
        return ast.dump(tree)
    except RecursionError:
        return _spell_lines(source)


def _parse(source: str) -> ast.Module | None:
    """The syntax tree; ``None`` where parsing would fail, or warn on the interpreter's global filters."""
    if len(source) > _MAX_LENGTH or _WARNS.search(source) or _depth(source) > _MAX_DEPTH:
        return None
    try:
        tree = ast.parse(source.strip() + "\n")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    return tree if tree.body else None


def _depth(source: str) -> int:
    """Deepest nesting of brackets, strings included: an upper bound is enough."""
    depth = deepest = 0
    for character in source:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _drop_docstring(node: ast.AST) -> None:
    if not isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or len(node.body) < 2:  # noqa: PLR2004 - a docstring alone cannot be dropped
        return
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        del node.body[0]


def _spell_lines(source: str) -> str:
    lines = _COMMENT.sub("", source).expandtabs(4).splitlines()
    kept = [(len(line) - len(line.lstrip()), " ".join(line.split())) for line in lines if line.strip()]
    levels = sorted({width for width, _ in kept})
    return "\n".join(f"{levels.index(width)} {line}" for width, line in kept)
