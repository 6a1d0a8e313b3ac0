"""remote under DANE (RFC 7672): what TLSA records that DNSSEC secures ask of a server, and that nobody on the way can talk it
out of that. With the tests' own DNS server, which says what is secure, and once with unbound and zones that are signed."""

import hashlib
import json
import os
import shutil
import ssl
import subprocess
import unittest

import suite
from smtp_server import SmtpServer
from test_outbound import REQUIRETLS, TlsCase

HOST, DOMAIN = "mx.surat.test", "surat.test"


class DaneCase(TlsCase):
    """surat.test and all else in .test is secure."""

    def setUp(self):
        super().setUp()
        self.dns.add("test", "SECURE")

    def association(self, name, selector, matching):
        """Of the certificate in NAME.pem."""
        with open(self.path(name + ".pem")) as f:
            whole = ssl.PEM_cert_to_DER_cert(f.read().split("-----END")[0] + "-----END CERTIFICATE-----\n")
        if selector == 1:
            pem = subprocess.run(["openssl", "x509", "-in", self.path(name + ".pem"), "-noout", "-pubkey"], check=True,
                                 capture_output=True).stdout
            whole = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=pem, check=True,
                                   capture_output=True).stdout
        return {0: whole.hex(), 1: hashlib.sha256(whole).hexdigest(), 2: hashlib.sha512(whole).hexdigest()}[matching]

    def record(self, usage, selector, matching, name=HOST):
        return "%d %d %d %s" % (usage, selector, matching, self.association(name, selector, matching))

    def wrong(self, usage, selector, matching):
        return "%d %d %d %s" % (usage, selector, matching, "ab" * (32 if matching == 1 else 64))

    def tlsa(self, port, *records, host=HOST):
        name = "_%d._tcp.%s" % (port, host)
        self.dns.clear(name)
        if records:
            self.dns.add(name, "TLSA", *records)

    def chained(self, name):
        """With the authority's certificate behind its own."""
        self.context(name)
        with open(self.path(name + ".chain"), "wb") as chain:
            for part in (self.path(name + ".pem"), self.authority):
                with open(part, "rb") as f:
                    chain.write(f.read())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(name + ".chain"), self.path(name + ".key"))
        return context

    def deliver(self, server, domain=DOMAIN, settings=None, remote=None, **options):
        remote = remote or self.remote(server.port, **(settings or {}))
        (result,), health, _ = remote.send(domain, ["a@" + domain], **options)
        return result, health

    def assert_delivered(self, server, policy="dane", secured=True, **options):
        before = len(server.messages)
        result, health = self.deliver(server, **options)
        self.assertEqual((result.status, health, result.policy), ("delivered", "good", policy), result)
        self.assertEqual([m.session.secured for m in server.messages[before:]], [secured])
        self.assertEqual(result.tls.startswith("TLSv1"), secured)

    def assert_refused(self, server, code, policy="dane", words="", **options):
        result, _ = self.deliver(server, **options)
        self.assertEqual((result.status, result.code, result.policy), ("deferred", code, policy), result)
        self.assertIn(words, result.reply)
        self.assertEqual([c for c in server.commands() if c.startswith("MAIL")], [])


