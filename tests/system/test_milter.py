"""Milters at smtpd: a milter of the tests that does all there is to do, the real opendkim, and rspamd."""

import ctypes
import os
import re
import shutil
import smtplib
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import milter_server as m
from milter_server import Milter
from suite import Case, Dns, Instance, letter, two_instances, wait_for
from test_smuggling import Wire


def section(name, milter, **options):
    lines = "".join("%s = %s\n" % item for item in options.items())
    return "\n[filter %s]\nkind = milter\nsocket = %s\n%s" % (name, milter if isinstance(milter, str) else milter.spec, lines)


def server(*sections, **options):
    return Instance("satu.test", "127.0.0.2", sections="".join(sections), **options)


class Milters(Case):
    """One instance with one milter, whose script each test sets."""

    options = {}
    filter_options = {}

    @classmethod
    def setUpClass(cls):
        cls.milter = Milter(**cls.options)
        cls.milter.__enter__()
        cls.server = server(section("uji", cls.milter, **cls.filter_options))
        cls.server.__enter__()
        cls.lama, cls.tua = cls.server.add_user("lama"), cls.server.add_user("tua")

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)
        cls.milter.__exit__()

    def setUp(self):
        self.script()

    def script(self, **stages):
        self.milter.script = dict(stages)

    def wire(self):
        wire = Wire((self.server.address, self.server.ports["mx"]))
        self.addCleanup(wire.close)
        return wire

    def ask_all(self, wire, *pairs):
        for line, expected in pairs:
            self.assertRegex(wire.ask(line.encode()).decode(), "^" + expected, line)

    def open(self):
        wire = self.wire()
        self.assertRegex(wire.reply().decode(), "^220 ")
        self.ask_all(wire, ("EHLO x.test", "250"))
        return wire

    def send(self, message=None, sender="a@b.test", recipients=None):
        with self.server.smtp("mx") as client:
            client.sendmail(sender, recipients or [self.lama], message or letter("a@b.test", self.lama))

    def letters(self, user=None, count=1):
        found = self.server.wait_letters(user or self.lama, count)
        client = self.server.pop(user or self.lama)
        for i in range(client.stat()[0]):
            client.dele(i + 1)
        client.quit()
        return found


