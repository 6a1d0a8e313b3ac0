"""Real clients of SMTP and LMTP with their options; of each what arrived is compared with what was sent."""

import asyncio
import base64
import email
import email.message
import glob
import os
import re
import shutil
import smtplib
import socket
import subprocess
import tempfile
import threading
import unittest

from suite import PASSWORD, Case, Instance, letter, wait_for, without_trace


def run(*words, input=None, env=None, ok=(0,)):
    done = subprocess.run([str(w) for w in words], input=input, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60)
    if done.returncode not in ok:
        raise AssertionError("%s: status %d\n%s" % (" ".join(map(str, words)), done.returncode,
                                                   done.stdout.decode(errors="replace")))
    return done.stdout.decode(errors="replace")


class ClientCase(Case):
    """A user of its own for each test, and a letter in a file."""

    kinds = ("mx", "submission", "submissions", "pop3")
    options = {}

    @classmethod
    def setUpClass(cls):
        cls.server = Instance("satu.test", "127.0.0.2", kinds=cls.kinds, **cls.options)
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__, None)
        cls.count = 0

    def setUp(self):
        type(self).count += 1
        self.user = self.server.add_user("lama%d" % self.count)
        self.work = tempfile.mkdtemp(prefix="mc", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.work)
        self.sent = letter("baru@satu.test", self.user, lines=["Halo", ".", "..dua", "", "ekor", ""])
        self.file = os.path.join(self.work, "letter")
        with open(self.file, "wb") as f:
            f.write(self.sent)

    def mailbox(self):
        """What is in the Maildir, oldest first: without logging in, which slows down after a wrong password."""
        folder = os.path.join(self.server.directory, "mail/satu.test", self.user.split("@")[0], "Maildir/new")
        letters = []
        for path in sorted(glob.glob(folder + "/*"), key=lambda path: int(re.search(r",u=(\d+)", path).group(1))):
            with open(path, "rb") as f:
                letters.append(f.read().replace(b"\n", b"\r\n"))
        return letters

    def arrived(self, count=1):
        """The letters of this test, each the one that was sent (some clients cut or add empty lines at the end)."""
        wait_for(lambda: len(self.mailbox()) >= count, "%d letters for %s" % (count, self.user), 60)
        found = self.mailbox()
        self.assertEqual(len(found), count)
        for m in found:
            self.assertEqual(self.sent.rstrip(), without_trace(m).rstrip())
        return found


