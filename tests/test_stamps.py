"""What makes work stale: a change that may give other numbers, in any module really imported; and nothing else."""

import json
import os
from pathlib import Path

import pytest

from rdpd_nb import stamps

FILES = {
    "__init__.py": "from .reader import read\n",
    "paper.py": 'import json\n\ntitles = json.loads("published.json")\nRATE = 50\n',
    "published.json": '{"a": 1}\n',
    "unrelated.py": "x = 1\n",
    "lazy.py": "y = 2\n",
    "data/__init__.py": "from . import one, two\n",
    "data/one.py": '''"""Reads."""

from ..paper import RATE
from .helper import clean


def read(folder, progress):
    """Rows of a folder."""
    progress(f"reading {folder}")  # said once
    print("read")
    from rdpd_nb.lazy import y

    return clean(folder, "items.csv") * RATE * y
''',
    "data/two.py": "from .windows import cut\n",
    "data/helper.py": "from . import windows\n\n\ndef clean(rows, items):\n    return windows.cut(rows)\n",
    "data/windows.py": "from . import helper\n\n\ndef cut(rows):\n    return rows[1:]\n",
    "data/items.csv": "1,2\n",
    "data/other.csv": "3,4\n",
}
ONE = "rdpd_nb.data.one"


@pytest.fixture
def package(tmp_path) -> Path:
    """A small package of the same name: reader `one` imports a helper, which imports windows, which imports it back."""
    for name, text in FILES.items():
        path = tmp_path / "rdpd_nb" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "rdpd_nb"


def change(package: Path, name: str, old: str, new: str) -> None:
    text = (package / name).read_text()
    assert old in text
    (package / name).write_text(text.replace(old, new))


def test_a_stamp_is_short_and_the_same_again(package):
    mark = stamps.code(ONE, package=package)
    assert len(mark) == 16 and int(mark, 16) >= 0
    assert stamps.code(ONE, package=package) == mark


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("data/one.py", "* RATE", "+ RATE"),
        ("data/helper.py", "cut(rows)", "cut(rows[2:])"),  # a reader's own helper
        ("data/windows.py", "[1:]", "[2:]"),  # imported by the helper, by `from . import`
        ("paper.py", "RATE = 50", "RATE = 100"),  # by two dots
        ("lazy.py", "y = 2", "y = 3"),  # inside a function, by its full name
        ("data/items.csv", "1,2", "1,3"),  # named, beside the module
        ("published.json", "1", "2"),  # named, in the package's folder
    ],
)
def test_what_may_change_a_number_makes_stale(package, name, old, new):
    before = stamps.code(ONE, package=package)
    change(package, name, old, new)
    assert stamps.code(ONE, package=package) != before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("data/one.py", "Rows of a folder.", "All rows of a folder."),
        ("data/one.py", '    """Rows of a folder."""\n', ""),
        ("data/one.py", "Reads.", "Reads it all."),
        ("data/one.py", "said once", "a comment"),
        ("data/one.py", "reading {folder}", "reading raw files of {folder} ..."),
        ("data/one.py", 'print("read")', 'print("read", folder)'),
        ("data/one.py", 'clean(folder, "items.csv") * RATE', "(clean(folder,\n        'items.csv')\n        * RATE)"),
        ("data/one.py", "from .helper", "\n\n\nfrom .helper"),
        ("unrelated.py", "1", "2"),
        ("data/other.csv", "3", "5"),
        ("data/two.py", "cut", "cut as cut_up"),
        ("data/__init__.py", "one, two", "two, one"),  # the registry imports the reader, not the other way round
        ("__init__.py", "import read", "import read as rows"),
    ],
)
def test_words_and_what_is_not_imported_do_not(package, name, old, new):
    before = stamps.code(ONE, package=package)
    change(package, name, old, new)
    assert stamps.code(ONE, package=package) == before


