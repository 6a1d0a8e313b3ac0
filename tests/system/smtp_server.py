"""An SMTP and LMTP server for the tests of what sends mail: it says what a test tells it to, and remembers what it heard.

    with SmtpServer("127.0.0.3") as server:
        server.replies["RCPT"] = lambda argument: "550 5.1.1 no" if "b@" in argument else "250 ok"
        ...
        server.messages[0].recipients, server.messages[0].content, server.sessions[0].commands

A reply is a string, or a function of the command's argument that gives one; None closes the connection without a word.
A list is used up from its front, and its last item stays.
"""

import base64
import contextlib
import os
import socket
import ssl
import subprocess
import tempfile
import threading
import time


# Parameters of MAIL and RCPT, and the feature without which nobody may use them.
PARAMETERS = {"SIZE": "SIZE", "BODY": "8BITMIME", "SMTPUTF8": "SMTPUTF8", "RET": "DSN", "ENVID": "DSN", "NOTIFY": "DSN",
              "ORCPT": "DSN", "REQUIRETLS": "REQUIRETLS", "MT-PRIORITY": "MT-PRIORITY", "BY": "DELIVERBY"}


class Message:
    def __init__(self, session, sender, recipients, content):
        self.session, self.sender, self.recipients, self.content = session, sender, recipients, content
        self.mail, self.rcpts = session.mail, dict(session.rcpts)  # parameters, as they came
        self.by_chunks = session.by_chunks
        self.begun = session.begun


class Session:
    """One connection as the server saw it."""

    def __init__(self, server, connection):
        self.server, self.connection = server, connection
        self.peer = None if server.path else connection.getpeername()[0]
        self.commands = []  # whole lines, without their ends
        self.secured = self.resumed = False
        self.ended = threading.Event()
        self.buffer = b""
        self.reset()

    def reset(self):
        self.sender, self.recipients = None, []
        self.mail, self.rcpts, self.chunks, self.by_chunks = "", {}, b"", False

    def line(self):
        while b"\n" not in self.buffer:
            piece = self.connection.recv(65536)
            if not piece:
                return None
            self.buffer += piece
        line, _, self.buffer = self.buffer.partition(b"\n")
        if not line.endswith(b"\r"):
            self.server.faults.append("a bare LF in %r" % line)
        line = line.rstrip(b"\r")
        if b"\r" in line:
            self.server.faults.append("a bare CR in %r" % line)
        return line

    def bytes(self, n):
        while len(self.buffer) < n:
            piece = self.connection.recv(65536)
            if not piece:
                return None
            self.buffer += piece
        piece, self.buffer = self.buffer[:n], self.buffer[n:]
        return piece

    def say(self, text):
        self.connection.sendall(text.replace("\n", "\r\n").encode("latin-1") + b"\r\n")

    def content(self):
        lines = []
        while True:
            line = self.line()
            if line is None:
                return None
            if line == b".":
                return b"".join(one + b"\r\n" for one in lines)
            lines.append(line[1:] if line.startswith(b".") else line)

    def data(self):
        content = self.content()
        return content is not None and self.taken(content)

    def bdat(self, argument):
        """A chunk is read whatever becomes of it (RFC 3030 4.2)."""
        size, _, last = argument.partition(" ")
        if "CHUNKING" not in self.server.features:
            self.server.faults.append("BDAT without CHUNKING")
        chunk = self.bytes(int(size))
        if chunk is None:
            return False
        if not self.recipients:
            self.say("503 5.5.1 nobody is to get it")
            return True
        self.by_chunks = True
        self.chunks += chunk
        if last.upper() == "LAST":
            return self.taken(self.chunks)
        self.say("250 %s octets" % size)
        return True

    def check(self, argument):
        """What was not offered must not be used."""
        path, _, parameters = argument.partition(">")
        for parameter in parameters.split():
            feature = PARAMETERS[parameter.partition("=")[0].upper()]
            if parameter.upper() == "BODY=BINARYMIME":
                feature = "BINARYMIME"
            if not any(f.split()[0] == feature for f in self.server.features):
                self.server.faults.append("%s without %s" % (parameter, feature))
        if any(ord(c) > 127 for c in argument) and "SMTPUTF8" not in self.server.features:
            self.server.faults.append("an address beyond ASCII: %r" % path)
        return parameters.strip()

    def taken(self, content):
        accepted = self.recipients
        replies = [self.server.reply(".", address) for address in (accepted if self.server.lmtp else ["message"])]
        for address, reply in zip(accepted, replies if self.server.lmtp else replies * len(accepted)):
            if reply and reply.startswith("2"):
                self.server.messages.append(Message(self, self.sender, [address], content))
        if not self.server.lmtp and len(accepted) > 1 and replies[0] and replies[0].startswith("2"):
            del self.server.messages[-len(accepted):]
            self.server.messages.append(Message(self, self.sender, accepted, content))
        for reply in replies:
            if reply is None:
                return False
            self.say(reply)
        self.reset()
        return True

    def start_tls(self):
        if self.buffer:
            self.server.faults.append("bytes behind STARTTLS")
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.secured, self.resumed = True, self.connection.session_reused
        self.reset()

    def command(self, line):
        verb, _, argument = line.partition(" ")
        verb = verb.upper()
        if verb == "BDAT":
            return self.bdat(argument)
        by_hand = verb == "AUTH" and self.server.login
        reply = self.server.login(self, argument) if by_hand else self.server.reply(verb, argument, self)
        if reply is None:
            return False
        self.say(reply)
        if verb == "MAIL" and reply.startswith("2"):
            self.begun = time.time()  # of the transaction
            self.sender, self.recipients = argument[argument.index("<") + 1:argument.rindex(">")], []
            self.mail, self.rcpts = self.check(argument), {}
        elif verb == "RCPT" and reply.startswith("2"):
            address = argument[argument.index("<") + 1:argument.rindex(">")]
            self.recipients.append(address)
            self.rcpts[address] = self.check(argument)
        elif verb in ("RSET", "EHLO", "HELO", "LHLO"):
            self.reset()
        elif verb == "AUTH" and reply.startswith("2") and not by_hand:
            _, user, password = base64.b64decode(argument.split()[1]).decode().split("\0")
            self.server.logins.append((user, password))
        elif verb == "STARTTLS" and reply.startswith("220"):
            self.start_tls()
        elif verb == "DATA" and reply.startswith("354"):
            return self.data()
        return verb != "QUIT" and not reply.startswith("421")

    def run(self):
        try:
            if self.server.implicit_tls:
                self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
                self.secured = True
            greeting = self.server.reply("", "")
            if greeting is None:
                return
            self.say(greeting)
            going = not greeting.startswith("421")
            while going:
                line = self.line()
                if line is None:
                    return
                self.commands.append(line.decode("latin-1"))
                going = self.command(self.commands[-1])
        except (OSError, ValueError):
            pass
        finally:
            self.connection.close()
            self.ended.set()


