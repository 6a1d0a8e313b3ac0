"""merpati doctor: each thing that it finds out as a case. What it says of the machine that the tests run on (its clock, its
disks) is looked at only where the test has made it so."""

import contextlib
import hashlib
import http.server
import json
import os
import pty
import re
import signal
import ssl
import subprocess
import tempfile
import threading
import unittest

from suite import Case, Dns, Instance, have_suite_users, needs_root, wait_for
from test_queue import base, new_id

GOOD = {
    "satu.test": {"MX": ["10 satu.test"], "A": ["127.0.0.2"], "TXT": ["something=else", "v=spf1 mx -all"]},
    "2.0.0.127.in-addr.arpa": {"PTR": ["satu.test"]},
    "_dmarc.satu.test": {"TXT": ["v=DMARC1; p=reject"]},
    "_mta-sts.satu.test": {"TXT": ["v=STSv1; id=1"]},
    "mta-sts.satu.test": {"A": ["127.0.0.2"]},
    "_smtp._tls.satu.test": {"TXT": ["v=TLSRPTv1; rua=mailto:x@satu.test"]},
}
POLICY = "version: STSv1\r\nmode: enforce\r\nmx: satu.test\r\nmax_age: 86400\r\n"
NETWORK = ("resolvers", "host", "domains", "exchangers")


def doctor(server, *words):
    done = server.merpati("doctor", "--json", *words, check=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    worst = {f["level"] for f in found}
    assert done.returncode == (2 if "error" in worst else 1 if "warning" in worst else 0), (done.returncode, found, done.stderr)
    return found


def troubles(found, *areas):
    return sorted((f["level"], f["name"], f["subject"]) for f in found if f["area"] in areas and f["level"] != "ok")


class PolicyHost:
    """mta-sts.satu.test: serves `text`, or the status instead; its certificate is its own authority."""

    def __init__(self):
        self.text, self.status, self.type = POLICY, 200, "text/plain"
        self.directory = tempfile.TemporaryDirectory(prefix="m", dir="/tmp")
        os.chmod(self.directory.name, 0o755)
        self.certificate = os.path.join(self.directory.name, "cert.pem")
        key = os.path.join(self.directory.name, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                        "-out", self.certificate, "-days", "30", "-subj", "/CN=x", "-addext",
                        "subjectAltName=DNS:mta-sts.satu.test"], check=True, stderr=subprocess.DEVNULL)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):
                body = self.text.encode()
                handler.send_response(self.status if handler.path == "/.well-known/mta-sts.txt" else 404)
                handler.send_header("Content-Type", self.type)
                handler.send_header("Content-Length", str(len(body)))
                handler.end_headers()
                handler.wfile.write(body)

            def log_message(handler, *unused):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.2", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *unused):
        self.server.shutdown()
        self.server.server_close()
        self.directory.cleanup()


