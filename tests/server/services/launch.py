"""Become a server that dies with the process that started it: launch.py PARENT_PID USER COMMAND...

Linux only keeps that promise; elsewhere the server is started all the same. USER ("" for the same one) is
for PostgreSQL, which refuses to run as root.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Drop to the user, ask the kernel for SIGKILL at the parent's death, become the command."""
    parent, user, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    if user:
        entry = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # after setuid, which would take it back
        if os.getppid() != parent:
            sys.exit("The parent died first.")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
