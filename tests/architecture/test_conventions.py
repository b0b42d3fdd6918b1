"""What a reviewer would say twice is said here once."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from leo_core import errors

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "packages"
CORE = PACKAGES / "leo-core" / "src" / "leo_core"
MODULES = sorted(PACKAGES.glob("*/src/**/*.py"))
NAMES = [str(path.relative_to(PACKAGES)) for path in MODULES]

MOST_LINES = 500
TERMS = {"KnowledgeBase"}
"""A knowledge base is a thing in the field; the word is no mark of inheritance here."""
UNFINISHED = re.compile(
    r"\b(?:TODO|FIXME|XXX|HACK|NotImplementedError|NotImplemented\b(?!Error)|placeholder|for now)\b"
)
IGNORED = re.compile(r"# (?:noqa|type: ignore|pragma)(?=$|[:\[ ])")
REASONED = re.compile(r"# (?:noqa: [A-Z0-9, ]+ - |type: ignore\[[a-z, -]+\]  # |pragma: no cover - )[\w\"]")
UNNAMED = re.compile(r"(?:Manager|Helper|Helpers|Utils|Util|Base)$|^Base(?=[A-Z])")
LOADER = CORE / "privacy" / "keys" / "environment.py"
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb"}
MUTABLE_CALLS = {"dict", "list", "set", "defaultdict", "OrderedDict", "Counter", "deque", "bytearray"}


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@pytest.fixture(scope="module")
def trees():
    return {path: parse(path) for path in MODULES}


def test_there_is_something_to_check():
    assert len(MODULES) > 100


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_no_module_is_longer_than_a_reader_can_hold(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_nothing_is_left_unfinished():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in [*MODULES, *PACKAGES.glob("*/src/**/*.sql"), *PACKAGES.glob("*/train/*.py")]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if UNFINISHED.search(line) and "# noqa" not in line
    ]
    assert not found, "\n".join(found)


def public_definitions(tree, inside=""):
    """Public functions and classes, and the public methods of public classes, as (name, node)."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield inside + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node, f"{inside}{node.name}.")


def test_every_ignored_finding_says_why():
    bare = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in ("packages", "tests", "tools", "examples")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if IGNORED.search(line) and not REASONED.search(line)
    ]
    assert bare == []


@pytest.mark.parametrize(
    "name", ["records/__init__", "ports", "errors/__init__", "errors/privacy", "errors/roots", "config"]
)
def test_the_foundation_says_what_holds(name):
    silent = [who for who, node in public_definitions(parse(CORE / f"{name}.py")) if not ast.get_docstring(node)]
    assert not silent


def test_what_the_public_door_names_says_what_holds():
    import leo_core

    silent = [name for name in leo_core.__all__ if name != "__version__" and not getattr(leo_core, name).__doc__]
    assert not silent


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_every_module_and_public_definition_has_a_docstring(path):
    tree = parse(path)
    assert ast.get_docstring(tree) or not tree.body
    silent = [who for who, node in public_definitions(tree) if not ast.get_docstring(node)]
    assert not silent


def test_the_drawn_tree_of_errors_is_the_real_one():
    """Every error class stands in the module's drawing, under its first parent there."""
    drawn, above = {}, []
    for line in errors.__doc__.splitlines():
        match = re.match(r"    ([│├└─ ]*)([A-Z]\w+)\b", line)
        if match:
            depth = len(match[1]) // 4
            del above[depth:]
            drawn[match[2]] = above[-1] if above else None
            above.append(match[2])
    kinds = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
    real = {
        name: next((base.__name__ for base in kind.__mro__[1:] if base.__name__ in kinds), None)
        for name, kind in kinds.items()
    }
    assert drawn == real
    assert sorted(kinds) == errors.__all__


def test_one_module_reads_the_environment_and_no_other(trees):
    """Providers' SDKs read their own keys; of LEO only the loader of secrets does, so that a setting has one place."""
    assert LOADER in trees
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in trees.items()
        if path != LOADER
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT)
        or (isinstance(node, ast.ImportFrom) and {alias.name for alias in node.names} & ENVIRONMENT)
    ]
    assert not found


def is_constant_name(name):
    return name == name.upper() or (name.startswith("__") and name.endswith("__"))


def test_nothing_at_module_level_is_filled_later(trees):
    """Module-level containers are constants: their names are in capitals, and no function of the module changes them.

    A change is an assignment to an item, an augmented assignment, a ``del``, a ``global`` statement, or a call of
    one of the methods with which lists, sets, mappings and queues are filled or emptied.
    """
    found = []
    for path, tree in trees.items():
        containers = module_containers(tree)
        found += [
            f"{path.relative_to(ROOT)}: {name} is not a constant" for name in containers if not is_constant_name(name)
        ]
        found += [f"{path.relative_to(ROOT)}:{line}: {what}" for line, what in changes(tree, set(containers))]
    assert not found, "\n".join(found)


def module_containers(tree):
    names = []
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = getattr(node, "value", None)
        called = value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else ""
        if isinstance(value, ast.Dict | ast.List | ast.Set | ast.DictComp | ast.ListComp) or called in MUTABLE_CALLS:
            names += [target.id for target in targets if isinstance(target, ast.Name)]
    return names


FILLING = {
    "append",
    "appendleft",
    "add",
    "update",
    "setdefault",
    "extend",
    "insert",
    "pop",
    "popitem",
    "clear",
    "remove",
    "discard",
}


def changes(tree, names):
    def is_ours(node):
        return isinstance(node, ast.Name) and node.id in names

    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Global):
                yield node.lineno, f"global {', '.join(node.names)}"
            elif isinstance(node, ast.Subscript) and is_ours(node.value) and not isinstance(node.ctx, ast.Load):
                yield node.lineno, f"an item of {node.value.id} is changed"
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and is_ours(node.func.value):
                if node.func.attr in FILLING:
                    yield node.lineno, f"{node.func.value.id}.{node.func.attr}"
            elif isinstance(node, ast.AugAssign) and is_ours(node.target):
                yield node.lineno, f"{node.target.id} is changed"


def test_names_say_what_a_thing_is(trees):
    found = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and UNNAMED.search(node.name) and node.name not in TERMS
    ]
    found += [
        str(path) for path in MODULES if re.fullmatch(r"(?:utils?|helpers?|managers?|base|misc|common)", path.stem)
    ]
    assert not found


def test_every_public_list_is_sorted_and_true(trees):
    """``__all__`` is sorted, and names what the module has."""
    wrong = []
    for path, tree in trees.items():
        listed = next((names_in(node) for node in tree.body if is_all(node)), None)
        if listed is not None and (listed != sorted(listed, key=sort_key) or len(set(listed)) != len(listed)):
            wrong.append(str(path.relative_to(ROOT)))
    assert not wrong


def is_all(node):
    return isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)


def names_in(node):
    return [item.value for item in node.value.elts if isinstance(item, ast.Constant)]


def sort_key(name):
    """Constants, then classes, then the rest: the order that ruff keeps."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name
