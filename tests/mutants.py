"""Mutation testing: one small change of the code at a time, and do the tests notice? `make mutants`; not collected.

Each module of MODULES is changed in one place ('+' to '-', '<' to '<=', 1 to 2, `min` to `max`, a `raise` or a keyword
argument left out, ...), and those of its tests that run the changed line are started, the quickest first, until one
fails. A mutant that no test notices survives: either a test is missing, or the change does not matter. The latter are
in `mutants_accepted.tsv`, each with a reason; the others are printed under the table.

Own code, because mutmut 3 leaves out what is decorated (properties, `no_grad`) and what stands outside functions, where
specs and constants are, and cosmic-ray starts Python and PyTorch anew for every mutant. Here a process that has loaded
all and collected the tests forks for each, so that a mutant costs its tests' own time.
"""

import argparse
import ast
import contextlib
import gc
import importlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import types
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PACKAGE = TESTS.parent / "rdpd_nb"
LIBRARIES = """duckdb hypothesis matplotlib.pyplot numpy pandas pyarrow.csv pyarrow.parquet safetensors.torch
    scipy.optimize scipy.signal scipy.stats sklearn.linear_model sklearn.metrics tabulate torch.optim.adam wfdb yaml"""
MODULES = {  # and the tests that answer for each
    "losses": "losses unlabelled protocol",
    "evaluation": "evaluation",
    "statistics": "statistics",
    "data/windows": "windows unlabelled data",
    "training": "training unlabelled",
    "draws": "draws training unlabelled",
    "knowledge": "knowledge unlabelled",
    "engine/__init__": "engine checkpoints",
    "engine/batches": "batches engine training",
    "engine/checkpoints": "checkpoints",
    "engine/device": "engine",
    "engine/kernels": "stack",
    "engine/setup": "engine training checkpoints unlabelled",
    "engine/shards": "engine training unlabelled",
    "engine/stack": "stack",
    "tables": "tables",
    "records": "records tables",
    "record_file": "records",
    "data/archives": "archives",
    "data/checks": "checks brugada ptbdb download",
    "data/csv_stream": "mimic3",
    "data/format16": "ptbdb",
    "data/text": "data uci_har hapt",
    "data/pamap2": "pamap2 spec",
    "data/uci_har": "uci_har spec",
    "data/dsads": "dsads spec",
    "data/hapt": "hapt spec",
    "data/ptbdb": "ptbdb spec",
    "data/brugada": "brugada spec",
    "data/cinc2012": "cinc2012 spec",
    "data/mimic3": "mimic3 spec",
    "data/own": "own",
    "data/own_files": "own",
    "data/pairs": "own study",
}
COLUMNS = ("mutants", "tried", "killed", "timeout", "accepted", "survived")
SURVIVORS = TESTS.parent / "build" / "mutants.txt"
BROKEN = 70  # status of a process in which this program failed, not a test
PAIRS = """Add Sub, Mult Div, BitAnd BitOr, LShift RShift, Lt LtE, Gt GtE, Eq NotEq, Is IsNot, In NotIn, And Or,
min max, any all, argmin argmax, minimum maximum, floor ceil, sum mean, zeros ones, clamp_min clamp_max, nanmin nanmax,
cumsum cumprod, startswith endswith, isnan isinf, union1d setdiff1d, lower upper, lstrip rstrip"""
OTHER = {a: b for pair in PAIRS.split(",") for a, b in (pair.split(), pair.split()[::-1])}
OTHER |= {"std": "var", "FloorDiv": "Mult", "Mod": "FloorDiv", "Pow": "Mult"}
NO_NUMBERS = {"annotation", "returns", "decorator_list", "exc", "cause", "msg"}  # fields of nodes


# ---------------------------------------------------------------------------------------------------- mutants


