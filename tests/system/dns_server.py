#!/usr/bin/env python3
"""A small authoritative DNS server for the tests: UDP and TCP, one thread each, zone changes take effect at once.

As a module:

    server = Server({"dua.test": {"MX": ["10 mx1.dua.test"]}, "mx1.dua.test": {"A": ["127.0.0.3"]}}, "127.0.0.1")
    server.start(); server.add("mx2.dua.test", "AAAA", "::1"); server.clear("dua.test"); server.stop()

As a command: dns_server.py [--listen ADDRESS:PORT] ZONEFILE     (port 0: the kernel picks; it is printed)

A zone file has a line a record, "NAME [TTL] KIND VALUE", with ; or # before a comment. Kinds are A AAAA MX CNAME TXT PTR
NS SRV TLSA, and these, which tell the server how to behave for that name and every kind:

    NXDOMAIN        the name does not exist (also what is said of names that the zone lacks)
    SERVFAIL        the server fails
    REFUSED         the server refuses
    DROP            no answer at all
    DELAY seconds   the answer comes late
    TRUNCATE        over UDP only an empty answer with the TC bit
    MISMATCH        over UDP first a forged answer with another id, then the right one
    GARBAGE         over UDP random bytes behind a right header
    SECURE          DNSSEC secures what is said of the name, and of those below it: whoever asks by AD or DO is told by AD
    INSECURE        not of this name, in spite of one above it
"""

import argparse
import ipaddress
import random
import socket
import struct
import sys
import threading
import time

KINDS = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "TLSA": 52, "ANY": 255}
NAMES = {number: name for name, number in KINDS.items()}
BEHAVIOURS = ("NXDOMAIN", "SERVFAIL", "REFUSED", "DROP", "DELAY", "TRUNCATE", "MISMATCH", "GARBAGE", "SECURE",
              "INSECURE")
RCODES = {"SERVFAIL": 2, "NXDOMAIN": 3, "REFUSED": 5}
OPT = 41
UDP_LIMIT = 512


def key(name):
    return name.rstrip(".").lower()


def name_bytes(name):
    out = b""
    for label in name.rstrip(".").split("."):
        if label:
            raw = label.encode("latin-1")
            out += bytes([len(raw)]) + raw
    return out + b"\0"


def value_bytes(kind, value):
    """The RDATA of one record; names are not compressed."""
    if kind == "A":
        return ipaddress.IPv4Address(value).packed
    if kind == "AAAA":
        return ipaddress.IPv6Address(value).packed
    if kind == "MX":
        preference, host = value.split()
        return struct.pack("!H", int(preference)) + name_bytes(host)
    if kind == "SRV":
        priority, weight, port, host = value.split()
        return struct.pack("!HHH", int(priority), int(weight), int(port)) + name_bytes(host)
    if kind == "TLSA":
        usage, selector, matching, association = value.split()
        return bytes([int(usage), int(selector), int(matching)]) + bytes.fromhex(association)
    if kind == "TXT":
        raw = value.encode()
        parts = [raw[i:i + 255] for i in range(0, len(raw), 255)] or [b""]
        return b"".join(bytes([len(p)]) + p for p in parts)
    return name_bytes(value)


class Question:
    def __init__(self, packet):
        self.id, flags, count = struct.unpack("!HHH", packet[:6])
        if flags & 0x8000 or count != 1:
            raise ValueError("not a query")
        labels, at = [], 12
        while packet[at]:
            labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1"))
            at += 1 + packet[at]
        self.name = ".".join(labels)
        self.type, = struct.unpack("!H", packet[at + 1:at + 3])
        self.kind = NAMES.get(self.type, str(self.type))
        self.section = packet[12:at + 5]
        self.wants_ad = bool(flags & 0x20)
        self.limit = self.edns_limit(packet, at + 5)

    def edns_limit(self, packet, at):
        additional, = struct.unpack("!H", packet[10:12])
        if additional and len(packet) >= at + 11 and packet[at] == 0:
            kind, size, _, flags = struct.unpack("!HHHH", packet[at + 1:at + 9])
            if kind == OPT:
                self.wants_ad = self.wants_ad or bool(flags & 0x8000)
                return max(size, UDP_LIMIT)
        return UDP_LIMIT


