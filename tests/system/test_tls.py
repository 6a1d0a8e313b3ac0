"""TLS as clients see it: a certificate for each name, tickets that open one door only, clients with certificates."""

import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import unittest

import suite
from suite import Instance, wait_for


def openssl(*words):
    subprocess.run(["openssl"] + list(words), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class TlsTest(suite.Case):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="m", dir="/tmp")
        try:
            cls.make_certificates()
            options = "client_certificates = %s\nclient_ca = ca.pem\n"
            cls.server = Instance(
                "satu.test", "127.0.0.2", directory=cls.directory, settings={"smtpd_workers": 2},
                listener_options={"submission": options % "ask", "submissions": options % "require"},
                sections="".join("[certificate %s]\ncertificate = %s.pem\nkey = %s.key\n" % (n, n, n)
                                 for n in ("dua", "dua-rsa", "tiga")))
            cls.server.__enter__()
        except BaseException:
            shutil.rmtree(cls.directory)
            raise

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.directory, name)

    @classmethod
    def certificate(cls, name, alternatives, kind="ec"):
        algorithm = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256") if kind == "ec" else ("rsa:2048",)
        openssl("req", "-x509", "-newkey", *algorithm, "-nodes", "-keyout", cls.path(name + ".key"), "-out",
                cls.path(name + ".pem"), "-days", "30", "-subj", "/CN=" + name, "-addext", "subjectAltName=" + alternatives)

    @classmethod
    def make_certificates(cls):
        cls.certificate("dua", "DNS:mx.dua.test")
        cls.certificate("dua-rsa", "DNS:mx.dua.test", "rsa")
        cls.certificate("tiga", "DNS:*.tiga.test")
        cls.certificate("stranger", "email:lama@satu.test")
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", cls.path("ca.key"), "-out", cls.path("ca.pem"),
                "-days", "30", "-subj", "/CN=authority")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", cls.path("lama.key"), "-out", cls.path("lama.csr"),
                "-subj", "/CN=lama")
        openssl("x509", "-req", "-in", cls.path("lama.csr"), "-CA", cls.path("ca.pem"), "-CAkey", cls.path("ca.key"),
                "-out", cls.path("lama.pem"), "-days", "30", "-CAcreateserial")

    def context(self, version=ssl.TLSVersion.TLSv1_3, client=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = version
        if client:
            context.load_cert_chain(self.path(client + ".pem"), self.path(client + ".key"))
        return context

    def connect(self, kind, context, name="satu.test", session=None):
        """TLS on a socket, after STARTTLS where the listener wants that; and one reply to see that it works."""
        plain = socket.create_connection((self.server.address, self.server.ports[kind]), timeout=20)
        if kind in ("mx", "submission"):
            for command in (b"", b"EHLO x.test\r\n", b"STARTTLS\r\n"):
                plain.sendall(command)
                self.reply(plain)
        try:
            tls = context.wrap_socket(plain, server_hostname=name, session=session)
            if kind in ("mx", "submission"):
                tls.sendall(b"EHLO x.test\r\n")
            self.reply(tls)
        except BaseException:
            plain.close()
            raise
        return tls

    def reply(self, s):
        got = b""
        while not got.endswith(b"\r\n") or got.splitlines()[-1][3:4] == b"-":
            more = s.recv(4096)
            if not more:
                raise ConnectionError("closed after %r" % got)
            got += more
        return got

    def shown(self, name, kind="mx", context=None):
        """The certificate, as PEM text, that a client which asks for `name` is shown."""
        with self.connect(kind, context or self.context(), name) as tls:
            return ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True))

    def on_disk(self, name):
        with open(self.path(name + ".pem")) as f:
            return f.read()

    def test_each_name_has_its_certificate_in_every_daemon(self):
        for kind in ("mx", "imaps", "pop3s"):
            for asked, shown in (("satu.test", "cert"), ("mx.dua.test", "dua"), ("MX.DUA.test", "dua"),
                                 ("imap.tiga.test", "tiga"), ("tiga.test", "cert"), ("elsewhere.test", "cert"),
                                 (None, "cert")):
                with self.subTest(kind=kind, asked=asked):
                    self.assertEqual(self.shown(asked, kind), self.on_disk(shown))

    def test_a_client_that_knows_rsa_only_is_shown_that(self):
        context = self.context(ssl.TLSVersion.TLSv1_2)
        context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
        self.assertEqual(self.shown("mx.dua.test", context=context), self.on_disk("dua-rsa"))

    def test_a_reload_takes_new_ones_for_all_names(self):
        before = self.shown("imap.tiga.test"), self.shown("mx.dua.test")
        self.certificate("tiga", "DNS:*.tiga.test")
        self.certificate("dua", "DNS:mx.dua.test")
        self.server.merpati("reload")
        wait_for(lambda: self.shown("imap.tiga.test") != before[0] and self.shown("mx.dua.test") != before[1],
                 "the new certificates")
        self.assertEqual(self.shown("imap.tiga.test"), self.on_disk("tiga"))

    def session(self, kind, context):
        with self.connect(kind, context) as tls:
            self.assertFalse(tls.session_reused)
            return tls.session

    def test_a_client_comes_back_to_either_worker(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.context(version)
            session = self.session("mx", context)
            for _ in range(20):
                with self.connect("mx", context, session=session) as tls:
                    self.assertTrue(tls.session_reused)
        workers = [pid for pid, title in self.server.processes().items() if "smtpd: worker" in title]
        self.assertGreaterEqual(len(workers), 2)

    def test_a_ticket_opens_no_other_listener(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.context(version)
            for kind, others in (("mx", ("submission", "imaps", "pop3s")), ("imaps", ("mx", "pop3s"))):
                session = self.session(kind, context)
                for other in others:
                    with self.connect(other, context, session=session) as tls:
                        self.assertFalse(tls.session_reused, (version, kind, other))

    def test_a_listener_may_require_a_certificate(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.connect("submissions", self.context(version, "lama")):
                pass
            for client in (None, "stranger"):
                with self.assertRaises((ssl.SSLError, OSError)):
                    self.connect("submissions", self.context(version, client))

    def test_a_listener_that_only_asks_serves_everybody(self):
        for client in (None, "stranger", "lama"):
            with self.connect("submission", self.context(client=client)):
                pass


if __name__ == "__main__":
    unittest.main()
