"""Look the locked packages up among known vulnerabilities (`make audit`); exit status 1 where there are any.

Where no service answers it says so in one sentence and ends well: nothing waits for it. Needs pip-audit, which
`make audit` installs in build/tools.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = [ROOT / "requirements.lock", ROOT / "requirements-cuda.lock"]


def main() -> int:
    tool = [str(Path(sys.executable).with_name("pip-audit")), "--require-hashes", "--disable-pip", "--format", "json"]
    files = [word for lock in LOCKS for word in ("--requirement", str(lock))]
    done = subprocess.run([*tool, *sys.argv[1:], *files], capture_output=True, text=True)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        packages = []
    known = [package for package in packages if "vulns" in package]
    if not known:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        why = packages[0]["skip_reason"] if packages else last
        print(f"skipped: nobody could be asked about known vulnerabilities ({why[:300]}).")
        return 0
    found = [(package, fault) for package in known for fault in package["vulns"]]
    for package, fault in found:
        mended = ", ".join(fault["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {fault['id']}, mended in {mended}")
    not_known = f", {len(packages) - len(known)} not known there" if len(known) < len(packages) else ""
    print(f"{len(known)} packages asked about, {len(found)} known vulnerabilities{not_known}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
