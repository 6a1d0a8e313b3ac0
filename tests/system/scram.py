"""A client's side of SCRAM (RFC 5802), written against the RFC alone, with every step open to change."""

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