class Stages(Milters):
    def test_every_stage_is_told_in_order_with_its_macros(self):
        wire = self.open()
        self.ask_all(wire, ("MAIL FROM:<a@b.test> SIZE=200", "250"), ("RCPT TO:<%s>" % self.lama, "250"), ("DATA", "354"),
                     ("A: 1\r\nB:  2\r\n\tfolded\r\n\r\nHalo\r\n.", "250"), ("QUIT", "221"))
        said = self.milter.last.said
        self.assertEqual([["[127.0.0.1]", "4", said["C"][0][2], "127.0.0.1"]], said["C"])
        self.assertEqual([["x.test"]], said["H"])
        self.assertEqual([["<a@b.test>", "SIZE=200"]], said["M"])
        self.assertEqual([["<%s>" % self.lama]], said["R"])
        self.assertEqual([["A", "1"], ["B", " 2\n\tfolded"]], self.milter.last.fields)
        self.assertEqual(b"Halo\r\n", self.milter.last.body)
        macros = self.milter.last.macros
        self.assertEqual("satu.test", macros["C"]["j"])
        self.assertEqual("mx", macros["C"]["{daemon_name}"])
        self.assertEqual("127.0.0.2", macros["C"]["{daemon_addr}"])
        self.assertEqual("unknown [127.0.0.1]", macros["C"]["_"])
        self.assertEqual("a@b.test", macros["M"]["{mail_addr}"])
        self.assertEqual(("b.test", "smtp"), (macros["M"]["{mail_host}"], macros["M"]["{mail_mailer}"]))
        self.assertEqual((self.lama, "satu.test", "local"), tuple(macros["R"]["{rcpt_%s}" % x] for x in ("addr", "host", "mailer")))
        self.assertRegex(self.server.log(), "%s: client=" % macros["E"]["i"])
        self.assertEqual(b"Halo\r\n", self.letters()[0][-6:])

    def test_a_refusal_at_each_stage_is_the_clients_reply(self):
        wire = None
        for answer, expected in ((m.reject(), "550 5.7.1 Command rejected"), (m.defer(), "451 4.7.1 "),
                                 (m.reply("452 4.2.2 full"), "452 4.2.2 full"), (m.shut_down(), "421 4.7.0 "), (m.fail(), "421")):
            for stage in "HMRTLNBE":
                self.script(**{stage: [answer]})
                wire = self.wire()
                self.assertRegex(wire.reply().decode(), "^220 ")
                asked = [("EHLO x.test", "H"), ("MAIL FROM:<a@b.test>", "M"), ("RCPT TO:<%s>" % self.lama, "R"), ("DATA", "T"),
                         ("A: 1\r\n\r\nHalo\r\n.", "LNBE")]
                for line, stages in asked:
                    got = wire.ask(line.encode()).decode()
                    if stage in stages:
                        self.assertRegex(got, "^" + expected, (stage, line))
                        break
                    self.assertRegex(got, "^[23]", (stage, line))
        self.assertEqual([], self.server.letters(self.lama))

    def test_a_refusal_at_connect_is_the_greeting(self):
        for answer, expected in ((m.reject(), "554 5.7.1 "), (m.defer(), "421 4.7.1 "), (m.reply("550 5.7.99 go away"), "554 5.7.99 go away")):
            self.script(C=[answer])
            wire = self.wire()
            self.assertRegex(wire.reply().decode(), "^" + expected)
            self.assertEqual(b"", wire.socket.recv(10))

    def test_a_filters_words_of_several_lines(self):
        self.script(R=[m.reply("550-5.7.1 one 100%%\r\n550-5.7.1 \xe4\x01two\r\n550 5.7.1 three")])
        wire = self.open()
        self.ask_all(wire, ("MAIL FROM:<a@b.test>", "250"))
        self.assertEqual(b"550-5.7.1 one 100%\n550-5.7.1 ???two\n550 5.7.1 three", wire.ask(b"RCPT TO:<%s>" % self.lama.encode()))
        # Of another recipient it thinks better.
        self.script()
        self.ask_all(wire, ("RCPT TO:<%s>" % self.tua, "250"), ("RSET", "250"))

    def test_parameters_are_told_and_a_command_that_there_is_not(self):
        wire = self.open()
        self.ask_all(wire, ("FROB x y", "500 5.5.2"), ("MAIL FROM:<a@b.test> RET=HDRS ENVID=x+2By BODY=8BITMIME", "250"),
                     ("RCPT TO:<%s> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a+2Bb@c.test" % self.lama, "250"), ("RSET", "250"))
        self.assertEqual([["FROB x y"]], self.milter.last.said["U"])
        self.assertEqual(["<a@b.test>", "BODY=8BITMIME", "RET=HDRS", "ENVID=x+2By"], self.milter.last.said["M"][-1])
        self.assertEqual(["<%s>" % self.lama, "NOTIFY=FAILURE,DELAY", "ORCPT=rfc822;a+2Bb@c.test"], self.milter.last.said["R"][-1])
        self.script(U=[m.reply("502 5.5.1 not even close")])
        self.ask_all(wire, ("FROB z", "502 5.5.1 not even close"), ("MAIL FROM:<>", "250"), ("QUIT", "221"))

    def test_whoever_is_refused_and_tries_again_does_not_pass_by_the_filter(self):
        self.script(H=[m.reject()], E=[m.reject()])
        wire = self.wire()
        wire.reply()
        self.ask_all(wire, ("EHLO x.test", "550"))
        self.script(E=[m.reject()])
        self.ask_all(wire, ("EHLO y.test", "250"), ("MAIL FROM:<a@b.test>", "250"), ("RCPT TO:<%s>" % self.lama, "250"), ("DATA", "354"),
                     ("\r\nx\r\n.", "550"))
        self.script(T=[m.reject()])
        self.ask_all(wire, ("MAIL FROM:<a@b.test>", "250"), ("RCPT TO:<%s>" % self.lama, "250"), ("DATA", "550"), ("DATA", "550"))
        wire.send(b"BDAT 3 LAST\r\nx\r\n")
        self.assertRegex(wire.reply(), b"^550")
        self.script(M=[m.reject()])
        self.ask_all(wire, ("MAIL FROM:<a@b.test>", "550"), ("MAIL FROM:<a@b.test>", "550"))
        self.script(R=[m.reject()])
        self.ask_all(wire, ("MAIL FROM:<a@b.test>", "250"), ("RCPT TO:<%s>" % self.lama, "550"), ("RCPT TO:<%s>" % self.lama, "550"),
                     ("DATA", "5"), ("QUIT", "221"))
        self.assertEqual([], self.server.letters(self.lama))

    def test_one_that_accepts_hears_no_more_of_the_message(self):
        for stage, expected in (("M", "M"), ("T", "MRT"), ("N", "MRTLN"), ("E", "MRTLNBE")):
            self.milter.told = []
            self.script(**{stage: [m.accept()]})
            self.send()
            told = "".join(t for t, _ in self.milter.told if t in "MRTLNBE")
            self.assertEqual(expected, re.sub("L+", "L", told))
        self.letters(count=4)
        self.script(H=[m.accept()])
        heard = len(self.milter.heard("M"))
        self.send()
        self.letters()
        self.assertEqual(heard, len(self.milter.heard("M")))

    def test_what_is_discarded_is_taken_from_the_client_and_gone(self):
        for stage in "MRTLNBE":
            self.script(**{stage: [m.discard()]})
            self.send()
        self.script()
        self.send(letter("a@b.test", self.lama, "ini"))
        self.assertIn(b"Subject: ini", self.letters()[0])
        self.assertEqual([], self.server.letters(self.lama))
        self.assertIn("milter-discard: END-OF-MESSAGE", self.server.log())

    def test_a_message_given_up_is_aborted_and_the_connection_goes_on(self):
        wire = self.open()
        self.ask_all(wire, ("MAIL FROM:<a@b.test>", "250"), ("RSET", "250"), ("MAIL FROM:<c@b.test>", "250"),
                     ("RCPT TO:<%s>" % self.lama, "250"), ("DATA", "354"), ("\r\nx\r\n.", "250"), ("QUIT", "221"))
        wait_for(lambda: self.milter.last.said.get("K") or self.milter.last.said.get("Q"), "the end of the session")
        self.assertEqual(1, len(self.milter.last.said["A"]))
        self.letters()

    def test_after_starttls_helo_comes_again_with_the_cipher(self):
        with self.server.smtp("mx") as client:
            client.starttls(context=self.server.tls_context())
            client.ehlo("rahasia.test")
            self.assertEqual([["rahasia.test"]], self.milter.last.said["H"][-1:])
            self.assertEqual("TLSv1.3", self.milter.last.macros["H"]["{tls_version}"])
            self.assertEqual("256", self.milter.last.macros["H"]["{cipher_bits}"])

    def test_a_login_is_told(self):
        self.server.submit(self.lama, [self.tua], letter(self.lama, self.tua))
        self.letters(self.tua)
        macros = self.milter.last.macros["M"]
        self.assertEqual((self.lama, "PLAIN"), (macros["{auth_authen}"], macros["{auth_type}"]))
        self.assertEqual("submissions", self.milter.last.macros["C"]["{daemon_name}"])


