"""Outbound mail of a whole instance: which exchanger gets it, what happens while none can be reached, and what the sender
is told in the end. The exchangers are played by the test."""

import email
import email.policy
import re
import time

from smtp_server import SmtpServer
from suite import Case, Dns, Instance, letter, shared_port, wait_for


class Mx(Case):
    def setUp(self):
        port, sockets = shared_port(["127.0.0.3", "127.0.0.4"])
        for s in sockets:
            s.close()
        self.mx1 = SmtpServer("127.0.0.3", port).start()
        self.addCleanup(self.mx1.stop)
        self.mx2 = SmtpServer("127.0.0.4", port).start()
        self.addCleanup(self.mx2.stop)
        self.port = port
        self.dns = Dns()
        self.dns.__enter__()
        self.addCleanup(self.dns.__exit__)
        self.dns.add("dua.test", "MX", "10 mx1.dua.test", "20 mx2.dua.test")
        self.dns.add("mx1.dua.test", "A", "127.0.0.3")
        self.dns.add("mx2.dua.test", "A", "127.0.0.4")

    def instance(self, **settings):
        settings = dict({"relay_port": self.port, "retry": "1s", "expire": "1h", "connect_timeout": "2s"}, **settings)
        satu = Instance("satu.test", "127.0.0.2", self.dns, settings=settings)
        satu.__enter__()
        self.addCleanup(satu.__exit__, None)
        self.baru = satu.add_user("baru")
        return satu

    def send(self, satu, *recipients):
        sent = letter(self.baru, recipients[0])
        satu.submit(self.baru, list(recipients), sent)
        return sent

    def test_the_first_exchanger_is_tried_first_and_the_second_when_it_refuses(self):
        satu = self.instance()
        sent = self.send(satu, "lama@dua.test")
        wait_for(lambda: self.mx1.messages, "the message at mx1")
        self.assert_same_letter(sent, self.mx1.messages[0].content)
        self.assertEqual(self.mx1.messages[0].sender, self.baru)
        self.assertEqual(self.mx2.sessions, [])
        self.mx1.stop()
        wait_for(lambda: all(s.ended.is_set() for s in self.mx1.sessions), "the end of the kept connection")
        sent = self.send(satu, "lama@dua.test")
        wait_for(lambda: self.mx2.messages, "the message at mx2")
        self.assert_same_letter(sent, self.mx2.messages[0].content)
        satu.wait_log(r"to=<lama@dua\.test>, .*relay=mx2\.dua\.test\[127\.0\.0\.4\]:%d, .*status=sent" % self.port)
        wait_for(lambda: not satu.queue(), "the queue to be empty")

    def test_with_both_away_it_waits_and_arrives_on_schedule(self):
        satu = self.instance(retry="2s")
        self.mx1.stop()
        self.mx2.stop()
        begun = time.monotonic()
        sent = self.send(satu, "lama@dua.test")
        satu.wait_log(r"to=<lama@dua\.test>, .*status=deferred \(.*Connection refused")
        self.assertEqual(len(satu.queue()), 1)
        time.sleep(0.5)
        self.mx2.start()
        wait_for(lambda: self.mx2.messages, "the message at mx2")
        self.assertGreater(time.monotonic() - begun, 1.5)
        self.assert_same_letter(sent, self.mx2.messages[0].content)
        wait_for(lambda: not satu.queue(), "the queue to be empty")

    def test_after_the_expiry_the_sender_is_told(self):
        satu = self.instance(retry="1s", expire="3s")
        self.mx1.replies["RCPT"] = self.mx2.replies["RCPT"] = "450 4.2.1 the mailbox sleeps"
        self.send(satu, "lama@dua.test")
        notice = satu.wait_letters(self.baru)[0]
        message = email.message_from_bytes(notice, policy=email.policy.default)
        self.assertEqual(message.get_content_type(), "multipart/report")
        text, status = list(message.iter_parts())[:2]
        for words in ("lama@dua.test", "450 4.2.1 the mailbox sleeps"):
            self.assertIn(words, text.get_content())
        fields = status.get_payload()[1]
        self.assertIn("lama@dua.test", fields["Final-Recipient"])
        self.assertEqual(fields["Action"], "failed")
        self.assertIn("450 4.2.1 the mailbox sleeps", fields["Diagnostic-Code"])
        self.assertGreater(len([c for c in self.mx1.commands() if c.startswith("RCPT")]), 1)
        wait_for(lambda: not satu.queue(), "the queue to be empty")

    def test_a_refusal_reaches_the_sender_at_once_and_the_others_their_mail(self):
        satu = self.instance()
        self.mx1.replies["RCPT"] = lambda a: "550 5.1.1 nobody of that name" if "tidak" in a else "250 ok"
        sent = self.send(satu, "lama@dua.test", "tidak@dua.test")
        wait_for(lambda: self.mx1.messages, "the message at mx1")
        self.assertEqual(self.mx1.messages[0].recipients, ["lama@dua.test"])
        self.assert_same_letter(sent, self.mx1.messages[0].content)
        notice = satu.wait_letters(self.baru)[0]
        self.assertIn(b"550 5.1.1 nobody of that name", notice)
        self.assertIn(b"tidak@dua.test", notice)
        self.assertNotIn(b"Final-Recipient: rfc822; lama@dua.test", notice)

    def test_a_4xx_for_one_recipient_does_not_hold_the_others(self):
        satu = self.instance(retry="1s")
        answers = ["450 4.2.0 later", "250 ok"]
        self.mx1.replies["RCPT"] = lambda a: answers.pop(0) if "nanti" in a and len(answers) > 1 else "250 ok"
        self.send(satu, "lama@dua.test", "nanti@dua.test")
        wait_for(lambda: len(self.mx1.messages) == 2, "two messages")
        self.assertEqual([m.recipients for m in self.mx1.messages], [["lama@dua.test"], ["nanti@dua.test"]])

    def test_messages_to_one_site_share_a_connection(self):
        satu = self.instance(site_concurrency="1", connection_reuse="3s")
        self.dns.add("tiga.test", "MX", "10 mx1.dua.test", "20 mx2.dua.test")
        for i in range(5):
            self.send(satu, "lama@dua.test")
            self.send(satu, "siti@tiga.test")
        wait_for(lambda: len(self.mx1.messages) == 10, "ten messages")
        self.assertEqual(len(self.mx1.sessions), 1)

    def test_domains_without_mail_fail_at_once(self):
        satu = self.instance()
        self.dns.add("null.test", "MX", "0 .")
        self.dns.add("balik.test", "MX", "10 satu.test")
        self.send(satu, "x@null.test", "x@tidak-ada.test", "x@balik.test")
        satu.wait_log(r"to=<x@null\.test>, .*dsn=5\.1\.10, status=bounced")
        satu.wait_log(r"to=<x@tidak-ada\.test>, .*dsn=5\.1\.2, status=bounced")
        satu.wait_log(r"to=<x@balik\.test>, .*dsn=5\.4\.6, status=bounced")
        self.assertTrue(satu.wait_letters(self.baru))

    def test_dns_that_fails_only_delays(self):
        satu = self.instance(retry="1s")
        self.dns.add("goyah.test", "SERVFAIL")
        self.send(satu, "x@goyah.test")
        satu.wait_log(r"to=<x@goyah\.test>, .*dsn=4\.4\.3, status=deferred")
        self.dns.clear("goyah.test")
        self.dns.add("goyah.test", "A", "127.0.0.4")
        wait_for(lambda: self.mx2.messages, "the message")

    def test_aliases_in_dns_lead_to_the_exchangers(self):
        satu = self.instance()
        self.dns.add("alias.test", "CNAME", "dua.test")
        self.dns.add("tiga.test", "MX", "10 other-name.tiga.test")
        self.dns.add("other-name.tiga.test", "CNAME", "mx1.dua.test")
        for recipient in ("x@alias.test", "y@tiga.test"):
            self.send(satu, recipient)
        wait_for(lambda: len(self.mx1.messages) == 2, "both messages")
        self.assertEqual(sorted(m.recipients[0] for m in self.mx1.messages), ["x@alias.test", "y@tiga.test"])
        self.assertEqual(self.mx2.sessions, [])

    def test_where_we_are_an_exchanger_mail_goes_to_better_ones_or_waits(self):
        satu = self.instance(retry="1s")
        self.dns.add("tiga.test", "MX", "10 mx1.dua.test", "20 other-name.satu.test", "30 mx2.dua.test")
        self.dns.add("other-name.satu.test", "A", "127.0.0.2")
        satu.stop()
        with open(satu.conf) as f:
            text = f.read()
        with open(satu.conf, "w") as f:  # where it listens is where the others' port leads
            f.write(text.replace("relay_port = %d" % self.port, "relay_port = %d" % satu.ports["mx"]))
        satu.start()
        self.send(satu, "x@tiga.test")
        satu.wait_log(r"to=<x@tiga\.test>, .*dsn=4\.4\.1, status=deferred")
        self.assertNotIn("127.0.0.2]:%d, " % satu.ports["mx"], satu.log())
        self.assertEqual(self.mx2.sessions, [])


