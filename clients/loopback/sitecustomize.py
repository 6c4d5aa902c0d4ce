"""Leads the hosts that a client has fixed to the service under test, and lets nothing else leave loopback.

Python imports this by itself before anything else. `SHEAF_HOSTS` are names, `SHEAF_PORT` is where they are.
"""

import os
import socket

_HOSTS = set(filter(None, os.environ.get("SHEAF_HOSTS", "").split(",")))
_LOOPBACK = {None, "", "localhost", "127.0.0.1", "::1"}
_getaddrinfo = socket.getaddrinfo


def _to_loopback(host, port, *rest, **named):
    name = host.decode() if isinstance(host, bytes) else host
    if name in _HOSTS:
        host, port = "127.0.0.1", int(os.environ["SHEAF_PORT"])
    elif name not in _LOOPBACK:
        raise OSError(f"a client wants to leave loopback: {name}")
    return _getaddrinfo(host, port, *rest, **named)


socket.getaddrinfo = _to_loopback
