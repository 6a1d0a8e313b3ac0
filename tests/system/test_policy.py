"""The policy: rules of the configuration, `merpati explain`, policy servers (our own, postgrey, policyd-spf), whose sender
is whose."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

from policy_server import PolicyServer
from suite import PASSWORD, Case, Dns, Instance, letter, wait_for
from test_smuggling import Wire
from test_tls import openssl

HERE = os.path.dirname(os.path.abspath(__file__))
STRANGERS = {"networks": "192.0.2.0/24", "smtpd_workers": 1, "smtpd_error_delay": "0"}


class ClientWire(Wire):
    """From an address of the test's choice."""

    def __init__(self, address, source="127.0.0.9"):
        self.socket = socket.create_connection(address, 10, (source, 0))
        self.socket.settimeout(20)
        self.pending = b""


class PolicyCase(Case):
    settings = STRANGERS
    sections = ""
    options = {}

    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.addClassCleanup(cls.stack.close)
        cls.prepare()
        cls.server = cls.stack.enter_context(Instance("satu.test", "127.0.0.2", settings=cls.settings, sections=cls.sections,
                                                      **cls.options))
        cls.lama = cls.server.add_user("lama")

    @classmethod
    def prepare(cls):
        pass

    def wire(self, source="127.0.0.9", helo="klien.test", kind="mx"):
        wire = ClientWire((self.server.address, self.server.ports[kind]), source)
        self.addCleanup(wire.close)
        self.assertTrue(wire.reply().startswith(b"220 "))
        self.assertTrue(wire.ask(b"EHLO " + helo.encode()).startswith(b"250"))
        return wire

    def rcpt(self, sender="a@asal.test", recipient=None, wire=None, **where):
        """The reply to RCPT."""
        wire = wire or self.wire(**where)
        reply = wire.ask(b"MAIL FROM:<%s>" % sender.encode())
        if not reply.startswith(b"250"):
            return reply.decode()
        return wire.ask(b"RCPT TO:<%s>" % (recipient or self.lama).encode()).decode()

    def send(self, sender="a@asal.test", subject="Surat", **where):
        """The reply to the end of the message."""
        wire = self.wire(**where)
        reply = self.rcpt(sender, wire=wire)
        self.assertTrue(reply.startswith("250"), reply)
        self.assertTrue(wire.ask(b"DATA").startswith(b"354"))
        return wire.ask(letter(sender, self.lama, subject) + b".").decode()

    def take_letters(self, count=1):
        found = self.server.wait_letters(self.lama, count)
        client = self.server.pop(self.lama)
        for i in range(client.stat()[0]):
            client.dele(i + 1)
        client.quit()
        return found


