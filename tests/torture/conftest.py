"""Says at the end how many cases of each campaign ended in which way."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def pytest_terminal_summary(terminalreporter):
    from outcome import COUNTS

    if COUNTS:
        terminalreporter.section("campaigns")
    for campaign in sorted({campaign for campaign, _ in COUNTS}):
        counts = {outcome: n for (name, outcome), n in sorted(COUNTS.items()) if name == campaign}
        ended = ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
        terminalreporter.line(f"{campaign}: {sum(counts.values())} cases: {ended}")
