"""Types lines into a real shell at a terminal and prints what has become of each when all that the shell
would complete it with has been put in: complete.py SHELL SETUP LINE..., where SETUP is commands for it."""

import os
import pty
import re
import select
import struct
import sys
import fcntl
import termios
import time

SECONDS = 20
INSERT_ALL = b"\x18e"
START_OF_LINE, END_OF_LINE = b"\x01", b"\x05"

SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "bind '\"\\C-xe\": insert-completions'\n"),
    "zsh": (
        ["zsh", "-f", "-i"],
        "unsetopt zle_bracketed_paste; autoload -U compinit; compinit -D -u\n"
        "every() { _main_complete; compstate[insert]=all }\n"
        "zle -C every complete-word every; bindkey '^Xe' every\n",
    ),
}


def main(shell, setup, *lines):
    command, bindings = SHELLS[shell]
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="dumb", PS1="$ ", INPUTRC="/dev/null")
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 4000, 0, 0))
    seen = ""

    def wait_for(pattern):
        nonlocal seen
        deadline = time.monotonic() + SECONDS
        while True:
            match = re.search(pattern, seen, re.M)
            if match:
                seen = seen[match.end():]
                return match
            if not select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
                sys.exit(f"{shell} did not show {pattern!r} in {SECONDS} s, but {seen!r}")
            seen += os.read(terminal, 65536).decode(errors="replace")

    # A line for a shell may be no longer than the terminal's own buffer before the shell reads it.
    path = os.environ["SETUP_FILE"]
    with open(path, "w") as file:
        file.write(bindings + setup + "\nprintf 'rea%s\\n' dy\n")
    os.write(terminal, f". {path}\n".encode())
    wait_for(r"ready\r?\n")
    for line in lines:
        # Before its prompt a shell has not yet taken the terminal over, which would understand the keys itself.
        wait_for(r"\$ ")
        typed = line.encode() + INSERT_ALL + START_OF_LINE + b"echo '<<" + END_OF_LINE + b">>'\n"
        os.write(terminal, typed)
        print(wait_for(r"^<<(.*)>>").group(1))
    os.write(terminal, b"exit\n")
    os.close(terminal)
    os.waitpid(pid, 0)


main(*sys.argv[1:])