def test_a_method_that_speaks_and_an_import_for_type_checkers_do_not_count(package):
    text = "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from .unrelated import x\n\n\n"
    text += "class C:\n    def f(self):\n        self.progress('a')\n"
    (package / "spoken.py").write_text(text)
    before = stamps.code("rdpd_nb.spoken", package=package)
    change(package, "spoken.py", "'a'", "'b'")
    change(package, "unrelated.py", "1", "2")
    assert stamps.code("rdpd_nb.spoken", package=package) == before
    change(package, "spoken.py", "self.progress('b')", "self.total('b')")
    assert stamps.code("rdpd_nb.spoken", package=package) != before


def test_what_is_imported_where_no_type_checker_looks_counts(package):
    text = "if TYPE_CHECKING:\n    from .lazy import x\nelse:\n    from .unrelated import x\n"
    (package / "new.py").write_text(text)
    before = stamps.code("rdpd_nb.new", package=package)
    change(package, "unrelated.py", "1", "2")
    assert stamps.code("rdpd_nb.new", package=package) != before


def test_messages_in_every_kind_of_block_do_not_count(package):
    text = "try:\n    x()\nexcept OSError:\n    print('a')\nelse:\n    print('a')\nfinally:\n    print('a')\n"
    text += "match x:\n    case 1:\n        print('a')\nwhile x:\n    print('a')\nelse:\n    print('a')\n"
    (package / "new.py").write_text(text)
    before = stamps.code("rdpd_nb.new", package=package)
    change(package, "new.py", "print('a')", "print('b', 1)")
    assert stamps.code("rdpd_nb.new", package=package) == before


def test_the_value_of_a_call_that_is_used_counts(package):
    """`shown = progress(...)` is no message any more."""
    (package / "spoken.py").write_text("shown = progress('a')\n")
    before = stamps.code("rdpd_nb.spoken", package=package)
    change(package, "spoken.py", "'a'", "'b'")
    assert stamps.code("rdpd_nb.spoken", package=package) != before


@pytest.mark.parametrize(
    "line",
    [
        "from . import unrelated",
        "from .unrelated import x",
        "from .unrelated import *",
        "import rdpd_nb.unrelated",
        "import rdpd_nb.unrelated as u",
        "from rdpd_nb import unrelated",
        "from rdpd_nb.unrelated import x",
        "def f():\n    from . import unrelated",
        "class C:\n    def f(self):\n        import rdpd_nb.unrelated",
        "try:\n    from . import unrelated\nexcept ImportError:\n    pass",
    ],
)
def test_every_form_of_import_is_followed(package, line):
    (package / "new.py").write_text(f"{line}\n")
    before = stamps.code("rdpd_nb.new", package=package)
    change(package, "unrelated.py", "1", "2")
    assert stamps.code("rdpd_nb.new", package=package) != before


def test_a_name_that_is_no_module_counts_the_package_that_gives_it(package):
    (package / "new.py").write_text("from .data import SPECS\n")
    before = stamps.code("rdpd_nb.new", package=package)
    change(package, "data/helper.py", "cut(rows)", "cut(rows[2:])")
    assert stamps.code("rdpd_nb.new", package=package) != before


def test_the_order_of_the_modules_does_not_matter_but_which_they_are_does(package):
    both = stamps.code(ONE, "rdpd_nb.unrelated", package=package)
    assert stamps.code("rdpd_nb.unrelated", ONE, package=package) == both
    assert stamps.code(ONE, package=package) != both


def test_a_module_that_is_not_there_is_an_error(package):
    for name in ("rdpd_nb.gone", "numpy", "rdpd_nb.data.one.deeper"):
        with pytest.raises(ModuleNotFoundError, match=name):
            stamps.code(name, package=package)


def test_a_moved_module_is_another(package):
    (package / "new.py").write_text("x = 1\n")
    (package / "newer.py").write_text("x = 1\n")
    assert stamps.code("rdpd_nb.new", package=package) != stamps.code("rdpd_nb.newer", package=package)


# ---------------------------------------------------------------------------------------------------- this package


