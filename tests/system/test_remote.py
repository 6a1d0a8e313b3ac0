"""remote by itself, between a queued that is played by the test (the messages of queue/job.h) and servers that are
played as well: which exchanger is tried when, what becomes of each recipient, which connections are used."""

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

import suite
from dns_server import Server as DnsServer
from smtp_server import SmtpServer

HELLO, RESOLVE, SITE, START, RESULT, DONE = 1, 2, 3, 4, 5, 6
SMTP, LMTP = 0, 1
STATUS = ("delivered", "deferred", "failed")
HEALTH = ("good", "trouble", "dead", "unknown")
CONTENT = b"Subject: Surat\r\n\r\nHalo!\r\n.\r\n..x\r\n"


def text(s):
    raw = s.encode() if isinstance(s, str) else s
    return struct.pack("=I", len(raw)) + raw


def number(n):
    return struct.pack("=Q", n)


class Reader:
    def __init__(self, packet):
        self.type, self.id = struct.unpack("=II", packet[:8])
        self.rest = packet[8:]

    def number(self):
        value, = struct.unpack("=Q", self.rest[:8])
        self.rest = self.rest[8:]
        return value

    def text(self):
        n, = struct.unpack("=I", self.rest[:4])
        value, self.rest = self.rest[4:4 + n], self.rest[4 + n:]
        return value.decode("latin-1")


class Result:
    def __init__(self, r):
        self.index, self.status = r.number(), STATUS[r.number()]
        self.code, self.reply, self.relay, self.tls, self.policy = r.text(), r.text(), r.text(), r.text(), r.text()
        self.dsn = bool(r.number())
        self.setup_ms, self.transfer_ms = r.number(), r.number()

    def __repr__(self):
        return "%d %s %s %r at %s" % (self.index, self.status, self.code, self.reply, self.relay)