class Rules(PolicyCase):
    sections = """
[policy]
refuse 550 5.7.1 "we know you" when client is 127.0.0.66/32 and sender is *@spam.test
refuse "not from there" when client in blocked
defer 451 4.7.1 "not today" when helo is *.later.test
warn "an odd name" when helo is odd.test
slow 1s when helo is slow.test
tag "X-Tag: unencrypted" when tls is none and sender is not none
relay when recipient is *@customer.test
accept when sender is boss@* # who may not relay all the same
standard
"""

    @classmethod
    def prepare(cls):
        cls.settings = STRANGERS

    @classmethod
    def setUpClass(cls):
        directory = tempfile.mkdtemp(prefix="m", dir="/tmp")
        os.chmod(directory, 0o755)
        cls.blocked = os.path.join(directory, "blocked")
        cls.addClassCleanup(shutil.rmtree, directory, True)
        with open(cls.blocked, "w") as f:
            f.write("# who was here before\n127.0.0.128/25\n")
        cls.sections = Rules.sections.replace("in blocked", "in " + cls.blocked)
        super().setUpClass()

    CASES = (
        ("127.0.0.66", "x.test", "a@spam.test", "lama@satu.test", "550 5.7.1 <lama@satu.test>: we know you"),
        ("127.0.0.66", "x.test", "a@other.test", "lama@satu.test", "250 2.1.5 Ok"),
        ("127.0.0.67", "x.test", "a@spam.test", "lama@satu.test", "250 2.1.5 Ok"),
        ("127.0.0.200", "x.test", "a@b.test", "lama@satu.test", "554 5.7.1 <lama@satu.test>: not from there"),
        ("127.0.0.9", "a.LATER.test", "a@b.test", "lama@satu.test", "451 4.7.1 <lama@satu.test>: not today"),
        ("127.0.0.9", "x.test", "a@b.test", "c@customer.test", "250 2.1.5 Ok"),
        ("127.0.0.9", "x.test", "a@b.test", "c@sub.customer.test", "554 5.7.1 <c@sub.customer.test>: Relay access denied"),
        ("127.0.0.9", "x.test", "boss@satu.test", "c@d.test", "554 5.7.1 <c@d.test>: Relay access denied"),
        ("127.0.0.9", "x.test", "a@b.test", "tiada@satu.test",
         "550 5.1.1 <tiada@satu.test>: Recipient address rejected: User unknown"),
        ("127.0.0.9", "satu.test", "a@b.test", "lama@satu.test", "550 5.7.1 <lama@satu.test>: You are not me"),
        ("127.0.0.9", "x.test", "a@localhost", "lama@satu.test",
         "553 5.1.8 <lama@satu.test>: The sender needs a domain to which an answer can be sent"),
        ("127.0.0.9", "x.test", "", "lama@satu.test", "250 2.1.5 Ok"),
    )

    def test_the_first_rule_that_applies_decides(self):
        for client, helo, sender, recipient, expected in self.CASES:
            with self.subTest(client=client, sender=sender, recipient=recipient):
                self.assertEqual(self.rcpt(sender, recipient, source=client, helo=helo), expected)

    def test_explain_says_what_the_server_says(self):
        for client, helo, sender, recipient, expected in self.CASES:
            words = ["explain", "--client", client, "--helo", helo, "--from", sender or "<>", "--to", recipient]
            with self.subTest(words=words):
                found = json.loads(self.server.merpati(*words, "--json").stdout)
                self.assertEqual(found["reply"], expected)
                text = self.server.merpati(*words).stdout
                self.assertIn(expected, text)
                self.assertIn(found["decided_by"], text)
        found = json.loads(self.server.merpati("explain", "--client", "127.0.0.66", "--from", "a@spam.test", "--to", self.lama,
                                               "--json").stdout)
        with open(self.server.conf) as f:
            line = f.read().split("\n").index('refuse 550 5.7.1 "we know you" when client is 127.0.0.66/32 and sender is '
                                              '*@spam.test') + 1
        self.assertEqual(found["decided_by"], "%s:%d" % (self.server.conf, line))
        self.assertEqual(found["verdict"], "refused")

    def test_explain_knows_logins_and_listeners(self):
        def explain(*words):
            return json.loads(self.server.merpati("explain", "--client", "127.0.0.9", "--json", *words).stdout)
        self.assertEqual(explain("--from", self.lama, "--to", "c@d.test", "--login", self.lama)["verdict"], "accepted")
        found = explain("--from", "x@satu.test", "--to", "c@d.test", "--login", self.lama)
        self.assertEqual((found["stage"], found["reply"]),
                         ("MAIL", "553 5.7.1 Sender address rejected: not owned by user lama@satu.test"))
        self.assertEqual(explain("--from", "x@satu.test", "--to", "c@d.test", "--listener", "submission")["code"], 530)
        done = self.server.merpati("explain", "--client", "nonsense", "--from", "a@b.test", "--to", "c@d.test", check=False)
        self.assertEqual(done.returncode, 64)
        self.assertIn('"nonsense" is no IP address', done.stderr)

    def test_a_tag_stands_above_everything(self):
        self.assertRegex(self.send(), "^250 2.0.0 Ok: queued as ")
        message = self.take_letters()[0]
        head = message[message.index(b"X-Tag:"):]
        self.assertTrue(head.startswith(b"X-Tag: unencrypted\r\nReceived: from klien.test"), message)
        self.assertEqual(message.count(b"X-Tag"), 1)

    def test_slow_is_slow_and_a_warning_is_in_the_log(self):
        begin = time.monotonic()
        self.assertTrue(self.rcpt(helo="slow.test").startswith("250"))
        self.assertGreaterEqual(time.monotonic() - begin, 0.9)
        self.assertTrue(self.rcpt(helo="odd.test").startswith("250"))
        self.server.wait_log(r"NOQUEUE: warn: RCPT from unknown\[127\.0\.0\.9\]: <lama@satu\.test>: an odd name; from=<a@asal\.test>"
                             r" to=<lama@satu\.test> proto=ESMTP helo=<odd\.test>")

    def test_a_file_is_read_anew_at_a_reload(self):
        with open(self.blocked, "a") as f:
            f.write("127.0.0.77\n")
        self.assertTrue(self.rcpt(source="127.0.0.77").startswith("250"))
        self.server.merpati("reload", "-c", self.server.conf)
        wait_for(lambda: self.rcpt(source="127.0.0.77").startswith("554 5.7.1 <lama@satu.test>: not from there"), "the new list")

    def test_check_names_line_and_remedy(self):
        path = os.path.join(self.server.directory, "bad.conf")
        with open(self.server.conf) as f:
            text = f.read()
        with open(path, "w") as f:
            f.write(text + "[policy submission]\nrelay when sender is *@satu.test\nrefuse when client is unkown\n")
        line = text.count("\n") + 2
        done = self.server.merpati("check", "-c", path, check=False)
        self.assertNotEqual(done.returncode, 0)
        said = done.stdout + done.stderr
        self.assertIn("%s:%d: relay would open this host to strangers" % (path, line), said)
        self.assertIn('%s:%d: client: "unkown" is not known; it must be an address' % (path, line + 1), said)


