"""MTA-STS (RFC 8461): policies of the tests' own HTTPS server, and somebody on the way who does not like them."""

import os
import signal
import socket
import ssl
import threading
import unittest

import suite
from test_outbound import REQUIRETLS, TlsCase

ENFORCE = "version: STSv1\r\nmode: enforce\r\nmx: mx.surat.test\r\nmax_age: 86400\r\n"


def answer(policy, status="200 OK", kind="text/plain", more=""):
    return "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s" % (status, kind, len(policy), more, policy)


class PolicyServer:
    """Says `answer` to every request."""

    def __init__(self, context, said, port=0):
        self.context, self.said = context, said
        self.requests = []
        self.listener = suite.listening_socket("127.0.0.1", port)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            try:
                connection.settimeout(10)
                with self.context.wrap_socket(connection, server_side=True) as tls:
                    request = b""
                    while b"\r\n\r\n" not in request:
                        piece = tls.recv(4096)
                        if not piece:
                            break
                        request += piece
                    self.requests.append(request.decode("latin-1"))
                    tls.sendall(self.said.encode())
                    tls.unwrap()
            except (OSError, ValueError):
                connection.close()

    def stop(self):
        if self.thread.is_alive():
            self.listener.shutdown(socket.SHUT_RDWR)
            self.thread.join(10)
            self.listener.close()


