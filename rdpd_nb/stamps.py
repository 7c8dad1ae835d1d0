"""What makes finished work stale: short marks of the code, the notebook and the raw files it was made from.

A mark is 16 hex digits. It changes when what it stands for may give other numbers, and stays when only words change:
docstrings, comments, formatting, messages. So a message must compute nothing that is used elsewhere.
"""

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
MESSAGES = ("print", "progress")  # calls that only speak: `print(...)`, `progress(...)`, `self.progress(...)`
FILE_NAME = re.compile(r"[\w-]+(/[\w-]+)*(\.\w+)+")


def code(*modules: str, package: Path = PACKAGE) -> str:
    """Mark of these modules (e.g. 'rdpd_nb.data.pamap2') and of all of the package that they import.

    Imports are followed from module to module, those inside functions too; `from .data.windows import cut` counts
    data/windows.py and not data/__init__.py, which would bring every data set along. A name that is no module counts
    the package that gives it. Files named in a module (e.g. 'published.json') count where they lie beside it or in the
    package's folder. Not seen: a module imported by a name put together when the code runs.
    """
    digest = hashlib.sha256()
    for path in sorted(_followed(modules, package)):
        digest.update(f"{path.relative_to(package)}\n".encode())
        if path.suffix == ".py":
            digest.update(_said(path.read_text(encoding="utf-8")).meaning.encode())
        else:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def notebook(path: Path) -> str:
    """Mark of a notebook's code cells, without comments.

    Its text does not count, nor its parameters cell, which a job's parameters replace; what it prints does: the
    executed notebook shows it.
    """
    digest = hashlib.sha256()
    for source in _cells(path):
        try:
            source = ast.dump(ast.parse(source))
        except SyntaxError:  # a cell with an IPython command
            pass
        digest.update(source.encode())
    return digest.hexdigest()[:16]


def imported(path: Path, package: Path = PACKAGE) -> tuple[str, ...]:
    """Modules of the package that a notebook's code cells import, sorted."""
    found: set[str] = set()
    for source in _cells(path):
        try:
            found |= {name for name, _ in _imported(_said(source).imports, "__main__", False, package)}
        except SyntaxError:
            continue
    return tuple(sorted(found))


def raw(folder: Path, files: Iterable[Path]) -> str:
    """Mark of the raw files under `folder`. Name, size and time stand for the content: hashing 33 GB at each start
    would cost minutes."""
    status = [(path.relative_to(folder).as_posix(), path.stat()) for path in sorted(files)]
    text = "".join(f"{name} {s.st_size} {s.st_mtime_ns}\n" for name, s in status)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Said:
    """What a module's source says: its meaning as text, its imports as (dots, module, names), files it may name."""

    meaning: str
    imports: tuple[tuple[int, str, tuple[str, ...]], ...]
    files: tuple[str, ...]


class _WithoutWords(ast.NodeTransformer):
    """Takes out what decides no number: docstrings, messages, imports for type checkers alone."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        value = node.value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return None
        if isinstance(value, ast.Call):
            called = value.func
            name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
            if name in MESSAGES:
                return None
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return None
        return self.generic_visit(node)


@lru_cache(maxsize=512)
def _said(source: str) -> _Said:
    tree = _WithoutWords().visit(ast.parse(source))
    imports, files = [], set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and FILE_NAME.fullmatch(node.value):
            files.add(node.value)
    return _Said(ast.dump(tree), tuple(imports), tuple(sorted(files)))


def _followed(modules: Iterable[str], package: Path) -> set[Path]:
    """Files of these modules, of those they import, and so on, with the data files they name."""
    waiting: list[tuple[str, Path]] = []
    for name in modules:
        path = _path(name, package)
        if path is None:
            raise ModuleNotFoundError(f"no module '{name}' in {package}", name=name)
        waiting.append((name, path))
    found: set[Path] = set()
    while waiting:
        name, path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        said = _said(path.read_text(encoding="utf-8"))
        found |= {
            folder / file for file in said.files for folder in (path.parent, package) if (folder / file).is_file()
        }
        waiting += _imported(said.imports, name, path.name == "__init__.py", package)
    return found


def _imported(
    imports: Iterable[tuple[int, str, tuple[str, ...]]], importer: str, is_package: bool, package: Path
) -> Iterator[tuple[str, Path]]:
    """Names and files of the package's modules among the imports of one module."""
    for dots, module, names in imports:
        if dots:
            parts = importer.split(".")
            above = parts[: len(parts) - dots + is_package]
            module = ".".join([*above, *([module] if module else [])])
        for name in names or ("",):
            inner = f"{module}.{name}"
            found = inner if name and _path(inner, package) else module
            if path := _path(found, package):
                yield found, path


def _path(module: str, package: Path) -> Path | None:
    """The file of a module of the package, None for any other name."""
    first, *rest = module.split(".")
    if first != package.name:
        return None
    stem = package.joinpath(*rest)
    candidates = (stem / "__init__.py", stem.with_suffix(".py")) if rest else (stem / "__init__.py",)
    return next((path for path in candidates if path.is_file()), None)


def _cells(path: Path) -> list[str]:
    """Sources of a notebook's code cells but for the parameters."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code_cells = [cell for cell in cells if cell["cell_type"] == "code"]
    return ["".join(c["source"]) for c in code_cells if "parameters" not in c["metadata"].get("tags", ())]
