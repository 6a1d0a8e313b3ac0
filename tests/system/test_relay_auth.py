"""Logging in at a relay: remote against servers of the test, some of which lie, and against our own submission."""

import base64
import json
import os
import signal
import subprocess
import unittest

import scram
import suite
from test_outbound import TlsCase

ROUTE = "relay = mx.surat.test\ntls = verify\nlogin = baru\n"


class AuthCase(TlsCase):
    def write(self, name, text):
        path = self.path(name)
        with open(path + ".new", "w") as f:
            os.fchmod(f.fileno(), 0o600)
            f.write(text)
        os.rename(path + ".new", path)
        return path

    def auth_server(self, mechanisms, login=None):
        server = self.server("PIPELINING", "AUTH " + mechanisms, tls=self.context("mx.surat.test"))
        server.login = login
        return server

    def remote_to(self, port, section):
        return self.remote(port, tls_authorities=self.authority, sections="[route .test]\n" + section)

    def send_one(self, remote):
        (result,), _, _ = remote.send("surat.test", ["a@surat.test"], route=".test")
        return result

    def verdict(self, server, section):
        result = self.send_one(self.remote_to(server.port, section))
        return result.status, result.code, result.reply

    def with_password(self, more="", password="rahasia"):
        return ROUTE + "password_file = %s\n" % self.write("password", password + "\n") + more


class Scram(AuthCase):
    def test_both_sides_prove_themselves(self):
        for mechanism, hash in (("SCRAM-SHA-256", "sha256"), ("SCRAM-SHA-1", "sha1")):
            with self.subTest(mechanism):
                login = scram.Server("rahasia", hash)
                server = self.auth_server("PLAIN LOGIN " + mechanism, login)
                self.assertEqual(self.verdict(server, self.with_password())[0], "delivered")
                # It could have bound to TLS, and says so.
                self.assertEqual((login.users, login.headers, server.logins), (["baru"], ["y"], []))
                server.stop()

    def test_the_password_is_said_to_nobody_who_lies(self):
        for lie in ({"first": lambda nonce: "r=%s12345678,s=Z2FyYW0=,i=1" % nonce},
                    {"first": lambda nonce: "r=%s12345678,s=Z2FyYW0=,i=2000000000" % nonce},
                    {"first": lambda nonce: "r=abc,s=Z2FyYW0=,i=4096"},
                    {"first": lambda nonce: "halo"},
                    {"final": "v=" + scram.b64(bytes(32))},
                    {"final": "e=other-error"}):
            with self.subTest(lie):
                server = self.auth_server("PLAIN SCRAM-SHA-256", scram.Server("rahasia", **lie))
                status, code, reply = self.verdict(server, self.with_password())
                self.assertEqual((status, code, server.messages), ("deferred", "4.7.8", []), reply)
                self.assertRegex(reply, "the server")
                server.stop()

    def test_welcome_without_proof(self):
        server = self.auth_server("SCRAM-SHA-256", lambda session, argument: "235 2.7.0 welcome")
        self.assertEqual(self.verdict(server, self.with_password()), (
            "deferred", "4.7.8", "the server takes the login without proof that it knows the password"))

    def test_what_a_postmaster_is_told(self):
        server = self.auth_server("SCRAM-SHA-256", scram.Server("another"))
        self.assertEqual(self.verdict(server, self.with_password()), (
            "deferred", "4.7.8", "535 5.7.8 wrong (to SCRAM-SHA-256 of baru)"))
        server.stop()
        server = self.auth_server("GSSAPI CRAM-MD5")
        self.assertEqual(self.verdict(server, self.with_password()), (
            "deferred", "4.7.0", "no mechanism to log in that both sides have; the server offers GSSAPI CRAM-MD5"))

    def test_the_postmaster_may_pin_them(self):
        server = self.auth_server("PLAIN SCRAM-SHA-256")
        self.assertEqual(self.verdict(server, self.with_password("mechanisms = PLAIN\n"))[0], "delivered")
        self.assertEqual(server.logins, [("baru", "rahasia")])
        server.stop()
        server = self.auth_server("PLAIN LOGIN")
        self.assertEqual(self.verdict(server, self.with_password("mechanisms = SCRAM-SHA-256 SCRAM-SHA-1\n"))[1], "4.7.0")
        self.assertEqual(server.logins, [])


