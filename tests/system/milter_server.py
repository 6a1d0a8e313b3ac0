"""A milter of the tests: says of each stage what it is told to say, and remembers what it heard.

    with Milter({"M": reject(), "E": [add("X-A", "b"), proceed()]}, actions=ALL) as milter:
        ... milter.spec ...          "inet:127.0.0.1:4711", for a [filter NAME] section
        milter.heard("R")            what it was told at that stage: a list of lists of strings

An answer is a list of packets, or a function of the conversation that returns such a list, or None: it never answers.
Bytes in it are sent as they are.
"""

import os
import socket
import struct
import threading
import time

VERSION = 6
ADD_HEADERS, CHANGE_BODY, ADD_RECIPIENTS, REMOVE_RECIPIENTS, CHANGE_HEADERS, QUARANTINE = 1, 2, 4, 8, 16, 32
CHANGE_SENDER, ADD_RECIPIENTS_PARAMETERS, SET_MACROS = 64, 128, 256
ALL = 0x1ff
NO_CONNECT, NO_HELO, NO_MAIL, NO_RCPT, NO_BODY, NO_HEADER, NO_EOH = 1, 2, 4, 8, 16, 32, 64
MUTE_HEADER, NO_UNKNOWN, NO_DATA, MAY_SKIP, REFUSED_RCPT = 0x80, 0x100, 0x200, 0x400, 0x800
MUTE_CONNECT, MUTE_HELO, MUTE_MAIL, MUTE_RCPT, MUTE_DATA = 0x1000, 0x2000, 0x4000, 0x8000, 0x10000
MUTE_UNKNOWN, MUTE_EOH, MUTE_BODY, LEADING_SPACE = 0x20000, 0x40000, 0x80000, 0x100000
CHUNK_256K, CHUNK_1M = 0x10000000, 0x20000000
# stage: the bit with which a filter says that it does not answer there
MUTE = {"C": MUTE_CONNECT, "H": MUTE_HELO, "M": MUTE_MAIL, "R": MUTE_RCPT, "T": MUTE_DATA, "U": MUTE_UNKNOWN,
        "L": MUTE_HEADER, "N": MUTE_EOH, "B": MUTE_BODY}


def packet(kind, body=b""):
    return struct.pack(">I", len(body) + 1) + kind.encode() + body


def text(*words):
    return b"".join((w if isinstance(w, bytes) else w.encode()) + b"\0" for w in words)


def proceed():
    return packet("c")


def accept():
    return packet("a")


def reject():
    return packet("r")


def defer():
    return packet("t")


def discard():
    return packet("d")


def skip():
    return packet("s")


def progress():
    return packet("p")


def shut_down():
    return packet("4")


def fail():
    return packet("f")


def reply(words):
    return packet("y", text(words))


def add(name, value):
    return packet("h", text(name, value))


def insert(index, name, value):
    return packet("i", struct.pack(">I", index) + text(name, value))


def change(index, name, value):
    return packet("m", struct.pack(">I", index) + text(name, value))


def body(chunk):
    return packet("b", chunk)


def add_recipient(address, parameters=None):
    return packet("+", text(address)) if parameters is None else packet("2", text(address, parameters))


def remove_recipient(address):
    return packet("-", text(address))


def sender(address, *parameters):
    return packet("e", text(address, *parameters))


def hold(reason):
    return packet("q", text(reason))


class Conversation:
    """One connection: said[stage] is a list of what was said there, each a list of strings (of a body: bytes)."""

    def __init__(self, milter, connection):
        self.milter = milter
        self.connection = connection
        self.stages = ""
        self.said = {}
        self.macros = {}  # stage: {name: value}, as sent last
        self.options = milter.options
        self.body = b""
        self.fields = []

    def take(self, n):
        got = b""
        while len(got) < n:
            piece = self.connection.recv(n - len(got))
            if not piece:
                raise EOFError
            got += piece
        return got

    def run(self):
        try:
            while True:
                n, = struct.unpack(">I", self.take(4))
                whole = self.take(n)
                if not self.hear(chr(whole[0]), whole[1:]):
                    return
        except (EOFError, OSError):
            pass
        finally:
            self.connection.close()

    def hear(self, stage, rest):
        self.milter.last = self
        self.stages += stage
        if stage == "O":
            self.offer = struct.unpack(">III", rest)
            return self.answer(stage, [packet("O", struct.pack(">III", self.milter.version, self.milter.actions, self.options)
                                              + self.milter.wanted)])
        if stage == "D":
            words = rest[1:].split(b"\0")[:-1]
            self.macros[chr(rest[0])] = dict(zip([w.decode() for w in words[::2]], [w.decode("latin-1") for w in words[1::2]]))
            return True
        self.note(stage, rest)
        if stage in "AQK":
            if stage == "K":
                self.stages = ""
            return stage != "Q"
        answer = self.milter.script.get(stage, [proceed()])
        if callable(answer):
            answer = answer(self)
        if self.options & MUTE.get(stage, 0):
            return True
        return answer is None or self.answer(stage, answer)

    def note(self, stage, rest):
        if stage == "C":
            words = [rest.split(b"\0")[0].decode()]
            tail = rest[len(words[0]) + 1:]
            words.append(chr(tail[0]))
            if len(tail) > 1:
                words += [str(struct.unpack(">H", tail[1:3])[0]), tail[3:-1].decode()]
        elif stage == "B":
            self.body += rest
            words = [rest]
        else:
            words = [w.decode("utf-8", "surrogateescape") for w in rest.split(b"\0")[:-1]]
        if stage == "C":
            self.said = {}
        if stage == "M":
            self.body, self.fields = b"", []
        if stage == "L":
            self.fields.append(words)
        self.said.setdefault(stage, []).append(words)
        self.milter.told.append((stage, words))

    def answer(self, stage, packets):
        if self.milter.delay.get(stage):
            time.sleep(self.milter.delay[stage])
        if self.milter.die_at == stage:
            self.connection.close()
            return False
        self.connection.sendall(b"".join(packets))
        return True


class Milter:
    def __init__(self, script=None, actions=ALL, options=0, macros=None, version=VERSION, path=None, delay=None, die_at=None,
                 port=0):
        self.script = script or {}
        self.actions, self.options, self.version = actions, options, version
        self.wanted = b"".join(struct.pack(">I", stage) + text(names) for stage, names in (macros or {}).items())
        self.delay = delay or {}
        self.die_at = die_at
        self.path = path
        self.port = port
        self.conversations = []
        self.told = []
        self.last = None  # the one that was spoken with last
        self.closed = False

    def __enter__(self):
        if self.path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(self.path)
            os.chmod(self.path, 0o666)
        else:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("127.0.0.1", self.port))
            self.port = self.listener.getsockname()[1]
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *unused):
        """It is away: the listener, and every connection that there is."""
        self.closed = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for c in self.conversations:
            try:
                c.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    @property
    def spec(self):
        return "unix:" + self.path if self.path else "inet:127.0.0.1:%d" % self.port

    def accept(self):
        while not self.closed:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            conversation = Conversation(self, connection)
            self.conversations.append(conversation)
            threading.Thread(target=conversation.run, daemon=True).start()

    def heard(self, stage):
        return [words for told, words in self.told if told == stage]