class World(Case):
    """What DNS says of this host and its domains."""

    @classmethod
    def setUpClass(cls):
        cls.dns = cls.enter(Dns())
        cls.host = cls.enter(PolicyHost())
        cls.server = cls.enter(Instance("satu.test", "127.0.0.2", cls.dns, kinds=("mx",), settings={
            "mta_sts_port": cls.host.port, "tls_authorities": cls.host.certificate}))

    @classmethod
    def enter(cls, manager):
        cls.addClassCleanup(manager.__exit__, None, None, None)
        return manager.__enter__()

    def zone(self, **changes):
        """GOOD, but for these names (with _ for . where Python wants it): kinds, or None for nothing at all."""
        for name in list(self.dns.server.records):
            self.dns.clear(name)
        for name, kinds in dict(GOOD, **changes).items():
            for kind, values in (kinds or {}).items():
                self.dns.add(name, kind, *values)

    def check(self, changes, *expected, words=()):
        self.zone(**changes)
        beside = ("tlsa-missing", "resolver-not-validating", "sts-policy-mx", "sts-unfetched")  # of which other tests are
        found = [t for t in troubles(doctor(self.server, *words), *NETWORK) if t[1] not in beside]
        self.assertEqual(found, sorted(expected), changes)

    def names(self, *words):
        return {f["name"]: f for f in doctor(self.server, *words) if f["area"] in NETWORK}

    def test_a_host_with_all_its_records_has_no_troubles(self):
        self.check({})

    def test_the_host_s_name_leads_to_it_and_back(self):
        ip, me = "127.0.0.2", "satu.test"
        zone = GOOD[me]
        for changes, expected in (
                ({"2.0.0.127.in-addr.arpa": None}, [("warning", "reverse-missing", ip)]),
                ({"2.0.0.127.in-addr.arpa": {"PTR": ["lain.test"]}}, [("warning", "reverse-unconfirmed", ip)]),
                ({"2.0.0.127.in-addr.arpa": {"PTR": ["lain.test"]}, "lain.test": {"A": [ip]}}, [("warning", "reverse-other", ip)]),
                ({"2.0.0.127.in-addr.arpa": {"PTR": ["lain.test", me]}}, []),
                ({"2.0.0.127.in-addr.arpa": {"SERVFAIL": [""]}}, [("warning", "reverse-unknown", ip)]),
                ({me: dict(zone, A=["192.0.2.7"])},
                 [("note", "address-elsewhere", "192.0.2.7"), ("warning", "reverse-missing", "192.0.2.7")])):
            with self.subTest(changes=changes):
                self.check(changes, *expected)

    def test_a_host_without_address_or_with_an_alias_for_its_name(self):
        me = "satu.test"
        self.check({me: {"MX": ["10 mx.satu.test"], "TXT": ["v=spf1 mx -all"]}, "mx.satu.test": {"A": ["127.0.0.2"]}},
                   ("error", "hostname-missing", me), ("error", "spf-excludes", me),
                   ("warning", "certificate-name-missing", "mx.satu.test"))
        self.zone(**{me: {"CNAME": ["lain.test"]}, "lain.test": dict(GOOD[me], MX=["10 lain.test"])})
        self.assertIn(("warning", "hostname-alias", me), troubles(doctor(self.server), "host"))

    def test_the_domain_s_mail_comes_here(self):
        me, ip = "satu.test", "127.0.0.2"
        txt = GOOD[me]["TXT"]
        for kinds, further, expected in (
                ({"MX": ["10 lain.test"], "A": [ip]}, {"lain.test": {"A": ["192.0.2.1"]}},
                 [("error", "mx-elsewhere", me), ("error", "spf-excludes", me)]),
                ({"MX": ["5 lain.test", "10 satu.test"], "A": [ip]}, {"lain.test": {"A": ["192.0.2.1"]}}, [("note", "mx-second", me)]),
                ({"MX": ["10 satu.test", "20 lain.test"], "A": [ip]}, {}, [("warning", "mx-no-address", me)]),
                ({"MX": ["10 satu.test", "20 lain.test"], "A": [ip]}, {"lain.test": {"CNAME": ["satu.test"]}},
                 [("warning", "certificate-name-missing", "lain.test"), ("warning", "mx-alias", me)]),
                ({"MX": ["10 mx.satu.test"], "A": [ip]}, {"mx.satu.test": {"A": [ip]}},
                 [("warning", "certificate-name-missing", "mx.satu.test")]),
                ({"MX": ["0 ."], "A": [ip]}, {}, [("error", "mx-null", me), ("error", "spf-excludes", me)]),
                ({"A": [ip]}, {}, [("error", "spf-excludes", me), ("note", "mx-implicit", me)]),
                ({"SERVFAIL": [""]}, {}, [("error", "resolver-silent", None), ("warning", "hostname-unknown", me),
                                          ("warning", "mx-unknown", me), ("warning", "record-unknown", me)])):
            with self.subTest(kinds=kinds):
                kinds = dict(kinds, TXT=txt)
                expected = [(level, name, self.resolver_name() if who is None else who) for level, name, who in expected]
                self.check(dict({me: kinds}, **further), *expected)

    def resolver_name(self):
        return "127.0.0.1 port %d" % self.dns.server.port

    def test_policies_are_published_and_right(self):
        me = "satu.test"

        def spf(*records):
            return {me: dict(GOOD[me], TXT=list(records))}
        for changes, level, name in (
                (spf(), "warning", "spf-missing"), (spf("v=spf1 mx -all", "v=spf1 a -all"), "error", "record-twice"),
                (spf("v=spf1 ip4:192.0.2.1 -all"), "error", "spf-excludes"), (spf("v=spf1 mx all"), None, None),
                (spf("v=spf1 +all"), "warning", "spf-open"), (spf("v=spf1 mx nonsense -all"), "error", "spf-bad"),
                (spf("v=spf1 include:lain.test -all"), None, None), (spf("v=spf1 a ip4:127.0.0.0/8 -all"), None, None),
                ({"_dmarc.satu.test": None}, "warning", "dmarc-missing"),
                ({"_dmarc.satu.test": {"TXT": ["v=DMARC1; rua=mailto:x@y"]}}, "error", "dmarc-bad"),
                ({"_dmarc.satu.test": {"TXT": ["v=DMARC1; p=none"] * 2}}, "error", "record-twice"),
                ({"_mta-sts.satu.test": None}, "note", "sts-missing"),
                ({"_mta-sts.satu.test": {"TXT": ["v=STSv1; id=a-b"]}}, "error", "sts-bad"),
                ({"mta-sts.satu.test": None}, "error", "sts-no-host"),
                ({"_smtp._tls.satu.test": None}, "note", "tlsrpt-missing"),
                ({"_smtp._tls.satu.test": {"TXT": ["v=TLSRPTv1; rua=nowhere"]}}, "error", "tlsrpt-bad")):
            with self.subTest(changes=changes):
                self.check(changes, *([(level, name, me)] if name else []))

    def test_the_remedy_is_a_record_that_can_be_published(self):
        self.zone(**{"_dmarc.satu.test": None})
        remedy, = [f["remedy"] for f in doctor(self.server) if f["name"] == "dmarc-missing"]
        record = re.fullmatch(r'Publish: (\S+)\. TXT "(.*)"', remedy)
        self.zone(**{record.group(1): {"TXT": [record.group(2)]}})
        self.assertEqual([f["level"] for f in doctor(self.server) if f["name"].startswith("dmarc")], ["ok"])

    def test_the_policy_of_mta_sts_is_fetched(self):
        def one(text=POLICY, status=200, kind="text/plain"):
            self.host.text, self.host.status, self.host.type = text, status, kind
            return {(f["level"], name) for name, f in self.names().items() if name.startswith("sts")}
        self.addCleanup(one)
        self.zone()
        self.assertEqual(one(), {("ok", "sts"), ("ok", "sts-policy")})
        self.assertEqual(one(status=404), {("ok", "sts"), ("error", "sts-unfetched")})
        self.assertEqual(one(kind="text/html"), {("ok", "sts"), ("error", "sts-unfetched")})
        self.assertEqual(one(text="nonsense"), {("ok", "sts"), ("error", "sts-policy-bad")})
        self.assertEqual(one(text=POLICY.replace("satu", "dua")), {("ok", "sts"), ("error", "sts-policy-mx")})
        self.assertEqual(one(text=POLICY.replace("satu", "dua").replace("enforce", "testing")),
                         {("ok", "sts"), ("warning", "sts-policy-mx")})
        self.assertEqual(one(text=POLICY.replace("mx: satu.test", "mx: *.test")), {("ok", "sts"), ("ok", "sts-policy")})

    def digest(self, what, algorithm):
        """Of the instance's certificate, or of its public key; None: the bytes themselves."""
        der = subprocess.run(["openssl", "x509", "-in", self.server.certificate, "-outform", "DER"], check=True,
                             stdout=subprocess.PIPE).stdout
        if what == "key":
            pem = subprocess.run(["openssl", "x509", "-in", self.server.certificate, "-pubkey", "-noout"], check=True,
                                 stdout=subprocess.PIPE).stdout
            der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=pem, check=True,
                                 stdout=subprocess.PIPE).stdout
        return hashlib.new(algorithm, der).hexdigest() if algorithm else der.hex()

    def tlsa(self, *records, **behaviour):
        self.zone(**{"_25._tcp.satu.test": dict(behaviour, TLSA=list(records)) if records or behaviour else None,
                     "satu.test": dict(GOOD["satu.test"], SECURE=[""])})
        return self.names()

    def test_dane_tells_what_to_publish_and_whether_it_is_right(self):
        found = self.tlsa()
        self.assertEqual(found["resolver"]["level"], "ok")
        self.assertEqual(found["tlsa-missing"]["level"], "note")
        self.assertEqual(found["tlsa-missing"]["remedy"],
                         "Publish: _25._tcp.satu.test. TLSA 3 1 1 " + self.digest("key", "sha256"))
        for record in ("3 1 1 " + self.digest("key", "sha256"), "3 1 2 " + self.digest("key", "sha512"),
                       "3 0 1 " + self.digest("all", "sha256"), "3 1 0 " + self.digest("key", None)):
            self.assertEqual(self.tlsa("3 1 1 " + "00" * 32, record)["tlsa"]["level"], "ok", record)
        for record in ("3 1 1 " + "00" * 32, "1 1 1 " + self.digest("key", "sha256"), "3 0 1 " + self.digest("key", "sha256"),
                       "2 1 1 " + self.digest("key", "sha256"), "3 1 3 " + self.digest("key", "sha256")):
            found = self.tlsa(record)["tlsa-mismatch"]
            self.assertEqual(found["level"], "error", record)
            self.assertIn("TLSA 3 1 1 " + self.digest("key", "sha256"), found["remedy"])
        self.assertEqual(self.tlsa("3 1 1 " + self.digest("key", "sha256"), INSECURE=[""])["tlsa-insecure"]["level"], "warning")
        self.assertEqual(self.tlsa(SERVFAIL=[""])["tlsa-unknown"]["level"], "warning")
        self.zone(**{"_25._tcp.satu.test": {"TLSA": ["3 1 1 " + self.digest("key", "sha256")]}})
        self.assertEqual(self.names()["tlsa-insecure"]["level"], "note")

    def test_a_resolver_must_validate_and_be_believed_for_dane(self):
        def with_setting(line):
            with tempfile.NamedTemporaryFile("w", dir=self.server.directory, suffix=".conf") as other:
                with open(self.server.conf) as f:
                    other.write(line + "\n" + f.read())
                other.flush()
                os.chmod(other.name, 0o644)
                return {name: f["level"] for name, f in self.names("-c", other.name).items() if name.startswith("resolver")}
        self.zone()
        self.assertEqual(with_setting(""), {"resolver-not-validating": "note"})
        self.assertEqual(with_setting("dns_trust_ad = yes"), {"resolver-not-validating": "warning"})
        self.zone(**{"satu.test": dict(GOOD["satu.test"], SECURE=[""])})
        self.assertEqual(with_setting(""), {"resolver": "ok"})
        self.assertEqual(with_setting("dns_trust_ad = no"), {"resolver-not-believed": "note"})

    def test_its_time_is_bounded(self):
        self.check(dict({name: {"DROP": [""]} for name in GOOD}), ("error", "resolver-silent", self.resolver_name()),
                   ("warning", "hostname-unknown", "satu.test"), ("warning", "mx-unknown", "satu.test"),
                   *[("warning", "record-unknown", "satu.test")] * 4, words=("--time", "1"))

    def test_what_dns_says_cannot_reach_the_terminal(self):
        self.zone(**{"satu.test": dict(GOOD["satu.test"], TXT=["v=spf1 mx -all"]),
                     "_dmarc.satu.test": {"TXT": ["v=DMARC1; p=none\x1b[2J"]}})
        self.assertNotIn("\x1b", self.server.merpati("doctor", check=False).stdout)

    def test_it_can_be_told_not_to_ask(self):
        self.zone()
        before = len(self.dns.server.queries)
        found = doctor(self.server, "--offline")
        self.assertEqual([f for f in found if f["area"] in NETWORK], [])
        self.assertEqual(len(self.dns.server.queries), before)

    def test_people_read_it_aligned_and_in_colour(self):
        self.zone(**{"_dmarc.satu.test": None})
        plain = self.server.merpati("doctor", check=False).stdout
        self.assertRegex(plain, r"(?m)^domains\n  ok       satu\.test has satu\.test for its exchanger, which is this host$")
        self.assertRegex(plain, r"(?m)^  warning  satu\.test has no DMARC record: .*\n {11}Publish: _dmarc\.satu\.test\. TXT")
        self.assertRegex(plain, r"\d+ errors?, \d+ warnings?, \d+ notes?\n\Z")
        quiet = self.server.merpati("doctor", "--quiet", check=False).stdout
        self.assertNotRegex(quiet, r"(?m)^  (ok|note) ")
        self.assertIn("has no DMARC record", quiet)
        ours, theirs = pty.openpty()
        env = dict(os.environ, MERPATI_CONF=self.server.conf, TERM="xterm")
        env.pop("NO_COLOR", None)
        subprocess.run([self.server.program("merpati"), "doctor"], env=env, stdout=theirs, check=False, timeout=60)
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):
            while True:
                shown += os.read(ours, 65536)
        os.close(ours)
        shown = shown.decode()
        self.assertIn("\033[33mwarning\033[0m", shown)
        self.assertEqual(re.sub(r"\033\[\d*m", "", shown).replace("\r\n", "\n"), plain)

    def test_words_that_it_does_not_know(self):
        for words in (["--nonsense"], ["word"], ["--time", "0"], ["--time", "soon"]):
            self.assertEqual(self.server.merpati("doctor", *words, check=False).returncode, 64, words)


