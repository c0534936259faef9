"""Light clients of a ferry server: recorded bytes go out as they are, and replies are read and hardly looked at.

Arguments: PORT, put or get, then one FILE for each client. FILE has what the client sends; for get, the number of bytes
that it then reads is in its name, behind the last dot. Prints how long each client took, in seconds, one a line.
"""

import os
import socket
import struct
import sys
import threading
import time

port, direction, paths = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
times = [None] * len(paths)


def frame(reader):
    (length,) = struct.unpack("<i", reader.read(4))
    return reader.read(length)


def run(index, path):
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as connection, open(path, "rb") as file:
        connection.sendfile(file)
        reader = connection.makefile("rb")
        replies = [frame(reader)]
        if direction == "put":
            replies.append(frame(reader))
        else:
            replies.append(frame(reader))
            left = int(path.rsplit(".", 1)[1])
            into = memoryview(bytearray(1 << 20))
            while left > 0:
                left -= reader.readinto(into[: min(left, len(into))])
            replies.append(frame(reader))
        for reply in replies:
            if b'"error"' in reply:
                sys.exit(reply.decode())
    times[index] = time.monotonic() - start


threads = [threading.Thread(target=run, args=each) for each in enumerate(paths)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if None in times:
    os._exit(1)
print("\n".join(f"{seconds:.3f}" for seconds in times))