class Swaks(ClientCase):
    def swaks(self, kind, *words, ok=(0,), data=True):
        return run("swaks", "--server", self.server.address, "--port", self.server.ports[kind], "--to", self.user, "--from",
                   self.user, *(["--data", "@" + self.file] if data else []), *words, ok=ok)

    def login(self):
        return ["--auth-user", self.user, "--auth-password", PASSWORD]

    def test_greetings_and_protocols(self):
        rows = (("mx", ["--protocol", "SMTP", "--helo", "klien.test"], "SMTP"),
                ("mx", ["--protocol", "ESMTP", "--ehlo", "klien.test"], "ESMTP"), ("mx", ["--ehlo", "[127.0.0.1]"], "ESMTP"),
                ("mx", ["--protocol", "ESMTPS", "--helo", "klien.test"], "ESMTPS"), ("mx", ["--tls-optional"], "ESMTPS"),
                ("mx", ["--tls-optional-strict"], "ESMTPS"),
                ("submission", ["--protocol", "ESMTPSA"] + self.login(), "ESMTPSA"),
                ("submissions", ["--protocol", "SSMTPA"] + self.login(), "ESMTPSA"))
        count = 0
        for kind, words, protocol in rows:
            self.swaks(kind, *words)
            count += 1
            self.assertRegex(self.arrived(count)[-1].decode(), r"\r\n\t.*with %s( |;|\r\n)" % protocol, words)

    def test_tls_versions_verification_and_names(self):
        for words in ([], ["--tls-protocol", "tlsv1_2"], ["--tls-protocol", "tlsv1_3"], ["--tls-sni", "satu.test"],
                      ["--tls-sni", "lain.test"]):
            self.swaks("submission", "--tls", *words, *self.login())
            self.swaks("submissions", "--tlsc", *words, *self.login())
        out = self.swaks("submission", "--tls", "--tls-verify", "--tls-ca-path", self.server.certificate, *self.login(), ok=(0, 29))
        self.assertIn("TLS started", out)
        self.arrived(11 if "250 2.0.0 Ok: queued" in out else 10)

    def test_authentication(self):
        for mechanism in ("PLAIN", "LOGIN"):
            self.swaks("submission", "--tls", "--auth", mechanism, *self.login())
        self.arrived(2)
        out = self.swaks("submission", "--tls", "--auth", "PLAIN", "--auth-user", self.user, "--auth-password", "salah", ok=(28,))
        self.assertIn("535 5.7.8", out)
        out = self.swaks("submission", "--tls", "--auth-optional", "CRAM-MD5", *self.login(), ok=(23,))
        self.assertIn("530 5.7.0", out)

    def test_pipelining_with_a_refused_recipient(self):
        out = run("swaks", "--server", self.server.address, "--port", self.server.ports["mx"], "--pipeline", "--from",
                  "x@y.test", "--to", "tiada@satu.test,%s" % self.user, "--data", "@" + self.file)
        self.assertIn("550 5.1.1", out)
        self.arrived()

    def test_a_client_that_leaves_in_the_middle_leaves_nothing(self):
        for stage in ("connect", "first-helo", "mail", "rcpt"):
            self.swaks("mx", "--quit-after", stage)
            self.swaks("mx", "--drop-after", stage, ok=(0, 21, 22, 23, 24, 25, 26, 27))
        self.swaks("mx", "--drop-after-send", "rcpt", ok=range(256))
        self.swaks("mx")
        self.arrived()
        wait_for(lambda: not os.listdir(os.path.join(self.server.directory, "spool", "incoming")), "an empty incoming/")

    def test_a_large_attachment_and_eight_bits(self):
        name = os.path.join(self.work, "lampiran")
        content = os.urandom(3000000)
        with open(name, "wb") as f:
            f.write(content)
        self.swaks("mx", "--attach", "@" + name, "--body", "salam — é", "--header", "Subject: lampiran", data=False)
        message = email.message_from_bytes(wait_for(self.mailbox, "the letter")[0])
        self.assertEqual(message["Subject"], "lampiran")
        parts = [p.get_payload(decode=True) for p in message.walk() if not p.is_multipart()]
        self.assertEqual(parts[0].strip(), "salam — é".encode())
        self.assertEqual(parts[1], content)


class Curl(ClientCase):
    def curl(self, scheme, kind, *words, ok=(0,)):
        return run("curl", "-sS", "--max-time", "30", "--cacert", self.server.certificate, "--mail-from", self.user, "--mail-rcpt",
                   self.user, "-T", self.file, *words, "%s://%s:%d/klien.test" % (scheme, self.server.address, self.server.ports[kind]),
                   ok=ok)

    def test_tls_and_authentication(self):
        login = ["-u", "%s:%s" % (self.user, PASSWORD)]
        self.curl("smtp", "mx")
        self.curl("smtp", "mx", "--ssl-reqd")
        for mechanism in ("PLAIN", "LOGIN"):
            self.curl("smtp", "submission", "--ssl-reqd", *login, "--login-options", "AUTH=" + mechanism)
            self.curl("smtps", "submissions", *login, "--login-options", "AUTH=" + mechanism)
        self.curl("smtps", "submissions", *login, "--sasl-ir")
        self.curl("smtps", "submissions", *login, "--tls-max", "1.2")
        for m in self.arrived(8):
            self.assertIn(b"klien.test", m)
        self.curl("smtps", "submissions", "-u", "%s:salah" % self.user, ok=(67,))
        self.curl("smtp", "submission", "--ssl-reqd", ok=(55,))

    def test_one_of_two_recipients(self):
        self.curl("smtp", "mx", "--mail-rcpt", "tiada@satu.test", ok=(55,))
        self.curl("smtp", "mx", "--mail-rcpt", "tiada@satu.test", "--mail-rcpt-allowfails")
        self.arrived()


