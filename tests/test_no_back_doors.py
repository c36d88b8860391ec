"""The words through which a file could run code do not occur in the project's own code."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OWN = [
    path
    for path in sorted(ROOT.glob("**/*.py"))
    if not {"tests", ".venv", "saved"} & set(path.relative_to(ROOT).parts)
]
FORBIDDEN = {
    "allow_pickle=True": r"allow_pickle\s*=\s*(?!False)",
    "weights_only=False": r"weights_only\s*=\s*(?!True)",
    "torch.load without weights_only": r"torch\.load\((?![^)]*weights_only=True)",
    "eval(": r"(?<![\w.])eval\(",
    "exec(": r"(?<![\w.])exec\(",
    "compile(": r"(?<![\w.])compile\(",
    "pickle": r"^\s*(import|from)\s+(pickle|cPickle|dill|joblib|marshal|shelve)\b",
    "yaml": r"^\s*(import|from)\s+yaml\b",
    "a shell": r"os\.system|shell\s*=\s*True",
    "the network": r"^\s*(import|from)\s+(urllib(?!\.parse)|requests|socket|http)\b",
    "import by a name": r"__import__\(|import_module\(",
    "a name in a module": r"getattr\((torch|module|nn|optim)[\w.]*,\s*(?![\s\"])",
}
EXPECTED = {
    # The modules that lie in the project's own packages, not ones from a config.
    ("utils/config/classes.py", "import by a name"),
}


def test_the_project_was_found():
    assert ROOT / "train.py" in OWN
    assert len(OWN) > 30


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_of_the_project_has_a_back_door(what):
    pattern = re.compile(FORBIDDEN[what], re.MULTILINE)
    found = {
        (path.relative_to(ROOT).as_posix(), what)
        for path in OWN
        if pattern.search(path.read_text(encoding="utf-8"))
    }
    assert found == {(name, kind) for name, kind in EXPECTED if kind == what}
