"""Build the sdist and the wheel: the same commit gives the same bytes.

    python release/build.py --out dist

Only files that git tracks are taken. Their times are that of the commit, and their modes are fixed, so that neither the
clock nor the umask of the machine shows.
"""

import argparse
import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TAKEN = ("src", "pyproject.toml", "README.md", "LICENSE")


def build(out: Path) -> list[Path]:
    """Write sdist and wheel into `out` and return their paths; needs setuptools, and no network."""
    from setuptools import build_meta

    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    time = int(git("log", "-1", "--format=%ct"))
    os.umask(0o022)
    os.environ["SOURCE_DATE_EPOCH"] = str(time)  # setuptools dates the files in the wheel by it
    with tempfile.TemporaryDirectory() as folder:
        copy_tracked(Path(folder) / "tree")
        os.chdir(Path(folder) / "tree")
        with redirect_stdout(io.StringIO()):  # setuptools names every file
            sdist = Path(folder) / build_meta.build_sdist(folder)
            wheel = out / build_meta.build_wheel(str(out))
        (out / sdist.name).write_bytes(normalised(sdist, time))
        os.chdir(ROOT)
    return [out / sdist.name, wheel]


def copy_tracked(tree: Path) -> None:
    for name in git("ls-files", *TAKEN).splitlines():
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
        target.chmod(0o644)


def git(*arguments: str) -> str:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True, text=True).stdout


def normalised(archive: Path, time: int) -> bytes:
    """Return a .tar.gz with the same files, in order of their names, with one owner, one time and fixed modes."""
    packed = io.BytesIO()
    with (
        tarfile.open(archive) as old,
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=time) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            plain = tarfile.TarInfo(member.name)
            plain.type, plain.size, plain.mtime = member.type, member.size, time
            plain.mode = 0o755 if member.isdir() else 0o644
            new.addfile(plain, old.extractfile(member))
    return packed.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder of the two files")
    try:
        built = build(parser.parse_args().out)
    except subprocess.CalledProcessError as error:
        sys.exit(f"{ROOT}: expected a clone of the repository, git said: {error.stderr.strip()}")
    for path in built:
        print(f"{path}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
