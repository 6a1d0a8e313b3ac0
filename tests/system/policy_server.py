#!/usr/bin/env python3
"""Policy servers (Postfix's SMTPD_POLICY_README) for the tests.

As a module, one of our own, whose answers the test decides:

    with PolicyServer(lambda request: "DUNNO") as server:
        ... server.socket is for `socket =`; server.requests are dicts; server.connections counts them

As a command, in a network namespace of its own: a DNS server on 127.0.0.1:53 and a program that is started for each
connection to a unix socket with it as standard input and output, as Postfix's spawn does it:

    policy_server.py SOCKET ZONEFILE PROGRAM ARGUMENT...
"""

import os
import socket
import subprocess
import sys
import threading
import time


def read_request(stream):
    """The next request as a dict, or None at the end."""
    request = {}
    for line in stream:
        line = line.rstrip(b"\n")
        if not line:
            return request
        name, _, value = line.partition(b"=")
        request[name.decode()] = value.decode()
    return None


class PolicyServer:
    """answer(request) gives the action; None: no answer, the connection is closed; a number: silence for so long."""

    def __init__(self, answer, address="127.0.0.1"):
        self.answer = answer
        self.requests = []
        self.connections = 0
        self.listener = socket.create_server((address, 0))
        self.socket = "inet:%s:%d" % (address, self.listener.getsockname()[1])
        self.open = []

    def __enter__(self):
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.stop()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # or the thread would go on to accept, by then perhaps another's
        self.thread.join()
        self.listener.close()
        self.drop()

    def drop(self):
        """Closes what is open, as a server does that restarts."""
        for connection in self.open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()
        self.open = []

    def accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            self.open.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            stream = connection.makefile("rb")
            while True:
                request = read_request(stream)
                if request is None:
                    return
                self.requests.append(request)
                action = self.answer(request)
                if action is None:
                    connection.close()
                    return
                if isinstance(action, (int, float)):
                    time.sleep(action)
                    return
                connection.sendall(b"action=%s\n\n" % action.encode())
        except OSError:
            pass


def main():
    path, zone, program = sys.argv[1], sys.argv[2], sys.argv[3:]
    import dns_server
    server = dns_server.Server(None, "127.0.0.1", 53)
    with open(zone) as f:
        server.load(f)
    server.start()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o666)
    listener.listen(16)
    while True:
        connection = listener.accept()[0]
        subprocess.Popen(program, stdin=connection, stdout=connection)
        connection.close()


if __name__ == "__main__":
    main()