class SmtpServer:
    def __init__(self, address="127.0.0.1", port=0, path=None, lmtp=False, features=("PIPELINING", "8BITMIME"),
                 tls=False, features_tls=None, implicit_tls=False):
        """tls: offers STARTTLS; an SSLContext, or True for a certificate of its own. features_tls: what is offered then."""
        self.lmtp, self.features = lmtp, list(features)
        self.features_tls, self.implicit_tls = features_tls, implicit_tls
        self.logins = []  # as (user, password), by AUTH PLAIN
        self.login = None  # what goes on after AUTH instead: a function of session and argument that gives the last reply
        self.tls = self.make_tls() if tls is True else tls or None
        self.replies = {}   # what differs from the usual ones; "" is the greeting, "." the end of a message
        self.sessions, self.messages, self.faults = [], [], []
        self.address, self.path, self.wanted_port = address, path, port
        self.listener = None
        self.listen()

    def listen(self):
        if self.path:
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.listener.bind(self.path)
        else:
            self.listener = socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind((self.address, self.wanted_port))
            self.port = self.listener.getsockname()[1]
        self.listener.listen(128)

    def make_tls(self):
        with tempfile.TemporaryDirectory() as directory:
            key, certificate = os.path.join(directory, "key"), os.path.join(directory, "cert")
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                            "-nodes", "-keyout", key, "-out", certificate, "-days", "30", "-subj", "/CN=fake.test"],
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            return context

    def usual(self, verb, session):
        if verb in ("EHLO", "LHLO"):
            if session.secured and self.features_tls is not None:
                self.features = list(self.features_tls)
            features = self.features + (["STARTTLS"] if self.tls and not session.secured else [])
            lines = ["fake.test"] + features
            return "\n".join("250%s%s" % ("-" if i < len(lines) - 1 else " ", line) for i, line in enumerate(lines))
        return {"": "220 fake.test ESMTP", "DATA": "354 go", "QUIT": "221 bye", "STARTTLS": "220 go", "AUTH": "235 2.7.0 welcome",
                ".": "250 2.0.0 taken"}.get(verb, "250 ok")

    def reply(self, verb, argument, session=None):
        told = self.replies.get(verb, self.usual(verb, session))
        if isinstance(told, list):
            told = told.pop(0) if len(told) > 1 else told[0]
        return told(argument) if callable(told) else told

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            session = Session(self, connection)
            self.sessions.append(session)
            threading.Thread(target=session.run, daemon=True).start()

    def commands(self):
        return [command for session in self.sessions for command in session.commands]

    def start(self):
        if self.listener is None:
            self.listen()
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def stop(self):
        """Refuses from now on; start() listens again on the same port."""
        if self.listener is None:
            return
        with socket.socket(self.listener.family, socket.SOCK_STREAM):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.listener = None
        if not self.path:
            self.wanted_port = self.port

    def drop(self):
        """Every connection ends in the middle of whatever it is."""
        for session in self.sessions:
            if not session.ended.is_set():
                with contextlib.suppress(OSError):
                    session.connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.stop()