class Server:
    def __init__(self, zone=None, address="127.0.0.1", port=0, ttl=0):
        self.ttl = ttl  # of records for which none is given; 0: clients keep nothing
        self.lock = threading.Lock()
        self.records = {}  # name -> kind -> [(ttl, value)]
        self.queries = []  # (name, kind, "udp" or "tcp"), in the order in which they came
        for name, kinds in (zone or {}).items():
            for kind, values in kinds.items():
                self.add(name, kind, *([values] if isinstance(values, str) else values))
        self.address, self.port = address, port
        self.bind()
        self.threads = []

    def bind(self):
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        for _ in range(50):
            self.udp = socket.socket(family, socket.SOCK_DGRAM)
            self.udp.bind((self.address, self.port))
            port = self.udp.getsockname()[1]
            self.tcp = socket.socket(family, socket.SOCK_STREAM)
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self.tcp.bind((self.address, port))
            except OSError:
                self.udp.close()
                self.tcp.close()
                if self.port:
                    raise
                continue
            self.tcp.listen(64)
            self.port = port
            return
        raise OSError("no port is free for both UDP and TCP")

    # -- the zone

    def add(self, name, kind, *values, ttl=None):
        if kind not in KINDS and kind not in BEHAVIOURS:
            raise ValueError("unknown kind: " + kind)
        for value in values:
            if kind in KINDS:
                value_bytes(kind, value)
        with self.lock:
            rows = self.records.setdefault(key(name), {}).setdefault(kind, [])
            rows.extend((self.ttl if ttl is None else ttl, value) for value in values or ("",))

    def clear(self, name, kind=None):
        with self.lock:
            if kind is None:
                self.records.pop(key(name), None)
            else:
                self.records.get(key(name), {}).pop(kind, None)

    def load(self, lines):
        for number, line in enumerate(lines, 1):
            words = line.split(";")[0].split("#")[0].split(None, 2)
            if not words:
                continue
            try:
                ttl = None
                if words[1].isdigit():
                    ttl = int(words[1])
                    words = [words[0]] + (words[2].split(None, 1) if len(words) > 2 else [])
                values = [words[2].strip().strip('"')] if len(words) > 2 else []
                self.add(words[0], words[1].upper(), *values, ttl=ttl)
            except (ValueError, IndexError) as problem:
                raise ValueError("line %d: %s" % (number, problem)) from problem

    # -- answering

    def exists(self, name):
        suffix = "." + name
        return name in self.records or any(other.endswith(suffix) for other in self.records)

    def records_for(self, question):
        """(rcode, [(owner, ttl, kind, value)]): follows CNAMEs inside the zone, as a resolver would."""
        answers, name = [], key(question.name)
        for _ in range(16):
            kinds = self.records.get(name, {})
            for behaviour, rcode in RCODES.items():
                if behaviour in kinds:
                    return rcode, answers
            if not self.exists(name):
                return RCODES["NXDOMAIN"], answers
            wanted = kinds if question.kind == "ANY" else [question.kind]
            found = [(name, ttl, k, value) for k in wanted if k in KINDS for ttl, value in kinds.get(k, [])]
            if found or "CNAME" not in kinds or question.kind == "CNAME":
                return 0, answers + found
            ttl, target = kinds["CNAME"][0]
            answers.append((name, ttl, "CNAME", target))
            name = key(target)
        return 0, answers

    def is_secure(self, name):
        if "INSECURE" in self.records.get(name, {}):
            return False
        while name:
            if "SECURE" in self.records.get(name, {}):
                return True
            _, _, name = name.partition(".")
        return False

    def answer(self, question, udp):
        with self.lock:
            behaviour = self.records.get(key(question.name), {})
            rcode, answers = self.records_for(question)
            truncate = udp and "TRUNCATE" in behaviour
            chain = [key(question.name)] + [key(v) for _, _, k, v in answers
                                           if k == "CNAME" and question.kind != "CNAME"]
            secure = question.wants_ad and all(map(self.is_secure, chain))
        flags = 0x8580 | rcode | (0x20 if secure else 0)
        body = b"".join(name_bytes(owner) + struct.pack("!HHIH", KINDS[k], 1, ttl, len(value_bytes(k, v)))
                        + value_bytes(k, v) for owner, ttl, k, v in answers)
        authority = b"" if answers else self.soa()
        whole = question.section + body + authority
        if truncate or (udp and len(whole) + 12 > question.limit):
            return struct.pack("!HHHHHH", question.id, flags | 0x0200, 1, 0, 0, 0) + question.section
        return struct.pack("!HHHHHH", question.id, flags, 1, len(answers), 1 if authority else 0, 0) + whole

    def soa(self):
        """What tells for how long a negative answer holds."""
        value = name_bytes("ns.test") + name_bytes("hostmaster.test") + struct.pack("!IIIII", 1, 60, 60, 60, self.ttl)
        return name_bytes("test") + struct.pack("!HHIH", KINDS["SOA"], 1, self.ttl, len(value)) + value

    def handle(self, packet, udp):
        """The packets that answer this one."""
        try:
            question = Question(packet)
        except (ValueError, IndexError, struct.error):
            return []
        with self.lock:
            behaviour = dict(self.records.get(key(question.name), {}))
            self.queries.append((key(question.name), question.kind, "udp" if udp else "tcp"))
        if "DELAY" in behaviour:
            time.sleep(float(behaviour["DELAY"][0][1]))
        if "DROP" in behaviour:
            return []
        right = self.answer(question, udp)
        if udp and "GARBAGE" in behaviour:
            return [right[:12] + bytes(random.getrandbits(8) for _ in range(40))]
        if udp and "MISMATCH" in behaviour:
            return [bytes([right[0] ^ 0x55]) + right[1:], right]
        return [right]

    def serve_udp(self):
        while True:
            try:
                packet, peer = self.udp.recvfrom(65535)
            except OSError:
                return
            if self.stopping:
                return
            threading.Thread(target=self.answer_udp, args=(packet, peer), daemon=True).start()

    def answer_udp(self, packet, peer):
        for reply in self.handle(packet, True):
            try:
                self.udp.sendto(reply, peer)
            except OSError:
                return

    def serve_tcp(self):
        while True:
            try:
                connection, _ = self.tcp.accept()
            except OSError:
                return
            if self.stopping:
                connection.close()
                return
            threading.Thread(target=self.answer_tcp, args=(connection,), daemon=True).start()

    def answer_tcp(self, connection):
        with connection, connection.makefile("rb") as stream:
            connection.settimeout(30)
            try:
                while True:
                    head = stream.read(2)
                    if len(head) < 2:
                        return
                    packet = stream.read(struct.unpack("!H", head)[0])
                    for reply in self.handle(packet, False):
                        connection.sendall(struct.pack("!H", len(reply)) + reply)
            except OSError:
                return

    # -- running

    def start(self):
        self.stopping = False
        for target in (self.serve_udp, self.serve_tcp):
            thread = threading.Thread(target=target, daemon=True)
            thread.start()
            self.threads.append(thread)
        return self

    def stop(self):
        self.stopping = True
        family = self.udp.family
        with socket.socket(family, socket.SOCK_DGRAM) as wake:  # a blocked recvfrom does not notice a close
            wake.sendto(b"", (self.address, self.port))
        self.tcp.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(5)
        self.udp.close()
        self.tcp.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.stop()


def main():
    parser = argparse.ArgumentParser(description="A DNS server for tests.")
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="ADDRESS:PORT")
    parser.add_argument("--ttl", type=int, default=0, help="of records that give none")
    parser.add_argument("zonefile")
    options = parser.parse_args()
    address, _, port = options.listen.rpartition(":")
    server = Server(None, address.strip("[]"), int(port), options.ttl)
    with open(options.zonefile) as f:
        server.load(f)
    server.start()
    print("%s:%d" % (address, server.port), flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