class Records(DaneCase):
    def test_a_certificate_that_a_record_names_is_enough(self):
        """DANE-EE, whatever name it has and whoever signed it (RFC 7672 3.1.1)."""
        server = self.server("PIPELINING", tls=self.context("evil.test", signed=False))
        remote = self.remote(server.port, connection_reuse="0")
        for selector in (0, 1):
            for matching in (0, 1, 2):
                with self.subTest(selector=selector, matching=matching):
                    self.tlsa(server.port, self.record(3, selector, matching, "evil.test"), self.wrong(3, 1 - selector, 2))
                    self.assert_delivered(server, remote=remote)

    def test_any_other_certificate_is_not(self):
        server = self.server("PIPELINING", tls=self.context(HOST))
        self.tlsa(server.port, self.wrong(3, 1, 1), self.wrong(2, 0, 2))
        self.assert_refused(server, "4.7.5", words="no matching DANE TLSA records", settings={"tls_authorities": self.authority})

    def test_an_authority_that_a_record_names_vouches_for_names(self):
        """DANE-TA: the host's, or the domain's (RFC 7672 3.2.2)."""
        for name, good in ((HOST, True), (DOMAIN, True), ("evil.test", False)):
            with self.subTest(name):
                server = self.server("PIPELINING", tls=self.chained(name))
                with open(self.path("ca.pem.pem"), "w") as f, open(self.authority) as ca:
                    f.write(ca.read())
                self.tlsa(server.port, self.record(2, 0, 1, "ca.pem"))
                if good:
                    self.assert_delivered(server)
                else:
                    self.assert_refused(server, "4.7.5", words="mismatch")
                server.stop()

    def test_the_strongest_digest_counts(self):
        """RFC 7671 9."""
        server = self.server("PIPELINING", tls=self.context(HOST))
        self.tlsa(server.port, self.record(3, 1, 1), self.wrong(3, 1, 2))
        self.assert_refused(server, "4.7.5")
        self.tlsa(server.port, self.wrong(3, 1, 1), self.record(3, 1, 2))
        self.assert_delivered(server)

    def test_records_of_no_use_ask_for_encryption_alone(self):
        """RFC 7672 2.2, 3.1.3: usages 0 and 1, and what is malformed."""
        server = self.server("PIPELINING", tls=self.context("evil.test", signed=False))
        unusable = [self.wrong(0, 1, 1), self.wrong(1, 1, 1), "3 1 1 abcd", "3 7 1 " + "ab" * 32, "3 1 9 " + "ab" * 32,
                    "2 0 0 " + "30820102"]
        self.tlsa(server.port, *unusable)
        self.assert_delivered(server)
        server.tls = None
        server.messages.clear()
        server.sessions.clear()
        self.assert_refused(server, "4.7.4")
        server.tls = self.context(HOST)
        self.tlsa(server.port, *unusable, self.wrong(3, 1, 1))  # one that is of use makes the difference
        self.assert_refused(server, "4.7.5")

    def test_requiretls_is_content_with_dane(self):
        server = self.server("PIPELINING", tls=self.context("evil.test", signed=False), features_tls=("REQUIRETLS",))
        self.tlsa(server.port, self.record(3, 1, 1, "evil.test"))
        self.assert_delivered(server, policy="requiretls", flags=REQUIRETLS)


class Downgrade(DaneCase):
    def test_tls_cannot_be_talked_away(self):
        for what, replies in (("not offered", {"EHLO": "250 mx.surat.test"}), ("no EHLO", {"EHLO": "502 what?"}),
                              ("put off", {"STARTTLS": "454 4.7.0 not now"}), ("refused", {"STARTTLS": "502 5.5.1 no"})):
            with self.subTest(what):
                server = self.server("PIPELINING", tls=self.context(HOST))
                self.tlsa(server.port, self.record(3, 1, 1))
                server.replies.update(replies)
                self.assert_refused(server, "4.7.4")
                server.stop()

    def test_a_broken_handshake_is_not_followed_by_plain_text(self):
        server = self.server("PIPELINING", tls=self.context(HOST))
        self.tlsa(server.port, self.record(3, 1, 1))
        server.replies["STARTTLS"] = "220 go\n220 on"  # the second line comes where the handshake should
        result, _ = self.deliver(server)
        self.assertEqual((result.status, result.policy), ("deferred", "dane"))
        self.assertEqual([c for c in server.commands() if c.startswith("MAIL")], [])

    def test_a_host_whose_records_dns_does_not_tell_is_not_used(self):
        """RFC 7672 2.1.2: what is bogus is SERVFAIL to us, and so is what somebody keeps from the resolver."""
        server = self.server("PIPELINING", tls=self.context(HOST))
        self.dns.add("_%d._tcp.%s" % (server.port, HOST), "SERVFAIL")
        self.assert_refused(server, "4.4.3", words="TLSA")
        self.assertEqual(server.sessions, [])

    def test_the_next_exchanger_may_do(self):
        self.dns.add(DOMAIN, "MX", "5 mx1.surat.test", "7 mx2.surat.test", "10 " + HOST)
        for host, address in (("mx1", "127.0.0.4"), ("mx2", "127.0.0.5"), ("mx", "127.0.0.3")):
            self.dns.add(host + ".surat.test", "A", address)
        good, hidden, wrong = self.servers("127.0.0.3", "127.0.0.4", "127.0.0.5", features=("PIPELINING",))
        good.tls, wrong.tls = self.context(HOST), self.context("evil.test")
        self.dns.add("_%d._tcp.mx1.surat.test" % good.port, "SERVFAIL")
        self.tlsa(good.port, self.wrong(3, 1, 1), host="mx2.surat.test")
        self.tlsa(good.port, self.record(3, 1, 1))
        self.assert_delivered(good)
        self.assertEqual((hidden.sessions, len(wrong.sessions), wrong.messages), ([], 1, []))