class Msmtp(ClientCase):
    def msmtp(self, kind, *words, ok=(0,), **settings):
        settings = dict({"host": self.server.address, "port": self.server.ports.get(kind, 25), "from": self.user, "auth": "off",
                         "domain": "klien.test", "tls_trust_file": self.server.certificate, "tls_host_override": "satu.test"},
                        **settings)
        rc = os.path.join(self.work, "msmtprc")
        with open(rc, "w") as f:
            f.write("account default\n" + "".join("%s %s\n" % (k, v) for k, v in settings.items() if v is not None))
        os.chmod(rc, 0o600)
        return run("msmtp", "-C", rc, *words, input=self.sent.replace(b"\r\n", b"\n"), ok=ok)

    def login(self, mechanism):
        return {"auth": mechanism, "user": self.user, "password": PASSWORD}

    def test_plain_starttls_and_tls(self):
        self.msmtp("mx", self.user)
        self.msmtp("mx", self.user, tls="on")
        for mechanism in ("on", "plain", "login"):
            self.msmtp("submission", self.user, tls="on", **self.login(mechanism))
            self.msmtp("submissions", self.user, tls="on", tls_starttls="off", **self.login(mechanism))
        self.arrived(8)

    def test_recipients_from_the_header(self):
        self.sent = self.sent.replace(b"From: <baru@satu.test>", b"From: <%s>" % self.user.encode())
        self.msmtp("submissions", "-t", "--read-envelope-from", tls="on", tls_starttls="off", auto_from=None, **self.login("plain"))
        self.arrived()

    def test_a_wrong_password_and_a_stranger(self):
        self.assertIn("535", self.msmtp("submission", self.user, tls="on", ok=(77,), auth="plain", user=self.user, password="salah"))
        self.assertIn("550", self.msmtp("mx", "tiada@satu.test", ok=(65,)))

    def test_server_information(self):
        out = self.msmtp("submission", "--serverinfo", tls="on")
        for word in ("SIZE", "PIPELINING", "AUTH"):
            self.assertIn(word, out)


