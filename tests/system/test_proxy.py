"""Who the client is when a proxy stands in front: the PROXY protocol, XCLIENT, XFORWARD."""

import base64
import socket
import ssl
import struct
import unittest

from suite import PASSWORD, Case, Instance, wait_for
from test_smuggling import Wire

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def version1(client="192.0.2.1", port=4711):
    return b"PROXY TCP4 %s 198.51.100.2 %d 25\r\n" % (client.encode(), port)


def version2(client="192.0.2.1", port=4711, tlvs=b"\x04\0\x03abc"):
    body = socket.inet_aton(client) + socket.inet_aton("198.51.100.2") + struct.pack("!HH", port, 25) + tlvs
    return SIGNATURE + b"\x21\x11" + struct.pack("!H", len(body)) + body


class Server(Case):
    settings = {"greet_pause": "0", "client_names": "no"}
    options = {}

    @classmethod
    def setUpClass(cls):
        cls.server = Instance("satu.test", "127.0.0.2", settings=cls.settings, listener_options=cls.options)
        cls.server.__enter__()
        cls.lama = cls.server.add_user("lama")

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def line(self, kind="mx", before=b""):
        wire = Wire((self.server.address, self.server.ports[kind]))
        self.addCleanup(wire.close)
        wire.send(before)
        return wire

    def ask(self, wire, line, expected):
        reply = wire.ask(line)
        self.assertRegex(reply.decode(), "(?s)^" + expected, line)
        return reply

    def assert_stranger(self, wire):
        self.ask(wire, b"EHLO x.test", "250")
        self.ask(wire, b"MAIL FROM:<a@b.test>", "250")
        self.ask(wire, b"RCPT TO:<a@luar.test>", "554 5.7.1")


