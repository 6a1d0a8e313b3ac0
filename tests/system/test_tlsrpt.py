"""Reports on TLS (RFC 8460): what is counted of sessions with other domains, and the mail and the POST that tell them."""

import email
import email.policy
import gzip
import json
import os
import time
import unittest

import suite
from smtp_server import SmtpServer
from test_dane import DaneCase
from test_mta_sts import ENFORCE, PolicyServer, StsCase, answer


def rfc3339(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class ReportCase(StsCase):
    """remote runs alone; where reports are handed in there is a server of the test."""

    def setUp(self):
        super().setUp()
        self.dns.add("_smtp._tls.surat.test", "TXT", "v=TLSRPTv1; rua=mailto:laporan@surat.test")

    def reporter(self, server, policies, **settings):
        remote = self.sender(server, policies, tlsrpt="yes", tlsrpt_interval=settings.pop("tlsrpt_interval", "1s"), **settings)
        self.submit = SmtpServer(path=os.path.join(remote.run, "submit")).start()
        os.chmod(self.submit.path, 0o666)
        self.addCleanup(self.submit.stop)
        return remote

    def reports(self):
        """Of all messages so far: (message, report)."""
        found = []
        for taken in list(self.submit.messages):
            message = email.message_from_bytes(taken.content, policy=email.policy.default)
            (part,) = [p for p in message.walk() if p.get_content_type() == "application/tlsrpt+gzip"]
            found.append((message, json.loads(gzip.decompress(part.get_content()))))
        return found

    def counts(self, reports):
        """{(policy type, result): sessions} over all reports; they may be of several periods."""
        sums = {}
        for _, report in reports:
            for policy in report["policies"]:
                kind, summary = policy["policy"]["policy-type"], policy["summary"]
                details = policy.get("failure-details", [])
                self.assertEqual(summary["total-failure-session-count"], sum(d["failed-session-count"] for d in details))
                sums[kind, "success"] = sums.get((kind, "success"), 0) + summary["total-successful-session-count"]
                for d in details:
                    sums[kind, d["result-type"]] = sums.get((kind, d["result-type"]), 0) + d["failed-session-count"]
        return {key: n for key, n in sums.items() if n}

    def wait_counts(self, expected):
        try:
            suite.wait_for(lambda: self.counts(self.reports()) == expected, "the counts")
        except AssertionError:
            self.assertEqual(self.counts(self.reports()), expected)


class Mail(ReportCase):
    def test_a_report_says_what_it_is_about(self):
        server = self.server(tls=self.context("mx.surat.test"))
        policies = self.policies()
        remote = self.reporter(server, policies, connection_reuse="1m")
        security = remote.resolve("surat.test")["security"]
        for _ in range(3):
            self.assertEqual(self.one(remote, ["a@surat.test"], security=security).policy, "sts")
        suite.wait_for(lambda: self.submit.messages, "a report")
        (message, report), = self.reports()[:1]
        self.assertEqual(self.submit.messages[0].recipients, ["laporan@surat.test"])
        self.assertEqual(self.submit.messages[0].sender, "postmaster@satu.test")
        self.assertEqual(message.get_content_type(), "multipart/report")
        self.assertEqual(message.get_param("report-type"), "tlsrpt")
        self.assertEqual(message["From"].addresses[0].addr_spec, "postmaster@satu.test")
        self.assertEqual(message["TLS-Report-Domain"], "surat.test")
        self.assertEqual(message["TLS-Report-Submitter"], "satu.test")
        self.assertEqual(message["TLS-Required"], "No")
        self.assertEqual(message["Subject"], "Report Domain: surat.test Submitter: satu.test Report-ID: <%s>" % report["report-id"])
        self.assertEqual(report["organization-name"], "satu.test")
        self.assertEqual(report["contact-info"], "postmaster@satu.test")
        (policy,) = report["policies"]
        self.assertEqual(policy["policy"], {"policy-type": "sts", "policy-domain": "surat.test", "mx-host": ["mx.surat.test"],
                                            "policy-string": ["version: STSv1", "mode: enforce", "mx: mx.surat.test",
                                                              "max_age: 86400"]})
        # one session: the connection was kept
        self.wait_counts({("sts", "success"): 1})
        self.assertFalse(self.submit.faults)

    def test_each_failure_by_its_kind(self):
        policies = self.policies()
        server = self.server(tls=self.context("mx.surat.test"))
        remote = self.reporter(server, policies, connection_reuse="0s")
        rows = ((self.context("mx.surat.test"), "success"), (self.context("evil.test"), "certificate-host-mismatch"),
                (self.context("mx.surat.test", False), "certificate-not-trusted"), (None, "starttls-not-supported"))
        for context, result in rows:
            server.tls = context
            self.one(remote, ["a@surat.test"])
        self.wait_counts({("sts", result): 1 for _, result in rows})
        details = [d for _, report in self.reports() for p in report["policies"] for d in p.get("failure-details", [])]
        self.assertEqual({d["receiving-mx-hostname"] for d in details}, {"mx.surat.test"})
        self.assertEqual({d["receiving-ip"] for d in details}, {"127.0.0.3"})
        self.assertEqual({d["sending-mta-ip"] for d in details}, {"127.0.0.1"})

    def test_what_testing_would_have_refused(self):
        policies = self.policies(ENFORCE.replace("enforce", "testing").replace("mx.surat", "lain.surat"))
        server = self.server(tls=self.context("mx.surat.test"))
        remote = self.reporter(server, policies, connection_reuse="0s")
        for _ in range(2):
            self.assertEqual(self.one(remote, ["a@surat.test"]).status, "delivered")
        self.wait_counts({("sts", "validation-failure"): 2})

    def test_without_a_policy_and_with_one_that_cannot_be_had(self):
        policies = self.policies(status="404 No")
        server = self.server(tls=self.context("evil.test"))
        remote = self.reporter(server, policies, connection_reuse="0s")
        self.one(remote, ["a@surat.test"])
        server.tls = None
        self.one(remote, ["a@surat.test"])
        self.wait_counts({("no-policy-found", "success"): 1, ("no-policy-found", "starttls-not-supported"): 1,
                          ("sts", "sts-policy-fetch-error"): 1})

    def test_who_does_not_ask_for_reports_gets_none(self):
        self.dns.clear("_smtp._tls.surat.test")
        policies = self.policies()
        server = self.server(tls=self.context("mx.surat.test"))
        remote = self.reporter(server, policies)
        self.one(remote, ["a@surat.test"])
        self.dns.add("dua.test", "MX", "10 mx.surat.test")
        self.dns.add("_smtp._tls.dua.test", "TXT", "v=TLSRPTv1; rua=mailto:laporan@dua.test")
        (result,), _, _ = remote.send("dua.test", ["a@dua.test"])
        self.assertEqual(result.status, "delivered")
        suite.wait_for(lambda: self.submit.messages, "the report of the other")
        self.assertEqual({m["TLS-Report-Domain"] for m, _ in self.reports()}, {"dua.test"})

    def test_a_report_arrives_where_tls_fails_and_is_not_reported_on(self):
        server = self.server(tls=self.context("evil.test"))
        remote = self.reporter(server, self.policies())
        security = remote.resolve("surat.test")["security"]
        content = b"TLS-Report-Domain: surat.test\r\nTLS-Required: no\r\n\r\nx\r\n"
        for sender, status in (("postmaster@satu.test", "delivered"), ("a@satu.test", "delivered")):
            result = self.one(remote, ["laporan@surat.test"], content=content, sender=sender, security=security)
            self.assertEqual((result.status, result.policy), (status, "may"))
        result = self.one(remote, ["a@surat.test"], sender="postmaster@satu.test", security=security)
        self.assertEqual((result.status, result.policy), ("deferred", "sts"))
        # The second message was not a report of ours; it went by the connection that the first had opened.
        self.wait_counts({("sts", "certificate-host-mismatch"): 1})

    def test_counts_survive_a_restart(self):
        server = self.server(tls=self.context("mx.surat.test"))
        policies = self.policies()
        remote = self.reporter(server, policies, tlsrpt_interval="1d", connection_reuse="0s")
        for _ in range(3):
            self.one(remote, ["a@surat.test"])
        remote.process.terminate()
        remote.process.wait(20)
        directory = os.path.join(remote.directory, "cache", "tlsrpt")
        (name,) = os.listdir(directory)
        begin, end = (int(s) for s in name.split("-"))
        self.assertEqual((begin % 86400, end - begin), (0, 86400))
        past = begin - 2 * 86400
        os.rename(os.path.join(directory, name), os.path.join(directory, "%d-%d" % (past, past + 86400)))
        with open(remote.conf) as f:
            conf = f.read()
        with open(remote.conf, "w") as f:
            f.write(conf.replace("tlsrpt_interval = 1d", "tlsrpt_interval = 1s"))
        remote.log_file.close()
        remote.listener.close()
        os.unlink(os.path.join(remote.run, "queue"))
        remote.__enter__()
        suite.wait_for(lambda: self.submit.messages, "the report")
        ((_, report),) = self.reports()
        self.assertEqual(self.counts(self.reports()), {("sts", "success"): 3})
        self.assertEqual(report["date-range"], {"start-datetime": rfc3339(past), "end-datetime": rfc3339(past + 86399)})
        suite.wait_for(lambda: os.listdir(directory) == [], "an empty directory")


class Dane(ReportCase, DaneCase):
    def test_under_dane_its_records_are_the_policy(self):
        server = self.server(tls=self.context("mx.surat.test"))
        remote = self.reporter(server, self.policies(), connection_reuse="0s")
        good = self.record(3, 1, 1)
        self.tlsa(server.port, good)
        self.assertEqual(self.one(remote, ["a@surat.test"]).policy, "dane")
        self.tlsa(server.port, self.wrong(3, 1, 1))
        self.assertEqual(self.one(remote, ["a@surat.test"]).status, "deferred")
        self.wait_counts({("tlsa", "success"): 1, ("tlsa", "validation-failure"): 1})
        policies = [p for _, report in self.reports() for p in report["policies"]]
        self.assertEqual({tuple(p["policy"]["policy-string"]) for p in policies}, {(good,), (self.wrong(3, 1, 1),)})


class Post(ReportCase):
    def test_by_https(self):
        policies = self.policies()
        reports = PolicyServer(self.context("laporan.surat.test"), answer("", "201 Created"))
        self.addCleanup(reports.stop)
        self.dns.add("laporan.surat.test", "A", "127.0.0.1")
        self.dns.clear("_smtp._tls.surat.test")
        self.dns.add("_smtp._tls.surat.test", "TXT", "v=TLSRPTv1; rua=https://laporan.surat.test:%d/v1" % reports.port)
        server = self.server(tls=self.context("mx.surat.test"))
        remote = self.reporter(server, policies)
        self.one(remote, ["a@surat.test"])
        suite.wait_for(lambda: "handed over for https://laporan.surat.test" in remote.log(), "the report")
        self.assertEqual(reports.requests[0].splitlines()[0], "POST /v1 HTTP/1.1")
        self.assertIn("Content-Type: application/tlsrpt+gzip", reports.requests[0])
        self.assertEqual(self.submit.messages, [])


class Whole(suite.Case):
    def test_a_report_goes_through_our_own_queue(self):
        with suite.Dns() as dns:
            satu, dua = suite.two_instances(dns)
            satu.settings.update(tlsrpt="yes", tlsrpt_interval="1s", tlsrpt_from="tls@satu.test")
            dns.add("_smtp._tls.dua.test", "TXT", "v=TLSRPTv1; rua=mailto:baru@dua.test")
            with satu, dua:
                lama, baru = satu.add_user("lama"), dua.add_user("baru")
                satu.submit(lama, [baru], suite.letter(lama, baru))
                letters = dua.wait_letters("baru@dua.test", 2)
                messages = [email.message_from_bytes(letter, policy=email.policy.default) for letter in letters]
                (report,) = [m for m in messages if m.get_content_type() == "multipart/report"]
                self.assertEqual(report["Return-Path"], "<tls@satu.test>")
                (part,) = [p for p in report.walk() if p.get_content_type() == "application/tlsrpt+gzip"]
                said = json.loads(gzip.decompress(part.get_content()))
                self.assertEqual([p["policy"]["policy-type"] for p in said["policies"]], ["no-policy-found"])
                self.assertEqual(said["policies"][0]["summary"]["total-successful-session-count"], 1)


if __name__ == "__main__":
    unittest.main()
