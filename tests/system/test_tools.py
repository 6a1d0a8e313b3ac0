"""Tools of the ecosystem, unchanged, over what Merpati writes: pflogsumm over its log, check_mailq over its mailq, and what
postqueue(1) documents of its JSON."""

import json
import os
import re
import shutil
import smtplib
import subprocess
import tempfile
import time
import unittest

from smtp_server import SmtpServer
from suite import Case, Dns, Instance, letter, shared_port, wait_for

PLUGINS = "/usr/lib/nagios/plugins"
DEAD = "[127.0.0.98]"


def needs(path):
    return unittest.skipUnless(shutil.which(path) or os.path.exists(path), "skipped: there is no " + path)


def table(report, title):
    """The rows of a table of pflogsumm: {last word: the others}."""
    lines = report.split("\n" + title, 1)[1].split("\n\n")[0].splitlines()[2:]
    return {words[-1]: words[:-1] for words in (line.split() for line in lines) if len(words) > 1 and "--" not in words[0]}


class Log(Case):
    """One day's mail, of which everything is known, through real processes."""

    def setUp(self):
        port, sockets = shared_port(["127.0.0.3"])
        for s in sockets:
            s.close()
        self.there = SmtpServer("127.0.0.3", port).start()
        self.addCleanup(self.there.stop)
        self.dns = Dns({"dua.test": {"MX": ["10 mx.dua.test"]}, "mx.dua.test": {"A": ["127.0.0.3"]}})
        self.dns.__enter__()
        self.addCleanup(self.dns.__exit__)
        self.port = port

    def instance(self, **settings):
        server = Instance("satu.test", "127.0.0.2", self.dns, settings=dict({"relay_port": self.port, "retry": "1s"}, **settings))
        server.__enter__()
        self.addCleanup(server.__exit__, None)
        return server

    def refused(self, server, sender, recipient):
        with smtplib.SMTP(server.address, server.ports["mx"], timeout=20) as client:
            client.ehlo("tiga.test")
            client.mail(sender)
            self.assertGreaterEqual(client.rcpt(recipient)[0], 500)

    def a_day(self, server):
        """6 messages come in: 3 by submission, 1 by a program, 2 from a stranger, two of whose recipients are refused; of the 8
        recipients one is refused by the other side and one put off once, and there is a notification."""
        baru, lama = server.add_user("baru"), server.add_user("lama")
        later = ["450 4.2.0 later", "250 ok"]
        self.there.replies["RCPT"] = lambda a: ("550 5.1.1 nobody" if "tiada" in a else later.pop(0) if "nanti" in a and len(later) > 1
                                                else "250 ok")
        server.submit(baru, ["x@dua.test"], letter(baru, "x@dua.test", lines=["x" * 70] * 100))
        server.submit(baru, ["nanti@dua.test"], letter(baru, "nanti@dua.test"))
        server.submit(baru, ["tiada@dua.test", lama], letter(baru, lama))
        server.sendmail("-f", lama, "y@dua.test", input=b"Subject: x\n\nx\n")
        with smtplib.SMTP(server.address, server.ports["mx"], timeout=20) as client:
            client.sendmail("s@tiga.test", [baru], letter("s@tiga.test", baru))
            client.sendmail("t@tiga.test", [baru, lama], letter("t@tiga.test", baru))
        self.refused(server, "s@tiga.test", "tiada@satu.test")
        self.refused(server, "s@tiga.test", "lain@satu.test")
        wait_for(lambda: len(self.there.messages) == 3, "what goes abroad")
        # To baru: two from the stranger, and the notification about tiada.
        server.wait_letters(baru, 3)
        server.wait_letters(lama, 2)
        wait_for(lambda: not server.queue(), "an empty queue")

    def summary(self, server, *words):
        server.stop()
        done = subprocess.run(["pflogsumm", *words, server.log_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=60, check=True)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def check(self, server, report):
        totals = dict((name, int(n)) for n, name in re.findall(
            r"(?m)^ +(\d+) +(received|delivered|forwarded|deferred|bounced|rejected|held|senders|recipients|"
            r"recipient hosts/domains|sending hosts/domains)\b", report))
        # sent: x, nanti, y, the notification, lama, baru and baru and lama of the stranger's
        self.assertEqual(totals, {"received": 6, "delivered": 8, "forwarded": 0, "deferred": 1, "bounced": 1, "rejected": 2, "held": 0,
                                  "senders": 4, "sending hosts/domains": 2, "recipients": 5, "recipient hosts/domains": 2}, report)
        self.assertRegex(report, r"deferred  \(1 +deferrals\)")
        sizes = dict(re.findall(r"(\w{16}): from=<[^>]*>, size=(\d+)", server.log()))
        came = {i for i in re.findall(r"(\w{16}): client=", server.log())}
        self.assertEqual(len(came), 6)
        sent = re.findall(r"(\w{16}): to=<[^>]*>.*status=sent", server.log())
        received, delivered = (int(re.search(r"(?m)^ +(\d+) +bytes " + word, report).group(1)) for word in ("received", "delivered"))
        self.assertEqual(received, sum(int(sizes[i]) for i in came))
        self.assertEqual(delivered, sum(int(sizes[i]) for i in sent))
        large = max(self.there.messages, key=lambda m: len(m.content))
        self.assertIn(str(len(large.content)), sizes.values())
        senders = table(report, "Senders by message count")
        self.assertEqual({who: int(words[0]) for who, words in senders.items()},
                         {"baru@satu.test": 3, "lama@satu.test": 1, "s@tiga.test": 1, "t@tiga.test": 1})
        recipients = table(report, "Recipients by message count")
        self.assertEqual({who: int(words[0]) for who, words in recipients.items()},
                         {"baru@satu.test": 3, "lama@satu.test": 2, "x@dua.test": 1, "y@dua.test": 1, "nanti@dua.test": 1})
        for words in ("4.2.0 later", "5.1.1 nobody", "Recipient address rejected: User unknown (total: 2)"):
            self.assertIn(words, report)

    @needs("pflogsumm")
    def test_pflogsumm_counts_right_under_our_own_name(self):
        server = self.instance()
        self.a_day(server)
        self.check(server, self.summary(server, "--syslog-name=merpati"))

    @needs("pflogsumm")
    def test_and_under_postfix_s(self):
        server = self.instance(syslog_tag="postfix")
        self.a_day(server)
        report = self.summary(server, "--smtpd-stats")
        self.check(server, report)
        self.assertRegex(report, r"\n +\d+ +connections\n +\d+ +hosts/domains\n")


class Mailq(Case):
    def setUp(self):
        self.server = Instance("satu.test", "127.0.0.2", kinds=("mx",), settings={"retry": "1h"})
        self.server.__enter__()
        self.addCleanup(self.server.__exit__, None)

    def put(self, sender, *recipients):
        self.server.sendmail("-f", sender, *recipients, input=b"Subject: x\n\n" + b"x\n" * 2000)

    def fill(self):
        self.put("baru@satu.test", "a@" + DEAD)
        self.put("<>", "b@" + DEAD, "c@[127.0.0.99]")
        self.put("lama+x@satu.test", "d@" + DEAD)
        wait_for(lambda: len([m for m in self.server.queue() if m["queue_name"] == "deferred"
                              and all("delay_reason" in r for r in m["recipients"])]) == 3, "three deferred messages")
        held = [m["queue_id"] for m in self.server.queue() if m["recipients"][0]["address"].startswith("d@")]
        self.server.merpati("queue", "hold", *held)

    def plugin(self, *words):
        """check_mailq with our mailq in the place of the system's."""
        with tempfile.TemporaryDirectory(prefix="m") as directory:
            for name in ("check_mailq", "utils.pm"):
                shutil.copy(os.path.join(PLUGINS, name), directory)
            path = os.path.join(directory, "utils.pm")
            with open(path) as f:
                text = f.read()
            with open(path, "w") as f:
                f.write(re.sub(r'(?m)^(\$PATH_TO_MAILQ *= *").*"', r'\g<1>%s"' % self.server.program("mailq"), text))
            done = subprocess.run(["perl", os.path.join(directory, "check_mailq"), "-M", "postfix", *words], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, timeout=60, env=dict(os.environ, MERPATI_CONF=self.server.conf))
            return done.returncode, done.stdout.strip()

    @needs(os.path.join(PLUGINS, "check_mailq"))
    def test_check_mailq_of_the_monitoring_plugins(self):
        status, text = self.plugin("-w", "1", "-c", "5")
        self.assertEqual(status, 0, text)
        self.assertRegex(text, r"^OK: .*\b0\b")
        self.fill()
        status, text = self.plugin("-w", "1", "-c", "5")
        self.assertEqual(status, 1, text)
        self.assertRegex(text, r"^WARNING: .*\b3\b.*unsent=3;1;5;0")
        self.assertEqual(self.plugin("-w", "1", "-c", "2")[0], 2)

    def test_mailq_is_postfix_s_line_by_line(self):
        """As the many scripts read it that split at empty lines: queue ID, mark, size, time, sender; reasons; recipients."""
        self.fill()
        text = self.server.sendmail("-bp").stdout.decode()
        self.assertEqual(subprocess.run([self.server.program("mailq")], env=dict(os.environ, MERPATI_CONF=self.server.conf),
                                        stdout=subprocess.PIPE, check=True).stdout.decode(), text)
        head, rest = text.split("\n", 1)
        self.assertRegex(head, r"^-+Queue ID-+ --Size-- -+Arrival Time-+ -+Sender/Recipient-+$")
        blocks = rest.split("\n\n")
        self.assertRegex(blocks.pop().strip(), r"^-- \d+ Kbytes in 3 Requests\.$")
        found = {}
        for block in blocks:
            lines = block.splitlines()
            first = re.fullmatch(r"([0-9A-Za-z]{16})([*! ]) +(\d+) (\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d) (\S.*)", lines[0])
            time.strptime(first.group(4), "%a %b %d %H:%M:%S")
            reasons = [line for line in lines[1:] if line.strip().startswith("(")]
            recipients = [line.strip() for line in lines[1:] if not line.strip().startswith("(")]
            self.assertTrue(all("Connection refused" in r for r in reasons) and reasons)
            found[first.group(5)] = (first.group(2), recipients)
        self.assertEqual(found, {"baru@satu.test": (" ", ["a@" + DEAD]), "MAILER-DAEMON": (" ", ["b@" + DEAD, "c@[127.0.0.99]"]),
                                 "lama+x@satu.test": ("!", ["d@" + DEAD])})

    def test_json_has_just_the_members_that_postqueue_documents(self):
        self.fill()
        listed = [json.loads(line) for line in self.server.merpati("queue", "list", "--format", "postfix").stdout.splitlines()]
        self.assertEqual(len(listed), 3)
        now = time.time()
        for message in listed:
            self.assertEqual(list(message), ["queue_name", "queue_id", "arrival_time", "message_size", "forced_expire", "sender",
                                             "recipients"])
            self.assertIn(message["queue_name"], ("incoming", "active", "deferred", "hold", "corrupt", "maildrop"))
            self.assertRegex(message["queue_id"], r"^[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10}z[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-y]{5}$")
            self.assertIsInstance(message["arrival_time"], int)
            self.assertLess(abs(now - message["arrival_time"]), 600)
            self.assertIsInstance(message["message_size"], int)
            self.assertGreater(message["message_size"], 4000)
            self.assertIs(message["forced_expire"], False)
            self.assertIsInstance(message["sender"], str)
            for recipient in message["recipients"]:
                self.assertEqual(list(recipient), ["address", "delay_reason"])
                self.assertIn("Connection refused", recipient["delay_reason"])
        self.assertEqual(sorted(m["queue_name"] for m in listed), ["deferred", "deferred", "hold"])
        self.assertIn("MAILER-DAEMON", {m["sender"] for m in listed})
        self.server.merpati("queue", "delete", "all")
        self.assertEqual(self.server.merpati("queue", "list", "--format", "postfix").stdout, "")


if __name__ == "__main__":
    unittest.main()
