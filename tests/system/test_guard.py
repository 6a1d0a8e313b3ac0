"""Who is turned away before a session costs anything, and who must wait: smtpd's guard with clients from all over
127.0.0.0/8, a DNS server for lists and names, and `merpati clients`."""

import base64
import json
import os
import re
import signal
import socket
import time
import unittest

from suite import PASSWORD, Case, Dns, Instance, needs_root, wait_for

OUTSIDE = "192.0.2.0/24"  # `networks`, so that loopback clients are strangers


class Line:
    """A client at an address of its own."""

    def __init__(self, server, source, kind="mx", timeout=20):
        self.socket = socket.create_connection((server.address, server.ports[kind]), timeout, (source, 0))
        self.stream = self.socket.makefile("rb")

    def reply(self):
        """The whole reply as text; empty at the end of the connection."""
        lines = []
        while True:
            try:
                line = self.stream.readline().decode()
            except ConnectionError:
                line = ""
            lines.append(line)
            if line[3:4] != "-":
                return "".join(lines)

    def send(self, text):
        self.socket.sendall(text.encode())

    def ask(self, line):
        self.send(line + "\r\n")
        return self.reply()

    def close(self):
        self.stream.close()
        self.socket.close()


def pid_of(server, role):
    return [pid for pid, title in server.processes().items() if re.search(r"smtpd: %s$" % role, title)]


class Guarded(Case):
    settings = {}
    sections = ""

    @classmethod
    def setUpClass(cls):
        cls.dns = Dns().__enter__()
        cls.server = Instance("satu.test", "127.0.0.2", cls.dns, settings=dict({"networks": OUTSIDE}, **cls.settings),
                              sections=cls.sections)
        cls.server.__enter__()
        cls.lama = cls.server.add_user("lama")

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)
        cls.dns.__exit__()

    def line(self, source, kind="mx", timeout=20):
        line = Line(self.server, source, kind, timeout)
        self.addCleanup(line.close)
        return line

    def greeted(self, source, kind="mx"):
        line = self.line(source, kind)
        self.assertRegex(line.reply(), "^220 satu.test ")
        self.assertRegex(line.ask("EHLO x.test"), "^250")
        return line

    def mail(self, line, recipient=None, sender="a@b.test"):
        self.assertRegex(line.ask("MAIL FROM:<%s>" % sender), "^250 ")
        self.assertRegex(line.ask("RCPT TO:<%s>" % (recipient or self.lama)), "^250 ")
        self.assertRegex(line.ask("DATA"), "^354 ")
        self.assertRegex(line.ask("Subject: x\r\n\r\nHalo\r\n."), "^250 ")

    def clients(self):
        """What `merpati clients --json` says: {(kind, who): row}."""
        out = self.server.merpati("clients", "--json").stdout
        return {(row["kind"], row["who"]): row for row in map(json.loads, out.splitlines())}


