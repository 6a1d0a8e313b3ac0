"""SASL as clients of SMTP, IMAP and POP3 see it: SCRAM and what else needs more than a password on the wire."""

import base64
import hashlib
import http.server
import imaplib
import json
import os
import poplib
import re
import shutil
import signal
import smtplib
import ssl
import statistics
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse

import scram
from suite import PASSWORD, Case, Dns, Instance, letter, wait_for


def b64(value):
    return base64.b64encode(value).decode()


def offered(client):
    client.ehlo()
    return client.esmtp_features.get("auth", "").split()


class Sasl(Case):
    settings = {"auth_failure_delay": "0"}
    sections = ""

    @classmethod
    def setUpClass(cls):
        cls.server = Instance("satu.test", "127.0.0.2", settings=cls.settings, sections=cls.sections)
        cls.server.__enter__()
        cls.prepare()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    @classmethod
    def prepare(cls):
        cls.baru = cls.server.add_user("baru")
        cls.server.merpati("user", "passwd", "--sha1", cls.baru, input=PASSWORD + "\n")
        cls.wait_offer("SCRAM-SHA-1")

    @classmethod
    def wait_offer(cls, mechanism, there=True):
        def look():
            with cls.server.smtp("submissions") as client:
                return (mechanism in offered(client)) == there
        wait_for(look, "%s to be%s on offer" % (mechanism, "" if there else " no longer"))

    def auth(self, mechanism, client, kind="submissions"):
        with self.server.smtp(kind) as connection:
            connection.ehlo()
            return scram.smtp_auth(connection, mechanism, client)

    def run_client(self, *words, input=b""):
        if not shutil.which(words[0]):
            self.skipTest("skipped: there is no " + words[0])
        done = subprocess.run(words, input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        self.assertEqual(done.returncode, 0, " ".join(words) + "\n" + done.stdout.decode(errors="replace"))
        return done.stdout


class Scram(Sasl):
    def test_both_hashes_log_in_and_send(self):
        sent = letter(self.baru, self.baru)
        for mechanism, hash in (("SCRAM-SHA-256", "sha256"), ("SCRAM-SHA-1", "sha1"), ("scram-sha-256", "sha256")):
            with self.server.smtp("submissions") as client:
                client.ehlo()
                self.assertEqual(scram.smtp_auth(client, mechanism, scram.Client(self.baru, PASSWORD, hash)), 235)
                client.sendmail(self.baru, [self.baru], sent)

    def test_a_password_on_the_wire_still_does(self):
        with self.server.smtp("submissions") as client:
            client.login(self.baru, PASSWORD)
        with self.server.smtp("submissions") as client, self.assertRaises(smtplib.SMTPAuthenticationError):
            client.login(self.baru, PASSWORD + "x")

    def test_who_knows_no_password_is_refused(self):
        for user, password in ((self.baru, "salah"), ("tidak-ada@satu.test", PASSWORD), ("x@else.test", "x"),
                               ("root", PASSWORD), ("", "x"), ("a" * 300, "x")):
            with self.subTest(user[:20]):
                self.assertEqual(self.auth("SCRAM-SHA-256", scram.Client(user, password)), 535)
        self.server.wait_log(r"SASL SCRAM-SHA-256 authentication failed: .*sasl_username=%s" % self.baru)

    def test_nobody_acts_as_somebody_else(self):
        self.assertEqual(self.auth("SCRAM-SHA-256", scram.Client(self.baru, PASSWORD, header="n,a=lama@satu.test,")), 535)
        self.assertEqual(self.auth("SCRAM-SHA-256",
                                   scram.Client(self.baru, PASSWORD, header="n,a=%s," % self.baru)), 235)

    def server_first(self, user, mechanism="SCRAM-SHA-256"):
        with self.server.smtp("submissions") as client:
            client.ehlo()
            begin = time.monotonic()
            code, text = client.docmd("AUTH", "%s %s" % (mechanism, b64(scram.Client(user, "x").first())))
            taken = time.monotonic() - begin
            self.assertEqual(code, 334)
            self.assertEqual(client.docmd("*")[0], 501)
        fields = dict(field.split("=", 1) for field in base64.b64decode(text).decode().split(","))
        return fields["s"], fields["i"], taken

    def test_unknown_users_have_a_salt_like_anybody_s(self):
        known, unknown = self.server_first(self.baru), self.server_first("hantu@satu.test")
        self.assertEqual(known[1], unknown[1])
        self.assertEqual(len(known[0]), len(unknown[0]))
        self.assertNotEqual(known[0], unknown[0])
        self.assertEqual(unknown[0], self.server_first("Hantu@Satu.test")[0])
        self.assertNotEqual(unknown[0], self.server_first("hantu2@satu.test")[0])
        self.assertNotEqual(unknown[0], self.server_first("hantu@satu.test", "SCRAM-SHA-1")[0])
        self.server.restart()
        self.wait_offer("SCRAM-SHA-256")
        if os.path.exists("/etc/machine-id"):
            self.assertEqual(unknown[:2], self.server_first("hantu@satu.test")[:2])
        self.assertEqual(known[:2], self.server_first(self.baru)[:2])

    def test_refusals_take_the_same_time_whatever_was_wrong(self):
        for user in (self.baru, "tidak-ada@satu.test", "root"):
            times = []
            for _ in range(8):
                begin = time.monotonic()
                self.assertEqual(self.auth("SCRAM-SHA-256", scram.Client(user, "salah")), 535)
                times.append(time.monotonic() - begin)
            print("%-22s %5.1f ms" % (user, statistics.median(times) * 1000), end="  ", flush=True)

    def test_what_was_heard_once_is_worth_nothing(self):
        client = scram.Client(self.baru, PASSWORD, nonce="selalu-sama")
        with self.server.smtp("submissions") as connection:
            connection.ehlo()
            _, text = connection.docmd("AUTH", "SCRAM-SHA-256 " + b64(client.first()))
            final = client.final(base64.b64decode(text))
            code, text = connection.docmd(b64(final))
            self.assertTrue(client.is_proved(base64.b64decode(text)))
            self.assertEqual(connection.docmd("")[0], 235)
        with self.server.smtp("submissions") as connection:
            connection.ehlo()
            self.assertEqual(connection.docmd("AUTH", "SCRAM-SHA-256 " + b64(client.first()))[0], 334)
            self.assertEqual(connection.docmd(b64(final))[0], 535)

    def test_messages_that_were_changed_on_the_way_are_refused(self):
        for change in (lambda m: m.replace(b"c=biws", b"c=eSws"), lambda m: m[:-3] + b"A==", lambda m: b"",
                       lambda m: m.replace(b",p=", b",m=x,p="), lambda m: m + b",x=y", lambda m: b"\0" + m):
            client = scram.Client(self.baru, PASSWORD)
            final = client.final
            client.final = lambda first, final=final, change=change: change(final(first))
            self.assertEqual(self.auth("SCRAM-SHA-256", client), 535)

    def test_who_gives_up_after_the_proof_is_not_logged_in(self):
        client = scram.Client(self.baru, PASSWORD)
        with self.server.smtp("submissions") as connection:
            connection.ehlo()
            _, text = connection.docmd("AUTH", "SCRAM-SHA-256 " + b64(client.first()))
            self.assertEqual(connection.docmd(b64(client.final(base64.b64decode(text))))[0], 334)
            self.assertEqual(connection.docmd("*")[0], 501)
            self.assertEqual(connection.docmd("MAIL FROM:<%s>" % self.baru)[0], 530)

    def test_imap_and_pop3_take_it_too(self):
        for make in (self.imap, self.imap_after_starttls):
            with self.subTest(make.__name__):
                client, state = scram.Client(self.baru, PASSWORD), []

                def answer(challenge, client=client, state=state):
                    state.append(challenge)
                    if len(state) == 1:
                        return client.first()
                    if len(state) == 2:
                        return client.final(challenge)
                    self.assertTrue(client.is_proved(challenge))
                    return b""

                connection = make()
                self.assertIn("AUTH=SCRAM-SHA-256", connection.capabilities)
                self.assertEqual(connection.authenticate("SCRAM-SHA-256", answer)[0], "OK")
                self.assertEqual(connection.select("INBOX")[0], "OK")
                connection.logout()
        client = scram.Client(self.baru, PASSWORD)
        pop = poplib.POP3_SSL(self.server.address, self.server.ports["pop3s"], timeout=20,
                              context=self.server.tls_context())
        self.assertIn("SCRAM-SHA-256", pop.capa()["SASL"])
        challenge = pop._shortcmd("AUTH SCRAM-SHA-256 " + b64(client.first()))
        challenge = pop._shortcmd(b64(client.final(base64.b64decode(challenge[2:]))))
        self.assertTrue(client.is_proved(base64.b64decode(challenge[2:])))
        self.assertTrue(pop._shortcmd("").startswith(b"+OK"))
        pop.quit()

    def imap(self):
        return imaplib.IMAP4_SSL(self.server.address, self.server.ports["imaps"], timeout=20,
                                 ssl_context=self.server.tls_context())

    def imap_after_starttls(self):
        client = imaplib.IMAP4(self.server.address, self.server.ports["imap"], timeout=20)
        client.starttls(ssl_context=self.server.tls_context())
        return client

    # -- clients of others

    def test_msmtp_sends(self):
        for mechanism in ("scram-sha-256", "scram-sha-1", "plain", "login"):
            with self.subTest(mechanism):
                self.run_client(
                    "msmtp", "--host=" + self.server.address, "--port=%d" % self.server.ports["submissions"], "--tls=on",
                    "--tls-starttls=off", "--tls-trust-file=" + self.server.certificate, "--auth=" + mechanism,
                    "--user=" + self.baru, "--passwordeval=echo " + PASSWORD, "--from=" + self.baru, self.baru,
                    input=letter(self.baru, self.baru, mechanism))
                wait_for(lambda: [m for m in self.server.letters(self.baru) if mechanism.encode() in m], "the letter")

    def test_gsasl_logs_in(self):
        # its STARTTLS of SMTP comes before EHLO
        for protocol, kind, tls in (("--smtp", "submission", "--no-starttls"), ("--imap", "imap", "--starttls")):
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-1"):
                with self.subTest(protocol + " " + mechanism):
                    said = self.run_client(
                        "gsasl", protocol, "--connect", "%s:%d" % (self.server.address, self.server.ports[kind]),
                        tls, "--x509-ca-file=" + self.server.certificate, "--mechanism", mechanism, "--no-cb",
                        "-a", self.baru, "-z", self.baru, "-p", PASSWORD, "--hostname=satu.test", "--service=smtp")
                    self.assertIn(b"authentication finished", said.lower())


class Guesses(Sasl):
    settings = {"auth_failure_delay": "1s", "auth_failure_delay_max": "2s"}

    def test_who_guesses_by_scram_waits_like_anybody(self):
        times = []
        for i in range(3):
            begin = time.monotonic()
            self.assertEqual(self.auth("SCRAM-SHA-256", scram.Client(self.baru, "tebak")), 535)
            times.append(time.monotonic() - begin)
        self.assertLess(times[0], 0.9)
        self.assertGreaterEqual(times[2], 1.5)


class Bound(Sasl):
    """SCRAM that is bound to its TLS connection."""

    def server_end_point(self, connection):
        return hashlib.sha256(connection.sock.getpeercert(True)).digest()

    def bound(self, connection, kind="tls-server-end-point", binding=None, mechanism="SCRAM-SHA-256-PLUS", hash="sha256",
              header="p=%s,,", **more):
        binding = self.server_end_point(connection) if binding is None else binding
        client = scram.Client(self.baru, PASSWORD, hash, header.replace("%s", kind), binding, **more)
        return scram.smtp_auth(connection, mechanism, client)

    def tls(self, version=None):
        context = self.server.tls_context()
        if version:
            context.maximum_version = context.minimum_version = version
        connection = smtplib.SMTP_SSL(self.server.address, self.server.ports["submissions"], timeout=20, context=context)
        connection.ehlo()
        return connection

    def test_plus_is_offered_under_tls_only(self):
        plus = {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"}
        with self.server.smtp("submission") as client:
            self.assertEqual(plus & set(offered(client)), set())
            client.starttls(context=self.server.tls_context())
            self.assertEqual(plus & set(offered(client)), plus)

    def test_the_end_point_binds_with_both_hashes(self):
        for mechanism, hash in (("SCRAM-SHA-256-PLUS", "sha256"), ("SCRAM-SHA-1-PLUS", "sha1")):
            with self.tls() as client:
                self.assertEqual(self.bound(client, mechanism=mechanism, hash=hash), 235)

    def test_tls_unique_binds_under_tls_1_2_only(self):
        with self.tls(ssl.TLSVersion.TLSv1_2) as client:
            unique = client.sock.get_channel_binding("tls-unique")
            self.assertEqual(self.bound(client, "tls-unique", unique), 235)
        with self.tls(ssl.TLSVersion.TLSv1_2) as client:
            self.assertEqual(self.bound(client, "tls-unique", unique), 535)  # that was another connection
        with self.tls(ssl.TLSVersion.TLSv1_3) as client:
            self.assertEqual(self.bound(client, "tls-unique", b"x" * 12), 535)

    def test_what_is_bound_elsewhere_is_refused(self):
        for more in ({"binding": b"x" * 32}, {"binding": b""}, {"kind": "tls-exporter"}, {"kind": "tls-other"},
                     {"header": "n,,", "binding": b""}, {"header": "y,,", "binding": b""}):
            with self.tls() as client, self.subTest(repr(more)):
                self.assertEqual(self.bound(client, **more), 535)

    def test_who_was_told_that_there_is_no_binding_is_warned(self):
        with self.tls() as client:
            self.assertEqual(self.bound(client, mechanism="SCRAM-SHA-256", header="y,,", binding=b""), 535)
        self.server.wait_log("bound to another channel, or deceived about it")
        with self.tls() as client:
            self.assertEqual(self.bound(client, mechanism="SCRAM-SHA-256", header="n,,", binding=b""), 235)
        with self.server.smtp("submission") as client:  # there it is true
            client.ehlo()
            self.assertEqual(self.bound(client, mechanism="SCRAM-SHA-256", header="y,,", binding=b""), 235)

    def test_gsasl_binds_with_tls_exporter_and_tls_unique(self):
        for priority, kind in (("NORMAL:-VERS-ALL:+VERS-TLS1.3", b"tls-exporter"),
                               ("NORMAL:-VERS-ALL:+VERS-TLS1.2", b"tls-unique")):
            for mechanism in ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"):
                with self.subTest(mechanism + " " + priority):
                    said = self.run_client(
                        "gsasl", "--imap", "--connect", "%s:%d" % (self.server.address, self.server.ports["imap"]),
                        "--starttls", "--x509-ca-file=" + self.server.certificate, "--priority=" + priority,
                        "--mechanism", mechanism, "-a", self.baru, "-z", self.baru, "-p", PASSWORD)
                    self.assertIn(b"authentication finished", said.lower())
                    first = re.search(rb"(?m)^(cD[A-Za-z0-9+/=]+)\r?$", said).group(1)
                    self.assertTrue(base64.b64decode(first).startswith(b"p=" + kind + b","), first)


class Certificates(Sasl):
    """EXTERNAL: a client whose certificate was signed by the site's own authority."""
    settings = {"auth_failure_delay": "0", "auth_external": "email"}

    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.mkdtemp(prefix="mc", dir="/tmp")
        cls.sign("ca", None, "-addext", "basicConstraints=critical,CA:TRUE")
        cls.server = Instance("satu.test", "127.0.0.2", settings=cls.settings)
        os.makedirs(cls.server.directory, exist_ok=True)
        write = cls.server.write_conf

        def write_conf():
            write()
            with open(cls.server.conf) as f:
                text = f.read()
            for kind in ("submission", "submissions", "imaps", "pop3s"):
                text = text.replace("kind = %s\n" % kind, "kind = %s\nclient_certificates = ask\nclient_ca = %s/ca.pem\n"
                                    % (kind, cls.work))
            with open(cls.server.conf, "w") as f:
                f.write(text)

        cls.server.write_conf = write_conf
        os.chmod(cls.work, 0o755)
        cls.server.__enter__()
        cls.baru = cls.server.add_user("baru")
        cls.sign("baru", "ca", "-addext", "subjectAltName=email:Baru@satu.test")
        cls.sign("hantu", "ca", "-addext", "subjectAltName=email:hantu@satu.test")
        cls.sign("kosong", "ca")
        cls.sign("asing", None, "-addext", "subjectAltName=email:baru@satu.test")

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.work)

    @classmethod
    def sign(cls, name, by, *more):
        path = os.path.join(cls.work, name)
        words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                 path + ".key", "-out", path + ".pem", "-days", "30", "-subj", "/CN=" + name] + list(more)
        if by:
            words += ["-CA", os.path.join(cls.work, by + ".pem"), "-CAkey", os.path.join(cls.work, by + ".key"),
                      "-addext", "basicConstraints=critical,CA:FALSE"]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0 and by:  # older openssl: in two steps
            csr = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                   path + ".key", "-out", path + ".csr", "-subj", "/CN=" + name] + list(more)
            subprocess.run(csr, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            subprocess.run(["openssl", "x509", "-req", "-in", path + ".csr", "-CA", os.path.join(cls.work, by + ".pem"),
                            "-CAkey", os.path.join(cls.work, by + ".key"), "-CAcreateserial", "-copy_extensions", "copy",
                            "-days", "30", "-out", path + ".pem"], check=True, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT)

    def client(self, name):
        context = self.server.tls_context()
        if name:
            context.load_cert_chain(os.path.join(self.work, name + ".pem"), os.path.join(self.work, name + ".key"))
        client = smtplib.SMTP_SSL(self.server.address, self.server.ports["submissions"], timeout=20, context=context)
        client.ehlo()
        return client

    def test_a_verified_certificate_logs_in_without_a_password(self):
        with self.client("baru") as client:
            self.assertIn("EXTERNAL", offered(client))
            self.assertEqual(client.docmd("AUTH", "EXTERNAL =")[0], 235)
            client.sendmail(self.baru, [self.baru], letter(self.baru, self.baru))
        with self.client("baru") as client:
            self.assertEqual(client.docmd("AUTH", "EXTERNAL")[0], 334)
            self.assertEqual(client.docmd("")[0], 235)
        with self.client("baru") as client:
            self.assertEqual(client.docmd("AUTH", "EXTERNAL " + b64(b"baru@satu.test"))[0], 235)

    def test_nobody_else_does(self):
        for name in (None, "asing", "kosong"):
            with self.client(name) as client, self.subTest(name):
                self.assertNotIn("EXTERNAL", offered(client))
                self.assertEqual(client.docmd("AUTH", "EXTERNAL =")[0], 504)
        with self.client("hantu") as client:
            self.assertEqual(client.docmd("AUTH", "EXTERNAL =")[0], 535)
        with self.client("baru") as client:
            self.assertEqual(client.docmd("AUTH", "EXTERNAL " + b64(b"lama@satu.test"))[0], 535)
            self.assertEqual(client.docmd("MAIL FROM:<%s>" % self.baru)[0], 530)

    def test_imap_takes_it_too(self):
        context = self.server.tls_context()
        context.load_cert_chain(os.path.join(self.work, "baru.pem"), os.path.join(self.work, "baru.key"))
        client = imaplib.IMAP4_SSL(self.server.address, self.server.ports["imaps"], timeout=20, ssl_context=context)
        self.assertIn("AUTH=EXTERNAL", client.capabilities)
        self.assertEqual(client.authenticate("EXTERNAL", lambda challenge: b"")[0], "OK")
        self.assertEqual(client.select("INBOX")[0], "OK")
        client.logout()

    def test_a_locked_account_stays_locked(self):
        self.sign("kunci", "ca", "-addext", "subjectAltName=email:kunci@satu.test")
        with open(os.path.join(self.server.directory, "users"), "a") as f:
            f.write("kunci@satu.test:!\n")
        with self.client("kunci") as client:
            self.assertEqual(client.docmd("AUTH", "EXTERNAL =")[0], 535)

    def test_msmtp_sends(self):
        self.run_client("msmtp", "--host=" + self.server.address, "--port=%d" % self.server.ports["submissions"],
                        "--tls=on", "--tls-starttls=off", "--tls-trust-file=" + self.server.certificate,
                        "--tls-cert-file=%s/baru.pem" % self.work, "--tls-key-file=%s/baru.key" % self.work,
                        "--auth=external", "--user=" + self.baru, "--from=" + self.baru, self.baru, input=letter(self.baru, self.baru, "dari-msmtp"))
        wait_for(lambda: [m for m in self.server.letters(self.baru) if b"dari-msmtp" in m], "the letter")

    def test_a_stranger_on_this_host_cannot_say_that_it_has_one(self):
        if os.getuid() != 0:
            self.skipTest("skipped: it takes root to be two people")
        program = ("import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
                   "s.sendall(b'VERSION\\t1\\t2\\nCPID\\t1\\nAUTH\\t1\\tEXTERNAL\\tservice=smtp\\tvalid-client-cert"
                   "\\tcert_username=baru@satu.test\\tresp=\\n')\n"
                   "print(next(l for l in s.makefile() if l.startswith(('OK', 'FAIL'))))\n")
        said = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "python3", "-c", program,
                               os.path.join(self.server.directory, "run", "sasl")], stdout=subprocess.PIPE, timeout=30)
        self.assertTrue(said.stdout.startswith(b"FAIL"), said.stdout)