def changes(node: ast.AST):
    """What a node may become."""
    swapped = [getattr(ast, name)() for name in [OTHER.get(type(getattr(node, "op", None)).__name__)] if name]
    match node:
        case ast.BinOp(left=a, right=b):
            yield from (ast.BinOp(a, op, b) for op in swapped)
        case ast.AugAssign(target=a, value=b):
            yield from (ast.AugAssign(a, op, b) for op in swapped)
        case ast.BoolOp(values=values):
            yield from (ast.BoolOp(op, values) for op in swapped)
        case ast.Compare(left=a, ops=[op], comparators=b):
            yield ast.Compare(a, [getattr(ast, OTHER[type(op).__name__])()], b)
        case ast.Compare(left=a, ops=[first, *rest], comparators=b):
            yield ast.Compare(a, [getattr(ast, OTHER[type(first).__name__])(), *rest], b)
            yield ast.Compare(a, [first, *(getattr(ast, OTHER[type(op).__name__])() for op in rest)], b)
        case ast.UnaryOp(operand=a) if not isinstance(a, ast.Constant):
            yield a
        case ast.Constant(value=bool(v)):
            yield ast.Constant(not v)
        case ast.Constant(value=int(v) | float(v)):
            yield ast.Constant(v * 2 if isinstance(v, float) and v else v + 1)
        case ast.Constant(value=str(v)) if len(v.split()) < 4:
            yield ast.Constant(f"{v}X")
        case ast.Call(func=f, args=args, keywords=words):
            if other := OTHER.get(getattr(f, "id", getattr(f, "attr", ""))):
                name = isinstance(f, ast.Name)
                yield ast.Call(ast.Name(other, f.ctx) if name else ast.Attribute(f.value, other, f.ctx), args, words)
            for word in words:
                if word.arg not in (None, "strict"):
                    yield ast.Call(f, args, [w for w in words if w is not word])
        case (
            ast.If(test=ast.Name() | ast.Attribute() | ast.Call())
            | ast.IfExp(test=ast.Name() | ast.Attribute() | ast.Call())
        ):
            yield type(node)(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
        case ast.comprehension(ifs=[_, *_]):
            yield ast.comprehension(node.target, node.iter, [], 0)
        case ast.JoinedStr(values=[ast.Constant(value=str(v))]) if digits := re.search(r"\.(\d)", v):  # ".3f"
            yield ast.JoinedStr([ast.Constant(v.replace(digits[0], f".{int(digits[1]) + 1}"))])
        case ast.Expr(value=ast.Call()) | ast.Raise():
            yield ast.Pass()
        case ast.Return(value=v) if v and not isinstance(v, ast.Constant):
            yield ast.Return(None)
        case ast.Break() | ast.Continue():
            yield ast.Continue() if isinstance(node, ast.Break) else ast.Break()


class Mutant:
    """A change: `spot` (parent, field, place in a list or None) becomes `new`. `lines` are those of its statement, none
    where it is run at import only. `key` names it in the list of accepted ones, whatever moves."""

    def __init__(self, module: str, where: str, lines: range, spot: tuple, node: ast.AST, new: ast.AST):
        self.module, self.lines, self.spot, self.new = module, lines, spot, new
        self.line = getattr(node, "lineno", 0)
        was, becomes = (n.test if isinstance(n, ast.If | ast.While) else n for n in (node, new))
        self.change = f"{_text(was)[:110]} -> {_text(becomes)[:110]}"
        if isinstance(node, ast.Constant) and isinstance(spot[0], ast.expr) and len(_text(spot[0])) < 90:
            was = _text(spot[0])
            with self.applied():
                self.change = f"{was} -> {_text(spot[0])}"
        self.key = (module, where, self.change)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """The tree it was made from has the change."""
        parent, field, i = self.spot
        old, new = getattr(parent, field), ast.copy_location(self.new, parent)
        setattr(parent, field, new if i is None else [*old[:i], new, *old[i + 1 :]])
        yield
        setattr(parent, field, old)


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())


def mutants(module: str, tree: ast.Module) -> list[Mutant]:
    """All of a module's, in the order of its text."""
    found: list[Mutant] = []

    def visit(parent: ast.AST, where: str, lines: range, inside: bool) -> None:
        for name, value in ast.iter_fields(parent):
            for i, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if not isinstance(node, ast.AST) or name in NO_NUMBERS:
                    continue
                at, span, within = where, lines, inside
                if name == "body" and isinstance(parent, ast.FunctionDef | ast.ClassDef):
                    at, within = f"{where}.{parent.name}".strip("."), inside or isinstance(parent, ast.FunctionDef)
                if isinstance(node, ast.stmt):  # of one with a body the head only
                    last = node.body[0].lineno - 1 if hasattr(node, "body") else node.end_lineno
                    span = range(node.lineno, max(last, node.lineno) + 1)
                words = isinstance(parent, ast.Expr | ast.JoinedStr) or getattr(parent, "arg", "") == "strict"
                if not (words and isinstance(node, ast.Constant)):
                    spot = (parent, name, i)
                    found.extend(Mutant(module, at, span if within else range(0), spot, node, n) for n in changes(node))
                visit(node, at, span, within)

    visit(tree, "", range(0), False)
    return found


# ------------------------------------------------------------------------------------------- tests in a fork