class Facts(PolicyCase):
    """Names that DNS confirms, versions of TLS, client certificates, and the guard's greylist."""

    @classmethod
    def prepare(cls):
        dns = cls.stack.enter_context(Dns())
        dns.add("11.0.0.127.in-addr.arpa", "PTR", "mx.known.test")
        dns.add("mx.known.test", "A", "127.0.0.11")
        dns.add("12.0.0.127.in-addr.arpa", "PTR", "mx.known.test")  # and lies
        cls.directory = tempfile.mkdtemp(prefix="m", dir="/tmp")
        cls.stack.callback(shutil.rmtree, cls.directory, True)
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", cls.path("ca.key"), "-out", cls.path("ca.pem"),
                "-days", "30", "-subj", "/CN=authority")
        for name in ("partner", "other"):
            openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", cls.path(name + ".key"), "-out", cls.path(name + ".csr"),
                    "-subj", "/CN=mail.%s.test" % name)
            openssl("x509", "-req", "-in", cls.path(name + ".csr"), "-CA", cls.path("ca.pem"), "-CAkey", cls.path("ca.key"),
                    "-out", cls.path(name + ".pem"), "-days", "30", "-CAcreateserial")
        for name in ("pinned", "forged"):
            openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", cls.path(name + ".key"), "-out",
                    cls.path(name + ".pem"), "-days", "30", "-subj", "/CN=mail.partner.test")
        print_of = subprocess.run(["openssl", "x509", "-in", cls.path("pinned.pem"), "-noout", "-fingerprint", "-sha256"],
                                  check=True, stdout=subprocess.PIPE, text=True).stdout.strip().partition("=")[2]
        cls.settings = dict(STRANGERS, greylist_delay="1s", greylist_allow_after=0, greet_pause="0")
        cls.options = {"dns": dns, "listener_options": {
            "mx": "client_certificates = ask\nclient_ca = %s\n" % cls.path("ca.pem")}}
        cls.sections = """
[policy]
relay when certificate is (*.partner.test, %s)
refuse "no old TLS" when tls is TLSv1.2
refuse "only encrypted" when tls is none and sender is rahasia@*
refuse "an odd certificate" when certificate is known
refuse "we know you" when client is *.known.test
greylist when client is unknown and sender is baru@*
standard
""" % print_of

    @classmethod
    def path(cls, name):
        return os.path.join(cls.directory, name)

    def secured(self, certificate=None, version=ssl.TLSVersion.TLSv1_3):
        context = self.server.tls_context()
        context.maximum_version = version
        if certificate:
            context.load_cert_chain(self.path(certificate + ".pem"), self.path(certificate + ".key"))
        wire = self.wire()
        self.assertTrue(wire.ask(b"STARTTLS").startswith(b"220"))
        wire.socket = context.wrap_socket(wire.socket)
        self.assertTrue(wire.ask(b"EHLO klien.test").startswith(b"250"))
        return wire

    def test_a_name_counts_if_dns_confirms_it(self):
        self.assertEqual(self.rcpt(source="127.0.0.11"), "554 5.7.1 <lama@satu.test>: we know you")
        self.assertTrue(self.rcpt(source="127.0.0.12").startswith("250"))

    def test_tls_counts(self):
        self.assertEqual(self.rcpt("rahasia@b.test"), "554 5.7.1 <lama@satu.test>: only encrypted")
        self.assertTrue(self.rcpt("rahasia@b.test", wire=self.secured()).startswith("250"))
        self.assertEqual(self.rcpt(wire=self.secured(version=ssl.TLSVersion.TLSv1_2)), "554 5.7.1 <lama@satu.test>: no old TLS")

    def test_a_certificate_opens_the_relay_to_whom_it_names(self):
        denied = "554 5.7.1 <x@elsewhere.test>: Relay access denied"
        for certificate, expected in (("partner", "250 2.1.5 Ok"), ("pinned", "250 2.1.5 Ok"), ("forged", denied), (None, denied),
                                      ("other", "554 5.7.1 <x@elsewhere.test>: an odd certificate")):
            with self.subTest(certificate=certificate):
                self.assertEqual(self.rcpt(recipient="x@elsewhere.test", wire=self.secured(certificate)), expected)

    def test_a_rule_greylists(self):
        self.assertRegex(self.rcpt("baru@b.test"), "^450 4.7.1 ")
        time.sleep(1.2)
        self.assertTrue(self.rcpt("baru@b.test").startswith("250"))
        self.assertTrue(self.rcpt("lain@b.test").startswith("250"))


