"""Servers of OpenStack Swift with the configuration of a directory.

swift_server.py rings DIR/PORT   writes the rings of one device; the servers use the three ports after PORT
swift_server.py serve DIR/NAME   runs the server NAME with DIR/NAME.conf
"""

import os
import sys

from swift.common import utils

command, path = sys.argv[1:]
directory, argument = os.path.split(path)
# The file that all servers read besides their own; its path cannot be set otherwise.
utils.SWIFT_CONF_FILE = os.path.join(directory, "swift.conf")

if command == "rings":
    from swift.common.ring import RingBuilder

    for index, name in enumerate(("account", "container", "object")):
        # 8 partitions, each on one device.
        builder = RingBuilder(3, 1, 0)
        port = int(argument) + 1 + index
        device = {"region": 1, "zone": 1, "device": "d", "weight": 1, "meta": ""}
        device.update(ip="127.0.0.1", port=port, replication_ip="127.0.0.1", replication_port=port)
        builder.add_dev(device)
        builder.rebalance()
        builder.get_ring().save(os.path.join(directory, name + ".ring.gz"))
else:
    from swift.common.wsgi import run_wsgi

    options = {}
    if argument == "object":
        from swift.obj.server import global_conf_callback

        options["global_conf_callback"] = global_conf_callback
    sys.exit(run_wsgi(os.path.join(directory, argument + ".conf"), argument + "-server", **options))