class Host(Case):
    """What this host itself shows."""

    def test_a_daemon_that_does_not_answer(self):
        with Instance("satu.test", "127.0.0.2", kinds=("mx", "pop3", "imaps")) as server:
            self.assertEqual(troubles(doctor(server, "--offline"), "daemons"), [])
            pids = [pid for pid, words in server.processes().items() if "imapd" in words or "queued" in words]
            try:
                for pid in pids:
                    os.kill(pid, signal.SIGSTOP)
                found = troubles(doctor(server, "--offline", "--time", "3"), "daemons")
            finally:
                for pid in pids:
                    os.kill(pid, signal.SIGCONT)
            # on a busy machine others may take their time as well
            self.assertLessEqual({("error", "daemon-silent", "imapd"), ("error", "daemon-silent", "queued")}, set(found))
            wait_for(lambda: not troubles(doctor(server, "--offline"), "daemons"), "all to answer again")
            server.stop()
            found = {t[1] for t in troubles(doctor(server, "--offline", "--time", "1"), "daemons")}
            self.assertEqual(found, {"daemon-away", "daemon-silent"})  # the test itself holds the ports

    def test_the_postmaster_can_be_written_to(self):
        with Instance("satu.test", "127.0.0.2", kinds=("mx",)) as server:
            self.assertEqual(troubles(doctor(server, "--offline"), "postmasters"),
                             [("warning", "postmaster-missing", "postmaster@satu.test")])
            baru = server.add_user("baru")
            with open(os.path.join(server.directory, "aliases"), "a") as f:
                f.write("postmaster@satu.test: %s\n" % baru)
            wait_for(lambda: not troubles(doctor(server, "--offline"), "postmasters"), "the alias to be known")

    def test_nothing_runs_or_there_is_nothing(self):
        with tempfile.TemporaryDirectory(prefix="m", dir="/tmp") as directory:
            server = Instance("satu.test", directory=directory, kinds=(), tls=False)
            server.write_conf()
            with open(server.conf, "a") as f:
                f.write("\n[listener local]\npath = local\n")
            self.assertEqual(troubles(doctor(server, "--offline"), "daemons"), [("error", "not-running", "Merpati")])
            with open(server.conf, "a") as f:
                f.write("nonsense = 1\n")
            found = doctor(server, "--offline")
            self.assertRegex([f["text"] for f in found if f["area"] == "configuration"][0], r"merpati\.conf:\d+: .*nonsense")
            server.conf += ".away"
            found = doctor(server)
            self.assertEqual({(f["level"], f["area"]) for f in found}, {("error", "configuration")})

    def test_the_queue_s_health(self):
        with Instance("satu.test", "127.0.0.2", kinds=("mx",), settings={"retry": "1h", "site_concurrency": "1"}) as server:
            found = {f["name"] for f in doctor(server, "--offline") if f["area"] == "queue"}
            self.assertEqual(found, {"empty"})
            spool = os.path.join(server.directory, "spool")
            for place in ("corrupt", "hold"):
                with open(os.path.join(spool, place, new_id()), "w") as f:
                    f.write("damaged")
            os.makedirs(os.path.join(spool, "deferred", "20991231T000000Z"))
            with open(os.path.join(spool, "deferred", "20991231T000000Z", base(1500000000, 6) + "0000z00000"), "w") as f:
                f.write("old")
            for i in range(8):
                server.sendmail("-f", "<>", "x%d@[127.0.0.98]" % i, input=b"Subject: x\n\nx\n")
            wanted = [("note", "held", "hold"), ("warning", "corrupt", "corrupt"), ("warning", "deferred-old", "deferred"),
                      ("warning", "site-dead", "[127.0.0.98]")]
            wait_for(lambda: len(troubles(doctor(server, "--offline"), "queue")) >= len(wanted), "the troubles", 60)
            self.assertEqual(troubles(doctor(server, "--offline"), "queue"), wanted)

    @needs_root("a small file system in memory")
    def test_a_disk_that_is_small_or_no_disk(self):
        with Instance("satu.test", "127.0.0.2", kinds=("mx",), memory_spool="4m") as server:
            found = troubles(doctor(server, "--offline"), "disk")
            spool = os.path.join(server.directory, "spool")
            self.assertLessEqual({("error", "room-low", spool), ("warning", "disk-memory", spool)}, set(found))
            subprocess.run(["mount", "-o", "remount,ro", spool], check=True)
            self.assertIn(("error", "disk-read-only", spool), troubles(doctor(server, "--offline"), "disk"))

    @unittest.skipUnless(os.getuid() == 0 and have_suite_users(), "skipped: another user needs root")
    def test_a_stranger_is_told_what_is_not_for_strangers(self):
        with Instance("satu.test", "127.0.0.2", kinds=("mx",)) as server:
            done = subprocess.run([server.program("merpati"), "doctor", "--json", "--offline"], user=65534, group=65534,
                                  extra_groups=[], env=dict(os.environ, MERPATI_CONF=server.conf), timeout=60,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            found = [json.loads(line) for line in done.stdout.splitlines()]
            self.assertIn(("note", "daemon-forbidden", "queued"), troubles(found, "daemons"))
            self.assertEqual([f["text"] for f in found if f["name"] == "daemon-bad"], [])
            self.assertEqual(done.stderr, "")


if __name__ == "__main__":
    unittest.main()
