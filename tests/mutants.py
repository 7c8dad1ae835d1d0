"""Mutation testing: one small change of the code at a time, and do the tests notice? `make mutants`; not collected.

Each module of MODULES is changed in one place ('+' to '-', '<' to '<=', 1 to 2, `min` to `max`, a `raise` or a keyword
argument left out, ...), and those of its tests that run the changed line are started, the quickest first, until one
fails. A mutant that no test notices survives: either a test is missing, or the change does not matter. The latter are
in `mutants_accepted.tsv`, each with a reason; the others are printed under their module's row.

Own code, because mutmut 3 leaves out what is decorated (properties, `no_grad`) and what stands outside functions, where
specs and constants are, and cosmic-ray starts Python and PyTorch anew for every mutant. Here a process that has loaded
the libraries forks for each, which loads this package and costs less than a second more than its tests.
"""

import argparse
import ast
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
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib.machinery import SourceFileLoader
from pathlib import Path

import hypothesis
import pytest

TESTS = Path(__file__).resolve().parent
LIBRARIES = """duckdb hypothesis matplotlib.pyplot numpy pandas pyarrow.csv pyarrow.parquet safetensors.torch
    scipy.optimize scipy.signal scipy.stats sklearn.linear_model sklearn.metrics tabulate torch.optim.adam wfdb yaml"""
MODULES = dict(  # and the tests that answer for each
    line.strip().split(": ")
    for line in """losses: losses unlabelled protocol; evaluation: evaluation; statistics: statistics
    data/windows: windows unlabelled data; training: training unlabelled; draws: draws training unlabelled
    knowledge: knowledge unlabelled; engine/__init__: engine checkpoints; engine/batches: batches engine training
    engine/checkpoints: checkpoints; engine/device: device; engine/kernels: stack
    engine/setup: engine training checkpoints unlabelled; engine/shards: engine training unlabelled; engine/stack: stack
    tables: tables; records: records tables; record_file: records; data/archives: archives; data/text: text
    data/checks: checks; data/csv_stream: csv_stream; data/format16: ptbdb brugada
    data/pamap2: pamap2 spec; data/uci_har: uci_har spec; data/dsads: dsads spec; data/hapt: hapt spec
    data/ptbdb: ptbdb spec; data/brugada: brugada spec; data/cinc2012: cinc2012 spec; data/mimic3: mimic3 spec
    data/own: own; data/own_files: own; data/pairs: own study
    related/__init__: related; related/hinton: hinton; related/mnist: hinton; related/generalised: generalised
    related/generalised_tasks: generalised; related/gdda_svm: gdda_svm; related/gdda_tasks: gdda_svm
    related/uni_kd: uni_kd; related/uni_kd_tasks: uni_kd
    related/side_by_side: side_by_side""".replace("\n", ";").split(";")
)
COLUMNS = ("mutants", "tried", "killed", "timeout", "accepted", "survived")
SECONDS = 25  # of tests for a mutant: slower ones are left out
BROKEN = 70  # status of a process in which this program failed, not a test
ENDS = {0: "survived", BROKEN: "broken", -signal.SIGALRM: "timeout"}
PAIRS = """Add Sub, Mult Div, BitAnd BitOr, LShift RShift, Lt LtE, Gt GtE, Eq NotEq, Is IsNot, In NotIn, And Or,
min max, any all, argmin argmax, minimum maximum, floor ceil, sum mean, zeros ones, clamp_min clamp_max, nanmin nanmax,
cumsum cumprod, startswith endswith, isnan isinf, union1d setdiff1d, lower upper, lstrip rstrip"""
OTHER = {a: b for pair in PAIRS.split(",") for a, b in (pair.split(), pair.split()[::-1])}
OTHER |= {"std": "var", "FloorDiv": "Mult", "Mod": "FloorDiv", "Pow": "Mult"}
NO_NUMBERS = {"annotation", "returns", "decorator_list", "exc", "cause", "msg"}  # fields of nodes