class Security(DaneCase):
    """Where DNSSEC does not reach, records count for nothing, and mail goes as ever."""

    def as_ever(self, **options):
        server = self.server("PIPELINING", tls=self.context("evil.test", signed=False))
        self.tlsa(server.port, self.wrong(3, 1, 1))
        self.assert_delivered(server, policy="may", **options)
        return server

    def test_insecure_records(self):
        server = self.server("PIPELINING", tls=self.context("evil.test", signed=False))
        self.tlsa(server.port, self.wrong(3, 1, 1))
        self.dns.add("_%d._tcp.%s" % (server.port, HOST), "INSECURE")
        self.assert_delivered(server, policy="may")

    def test_insecure_exchangers(self):
        self.dns.add(DOMAIN, "INSECURE")
        server = self.as_ever()
        self.assertNotIn("TLSA", [kind for _, kind, _ in self.dns.queries])
        self.assert_refused_by_word(server)

    def assert_refused_by_word(self, server):
        before = len(server.messages)
        result, _ = self.deliver(server, settings={"sections": "[route .test]\ntls = dane\n"}, route=".test")
        self.assertEqual((result.status, result.code, result.policy), ("deferred", "4.7.5", "dane"))
        self.assertEqual(len(server.messages), before)

    def test_insecure_addresses(self):
        self.dns.add(HOST, "INSECURE")
        self.as_ever()
        self.assertNotIn("TLSA", [kind for _, kind, _ in self.dns.queries])

    def test_a_resolver_that_is_not_trusted(self):
        server = self.as_ever(settings={"dns_trust_ad": "no"})
        self.assertNotIn("TLSA", [kind for _, kind, _ in self.dns.queries])
        server.sessions.clear()
        self.assert_refused(server, "4.7.5", settings={"dns_trust_ad": "yes"})

    def test_no_records(self):
        server = self.server("PIPELINING", tls=self.context("evil.test", signed=False))
        self.assert_delivered(server, policy="may")
        server.tls = None
        self.assert_delivered(server, policy="may", secured=False)

    def test_what_a_domain_demands_is_told_of_its_site(self):
        server = self.server("PIPELINING")
        self.dns.add("lain.test", "MX", "10 " + HOST)
        self.dns.add("lain.test", "INSECURE")
        remote = self.remote(server.port)
        sites = [remote.resolve(domain) for domain in (DOMAIN, "lain.test")]
        self.assertEqual([site["key"] for site in sites], [HOST, HOST])
        self.assertEqual([site["security"] for site in sites], ["dnssec", ""])


