"""What makes finished work stale: short marks of the code, the notebook and the raw files it was made from.

A mark is 16 hex digits. It changes when what it stands for may give other numbers, and stays when only words change:
docstrings, comments, formatting, messages. So a message must compute nothing that is used elsewhere.
"""

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
MESSAGES = ("print", "progress")  # calls that only speak: `print(...)`, `progress(...)`, `self.progress(...)`
FILE_NAME = re.compile(r"[\w-]+(/[\w-]+)*(\.\w+)+(?<!\.py)")  # of a data file; code counts where it is imported


def code(*modules: str, package: Path = PACKAGE) -> str:
    """Mark of these modules (e.g. 'rdpd_nb.data.pamap2') and of all of the package that they import.

    Imports are followed from module to module, those inside functions too; `from .data.windows import cut` counts
    data/windows.py and not data/__init__.py, which would bring every data set along. A name that is no module counts
    the package that gives it. Files named in a module (e.g. 'published.json') count where they lie beside it or in the
    package's folder. Not seen: a module imported by a name put together when the code runs.
    """
    digest = hashlib.sha256()
    for path in sorted(_followed(modules, package)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package)}\n".encode())
        digest.update(_said(content.decode())[0].encode() if path.suffix == ".py" else content)
    return digest.hexdigest()[:16]


def notebook(path: Path) -> str:
    """Mark of a notebook's code cells, without comments.

    Its text does not count, nor its parameters cell, which a job's parameters replace; what it prints does: the
    executed notebook shows it.
    """
    said = "".join(ast.dump(tree) if tree else source for source, tree in _cells(path))
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def imported(path: Path, package: Path = PACKAGE) -> tuple[str, ...]:
    """Modules of the package that a notebook's code cells import, sorted."""
    imports = [found for source, tree in _cells(path) if tree for found in _said(source)[1]]
    return tuple(sorted({name for name, _ in _imported(imports, "", package)}))


def raw(folder: Path, files: Iterable[Path]) -> str:
    """Mark of the raw files under `folder`. Name, size and time stand for the content: hashing 33 GB at each start
    would cost minutes."""
    status = [(path.relative_to(folder).as_posix(), path.stat()) for path in sorted(files)]
    text = "".join(f"{name} {s.st_size} {s.st_mtime_ns}\n" for name, s in status)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache(maxsize=512)
def _said(source: str) -> tuple[str, list[tuple[int, str, list[str]]], list[str]]:
    """What a module says: its meaning as text, its imports as (dots, module, names), strings that look like files."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            if isinstance(block := getattr(node, name, None), list):
                setattr(node, name, [statement for statement in block if not _only_words(statement)])
    imports, files = [], set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [(0, alias.name, [""]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports.append((node.level, node.module or "", [alias.name for alias in node.names]))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and FILE_NAME.fullmatch(node.value):
            files.add(node.value)
    return ast.dump(tree), imports, sorted(files)


def _only_words(statement: ast.stmt) -> bool:
    """Whether a statement decides no number: a docstring, a message, imports for type checkers alone."""
    if isinstance(statement, ast.If):
        return getattr(statement.test, "id", "") == "TYPE_CHECKING" and not statement.orelse
    value = statement.value if isinstance(statement, ast.Expr) else None
    called = getattr(value, "func", None)
    is_message = getattr(called, "id", getattr(called, "attr", "")) in MESSAGES
    return is_message or isinstance(getattr(value, "value", None), str)


def _followed(modules: Iterable[str], package: Path) -> set[Path]:
    """Files of these modules, of those they import, and so on, with the data files they name."""
    found: set[Path] = set()
    waiting = [(name, _path(name, package)) for name in modules]
    while waiting:
        name, path = waiting.pop()
        if path is None:
            raise ModuleNotFoundError(f"no module '{name}' in {package}", name=name)
        if path in found:
            continue
        _, imports, files = _said(path.read_text(encoding="utf-8"))
        found |= {path, *(f / file for file in files for f in (path.parent, package) if (f / file).is_file())}
        waiting += _imported(imports, name if path.name == "__init__.py" else name.rpartition(".")[0], package)
    return found


def _imported(imports: Iterable[tuple[int, str, list[str]]], inside: str, package: Path) -> Iterator[tuple[str, Path]]:
    """Names and files of the package's modules among imports that stand in a module inside the package `inside`."""
    for dots, module, names in imports:
        if dots:
            above = inside.split(".")[: len(inside.split(".")) - dots + 1]
            module = ".".join([*above, *filter(None, [module])])
        for name in names:
            inner = f"{module}.{name}"
            found = inner if name and _path(inner, package) else module
            if path := _path(found, package):
                yield found, path


def _path(module: str, package: Path) -> Path | None:
    """The file of a module of the package, None for any other name."""
    stem = package.parent.joinpath(*module.split("."))
    candidates = (stem / "__init__.py", stem.with_suffix(".py"))
    return next((path for path in candidates if path.is_file() and path.is_relative_to(package)), None)


def _cells(path: Path) -> Iterator[tuple[str, ast.Module | None]]:
    """Each code cell of a notebook but for the parameters, and what it means; None where IPython commands are in it."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code" and "parameters" not in cell["metadata"].get("tags", ()):
            source = "".join(cell["source"])
            try:
                yield source, ast.parse(source)
            except SyntaxError:
                yield source, None