class Changes(Milters):
    def deliver(self, *changes, message=None, recipients=None):
        self.script(E=list(changes) + [m.proceed()])
        self.send(message or b"A: 1\r\nB: 2\r\na: 3\r\n\r\nHalo\r\n", recipients=recipients)

    def changed(self, *changes, message=None):
        self.deliver(*changes, message=message)
        return re.sub(rb"(?s)^.*?\tby satu.*?\+\d{4}\r\n|^.*?; [^\r]*\r\n(?=[^ \t])", b"", self.letters()[0], count=0)

    def body_of(self, found):
        return found.split(b"\r\n\r\n", 1)[1]

    def fields_of(self, found):
        head = found.split(b"\r\n\r\n", 1)[0] + b"\r\n"
        return [f for f in re.findall(rb"(?m)^[^ \t\r\n][^\r]*\r\n(?:[ \t][^\r]*\r\n)*", head)
                if not f.lower().startswith((b"return-path", b"delivered-to"))]

    def test_fields_are_added_inserted_changed_and_deleted(self):
        self.deliver(m.add("X-Last", "z"), m.insert(0, "X-First", "a"), m.insert(2, "X-Second", "b"), m.change(1, "B", "two\n\tfolded"),
                     m.change(2, "A", ""), m.change(1, "X-New", "n"))
        fields = self.fields_of(self.letters()[0])
        self.assertEqual(b"X-First: a\r\n", fields[0])
        self.assertTrue(fields[1].startswith(b"Received:"))
        self.assertEqual([b"X-Second: b\r\n", b"A: 1\r\n", b"B: two\r\n\tfolded\r\n", b"X-Last: z\r\n", b"X-New: n\r\n"], fields[2:])

    def test_the_message_is_pieces_and_the_content_stays(self):
        self.script(E=[m.change(1, "B", "dua"), m.body(b"baru\r\n"), m.hold("to be looked at"), m.proceed()])
        self.send(b"A: 1\r\nB: 2\r\n\r\nHalo asli\r\n")
        found = wait_for(lambda: [q for q in self.server.queue() if q["queue_name"] == "hold"] or None, "a held message")[0]
        path = os.path.join(self.server.directory, "spool", "hold", found["queue_id"])
        with open(path, "rb") as f:
            raw = f.read()
        self.assertIn(b"B: 2\r\n\r\nHalo asli\r\n", raw)
        self.assertRegex(raw, rb"\nhold 15:to be looked at, ")
        self.assertRegex(raw, rb"\npieces \d+:\d+ \d+ \d+ \d+ \d+ \d+")
        self.server.merpati("queue", "release", found["queue_id"])
        found = self.letters()[0]
        self.assertIn(b"\r\nA: 1\r\nB: dua\r\n\r\nbaru\r\n", found)
        self.assertIn("milter-hold: END-OF-MESSAGE", self.server.log())

    def test_a_body_is_replaced_in_chunks_and_normalised(self):
        self.deliver(m.body(b"satu\ndua\r"), m.body(b"\ntiga"), m.add("X", "y"), m.body(b"\r\n.\nempat"))
        found = self.letters()[0]
        self.assertEqual(b"satu\r\ndua\r\ntiga\r\n.\r\nempat\r\n", self.body_of(found))
        self.assertIn(b"X: y\r\n", found)

    def test_nothing_smuggles_a_second_message_or_field_through_a_filter(self):
        evil = "x\r\n.\r\nMAIL FROM:<evil@b.test>\r\nRCPT TO:<%s>\r\nDATA\r\nSubject: smuggled\r\n\r\n.\r\n" % self.lama
        self.deliver(m.add("X-A", evil), m.add("X-B", "y\rEvil: 1\nEvil: 2\n\nbody"), m.body(evil.replace("\r\n", "\n").encode()),
                     m.body(b"\n.\r"), m.body(b"\n.\n"))
        found = self.letters()[0]
        self.assertEqual([], [f for f in self.fields_of(found) if f.startswith((b"Evil", b"MAIL", b"."))])
        self.assertIn(b"X-B: y\r\n\tEvil: 1\r\n\tEvil: 2\r\n\tbody\r\n", found)
        self.assertIn(b"\r\n.\r\nMAIL FROM:<evil@b.test>\r\n", self.body_of(found))
        self.assertEqual([], self.server.letters(self.lama))

    def test_recipients_come_and_go_and_the_sender_changes(self):
        self.deliver(m.remove_recipient("<%s>" % self.lama), m.add_recipient(self.tua, "NOTIFY=NEVER"), m.sender("<lain@b.test>", "RET=HDRS"))
        found = self.letters(self.tua)[0]
        self.assertIn(b"Return-Path: <lain@b.test>\r\n", found)
        self.assertEqual([], self.server.letters(self.lama))

    def test_without_recipients_left_the_message_is_gone(self):
        self.deliver(m.remove_recipient(self.lama))
        self.deliver()
        self.letters()
        self.assertEqual([], self.server.letters(self.lama))

    def test_nul_bytes_and_what_was_not_asked_for_are_a_failure_and_nothing_changes(self):
        for bad in (m.body(b"a\0b"), m.packet("h", b"A\0b\0c\0"), m.add("no name", "x"), m.add_recipient("a b@c"), b"\0\0\0\1z", b"\xff\xff\xff\xff"):
            self.script(E=[m.add("X-Half", "done"), bad, m.proceed()])
            with self.assertRaises(smtplib.SMTPDataError) as caught:
                self.send()
            self.assertEqual(451, caught.exception.smtp_code)
        self.assertEqual([], self.server.letters(self.lama))

    def test_a_large_message_passes_in_chunks(self):
        lines = [b"%07d " % i + b"x" * 70 + b"\r\n" for i in range(40000)]
        message = b"Subject: besar\r\n\r\n" + b"".join(lines)
        self.script(E=[m.add("X-Seen", "all"), m.proceed()])
        self.send(message)
        self.assertEqual(b"".join(lines), self.milter.last.body)
        found = self.letters()[0]
        self.assertIn(b"X-Seen: all\r\n", found)
        self.assertTrue(found.endswith(b"".join(lines)))

    def test_a_large_body_is_replaced_by_another(self):
        line = b"y" * 70 + b"\r\n"
        chunk = line * 900
        self.script(E=[m.body(chunk)] * 30 + [m.proceed()])
        self.send(b"Subject: besar\r\n\r\n" + b"x" * 70 + b"\r\n" * 3000)
        self.assertEqual(line * 27000, self.body_of(self.letters()[0]))