class Trials:
    """A pytest plugin: with all tests collected, it forks for each mutant inside a function, gives the function its new
    code and runs the tests, so that a mutant costs no more than these. First it sees which tests run which lines."""

    def __init__(self, path: Path, folder: Path, after: Callable):
        self.path, self.folder, self.after = path, folder, after
        self.lines, self.fixtures, self.failed = set(), {}, []

    def pytest_runtestloop(self, session):
        self.items = {item.nodeid: item for item in session.items}
        self.after(self)
        return True

    def run(self, names: Iterable[str]) -> list[str]:
        """Run tests until one fails; those that failed."""
        items = [self.items[name] for name in names]
        items[0].config._tmp_path_factory._given_basetemp = self.folder / str(os.getpid())
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                break
        return self.failed

    def pytest_runtest_logreport(self, report):
        self.failed += [report.nodeid] if report.failed else []

    def look(self) -> None:
        """Of each test the seconds and the lines that it runs, its fixtures' among them, into a file."""
        self.tests: dict = {}
        threading.settrace(self.trace)
        failed = self.run(self.items)
        (self.folder / "tests.json").write_text(json.dumps([self.tests, failed]))

    def trace(self, frame, event, arg):
        if frame.f_code.co_filename == str(self.path):
            self.lines.add(frame.f_lineno)
            return self.trace

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef, request):
        before, self.lines, began = self.lines, set(), _seconds()
        try:
            return (yield)
        finally:
            once = fixturedef.scope == "session"  # made once for all of a mutant's tests
            self.fixtures[fixturedef] = self.lines, 0.0 if once else _seconds() - began
            self.lines = before

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item, nextitem):
        sys.settrace(self.trace if hasattr(self, "tests") else None)
        result = yield
        sys.settrace(None)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        self.lines, began = set(), _seconds()
        try:
            return (yield)
        finally:
            if hasattr(self, "tests"):
                of = [f for several in item._fixtureinfo.name2fixturedefs.values() for f in several]
                made = [self.fixtures[f] for f in of if f in self.fixtures]
                lines = self.lines.union(*(lines for lines, _ in made))
                self.tests[item.nodeid] = _seconds() - began + sum(took for _, took in made), sorted(lines)


def _seconds() -> float:
    return sum(os.times()[:4])


def fork(work: Callable[[], object]) -> int:
    """Do something in a process of its own, which ends with 1 where it gives something true, else with 0; its id."""
    if pid := os.fork():
        return pid
    status = BROKEN
    try:
        os.setsid()
        status = int(bool(work()))
    except BaseException:
        traceback.print_exc()
    os._exit(status)


