"""Both sides of SCRAM (RFC 5802), written against the RFC alone, with every step open to change."""

import base64
import hashlib
import hmac
import secrets


def b64(value):
    return base64.b64encode(value).decode()


class Client:
    def __init__(self, user, password, hash="sha256", header="n,,", binding=b"", nonce=None):
        self.password, self.hash, self.header, self.binding = password, hash, header, binding
        self.nonce = nonce or secrets.token_hex(12)
        self.bare = "n=%s,r=%s" % (user.replace("=", "=3D").replace(",", "=2C"), self.nonce)
        self.signature = None

    def first(self):
        return (self.header + self.bare).encode()

    def digest(self, key, text):
        return hmac.new(key, text, self.hash).digest()

    def final(self, server_first):
        fields = dict(field.split("=", 1) for field in server_first.decode().split(","))
        assert fields["r"].startswith(self.nonce) and len(fields["r"]) > len(self.nonce) + 15
        salted = hashlib.pbkdf2_hmac(self.hash, self.password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        key = self.digest(salted, b"Client Key")
        bare = "c=%s,r=%s" % (b64(self.header.encode() + self.binding), fields["r"])
        messages = ("%s,%s,%s" % (self.bare, server_first.decode(), bare)).encode()
        proof = self.digest(hashlib.new(self.hash, key).digest(), messages)
        self.signature = self.digest(self.digest(salted, b"Server Key"), messages)
        return ("%s,p=%s" % (bare, b64(bytes(a ^ b for a, b in zip(key, proof))))).encode()

    def is_proved(self, server_final):
        return server_final == b"v=" + b64(self.signature).encode()


class Server:
    """For SmtpServer.login: an exchange after AUTH, on the connection. What a liar says instead: first, a function of the
    client's nonce, and final."""

    def __init__(self, password, hash="sha256", iterations=4096, first=None, final=None):
        self.password, self.hash, self.iterations = password, hash, iterations
        self.lies = first, final
        self.users, self.headers = [], []

    def ask(self, session, text):
        session.say("334 " + b64(text.encode()))
        answer = session.line()
        return base64.b64decode(answer).decode() if answer not in (None, b"*") else None

    def __call__(self, session, argument):
        header, _, bare = base64.b64decode(argument.split()[1]).decode().partition(",,")
        fields = dict(field.split("=", 1) for field in bare.split(","))
        self.users.append(fields["n"])
        self.headers.append(header)
        salt, nonce = b"garam", fields["r"] + secrets.token_hex(12)
        first = "r=%s,s=%s,i=%d" % (nonce, b64(salt), self.iterations)
        final = self.ask(session, self.lies[0](fields["r"]) if self.lies[0] else first)
        if final is None:
            return "501 5.7.0 as you like"
        without_proof, _, proof = final.rpartition(",p=")
        messages = ("%s,%s,%s" % (bare, first, without_proof)).encode()
        digest = lambda key, text: hmac.new(key, text, self.hash).digest()
        salted = hashlib.pbkdf2_hmac(self.hash, self.password.encode(), salt, self.iterations)
        key = digest(salted, b"Client Key")
        signature = digest(hashlib.new(self.hash, key).digest(), messages)
        if bytes(a ^ b for a, b in zip(key, base64.b64decode(proof))) == signature:
            if self.ask(session, self.lies[1] or "v=" + b64(digest(digest(salted, b"Server Key"), messages))) is None:
                return "501 5.7.0 as you like"
            return "235 2.7.0 welcome"
        return "535 5.7.8 wrong"


def smtp_auth(client, mechanism, scram):
    """An smtplib client logs in; the code of the last reply."""
    code, text = client.docmd("AUTH", "%s %s" % (mechanism, b64(scram.first())))
    if code != 334:
        return code
    code, text = client.docmd(b64(scram.final(base64.b64decode(text))))
    if code != 334:
        return code
    assert scram.is_proved(base64.b64decode(text)), text
    return client.docmd("")[0]