class Mute(Milters):
    options = {"options": m.MAY_SKIP | m.REFUSED_RCPT | m.LEADING_SPACE | m.CHUNK_1M | sum(m.MUTE.values()) & ~m.MUTE_BODY,
               "macros": {0: "{client_port}", 2: "i j {mail_addr}", 5: "b i"}, "actions": m.ALL}

    def test_a_filter_that_answers_nothing_hears_all_the_same(self):
        self.script(E=[m.insert(1, "X-A", "\ttab"), m.proceed()])
        self.send(b"A:1\r\nB:  2\r\n\r\nHalo\r\n")
        self.assertIn(b"\r\nX-A:\ttab\r\nA:1\r\n", self.letters()[0])
        said = self.milter.last.said
        self.assertEqual([["A", "1"], ["B", "  2"]], self.milter.last.fields)
        self.assertEqual([["<a@b.test>"]], [w[:1] for w in said["M"][-1:]])
        macros = self.milter.last.macros
        self.assertEqual({"{client_port}": macros["C"]["{client_port}"]}, macros["C"])
        self.assertEqual({"j": "satu.test", "{mail_addr}": "a@b.test"}, macros["M"])
        self.assertEqual({"b", "i"}, set(macros["E"]))

    def test_refused_recipients_are_told_of(self):
        self.script(R=lambda c: [m.discard()] if "nobody" in c.said["R"][-1][0] else [m.proceed()])
        wire = self.open()
        self.ask_all(wire, ("MAIL FROM:<a@b.test>", "250"), ("RCPT TO:<nobody@satu.test>", "550 5.1.1"), ("RCPT TO:<%s>" % self.lama, "250"),
                     ("DATA", "354"), ("\r\nx\r\n.", "250"))
        self.letters()
        self.assertEqual([["<nobody@satu.test>"], ["<%s>" % self.lama]], self.milter.last.said["R"][-2:])

    def test_it_may_skip_the_rest_of_the_body(self):
        self.script(B=[m.skip()])
        self.send(b"Subject: besar\r\n\r\n" + b"x" * 70 + b"\r\n" * 200000)
        self.letters()
        self.assertEqual(1, len(self.milter.last.said["B"]))