def pytest_main(folder: Path, tests: list[str], *plugins) -> int:
    """pytest, quiet; 0 where all pass."""
    for stream in (1, 2):
        os.dup2(os.open(folder / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    options = f"-q -x -s --tb=no --assert=plain -p no:cacheprovider --basetemp={folder}/{os.getpid()}".split()
    return pytest.main([*options, "-m", "not real and not gpu", *tests], list(plugins))


def codes_of(module: types.CodeType) -> dict[tuple[str, int], types.CodeType]:
    """The code of each function of a module, by name and line."""
    codes = [module]
    for code in codes:
        codes += [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return {(c.co_qualname, c.co_firstlineno): c for c in codes if "<locals>" not in c.co_qualname}


def import_mutated(path: Path, code: types.CodeType) -> None:
    """Whoever imports the module from now on gets this code."""
    load = SourceFileLoader.get_code
    SourceFileLoader.get_code = lambda of, name: code if of.path == str(path) else load(of, name)


class Trying:
    """A module's mutants, or a sample of them, and what becomes of each."""

    def __init__(self, module: str, options: argparse.Namespace, share: float, end: float, folder: Path):
        self.path, self.share, self.end, self.folder = PACKAGE / f"{module}.py", share, end, folder
        self.jobs, self.seconds, sample = options.jobs, options.seconds, options.sample
        self.files = [str(TESTS / f"test_{name}.py") for name in MODULES[module].split()]
        self.tree = ast.parse(self.path.read_text())
        self.all = mutants(module, self.tree)
        self.drawn = random.Random(options.seed).sample(
            range(len(self.all)), min(sample or len(self.all), len(self.all))
        )

    def __call__(self) -> dict[int, str]:
        """What became of each that was tried, by its place in `all`."""
        server = Trials(self.path, self.folder, self._inside)
        os.waitpid(fork(lambda: pytest_main(self.folder, self.files, server)), 0)
        self.tests, failed = json.loads((self.folder / "tests.json").read_text())
        if failed or not self.tests:
            raise RuntimeError(f"tests that fail without any mutant: {failed or self.files}")
        found = {int(i): outcome for i, outcome in json.loads((self.folder / "outcome.json").read_text()).items()}
        return found | self._each(lambda m: not m.lines, self._anew)

    def _inside(self, trials: Trials) -> None:
        os.waitpid(fork(trials.look), 0)
        self.tests, failed = json.loads((self.folder / "tests.json").read_text())
        every = [f for f in gc.get_objects() if isinstance(f, types.FunctionType)]
        self.functions = [f for f in every if f.__code__.co_filename == str(self.path)]
        gc.collect(), gc.freeze()  # or each fork would copy all objects
        found = {} if failed else self._each(lambda m: m.lines, lambda m, names: self._swapped(trials, m, names))
        (self.folder / "outcome.json").write_text(json.dumps(found))

    def _swapped(self, trials: Trials, m: Mutant, names: list[str]) -> bool:
        codes = codes_of(self._mutated(m))
        for function in self.functions:
            of = function.__code__
            function.__code__ = codes.get((of.co_qualname, of.co_firstlineno), of)
        return bool(trials.run(names))

    def _anew(self, m: Mutant, names: list[str]) -> int:
        import_mutated(self.path, self._mutated(m))
        return pytest_main(self.folder, names)

    def _mutated(self, m: Mutant) -> types.CodeType:
        with m.applied():
            return compile(ast.fix_missing_locations(self.tree), str(self.path), "exec", dont_inherit=True)

    def _chosen(self, mutant: Mutant) -> tuple[list[str], float]:
        """The tests that may notice a mutant, the quickest first, and how long they take."""
        names, total = [], 0.0
        for name, (took, lines) in sorted(self.tests.items(), key=lambda test: test[1][0]):
            if (not mutant.lines or not set(mutant.lines).isdisjoint(lines)) and total + took < self.seconds:
                names, total = [*names, name], total + took
        return names, total

    def _each(self, which: Callable, try_one: Callable) -> dict[int, str]:
        found, running, until = {}, {}, min(self.end, time.time() + self.share)
        waiting = [i for i in reversed(self.drawn) if which(self.all[i])]
        while running or (waiting and time.time() < until):
            while waiting and len(running) < self.jobs and time.time() < until:
                i = waiting.pop()
                names, took = self._chosen(self.all[i])
                if not names:
                    found[i] = "survived"
                    continue
                pid = fork(lambda m=self.all[i], names=names: try_one(m, names))
                running[pid] = i, time.time() + 30 + 10 * took
            for pid, (i, limit) in list(running.items()):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if not ended and time.time() < limit:
                    continue
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)  # what it started, too
                if not ended:
                    os.waitpid(pid, 0)
                ends = {0: "survived", BROKEN: "broken"}
                found[i] = ends.get(os.waitstatus_to_exitcode(status), "killed") if ended else "timeout"
                del running[pid]
                shutil.rmtree(self.folder / str(pid), ignore_errors=True)
            time.sleep(0.01)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("modules", nargs="*", help="of rdpd_nb, e.g. losses data/windows; all by default")
    parser.add_argument("--minutes", type=float, default=60, help="in which it ends")
    parser.add_argument("--sample", type=int, default=100, help="most mutants of a module, drawn by seed; 0: all")
    parser.add_argument("--seconds", type=float, default=25, help="of tests for a mutant: slower ones are left out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "MPLBACKEND": "agg"}
    accepted = {tuple(row.split("\t")[:3]) for row in (TESTS / "mutants_accepted.tsv").read_text().splitlines()}
    end, names = time.time() + 60 * options.minutes, options.modules or list(MODULES)
    total, survivors = Counter(), []
    _print_row("module", {name: name for name in COLUMNS})
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        sys.pycache_prefix, sys.dont_write_bytecode = f"{folder}/pyc", False
        for library in LIBRARIES.split():
            importlib.import_module(library)
        _load_hypothesis()
        for n, module in enumerate(names):
            share = (end - time.time()) / (len(names) - n)  # of seconds, once its tests have been seen to run
            trying = Trying(module, options, share, end, Path(folder))
            found = sorted(trying().items())
            known = {i for i, outcome in found if outcome == "survived" and trying.all[i].key in accepted}
            count = Counter("accepted" if i in known else outcome for i, outcome in found)
            assert not count["broken"], (Path(folder) / "said.txt").read_text()[-3000:]
            count |= {"mutants": len(trying.all), "tried": len(found)}
            total.update(count)
            _print_row(module, count)
            new = [trying.all[i] for i, outcome in found if outcome == "survived" and i not in known]
            survivors += [f"rdpd_nb/{m.module}.py:{m.line}\t" + "\t".join(m.key) for m in new]
            SURVIVORS.parent.mkdir(exist_ok=True)
            SURVIVORS.write_text("\n".join(survivors))
    _print_row("all", total)
    print("", *survivors, sep="\n")
    sys.exit(bool(survivors))


def _load_hypothesis() -> None:
    """The same examples every time, and none made smaller."""
    from hypothesis import Phase, settings

    quick = {"derandomize": True, "database": None, "max_examples": 25}
    settings.register_profile("mutants", **quick, phases=[Phase.explicit, Phase.generate])
    settings.load_profile("mutants")


def _print_row(name: str, count: dict) -> None:
    print(f"{name:22}" + "".join(f"{count[of] or 0:>10}" for of in COLUMNS), flush=True)


if __name__ == "__main__":
    main()