def changes(node: ast.AST):
    """What a node may become."""
    swapped = [getattr(ast, name)() for name in [OTHER.get(type(getattr(node, "op", None)).__name__)] if name]
    match node:
        case ast.BinOp() | ast.AugAssign() | ast.BoolOp():
            yield from (type(node)(**{**vars(node), "op": op}) for op in swapped)
        case ast.Compare(left=a, ops=[first, *rest], comparators=b):
            first, *others = [getattr(ast, OTHER[type(op).__name__])() for op in node.ops]
            yield ast.Compare(a, [first, *rest], b)
            if rest:
                yield ast.Compare(a, [node.ops[0], *others], b)
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
        case ast.If(test=test) | ast.IfExp(test=test) if isinstance(test, ast.Name | ast.Attribute | ast.Call):
            yield type(node)(ast.UnaryOp(ast.Not(), test), node.body, node.orelse)
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
    """A change of a tree: field `name` of `parent`, or its place `i`, becomes `new`. `lines` are its statement's, none
    where that is run at import only. `key` names it in the list of accepted ones, whatever moves."""

    def __init__(self, tree: ast.Module, key: tuple[str, str], lines: range, spot: tuple, new: ast.AST):
        self.tree, self.lines, (self.parent, self.name, self.i) = tree, lines, spot
        field = getattr(self.parent, self.name)
        node = field if self.i is None else field[self.i]
        self.line, self.new = getattr(node, "lineno", 0), ast.copy_location(new, self.parent)
        was, becomes = (_text(n.test if isinstance(n, ast.If | ast.While) else n)[:110] for n in (node, new))
        if isinstance(node, ast.Constant) and isinstance(self.parent, ast.expr) and len(_text(self.parent)) < 90:
            was, becomes = _text(self.parent), self.applied(partial(_text, self.parent))
        self.key = (*key, f"{was} -> {becomes}")

    def applied(self, look):
        """What `look` gives while the tree has the change."""
        old = getattr(self.parent, self.name)
        setattr(self.parent, self.name, self.new if self.i is None else [*old[: self.i], self.new, *old[self.i + 1 :]])
        found = look()
        setattr(self.parent, self.name, old)
        return found

    def code(self, path: Path):
        return self.applied(lambda: compile(ast.fix_missing_locations(self.tree), path, "exec", dont_inherit=True))


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
                    made = partial(Mutant, tree, (module, at), span if within else range(0), (parent, name, i))
                    found.extend(map(made, changes(node)))
                visit(node, at, span, within)

    visit(tree, "", range(0), False)
    return found


# ------------------------------------------------------------------------------------------- tests in a fork


class Watch:
    """A pytest plugin: of each test the seconds, and the lines of a file that it and its fixtures run, as JSON."""

    def __init__(self, path: Path, seen: Path):
        self.path, self.seen, self.lines, self.fixtures, self.tests = str(path), seen, set(), {}, {}

    def trace(self, frame, event, arg):
        if frame.f_code.co_filename == self.path:
            self.lines.add(frame.f_lineno)
            return self.trace

    @contextmanager
    def watched(self) -> Iterator[list]:
        """[seconds, lines], once it is over."""
        threading.settrace(self.trace)
        sys.settrace(self.trace)
        before, self.lines, began, found = self.lines, set(), sum(os.times()[:4]), []
        try:
            yield found
        finally:
            found += [sum(os.times()[:4]) - began, self.lines]
            self.lines = before

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef, request):
        with self.watched() as self.fixtures[fixturedef]:
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        with self.watched() as found:
            result = yield
        of = [f for several in item._fixtureinfo.name2fixturedefs.values() for f in several if f in self.fixtures]
        made = sum(self.fixtures[f][0] for f in of if f.scope != "session")  # those are made once for all tests
        self.tests[item.nodeid] = found[0] + made, sorted(found[1].union(*(self.fixtures[f][1] for f in of)))
        return result

    def pytest_sessionfinish(self):
        self.seen.write_text(json.dumps(self.tests))


