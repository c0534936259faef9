"""Exchanges pairs of names as fast as it can, each pair in turn, until its standard input ends.

    swapper.py A B [C D ...]

renameat2(2) exchanges two names in one step, so that both are always there. On standard output it writes
a line for each thousand exchanges, and how many there were in all at the end.
"""

import ctypes
import os
import select
import sys
import time

AT_FDCWD = -100
RENAME_EXCHANGE = 2
# The pauses between two exchanges, in turn, in microseconds: they meet every step of what they disturb.
PAUSES = [0, 0, 5, 0, 20, 0, 0, 60, 0, 10]

libc = ctypes.CDLL(None, use_errno=True)


def exchange(a: bytes, b: bytes) -> None:
    if libc.renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), a)


def main() -> None:
    names = [os.fsencode(name) for name in sys.argv[1:]]
    pairs = list(zip(names[::2], names[1::2]))
    count = 0
    while True:
        for a, b in pairs:
            exchange(a, b)
            count += 1
            pause = PAUSES[count // len(pairs) % len(PAUSES)]
            if pause:
                until = time.perf_counter_ns() + pause * 1000
                while time.perf_counter_ns() < until:
                    pass
            if count % 1000 == 0:
                print(count, flush=True)
                if select.select([sys.stdin], [], [], 0)[0]:
                    if count // len(pairs) % 2:
                        continue
                    print(count, flush=True)
                    return


main()
