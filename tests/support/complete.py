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
# What shows a line in which everything was put in.
SHOW = INSERT_ALL + START_OF_LINE + b"echo '<<" + END_OF_LINE + b">>'\n"

SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "bind '\"\\C-xe\": insert-completions'\n", SHOW),
    "zsh": (
        ["zsh", "-f", "-i"],
        "unsetopt zle_bracketed_paste; autoload -U compinit; compinit -D -u\n"
        "every() { _main_complete; compstate[insert]=all }\n"
        "zle -C every complete-word every\n"
        # All of it by one key: zsh may lose what is typed while it completes.
        "show() { zle every; zle auto-suffix-remove; BUFFER=\"echo '<<$BUFFER>>'\"; zle accept-line; }\n"
        "zle -N show; bindkey '^Xe' show\n",
        INSERT_ALL,
    ),
}


def main(shell, setup, *lines):
    command, bindings, show = SHELLS[shell]
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
        os.write(terminal, line.encode() + show)
        print(wait_for(r"^<<(.*)>>").group(1))
    os.write(terminal, b"exit\n")
    os.close(terminal)
    os.waitpid(pid, 0)


main(*sys.argv[1:])