def files_of(*modules: str) -> set[str]:
    return {path.relative_to(stamps.PACKAGE).as_posix() for path in stamps._followed(modules, stamps.PACKAGE)}


def test_training_counts_the_method_and_no_data_set():
    counted = files_of("rdpd_nb.training")
    assert {"training.py", "models.py", "losses.py", "paper.py", "published.json", "data/windows.py"} <= counted
    assert not counted & {
        "__init__.py",
        "data/__init__.py",
        "data/pamap2.py",
        "params.py",
        "run.py",
        "reproduce.py",
        "figures.py",
    }


def test_a_reader_counts_its_data_file_and_no_other_data_set():
    counted = files_of("rdpd_nb.data.mimic3")
    assert {"data/mimic3.py", "data/mimic3_items.csv", "data/windows.py"} <= counted
    assert not counted & {"data/__init__.py", "data/pamap2.py", "data/ptbdb.py", "training.py"}


# ---------------------------------------------------------------------------------------------------- notebooks


def write_notebook(path: Path, *cells: tuple[str, str]) -> Path:
    """A notebook of (kind, source); the first code cell holds the parameters."""
    made, tags = [], ["parameters"]
    for kind, source in cells:
        made.append({"cell_type": kind, "metadata": {}, "source": source.splitlines(keepends=True)})
        if kind == "code":
            made[-1]["metadata"]["tags"], tags = tags, []
    path.write_text(json.dumps({"cells": made}))
    return path


CELLS = (
    ("markdown", "# Title"),
    ("code", "epochs = 60"),
    ("code", "%matplotlib inline\nimport rdpd_nb"),
    ("code", "from rdpd_nb import data, Windows\n# why\nprint(run.load())"),
    ("code", "import numpy as np\n\n\ndef f():\n    from rdpd_nb.data.windows import cut"),
)


@pytest.mark.parametrize(
    ("old", "new", "stale"),
    [
        ("# Title", "# Another", False),
        ("epochs = 60", "epochs = 30", False),  # a job gives all parameters itself
        ("# why\n", "# because\n", False),
        ("# why\n", "", False),
        ("run.load()", "run.load( )", False),
        ("run.load()", "run.load('all')", True),
        ("print", "display", True),
        ("inline", "agg", True),
    ],
)
def test_of_a_notebook_its_code_counts(tmp_path, old, new, stale):
    path = write_notebook(tmp_path / "a.ipynb", *CELLS)
    before = stamps.notebook(path)
    write_notebook(path, *((kind, source.replace(old, new)) for kind, source in CELLS))
    assert (stamps.notebook(path) != before) is stale


def test_a_notebooks_output_does_not_count(tmp_path):
    path = write_notebook(tmp_path / "a.ipynb", *CELLS)
    before = stamps.notebook(path)
    content = json.loads(path.read_text())
    content["cells"][3] |= {"outputs": [{"text": "3"}], "execution_count": 7}
    path.write_text(json.dumps(content))
    assert stamps.notebook(path) == before


def test_modules_that_a_notebook_imports(tmp_path):
    path = write_notebook(tmp_path / "a.ipynb", *CELLS)
    assert stamps.imported(path) == ("rdpd_nb", "rdpd_nb.data", "rdpd_nb.data.windows")


# ---------------------------------------------------------------------------------------------------- raw files


def test_raw_files_by_name_size_and_time(tmp_path):
    for name in ("a.dat", "b/c.dat"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("123")
    files = [tmp_path / "a.dat", tmp_path / "b/c.dat"]
    before = stamps.raw(tmp_path, files)
    assert stamps.raw(tmp_path, files[::-1]) == before
    assert stamps.raw(tmp_path, files[:1]) != before
    status = files[0].stat()
    files[0].write_text("1234")
    os.utime(files[0], ns=(status.st_atime_ns, status.st_mtime_ns))
    grown = stamps.raw(tmp_path, files)
    assert grown != before
    os.utime(files[0], ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert stamps.raw(tmp_path, files) != grown