class Tokens(AuthCase):
    def login(self, good):
        """A server that takes one token, and says as others do what it thinks of the rest."""
        def login(session, argument):
            mechanism, _, initial = argument.partition(" ")
            if not initial:
                session.say("334 ")
                initial = session.line().decode()
            text = base64.b64decode(initial).decode()
            self.heard.append((mechanism, text))
            if "auth=Bearer %s\1\1" % good in text:
                return "235 2.7.0 welcome"
            session.say("334 " + scram.b64(json.dumps({"status": "invalid_token"}).encode()))
            self.heard.append(session.line())
            return "535 5.7.8 no"
        self.heard = []
        return login

    def with_token(self, token, more=""):
        return ROUTE + "token_file = %s\n" % self.write("token", token + "\n") + more

    def test_either_way_of_saying_it(self):
        for mechanism, text in (("OAUTHBEARER", "n,a=baru,\1auth=Bearer t0ken\1\1"),
                                ("XOAUTH2", "user=baru\1auth=Bearer t0ken\1\1")):
            with self.subTest(mechanism):
                server = self.auth_server("PLAIN " + mechanism, self.login("t0ken"))
                self.assertEqual(self.verdict(server, self.with_token("t0ken"))[0], "delivered")
                self.assertEqual(self.heard, [(mechanism, text)])
                server.stop()

    def test_a_long_one(self):
        token = "abcd" * 900
        server = self.auth_server("XOAUTH2", self.login(token))
        self.assertEqual(self.verdict(server, self.with_token(token))[0], "delivered")
        self.assertIn("AUTH XOAUTH2", server.commands())

    def test_why_it_was_refused(self):
        for mechanism, dummy in (("OAUTHBEARER", b"AQ=="), ("XOAUTH2", b"")):
            with self.subTest(mechanism):
                server = self.auth_server(mechanism, self.login("t0ken"))
                self.assertEqual(self.verdict(server, self.with_token("old")), (
                    "deferred", "4.7.8", '535 5.7.8 no (it says of the token: {"status": "invalid_token"})'))
                self.assertEqual(self.heard[-1], dummy)
                server.stop()

    def test_a_token_is_no_password(self):
        server = self.auth_server("PLAIN LOGIN")
        self.assertEqual(self.verdict(server, self.with_token("t0ken"))[1], "4.7.0")
        self.assertEqual(server.logins, [])

    def test_a_renewed_one_is_used(self):
        server = self.auth_server("XOAUTH2", self.login("new"))
        remote = self.remote_to(server.port, self.with_token("old"))
        self.assertEqual(self.send_one(remote).status, "deferred")
        self.write("token", "new\n")
        remote.process.send_signal(signal.SIGHUP)  # or a quarter of a minute of patience
        remote.accept()
        self.assertEqual(self.send_one(remote).status, "delivered")


class Check(AuthCase):
    def check(self, section):
        remote = self.remote_to(25, section)
        done = subprocess.run([os.path.join(suite.BIN, "merpati"), "check", "-c", remote.conf], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=20)
        return done.stdout

    def test_what_could_not_log_in_is_told_of_before(self):
        section = "relay = x.test\ntls = verify\nlogin = baru\npassword_file = %s\n" % self.write("password", "rahasia\n")
        self.assertNotIn("[route", self.check(section))
        self.assertIn('[route .test]: mechanisms: "CRAM-MD5" is none that can be used', self.check(section + "mechanisms = PLAIN CRAM-MD5\n"))
        self.assertIn("[route .test]: token_file: /nonexistent: No such file or directory; its mail waits",
                      self.check(section + "token_file = /nonexistent\n"))
        self.assertIn('[route .test]: relay: "x.test:0" is no server', self.check("relay = x.test:0\n"))


class OurOwn(AuthCase):
    """Submission of a whole instance is the relay; its log says how it was logged in."""

    @staticmethod
    def offered(relay):
        with relay.smtp("submission") as client:
            client.starttls()
            client.ehlo()
            return client.esmtp_features["auth"].split()

    def test_the_channel_is_bound(self):
        with suite.Instance("mx.surat.test", "127.0.0.3") as relay:
            baru = relay.add_user("baru")
            suite.wait_for(lambda: "SCRAM-SHA-256-PLUS" in self.offered(relay), "the offer of SCRAM")
            section = "relay = [127.0.0.3]:%d\ntls = encrypt\nlogin = %s\npassword_file = %s\n" % (
                relay.ports["submission"], baru, self.write("password", suite.PASSWORD))
            for mechanisms, method in (("", "SCRAM-SHA-256-PLUS"), ("mechanisms = SCRAM-SHA-256\n", "SCRAM-SHA-256"),
                                       ("mechanisms = LOGIN\n", "LOGIN")):
                with self.subTest(method):
                    remote = self.remote(25, sections="[route .test]\n" + section + mechanisms)
                    (result,), _, _ = remote.send("[127.0.0.3]:%d" % relay.ports["submission"], [baru], route=".test", sender=baru)
                    self.assertEqual(result.status, "delivered", result.reply)
                    relay.wait_log("sasl_method=%s, sasl_username=%s" % (method, baru))


if __name__ == "__main__":
    unittest.main()