class Several(Case):
    def test_each_sees_what_those_before_it_changed(self):
        with Milter({"E": [m.add("X-Satu", "1"), m.change(1, "Subject", "lain"), m.body(b"dari satu\r\n"), m.proceed()]}) as first, \
                Milter({"E": [m.add("X-Dua", "2"), m.proceed()]}) as second, \
                Milter({"E": [m.change(1, "X-Satu", ""), m.proceed()]}) as third, \
                Milter() as other, \
                server(section("satu", first), section("dua", second), section("tiga", third),
                       section("lain", other, listeners="submission")) as instance:
            lama = instance.add_user("lama")
            with instance.smtp("mx") as client:
                client.sendmail("a@b.test", [lama], b"Subject: asli\r\n\r\nHalo\r\n")
            found = instance.wait_letters(lama)[0]
            self.assertEqual([["Subject", "asli"]], first.last.fields)
            self.assertEqual([["Subject", "lain"], ["X-Satu", "1"]], second.last.fields)
            self.assertEqual(b"dari satu\r\n", second.last.body)
            self.assertTrue(found.endswith(b"Subject: lain\r\nX-Dua: 2\r\n\r\ndari satu\r\n"), found)
            self.assertEqual([], other.conversations)

    def test_a_refusal_spares_those_behind_it(self):
        with Milter() as first, Milter({"R": [m.reject()], "E": [m.reject()]}) as second, Milter() as third, \
                server(section("satu", first), section("dua", second), section("tiga", third)) as instance:
            lama = instance.add_user("lama")
            with self.assertRaises(smtplib.SMTPRecipientsRefused), instance.smtp("mx") as client:
                client.sendmail("a@b.test", [lama], b"\r\nHalo\r\n")
            self.assertEqual(1, len(first.heard("R")))
            self.assertEqual([], third.heard("R"))
            second.script = {"E": [m.reject()]}
            with self.assertRaises(smtplib.SMTPDataError), instance.smtp("mx") as client:
                client.sendmail("a@b.test", [lama], b"\r\nHalo\r\n")
            self.assertEqual([], third.heard("E"))
            wait_for(lambda: third.heard("A"), "the third to be told that there is no message")


