"""Packs the data sets that lie here, from the published files: `python data/open/pack.py RAW [FOLDER]`.

RAW holds `cinc2012/`, `brugada/` and `beijing_pm25/` as published; FOLDER, by default this one, takes the packed ones.
Members are sorted, without times or owners: the same files give the same archives wherever the liblzma is the same.
"""

import hashlib
import io
import lzma
import re
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

from rdpd_nb.data import archives, brugada, cinc2012
from rdpd_nb.files import replace_file
from rdpd_nb.related.generalised_tasks import PM25_FILE

LZMA2 = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}
# A sample of twelve leads is 24 bytes: differences to the sample before pack a fifth smaller.
ECG = [{"id": lzma.FILTER_DELTA, "dist": 24}, {**LZMA2, "lp": 1, "pb": 1}]


def pack(source: Path, target: Path, match: Callable[[str], re.Match | None], name: str, filters: list[dict]) -> None:
    """Archive `target` of the matching files of a folder or an archive; `name` is a format over the match's groups."""
    members = sorted((name.format(*match(old).groups()), content) for old, content in archives.walk(source, match))
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for member, content in members:
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    with replace_file(target) as temporary:
        temporary.write_bytes(lzma.compress(tar.getvalue(), check=lzma.CHECK_SHA256, filters=filters))


def pack_file(source: Path, target: Path) -> None:
    """One file as an .xz."""
    with replace_file(target) as temporary:
        temporary.write_bytes(lzma.compress(source.read_bytes(), check=lzma.CHECK_SHA256, filters=[LZMA2]))


def pack_all(raw: Path, folder: Path) -> list[Path]:
    """All data sets; the files written."""
    air, ecg, icu = folder / "beijing_pm25", folder / "brugada", folder / "cinc2012"
    pack_file(raw / "beijing_pm25" / PM25_FILE, air / f"{PM25_FILE}.xz")
    for name in cinc2012.SETS:
        source = archives.find(raw / "cinc2012", f"set-{name}")
        pack(source, icu / f"set-{name}.tar.xz", cinc2012.IS_STAY, f"set-{name}/{{}}.txt", [LZMA2])
        shutil.copyfile(raw / "cinc2012" / f"Outcomes-{name}.txt", icu / f"Outcomes-{name}.txt")
    source = archives.find(raw / "brugada", "files")
    pack(source, ecg / "files.tar.xz", brugada.IS_RECORD, "files/{0}/{0}.{1}", ECG)
    for name in ("LICENSE.txt", "SHA256SUMS.txt", "metadata.csv"):
        shutil.copyfile(raw / "brugada" / name, ecg / name)
    return [path for inner in (air, ecg, icu) for path in sorted(inner.iterdir()) if path.name != "README.md"]


if __name__ == "__main__":
    here = Path(__file__).parent
    for path in pack_all(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else here):
        print(f"| `{path.name}` | {path.stat().st_size:,} | `{hashlib.sha256(path.read_bytes()).hexdigest()}` |")