class StsCase(TlsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.contexts = {}

    def context(self, name, signed=True):
        if (name, signed) not in self.contexts:
            self.contexts[name, signed] = super().context(name, signed)
        return self.contexts[name, signed]

    def setUp(self):
        super().setUp()
        self.dns.add("_mta-sts.surat.test", "TXT", "v=STSv1; id=1;")
        self.dns.add("mta-sts.surat.test", "A", "127.0.0.1")

    def new_id(self, name):
        self.dns.clear("_mta-sts.surat.test")
        self.dns.add("_mta-sts.surat.test", "TXT", "v=STSv1; id=%s;" % name)

    def policies(self, policy=ENFORCE, host="mta-sts.surat.test", **options):
        server = PolicyServer(self.context(host), answer(policy, **options))
        self.addCleanup(server.stop)
        return server

    def sender(self, server, policies, **settings):
        return self.remote(server.port, tls_authorities=self.authority, mta_sts_port=policies.port, **settings)

    def children(self, remote, title):
        found = []
        with open("/proc/%d/task/%d/children" % (remote.process.pid, remote.process.pid)) as f:
            pids = f.read().split()
        for pid in pids:
            with open("/proc/%s/cmdline" % pid) as f:
                if title in f.read():
                    found.append(int(pid))
        return found

    def kill(self, remote, title):
        for pid in self.children(remote, title):
            os.kill(pid, signal.SIGKILL)
            suite.wait_for(lambda: self.children(remote, title) not in ([], [pid]), "another " + title)

    def forget(self, remote):
        """What the worker remembers for a minute."""
        self.kill(remote, "worker")
        remote.accept()

    def assert_refused(self, server, result, code="4.7.5"):
        self.assertEqual((result.status, result.code, result.policy), ("deferred", code, "sts"))
        self.assertEqual([c for c in server.commands() if c.startswith("MAIL")], [])


class Enforce(StsCase):
    def test_mail_goes_to_who_proves_its_name(self):
        server = self.server(tls=self.context("mx.surat.test"))
        policies = self.policies()
        remote = self.sender(server, policies)
        result = self.one(remote, ["a@surat.test"])
        self.assertEqual((result.status, result.policy), ("delivered", "sts"))
        self.assertTrue(server.messages[0].session.secured)
        self.assertEqual(policies.requests[0].splitlines()[:2],
                         ["GET /.well-known/mta-sts.txt HTTP/1.1", "Host: mta-sts.surat.test:%d" % policies.port])
        self.assertEqual(remote.resolve("surat.test")["security"], "sts-enforce:1")
        self.assertEqual(len(policies.requests), 1)

    def test_it_goes_nowhere_else(self):
        policies = self.policies()
        for name, context, code in (("no TLS", None, "4.7.4"), ("another's name", self.context("evil.test"), "4.7.5"),
                                    ("signed by nobody", self.context("mx.surat.test", False), "4.7.5")):
            with self.subTest(name):
                server = self.server(tls=context)
                remote = self.sender(server, policies)
                self.assert_refused(server, self.one(remote, ["a@surat.test"]), code)
                server.stop()

    def test_a_route_may_insist_on_a_policy_that_is_only_tested(self):
        route = {"sections": "[route surat.test]\ntls = sts\n"}
        policies = self.policies(ENFORCE.replace("enforce", "testing"))
        for name, context, code in (("right", self.context("mx.surat.test"), None), ("wrong", self.context("evil.test"), "4.7.5"),
                                    ("none", None, "4.7.4")):
            with self.subTest(name):
                server = self.server(tls=context)
                result = self.one(self.sender(server, policies, **route), ["a@surat.test"], route="surat.test")
                if code:
                    self.assert_refused(server, result, code)
                else:
                    self.assertEqual((result.status, result.policy), ("delivered", "sts"))
                server.stop()

    def test_an_exchanger_that_the_policy_does_not_name_is_passed_over(self):
        self.dns.add("surat.test", "MX", "10 evil.test", "20 a.mx.surat.test")
        self.dns.add("evil.test", "A", "127.0.0.3")
        self.dns.add("a.mx.surat.test", "A", "127.0.0.4")
        evil, good = self.servers("127.0.0.3", "127.0.0.4")
        evil.tls, good.tls = self.context("evil.test"), self.context("a.mx.surat.test")
        policies = self.policies(ENFORCE.replace("mx: mx", "mx: *.mx"))
        remote = self.sender(good, policies)
        result = self.one(remote, ["a@surat.test"])
        self.assertEqual((result.status, result.policy, len(evil.sessions)), ("delivered", "sts", 0))
        self.assertEqual(remote.resolve("surat.test")["security"], "sts-enforce:10")
        good.stop()
        self.forget(remote)
        result = self.one(remote, ["a@surat.test"])
        self.assertEqual((result.status, len(evil.sessions)), ("deferred", 0))

    def test_what_is_sent_to_a_relay_is_none_of_the_domains_business(self):
        server = self.server(tls=self.context("evil.test"))
        policies = self.policies()
        remote = self.sender(server, policies, sections="[route surat.test]\nrelay = [mx.surat.test]\n")
        (result,), _, _ = remote.send("[mx.surat.test]", ["a@surat.test"], route="surat.test")
        self.assertEqual((result.status, policies.requests), ("delivered", []))

    def test_it_can_be_turned_off(self):
        server = self.server()
        policies = self.policies()
        result = self.one(self.sender(server, policies, mta_sts="no"), ["a@surat.test"])
        self.assertEqual((result.status, result.policy, policies.requests), ("delivered", "may", []))


class Leave(StsCase):
    """Policies that leave mail as it was, and what is no policy."""

    def test_testing_and_none(self):
        for mode in ("testing", "none"):
            with self.subTest(mode):
                server = self.server(tls=self.context("evil.test"))
                policies = self.policies(ENFORCE.replace("enforce", mode))
                result = self.one(self.sender(server, policies), ["a@surat.test"])
                self.assertEqual((result.status, result.policy, len(policies.requests)), ("delivered", "may", 1))
                server.stop()

    def test_what_is_not_a_policy_is_none(self):
        server = self.server()
        other = self.policies()
        remote = None
        for i, (why, said, host) in enumerate((
                ("status 301", answer(ENFORCE, "301 Moved", more="Location: https://mta-sts.surat.test:%d/\r\n" % other.port), ""),
                ("status 404", answer(ENFORCE, "404 No"), ""),
                ("it is not text/plain", answer(ENFORCE, kind="text/html"), ""),
                ("its length is not told", "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + ENFORCE, ""),
                ("no good response", answer(ENFORCE + "x: y\r\n" * 20000), ""),
                ("it has no mx", answer(ENFORCE.replace("mx: mx.surat.test\r\n", "")), ""),
                ("its mode is unknown", answer(ENFORCE.replace("enforce", "strict")), ""),
                ("not one that we trust for this name", answer(ENFORCE), "www.surat.test"))):
            with self.subTest(why):
                policies = self.policies(host=host or "mta-sts.surat.test")
                policies.said = said
                self.new_id("id%d" % i)
                with suite_remote(self, server, policies) as remote:
                    result = self.one(remote, ["a@surat.test"])
                    self.assertEqual((result.status, result.policy), ("delivered", "may"))
                    self.assertIn(why, remote.log())
        self.assertEqual(other.requests, [])

    def test_a_resolver_that_does_not_tell_is_not_asked_again_at_once(self):
        server = self.server()
        remote = self.sender(server, self.policies())
        self.dns.clear("_mta-sts.surat.test")
        self.dns.add("_mta-sts.surat.test", "SERVFAIL")
        asked = []
        for _ in range(2):
            self.assertEqual(self.one(remote, ["a@surat.test"]).status, "delivered")
            asked.append(len([name for name, _, _ in self.dns.queries if name == "_mta-sts.surat.test"]))
            self.forget(remote)
        self.assertEqual(asked[0], asked[1])

    def test_a_policy_that_cannot_be_had_is_not_asked_for_with_every_message(self):
        server = self.server()
        policies = self.policies(status="500 No")
        remote = self.sender(server, policies)
        for _ in range(3):
            self.assertEqual(self.one(remote, ["a@surat.test"]).status, "delivered")
            self.forget(remote)
        self.assertEqual(len(policies.requests), 1)
        policies.said = answer(ENFORCE)
        self.new_id("other")
        self.assertEqual(self.one(remote, ["a@surat.test"]).policy, "sts")
        self.assertEqual(len(policies.requests), 2)


def suite_remote(case, server, policies):
    from test_remote import Remote
    return Remote(case.dns, server.port, tls_authorities=case.authority, mta_sts_port=policies.port)


class Attack(StsCase):
    """Somebody who can change DNS answers and cut connections, but came after the policy was fetched."""

    def begin(self):
        server = self.server(tls=self.context("mx.surat.test"))
        policies = self.policies()
        remote = self.sender(server, policies)
        self.assertEqual(self.one(remote, ["a@surat.test"]).status, "delivered")
        server.stop()
        server = self.server_again(server.port)
        return server, policies, remote

    def server_again(self, port):
        """Who sits in the way has no certificate, and does not offer TLS."""
        from smtp_server import SmtpServer
        server = SmtpServer("127.0.0.3", port).start()
        self.addCleanup(server.stop)
        return server

    def refused(self, server, remote):
        self.forget(remote)
        self.assert_refused(server, self.one(remote, ["a@surat.test"]), "4.7.4")

    def test_the_record_disappears(self):
        server, _, remote = self.begin()
        self.dns.clear("_mta-sts.surat.test")
        self.refused(server, remote)

    def test_dns_does_not_answer_about_it(self):
        server, _, remote = self.begin()
        self.dns.clear("_mta-sts.surat.test")
        self.dns.add("_mta-sts.surat.test", "SERVFAIL")
        self.refused(server, remote)

    def test_a_new_id_and_no_server(self):
        server, policies, remote = self.begin()
        policies.stop()
        self.new_id("forged")
        self.refused(server, remote)
        self.assertIn("cannot be renewed, the old one holds", remote.log())

    def test_a_new_id_and_a_false_server(self):
        server, policies, remote = self.begin()
        policies.context = self.context("mta-sts.surat.test", False)
        policies.said = answer(ENFORCE.replace("enforce", "none"))
        self.new_id("forged")
        self.refused(server, remote)

    def test_other_exchangers(self):
        server, _, remote = self.begin()
        self.dns.clear("surat.test")
        self.dns.add("surat.test", "MX", "10 mx.evil.test")
        self.dns.add("mx.evil.test", "A", "127.0.0.3")
        self.forget(remote)
        self.assert_refused(server, self.one(remote, ["a@surat.test"]))
        self.assertEqual(server.sessions, [])

    def test_the_process_is_killed_meanwhile(self):
        server, policies, remote = self.begin()
        policies.stop()
        self.dns.clear("_mta-sts.surat.test")
        self.kill(remote, "policy")
        self.refused(server, remote)

    def test_everything_is_started_anew_meanwhile(self):
        server, policies, remote = self.begin()
        policies.stop()
        self.dns.clear("_mta-sts.surat.test")
        remote.process.terminate()
        remote.process.wait(20)
        remote.log_file.close()
        remote.listener.close()
        os.unlink(os.path.join(remote.run, "queue"))
        remote.__enter__()
        self.assert_refused(server, self.one(remote, ["a@surat.test"]), "4.7.4")

    def test_the_domain_itself_may_take_it_back(self):
        server, policies, remote = self.begin()
        policies.said = answer(ENFORCE.replace("enforce", "none"))
        self.new_id("2")
        self.forget(remote)
        self.assertEqual(self.one(remote, ["a@surat.test"]).status, "delivered")
        self.assertEqual(len(policies.requests), 2)


class Time(StsCase):
    def test_a_policy_is_fetched_anew_before_its_time_is_over(self):
        server = self.server(tls=self.context("mx.surat.test"))
        policies = self.policies(ENFORCE.replace("86400", "6"))
        remote = self.sender(server, policies)
        self.assertEqual(self.one(remote, ["a@surat.test"]).policy, "sts")
        suite.wait_for(lambda: len(policies.requests) > 1, "another request")

    def test_afterwards_it_does_not_hold(self):
        server = self.server()
        policies = self.policies(ENFORCE.replace("86400", "3"))
        remote = self.sender(server, policies)
        self.assertEqual(self.one(remote, ["a@surat.test"]).status, "deferred")
        policies.stop()
        self.dns.clear("_mta-sts.surat.test")
        kept = os.path.join(remote.directory, "cache", "mta-sts", "surat.test")
        suite.wait_for(lambda: not os.path.exists(kept), "the end of the policy")
        self.forget(remote)
        self.assertEqual(self.one(remote, ["a@surat.test"]).status, "delivered")


if __name__ == "__main__":
    unittest.main()
