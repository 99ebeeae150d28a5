"""Lay out what Python runs on, and nothing else: runtime.py TO SITE_PACKAGES.

TO becomes the root folder of an image that has no shell and no package manager: Python and its library, the
shared libraries that it and the packages load, certificates of authorities, time zones, the users root and
cutline. Scanners find the packages of Debian that these came from.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

UNUSED_MODULES = (
    "distutils",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "test",
    "tkinter",
    "turtle.py",
    "turtledemo",
)
UNUSED_BINARIES = (
    "_curses",
    "_dbm",
    "_gdbm",
    "_tkinter",
    "_test",
    "_ctypes_test",
    "_xx",
    "nis",
    "readline",
    "xx",
)
FILES = (
    "etc/debian_version",
    "etc/nsswitch.conf",
    "etc/ssl/certs/ca-certificates.crt",
    "etc/ssl/openssl.cnf",
    "usr/lib/os-release",
)
USERS = {
    "etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\ncutline:x:10001:10001::/nonexistent:/sbin/nologin\n",
    "etc/group": "root:x:0:\ncutline:x:10001:\n",
}
FOLDERS = {"tmp": 0o1777, "run": 0o755, "proc": 0o755, "sys": 0o755, "dev": 0o755, "etc/ssl/certs": 0o755}


def interpreter(to: Path) -> Path:
    """Copy Python's program, with the names that lead to it; gives its place."""
    program = Path(sys.executable).resolve()
    for path in program.parent.glob("python3*"):
        if path.resolve() == program:
            copy(path, to)
    copy(program, to)
    link = to / program.parent.relative_to("/") / "python"
    if not link.exists():
        link.symlink_to(program.name)
    return program


def library(to: Path) -> Path:
    """Copy Python's library; gives its place."""
    place = Path(sysconfig.get_path("stdlib"))

    def unused(folder: str, names: list[str]) -> set[str]:
        if Path(folder) == place:
            ends = ("-packages", "-linux-gnu")  # installed packages; what builds Python
            return {name for name in names if name in UNUSED_MODULES or name.endswith(ends)}
        if Path(folder).name == "lib-dynload":
            return {name for name in names if name.startswith(UNUSED_BINARIES)}
        return {name for name in names if name in ("test", "tests")}

    shutil.copytree(place, to / place.relative_to("/"), ignore=unused, symlinks=True, dirs_exist_ok=True)
    return place


def shared_libraries(files: Iterator[Path], own: Path) -> set[Path]:
    """The libraries that programs and modules load, but those in the folder own.

    A library in there may lack another one in there, which a module has loaded by then.
    """
    found: set[Path] = set()
    known = {path.name for path in own.rglob("*.so*")}
    for path in files:
        told = subprocess.run(["ldd", path], capture_output=True, text=True)
        if set(re.findall(r"^\s*(\S+) => not found", told.stdout, re.MULTILINE)) - known:
            raise SystemExit(f"{path} lacks libraries:\n{told.stdout}")
        found |= {Path(name) for name in re.findall(r"(?:=> |^\s*)(/\S+) \(0x", told.stdout, re.MULTILINE)}
    return {path for path in found if not path.is_relative_to(own)}


def copy(path: Path, to: Path) -> None:
    """Copy a file to its own place under a folder; a link with what it leads to."""
    place = to / real_folder(path).relative_to("/") / path.name
    place.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        target = path.resolve()
        copy(target, to)
        place.unlink(missing_ok=True)
        place.symlink_to(os.path.relpath(to / target.relative_to("/"), place.parent))
    elif not place.exists():
        shutil.copy2(path, place)


def real_folder(path: Path) -> Path:
    """The folder of a file, without links: /lib is one to /usr/lib."""
    return path.parent.resolve()


def owners(files: set[Path]) -> set[str]:
    """The packages of Debian that files came from."""
    found = set()
    for path in files:
        names = {str(path.resolve()), str(path.resolve()).removeprefix("/usr")}
        told = subprocess.run(["dpkg-query", "--search", *names], capture_output=True, text=True).stdout
        found |= {line.split(":")[0] for line in told.splitlines()}
    return found


def describe(packages: set[str], to: Path) -> None:
    """Note packages where scanners look, and copy their licences."""
    notes = to / "var/lib/dpkg/status.d"
    notes.mkdir(parents=True)
    for name in sorted(packages):
        told = subprocess.run(["dpkg-query", "--status", name], capture_output=True, text=True, check=True)
        (notes / name).write_text(told.stdout, encoding="utf-8")
        licence = Path("/usr/share/doc", name, "copyright")
        if licence.exists():
            copy(licence, to)


def main(to: Path, site: Path) -> int:
    """Lay it all out."""
    for link, target in {
        "bin": "usr/bin",
        "lib": "usr/lib",
        "lib64": "usr/lib64",
        "sbin": "usr/sbin",
    }.items():
        (to / target).mkdir(parents=True, exist_ok=True)
        (to / link).symlink_to(target)
    for folder, mode in FOLDERS.items():
        (to / folder).mkdir(parents=True, exist_ok=True)
        (to / folder).chmod(mode)
    program, place = interpreter(to), library(to)
    modules = [*(to / place.relative_to("/") / "lib-dynload").glob("*.so"), *site.rglob("*.so*")]
    libraries = shared_libraries(iter([program, *modules]), site)
    for path in libraries:
        copy(path, to)
    for name in FILES:
        if Path("/", name).exists():
            copy(Path("/", name), to)
    (to / "etc/os-release").symlink_to("../usr/lib/os-release")
    zones = Path("usr/share/zoneinfo")
    if Path("/", zones).exists():
        shutil.copytree(
            Path("/", zones), to / zones, symlinks=True, ignore=shutil.ignore_patterns("right", "posix")
        )
    for name, text in USERS.items():
        (to / name).write_text(text, encoding="utf-8")
    subprocess.run(["ldconfig", "-r", to], check=True)
    describe(owners({program, *libraries}), to)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