class Names(DaneCase):
    """RFC 7672 2.2.2, 2.2.3: under which name the records are, and what the server is told by SNI."""

    def setUp(self):
        super().setUp()
        self.sni = []
        self.dns.add(DOMAIN, "MX", "10 " + HOST)
        self.dns.add(HOST, "CNAME", "host.penyedia.test")
        self.dns.add("host.penyedia.test", "A", "127.0.0.3")
        (self.host,) = self.servers("127.0.0.3", features=("PIPELINING",), tls=self.context(HOST))
        self.host.tls.sni_callback = lambda connection, name, context: self.sni.append(name)

    def test_the_name_at_the_end_of_aliases_is_first(self):
        self.tlsa(self.host.port, self.record(3, 1, 1), host="host.penyedia.test")
        self.tlsa(self.host.port, self.wrong(3, 1, 1))
        self.assert_delivered(self.host)
        self.assertEqual(self.sni, ["host.penyedia.test"])

    def test_then_the_exchangers_own(self):
        self.tlsa(self.host.port, self.record(3, 1, 1))
        self.assert_delivered(self.host)
        self.assertEqual(self.sni, [HOST])

    def test_which_is_the_only_one_when_it_leads_to_where_dnssec_does_not_reach(self):
        self.dns.add("host.penyedia.test", "INSECURE")
        self.tlsa(self.host.port, self.wrong(3, 1, 1), host="host.penyedia.test")
        self.tlsa(self.host.port, self.record(3, 1, 1))
        self.assert_delivered(self.host)
        self.assertEqual(self.sni, [HOST])

    def test_a_relay_has_records_at_its_port(self):
        self.tlsa(self.host.port, self.wrong(3, 1, 1))
        self.dns.add("pos.test", "A", "127.0.0.3")
        self.tlsa(self.host.port, self.record(3, 1, 1), host="pos.test")
        self.assert_delivered(self.host, domain="[pos.test]:%d" % self.host.port, remote=self.remote(1))
        self.assertEqual(self.sni, ["pos.test"])


class Words(DaneCase):
    """`tls` of a route, for a domain without a relay."""

    def test_each_word_decides_by_itself(self):
        right, other = self.context(HOST), self.context("evil.test", signed=False)
        matching, differing = self.record(3, 1, 1), self.wrong(3, 1, 1)
        # What the server has, what DNS says, and what becomes of the mail: a code, or whether it goes under TLS.
        rows = (("none", other, differing, False), ("none", None, None, False),
                ("may", other, differing, True), ("may", None, differing, False),
                ("encrypt", other, differing, True), ("encrypt", None, matching, "4.7.4"),
                ("verify", right, differing, True), ("verify", other, differing, "4.7.5"), ("verify", None, matching, "4.7.4"),
                ("dane", right, matching, True), ("dane", right, differing, "4.7.5"), ("dane", right, None, "4.7.5"),
                ("dane", None, matching, "4.7.4"),
                ("sts", right, matching, "4.7.5"))
        for word, context, record, outcome in rows:
            with self.subTest(word=word, has=context is not None, record=record, outcome=outcome):
                server = self.server("PIPELINING", tls=context)
                self.tlsa(server.port, *([record] if record else []))
                options = {"policy": word, "route": "." + DOMAIN, "settings": {
                    "tls_authorities": self.authority, "sections": "[route .%s]\ntls = %s\n" % (DOMAIN, word)}}
                if isinstance(outcome, str):
                    self.assert_refused(server, outcome, **options)
                else:
                    self.assert_delivered(server, secured=outcome, **options)
                server.stop()


