"""The house itself: what may import what, and how long things are."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Each may import what stands before it; those on one floor do not know each other.
FLOORS = [
    {"utils"}, {"logger", "report"}, {"base"}, {"data_loader", "model"}, {"trainer"},
    {"generation"}, {"tester"}, {"study"}, {"train", "test"},
]  # fmt: skip
PACKAGES = set().union(*FLOORS) - {"train", "test"}
FILES = [ROOT / "train.py", ROOT / "test.py"]
FILES += [path for name in sorted(PACKAGES) for path in sorted((ROOT / name).glob("**/*.py"))]
# Two of them, of study/ in train.py and of quality in tester/, lead to scikit-learn and scipy,
# which take a second.
LONGEST, MOST_PARAMETERS, MOST_LOCAL_IMPORTS = 40, 6, 22
COMMANDS = 60  # lines of train.py and test.py


def name_of(path):
    """train.py -> train, utils/config/check.py -> utils.config.check."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor_of(module):
    (floor,) = (place for place, names in enumerate(FLOORS) if module.split(".")[0] in names)
    return floor


def imports_of(path, is_run=True):
    """The modules of this project that a file imports; without those for type checkers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = [ast.Pass()]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name if (ROOT / f"{name.replace('.', '/')}.py").exists() else node.module
                       for name in names]  # fmt: skip
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        yield from (module for module in modules if module.split(".")[0] in PACKAGES)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_imports_upwards(path):
    own = name_of(path)
    for module in imports_of(path):
        is_same = module.split(".")[0] == own.split(".")[0]
        assert is_same or floor_of(module) < floor_of(own), f"{own} imports {module}"
        if is_same and own.startswith("utils.") and not own.startswith("utils.config"):
            assert not module.startswith("utils.config"), f"{own} imports {module}"


def test_there_is_no_circle():
    graph = {name_of(path): set(imports_of(path)) & set(map(name_of, FILES)) for path in FILES}
    done = set()

    def visit(module, way):
        assert module not in way, " -> ".join([*way, module])
        if module not in done:
            for other in sorted(graph[module] - {module}):
                visit(other, [*way, module])
            done.add(module)

    for module in graph:
        visit(module, [])


def functions():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                yield path, node


def test_functions_are_short_and_take_little():
    wrong = []
    for path, node in functions():
        taken = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
        taken = [argument for argument in taken if argument.arg not in ("self", "cls")]
        # The parameters of a part's constructor are the keys of its config.
        is_part = node.name == "__init__" and path.parent.name in ("data_loader", "model")
        if len(taken) > MOST_PARAMETERS and not is_part:
            wrong.append(f"{name_of(path)}.{node.name} takes {len(taken)}")
        if (length := node.end_lineno - node.lineno + 1) > LONGEST:
            wrong.append(f"{name_of(path)}.{node.name} has {length} lines")
    assert wrong == []


def test_imports_inside_functions_are_few():
    local = [
        f"{name_of(path)}:{inner.lineno}"
        for path, node in functions()
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    assert len(set(local)) <= MOST_LOCAL_IMPORTS, sorted(set(local))


@pytest.mark.parametrize("command", ["train.py", "test.py"])
def test_the_commands_are_short_stories(command):
    assert len((ROOT / command).read_text(encoding="utf-8").splitlines()) <= COMMANDS


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_file_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