class Crowd(Case):
    def test_many_sessions_at_once_do_not_disturb_one_another(self):
        def mark(conversation):
            subject = dict(conversation.fields)["Subject"]
            return [m.add("X-Of", subject), m.body(b"body of %s\r\n" % subject.encode()), m.proceed()]

        failures = []

        def client(number):
            try:
                for i in range(3):
                    with instance.smtp("mx") as c:
                        for j in range(2):
                            c.sendmail("a@b.test", [lama], letter("a@b.test", lama, "s%d.%d.%d" % (number, i, j), ("x" * 70,) * (number * 50)))
            except Exception as e:
                failures.append(e)

        with Milter({"E": mark}) as first, Milter(options=sum(m.MUTE.values())) as second, \
                server(section("satu", first), section("dua", second)) as instance:
            lama = instance.add_user("lama")
            threads = [threading.Thread(target=client, args=(n,)) for n in range(25)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual([], failures)
            found = instance.wait_letters(lama, 150, 60)
            for f in found:
                subject = re.search(rb"\r\nSubject: ([^\r]*)", f).group(1)
                self.assertTrue(f.endswith(b"X-Of: %s\r\n\r\nbody of %s\r\n" % (subject, subject)), f)
            self.assertEqual(150, len(set(re.search(rb"\r\nSubject: ([^\r]*)", f).group(1) for f in found)))

    def test_recipients_that_are_pipelined(self):
        with Milter({"E": [m.remove_recipient("u7@satu.test"), m.proceed()]}) as milter, \
                server(section("uji", milter)) as instance:
            for i in range(20):
                instance.add_user("u%d" % i)
            wire = Wire((instance.address, instance.ports["mx"]))
            self.addCleanup(wire.close)
            wire.reply()
            wire.ask(b"EHLO x.test")
            wire.send(b"MAIL FROM:<a@b.test>\r\n" + b"".join(b"RCPT TO:<u%d@satu.test>\r\n" % i for i in range(20)) + b"DATA\r\n")
            self.assertEqual([b"250"] * 21 + [b"354"], [wire.reply()[:3] for _ in range(22)])
            self.assertEqual(b"250", wire.ask(b"Subject: x\r\n\r\nHalo\r\n.")[:3])
            instance.wait_letters("u19@satu.test")
            self.assertEqual([], instance.letters("u7@satu.test"))
            self.assertEqual(20, len(milter.heard("R")))


class Away(Case):
    def try_it(self, instance, lama):
        with instance.smtp("mx") as client:
            try:
                client.sendmail("a@b.test", [lama], b"Subject: x\r\n\r\nHalo\r\n")
            except smtplib.SMTPResponseException as refused:
                return refused.smtp_code
            except smtplib.SMTPRecipientsRefused as refused:
                return list(refused.recipients.values())[0][0]
        return 250

    def test_a_filter_that_is_down_and_comes_back(self):
        port = socket.socket()
        port.bind(("127.0.0.1", 0))
        number = port.getsockname()[1]
        port.close()
        spec = "inet:127.0.0.1:%d" % number
        for on_failure, code in (("accept", 250), ("defer", 451), ("refuse", 550)):
            with self.subTest(on_failure), server(section("uji", spec, on_failure=on_failure)) as instance:
                lama = instance.add_user("lama")
                self.assertEqual(code, self.try_it(instance, lama))
                self.assertRegex(instance.log(), "warning: filter uji: .*: Connection refused")
                # In the same session, at the next message.
                with instance.smtp("mx") as client:
                    client.ehlo("x.test")
                    self.assertEqual(250 if on_failure == "accept" else code, client.mail("a@b.test")[0])
                    client.rset()
                    with Milter(port=number) as milter:
                        self.assertEqual(250, client.mail("a@b.test")[0])
                        self.assertEqual([["x.test"]], milter.heard("H"))
                        self.assertEqual(1, len(milter.heard("C")))

    def test_one_that_does_not_answer_in_time(self):
        for stage in "OCMRTLBE":
            with self.subTest(stage), Milter(delay={stage: 20}) as milter, server(section("uji", milter, timeout="200ms")) as instance:
                lama = instance.add_user("lama")
                begun = time.monotonic()
                self.assertEqual(451, self.try_it(instance, lama))
                self.assertLess(time.monotonic() - begun, 15)
                self.assertIn("does not answer in time", instance.log())

    def test_the_end_of_the_server_does_not_wait_for_a_filter(self):
        for stage in "CHMRTE":
            with self.subTest(stage), Milter(delay={stage: 1}) as milter, server(section("uji", milter)) as instance:
                lama = instance.add_user("lama")
                with socket.create_connection((instance.address, instance.ports["mx"]), 10) as client:
                    client.sendall(b"EHLO x.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<%s>\r\nDATA\r\n" % lama.encode())
                    if stage == "E":
                        received = b""
                        while b"\r\n354 " not in received:
                            received += client.recv(4096)
                        client.sendall(b"\r\nx\r\n.\r\n")
                    wait_for(lambda: milter.heard(stage), "the filter to be asked")
                    begun = time.monotonic()
                    instance.stop()
                    self.assertLess(time.monotonic() - begun, 15)
                self.assertNotRegex(instance.log(), "smtpd.*(died|signal|killed|Assertion)")

    def test_progress_buys_time(self):
        def slow(conversation):
            for _ in range(12):
                time.sleep(0.3)
                conversation.connection.sendall(m.progress())
            return [m.proceed()]

        with Milter({"E": slow}) as milter, server(section("uji", milter, timeout="200ms")) as instance:
            self.assertEqual(250, self.try_it(instance, instance.add_user("lama")))

    def test_one_that_dies_in_the_middle_leaves_the_message_as_it_was(self):
        def half(conversation):
            conversation.connection.sendall(m.add("X-Half", "done") + m.body(b"half of it"))
            conversation.connection.close()
            return None

        for on_failure, code in (("accept", 250), ("defer", 451), ("refuse", 550)):
            for script in ({"E": half}, {"B": lambda c: c.connection.close()}, {"R": lambda c: c.connection.close()}):
                with self.subTest(on_failure, stage=list(script)), Milter(script) as milter, \
                        server(section("uji", milter, on_failure=on_failure)) as instance:
                    lama = instance.add_user("lama")
                    self.assertEqual(code, self.try_it(instance, lama))
                    if code == 250:
                        found = instance.wait_letters(lama)[0]
                        self.assertTrue(found.endswith(b"Subject: x\r\n\r\nHalo\r\n"))
                        self.assertNotIn(b"X-Half", found)
                    else:
                        self.assertEqual([], instance.queue())

    def test_over_a_unix_socket(self):
        directory = tempfile.mkdtemp(prefix="milter", dir="/tmp")
        self.addCleanup(lambda: subprocess.run(["rm", "-r", directory], check=False))
        os.chmod(directory, 0o755)
        with Milter({"E": [m.add("X-A", "b"), m.proceed()]}, path=directory + "/s") as milter, server(section("uji", milter)) as instance:
            lama = instance.add_user("lama")
            self.assertEqual(250, self.try_it(instance, lama))
            self.assertIn(b"X-A: b\r\n", instance.wait_letters(lama)[0])


class Daemon:
    """A packaged filter in the foreground, on a socket in a directory of its own."""

    def __init__(self, name):
        self.directory = tempfile.mkdtemp(prefix=name, dir="/tmp")
        os.chmod(self.directory, 0o755)
        self.socket = os.path.join(self.directory, "socket")

    def file(self, name, text, mode=0o600):
        path = os.path.join(self.directory, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def start(self, *words):
        with open(os.path.join(self.directory, "out"), "wb") as out:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            preexec_fn=lambda: ctypes.CDLL(None).prctl(1, 15))
        wait_for(lambda: os.path.exists(self.socket) or self.process.poll() is not None, "the socket of " + words[0])
        if self.process.poll() is not None:
            with open(os.path.join(self.directory, "out")) as f:
                raise AssertionError("%s ended at once: %s" % (words[0], f.read()))
        os.chmod(self.socket, 0o666)
        return self

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.directory, ignore_errors=True)