class Reuse(DaneCase):
    """Connections and sessions are worth what they were begun with."""

    def resumed(self, server):
        return [m.session.resumed for m in server.messages]

    def wait_ended(self, server):
        for session in server.sessions:
            self.assertTrue(session.ended.wait(10))

    def test_sessions_are_resumed(self):
        server = self.server("PIPELINING", tls=self.context(HOST))
        self.tlsa(server.port, self.record(3, 1, 1))
        remote = self.remote(server.port, connection_reuse="0")
        for _ in range(3):
            self.assert_delivered(server, remote=remote)
            self.wait_ended(server)
        self.assertEqual(self.resumed(server), [False, True, True])

    def test_also_of_tls_1_2(self):
        context = self.context(HOST)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        server = self.server("PIPELINING", tls=context)
        self.tlsa(server.port, self.record(3, 1, 1))
        remote = self.remote(server.port, connection_reuse="0")
        for _ in range(3):
            self.assert_delivered(server, remote=remote)
            self.wait_ended(server)
        self.assertEqual(self.resumed(server), [False, True, True])

    def test_but_not_when_the_records_are_others(self):
        server = self.server("PIPELINING", tls=self.context(HOST))
        remote = self.remote(server.port, connection_reuse="0")
        self.tlsa(server.port, self.record(3, 1, 1))
        self.assert_delivered(server, remote=remote)
        self.tlsa(server.port, self.record(3, 1, 2))
        self.assert_delivered(server, remote=remote)
        self.assertEqual(self.resumed(server), [False, False])
        self.tlsa(server.port, self.wrong(3, 1, 2))
        commands = len([c for c in server.commands() if c.startswith("MAIL")])
        result, _ = self.deliver(server, remote=remote)
        self.assertEqual((result.status, result.code), ("deferred", "4.7.5"))
        self.assertEqual(len([c for c in server.commands() if c.startswith("MAIL")]), commands)

    def test_nor_does_one_that_proved_nothing_ever_count_as_proof(self):
        server = self.server("PIPELINING", tls=self.context("evil.test", signed=False))
        remote = self.remote(server.port, connection_reuse="0", tls_authorities=self.authority,
                             sections="[route .test]\ntls = verify\n")
        for _ in range(2):
            self.assert_delivered(server, remote=remote, policy="may")
            self.wait_ended(server)
        self.assertEqual(self.resumed(server), [False, True])
        result, _ = self.deliver(server, remote=remote, route=".test")
        self.assertEqual((result.status, result.code, result.policy), ("deferred", "4.7.5", "verify"))
        self.tlsa(server.port, self.wrong(3, 1, 1))
        result, _ = self.deliver(server, remote=remote)
        self.assertEqual((result.status, result.code, result.policy), ("deferred", "4.7.5", "dane"))

    def test_a_kept_connection_is_for_domains_that_demand_the_same(self):
        self.dns.add("lain.test", "MX", "10 " + HOST)
        self.dns.add("lain.test", "INSECURE")
        server = self.server("PIPELINING", tls=self.context(HOST))
        self.tlsa(server.port, self.record(3, 1, 1))
        remote = self.remote(server.port, connection_reuse="30s")
        for domain, security, policy in ((DOMAIN, "dnssec", "dane"), ("lain.test", "", "may"), (DOMAIN, "dnssec", "dane"),
                                         ("lain.test", "", "may")):
            self.assert_delivered(server, remote=remote, domain=domain, site=HOST, security=security, policy=policy)
        self.assertEqual(len(server.sessions), 2)

    def test_and_none_when_dns_says_something_else_than_when_the_site_was_asked_for(self):
        server = self.server("PIPELINING", tls=self.context(HOST))
        self.tlsa(server.port, self.record(3, 1, 1))
        remote = self.remote(server.port, connection_reuse="30s")
        for _ in range(2):
            self.assert_delivered(server, remote=remote, site=HOST, security="")
        self.assertEqual(len(server.sessions), 2)

    def test_nor_one_that_proved_only_the_domain(self):
        server = self.server("PIPELINING", tls=self.chained(DOMAIN))
        with open(self.path("ca.pem.pem"), "w") as f, open(self.authority) as ca:
            f.write(ca.read())
        self.tlsa(server.port, self.record(2, 0, 1, "ca.pem"))
        remote = self.remote(server.port, connection_reuse="30s")
        for _ in range(2):
            self.assert_delivered(server, remote=remote, site=HOST, security="dnssec")
        self.assertEqual(self.resumed(server), [False, False])