class BeforeTheGreeting(Guarded):
    settings = {"greet_pause": "2s", "client_lookup_timeout": "2s", "smtpd_workers": 2,
                "dns_lists": "zen.example.test*2=127.0.0.[2..11] white.example.test=127.0.[0..255].[1..3]*-3 plain.example.test"}

    def test_who_talks_before_it_is_spoken_to_is_turned_away(self):
        line = self.line("127.1.0.1")
        line.send("EHLO spam.test\r\nMAIL FROM:<x@spam.test>\r\n")
        self.assertRegex(line.reply(), r"^521 5\.5\.1 satu\.test Protocol error\r\n$")
        self.assertEqual(line.reply(), "")
        self.server.wait_log(r"PREGREET \d+ after [01]\.\d\d from \[127\.1\.0\.1\]:\d+: EHLO spam\.test")
        self.server.wait_log(r"NOQUEUE: reject: CONNECT from unknown\[127\.1\.0\.1\]: 521 5\.5\.1 Protocol error")

    def test_who_waits_is_greeted_after_the_pause_and_need_not_wait_again(self):
        began = time.monotonic()
        self.greeted("127.1.0.2")
        self.assertGreater(time.monotonic() - began, 1.9)
        for _ in range(4):  # whichever worker it comes to
            began = time.monotonic()
            self.greeted("127.1.0.2")
            self.assertLess(time.monotonic() - began, 1.8)

    def test_who_passed_is_remembered_over_a_reload_and_a_restart(self):
        self.greeted("127.1.0.3")
        for renew in (self.reload, self.server.restart):
            renew()
            began = time.monotonic()
            self.greeted("127.1.0.3")
            self.assertLess(time.monotonic() - began, 1.8)

    def reload(self):
        before = self.server.log().count("the new configuration is in force")
        self.server.merpati("reload")
        wait_for(lambda: self.server.log().count("the new configuration is in force") > before + 3, "a new generation")

    def test_who_leaves_meanwhile_is_told_of_in_the_log(self):
        self.line("127.1.0.4").close()
        self.server.wait_log(r"HANGUP after [01]\.\d from \[127\.1\.0\.4\]:\d+ in tests before SMTP handshake")

    def test_submission_has_no_pause(self):
        began = time.monotonic()
        self.greeted("127.1.0.5", "submission")
        self.assertLess(time.monotonic() - began, 1.8)

    def test_a_listed_client_is_refused_and_told_by_which_list(self):
        self.dns.add("6.0.1.127.zen.example.test", "A", "127.0.0.4")
        line = self.line("127.1.0.6")
        self.assertEqual(line.reply(), "554 5.7.1 satu.test Service unavailable; client [127.1.0.6] blocked using "
                         "zen.example.test\r\n")
        self.assertEqual(line.reply(), "")
        self.server.wait_log(r"DNSBL rank 2 for \[127\.1\.0\.6\]:\d+")

    def test_an_answer_that_the_filter_does_not_name_does_not_count(self):
        self.dns.add("7.0.1.127.zen.example.test", "A", "127.0.0.12")
        self.dns.add("7.0.1.127.plain.example.test", "A", "127.255.255.254")
        self.greeted("127.1.0.7")

    def test_a_list_of_the_good_outweighs_and_spares_the_pause(self):
        self.dns.add("8.0.1.127.zen.example.test", "A", "127.0.0.2", "127.0.0.10")
        self.dns.add("8.0.1.127.white.example.test", "A", "127.0.5.3")
        began = time.monotonic()
        self.greeted("127.1.0.8")
        self.assertLess(time.monotonic() - began, 1.8)

    def test_a_verified_name_is_shown_and_a_false_one_is_not(self):
        self.dns.add("9.0.1.127.in-addr.arpa", "PTR", "bohong.test", "surat.test")
        self.dns.add("bohong.test", "A", "127.1.0.99")
        self.dns.add("surat.test", "A", "127.1.0.9")
        self.dns.add("10.0.1.127.in-addr.arpa", "PTR", "bohong.test")
        self.mail(self.greeted("127.1.0.9"))
        self.mail(self.greeted("127.1.0.10"))
        self.server.wait_log(r"connect from surat\.test\[127\.1\.0\.9\]")
        self.server.wait_log(r"client=surat\.test\[127\.1\.0\.9\]")
        self.server.wait_log(r"connect from unknown\[127\.1\.0\.10\]")
        found = b"".join(self.server.wait_letters(self.lama, 2))
        self.assertIn(b"Received: from x.test (surat.test [127.1.0.9])", found)
        self.assertIn(b"Received: from x.test (unknown [127.1.0.10])", found)

    def test_a_resolver_that_does_not_answer_delays_to_the_deadline_only(self):
        for name in ("11.0.1.127.in-addr.arpa", "11.0.1.127.zen.example.test"):
            self.dns.add(name, "DROP")
        began = time.monotonic()
        self.greeted("127.1.0.11")
        self.assertLess(time.monotonic() - began, 8)
        self.server.wait_log(r"connect from unknown\[127\.1\.0\.11\]")