class Remote:
    """The program with the test as its queued."""

    def __init__(self, dns, relay_port=25, **settings):
        self.directory = tempfile.mkdtemp(prefix="r", dir="/tmp")
        os.chmod(self.directory, 0o755)
        self.run = os.path.join(self.directory, "run")
        os.mkdir(self.run)
        for name in ("cache", "cache/mta-sts", "cache/tlsrpt"):
            os.mkdir(os.path.join(self.directory, name), 0o755 if name == "cache" else 0o700)
            if os.getuid() == 0 and suite.have_suite_users():
                shutil.chown(os.path.join(self.directory, name), "_remote")
        self.conf = os.path.join(self.directory, "merpati.conf")
        values = {"hostname": "satu.test", "run_directory": self.run, "relay_port": relay_port, "log": "stderr",
                  "resolvers": "%s:%d" % (dns.address, dns.port), "connect_timeout": "2s", "reply_timeout": "2s",
                  "final_reply_timeout": "2s", "cache_directory": os.path.join(self.directory, "cache")}
        values.update(settings)
        sections = values.pop("sections", "")
        with open(self.conf, "w") as f:
            f.write("".join("%s = %s\n" % item for item in values.items()) + sections)
        self.next_id = 0
        self.channel = None

    def __enter__(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(os.path.join(self.run, "queue"))
        os.chmod(os.path.join(self.run, "queue"), 0o666)
        self.listener.listen(8)
        self.listener.settimeout(10)
        self.log_file = open(os.path.join(self.directory, "log"), "wb")
        self.process = subprocess.Popen([os.path.join(suite.BIN, "remote"), "-c", self.conf], stdin=subprocess.DEVNULL,
                                        stdout=self.log_file, stderr=self.log_file)
        self.accept()
        return self

    def __exit__(self, kind, *unused):
        if self.channel:
            self.channel.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.listener.close()
            self.log_file.close()
            log = self.log()
            if kind is not None:
                print(log)
            shutil.rmtree(self.directory, ignore_errors=True)
        if "AddressSanitizer" in log or "runtime error" in log or "memory leaks" in log:
            raise AssertionError(log)

    def log(self):
        with open(os.path.join(self.directory, "log"), errors="replace") as f:
            return f.read()

    def accept(self):
        if self.channel:
            self.channel.close()
        self.channel, _ = self.listener.accept()
        self.channel.settimeout(15)
        hello = Reader(self.channel.recv(65536))
        assert hello.type == HELLO, hello.type
        assert hello.text() == "remote"
        self.capacity = hello.number()

    def receive(self):
        packet = self.channel.recv(65536)
        if not packet:
            raise AssertionError("remote closed the connection\n" + self.log())
        return Reader(packet)

    def resolve(self, next_hop, transport=SMTP):
        self.next_id += 1
        self.channel.send(struct.pack("=II", RESOLVE, self.next_id) + number(transport) + text(next_hop))
        site = self.receive()
        assert (site.type, site.id) == (SITE, self.next_id)
        return {"status": STATUS[site.number()], "key": site.text(), "security": site.text(), "ttl": site.number(),
                "code": site.text(), "reason": site.text()}

    def start(self, next_hop, recipients, content=CONTENT, transport=SMTP, sender="s@satu.test", flags=0, site="",
              pieces=None, size=None, priority=0, by_left_ms=0, ret="", envid="", orcpt=(), notify=(),
              route="", security="", messages=0):
        self.next_id += 1
        before = b"head of the queue file\n"
        pieces = pieces or [(len(before), len(content))]
        packet = struct.pack("=II", START, self.next_id) + number(transport) + text(next_hop) + text(route) + text(site)
        packet += text(security) + number(messages)
        packet += text("3Zb1QxLs5GzQ1t7B") + text(sender) + number(flags)
        packet += number(size if size is not None else sum(p[1] for p in pieces))
        packet += number(priority + 9) + struct.pack("=q", by_left_ms) + text(ret) + text(envid)
        packet += number(len(pieces)) + b"".join(number(offset) + number(length) for offset, length in pieces)
        for i, address in enumerate(recipients):
            packet += number(i * 10) + text(address) + text(orcpt[i] if orcpt else "")
            packet += text(notify[i] if notify else "")
        with tempfile.TemporaryFile() as f:
            f.write(before + content)
            f.flush()
            socket.send_fds(self.channel, [packet], [f.fileno()])
        return self.next_id

    def finish(self, *ids):
        """Waits for these jobs; {id: (results by index, health, reused)}."""
        results, done = {i: {} for i in ids}, {}
        while len(done) < len(ids):
            r = self.receive()
            if r.type == RESULT:
                result = Result(r)
                assert result.index not in results[r.id], "told twice: %r" % result
                results[r.id][result.index] = result
            else:
                assert r.type == DONE, r.type
                done[r.id] = (results[r.id], HEALTH[r.number()], bool(r.number()))
        return done

    def send(self, *args, **options):
        """One job to its end: (results in order, health, reused)."""
        job = self.start(*args, **options)
        results, health, reused = self.finish(job)[job]
        return [results[i] for i in sorted(results)], health, reused


class RemoteCase(unittest.TestCase):
    def setUp(self):
        self.dns = DnsServer().start()
        self.addCleanup(self.dns.stop)

    def servers(self, *addresses, **options):
        """One server for each address, all on one port; started."""
        port, sockets = suite.shared_port(list(addresses))
        for s in sockets:
            s.close()
        servers = [SmtpServer(address, port, **options).start() for address in addresses]
        for server in servers:
            self.addCleanup(server.stop)
        return servers

    def remote(self, port, **settings):
        remote = Remote(self.dns, port, **settings)
        remote.__enter__()
        self.addCleanup(remote.__exit__, None)
        return remote

    def two_exchangers(self):
        self.dns.add("dua.test", "MX", "10 mx1.dua.test", "20 mx2.dua.test")
        self.dns.add("mx1.dua.test", "A", "127.0.0.3")
        self.dns.add("mx2.dua.test", "A", "127.0.0.4")


class BlackHole:
    """An address that answers no SYN: a listener whose queue is full."""

    def __init__(self, address, port):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = socket.socket(family)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(0)
        self.fillers = []
        for _ in range(3):
            filler = socket.socket(family)
            filler.setblocking(False)
            filler.connect_ex((address, port))
            self.fillers.append(filler)
        time.sleep(0.05)

    def close(self):
        for s in self.fillers + [self.listener]:
            s.close()


class Race(RemoteCase):
    """RFC 8305."""

    def black_hole(self, address, port):
        hole = BlackHole(address, port)
        self.addCleanup(hole.close)

    def test_an_address_that_does_not_answer_costs_a_moment(self):
        self.dns.add("dua.test", "AAAA", "::1")
        self.dns.add("dua.test", "A", "127.0.0.3")
        (server,) = self.servers("127.0.0.3")
        self.black_hole("::1", server.port)
        remote = self.remote(server.port, connect_timeout="30s")
        begun = time.monotonic()
        (result,), health, _ = remote.send("dua.test", ["lama@dua.test"])
        self.assertEqual((result.status, health), ("delivered", "good"))
        self.assertTrue(0.2 < time.monotonic() - begun < 15)
        self.assertEqual(len(server.sessions), 1)

    def test_whoever_is_connected_first_goes_on_alone(self):
        for address in ("127.0.0.3", "127.0.0.4", "127.0.0.5"):
            self.dns.add("dua.test", "A", address)
        servers = self.servers("127.0.0.3", "127.0.0.4", "127.0.0.5")
        remote = self.remote(servers[0].port)
        for server in servers:
            server.replies[""] = lambda _: time.sleep(0.6) or "220 slow"
        remote.send("dua.test", ["lama@dua.test"])
        self.assertEqual(sum(len(server.sessions) for server in servers), 1)

    def test_who_lost_has_another_turn_when_the_winner_is_not_ready(self):
        self.dns.add("dua.test", "AAAA", "::1")
        self.dns.add("dua.test", "A", "127.0.0.3")
        (server,) = self.servers("127.0.0.3")
        server.replies[""] = "450 4.3.2 busy"
        self.black_hole("::1", server.port)
        remote = self.remote(server.port, connect_timeout="1s")
        (result,), health, _ = remote.send("dua.test", ["lama@dua.test"])
        self.assertEqual((result.status, health, len(server.sessions)), ("deferred", "dead", 1))
        self.assertIn("connect to dua.test[::1]:%d: Connection timed out" % server.port, remote.log())

    def test_the_next_exchanger_is_asked_after_some_patience(self):
        self.two_exchangers()
        mx2, = self.servers("127.0.0.4")
        self.black_hole("127.0.0.3", mx2.port)
        remote = self.remote(mx2.port, connect_timeout="30s")
        begun = time.monotonic()
        (result,), _, _ = remote.send("dua.test", ["lama@dua.test"])
        self.assertEqual(result.status, "delivered")
        self.assertTrue(4.5 < time.monotonic() - begun < 20)


class Exchangers(RemoteCase):
    def test_the_best_exchanger_is_tried_first(self):
        self.two_exchangers()
        mx1, mx2 = self.servers("127.0.0.3", "127.0.0.4")
        remote = self.remote(mx1.port)
        (result,), health, reused = remote.send("dua.test", ["lama@dua.test"])
        self.assertEqual((result.status, result.code, result.reply), ("delivered", "2.0.0", "250 2.0.0 taken"))
        self.assertEqual(result.relay, "mx1.dua.test[127.0.0.3]:%d" % mx1.port)
        self.assertEqual((health, reused), ("good", False))
        self.assertEqual(mx1.messages[0].content, CONTENT)
        self.assertEqual(mx1.messages[0].sender, "s@satu.test")
        self.assertEqual(mx1.faults, [])
        self.assertEqual(mx2.sessions, [])

    def test_when_it_refuses_the_next_one_gets_the_mail(self):
        self.two_exchangers()
        mx1, mx2 = self.servers("127.0.0.3", "127.0.0.4")
        mx1.stop()
        remote = self.remote(mx2.port)
        (result,), health, _ = remote.send("dua.test", ["lama@dua.test"])
        self.assertEqual((result.status, health), ("delivered", "good"))
        self.assertEqual(result.relay, "mx2.dua.test[127.0.0.4]:%d" % mx2.port)
        self.assertIn("connect to mx1.dua.test[127.0.0.3]:%d: Connection refused" % mx2.port, remote.log())

    def test_a_greeting_or_ehlo_that_puts_off_leads_to_the_next_one(self):
        for replies in ({"": "450 4.3.2 busy"}, {"": "554 no SMTP here"}, {"": None}, {"": "421 shutting down"},
                        {"": "hello"}, {"EHLO": "421 4.7.0 later"}, {"EHLO": None},
                        {"EHLO": "550 no", "HELO": "550 no"}):
            with self.subTest(replies=replies):
                self.two_exchangers()
                mx1, mx2 = self.servers("127.0.0.3", "127.0.0.4")
                mx1.replies = replies
                with Remote(self.dns, mx1.port) as remote:
                    (result,), health, _ = remote.send("dua.test", ["lama@dua.test"])
                self.assertEqual((result.status, health), ("delivered", "good"))
                self.assertEqual(len(mx2.messages), 1)
                self.dns.clear("dua.test")
                self.dns.clear("mx1.dua.test")
                self.dns.clear("mx2.dua.test")

    def test_with_both_away_the_mail_waits(self):
        self.two_exchangers()
        mx1, mx2 = self.servers("127.0.0.3", "127.0.0.4")
        mx1.stop()
        mx2.stop()
        remote = self.remote(mx1.port)
        (result,), health, _ = remote.send("dua.test", ["lama@dua.test"])
        self.assertEqual((result.status, result.code, health), ("deferred", "4.4.1", "dead"))
        self.assertEqual(result.reply, "connect to mx2.dua.test[127.0.0.4]:%d: Connection refused" % mx1.port)
        mx2.start()
        (result,), health, _ = remote.send("dua.test", ["lama@dua.test"])
        self.assertEqual((result.status, health), ("delivered", "good"))

    def test_only_when_all_refuse_for_good_the_mail_fails(self):
        self.two_exchangers()
        mx1, mx2 = self.servers("127.0.0.3", "127.0.0.4")
        mx1.replies[""] = mx2.replies[""] = "554 5.7.1 no SMTP here"
        remote = self.remote(mx1.port)
        (result,), health, _ = remote.send("dua.test", ["lama@dua.test"])
        self.assertEqual((result.status, result.code, result.reply), ("failed", "5.7.1", "554 5.7.1 no SMTP here"))
        mx1.stop()
        (result,), health, _ = remote.send("dua.test", ["lama@dua.test"])
        self.assertEqual((result.status, health), ("deferred", "dead"))

    def test_equals_share_the_mail(self):
        self.dns.add("dua.test", "MX", "10 mx1.dua.test", "10 mx2.dua.test")
        self.dns.add("mx1.dua.test", "A", "127.0.0.3")
        self.dns.add("mx2.dua.test", "A", "127.0.0.4")
        mx1, mx2 = self.servers("127.0.0.3", "127.0.0.4")
        remote = self.remote(mx1.port, connection_reuse="0")
        for _ in range(40):
            remote.send("dua.test", ["lama@dua.test"])
        self.assertEqual(len(mx1.messages) + len(mx2.messages), 40)
        self.assertGreater(len(mx1.messages), 5)
        self.assertGreater(len(mx2.messages), 5)

    def test_all_addresses_of_a_host_are_tried(self):
        self.dns.add("dua.test", "MX", "10 mx1.dua.test")
        self.dns.add("mx1.dua.test", "A", "127.0.0.3", "127.0.0.4", "127.0.0.5")
        self.dns.add("mx1.dua.test", "AAAA", "::1")
        servers = self.servers("127.0.0.3", "127.0.0.4", "127.0.0.5")
        servers[0].stop()
        servers[1].stop()
        remote = self.remote(servers[0].port)
        (result,), _, _ = remote.send("dua.test", ["lama@dua.test"])
        self.assertEqual(result.relay, "mx1.dua.test[127.0.0.5]:%d" % servers[0].port)
        self.assertIn("connect to mx1.dua.test[::1]:%d" % servers[0].port, remote.log())

    def test_ipv6_is_spoken(self):
        self.dns.add("dua.test", "AAAA", "::1")
        (server,) = self.servers("::1")
        remote = self.remote(server.port)
        (result,), _, _ = remote.send("dua.test", ["lama@dua.test"])
        self.assertEqual((result.status, result.relay), ("delivered", "dua.test[::1]:%d" % server.port))

    def test_without_mx_the_domain_itself_is_the_exchanger(self):
        self.dns.add("dua.test", "A", "127.0.0.3")
        (server,) = self.servers("127.0.0.3")
        remote = self.remote(server.port)
        self.assertEqual(remote.resolve("dua.test")["key"], "dua.test")
        (result,), _, _ = remote.send("dua.test", ["lama@dua.test"])
        self.assertEqual((result.status, result.relay), ("delivered", "dua.test[127.0.0.3]:%d" % server.port))

    def test_literals_and_hosts_in_brackets(self):
        self.dns.add("dua.test", "MX", "10 nowhere.test")
        self.dns.add("dua.test", "A", "127.0.0.3")
        (server,) = self.servers("127.0.0.3")
        remote = self.remote(25)
        for next_hop in ("[127.0.0.3]:%d", "[dua.test]:%d"):
            (result,), _, _ = remote.send(next_hop % server.port, ["lama@x"])
            self.assertEqual(result.status, "delivered")
        self.assertEqual(remote.resolve("[127.0.0.3]")["key"], "[127.0.0.3]")

    def test_verdicts_of_dns(self):
        self.dns.add("null.test", "MX", "0 .")
        self.dns.add("self.test", "MX", "10 satu.test", "20 mx2.self.test")
        self.dns.add("backup.test", "MX", "10 mx1.backup.test", "20 satu.test", "30 mx3.backup.test")
        self.dns.add("mx1.backup.test", "A", "127.0.0.3")
        self.dns.add("mx3.backup.test", "A", "127.0.0.4")
        self.dns.add("servfail.test", "SERVFAIL")
        self.dns.add("noaddress.test", "TXT", "x")
        self.dns.add("badmx.test", "MX", "10 missing.badmx.test")
        self.dns.add("tempmx.test", "MX", "10 servfail.test")
        one, three = self.servers("127.0.0.3", "127.0.0.4")
        one.stop()
        remote = self.remote(one.port)
        rows = (("null.test", "failed", "5.1.10"), ("self.test", "failed", "5.4.6"), ("none.test", "failed", "5.1.2"),
                ("servfail.test", "deferred", "4.4.3"), ("a..b", "failed", "5.1.2"), ("[", "failed", "5.1.3"))
        for domain, status, code in rows:
            with self.subTest(domain=domain):
                site = remote.resolve(domain)
                self.assertEqual((site["status"], site["code"], site["key"]), (status, code, ""))
                (result,), health, _ = remote.send(domain, ["x@" + domain])
                self.assertEqual((result.status, result.code, health), (status, code, "unknown"))
        for domain, status, code in (("noaddress.test", "failed", "5.1.2"), ("badmx.test", "failed", "5.4.4"),
                                     ("tempmx.test", "deferred", "4.4.3")):
            with self.subTest(domain=domain):
                (result,), health, _ = remote.send(domain, ["x@" + domain])
                self.assertEqual((result.status, result.code, health), (status, code, "unknown"))
        # As a backup we give the mail to the better ones only.
        (result,), _, _ = remote.send("backup.test", ["x@backup.test"])
        self.assertEqual((result.status, result.code), ("deferred", "4.4.1"))
        self.assertEqual(three.sessions, [])

    def test_nothing_is_sent_to_where_we_listen_ourselves(self):
        self.dns.add("dua.test", "MX", "10 mx1.dua.test", "20 mx2.dua.test", "30 mx3.dua.test")
        self.dns.add("mx1.dua.test", "A", "127.0.0.3")
        self.dns.add("mx2.dua.test", "A", "127.0.0.4")
        self.dns.add("mx3.dua.test", "A", "127.0.0.5")
        one, two, three = self.servers("127.0.0.3", "127.0.0.4", "127.0.0.5")
        listener = "[listener mx]\nkind = mx\naddress = 127.0.0.4\nport = %d\n" % one.port
        remote = self.remote(one.port, sections=listener, connection_reuse="0")
        (result,), _, _ = remote.send("dua.test", ["x@dua.test"])
        self.assertEqual(result.status, "delivered")
        one.stop()
        (result,), _, _ = remote.send("dua.test", ["x@dua.test"])
        self.assertEqual((result.status, result.code), ("deferred", "4.4.1"))
        (result,), _, _ = remote.send("[127.0.0.4]", ["x@[127.0.0.4]"])
        self.assertEqual((result.status, result.code), ("failed", "5.4.6"))
        self.assertEqual(two.sessions + three.sessions, [])

    def test_domains_with_the_same_exchangers_are_one_site(self):
        self.dns.add("a.test", "MX", "10 mx1.dua.test", "20 mx2.dua.test")
        self.dns.add("b.test", "MX", "10 MX2.dua.test", "10 mx1.dua.test", ttl=300)
        remote = self.remote(25)
        self.assertEqual(remote.resolve("a.test")["key"], "mx1.dua.test mx2.dua.test")
        site = remote.resolve("b.test")
        self.assertEqual((site["status"], site["key"], site["ttl"]), ("delivered", "mx1.dua.test mx2.dua.test", 300))


class Conversations(RemoteCase):
    def setUp(self):
        super().setUp()
        self.dns.add("dua.test", "MX", "10 mx1.dua.test")
        self.dns.add("mx1.dua.test", "A", "127.0.0.3")

    def test_each_recipient_has_its_own_verdict(self):
        (server,) = self.servers("127.0.0.3")
        answers = {"b@dua.test": "450 4.2.0 later", "c@dua.test": "550 5.1.1 no such user"}
        server.replies["RCPT"] = lambda argument: answers.get(argument[4:-1], "250 ok")
        remote = self.remote(server.port)
        results, health, _ = remote.send("dua.test", [x + "@dua.test" for x in "abcd"])
        self.assertEqual([r.status for r in results], ["delivered", "deferred", "failed", "delivered"])
        self.assertEqual([r.index for r in results], [0, 10, 20, 30])
        self.assertEqual(results[2].reply, "550 5.1.1 no such user")
        self.assertEqual(health, "good")
        self.assertEqual(server.messages[0].recipients, ["a@dua.test", "d@dua.test"])

    def test_recipients_that_are_too_many_come_in_further_transactions(self):
        (server,) = self.servers("127.0.0.3")
        session_count = lambda: len(server.sessions[-1].recipients)
        server.replies["RCPT"] = lambda argument: "452 4.5.3 too many" if session_count() >= 2 else "250 ok"
        remote = self.remote(server.port)
        results, health, _ = remote.send("dua.test", ["%d@dua.test" % i for i in range(7)])
        self.assertEqual([r.status for r in results], ["delivered"] * 7)
        self.assertEqual([len(m.recipients) for m in server.messages], [2, 2, 2, 1])
        self.assertEqual(len(server.sessions), 1)

    def test_a_connection_serves_further_messages(self):
        (server,) = self.servers("127.0.0.3")
        remote = self.remote(server.port, connection_reuse="1s")
        self.assertFalse(remote.send("dua.test", ["a@dua.test"])[2])
        for _ in range(5):
            (result,), health, reused = remote.send("dua.test", ["a@dua.test"])
            self.assertEqual((result.status, result.setup_ms, reused), ("delivered", 0, True))
        self.assertEqual((len(server.sessions), len(server.messages)), (1, 6))
        self.assertTrue(server.sessions[0].ended.wait(5))
        self.assertEqual(server.sessions[0].commands[-1], "QUIT")

    def test_a_connection_in_use_is_waited_for_rather_than_another_opened(self):
        (server,) = self.servers("127.0.0.3")
        remote = self.remote(server.port)
        for attempt in range(20):  # on a machine that has much to do the wait may be too short
            before, site = len(server.sessions), "site%d" % attempt
            jobs = [remote.start("dua.test", ["a@dua.test"], site=site) for _ in range(2)]
            for results, health, _ in remote.finish(*jobs).values():
                self.assertEqual((results[0].status, health), ("delivered", "good"))
            if len(server.sessions) == before + 1:
                return
        self.fail("each message had a connection of its own")

    def test_who_would_wait_long_has_its_own(self):
        (server,) = self.servers("127.0.0.3")
        server.replies["."] = lambda _: suite.wait_for(lambda: len(server.sessions) > 1, "a second session") and "250 ok"
        remote = self.remote(server.port, final_reply_timeout="1m")
        jobs = [remote.start("dua.test", ["a@dua.test"]) for _ in range(2)]
        for results, health, _ in remote.finish(*jobs).values():
            self.assertEqual((results[0].status, health), ("delivered", "good"))

    def test_who_waited_for_a_server_that_is_away_goes_to_look_for_itself(self):
        (server,) = self.servers("127.0.0.3")
        server.stop()
        remote = self.remote(server.port)
        jobs = [remote.start("dua.test", ["a@dua.test"]) for _ in range(3)]
        for results, health, _ in remote.finish(*jobs).values():
            self.assertEqual((results[0].status, results[0].code, health), ("deferred", "4.4.1", "dead"))

    def test_idle_connections_make_room_for_new_ones(self):
        (server,) = self.servers("127.0.0.3")
        remote = self.remote(server.port, connection_reuse="30s", remote_connections=3)
        for name in ("a", "b", "c", "d", "e"):
            self.dns.add(name + ".test", "A", "127.0.0.3")
            remote.send(name + ".test", ["x@%s.test" % name])
        suite.wait_for(lambda: sum(s.ended.is_set() for s in server.sessions) == 2, "the end of two sessions")
        time.sleep(0.1)
        self.assertEqual([s.ended.is_set() for s in server.sessions], [True, True, False, False, False])

    def test_a_connection_is_shared_by_site(self):
        (server,) = self.servers("127.0.0.3")
        self.dns.add("b.test", "MX", "10 mx1.dua.test")
        self.dns.add("c.test", "A", "127.0.0.3")
        remote = self.remote(server.port)
        key = remote.resolve("dua.test")["key"]
        remote.send("dua.test", ["a@dua.test"], site=key)
        self.assertTrue(remote.send("b.test", ["a@b.test"], site=key)[2])
        self.assertFalse(remote.send("c.test", ["a@c.test"], site="c.test")[2])

    def test_a_kept_connection_that_has_gone_is_replaced(self):
        (server,) = self.servers("127.0.0.3")
        remote = self.remote(server.port)
        for how in ("closed", "421", "closed at MAIL"):
            with self.subTest(how=how):
                server.replies = {}
                self.assertEqual(remote.send("dua.test", ["a@dua.test"])[0][0].status, "delivered")
                connection = server.sessions[-1].connection
                if how == "closed at MAIL":
                    server.replies["MAIL"] = [None, "250 ok"]
                elif how == "421":
                    connection.sendall(b"421 4.4.2 idle\r\n")
                    time.sleep(0.1)
                else:
                    connection.shutdown(socket.SHUT_RDWR)
                (result,), health, _ = remote.send("dua.test", ["a@dua.test"])
                self.assertEqual((result.status, health), ("delivered", "good"))

    def test_many_jobs_at_a_time(self):
        (server,) = self.servers("127.0.0.3")
        remote = self.remote(server.port)
        jobs = [remote.start("dua.test", ["%d@dua.test" % i]) for i in range(100)]
        done = remote.finish(*jobs)
        self.assertTrue(all(results[0].status == "delivered" for results, _, _ in done.values()))
        self.assertEqual(len(server.messages), 100)
        self.assertEqual(server.faults, [])

    def test_more_jobs_than_it_takes_end_the_connection_with_queued(self):
        (server,) = self.servers("127.0.0.3")
        server.replies["EHLO"] = lambda argument: time.sleep(1) or "250 ok"
        remote = self.remote(server.port, remote_connections=3)
        self.assertEqual(remote.capacity, 3)
        for i in range(4):
            remote.start("dua.test", ["a@dua.test"])
        with self.assertRaises((AssertionError, OSError)):
            remote.receive()
        remote.accept()

    def test_a_server_that_does_not_answer_is_left(self):
        (server,) = self.servers("127.0.0.3")
        rows = (("", "waiting for the greeting", "dead"), ("EHLO", "waiting for the reply to EHLO", "dead"),
                ("MAIL", "waiting for the reply to MAIL", "trouble"),
                (".", "waiting for the reply to the message", "trouble"))
        remote = self.remote(server.port, reply_timeout="300ms", final_reply_timeout="300ms", connect_timeout="300ms",
                             connection_reuse="0")
        for verb, words, health in rows:
            with self.subTest(verb=verb):
                server.replies = {verb: lambda argument: time.sleep(1)}
                (result,), found, _ = remote.send("dua.test", ["a@dua.test"])
                self.assertEqual((result.status, result.code, found), ("deferred", "4.4.2", health))
                self.assertIn(words, result.reply)

    def test_a_server_that_lets_its_reply_drip_is_left(self):
        listener = suite.listening_socket("127.0.0.3")
        self.addCleanup(listener.close)

        def drip():
            connection = listener.accept()[0]
            with connection, contextlib.suppress(OSError):
                for byte in b"220-dua.test\r\n" * 20:
                    connection.sendall(bytes([byte]))
                    time.sleep(0.1)
        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        remote = self.remote(listener.getsockname()[1], reply_timeout="500ms", connect_timeout="500ms")
        begin = time.monotonic()
        (result,), _, _ = remote.send("[127.0.0.3]", ["lama@dua.test"])
        self.assertEqual(result.status, "deferred")
        self.assertLess(time.monotonic() - begin, 15)
        thread.join()

    def test_a_lost_connection_defers(self):
        (server,) = self.servers("127.0.0.3")
        remote = self.remote(server.port, connection_reuse="0")
        for verb in ("MAIL", "RCPT", "DATA", "."):
            with self.subTest(verb=verb):
                server.replies = {verb: None}
                (result,), health, _ = remote.send("dua.test", ["a@dua.test"])
                self.assertEqual((result.status, result.code, health), ("deferred", "4.4.2", "trouble"))
                self.assertIn("lost connection with mx1.dua.test[127.0.0.3]", result.reply)

    def test_a_large_message_of_many_pieces(self):
        (server,) = self.servers("127.0.0.3")
        remote = self.remote(server.port)
        content = b"".join(b".%07d%s\r\n" % (i, b"x" * (i % 90)) for i in range(200000))
        third = len(content) // 3
        offset = len(b"head of the queue file\n")
        pieces = [(offset, third), (offset + third, 0), (offset + third, third),
                  (offset + 2 * third, len(content) - 2 * third)]
        (result,), _, _ = remote.send("dua.test", ["a@dua.test"], content=content, pieces=pieces)
        self.assertEqual(result.status, "delivered")
        self.assertEqual(server.messages[0].content, content)
        (result,), _, _ = remote.send("dua.test", ["a@dua.test"], content=content, pieces=[pieces[3], pieces[0]])
        # The last line was cut by its piece: it gets the end that it lacks.
        self.assertEqual(server.messages[1].content, content[2 * third:] + content[:third] + b"\r\n")

    def test_what_is_sent_has_no_bare_line_ends(self):
        (server,) = self.servers("127.0.0.3")
        remote = self.remote(server.port)
        (result,), _, _ = remote.send("dua.test", ["a@dua.test"], content=b"a\nb\rc\r\n\n.\nd\r.\r\r\n.\r\nend")
        self.assertEqual(result.status, "delivered")
        self.assertEqual(server.faults, [])
        self.assertEqual(len(server.messages), 1)
        self.assertIn(b"\r\nend\r\n", server.messages[0].content)

    def test_a_message_that_cannot_be_read_is_never_ended(self):
        (server,) = self.servers("127.0.0.3")
        remote = self.remote(server.port)
        for server.features in (["8BITMIME"], []):  # also before it would be converted
            (result,), health, _ = remote.send("dua.test", ["a@dua.test"], pieces=[(0, 1000000)], flags=1)
            self.assertEqual((result.status, result.code, health), ("deferred", "4.3.0", "unknown"))
        self.assertEqual(server.messages, [])

    def test_eight_bits_only_where_they_are_taken(self):
        (server,) = self.servers("127.0.0.3", features=("PIPELINING",))
        remote = self.remote(server.port, connection_reuse="0", downconvert="no")
        (result,), _, _ = remote.send("dua.test", ["a@dua.test"], flags=1)
        self.assertEqual((result.status, result.code), ("failed", "5.6.3"))
        server.features = ["8BITMIME"]
        (result,), _, _ = remote.send("dua.test", ["a@dua.test"], flags=1, content=b"\xc3\xa9\r\n")
        self.assertEqual((result.status, server.messages[0].content), ("delivered", b"\xc3\xa9\r\n"))

    def test_addresses_cannot_smuggle_commands(self):
        (server,) = self.servers("127.0.0.3")
        remote = self.remote(server.port)
        results, _, _ = remote.send("dua.test", ["a@dua.test> SIZE=1", "b@dua.test"])
        self.assertEqual([r.status for r in results], ["failed", "delivered"])
        remote.start("dua.test", ["a@dua.test\r\nRSET"])
        with self.assertRaises((AssertionError, OSError)):
            remote.receive()
        remote.accept()
        self.assertFalse(any("SIZE=1" in c or c == "RSET" for c in server.commands()))


class Tls(RemoteCase):
    def setUp(self):
        super().setUp()
        self.dns.add("dua.test", "A", "127.0.0.3")

    def test_tls_is_used_when_it_is_offered(self):
        (server,) = self.servers("127.0.0.3", tls=True)
        remote = self.remote(server.port)
        (result,), _, _ = remote.send("dua.test", ["a@dua.test"], content=CONTENT * 20000)
        self.assertEqual(result.status, "delivered")
        self.assertRegex(result.tls, r"^TLSv1\.3 with TLS_")
        self.assertTrue(server.sessions[0].secured)
        self.assertEqual([c.split()[0] for c in server.sessions[0].commands][:4], ["EHLO", "STARTTLS", "EHLO", "MAIL"])
        self.assertEqual(server.messages[0].content, CONTENT * 20000)

    def test_bytes_between_starttls_and_the_handshake_end_it(self):
        (server,) = self.servers("127.0.0.3", tls=True)
        remote = self.remote(server.port)
        server.replies["STARTTLS"] = "220 go\n250 and this was put there"
        (result,), _, _ = remote.send("dua.test", ["a@dua.test"])
        self.assertEqual((result.status, result.code), ("deferred", "4.7.0"))
        self.assertEqual(server.messages, [])

    def test_a_broken_handshake_is_followed_by_plain(self):
        class Broken:
            def wrap_socket(self, connection, server_side):
                connection.recv(1)
                raise OSError("no TLS after all")

        (server,) = self.servers("127.0.0.3", tls=True)
        remote = self.remote(server.port)
        server.tls = Broken()
        (result,), _, _ = remote.send("dua.test", ["a@dua.test"])
        self.assertEqual((result.status, result.tls), ("delivered", ""))
        self.assertEqual(len(server.sessions), 2)
        self.assertFalse(any(c == "STARTTLS" for c in server.sessions[1].commands))

    def test_starttls_refused_goes_on_in_plain(self):
        (server,) = self.servers("127.0.0.3", tls=True)
        server.replies["STARTTLS"] = "454 4.7.0 not now"
        remote = self.remote(server.port)
        (result,), _, _ = remote.send("dua.test", ["a@dua.test"])
        self.assertEqual((result.status, result.tls, len(server.sessions)), ("delivered", "", 1))


class Local(RemoteCase):
    def test_lmtp_over_the_socket(self):
        remote = self.remote(25)
        path = os.path.join(remote.run, "lmtp")
        server = SmtpServer(path=path, lmtp=True).start()
        self.addCleanup(server.stop)
        os.chmod(path, 0o666)
        server.replies["."] = lambda address: "452 4.2.2 full" if address.startswith("b") else "250 2.1.5 in the box"
        results, health, _ = remote.send("lmtp", ["a@satu.test", "b@satu.test", "c@satu.test"], transport=LMTP)
        self.assertEqual([r.status for r in results], ["delivered", "deferred", "delivered"])
        self.assertEqual((results[1].reply, results[0].relay, health), ("452 4.2.2 full", "lmtp", "good"))
        self.assertEqual(server.commands()[0], "LHLO satu.test")
        self.assertTrue(remote.send("lmtp", ["a@satu.test"], transport=LMTP)[2])

    def test_deliver_away(self):
        remote = self.remote(25)
        (result,), health, _ = remote.send("lmtp", ["a@satu.test"], transport=LMTP)
        self.assertEqual((result.status, result.code, health), ("deferred", "4.4.1", "dead"))
        self.assertEqual(remote.resolve("lmtp", LMTP)["key"], "lmtp")


class Life(RemoteCase):
    def setUp(self):
        super().setUp()
        self.dns.add("dua.test", "A", "127.0.0.3")

    def test_it_comes_back_to_a_queued_that_restarts(self):
        (server,) = self.servers("127.0.0.3")
        remote = self.remote(server.port)
        server.replies["EHLO"] = [lambda argument: time.sleep(1) or "250 ok", "250 ok"]
        remote.start("dua.test", ["a@dua.test"])
        time.sleep(0.2)
        remote.channel.close()
        remote.accept()
        (result,), _, _ = remote.send("dua.test", ["b@dua.test"])
        self.assertEqual(result.status, "delivered")
        self.assertEqual([m.recipients for m in server.messages], [["b@dua.test"]])

    def test_sigterm_lets_what_is_under_way_finish(self):
        (server,) = self.servers("127.0.0.3")
        remote = self.remote(server.port)
        server.replies["."] = lambda argument: time.sleep(1) or "250 ok"
        job = remote.start("dua.test", ["a@dua.test"])
        suite.wait_for(lambda: "DATA" in server.commands(), "DATA")
        remote.process.terminate()
        hello = remote.receive()
        self.assertEqual((hello.type, hello.text(), hello.number()), (HELLO, "remote", 0))
        results, _, _ = remote.finish(job)[job]
        self.assertEqual(results[0].status, "delivered")
        remote.channel.close()
        remote.channel = None
        self.assertEqual(remote.process.wait(5), 0)

    def test_a_worker_that_is_killed_is_back_soon(self):
        remote = self.remote(25)
        children = subprocess.run(["pgrep", "-P", str(remote.process.pid)], stdout=subprocess.PIPE, text=True)
        begun = time.monotonic()
        os.kill(int(children.stdout.split()[0]), 9)
        remote.accept()
        self.assertLess(time.monotonic() - begun, 5)


if __name__ == "__main__":
    unittest.main()