class Shown(suite.Case):
    """Two whole instances: the sender's log and queue tell what decided."""

    def tlsa(self, instance, association=None):
        with open(instance.certificate) as f:
            whole = ssl.PEM_cert_to_DER_cert(f.read())
        name = "_%d._tcp.mx.%s" % (instance.relay_port, instance.domain)
        self.dns.clear(name)
        self.dns.add(name, "TLSA", "3 0 1 " + (association or hashlib.sha256(whole).hexdigest()))

    def test_in_the_log_and_the_queue(self):
        with suite.Dns() as self.dns:
            self.dns.add("test", "SECURE")
            satu, dua = suite.two_instances(self.dns, settings={"retry": "1h", "connection_reuse": "0"})
            with dua, satu:
                baru, lama = satu.add_user("baru"), dua.add_user("lama")
                self.tlsa(dua)
                satu.submit(baru, [lama], suite.letter(baru, lama))
                satu.wait_log(r"to=<%s>, .*status=sent \(.*\) tls=TLSv1\.3 cipher=\S+ policy=dane" % lama)
                self.tlsa(dua, "ab" * 32)
                satu.submit(baru, ["x" + lama], suite.letter(baru, "x" + lama))
                found = satu.wait_log(r"(\w+): to=<x%s>, .*dsn=4\.7\.5, status=deferred \(.*\) tls=none policy=dane" % lama)
                suite.wait_for(lambda: "(policy dane, no TLS)" in satu.merpati("queue", "show", found.group(1), check=False).stdout,
                               "the attempt")