def unpadded(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


class Authority:
    """Who gives out tokens: signs some, and is asked about others."""

    def __init__(self):
        self.keys = {name: self.key(name) for name in ("RS256", "ES256", "EdDSA")}
        self.active = {}  # token: what is said of it
        self.requests = []
        self.status, self.delay = 200, 0

    @staticmethod
    def key(algorithm):
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
        if algorithm == "RS256":
            return rsa.generate_private_key(65537, 2048)
        return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()

    def jwks(self):
        from cryptography.hazmat.primitives import serialization
        rsa, ec = (self.keys[name].public_key().public_numbers() for name in ("RS256", "ES256"))
        raw = self.keys["EdDSA"].public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return json.dumps({"keys": [
            {"kty": "RSA", "kid": "RS256", "alg": "RS256", "n": unpadded(rsa.n.to_bytes(256, "big")), "e": "AQAB"},
            {"kty": "EC", "kid": "ES256", "crv": "P-256", "x": unpadded(ec.x.to_bytes(32, "big")),
             "y": unpadded(ec.y.to_bytes(32, "big"))},
            {"kty": "OKP", "kid": "EdDSA", "crv": "Ed25519", "x": unpadded(raw)}]})

    def sign(self, algorithm, text):
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
        if algorithm == "RS256":
            return self.keys[algorithm].sign(text, padding.PKCS1v15(), hashes.SHA256())
        if algorithm == "EdDSA":
            return self.keys[algorithm].sign(text)
        r, s = utils.decode_dss_signature(self.keys[algorithm].sign(text, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def token(self, algorithm="EdDSA", **changes):
        claims = {"iss": "https://idp.test", "aud": "mail", "exp": int(time.time()) + 600, "email": "baru@satu.test",
                  "scope": "imap smtp"}
        claims.update(changes)
        text = ".".join(unpadded(json.dumps(part).encode()) for part in ({"alg": algorithm, "kid": algorithm}, claims))
        return text + "." + unpadded(self.sign(algorithm, text.encode()))

    def serve(self, certificate, key):
        authority = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                authority.requests.append((self.path, self.headers["Authorization"], form))
                time.sleep(authority.delay)
                body = json.dumps(authority.active.get(form["token"][0], {"active": False})).encode()
                self.send_response(authority.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for part in (body[:7], body[7:]):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.write(b"0\r\n\r\n")
                self.close_connection = True

            def log_message(self, *unused):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self.server.server_address[1]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Tokens(Sasl):
    """OAUTHBEARER and XOAUTH2, with tokens that are signed and with such as their server must be asked about."""
    host = "idp.test"

    @classmethod
    def setUpClass(cls):
        try:
            import cryptography  # noqa: F401
        except ImportError:
            raise unittest.SkipTest("skipped: there is no python3-cryptography") from None
        cls.work = tempfile.mkdtemp(prefix="mo", dir="/tmp")
        os.chmod(cls.work, 0o755)
        path = os.path.join(cls.work, "idp")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                        path + ".key", "-out", path + ".pem", "-days", "30", "-subj", "/CN=idp.test", "-addext",
                        "subjectAltName=DNS:idp.test"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.authority = Authority()
        port = cls.authority.serve(path + ".pem", path + ".key")
        with open(path + ".keys", "w") as f:
            f.write(cls.authority.jwks())
        with open(path + ".secret", "w") as f:
            f.write("sandi kami\n")
        cls.dns = Dns()
        cls.dns.__enter__()
        for host in ("idp.test", "lain.test"):
            cls.dns.add(host, "A", "127.0.0.1")
        cls.server = Instance("satu.test", "127.0.0.2", cls.dns, settings={
            "auth_failure_delay": "0", "tls_authorities": path + ".pem", "oauth_keys": path + ".keys",
            "oauth_introspection": "https://%s:%d/introspect?x=y" % (cls.host, port), "oauth_client": "merpati",
            "oauth_secret": path + ".secret", "oauth_issuer": "https://idp.test", "oauth_audience": "mail",
            "oauth_scope": "smtp", "oauth_configuration": "https://idp.test/.well-known/openid-configuration"})
        cls.server.__enter__()
        cls.baru = cls.server.add_user("baru")
        cls.server.add_user("lama")
        cls.wait_offer("OAUTHBEARER")

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.authority.stop()
        cls.dns.__exit__(None, None, None)
        shutil.rmtree(cls.work)

    def setUp(self):
        self.authority.status, self.authority.delay = 200, 0
        self.authority.requests.clear()

    def claims(self, **changes):
        claims = {"active": True, "aud": ["mail"], "email": "baru@satu.test", "scope": "smtp"}
        claims.update(changes)
        return claims

    def bearer(self, token, user="baru@satu.test", kind="submissions"):
        message = "n,%s,\1host=x\1port=1\1auth=Bearer %s\1\1" % ("a=" + user if user else "", token)
        return self.exchange("OAUTHBEARER", message, b"\1", kind)

    def xoauth2(self, token, user="baru@satu.test"):
        return self.exchange("XOAUTH2", "user=%s\1auth=Bearer %s\1\1" % (user, token), b"", "submissions")

    def exchange(self, mechanism, message, answer, kind):
        """The code of the reply, and what was said of a refusal."""
        with self.server.smtp(kind) as client:
            client.ehlo()
            code, text = client.docmd("AUTH", mechanism + " " + b64(message.encode()))
            if code != 334:
                return code, None
            said = json.loads(base64.b64decode(text))
            return client.docmd(b64(answer))[0], said

    def test_signed_tokens_log_in(self):
        for algorithm in ("RS256", "ES256", "EdDSA"):
            token = self.authority.token(algorithm)
            self.assertEqual(self.bearer(token), (235, None))
            self.assertEqual(self.bearer(token, ""), (235, None))
            self.assertEqual(self.xoauth2(token, "Baru@SATU.test"), (235, None))
        self.assertEqual(self.authority.requests, [])

    def test_others_are_refused_and_told_why(self):
        for changes in ({"exp": int(time.time()) - 600}, {"iss": "https://else.test"}, {"aud": "web"}, {"scope": "imap"},
                        {"email": "hantu@satu.test"}, {"email": "baru@else.test"}, {"email_verified": False}):
            with self.subTest(repr(changes)):
                code, said = self.bearer(self.authority.token(**changes), "")
                self.assertEqual(code, 535)
                self.assertEqual(said, {"status": "invalid_token", "scope": "smtp", "openid-configuration":
                                        "https://idp.test/.well-known/openid-configuration"})
                code, said = self.xoauth2(self.authority.token(**changes))
                self.assertEqual((code, said["status"]), (535, "401"))
        self.assertEqual(self.bearer(self.authority.token(), "lama@satu.test")[0], 535)
        self.assertEqual(self.xoauth2(self.authority.token(email="lama@satu.test"))[0], 535)
        self.server.wait_log("login refused: user=<baru@satu.test>.*the token is somebody else's")
        self.assertEqual(self.bearer(self.authority.token()[:-4] + "AAAA")[0], 535)
        self.assertEqual(self.exchange("OAUTHBEARER", "n,,\1auth=\1\1", b"\1", "submissions")[0], 535)

    def test_tokens_are_taken_where_nobody_can_listen(self):
        with self.server.smtp("submissions") as client:
            self.assertLessEqual({"OAUTHBEARER", "XOAUTH2"}, set(offered(client)))

    def test_the_server_of_other_tokens_is_asked_and_believed_for_a_while(self):
        self.authority.active["buram+1/2=="] = self.claims()
        self.assertEqual(self.bearer("buram+1/2=="), (235, None))
        self.assertEqual(self.bearer("buram+1/2=="), (235, None))
        self.assertEqual(self.authority.requests, [("/introspect?x=y", "Basic " + b64(b"merpati:sandi%20kami"),
                                                    {"token": ["buram+1/2=="], "token_type_hint": ["access_token"]})])
        for name, claims in (("mati", {"active": False}), ("lain", self.claims(aud="web")),
                             ("lama", self.claims(exp=int(time.time()) - 600)), ("buta", {"active": True})):
            self.authority.active[name] = claims
            self.assertEqual(self.bearer(name)[0], 535)
            self.assertEqual(self.bearer(name)[0], 535)  # that is not remembered
        self.assertEqual(self.bearer("tak-dikenal")[0], 535)
        self.assertEqual(len(self.authority.requests), 1 + 8 + 1)

    def test_a_server_that_cannot_tell_is_a_reason_to_come_later(self):
        self.authority.active["t1"] = self.claims()
        self.authority.status = 500
        self.assertEqual(self.bearer("t1"), (454, None))
        self.server.wait_log("idp.test: status 500")
        self.authority.status, self.authority.delay = 200, 30
        begin = time.monotonic()
        self.assertEqual(self.bearer("t1"), (454, None))
        self.assertLess(time.monotonic() - begin, 25)

    def test_many_are_asked_about_at_once(self):
        self.authority.delay = 0.2
        for i in range(40):
            self.authority.active["ramai%d" % i] = self.claims()
        codes = []
        threads = [threading.Thread(target=lambda i=i: codes.append(self.bearer("ramai%d" % i)[0])) for i in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(codes, [235] * 40)

    def test_tokens_may_be_large(self):
        token = self.authority.token("RS256", groups=["g%04d" % i for i in range(700)])
        self.assertGreater(len(token), 8000)
        self.assertEqual(self.xoauth2(token), (235, None))
        for scheme, kind in (("imaps", "imaps"), ("pop3s", "pop3s")):
            self.run_client("curl", "-sS", "--max-time", "30", "--cacert", self.server.certificate, "-u", self.baru,
                            "--oauth2-bearer", token, "--login-options", "AUTH=OAUTHBEARER",
                            "%s://%s:%d/" % (scheme, self.server.address, self.server.ports[kind]))
        self.assertIn(self.bearer("x" * 9300)[0], (500, 501, 535))  # longer than RFC 4954 4 wants a line

    def test_a_killed_oauth_process_comes_back(self):
        pids = [pid for pid, words in self.server.processes().items() if words.startswith("authd: oauth")]
        self.assertEqual(len(pids), 1)
        os.kill(pids[0], signal.SIGKILL)
        wait_for(lambda: self.bearer(self.authority.token())[0] == 235, "a login")

    def test_a_reload_brings_new_keys(self):
        token = self.authority.token()
        self.assertEqual(self.bearer(token)[0], 235)
        old = self.authority.keys["EdDSA"]
        try:
            self.authority.keys["EdDSA"] = Authority.key("EdDSA")
            with open(os.path.join(self.work, "idp.keys"), "w") as f:
                f.write(self.authority.jwks())
            self.server.process.send_signal(signal.SIGHUP)
            wait_for(lambda: self.bearer(token)[0] == 535, "the old key to go")
            self.assertEqual(self.bearer(self.authority.token())[0], 235)
        finally:
            self.authority.keys["EdDSA"] = old
            with open(os.path.join(self.work, "idp.keys"), "w") as f:
                f.write(self.authority.jwks())
            self.server.process.send_signal(signal.SIGHUP)
            wait_for(lambda: self.bearer(token)[0] == 235, "the first key to come back")

    # -- clients of others

    def test_curl_sends_and_reads(self):
        sent = os.path.join(self.work, "letter")
        with open(sent, "wb") as f:
            f.write(letter(self.baru, self.baru, "dari-curl"))
        for mechanism in ("OAUTHBEARER", "XOAUTH2"):
            common = ["curl", "-sS", "--max-time", "30", "--cacert", self.server.certificate, "-u", self.baru,
                      "--oauth2-bearer", self.authority.token(), "--login-options", "AUTH=" + mechanism]
            self.run_client(*common, "--mail-from", self.baru, "--mail-rcpt", self.baru, "-T", sent,
                            "smtps://%s:%d" % (self.server.address, self.server.ports["submissions"]))
            wait_for(lambda: [m for m in self.server.letters(self.baru) if b"dari-curl" in m], "the letter")
            for scheme, kind, path in (("imaps", "imaps", "/INBOX;MAILINDEX=1"), ("pop3s", "pop3s", "/1")):
                self.assertIn(b"Subject:", self.run_client(*common, "%s://%s:%d%s" % (
                    scheme, self.server.address, self.server.ports[kind], path)))

    def test_msmtp_sends(self):
        for mechanism in ("oauthbearer", "xoauth2"):
            self.run_client("msmtp", "--host=" + self.server.address, "--port=%d" % self.server.ports["submissions"],
                            "--tls=on", "--tls-starttls=off", "--tls-trust-file=" + self.server.certificate,
                            "--auth=" + mechanism, "--user=" + self.baru, "--passwordeval=echo " + self.authority.token(),
                            "--from=" + self.baru, self.baru, input=letter(self.baru, self.baru, mechanism))
            wait_for(lambda: [m for m in self.server.letters(self.baru) if mechanism.encode() in m], "the letter")

    def test_imaplib_logs_in(self):
        client = imaplib.IMAP4_SSL(self.server.address, self.server.ports["imaps"], timeout=20,
                                   ssl_context=self.server.tls_context())
        self.assertIn("AUTH=OAUTHBEARER", client.capabilities)
        message = ("n,a=%s,\1auth=Bearer %s\1\1" % (self.baru, self.authority.token())).encode()
        self.assertEqual(client.authenticate("OAUTHBEARER", lambda challenge: message)[0], "OK")
        client.logout()


class FalseAuthority(Tokens):
    """The introspection server's certificate is for another name."""
    host = "lain.test"

    def test_who_cannot_prove_its_name_is_not_asked(self):
        self.authority.active["t"] = self.claims()
        self.assertEqual(self.bearer("t"), (454, None))
        self.server.wait_log("lain.test: its certificate is not one that we trust for this name")
        self.assertEqual(self.authority.requests, [])


for name in [name for name in dir(FalseAuthority) if name.startswith("test_") and name not in FalseAuthority.__dict__]:
    setattr(FalseAuthority, name, None)


class Offers(Sasl):
    @classmethod
    def prepare(cls):
        cls.baru = cls.server.add_user("baru")

    def test_scram_is_offered_as_long_as_everybody_can_use_it(self):
        self.wait_offer("SCRAM-SHA-256")
        with self.server.smtp("submissions") as client:
            self.assertEqual([name for name in offered(client) if not name.endswith("-PLUS")],
                             ["SCRAM-SHA-256", "PLAIN", "LOGIN"])
        self.server.merpati("user", "add", "--scheme", "yescrypt", "lama@satu.test", input=PASSWORD + "\n")
        self.wait_offer("SCRAM-SHA-256", False)
        with self.server.smtp("submissions") as client:
            client.login("lama@satu.test", PASSWORD)
        # who was told before may still go through with it
        self.assertEqual(self.auth("SCRAM-SHA-256", scram.Client(self.baru, PASSWORD)), 504)
        self.server.merpati("user", "passwd", "lama@satu.test", input=PASSWORD + "\n")
        self.wait_offer("SCRAM-SHA-256")
        self.assertEqual(self.auth("SCRAM-SHA-256", scram.Client("lama@satu.test", PASSWORD)), 235)

    def test_the_stored_line_is_what_dovecot_reads_too(self):
        with open(os.path.join(self.server.directory, "users")) as f:
            self.assertRegex(f.read(), r"(?m)^baru@satu\.test:\{SCRAM-SHA-256\}16384,[A-Za-z0-9+/]{22}==,"
                                       r"[A-Za-z0-9+/]{43}=,[A-Za-z0-9+/]{43}=::::::$")

    def test_a_new_password_takes_the_old_keys_away(self):
        name = "tiga@satu.test"
        self.server.merpati("user", "add", "--sha1", name, input="satu\n")
        self.server.merpati("user", "passwd", name, input="dua\n")
        with open(os.path.join(self.server.directory, "users")) as f:
            self.assertNotIn("scram-sha-1", f.read())


class SystemAccounts(Case):
    def test_scram_is_not_offered_where_the_system_has_the_passwords(self):
        with Instance("satu.test", "127.0.0.2", accounts="system") as server, server.smtp("submissions") as client:
            self.assertEqual(offered(client), ["PLAIN", "LOGIN"])


if __name__ == "__main__":
    unittest.main()