class Servers(PolicyCase):
    """A policy server of the tests, in the ways in which real ones answer and fail."""

    @classmethod
    def prepare(cls):
        cls.actions = {}
        cls.policy = cls.stack.enter_context(PolicyServer(lambda request: cls.actions.get(request["protocol_state"], "DUNNO")))
        gone = socket.create_server(("127.0.0.1", 0))
        cls.sections = """
[filter mine]
kind = policy
socket = %s
timeout = 2s
[filter mine-or-nothing]
kind = policy
socket = %s
timeout = 2s
on_failure = accept
[filter away]
kind = policy
socket = inet:127.0.0.1:%d
timeout = 2s
[filter away-and-no]
kind = policy
socket = inet:127.0.0.1:%d
timeout = 2s
on_failure = refuse

[policy]
ask away when helo is away.test
ask away-and-no when helo is no.test
ask mine-or-nothing when helo is careless.test
ask mine when helo is not careless.test
ask mine at end when sender is *@atend.test
refuse "the list goes on" when sender is *@refused.test
standard
""" % (cls.policy.socket, cls.policy.socket, gone.getsockname()[1], gone.getsockname()[1])
        gone.close()

    def setUp(self):
        self.actions.clear()
        self.policy.requests.clear()

    def test_it_is_told_what_is_known(self):
        self.rcpt("A@asal.test")
        request = self.policy.requests[0]
        for name, value in {"request": "smtpd_access_policy", "protocol_state": "RCPT", "protocol_name": "ESMTP",
                            "client_address": "127.0.0.9", "client_name": "unknown", "reverse_client_name": "unknown",
                            "helo_name": "klien.test", "sender": "A@asal.test", "recipient": "lama@satu.test",
                            "recipient_count": "0", "queue_id": "", "size": "0", "sasl_username": "", "encryption_protocol": "",
                            "server_address": "127.0.0.2", "server_port": str(self.server.ports["mx"]),
                            "policy_context": "mine"}.items():
            self.assertEqual(request[name], value, name)
        self.assertRegex(request["client_port"], r"^\d+$")
        self.assertRegex(request["instance"], r"^[0-9a-f.]+$")

    def test_recipients_of_one_message_share_the_instance(self):
        wire = self.wire()
        self.rcpt(wire=wire)
        wire.ask(b"RCPT TO:<lama+x@satu.test>")
        wire.ask(b"RSET")
        self.rcpt(wire=wire)
        instances = [r["instance"] for r in self.policy.requests]
        self.assertEqual(instances[0], instances[1])
        self.assertNotEqual(instances[0], instances[2])

    def test_connections_are_kept(self):
        before = self.policy.connections
        for _ in range(5):
            self.rcpt()
        self.assertLessEqual(self.policy.connections - before, 1)

    def test_a_kept_connection_that_was_closed_costs_nothing(self):
        self.assertTrue(self.rcpt().startswith("250"))
        self.policy.drop()
        for _ in range(3):
            self.assertTrue(self.rcpt().startswith("250"))

    def test_its_actions_count(self):
        for action, expected in (
                ("OK", "250 2.1.5 Ok"),
                ("DUNNO", "250 2.1.5 Ok"),
                ("REJECT", "554 5.7.1 <lama@satu.test>: Recipient address rejected: Access denied"),
                ("550 5.7.23 SPF fail", "550 5.7.23 <lama@satu.test>: Recipient address rejected: SPF fail"),
                ("DEFER", "450 4.7.1 <lama@satu.test>: Recipient address rejected: Please try again later"),
                ("451 4.3.2 wait", "451 4.3.2 <lama@satu.test>: Recipient address rejected: wait"),
                ("DEFER_IF_PERMIT Greylisted", "450 4.7.1 <lama@satu.test>: Recipient address rejected: Greylisted"),
                ("WARN hm", "250 2.1.5 Ok"),
                ("FILTER smtp:[127.0.0.1]", "250 2.1.5 Ok"),
                ("gibberish", "451 4.3.5 <lama@satu.test>: Recipient address rejected: Server configuration problem")):
            with self.subTest(action=action):
                self.actions["RCPT"] = action
                self.assertEqual(self.rcpt(), expected)
        self.actions["RCPT"] = "DEFER_IF_PERMIT Greylisted"
        self.assertEqual(self.rcpt(recipient="tiada@satu.test"),
                         "550 5.1.1 <tiada@satu.test>: Recipient address rejected: User unknown")
        self.assertEqual(self.rcpt("a@refused.test"), "554 5.7.1 <lama@satu.test>: the list goes on")
        self.actions["RCPT"] = "DEFER_IF_REJECT"
        self.assertEqual(self.rcpt("a@refused.test"), "450 4.7.1 <lama@satu.test>: Please try again later")
        self.server.wait_log(r"policy server mine: \"FILTER smtp:\[127.0.0.1\]\" is not supported")

    def test_its_ok_opens_no_relay_and_strangers_are_not_asked_about(self):
        self.actions["RCPT"] = "OK"
        self.assertEqual(self.rcpt(recipient="c@d.test"), "554 5.7.1 <c@d.test>: Relay access denied")
        self.assertEqual(self.policy.requests, [])

    def test_prepend_stands_once_above_our_own_line(self):
        self.actions["RCPT"] = "PREPEND Received-SPF: Pass (mailfrom) identity=mailfrom"
        wire = self.wire()
        self.rcpt(wire=wire)
        self.assertTrue(wire.ask(b"RCPT TO:<lama+x@satu.test>").startswith(b"250"))
        self.assertTrue(wire.ask(b"DATA").startswith(b"354"))
        self.assertTrue(wire.ask(letter("a@b.test", self.lama) + b".").startswith(b"250"))
        message = self.take_letters()[0]
        self.assertEqual(message.count(b"Received-SPF: Pass (mailfrom) identity=mailfrom\r\n"), 1)
        self.assertLess(message.index(b"Received-SPF"), message.index(b"Received: from"))
        self.actions.clear()
        self.send(subject="tanpa")
        self.assertNotIn(b"Received-SPF", self.take_letters()[0])

    def test_hold_discard_and_redirect(self):
        self.actions["RCPT"] = "HOLD look at it"
        held = re.search(r"queued as (\w+)", self.send(subject="ditahan")).group(1)
        wait_for(lambda: [m for m in self.server.queue() if m["queue_id"] == held and m["queue_name"] == "hold"],
                 "the message on hold")
        self.server.merpati("queue", "delete", held)
        self.actions["RCPT"] = "DISCARD"
        self.assertRegex(self.send(subject="dibuang"), "^250 2.0.0 Ok: queued as ")
        baru = self.server.add_user("baru")
        self.actions["RCPT"] = "REDIRECT " + baru
        self.assertRegex(self.send(subject="dialihkan"), "^250 2.0.0 Ok: queued as ")
        self.assertIn(b"Subject: dialihkan", self.server.wait_letters(baru)[0])
        self.assertEqual(self.server.letters(self.lama), [])

    def test_it_is_asked_at_the_end_of_the_message(self):
        self.assertRegex(self.send("a@atend.test"), "^250 2.0.0 ")
        request = self.policy.requests[-1]
        self.assertEqual(request["protocol_state"], "END-OF-MESSAGE")
        self.assertEqual((request["recipient_count"], request["recipient"]), ("1", "lama@satu.test"))
        self.assertGreater(int(request["size"]), 100)
        self.assertRegex(request["queue_id"], r"^\w{10,}$")
        self.take_letters()
        self.actions["END-OF-MESSAGE"] = "550 5.7.1 too much"
        self.assertEqual(self.send("a@atend.test"), "550 5.7.1 too much")
        self.actions["END-OF-MESSAGE"] = "DEFER_IF_PERMIT 4.7.1 slower"
        self.assertEqual(self.send("a@atend.test"), "450 4.7.1 slower")
        self.actions["END-OF-MESSAGE"] = None
        self.assertEqual(self.send("a@atend.test"), "451 4.3.5 Server configuration problem")
        self.assertEqual(self.server.letters(self.lama), [])

    def test_one_that_is_away_or_silent_does_what_on_failure_says(self):
        self.assertRegex(self.rcpt(helo="away.test"), "^451 4.3.5 ")
        self.assertRegex(self.rcpt(helo="no.test"), "^550 5.3.5 ")
        self.actions["RCPT"] = 20
        begin = time.monotonic()
        self.assertRegex(self.rcpt(), "^451 4.3.5 ")
        self.assertLess(time.monotonic() - begin, 15)
        self.assertTrue(self.rcpt(helo="careless.test").startswith("250"))
        self.actions["RCPT"] = None
        self.assertRegex(self.rcpt(), "^451 4.3.5 ")
        self.assertTrue(self.rcpt(helo="careless.test").startswith("250"))
        self.server.wait_log(r"policy server mine: it took too long to answer")

    def test_a_client_that_leaves_leaves_nothing(self):
        self.actions["RCPT"] = 1
        for _ in range(20):
            wire = self.wire()
            wire.send(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<lama@satu.test>\r\n")
            wire.close()
        time.sleep(0.1)
        self.actions.clear()
        self.assertTrue(self.rcpt().startswith("250"))

    def test_many_clients_at_once_are_all_answered(self):
        wires = [self.wire() for _ in range(30)]
        for wire in wires:
            wire.send(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<lama@satu.test>\r\nDATA\r\n")
        for wire in wires:
            self.assertEqual([wire.reply()[:3] for _ in range(3)], [b"250", b"250", b"354"])

    def test_explain_asks_if_told_to(self):
        self.actions["RCPT"] = "550 5.7.1 no"
        words = ["explain", "--json", "--client", "127.0.0.9", "--from", "a@b.test", "--to", self.lama]
        self.assertEqual(json.loads(self.server.merpati(*words).stdout)["verdict"], "accepted")
        self.assertEqual(self.policy.requests, [])
        found = json.loads(self.server.merpati(*words, "--ask").stdout)
        self.assertEqual(found["reply"], "550 5.7.1 <lama@satu.test>: Recipient address rejected: no")


class RateLimiter(PolicyCase):
    """As policyd and its like are used: a limit for each login, on submission, without any rule."""

    @classmethod
    def prepare(cls):
        cls.counts = {}

        def limit(request):
            name = request["sasl_username"]
            cls.counts[name] = cls.counts.get(name, 0) + 1
            return "DEFER_IF_PERMIT 4.7.1 Too many messages" if cls.counts[name] > 2 else "DUNNO"
        cls.policy = cls.stack.enter_context(PolicyServer(limit))
        cls.sections = ("[filter limit]\nkind = policy\nsocket = %s\nlisteners = submissions\n[policy submission]\nask limit\n"
                        % cls.policy.socket)

    def test_each_login_has_its_limit(self):
        baru = self.server.add_user("baru")
        for sender, replies in ((self.lama, (250, 250, 450)), (baru, (250, 250, 450))):
            for expected in replies:
                with self.server.smtp("submissions") as client:
                    client.login(sender, PASSWORD)
                    client.mail(sender)
                    self.assertEqual(client.rcpt(self.lama)[0], expected)
        request = self.policy.requests[0]
        self.assertEqual(request["sasl_username"], self.lama)
        self.assertEqual(request["encryption_protocol"], "TLSv1.3")
        self.assertIn(request["sasl_method"], ("PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1"))


@unittest.skipUnless(os.path.exists("/usr/sbin/postgrey"), "skipped: postgrey is not installed")
class Postgrey(PolicyCase):
    @classmethod
    def prepare(cls):
        cls.directory = tempfile.mkdtemp(prefix="m", dir="/tmp")
        os.chmod(cls.directory, 0o777)
        cls.stack.callback(shutil.rmtree, cls.directory, True)
        path = os.path.join(cls.directory, "postgrey")
        who = {True: ["--user=postgrey", "--group=postgrey"], False: []}[os.getuid() == 0]
        db = os.path.join(cls.directory, "db")
        os.mkdir(db)
        if os.getuid() == 0:
            shutil.chown(db, "postgrey", "postgrey")
        process = subprocess.Popen(["/usr/sbin/postgrey", "--unix=" + path, "--dbdir=" + db, "--delay=2", "--lookup-by-host",
                                    "--hostname=satu.test"] + who,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.stack.callback(process.wait)
        cls.stack.callback(process.terminate)
        wait_for(lambda: os.path.exists(path) or process.poll() is not None, "postgrey's socket")
        if process.poll() is not None:
            raise unittest.SkipTest("skipped: postgrey does not run as this user")
        # Two lines are enough: it is asked behind the standard list.
        cls.sections = "[filter postgrey]\nkind = policy\nsocket = unix:%s\n" % path

    def test_who_is_new_comes_again(self):
        first = self.rcpt()
        self.assertRegex(first, r"^450 4\.[0-9.]+ <lama@satu.test>: Recipient address rejected: Greylisted, see http")
        self.assertRegex(self.rcpt(), "^450 ")
        time.sleep(2.2)
        self.assertRegex(self.send(subject="lagi"), "^250 2.0.0 ")
        message = self.take_letters()[0]
        self.assertRegex(message, rb"X-Greylist: delayed \d+ seconds by postgrey")
        self.assertLess(message.index(b"X-Greylist"), message.index(b"Received: from"))
        self.assertTrue(self.rcpt().startswith("250"))
        self.assertRegex(self.rcpt("other@asal.test"), "^450 ")

    def test_users_are_not_put_off(self):
        self.server.submit(self.lama, [self.lama], letter(self.lama, self.lama))
        self.assertEqual(len(self.take_letters()), 1)


def can_unshare():
    return subprocess.run(unshare("true"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def unshare(*words):
    """In a network and a mount namespace of its own."""
    return ["unshare", "--net", "--mount"] + ([] if os.getuid() == 0 else ["--user", "--map-root-user"]) + list(words)


@unittest.skipUnless(os.path.exists("/usr/bin/policyd-spf"), "skipped: policyd-spf is not installed")
@unittest.skipUnless(can_unshare(), "skipped: policyd-spf asks the DNS server of /etc/resolv.conf, and this user may make no "
                                    "namespace with another one")
class PolicydSpf(PolicyCase):
    ZONE = """
fine.test TXT v=spf1 ip4:127.0.0.9 -all
softly.test TXT v=spf1 ip4:127.0.0.8 ~all
klien.test TXT v=spf1 ip4:127.0.0.9 ip4:127.0.0.10 -all
"""

    @classmethod
    def prepare(cls):
        directory = tempfile.mkdtemp(prefix="m", dir="/tmp")
        os.chmod(directory, 0o755)
        cls.stack.callback(shutil.rmtree, directory, True)
        files = {"zone": cls.ZONE, "resolv.conf": "nameserver 127.0.0.1\n",
                 "spf.conf": "debugLevel = 1\nTestOnly = 1\nHELO_reject = Fail\nMail_From_reject = Fail\nskip_addresses = 192.0.2.0/24\n"
                             "Hide_Receiver = Yes\n"}
        for name, text in files.items():
            with open(os.path.join(directory, name), "w") as f:
                f.write(text)
        path = os.path.join(directory, "spf")
        script = ("ip link set lo up && mount --bind %s/resolv.conf /etc/resolv.conf && exec %s %s/policy_server.py %s %s/zone "
                  "/usr/bin/policyd-spf %s/spf.conf" % (directory, sys.executable, HERE, path, directory, directory))
        process = subprocess.Popen(unshare("sh", "-c", script), stdin=subprocess.DEVNULL, start_new_session=True)
        cls.stack.callback(process.wait)
        cls.stack.callback(os.killpg, process.pid, signal.SIGTERM)
        wait_for(lambda: os.path.exists(path) or process.poll() is not None, "the socket of policyd-spf")
        cls.sections = "[filter spf]\nkind = policy\nsocket = unix:%s\n" % path

    def test_who_may_not_send_for_a_domain_does_not(self):
        self.assertRegex(self.rcpt("a@fine.test", source="127.0.0.10"),
                         r"^550 5\.7\.23 <lama@satu.test>: Recipient address rejected: Message rejected due to: SPF fail")
        self.assertRegex(self.send("a@fine.test"), "^250 2.0.0 ")
        message = self.take_letters()[0]
        self.assertRegex(message, rb"(?m)^Received-SPF: Pass \(mailfrom\)")
        self.assertLess(message.index(b"Received-SPF"), message.index(b"Received: from"))
        self.assertRegex(self.send("a@softly.test"), "^250 2.0.0 ")
        self.assertRegex(self.take_letters()[0], rb"(?m)^Received-SPF: Softfail \(mailfrom\)")


class Senders(PolicyCase):
    """submission_sender."""
    value = "refuse"

    @classmethod
    def prepare(cls):
        cls.settings = dict(STRANGERS, submission_sender=cls.value)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.baru = cls.server.add_user("baru")
        with open(os.path.join(cls.server.directory, "aliases"), "w") as f:
            f.write("info@satu.test: lama@satu.test, baru@satu.test\nboss@satu.test: baru@satu.test\nteam@satu.test: info@satu.test\n")

    def mail(self, sender, login=None):
        with self.server.smtp("submissions") as client:
            client.login(login or self.lama, PASSWORD)
            return client.mail(sender)

    def send_as(self, sender, message):
        with self.server.smtp("submissions") as client:
            client.login(self.lama, PASSWORD)
            client.sendmail(sender, [self.lama], message)
        return self.take_letters()[0]


class SendersRefused(Senders):
    def test_a_login_sends_under_its_own_addresses(self):
        for sender in (self.lama, "LAMA@Satu.test", "lama+list@satu.test", "info@satu.test", "team@satu.test", ""):
            with self.subTest(sender=sender):
                self.assertEqual(self.mail(sender)[0], 250)
        for sender in (self.baru, "boss@satu.test", "x@elsewhere.test", "lama@elsewhere.test", "tiada@satu.test", '"lama "@satu.test'):
            with self.subTest(sender=sender):
                code, text = self.mail(sender)
                self.assertEqual((code, text), (553, b"5.7.1 Sender address rejected: not owned by user lama@satu.test"))
        self.assertEqual(self.mail("boss@satu.test", self.baru)[0], 250)

    def test_it_is_in_the_log(self):
        self.mail(self.baru)
        self.server.wait_log(r"reject: MAIL from \S+: 553 5\.7\.1 Sender address rejected: not owned by user lama@satu\.test; "
                             r"from=<baru@satu\.test>")


class SendersRewritten(Senders):
    value = "rewrite"

    def test_the_account_takes_the_sender_s_place(self):
        message = self.send_as(self.baru, letter(self.baru, self.lama, Sender="<palsu@satu.test>"))
        self.assertIn(b"Return-Path: <lama@satu.test>", message)
        self.assertIn(b"From: <baru@satu.test>", message)
        self.assertEqual(re.findall(rb"(?m)^Sender: (.*)\r$", message), [b"lama@satu.test"])
        message = self.send_as("info@satu.test", letter("info@satu.test", self.lama))
        self.assertIn(b"Return-Path: <info@satu.test>", message)
        self.assertNotIn(b"Sender:", message)
        found = json.loads(self.server.merpati("explain", "--json", "--client", "127.0.0.9", "--from", self.baru, "--to",
                                               "c@d.test", "--login", self.lama).stdout)
        self.assertEqual((found["verdict"], found["sender"]), ("accepted", self.lama))


class SendersAllowed(Senders):
    value = "allow"

    def test_any_name_will_do(self):
        self.assertEqual(self.mail("x@elsewhere.test")[0], 250)


if __name__ == "__main__":
    unittest.main()