class OverIpv6(Case):
    def test_an_ipv6_client_is_asked_about_by_its_nibbles_and_counts_by_its_network(self):
        nibbles = ".".join("1" + "0" * 31)
        with Dns() as dns, Instance("satu.test", "::1", dns, settings={
                "networks": OUTSIDE, "greet_pause": 0, "dns_lists": "zen.example.test"}) as server:
            dns.add(nibbles + ".ip6.arpa", "PTR", "enam.test")
            dns.add("enam.test", "AAAA", "::1")
            line = Line(server, "::1")
            self.assertRegex(line.reply(), "^220 ")
            server.wait_log(r"connect from enam\.test\[::1\]")
            rows = server.merpati("clients", "--json").stdout
            self.assertIn('"who": "::/64", "connections": 1', rows)
            self.assertIn('"who": "::/48", "connections": 1', rows)
            line.close()
            dns.add(nibbles + ".zen.example.test", "A", "127.0.0.2")
            wait_for(lambda: self.blocked(server), "the list to be asked again")

    def blocked(self, server):
        line = Line(server, "::1")
        reply = line.reply()
        line.close()
        return "client [::1] blocked using zen.example.test" in reply


class WithoutTheGuard(Guarded):
    settings = {"greet_pause": "1s", "smtpd_workers": 1, "client_lookup_timeout": "3s"}

    def test_a_guard_that_hangs_delays_once_and_one_that_died_is_back(self):
        pid = pid_of(self.server, "guard")[0]
        os.kill(pid, signal.SIGSTOP)
        self.greeted("127.2.0.1")  # after the deadline
        self.server.wait_log("the guard does not answer; sessions go on without it")
        began = time.monotonic()
        held = self.greeted("127.2.0.2")
        self.mail(held)
        self.assertLess(time.monotonic() - began, 2.8)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: pid_of(self.server, "guard") not in ([], [pid]), "another guard")
        wait_for(lambda: ("address", "127.2.0.2") in self.clients(), "the session to be known to it")
        self.assertEqual(self.clients()["address", "127.2.0.2"]["connections"], 1)
        began = time.monotonic()
        self.greeted("127.2.0.3")  # which waits, so it is heard again
        self.assertGreater(time.monotonic() - began, 0.9)

    def test_what_a_killed_worker_held_is_given_back(self):
        self.greeted("127.2.0.4")
        self.assertEqual(self.clients()["address", "127.2.0.4"]["connections"], 1)
        os.kill(pid_of(self.server, "worker")[0], signal.SIGKILL)
        wait_for(lambda: self.clients()["address", "127.2.0.4"]["connections"] == 0, "the count to fall")