@unittest.skipUnless(shutil.which("opendkim") and shutil.which("opendkim-genkey"), "skipped: opendkim is not installed")
class OpenDkim(Case):
    """As packaged: it signs what satu's users submit, and verifies what comes to dua."""

    def opendkim(self, mode, *lines):
        daemon = Daemon("opendkim")
        conf = daemon.file("conf", "\n".join(("Mode " + mode, "Socket local:" + daemon.socket, "UMask 000", "Background no", "Syslog no",
                                              "Canonicalization simple/simple", "OversignHeaders From",
                                              "RequireSafeKeys no", "Nameservers 127.0.0.1", "DNSTimeout 1", "AuthservID dua.test", "AlwaysAddARHeader yes") + lines) + "\n")
        daemon.start("opendkim", "-f", "-x", conf)
        self.addCleanup(daemon.stop)
        return daemon

    def test_what_satu_signs_dua_verifies(self):
        keys = tempfile.mkdtemp(prefix="keys", dir="/tmp")
        self.addCleanup(shutil.rmtree, keys)
        subprocess.run(["opendkim-genkey", "-b", "1024", "-d", "satu.test", "-s", "kunci", "-D", keys], check=True)
        with open(os.path.join(keys, "kunci.txt")) as f:
            record = "".join(re.findall(r'"([^"]*)"', f.read()))
        with open(os.path.join(keys, "public"), "w") as f:
            f.write("kunci._domainkey.satu.test %s\n" % record)
        with open(os.path.join(keys, "table"), "w") as f:
            f.write("kunci satu.test:kunci:%s/kunci.private\n" % keys)
        with open(os.path.join(keys, "signing"), "w") as f:
            f.write("*@satu.test kunci\n")
        signer = self.opendkim("s", "InternalHosts 127.0.0.1", "KeyTable file:%s/table" % keys, "SigningTable refile:%s/signing" % keys)
        verifier = self.opendkim("v", "InternalHosts 192.0.2.1", "TestPublicKeys %s/public" % keys)
        with Dns() as dns:
            satu, dua = two_instances(dns)
            satu.sections = section("opendkim", "unix:" + signer.socket, listeners="submission submissions local")
            dua.sections = section("opendkim", "unix:" + verifier.socket, listeners="mx")
            with satu, dua:
                baru, lama = satu.add_user("baru"), dua.add_user("lama")
                sent = letter(baru, lama, "Tertanda", ("Halo  dunia ", "", ".titik", "")).replace(b"To:", b"X-Lipat:  satu\r\n\tdua\r\nTo:")
                satu.submit(baru, [lama], sent)
                first = dua.wait_letters(lama)[0]
                self.assertRegex(first, rb"\r\nDKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=satu.test; s=kunci;")
                self.assertRegex(first, rb"Authentication-Results: dua.test;\r\n\tdkim=pass [^;]*header.d=satu.test")
                self.assertTrue(first.endswith(sent.split(b"\r\n\r\n", 1)[1]))
                # A program of this host, without any login.
                satu.sendmail("-f", baru, lama, input=b"From: %s\nSubject: dari program\n\nHalo\n" % baru.encode())
                second = [found for found in dua.wait_letters(lama, 2) if b"dari program" in found][0]
                self.assertRegex(second, rb"dkim=pass [^;]*header.d=satu.test")
                # What was changed on its way is found out.
                signed = first[first.index(b"DKIM-Signature:"):].replace(b"Halo  dunia", b"Halo, dunia")
                with dua.smtp("mx") as client:
                    client.sendmail(baru, [lama], signed)
                third = [found for found in dua.wait_letters(lama, 3) if b"Halo, dunia" in found][0]
                self.assertRegex(third, rb"Authentication-Results: dua.test;\r\n\tdkim=fail ")


