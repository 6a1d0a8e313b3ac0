"""What remote makes of the wishes that come with a message: SMTPUTF8, BINARYMIME, DSN, LIMITS, REQUIRETLS, DELIVERBY and
MT-PRIORITY, to servers that offer them and to servers that do not."""

import email
import email.policy
import os
import shutil
import ssl
import subprocess
import tempfile
import unittest
from email.message import EmailMessage

import suite
from smtp_server import SmtpServer
from test_remote import LMTP, RemoteCase

EIGHTBIT, SMTPUTF8, BINARY, REQUIRETLS, PRIORITY, BY_RETURN, BY_NOTIFY, BY_TRACE = 1, 2, 4, 8, 16, 32, 64, 128
ALL = ("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "DSN", "DELIVERBY", "MT-PRIORITY")
SCRIPTS = ("surat-é@surat.test", "用户@surat.test", "مستخدم@surat.test")
UTF8_HEADER = "Subject: Halo dari 用户\r\n\r\nIsi.\r\n".encode()
BINARY_CONTENT = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\r\n.\r\n\r\r\n\n.\n\xff\0end"


def on_the_wire(text):
    """As smtp_server.py shows what came: a character a byte."""
    return text.encode().decode("latin-1")


class OutboundCase(RemoteCase):
    def server(self, *features, **options):
        self.dns.add("surat.test", "MX", "10 mx.surat.test")
        self.dns.add("mx.surat.test", "A", "127.0.0.3")
        (server,) = self.servers("127.0.0.3", features=features or ALL, **options)
        self.addCleanup(lambda: self.assertEqual(server.faults, []))
        return server

    def one(self, remote, *args, **options):
        (result,), _, _ = remote.send("surat.test", *args, **options)
        return result


class International(OutboundCase):
    def test_every_script_goes_to_a_server_that_can(self):
        server = self.server()
        remote = self.remote(server.port)
        for address in SCRIPTS:
            result = self.one(remote, [address], sender=address, content=UTF8_HEADER, flags=EIGHTBIT | SMTPUTF8)
            self.assertEqual(result.status, "delivered")
            self.assertEqual(server.messages[-1].recipients, [on_the_wire(address)])
            self.assertEqual(server.messages[-1].sender, on_the_wire(address))
            self.assertIn("SMTPUTF8", server.messages[-1].mail.split())
            self.assertEqual(server.messages[-1].content, UTF8_HEADER)

    def test_none_goes_to_one_that_cannot(self):
        server = self.server("PIPELINING", "8BITMIME")
        remote = self.remote(server.port)
        for address in SCRIPTS:
            for sender, recipient, content in (("s@satu.test", address, b"Subject: x\r\n\r\nx\r\n"),
                                               (address, "a@surat.test", b"Subject: x\r\n\r\nx\r\n"),
                                               ("s@satu.test", "a@surat.test", UTF8_HEADER)):
                result = self.one(remote, [recipient], sender=sender, content=content, flags=EIGHTBIT | SMTPUTF8)
                self.assertEqual((result.status, result.code), ("failed", "5.6.7"), (sender, recipient))
                self.assertIn("SMTPUTF8", result.reply)
        self.assertEqual(server.messages, [])

    def test_what_does_not_need_it_goes_without(self):
        server = self.server("PIPELINING", "8BITMIME")
        remote = self.remote(server.port)
        content = "Subject: plain\r\n\r\nIsi: 用户\r\n".encode()
        result = self.one(remote, ["a@surat.test"], content=content, flags=EIGHTBIT | SMTPUTF8)
        self.assertEqual(result.status, "delivered")
        self.assertEqual(server.messages[0].mail, "BODY=8BITMIME")
        self.assertEqual(server.messages[0].content, content)

    def test_one_recipient_that_needs_it_fails_alone(self):
        server = self.server("PIPELINING", "8BITMIME")
        remote = self.remote(server.port)
        (good, bad), health, _ = remote.send("surat.test", ["a@surat.test", SCRIPTS[1]], flags=SMTPUTF8)
        self.assertEqual((good.status, bad.status, bad.code, health), ("delivered", "failed", "5.6.7", "good"))

    def test_domains_in_other_scripts_are_found_and_sent_in_ascii_where_need_be(self):
        self.dns.add("xn--fsqu00a.xn--0zwm56d", "MX", "10 mx.surat.test")  # 例子.测试
        server = self.server("PIPELINING", "8BITMIME")
        remote = self.remote(server.port)
        self.assertEqual(remote.resolve("例子.测试")["key"], "mx.surat.test")
        (result,), _, _ = remote.send("例子.测试", ["a@例子.测试"], flags=SMTPUTF8)
        self.assertEqual(result.status, "delivered")
        self.assertEqual(server.messages[0].recipients, ["a@xn--fsqu00a.xn--0zwm56d"])
        server.features.append("SMTPUTF8")
        remote.send("例子.测试", ["a@例子.测试"], flags=SMTPUTF8)
        (result,), _, _ = remote.send("..例", ["a@..例"], flags=SMTPUTF8)
        self.assertEqual((result.status, result.code), ("failed", "5.1.2"))


class Binary(OutboundCase):
    def test_it_arrives_byte_for_byte(self):
        server = self.server()
        remote = self.remote(server.port)
        for content in (BINARY_CONTENT, BINARY_CONTENT * 20000, b""):
            pieces = None if content else [(5, 0)]
            result = self.one(remote, ["a@surat.test"], content=content, flags=EIGHTBIT | BINARY, pieces=pieces)
            self.assertEqual(result.status, "delivered")
            self.assertEqual(server.messages[-1].content, content)
            self.assertTrue(server.messages[-1].by_chunks)
            self.assertIn("BODY=BINARYMIME", server.messages[-1].mail)

    def test_pieces_make_one_chunk(self):
        server = self.server()
        remote = self.remote(server.port)
        head = len(b"head of the queue file\n")
        result = self.one(remote, ["a@surat.test"], content=b"0123456789", flags=BINARY, size=7,
                          pieces=[(head + 6, 4), (head, 3)])
        self.assertEqual((result.status, server.messages[0].content), ("delivered", b"6789012"))
        self.assertIn("BDAT 7 LAST", server.commands())

    def test_where_nothing_is_converted_it_is_not_sent_to_who_cannot_take_it(self):
        for features in (("PIPELINING", "8BITMIME"), ("8BITMIME", "CHUNKING"), ("8BITMIME", "BINARYMIME")):
            server = self.server(*features)
            with self.subTest(features=features):
                result = self.one(self.remote(server.port, downconvert="no"), ["a@surat.test"], content=BINARY_CONTENT,
                                  flags=EIGHTBIT | BINARY)
                self.assertEqual((result.status, result.code), ("failed", "5.6.1"))
                self.assertEqual(server.messages, [])
            server.stop()

    def test_nor_are_8_bits(self):
        server = self.server("PIPELINING")
        result = self.one(self.remote(server.port, downconvert="no"), ["a@surat.test"], content=b"\r\n\xe9\r\n", flags=EIGHTBIT)
        self.assertEqual((result.status, result.code), ("failed", "5.6.3"))

    def test_without_pipelining_chunks_save_the_wait(self):
        server = self.server("8BITMIME", "CHUNKING")
        remote = self.remote(server.port)
        content = b"Subject: x\r\n\r\n" + b".dot\r\n" * 20000
        result = self.one(remote, ["a@surat.test"], content=content)
        self.assertEqual((result.status, server.messages[0].content), ("delivered", content))
        self.assertTrue(server.messages[0].by_chunks)
        self.assertNotIn("DATA", server.commands())

    def test_a_chunk_that_is_refused_ends_the_session(self):
        server = self.server()
        server.replies["."] = "552 5.2.2 full"
        result = self.one(self.remote(server.port), ["a@surat.test"], content=BINARY_CONTENT, flags=BINARY)
        self.assertEqual((result.status, result.reply), ("failed", "552 5.2.2 full"))


def mime_message():
    """Of many kinds of parts, in wire form."""
    message = EmailMessage(policy=email.policy.SMTP.clone(cte_type="8bit"))
    message["Subject"] = "Halo"
    message["From"] = "s@satu.test"
    message.set_content("Teks \u00e9 dan \u7528\u6237, spasi di akhir \n--bukan batas\n.\nFrom here\n" + "panjang " * 9, cte="8bit")
    message.add_alternative("<p>h\u00e9</p>\n", subtype="html", cte="8bit")
    inner = EmailMessage(policy=message.policy)
    inner["Subject"] = "Di dalam"
    inner.set_content("M\u00e9d\n", charset="iso-8859-1", cte="8bit")
    message.add_attachment(inner, cte="8bit")
    message.add_attachment(bytes(range(256)) * 20, "image", "png", filename="a.png")
    message.add_attachment("ascii\n", filename="b.txt")
    return message.as_bytes()


def parts_of(content):
    """What a reader makes of each part."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    return [(part.get_content_type(), part.get_filename(), part.get_payload(decode=True), part.get_content()
             if part.get_content_maintype() == "text" else None) for part in message.walk() if not part.is_multipart()]


class Conversion(OutboundCase):
    """RFC 6152 3: what the next host does not take becomes what it takes."""

    def sent(self, content, flags, *features, code=None, **settings):
        server = self.server("PIPELINING", "SIZE", *features)
        result = self.one(self.remote(server.port, **settings), ["a@surat.test"], content=content, flags=flags)
        server.stop()
        self.assertEqual((result.status, result.code), ("failed", code) if code else ("delivered", "2.0.0"), result.reply)
        self.reply = result.reply
        return server.messages[0] if server.messages else None

    def test_every_part_says_the_same_as_before(self):
        content = mime_message()
        self.assertTrue(any(c > 127 for c in content))
        found = self.sent(content, EIGHTBIT)
        self.assertEqual(found.mail, "")
        self.assertTrue(all(c < 128 for c in found.content))
        self.assertTrue(all(len(line) <= 998 for line in found.content.split(b"\r\n")))
        self.assertEqual(parts_of(found.content), parts_of(content))
        self.assertIn(b"\r\nContent-Transfer-Encoding: quoted-printable\r\n", found.content)

    def test_a_large_one(self):
        body = ("baris \u00e9 " * 8 + "\r\n").encode() * 20000
        found = self.sent(b"Subject: besar\r\n\r\n" + body, EIGHTBIT)
        message = email.message_from_bytes(found.content)
        self.assertEqual(message.get_payload(decode=True), body)
        self.assertEqual((message["MIME-Version"], message["Content-Transfer-Encoding"], message["Content-Type"]),
                         ("1.0", "quoted-printable", "text/plain; charset=unknown-8bit"))

    def test_binary_content_for_a_host_with_8_bits(self):
        found = self.sent(BINARY_CONTENT, EIGHTBIT | BINARY, "8BITMIME")
        self.assertEqual(found.mail, "BODY=8BITMIME")
        message = email.message_from_bytes(found.content)
        self.assertEqual(message["Content-Transfer-Encoding"], "base64")
        self.assertEqual(message.get_payload(decode=True), BINARY_CONTENT.partition(b"\r\n\r\n")[2])

    def test_what_only_might_have_had_them_goes_as_it_is(self):
        content = b"Content-Transfer-Encoding: 8bit\r\n\r\nhalo\r\n"
        for flags, features in ((EIGHTBIT, ()), (EIGHTBIT | BINARY, ()), (EIGHTBIT | BINARY, ("8BITMIME",))):
            found = self.sent(content, flags, *features)
            self.assertEqual((found.content, "SIZE=%d" % len(content) in found.mail), (content, True))

    def test_what_cannot_be_converted_comes_back_with_the_reason(self):
        signed = b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xe9\r\n--b\r\n\r\nsignature\r\n--b--\r\n"
        self.sent(signed, EIGHTBIT, code="5.6.3")
        self.assertIn("signed", self.reply)
        self.sent(b"Subject: \xe9\r\n\r\nx\r\n", EIGHTBIT, code="5.6.3")
        self.assertIn("header", self.reply)
        self.sent(UTF8_HEADER, EIGHTBIT | SMTPUTF8, code="5.6.7")

    def test_each_host_gets_what_it_takes(self):
        """The next transaction of the job may be with another one; here it is with the same, in another session."""
        server = self.server("PIPELINING", "LIMITS RCPTMAX=1 MAILMAX=1")
        results, _, _ = self.remote(server.port).send("surat.test", ["a@surat.test", "b@surat.test"],
                                                      content=b"Subject: x\r\n\r\n\xe9\r\n", flags=EIGHTBIT)
        self.assertEqual([r.status for r in results], ["delivered"] * 2)
        self.assertEqual(len({m.content for m in server.messages}), 1)
        self.assertTrue(server.messages[1].content.endswith(b"\r\n\r\n=E9\r\n"))


class OneFlight(OutboundCase):
    def lmtp(self, features=("PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME")):
        remote = self.remote(25)
        server = SmtpServer(path=os.path.join(remote.run, "lmtp"), lmtp=True, features=features)
        os.chmod(server.path, 0o666)
        server.start()
        self.addCleanup(server.stop)
        return remote, server

    def test_to_our_own_deliver_commands_and_content_leave_together(self):
        remote, server = self.lmtp()
        for content in (b"Subject: x\r\n\r\n.dot\r\n", b"x\r\n" * 10000, b"x\r\n" * 100000, b"no end"):
            server.messages.clear()
            results, health, _ = remote.send("lmtp", ["a@surat.test", "b@surat.test"], content=content, transport=LMTP)
            self.assertEqual(([r.status for r in results], health), (["delivered"] * 2, "good"))
            self.assertEqual([m.content for m in server.messages], [content + b"\r\n" * (content == b"no end")] * 2)
        self.assertNotIn("DATA", server.commands())
        self.assertEqual(len(server.sessions), 1)

    def test_whoever_is_refused_there_has_no_message(self):
        remote, server = self.lmtp()
        server.replies["RCPT"] = lambda argument: "550 5.1.1 no" if "a@" in argument else "250 ok"
        (a, b), _, _ = remote.send("lmtp", ["a@surat.test", "b@surat.test"], transport=LMTP)
        self.assertEqual((a.status, b.status), ("failed", "delivered"))
        (a,), health, _ = remote.send("lmtp", ["a@surat.test"], transport=LMTP)
        self.assertEqual((a.status, a.reply, health), ("failed", "550 5.1.1 no", "good"))
        server.replies["MAIL"] = ["451 4.3.0 later", "250 ok"]
        (b,), health, _ = remote.send("lmtp", ["b@surat.test"], transport=LMTP)
        self.assertEqual((b.status, b.reply, health), ("deferred", "451 4.3.0 later", "good"))
        (b,), _, reused = remote.send("lmtp", ["b@surat.test"], transport=LMTP)
        self.assertEqual((b.status, reused), ("delivered", True))

    def test_binary_content_too(self):
        remote, server = self.lmtp()
        (a,), _, _ = remote.send("lmtp", ["a@surat.test"], content=BINARY_CONTENT, flags=BINARY | EIGHTBIT, transport=LMTP)
        self.assertEqual((a.status, server.messages[0].content), ("delivered", BINARY_CONTENT))

    def test_without_chunking_as_ever(self):
        remote, server = self.lmtp(("PIPELINING", "8BITMIME"))
        (a,), _, _ = remote.send("lmtp", ["a@surat.test"], transport=LMTP)
        self.assertEqual(a.status, "delivered")
        self.assertIn("DATA", server.commands())


class Notification(OutboundCase):
    WISHES = {"ret": "HDRS", "envid": "id+1=\r\n", "orcpt": ["rfc822;a b@x", "utf-8;用+@x", ""],
              "notify": ["SUCCESS,DELAY", "NEVER", ""]}
    RECIPIENTS = ["a@surat.test", "b@surat.test", "c@surat.test"]

    def test_wishes_are_passed_on(self):
        server = self.server()
        results, _, _ = self.remote(server.port).send("surat.test", self.RECIPIENTS, **self.WISHES)
        self.assertEqual([r.dsn for r in results], [True] * 3)
        message, = server.messages
        self.assertIn("RET=HDRS ENVID=id+2B1+3D+0D+0A", message.mail)
        self.assertEqual(message.rcpts, {"a@surat.test": "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+20b@x",
                                         "b@surat.test": "NOTIFY=NEVER ORCPT=utf-8;\\x{7528}\\x{2B}@x", "c@surat.test": ""})

    def test_not_to_who_does_not_know_them(self):
        server = self.server("PIPELINING", "8BITMIME")
        results, _, _ = self.remote(server.port).send("surat.test", self.RECIPIENTS, **self.WISHES)
        self.assertEqual([(r.status, r.dsn) for r in results], [("delivered", False)] * 3)
        self.assertEqual(set(server.messages[0].rcpts.values()), {""})


class Limits(OutboundCase):
    def recipients_of(self, limits, recipients):
        server = self.server("PIPELINING", "8BITMIME", "LIMITS " + limits)
        results, health, _ = self.remote(server.port).send("surat.test", recipients)
        self.assertEqual(({r.status for r in results}, len(results), health), ({"delivered"}, len(recipients), "good"))
        return server, [m.recipients for m in server.messages]

    def test_recipients_of_a_transaction(self):
        server, groups = self.recipients_of("RCPTMAX=2", ["%d@surat.test" % i for i in range(5)])
        self.assertEqual([len(g) for g in groups], [2, 2, 1])
        self.assertEqual(len(server.sessions), 1)

    def test_domains_of_a_transaction(self):
        _, groups = self.recipients_of("RCPTDOMAINMAX=2", ["a@a.test", "b@b.test", "c@c.test", "d@A.test"])
        self.assertEqual(groups, [["a@a.test", "b@b.test", "d@A.test"], ["c@c.test"]])

    def test_messages_of_a_session(self):
        server, groups = self.recipients_of("RCPTMAX=1 MAILMAX=2", ["%d@surat.test" % i for i in range(5)])
        self.assertEqual([len(g) for g in groups], [1] * 5)
        self.assertEqual([sum(c.startswith("MAIL") for c in s.commands) for s in server.sessions], [2, 2, 1])
        for session in server.sessions[:2]:
            self.assertTrue(session.ended.wait(5))
            self.assertEqual(session.commands[-1], "QUIT")

    def test_a_refusal_of_mail_is_for_all_that_were_left_too(self):
        server = self.server("PIPELINING", "LIMITS RCPTMAX=1")
        server.replies["MAIL"] = "550 5.7.1 go away"
        results, _, _ = self.remote(server.port).send("surat.test", ["a@surat.test", "b@surat.test"])
        self.assertEqual([(r.status, r.code) for r in results], [("failed", "5.7.1")] * 2)
        self.assertEqual(sum(c.startswith("MAIL") for c in server.commands()), 1)


class TlsCase(OutboundCase):
    """The test is its own authority."""

    @classmethod
    def setUpClass(cls):
        cls.directory, cls.made = tempfile.mkdtemp(dir="/tmp"), {}
        os.chmod(cls.directory, 0o755)
        cls.authority = cls.path("ca.pem")
        cls.openssl("req", "-x509", *cls.key("ca.key"), "-out", cls.authority, "-days", "2", "-subj", "/CN=authority.test",
                    "-addext", "basicConstraints=critical,CA:true")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.directory)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.directory, name)

    @classmethod
    def key(cls, name):
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", cls.path(name)

    @classmethod
    def openssl(cls, *arguments):
        subprocess.run(("openssl",) + arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def certificate(self, name, signed):
        """NAME.key and NAME.pem."""
        files = [self.path(name + end) for end in (".key", ".csr", ".pem", ".ext")]
        if self.made.get(name) == signed:
            return
        self.made[name] = signed
        with open(files[3], "w") as f:
            f.write("subjectAltName=DNS:%s\n" % name)
        self.openssl("req", "-new", *self.key(name + ".key"), "-out", files[1], "-subj", "/CN=%s" % name)
        by = ("-CA", self.authority, "-CAkey", self.path("ca.key"), "-CAcreateserial") if signed else ("-signkey", files[0])
        self.openssl("x509", "-req", "-in", files[1], "-out", files[2], "-days", "2", "-extfile", files[3], *by)

    def context(self, name, signed=True):
        self.certificate(name, signed)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(name + ".pem"), self.path(name + ".key"))
        return context


class RequireTls(TlsCase):
    def setUp(self):
        super().setUp()
        self.dns.add("test", "SECURE")

    def send(self, server, flags=REQUIRETLS):
        remote = self.remote(server.port, tls_authorities=self.authority)
        (result,), health, _ = remote.send("surat.test", ["a@surat.test"], flags=flags)
        return result, health

    def test_it_goes_under_verified_tls_to_who_passes_it_on(self):
        server = self.server("PIPELINING", tls=self.context("mx.surat.test"), features_tls=("PIPELINING", "REQUIRETLS"))
        result, health = self.send(server)
        self.assertEqual((result.status, health), ("delivered", "good"))
        self.assertEqual(server.messages[0].mail, "REQUIRETLS")
        self.assertTrue(server.messages[0].session.secured)

    def test_nowhere_else(self):
        good = self.context("mx.surat.test")
        for name, options in (("no TLS", {}),
                              ("offered in plain only", {"features": ("REQUIRETLS",)}),
                              ("not offered", {"tls": good}),
                              ("another's name", {"tls": self.context("evil.test"), "features_tls": ("REQUIRETLS",)}),
                              ("signed by nobody", {"tls": self.context("mx.surat.test", False), "features_tls": ("REQUIRETLS",)})):
            with self.subTest(name):
                server = self.server(*options.pop("features", ("PIPELINING",)), **options)
                result, health = self.send(server)
                self.assertEqual((result.status, result.code, health), ("failed", "5.7.30", "good"))
                self.assertEqual([c for c in server.commands() if c.startswith("MAIL")], [])
                server.stop()

    def test_nor_to_a_name_that_nobody_vouches_for(self):
        self.dns.add("surat.test", "INSECURE")
        server = self.server("PIPELINING", tls=self.context("mx.surat.test"), features_tls=("PIPELINING", "REQUIRETLS"))
        result, _ = self.send(server)
        self.assertEqual((result.status, result.code, result.policy), ("failed", "5.7.30", "requiretls"))
        self.assertIn("neither DNSSEC nor MTA-STS vouches", result.reply)
        self.assertEqual(server.sessions, [])

    def test_other_mail_still_goes_there(self):
        server = self.server("PIPELINING", tls=self.context("evil.test"))
        result, _ = self.send(server, flags=0)
        self.assertEqual(result.status, "delivered")

    def test_the_next_exchanger_may_be_able(self):
        self.dns.add("surat.test", "MX", "10 mx1.surat.test", "20 mx.surat.test")
        self.dns.add("mx1.surat.test", "A", "127.0.0.3")
        self.dns.add("mx.surat.test", "A", "127.0.0.4")
        plain, good = self.servers("127.0.0.3", "127.0.0.4")
        good.tls, good.features_tls = self.context("mx.surat.test"), ("REQUIRETLS",)
        result, _ = self.send(good)
        self.assertEqual(result.status, "delivered")
        self.assertEqual((len(plain.messages), len(good.messages)), (0, 1))


class Routes(TlsCase):
    def remote_with(self, server, section):
        with open(self.path("password"), "w") as f:
            f.write("rahasia\nmore\n")
        os.chmod(self.path("password"), 0o600)
        return self.remote(server.port, tls_authorities=self.authority,
                           sections="[route .test]\n" + section.replace("PASSWORD", self.path("password")))

    def send(self, server, section, **options):
        remote = self.remote_with(server, section)
        (result,), health, _ = remote.send("surat.test", ["a@surat.test"], route=".test", **options)
        self.log = remote.log()
        return result, health

    def test_how_much_tls_is_the_routes_choice(self):
        good, wrong = self.context("mx.surat.test"), self.context("evil.test")
        # With what the server has: what becomes of the mail, and is it under TLS?
        for tls, rows in (("none", ((None, None, False), (good, None, False))),
                          ("may", ((None, None, False), (wrong, None, True))),
                          ("encrypt", ((None, "4.7.4", False), (wrong, None, True))),
                          ("verify", ((None, "4.7.4", False), (wrong, "4.7.5", False), (good, None, True)))):
            for context, code, secured in rows:
                with self.subTest(tls=tls, has=context is not None, code=code):
                    server = self.server("PIPELINING", tls=context)
                    result, health = self.send(server, "tls = %s\n" % tls)
                    self.assertEqual((result.status, health), ("deferred" if code else "delivered", "good"))
                    if code:
                        self.assertEqual(result.code, code)
                        self.assertEqual([c for c in server.commands() if c.startswith("MAIL")], [])
                    else:
                        self.assertEqual(server.messages[0].session.secured, secured)
                    server.stop()

    def test_a_downgrade_does_not_work(self):
        for replies in ({"STARTTLS": "454 not now"}, {"EHLO": "500 what?"}, {"STARTTLS": "220 go"}):
            with self.subTest(replies=replies):
                server = self.server("PIPELINING", tls=self.context("mx.surat.test"))
                server.replies = replies
                if replies.get("STARTTLS") == "220 go":
                    server.tls = None  # it says so and goes on in plain
                    server.features.append("STARTTLS")
                result, _ = self.send(server, "tls = encrypt\n")
                self.assertEqual(result.status, "deferred")
                self.assertEqual([c for c in server.commands() if c.startswith("MAIL")], [])
                server.stop()

    def test_a_login_at_the_relay(self):
        server = self.server("PIPELINING", "AUTH PLAIN", tls=self.context("mx.surat.test"))
        section = "relay = mx.surat.test\ntls = verify\nlogin = baru\npassword_file = PASSWORD\n"
        result, _ = self.send(server, section)
        self.assertEqual((result.status, server.logins), ("delivered", [("baru", "rahasia")]))
        self.assertNotIn("rahasia", self.log)
        server.replies["AUTH"] = "535 5.7.8 wrong"
        result, _ = self.send(server, section)
        self.assertEqual((result.status, result.code, result.reply), ("deferred", "4.7.8", "535 5.7.8 wrong (to PLAIN of baru)"))

    def test_the_password_is_for_the_right_server_only(self):
        server = self.server("PIPELINING", "AUTH PLAIN", tls=self.context("evil.test"))
        result, _ = self.send(server, "relay = x\ntls = verify\nlogin = baru\npassword_file = PASSWORD\n")
        self.assertEqual((result.status, result.code, server.logins), ("deferred", "4.7.5", []))

    def test_without_the_password_mail_waits(self):
        server = self.server("PIPELINING", "AUTH PLAIN", tls=self.context("mx.surat.test"))
        result, _ = self.send(server, "relay = x\ntls = verify\nlogin = baru\npassword_file = /nonexistent\n")
        self.assertEqual((result.status, result.code, server.sessions), ("deferred", "4.7.8", []))

    def test_tls_from_the_first_byte(self):
        server = self.server("PIPELINING", tls=self.context("mx.surat.test"), implicit_tls=True)
        result, _ = self.send(server, "tls = verify\nimplicit_tls = yes\n")
        self.assertEqual(result.status, "delivered")
        self.assertNotIn("STARTTLS", server.commands())
        self.assertIn("TLSv1.3", result.tls)

    def test_the_address_that_it_comes_from(self):
        server = self.server("PIPELINING")
        for source in ("127.0.0.77 ::1", "127.0.0.78"):
            self.send(server, "source = %s\n" % source)
            self.assertEqual(server.sessions[-1].peer, source.split()[0])
        result, _ = self.send(server, "source = 192.0.2.1\n")
        self.assertEqual((result.status, result.code), ("deferred", "4.4.1"))
        self.assertIn("the source address: Cannot assign requested address", result.reply)

    def test_a_route_that_went_away_meanwhile(self):
        server = self.server()
        (result,), _, _ = self.remote(server.port).send("surat.test", ["a@surat.test"], route="gone.test")
        self.assertEqual((result.status, result.code), ("deferred", "4.3.5"))

    def test_connections_of_another_route_are_not_used(self):
        server = self.server("PIPELINING")
        remote = self.remote_with(server, "tls = may\n[route *]\ntls = none\n")
        reused = [remote.send("surat.test", ["a@surat.test"], route=route)[2] for route in (".test", ".test", "*", "")]
        self.assertEqual(reused, [False, True, False, False])


class Handling(OutboundCase):
    def test_time_and_priority_are_passed_on(self):
        server = self.server()
        remote = self.remote(server.port)
        result = self.one(remote, ["a@surat.test"], flags=PRIORITY | BY_RETURN | BY_TRACE, priority=7, by_left_ms=60900)
        self.assertEqual(result.status, "delivered")
        self.assertRegex(server.messages[0].mail, r"MT-PRIORITY=7 BY=(60|59);RT$")
        self.one(remote, ["a@surat.test"], flags=BY_NOTIFY, by_left_ms=-1500)
        self.assertRegex(server.messages[1].mail, r"BY=-[23];N$")

    def test_what_is_to_return_in_time_is_not_sent_where_time_does_not_count(self):
        server = self.server("PIPELINING")
        remote = self.remote(server.port)
        result = self.one(remote, ["a@surat.test"], flags=PRIORITY | BY_RETURN, by_left_ms=60000)
        self.assertEqual((result.status, result.code), ("failed", "5.3.3"))
        result = self.one(remote, ["a@surat.test"], flags=PRIORITY | BY_NOTIFY, by_left_ms=60000)
        self.assertEqual((result.status, server.messages[0].mail), ("delivered", ""))

    def test_what_is_late_is_not_sent(self):
        result = self.one(self.remote(self.server().port), ["a@surat.test"], flags=BY_RETURN, by_left_ms=900)
        self.assertEqual((result.status, result.code), ("failed", "5.4.7"))


if __name__ == "__main__":
    unittest.main()