class Limits(Guarded):
    settings = {"greet_pause": 0, "smtpd_workers": 3, "smtpd_clients_per_address": 3, "smtpd_clients_per_network": 5,
                "smtpd_connects_per_minute": 8, "network_connects_per_minute": 30, "address_messages_per_hour": 3,
                "login_messages_per_hour": 2, "login_recipients_per_hour": 20, "sender_messages_per_hour": 4}

    def refused(self, source, text, kind="mx"):
        line = self.line(source, kind)
        self.assertRegex(line.reply(), "^421 4.7.0 satu.test Too many connections from %s" % text)
        self.assertEqual(line.reply(), "")

    def leave(self, line, source):
        line.ask("QUIT")
        line.close()
        wait_for(lambda: self.clients()["address", source]["connections"] == 0, "the place to be free")

    def test_an_address_and_a_network_have_so_many_connections_over_all_workers(self):
        held = [self.greeted("127.3.1.1") for _ in range(3)]
        self.refused("127.3.1.1", "your address")
        held += [self.greeted("127.3.1.%d" % i) for i in (2, 3)]
        self.refused("127.3.1.4", "your network")
        self.greeted("127.3.2.1")
        row = self.clients()["network", "127.3.1.0/24"]
        self.assertEqual((row["connections"], row["verdict"]), (5, "full"))
        for line in held:
            line.ask("QUIT")
        wait_for(lambda: self.clients()["network", "127.3.1.0/24"]["connections"] == 0, "the places to be free")
        self.greeted("127.3.1.4")

    def test_an_address_begins_so_many_connections_a_minute(self):
        for _ in range(8):
            self.leave(self.greeted("127.3.3.1"), "127.3.3.1")
        self.refused("127.3.3.1", "your address")
        row = self.clients()["address", "127.3.3.1"]
        self.assertEqual((row["connects"], row["refused"], row["verdict"]), (8, 1, "connects"))

    def test_an_address_sends_so_many_messages_an_hour(self):
        for _ in range(3):
            line = self.greeted("127.3.4.1")
            self.mail(line)
            self.leave(line, "127.3.4.1")
        self.assertRegex(self.greeted("127.3.4.1").ask("MAIL FROM:<a@b.test>"),
                         r"^450 4\.7\.1 Too many messages from your address, try again after \d\d:\d\d UTC\r\n")

    def test_a_sender_sends_so_many_messages_an_hour(self):
        for i in range(4):
            self.mail(self.greeted("127.3.5.%d" % i), sender="sering@b.test")
        self.assertRegex(self.greeted("127.3.6.9").ask("MAIL FROM:<SERING@b.test>"),
                         r"^450 4\.7\.1 Too many messages from this sender, try again after ")

    def login(self, source, user):
        raw = socket.create_connection((self.server.address, self.server.ports["submissions"]), 20, (source, 0))
        line = Line.__new__(Line)
        line.socket = self.server.tls_context().wrap_socket(raw)
        line.stream = line.socket.makefile("rb")
        self.addCleanup(line.close)
        self.assertRegex(line.reply(), "^220 ")
        line.ask("EHLO x.test")
        secret = base64.b64encode(("\0%s\0%s" % (user, PASSWORD)).encode()).decode()
        self.assertRegex(line.ask("AUTH PLAIN " + secret), "^235 ")
        return line

    def test_a_login_sends_so_many_messages_an_hour_wherever_it_is(self):
        user = self.server.add_user("sibuk")
        for i in range(2):
            self.mail(self.login("127.3.7.%d" % i, user), sender=user)
        reply = self.login("127.3.8.1", user).ask("MAIL FROM:<%s>" % user)
        self.assertRegex(reply, r"^450 4\.7\.1 Too many messages from this login, try again after \d\d:\d\d UTC\r\n")
        self.assertEqual(self.clients()["login", user]["verdict"], "messages")

    def test_a_login_names_so_many_recipients_an_hour(self):
        user = self.server.add_user("ramai")
        line = self.login("127.3.9.1", user)
        line.ask("MAIL FROM:<%s>" % user)
        for i in range(20):
            self.assertRegex(line.ask("RCPT TO:<x%d@elsewhere.test>" % i), "^250 ")
        self.assertRegex(line.ask("RCPT TO:<x20@elsewhere.test>"),
                         r"^450 4\.7\.1 <x20@elsewhere\.test>: Too many recipients from this login, try again after ")

    def test_recipients_that_were_granted_and_not_named_are_given_back(self):
        user = self.server.add_user("hemat")
        line = self.login("127.3.10.1", user)
        line.ask("MAIL FROM:<%s>" % user)
        line.ask("RCPT TO:<%s>" % self.lama)
        line.ask("QUIT")
        wait_for(lambda: self.clients()["login", user]["recipients"] == 1, "the others to be given back")