GTUBE = "JS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

RSPAMD = """
options {
  pidfile = "%(directory)s/pid";
  url_tld = "%(directory)s/tld";
  cache_file = "%(directory)s/cache";
  filters = "";
  disable_hyperscan = true;
  dns { nameserver = ["127.0.0.1:9"]; timeout = 0.1s; retransmits = 1; }
}
logging { type = "file"; filename = "%(directory)s/log"; }
worker "rspamd_proxy" {
  bind_socket = "%(socket)s mode=0666";
  milter = yes;
  count = 1;
  upstream "local" { default = yes; self_scan = yes; }
}
lua = "%(directory)s/rules.lua";
actions { reject = 15; add_header = 6; greylist = null; }
"""


RSPAMD_RULES = """
rspamd_config:register_symbol({name = 'UJI', score = 7.0, callback = function(task)
  if task:get_subject() ~= 'ditandai' then return false end
  task:set_milter_reply({add_headers = {['X-Uji'] = 'ya'}, remove_headers = {['X-Lama'] = 1}})
  return true
end})
"""


@unittest.skipUnless(shutil.which("rspamd"), "skipped: rspamd is not installed")
class Rspamd(Case):
    """As packaged, with its pattern for spam and a rule that marks."""

    def test_it_refuses_and_marks(self):
        daemon = Daemon("rspamd")
        daemon.file("tld", "test\n", 0o644)
        daemon.file("rules.lua", RSPAMD_RULES, 0o644)
        conf = daemon.file("conf", RSPAMD % {"directory": daemon.directory, "socket": daemon.socket}, 0o644)
        daemon.start("rspamd", "-f", "-c", conf, *(["--insecure"] if os.getuid() == 0 else []))
        self.addCleanup(daemon.stop)
        with server(section("rspamd", "unix:" + daemon.socket)) as instance:
            lama = instance.add_user("lama")

            def send(subject, line):
                with instance.smtp("mx") as client:
                    client.sendmail("a@b.test", [lama], letter("a@b.test", lama, subject, (line,), X_Lama="dulu"))

            with self.assertRaises(smtplib.SMTPDataError) as caught:
                send("ditolak", "X" + GTUBE)
            self.assertEqual((554, b"5.7.1 Gtube pattern"), (caught.exception.smtp_code, caught.exception.smtp_error))
            send("biasa", "Halo")
            send("ditandai", "Halo")
            found = {re.search(rb"\r\nSubject: ([^\r]*)", f).group(1): f for f in instance.wait_letters(lama, 2)}
            self.assertEqual({b"biasa", b"ditandai"}, set(found))
            self.assertIn(b"\r\nX-Spam: Yes\r\n", found[b"ditandai"])
            self.assertIn(b"\r\nX-Uji: ya\r\n", found[b"ditandai"])
            self.assertNotIn(b"X-Lama", found[b"ditandai"])
            self.assertNotIn(b"X-Spam", found[b"biasa"])
            self.assertIn(b"X-Lama: dulu", found[b"biasa"])
            self.assertIn("milter-reject: END-OF-MESSAGE", instance.log())


del Milters


if __name__ == "__main__":
    unittest.main()
