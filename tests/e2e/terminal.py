"""Runs a command in a pseudo-terminal of its own: terminal.py COLUMNS ROWS COMMAND...

What the terminal would show comes on standard output, byte for byte. Standard input takes one JSON object a line: {"send":
TEXT} types (\\u0003 is Ctrl-C), {"size": [COLUMNS, ROWS]} changes the size. Exits with the command's code, or with 128 and
the number of the signal that ended it.
"""

import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios


def set_size(fd, columns, rows):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def obey(fd, line):
    order = json.loads(line)
    if "send" in order:
        os.write(fd, order["send"].encode())
    if "size" in order:
        set_size(fd, *order["size"])


def main(columns, rows, command):
    pid, fd = pty.fork()
    if pid == 0:
        set_size(0, columns, rows)
        os.execvp(command[0], command)
    rest = b""
    watched = [fd, 0]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if fd in ready:
            try:
                shown = os.read(fd, 65536)
            except OSError:  # the command has ended
                break
            if not shown:
                break
            while shown:
                shown = shown[os.write(1, shown) :]
        if 0 in ready:
            typed = os.read(0, 65536)
            if not typed:
                watched.remove(0)
            *lines, rest = (rest + typed).split(b"\n")
            for line in lines:
                obey(fd, line)
    _, status = os.waitpid(pid, 0)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