class Python(ClientCase):
    def test_smtplib_in_threads(self):
        failures = []

        def send(i):
            try:
                kind = ("mx", "submission", "submissions")[i % 3]
                with self.server.smtp(kind) as client:
                    if kind == "submission":
                        client.starttls(context=self.server.tls_context())
                    if kind != "mx":
                        client.login(self.user, PASSWORD)
                    for _ in range(5):
                        client.sendmail(self.user, [self.user], self.sent)
            except Exception as e:
                failures.append(e)
        threads = [threading.Thread(target=send, args=(i,)) for i in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(failures, [])
        self.arrived(60)

    def test_many_at_once_with_asyncio(self):
        count, each = 200, 3

        async def dialogue():
            reader, writer = await asyncio.open_connection(self.server.address, self.server.ports["mx"])

            async def reply(code):
                while True:
                    line = await reader.readline()
                    if line[3:4] == b" ":
                        self.assertEqual(line[:3], code, line)
                        return
            await reply(b"220")
            writer.write(b"EHLO klien.test\r\n")
            await reply(b"250")
            for _ in range(each):
                writer.write(b"MAIL FROM:<baru@satu.test>\r\nRCPT TO:<%s>\r\nDATA\r\n" % self.user.encode())
                for code in (b"250", b"250", b"354"):
                    await reply(code)
                writer.write(self.sent.replace(b"\r\n.", b"\r\n..") + b".\r\n")
                await reply(b"250")
            writer.write(b"QUIT\r\n")
            await reply(b"221")
            writer.close()

        async def all_of_them():
            await asyncio.gather(*(dialogue() for _ in range(count)))
        asyncio.run(all_of_them())
        self.arrived(count * each)

    def test_smtplib_through_sendmail_bs(self):
        class Through(smtplib.SMTP):
            """smtplib on the standard input and output of a program."""

            def _get_socket(client, host, port, timeout):
                ours, theirs = socket.socketpair()
                client.program = subprocess.Popen([self.server.program("sendmail"), "-bs"], stdin=theirs, stdout=theirs,
                                                  env=dict(os.environ, MERPATI_CONF=self.server.conf))
                theirs.close()
                return ours
        with Through("sendmail", 25) as client:
            self.assertEqual(client.sendmail("baru@satu.test", [self.user], self.sent), {})
        self.assertEqual(client.program.wait(10), 0)
        self.arrived()


class Extensions(ClientCase):
    options = {"settings": {"xclient_hosts": "127.0.0.0/8", "client_names": "no", "greet_pause": "0"},
               "listener_options": {"submission": "proxy_networks = 127.0.0.0/8\n"}}

    def curl(self, *words, ok=(0,)):
        return run("curl", "-sS", "-v", "--max-time", "30", "-T", self.file, *words,
                   "smtp://%s:%d/klien.test" % (self.server.address, self.server.ports["mx"]), ok=ok)

    def test_swaks_says_with_xclient_who_the_client_is(self):
        where = ["swaks", "--server", self.server.address, "--port", self.server.ports["mx"], "--from", "x@tiga.test", "--to",
                 self.user, "--data", "@" + self.file]
        run(*where, "--xclient-addr", "192.0.2.7", "--xclient-name", "surat.tiga.test", "--xclient-helo", "halo.tiga.test",
            "--xclient-proto", "ESMTP", "--xclient-port", "4711")
        run(*where, "--xclient", "ADDR=192.0.2.8 NAME=[UNAVAILABLE]", "--pipeline")
        run(*where, "--xclient-optional", "--xclient-addr", "192.0.2.9", "--xclient-delim", "--xclient-name", "dua.tiga.test")
        for m, address in zip(self.arrived(3), (b"192.0.2.7", b"192.0.2.8", b"192.0.2.9")):
            self.assertIn(b"[%s]" % address, m.partition(b"From: ")[0])
        self.assertIn(b"surat.tiga.test", self.mailbox()[0].partition(b"From: ")[0])
        # a stranger that a trusted host speaks for is still a stranger
        out = run("swaks", "--server", self.server.address, "--port", self.server.ports["mx"], "--from", "x@tiga.test", "--to",
                  "y@empat.test", "--xclient-addr", "192.0.2.7", ok=(24,))
        self.assertIn("554 5.7.1", out)

    def test_swaks_sends_through_a_proxy_header(self):
        for version, more, source, dest in (
                (1, ["--proxy-family", "TCP4"], "192.0.2.1", "198.51.100.2"), (1, ["--proxy-family", "TCP6"], "2001:db8::1", "2001:db8::2"),
                (2, ["--proxy-family", "AF_INET", "--proxy-protocol", "STREAM", "--proxy-command", "PROXY"], "192.0.2.3", "198.51.100.2"),
                (2, ["--proxy-family", "AF_INET6", "--proxy-protocol", "STREAM"], "2001:db8::3", "2001:db8::2")):
            run("swaks", "--server", self.server.address, "--port", self.server.ports["submission"], "--proxy-version", version, *more,
                "--proxy-source", source, "--proxy-source-port", "4711", "--proxy-dest", dest, "--proxy-dest-port", "587", "--tls",
                "--auth-user", self.user, "--auth-password", PASSWORD, "--from", self.user, "--to", self.user, "--data", "@" + self.file)
            self.server.wait_log(r"submission/smtpd\[\d+\]: connect from unknown\[%s\]" % re.escape(source))
        self.arrived(4)

    def test_curl_sends_through_a_proxy_header(self):
        out = run("curl", "-sS", "-v", "--max-time", "30", "--haproxy-protocol", "--mail-from", self.user, "--mail-rcpt", self.user,
                  "-T", self.file, "--ssl-reqd", "-k", "-u", "%s:%s" % (self.user, PASSWORD),
                  "smtp://%s:%d/klien.test" % (self.server.address, self.server.ports["submission"]))
        self.assertIn("250 2.0.0", out)
        self.arrived()

    def test_wishes_for_notifications(self):
        rc = os.path.join(self.work, "msmtprc")
        with open(rc, "w") as f:
            f.write("account default\nhost %s\nport %d\nfrom %s\ndsn_notify success,failure\ndsn_return headers\n" % (
                self.server.address, self.server.ports["mx"], self.user))
        os.chmod(rc, 0o600)
        other = self.server.add_user("lagi%d" % self.count)
        run("msmtp", "-C", rc, other, input=self.sent)
        found = wait_for(self.mailbox, "the notification")[0]
        self.assertIn(b"Action: delivered", found)
        self.assertIn(b"Final-Recipient: rfc822; %s\r\n" % other.encode(), found)
        self.assertNotIn(b"\r\nekor\r\n", found)

    def test_curl_gives_parameters(self):
        # some versions put a > behind it all: the last parameter is one that may hold it
        self.curl("--mail-from", "<%s> RET=HDRS ENVID=QQ314159" % self.user, "--mail-rcpt",
                  "<%s> NOTIFY=SUCCESS ORCPT=rfc822;%s" % (self.user, self.user))
        wait_for(lambda: [m for m in self.mailbox() if b"Original-Envelope-Id: QQ314159" in m], "the notification")

    def test_international_addresses(self):
        user = self.server.add_user("бару%d" % self.count)
        sent = letter("baru@satu.test", user, "surat")
        with self.server.smtp() as client:
            client.ehlo()
            self.assertTrue(client.has_extn("smtputf8"))
            client.sendmail(self.user, [user], sent, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
            with self.assertRaises(smtplib.SMTPRecipientsRefused):
                client.docmd("RSET")
                client.sendmail(self.user, [user.encode("utf-8").decode("latin-1").encode("ascii", "replace").decode()], sent)
            message = email.message.EmailMessage()
            message["From"] = self.user
            message["To"] = user
            message["Subject"] = "с приветом"
            message.set_content("привет\n")
            client.send_message(message)
        self.server.sendmail("-t", "-i", input=b"To: " + user.encode() + b"\nSubject: sendmail\n\nx\n")
        folder = os.path.join(self.server.directory, "mail/satu.test", user.split("@")[0], "Maildir/new")
        wait_for(lambda: os.path.isdir(folder) and len(os.listdir(folder)) == 3, "three letters")

    def test_chunks_from_an_asyncio_client(self):
        """BDAT (RFC 3030) in pieces of odd sizes, all commands at once."""
        async def dialogue(sizes):
            reader, writer = await asyncio.open_connection(self.server.address, self.server.ports["mx"])
            out, rest = b"EHLO klien.test\r\nMAIL FROM:<baru@satu.test> BODY=8BITMIME\r\nRCPT TO:<%s>\r\n" % self.user.encode(), self.sent
            for size in sizes:
                out += b"BDAT %d\r\n" % len(rest[:size]) + rest[:size]
                rest = rest[size:]
            out += b"BDAT %d LAST\r\n" % len(rest) + rest + b"QUIT\r\n"
            await reader.readline()
            writer.write(out)
            replies = await reader.read()
            writer.close()
            return replies

        async def all_of_them():
            return await asyncio.gather(*(dialogue(sizes) for sizes in ([], [1], [7] * 5, [100000, 0], [3, 0, 1, 50])))
        for replies in asyncio.run(all_of_them()):
            self.assertIn(b"250 2.0.0 Ok: queued as", replies)
            self.assertTrue(replies.endswith(b"221 2.0.0 Bye\r\n"))
        self.arrived(5)


class Certificates(ClientCase):
    """Several certificates, chosen by the name that a client asks for; certificates of clients."""

    kinds = ("mx", "submission", "submissions", "pop3")

    @classmethod
    def setUpClass(cls):
        directory = tempfile.mkdtemp(prefix="m", dir="/tmp")
        for name in ("dua.test", "klien"):
            run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                "%s/%s.key" % (directory, name), "-out", "%s/%s.pem" % (directory, name), "-days", "30", "-subj", "/CN=" + name,
                "-addext", "subjectAltName=DNS:" + name)
        cls.options = {"directory": directory, "sections": "\n[certificate dua]\ncertificate = dua.test.pem\nkey = dua.test.key\n",
                       "listener_options": {"submissions": "client_certificates = ask\nclient_ca = klien.pem\n"}}
        super().setUpClass()

    def test_the_name_chooses_the_certificate(self):
        for name, subject in (("dua.test", "dua.test"), ("satu.test", "satu.test"), ("lain.test", "satu.test")):
            for kind, tls in (("submission", "--tls"), ("submissions", "--tlsc")):
                out = run("swaks", "--server", self.server.address, "--port", self.server.ports[kind], tls, "--tls-sni", name,
                          "--quit-after", "tls", "--to", self.user)
                self.assertRegex(out, r'TLS peer DN="/?CN ?= ?%s"' % re.escape(subject))
        for name in ("dua.test", "satu.test"):
            ca = self.server.certificate if name == "satu.test" else os.path.join(self.server.directory, "dua.test.pem")
            run("curl", "-sS", "--max-time", "30", "--cacert", ca, "--connect-to", "%s:465:%s:%d" % (
                name, self.server.address, self.server.ports["submissions"]), "-u", "%s:%s" % (self.user, PASSWORD), "--mail-from",
                self.user, "--mail-rcpt", self.user, "-T", self.file, "smtps://%s:465/klien.test" % name)
        self.arrived(2)

    def test_a_client_shows_its_certificate(self):
        pair = [os.path.join(self.server.directory, "klien." + kind) for kind in ("pem", "key")]
        run("swaks", "--server", self.server.address, "--port", self.server.ports["submissions"], "--tlsc", "--tls-cert", pair[0],
            "--tls-key", pair[1], "--auth-user", self.user, "--auth-password", PASSWORD, "--from", self.user, "--to", self.user,
            "--data", "@" + self.file)
        run("curl", "-sS", "-k", "--cert", pair[0], "--key", pair[1], "-u", "%s:%s" % (self.user, PASSWORD), "--mail-from",
            self.user, "--mail-rcpt", self.user, "-T", self.file, "smtps://%s:%d/x" % (
                self.server.address, self.server.ports["submissions"]))
        self.arrived(2)


class Transcripts(ClientCase):
    """The command sequences of mail programs, as they send them."""

    def play(self, lines):
        """lines: (what is sent, the code of the reply); TLS begins where STARTTLS was accepted."""
        connection = socket.create_connection((self.server.address, self.server.ports["submission"]), timeout=20)
        file = connection.makefile("rb")

        def reply():
            while True:
                line = file.readline()
                if line[3:4] == b" ":
                    return line
        self.assertEqual(reply()[:3], b"220")
        for line, code in lines:
            connection.sendall(line)
            got = reply()
            self.assertEqual(got[:3], code, (line, got))
            if line == b"STARTTLS\r\n":
                connection = self.server.tls_context().wrap_socket(connection, server_hostname="satu.test")
                file = connection.makefile("rb")
        connection.close()

    def content(self):
        return self.sent.replace(b"\r\n.", b"\r\n..") + b".\r\n"

    def test_thunderbird(self):
        me = self.user.encode()
        plain = base64.b64encode(b"\0" + me + b"\0" + PASSWORD.encode())
        self.play([(b"EHLO [192.168.1.23]\r\n", b"250"), (b"STARTTLS\r\n", b"220"), (b"EHLO [192.168.1.23]\r\n", b"250"),
                   (b"AUTH PLAIN " + plain + b"\r\n", b"235"),
                   (b"MAIL FROM:<" + me + b"> BODY=8BITMIME SIZE=%d\r\n" % len(self.sent), b"250"),
                   (b"RCPT TO:<" + me + b">\r\n", b"250"), (b"DATA\r\n", b"354"), (self.content(), b"250"), (b"QUIT\r\n", b"221")])
        self.arrived()

    def test_thunderbird_asks_for_a_receipt(self):
        me = self.user.encode()
        plain = base64.b64encode(b"\0" + me + b"\0" + PASSWORD.encode())
        self.play([(b"EHLO [IPv6:2001:db8::23]\r\n", b"250"), (b"STARTTLS\r\n", b"220"), (b"EHLO [IPv6:2001:db8::23]\r\n", b"250"),
                   (b"AUTH PLAIN " + plain + b"\r\n", b"235"),
                   (b"MAIL FROM:<" + me + b"> BODY=8BITMIME SIZE=%d RET=FULL ENVID=<1.2@satu.test>\r\n" % len(self.sent), b"250"),
                   (b"RCPT TO:<" + me + b"> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;" + me + b"\r\n", b"250"), (b"DATA\r\n", b"354"),
                   (self.content(), b"250"), (b"QUIT\r\n", b"221")])
        wait_for(lambda: len(self.mailbox()) == 2, "the letter and the receipt")
        self.assertIn(b"Action: delivered", b"".join(self.mailbox()))

    def test_outlook(self):
        me, coded = self.user.encode(), base64.b64encode
        self.play([(b"EHLO DESKTOP-7Q3KD2M\r\n", b"250"), (b"STARTTLS\r\n", b"220"), (b"EHLO DESKTOP-7Q3KD2M\r\n", b"250"),
                   (b"AUTH LOGIN\r\n", b"334"), (coded(me) + b"\r\n", b"334"), (coded(PASSWORD.encode()) + b"\r\n", b"235"),
                   (b"RSET\r\n", b"250"), (b"MAIL FROM: <" + me + b">\r\n", b"250"), (b"RCPT TO: <" + me + b">\r\n", b"250"),
                   (b"DATA\r\n", b"354"), (self.content(), b"250"), (b"QUIT\r\n", b"221")])
        self.arrived()

    def test_outlook_tests_the_account(self):
        me, coded = self.user.encode(), base64.b64encode
        self.play([(b"EHLO DESKTOP-7Q3KD2M\r\n", b"250"), (b"STARTTLS\r\n", b"220"), (b"EHLO DESKTOP-7Q3KD2M\r\n", b"250"),
                   (b"AUTH NTLM TlRMTVNTUAABAAAAt4II4gAAAAAAAAAAAAAAAAAAAAAKAGFKAAAADw==\r\n", b"504"),
                   (b"AUTH LOGIN " + coded(me) + b"\r\n", b"334"), (coded(PASSWORD.encode()) + b"\r\n", b"235"),
                   (b"MAIL FROM: <" + me + b">\r\n", b"250"), (b"RCPT TO: <" + me + b">\r\n", b"250"), (b"DATA\r\n", b"354"),
                   (self.content(), b"250"), (b"QUIT\r\n", b"221")])
        self.arrived()

    def test_a_telephone_sends_the_password_when_it_is_asked(self):
        me = self.user.encode()
        plain = base64.b64encode(b"\0" + me + b"\0" + PASSWORD.encode())
        self.play([(b"EHLO smtpclient.apple\r\n", b"250"), (b"STARTTLS\r\n", b"220"), (b"EHLO smtpclient.apple\r\n", b"250"),
                   (b"AUTH PLAIN\r\n", b"334"), (plain + b"\r\n", b"235"), (b"MAIL FROM:<" + me + b">\r\n", b"250"),
                   (b"RCPT TO:<" + me + b">\r\n", b"250"), (b"DATA\r\n", b"354"), (self.content(), b"250"), (b"QUIT\r\n", b"221")])
        self.arrived()


class Lmtp(ClientCase):
    kinds = ("mx", "pop3", "lmtp")

    @classmethod
    def setUpClass(cls):
        directory = tempfile.mkdtemp(prefix="m", dir="/tmp")
        cls.options = {"directory": directory,
                       "sections": "\n[listener tetangga]\nkind = lmtp\npath = %s/lmtp.sock\n" % directory}
        super().setUpClass()
        cls.path = directory + "/lmtp.sock"

    def test_smtplib_over_tcp(self):
        with smtplib.LMTP(self.server.address, self.server.ports["lmtp"], timeout=20) as client:
            self.assertEqual(client.sendmail("baru@satu.test", [self.user, "tiada@satu.test"], self.sent),
                             {"tiada@satu.test": (550, b"5.1.1 There is no such user here")})
        found = self.arrived()[0]
        self.assertIn(b"Return-Path: <baru@satu.test>\r\nDelivered-To: %s\r\n" % self.user.encode(), found)

    def test_smtplib_over_a_unix_socket(self):
        with smtplib.LMTP(self.path) as client:
            self.assertEqual(client.sendmail("baru@satu.test", [self.user], self.sent), {})
        self.arrived()

    def test_swaks_over_tcp_and_a_unix_socket(self):
        where = ["--server", self.server.address, "--port", self.server.ports["lmtp"]]
        for words in (where, where + ["--pipeline"], ["--socket", self.path]):
            run("swaks", "--protocol", "LMTP", *words, "--lhlo", "tetangga.test", "--from", "baru@satu.test", "--to",
                self.user, "--data", "@" + self.file)
        self.arrived(3)

    def test_each_recipient_has_its_own_reply(self):
        other = self.server.add_user("lagi%d" % self.count)
        text = run("swaks", "--protocol", "LMTP", "--server", self.server.address, "--port", self.server.ports["lmtp"],
                   "--from", "", "--to", "%s,%s" % (self.user, other), "--data", "@" + self.file)
        self.assertEqual(len(re.findall(r"(?m)^<-  250 2\.0\.0 Delivered to the mailbox", text)), 2)
        self.arrived()

    def test_the_socket_in_run_directory_is_still_our_own(self):
        with self.server.smtp() as client:
            client.sendmail("baru@satu.test", [self.user], self.sent)
        self.server.wait_log(r"to=<%s>, relay=lmtp, .*status=sent" % self.user)
        self.assertEqual(os.stat(os.path.join(self.server.directory, "run", "lmtp")).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o666)
        self.arrived()


class LmtpStrangers(Case):
    def test_lmtp_from_outside_of_networks_is_refused(self):
        with Instance("satu.test", "127.0.0.2", kinds=("mx", "lmtp"), settings={"networks": "10.0.0.0/8"}) as server:
            with socket.create_connection((server.address, server.ports["lmtp"]), timeout=20) as client:
                self.assertEqual(client.makefile("rb").read(), b"554 5.7.1 Access denied\r\n")
            server.wait_log(r"NOQUEUE: reject: CONNECT from unknown\[127\.0\.0\.1\]: 554 5\.7\.1 .*proto=LMTP")

    def test_without_an_address_lmtp_is_on_loopback_only(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with Instance("satu.test", "127.0.0.2", kinds=("mx",),
                      sections="\n[listener lmtp]\nport = %d\n" % port) as server:
            out = run("ss", "-Hltn", "sport", "=", ":%d" % port)
            self.assertEqual(sorted(line.split()[3] for line in out.splitlines()),
                             ["127.0.0.1:%d" % port, "[::1]:%d" % port] if "[::1]" in out else ["127.0.0.1:%d" % port])
            with smtplib.LMTP("127.0.0.1", port) as client:
                self.assertEqual(client.ehlo("x")[0], 250)
            self.assertTrue(wait_for(lambda: server.process.poll() is None, "the server"))


if __name__ == "__main__":
    unittest.main()