class Greylisting(Guarded):
    settings = {"exempt_clients": "127.4.9.0/24", "greet_pause": 0, "greylist": "yes", "greylist_delay": "3s", "greylist_allow_after": 2}

    sections = "\n[policy]\naccept when sender is penting@b.test\nstandard\n"

    def rcpt(self, source, sender, recipient=None):
        line = self.greeted(source)
        line.ask("MAIL FROM:<%s>" % sender)
        reply = line.ask("RCPT TO:<%s>" % (recipient or self.lama))
        line.ask("QUIT")
        return reply

    def test_a_first_attempt_is_put_off_and_a_second_one_taken(self):
        grey = r"^450 4\.7\.1 <lama@satu\.test>: Recipient address rejected: Greylisted, please try again in [1-4] seconds\r\n"
        self.assertRegex(self.rcpt("127.4.0.1", "a@b.test"), grey)
        self.assertRegex(self.rcpt("127.4.0.1", "a@b.test"), grey)
        time.sleep(3.1)
        self.assertRegex(self.rcpt("127.4.0.7", "A@b.test"), "^250 ")  # another host of the same network
        self.assertRegex(self.rcpt("127.4.0.1", "a@b.test"), "^250 ")
        self.assertRegex(self.rcpt("127.4.0.1", "lain@b.test"), grey)
        time.sleep(3.1)
        self.assertRegex(self.rcpt("127.4.0.1", "lain@b.test"), "^250 ")
        self.assertRegex(self.rcpt("127.4.0.1", "baru@c.test"), "^250 ")  # the network has proved itself
        self.assertRegex(self.rcpt("127.4.1.1", "baru@c.test"), grey)

    def test_whom_a_rule_accepts_is_not_put_off(self):
        self.assertRegex(self.rcpt("127.4.2.1", "penting@b.test"), "^250 ")
        self.assertRegex(self.rcpt("127.4.2.1", "lain@b.test"), "^450 ")

    def test_who_is_exempt_is_not_put_off_and_does_not_relay(self):
        self.assertRegex(self.rcpt("127.4.9.1", "a@b.test"), "^250 ")
        self.assertRegex(self.rcpt("127.4.9.1", "a@b.test", "x@elsewhere.test"), r"^554 5\.7\.1 ")
        self.assertNotIn(("address", "127.4.9.1"), self.clients())


class Pace(Guarded):
    settings = {"greet_pause": 0, "smtpd_error_delay": "200ms", "refused_recipients_per_session": 6,
                "smtpd_errors_per_session": 100}

    def test_errors_are_answered_later_and_later(self):
        line = self.greeted("127.5.0.1")
        took = []
        for _ in range(6):
            began = time.monotonic()
            self.assertRegex(line.ask("FOO"), "^500 ")
            took.append(time.monotonic() - began)
        for i in range(3, 6):
            self.assertGreater(took[i], 0.2 * (i - 2) - 0.05)
        self.assertLess(min(took[:3]), 0.2)
        # errors that come in one write are slowed all the same
        line = self.greeted("127.5.0.2")
        began = time.monotonic()
        line.send("FOO\r\n" * 5)
        self.assertEqual([line.reply()[:3] for _ in range(5)], ["500"] * 5)
        self.assertGreater(time.monotonic() - began, 0.55)

    def test_who_guesses_recipients_is_left(self):
        line = self.greeted("127.5.0.3")
        line.ask("MAIL FROM:<a@b.test>")
        replies = [line.ask("RCPT TO:<tebak%d@satu.test>" % i)[:3] for i in range(7)]
        self.assertEqual(replies[:6], ["550"] * 6)
        self.assertEqual([replies[6], line.reply()[:3]], ["550", "421"])

    def test_errors_are_remembered_against_the_address(self):
        line = self.greeted("127.5.0.4")
        for _ in range(4):
            line.ask("FOO")
        line.ask("QUIT")
        wait_for(lambda: self.clients().get(("address", "127.5.0.4"), {}).get("errors") == 4, "four errors")


