"""Runs a command where nothing leads out; the last line of output is JSON: the names that it looked up.

    unshare --net --mount --map-root-user python tests/without_network.py COMMAND ...

In these namespaces there is only the loopback interface, and this program is the one name server.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
_NO_SUCH_NAME = b"\x81\x83"
_CONFIGURATION = {
    "/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def main(command: list[str]) -> int:
    """Run the command; its own exit code."""
    _bring_loopback_up()
    with tempfile.TemporaryDirectory() as folder:
        for number, (path, text) in enumerate(_CONFIGURATION.items()):
            ours = Path(folder, str(number))
            ours.write_text(text)
            subprocess.run(["mount", "--bind", ours, path], check=True)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 53))
            asked: set[str] = set()
            threading.Thread(target=_answer, args=(server, asked), daemon=True).start()
            done = subprocess.run(command, stdin=subprocess.DEVNULL)
        sys.stdout.write(json.dumps(sorted(asked)) + "\n")
    return done.returncode


def _bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(control, _SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _answer(server: socket.socket, asked: set[str]) -> None:
    """Keep each name, and say that there is none such."""
    with contextlib.suppress(OSError):  # closed: the command has ended
        while True:
            query, client = server.recvfrom(4096)
            asked.add(_name(query))
            server.sendto(query[:2] + _NO_SUCH_NAME + query[4:6] + bytes(6) + query[12:], client)


def _name(query: bytes) -> str:
    labels, at = [], 12
    while at < len(query) and query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace"))
        at += 1 + query[at]
    return ".".join(labels)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