class ProxyProtocol(Server):
    options = {kind: "proxy_networks = 127.0.0.0/8\n" for kind in ("mx", "submissions")}

    def test_the_header_says_who_the_client_is(self):
        for number, header in enumerate((version1("192.0.2.1"), version2("192.0.2.2"), version2("192.0.2.3", tlvs=b""))):
            wire = self.line(before=header)
            self.assertRegex(wire.reply(), rb"^220 satu\.test")
            self.assert_stranger(wire)
            self.server.wait_log(r"connect from unknown\[192\.0\.2\.%d\]" % (number + 1))

    def test_the_letter_shows_it(self):
        wire = self.line(before=version2("2.2.2.2"))
        wire.reply()
        for line, expected in ((b"EHLO x.test", "250"), (b"MAIL FROM:<a@b.test>", "250"),
                               (b"RCPT TO:<%s>" % self.lama.encode(), "250"), (b"DATA", "354"), (b"Subject: x\r\n\r\nx\r\n.", "250")):
            self.ask(wire, line, expected)
        self.assertIn(b"Received: from x.test (unknown [2.2.2.2])", self.server.wait_letters(self.lama)[-1])

    def test_every_cut_of_a_header_is_one_header(self):
        for header in (version1(), version2()):
            for cut in range(1, len(header)):
                wire = Wire((self.server.address, self.server.ports["mx"]))
                wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                wire.send(header[:cut])
                wire.send(header[cut:] + b"QUIT\r\n")
                self.assertRegex(wire.reply(), rb"^220 ", (header, cut))
                self.assertRegex(wire.reply(), rb"^221 ", (header, cut))
                wire.close()

    def test_tls_begins_right_behind_it(self):
        raw = socket.create_connection((self.server.address, self.server.ports["submissions"]), 10)
        self.addCleanup(raw.close)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        inside = self.server.tls_context().wrap_bio(incoming, outgoing)
        before = version2("192.0.2.9")

        def step(call, *words):
            nonlocal before
            while True:
                try:
                    return call(*words)
                except ssl.SSLWantReadError:
                    raw.sendall(before + outgoing.read())
                    before = b""
                    incoming.write(raw.recv(65536))
        step(inside.do_handshake)  # the header and the first message of the handshake leave together
        self.assertRegex(step(inside.read, 4096), rb"^220 satu\.test")
        secret = base64.b64encode(b"\0%s\0%s" % (self.lama.encode(), PASSWORD.encode()))
        inside.write(b"EHLO x.test\r\nAUTH PLAIN %s\r\n" % secret)
        raw.sendall(outgoing.read())
        found = b""
        while b"235 " not in found:
            found += step(inside.read, 4096)
        self.server.wait_log(r"submissions?/smtpd.*connect from unknown\[192\.0\.2\.9\]|connect from unknown\[192\.0\.2\.9\]")

    def test_without_a_header_there_is_nothing(self):
        for bytes_before in (b"EHLO x.test\r\n", b"PROXY TCP4 nobody\r\n", SIGNATURE + b"\x21\x11\0\0", b"\x16\x03\x01", version1()[:-2] + b"\n"):
            wire = self.line(before=bytes_before)
            self.assertEqual(wire.reply(), b"")
        self.server.wait_log(r"warning: no PROXY header from the proxy \[127\.0\.0\.\d\]: something else came")

    def test_a_proxy_may_speak_for_itself(self):
        for header in (b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x20\0\0\0"):
            wire = self.line(before=header)
            self.assertRegex(wire.reply(), rb"^220 ")
            self.ask(wire, b"EHLO x.test", "250")
            self.ask(wire, b"MAIL FROM:<a@b.test>", "250")
            self.ask(wire, b"RCPT TO:<a@luar.test>", "250")

    def test_elsewhere_the_header_is_a_bad_command(self):
        wire = self.line("submission", version1())
        self.assertRegex(wire.reply(), rb"^220 ")
        self.assertRegex(wire.reply(), rb"^5")


class Xclient(Server):
    settings = dict(Server.settings, xclient_hosts="127.0.0.0/8", xforward_hosts="127.0.0.0/8", networks="127.0.0.0/8 192.0.2.77")

    def test_the_session_begins_anew_with_the_client_named(self):
        wire = self.line()
        wire.reply()
        self.ask(wire, b"EHLO proxy.test", r".*\n250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT")
        self.ask(wire, b"XCLIENT ADDR=192.0.2.5 NAME=surat.b.test PORT=99 DESTADDR=198.51.100.2", "220 satu.test")
        self.ask(wire, b"MAIL FROM:<a@b.test>", "503")
        self.assert_stranger(wire)
        self.server.wait_log(r"reject: RCPT from surat\.b\.test\[192\.0\.2\.5\]: 554")
        self.ask(wire, b"RCPT TO:<%s>" % self.lama.encode(), "250")
        self.ask(wire, b"XCLIENT ADDR=192.0.2.6", "503")
        self.ask(wire, b"DATA", "354")
        self.ask(wire, b"Subject: x\r\n\r\nx\r\n.", "250")
        found = wait_for(lambda: [m for m in self.server.letters(self.lama) if b"Subject: x" in m], "the letter")
        self.assertIn(b"Received: from x.test (surat.b.test [192.0.2.5])", found[0])
        self.ask(wire, b"XCLIENT ADDR=192.0.2.77", "220")
        self.ask(wire, b"EHLO x.test", "250")
        self.ask(wire, b"MAIL FROM:<a@b.test>", "250")
        self.ask(wire, b"RCPT TO:<a@luar.test>", "250")

    def test_a_login_is_believed(self):
        wire = self.line()
        wire.reply()
        self.ask(wire, b"EHLO proxy.test", "250")
        self.ask(wire, b"XCLIENT ADDR=IPV6:2001:db8::5 LOGIN=%s HELO=klien" % self.lama.replace("+", "+2B").encode(), "220")
        self.ask(wire, b"EHLO x.test", "250")
        self.ask(wire, b"MAIL FROM:<%s>" % self.lama.encode(), "250")
        self.ask(wire, b"RCPT TO:<%s>" % self.lama.encode(), "250")
        self.ask(wire, b"DATA", "354")
        self.ask(wire, b"Subject: y\r\n\r\ny\r\n.", "250")
        self.server.wait_log(r"client=unknown\[2001:db8::5\], sasl_method=XCLIENT, sasl_username=lama@satu\.test")

    def test_nonsense_changes_nothing(self):
        wire = self.line()
        wire.reply()
        self.ask(wire, b"EHLO proxy.test", "250")
        for words in (b"ADDR=x", b"NAME=a_b..c", b"FOO=1", b"PORT=70000", b"ADDR", b"LOGIN=+"):
            self.ask(wire, b"XCLIENT " + words, "501 5.5.4")
        self.ask(wire, b"MAIL FROM:<a@b.test>", "250")
        self.ask(wire, b"RCPT TO:<a@luar.test>", "250")

    def test_xforward_is_in_the_log(self):
        wire = self.line()
        wire.reply()
        self.ask(wire, b"EHLO filter.test", r".*\n250-?.XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE|.*XFORWARD")
        self.ask(wire, b"XFORWARD NAME=asal.test ADDR=192.0.2.8", "250")
        self.ask(wire, b"XFORWARD IDENT=4Abc SOURCE=REMOTE", "250")
        self.ask(wire, b"MAIL FROM:<a@b.test>", "250")
        self.ask(wire, b"RCPT TO:<%s>" % self.lama.encode(), "250")
        self.ask(wire, b"DATA", "354")
        self.ask(wire, b"Subject: z\r\n\r\nz\r\n.", "250")
        self.server.wait_log(r"client=\S*\[127\.0\.0\.\d\], orig_queue_id=4Abc, orig_client=asal\.test\[192\.0\.2\.8\]")

    def test_others_are_not_offered_either(self):
        wire = Wire((self.server.address, self.server.ports["mx"]))
        self.addCleanup(wire.close)
        wire.reply()
        self.ask(wire, b"EHLO proxy.test", "250")
        self.ask(wire, b"XCLIENT ADDR=192.0.2.5", "220")
        reply = self.ask(wire, b"EHLO x.test", "250")
        self.assertIn(b"XCLIENT", reply)  # it is still the proxy that speaks


class Strangers(Server):
    def test_what_is_for_proxies_is_not_for_others(self):
        wire = self.line()
        wire.reply()
        self.assertNotIn(b"XCLIENT", self.ask(wire, b"EHLO x.test", "250"))
        self.ask(wire, b"XCLIENT ADDR=192.0.2.5", "502 5.5.1")
        self.ask(wire, b"XFORWARD ADDR=192.0.2.5", "502 5.5.1")


if __name__ == "__main__":
    unittest.main()