class TimeLimit(Guarded):
    settings = {"greet_pause": 0, "session_time_limit": "2s"}

    def test_a_session_ends_after_its_time_but_not_in_the_middle_of_a_message(self):
        busy, idle = self.greeted("127.6.1.1"), self.greeted("127.6.1.2")
        for line in ("MAIL FROM:<a@b.test>", "RCPT TO:<%s>" % self.lama, "DATA"):
            busy.ask(line)
        began = time.monotonic()
        self.assertRegex(idle.reply(), r"^421 4\.7\.0 satu\.test The session has lasted too long")
        self.assertLess(time.monotonic() - began, 15)
        self.server.wait_log(r"session time limit after EHLO from unknown\[127\.6\.1\.2\]")
        self.assertRegex(busy.ask("Subject: x\r\n\r\nHalo\r\n."), "^250 ")
        self.assertRegex(busy.reply(), r"^421 4\.7\.0 ")

    def test_a_message_that_is_thrown_away_is_no_reason_to_stay(self):
        for command, waste in (("DATA", "a\nb\r\n"), ("BDAT 2000000000", "x")):
            line = self.greeted("127.6.1.3")
            for words in ("MAIL FROM:<a@b.test>", "RCPT TO:<%s>" % self.lama):
                line.ask(words)
            line.send("%s\r\n%s" % (command, waste))
            if command == "DATA":
                self.assertRegex(line.reply(), "^354 ")
            else:
                line.send("a\nb" * 100)
            began = time.monotonic()
            self.assertRegex(line.reply(), r"^421 4\.7\.0 satu\.test The session has lasted too long")
            self.assertLess(time.monotonic() - began, 15)


class Rate(Guarded):
    settings = {"greet_pause": 0, "smtpd_minimum_rate": 50}

    def test_a_client_that_dribbles_is_hung_up_on_and_a_normal_one_is_not(self):
        slow = self.greeted("127.6.0.1")
        slow.ask("MAIL FROM:<a@b.test>")
        slow.ask("RCPT TO:<%s>" % self.lama)
        slow.ask("DATA")
        slow.socket.settimeout(0.25)
        began = time.monotonic()
        reply = b""
        while not reply and time.monotonic() - began < 40:
            slow.socket.sendall(b"x")
            try:
                reply = slow.socket.recv(1000)
            except (TimeoutError, socket.timeout):
                continue
        self.assertRegex(reply, rb"^421 4\.4\.2 satu\.test Too slow")
        self.mail(self.greeted("127.6.0.2"))


class Postmaster(Guarded):
    settings = {"greet_pause": 0}

    def test_clients_are_listed_sorted_for_people_and_programs(self):
        held = [self.greeted("127.7.0.1") for _ in range(2)] + [self.greeted("127.7.0.2")]
        self.mail(held[2])
        held.pop().ask("QUIT")
        wait_for(lambda: self.clients().get(("address", "127.7.0.2"), {}).get("messages") == 1, "a message to be counted")
        row = self.clients()["address", "127.7.0.1"]
        self.assertEqual((row["connections"], row["connects"], row["messages"]), (2, 2, 0))
        text = self.server.merpati("clients").stdout.splitlines()
        self.assertRegex(text[0], r"^KIND +WHO +NOW +CONN/MIN +MSGS/H +RCPTS/H +ERRORS/H +REFUSED/H +PENALTY +VERDICT$")
        self.assertRegex(text[1], r"^network +127\.7\.0\.0/24 +2 +3 +1 ")
        by_messages = self.server.merpati("clients", "--sort", "messages").stdout.splitlines()
        self.assertLess([i for i, line in enumerate(by_messages) if "127.7.0.2 " in line],
                        [i for i, line in enumerate(by_messages) if "127.7.0.1 " in line])
        self.assertEqual(self.server.merpati("clients", "--sort", "nonsense", check=False).returncode, 64)

    @needs_root("another user")
    def test_only_the_postmaster_is_told(self):
        done = self.server.merpati("clients", check=True)
        self.assertEqual(done.returncode, 0)
        path = os.path.join(self.server.directory, "run", "clients")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)


if __name__ == "__main__":
    unittest.main()