def outcomes(every: list[Mutant], drawn: list[int], path: Path, tests: list[str], folder: Path, jobs: int, share):
    """What became of each mutant that was tried, by its place."""
    watch = Watch(path, folder / "tests.json")
    if os.waitpid(fork(lambda: pytest_main(folder, tests, watch)), 0)[1]:
        raise RuntimeError(f"{', '.join(tests)} fail without any mutant:\n{(folder / 'said.txt').read_text()[-3000:]}")
    tests = sorted(json.loads(watch.seen.read_text()).items(), key=lambda test: test[1][0])  # the quickest first
    found, running, until = {}, {}, time.time() + share
    while running or (drawn and time.time() < until):
        if drawn and len(running) < jobs and time.time() < until:
            i, *drawn = drawn
            lines, names, total = set(every[i].lines), [], 0.0
            for name, (took, runs) in tests:
                if not (lines and lines.isdisjoint(runs)) and total + took < SECONDS:
                    names, total = [*names, name], total + took
            running[fork(partial(try_one, every[i], path, names, folder), 30 + int(10 * total))] = i
        else:
            pid, status = os.wait()
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # what it started
            shutil.rmtree(folder / str(pid), ignore_errors=True)
            found[running.pop(pid)] = ENDS.get(os.waitstatus_to_exitcode(status), "killed")
    return found


def try_one(mutant: Mutant, path: Path, names: list[str], folder: Path) -> int:
    """Whether a test fails where the package is loaded with the mutant."""
    code, load = mutant.code(path), SourceFileLoader.get_code
    SourceFileLoader.get_code = lambda of, name: code if of.path == str(path) else load(of, name)
    return pytest_main(folder, names) if names else 0


def fork(work, seconds: int = 0) -> int:
    """Do something in a process of its own, which ends with 1 where it gives something true, else with 0; its id."""
    if pid := os.fork():
        return pid
    status = BROKEN
    try:
        os.setsid()
        signal.alarm(seconds)  # which ends it
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("modules", nargs="*", help="of rdpd_nb, e.g. losses data/windows; all by default")
    parser.add_argument("--minutes", type=float, default=60, help="in which it ends")
    parser.add_argument("--sample", type=int, default=100, help="most mutants of a module, drawn by seed; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "MPLBACKEND": "agg"}
    accepted = {tuple(row.split("\t")[:3]) for row in (TESTS / "mutants_accepted.tsv").read_text().splitlines()}
    end, names, total = time.time() + 60 * options.minutes, options.modules or list(MODULES), Counter()
    list(map(importlib.import_module, LIBRARIES.split()))
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]  # the same examples every time, none made smaller
    hypothesis.settings.register_profile("mutants", derandomize=True, database=None, max_examples=25, phases=phases)
    hypothesis.settings.load_profile("mutants")
    show("module", {name: name for name in COLUMNS})
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        sys.pycache_prefix, sys.dont_write_bytecode = f"{folder}/pyc", False
        for n, module in enumerate(names):
            path = TESTS.parent / f"rdpd_nb/{module}.py"
            every = mutants(module, ast.parse(path.read_text()))
            drawn = random.Random(options.seed).sample(range(len(every)), min(options.sample or 10**9, len(every)))
            share = (end - time.time()) / (len(names) - n)  # of seconds, once its tests have been seen to run
            tests = [str(TESTS / f"test_{name}.py") for name in MODULES[module].split()]
            found = sorted(outcomes(every, drawn, path, tests, Path(folder), options.jobs, share).items())
            known = {i for i, outcome in found if outcome == "survived" and every[i].key in accepted}
            count = Counter("accepted" if i in known else outcome for i, outcome in found)
            assert not count["broken"], (Path(folder) / "said.txt").read_text()[-3000:]
            show(module, count := count + Counter(mutants=len(every), tried=len(found)))
            total += count
            for m in (every[i] for i, outcome in found if outcome == "survived" and i not in known):
                print(f"    line {m.line}\t" + "\t".join(m.key), flush=True)
    show("all", total)
    sys.exit(total["survived"] > 0)


def show(name: str, count: dict) -> None:
    print(f"{name:22}" + "".join(f"{count[of] or 0:>10}" for of in COLUMNS), flush=True)


if __name__ == "__main__":
    main()