@unittest.skipUnless(shutil.which("unbound") and shutil.which("ldns-signzone"), "needs unbound and ldnsutils")
class Unbound(DaneCase):
    """A resolver that validates, and the zone test., which is signed; rawan. is not."""

    ZONE = """$ORIGIN test.
@ 60 IN SOA ns hostmaster 1 3600 600 86400 60
@ 60 IN NS ns
ns 60 IN A 127.0.0.1
surat 60 IN MX 10 mx.surat
mx.surat 60 IN A 127.0.0.3
_PORT._tcp.mx.surat 60 IN TLSA RECORD
salah 60 IN MX 10 mx.salah
mx.salah 60 IN A 127.0.0.3
_PORT._tcp.mx.salah 60 IN TLSA WRONG
palsu 60 IN MX 10 mx.palsu
mx.palsu 60 IN A 127.0.0.3
_PORT._tcp.mx.palsu 60 IN TLSA WRONG
polos 60 IN MX 10 mx.polos
mx.polos 60 IN A 127.0.0.3
"""
    INSECURE = """$ORIGIN rawan.
@ 60 IN SOA ns.test. hostmaster.test. 1 3600 600 86400 60
@ 60 IN NS ns.test.
surat 60 IN MX 10 mx.surat
mx.surat 60 IN A 127.0.0.3
_PORT._tcp.mx.surat 60 IN TLSA WRONG
"""
    CONF = """server:
  directory: "%(directory)s"
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  logfile: ""
  interface: 127.0.0.1
  port: %(port)d
  do-ip6: no
  do-daemonize: no
  num-threads: 1
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor-file: "%(key)s"
  local-zone: "test." nodefault
remote-control:
  control-enable: no
auth-zone:
  name: "test."
  zonefile: "%(directory)s/test.zone.signed"
  for-downstream: no
  for-upstream: yes
auth-zone:
  name: "rawan."
  zonefile: "%(directory)s/rawan.zone"
  for-downstream: no
  for-upstream: yes
"""

    def zone_write(self, name, text, port):
        for word, value in (("PORT", str(port)), ("RECORD", self.record(3, 1, 1)), ("WRONG", self.wrong(3, 1, 1))):
            text = text.replace(word, value)
        with open(self.path(name), "w") as f:
            f.write(text)

    def zones_make(self, port):
        self.zone_write("test.zone", self.ZONE, port)
        self.zone_write("rawan.zone", self.INSECURE, port)
        base = subprocess.run(["ldns-keygen", "-k", "-a", "ECDSAP256SHA256", "test"], cwd=self.directory, check=True,
                              capture_output=True, text=True).stdout.strip()
        subprocess.run(["ldns-signzone", "-o", "test", "test.zone", base], cwd=self.directory, check=True, capture_output=True)
        with open(self.path("test.zone.signed")) as f:
            lines = f.read().splitlines()
        # Somebody puts another record in the place of one that was signed.
        lines = [line.replace("abab", "cdcd", 1) if "mx.palsu" in line and "\tTLSA\t" in line else line for line in lines]
        with open(self.path("test.zone.signed"), "w") as f:
            f.write("\n".join(lines) + "\n")
        return self.path(base + ".key")

    def unbound(self, port):
        key = self.zones_make(port)
        for _ in range(5):
            dns_port, log = self.unbound_start(key)
            if dns_port:
                return "127.0.0.1:%d" % dns_port
        if "ermission denied" in log:
            self.skipTest("unbound may not read a configuration here")
        self.fail(log)

    def unbound_start(self, key):
        """Its port, or None and what it said: somebody else may have taken the port meanwhile."""
        with suite.listening_socket("127.0.0.1") as s:
            dns_port = s.getsockname()[1]
        with open(self.path("unbound.conf"), "w") as f:
            f.write(self.CONF % {"directory": self.directory, "port": dns_port, "key": key})
        with open(self.path("unbound.log"), "wb") as log:
            process = subprocess.Popen(["unbound", "-d", "-c", self.path("unbound.conf")], stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)

        def said():
            with open(self.path("unbound.log"), errors="replace") as f:
                return f.read()
        suite.wait_for(lambda: "start of service" in said() or process.poll() is not None, "unbound")
        return (None if process.poll() is not None else dns_port), said()

    def test_what_it_validates_is_believed(self):
        server = self.server("PIPELINING", tls=self.context(HOST))
        resolvers = self.unbound(server.port)
        remote = self.remote(server.port, resolvers=resolvers, connection_reuse="0")
        self.assert_delivered(server, remote=remote)
        for domain, code in (("salah.test", "4.7.5"), ("palsu.test", "4.4.3")):
            result, _ = self.deliver(server, domain=domain, remote=remote)
            self.assertEqual((result.status, result.code, result.policy), ("deferred", code, "dane"), result)
        self.assert_delivered(server, remote=remote, domain="polos.test", policy="may")
        self.assert_delivered(server, remote=remote, domain="surat.rawan", policy="may")

    def test_the_doctor_sees_the_same(self):
        self.context(HOST)
        with suite.listening_socket("127.0.0.3") as s:
            port = s.getsockname()[1]
        with open(self.path("doctor.conf"), "w") as f:
            f.write("hostname = %s\nrelay_port = %d\nresolvers = %s\ntls_certificate = %s\ntls_key = %s\nspool_directory = spool\n"
                    "run_directory = run\ncache_directory = cache\n[listener mx]\naddress = 127.0.0.3\nport = %d\n" % (
                        HOST, port, self.unbound(port), self.path(HOST + ".pem"), self.path(HOST + ".key"), port))
            for domain in ("surat.test", "salah.test", "palsu.test", "surat.rawan"):
                f.write("[domain %s]\n" % domain)
        told = subprocess.run([os.path.join(suite.BIN, "merpati"), "doctor", "--json"], capture_output=True, text=True, timeout=120,
                              env=dict(os.environ, MERPATI_CONF=self.path("doctor.conf"))).stdout
        found = [json.loads(line) for line in told.splitlines()]
        self.assertEqual([f["name"] for f in found if f["area"] == "resolvers"], ["resolver"])
        self.assertEqual({f["subject"]: f["name"] for f in found if f["name"].startswith("tlsa")}, {
            "mx.surat.test": "tlsa", "mx.salah.test": "tlsa-mismatch", "mx.palsu.test": "tlsa-unknown",
            "mx.surat.rawan": "tlsa-mismatch"})


if __name__ == "__main__":
    unittest.main()