class Hosts(Case):
    """Two and three whole servers."""

    def hosts(self, sections, **settings):
        port, sockets = shared_port(["127.0.0.%d" % (2 + i) for i in range(len(sections))])
        dns = Dns()
        dns.__enter__()
        self.addCleanup(dns.__exit__)
        found = []
        for i, section in enumerate(sections):
            domain, address = ("satu.test", "dua.test", "tiga.test")[i], "127.0.0.%d" % (2 + i)
            dns.add(domain, "MX", "10 mx." + domain)
            dns.add("mx." + domain, "A", address)
            found.append(Instance(domain, address, dns, (port, sockets[i]), settings=settings, sections=section % {"port": port},
                                  kinds=("mx", "submissions", "pop3")))
            found[-1].__enter__()
            self.addCleanup(found[-1].__exit__, None)
        return found

    def test_three_in_a_row(self):
        satu, dua, tiga = self.hosts(["\n[route tiga.test]\nrelay = [127.0.0.3]:%(port)d\n", "", ""])
        baru, lama = satu.add_user("baru"), tiga.add_user("lama")
        sent = letter(baru, lama)
        satu.submit(baru, [lama, "tiada@tiga.test"], sent)
        found = tiga.wait_letters(lama)[0]
        self.assert_same_letter(sent, found)
        self.assertEqual([re.search(rb"by (\S+)", line).group(1) for line in re.findall(rb"(?ms)^Received: .*?\n(?![ \t])", found)
                          if b"LMTP" not in line][:3], [b"tiga.test", b"dua.test", b"satu.test"])
        # Whom the last one does not know the one in the middle tells the sender of.
        notice = email.message_from_bytes(satu.wait_letters(baru)[0], policy=email.policy.default)
        status = list(notice.iter_parts())[1].get_payload()
        self.assertEqual((status[0]["Reporting-MTA"], status[1]["Final-Recipient"], status[1]["Remote-MTA"]),
                         ("dns; dua.test", "rfc822; tiada@tiga.test", "dns; mx.tiga.test"))
        for server in (satu, dua, tiga):
            wait_for(lambda: not server.queue(), "an empty queue")

    def test_a_letter_that_goes_round_comes_to_an_end(self):
        satu, dua = self.hosts(["\n[route empat.test]\nrelay = [127.0.0.3]:%(port)d\n",
                                "\n[route empat.test]\nrelay = [127.0.0.2]:%(port)d\n"], received_limit="10", retry="1h")
        baru = satu.add_user("baru")
        satu.submit(baru, ["x@empat.test"], letter(baru, "x@empat.test"))
        notice = email.message_from_bytes(satu.wait_letters(baru)[0], policy=email.policy.default)
        status = list(notice.iter_parts())[1].get_payload()
        self.assertEqual((status[1]["Action"], status[1]["Status"]), ("failed", "5.4.6"))
        for server in (satu, dua):
            wait_for(lambda: not server.queue(), "an empty queue")
        sent = [server.log().count("to=<x@empat.test>") for server in (satu, dua)]
        self.assertLessEqual(sum(sent), 12, sent)
        self.assertEqual(len(satu.letters(baru)), 1)
