"""The postmaster's view of the queue: what `merpati queue` finds, in which order, and what it does with what it found."""

import json
import os
import pty
import re
import signal
import subprocess
import time
import unittest

from smtp_server import SmtpServer
from suite import Case, Instance, letter, wait_for

# Nobody listens there: mail for them is deferred.
DEAD = "[127.0.0.98]"
DEADER = "[127.0.0.99]"


class Postmaster(Case):
    def setUp(self):
        self.server = Instance("satu.test", "127.0.0.2", kinds=("mx", "pop3"), settings={"retry": "1h"})
        self.server.__enter__()
        self.addCleanup(self.server.__exit__, None)
        self.baru = self.server.add_user("baru")
        self.lama = self.server.add_user("lama")

    def queue_command(self, *words, check=True):
        return self.server.merpati("queue", *words, check=check)

    def names(self, *words):
        """The subjects' recipients of what is listed, in order: a list of lists."""
        out = self.queue_command("list", "--json", *words).stdout
        return [[r["address"].split("@")[0] for r in json.loads(line)["recipients"]] for line in out.splitlines()]

    def put(self, sender, *recipients, size=10):
        self.server.sendmail("-f", sender, *recipients, input=b"Subject: x\n\n" + b"x" * size + b"\n")

    def fill(self):
        self.put(self.baru, "a@" + DEAD)
        self.put(self.lama, "b@" + DEADER, size=5000)
        self.put("<>", "c@" + DEAD, "d@" + DEADER, size=100)
        wait_for(lambda: len(self.names("--state", "deferred")) == 3 and len(self.names("--reason", "refused")) == 3,
                 "three deferred messages")

    def test_conditions_choose_messages(self):
        self.fill()
        for words, names in (
                (["--sender", self.baru], ["a"]), (["--sender", "@SATU.test"], ["a", "b"]), (["--sender", "<>"], ["cd"]),
                (["--sender", "b*"], ["a"]), (["--recipient", "d@" + DEADER], ["cd"]), (["--recipient", "@" + DEAD], ["a", "cd"]),
                (["--site", DEADER], ["b", "cd"]), (["--site", "127.0.0.98"], ["a", "cd"]), (["--size", "1K"], ["b"]),
                (["--size", "..1K"], ["a", "cd"]), (["--age", "1h"], []), (["--age", "..1h"], ["a", "b", "cd"]),
                (["--state", "hold,active"], []), (["--reason", "REFUSED"], ["a", "b", "cd"]), (["--reason", "greylist"], []),
                (["--sender", self.lama, "--site", DEADER], ["b"]), (["--sender", self.baru, "--site", DEADER], [])):
            self.assertEqual(sorted("".join(n) for n in self.names(*words)), names, words)

    def test_lists_have_an_order_and_a_limit(self):
        self.fill()
        for words, names in (
                (["--sort", "age"], ["a", "b", "cd"]), (["--sort", "age", "--reverse"], ["cd", "b", "a"]),
                (["--sort", "size"], ["b", "cd", "a"]), (["--sort", "sender"], ["cd", "a", "b"]),
                (["--sort", "recipient"], ["a", "b", "cd"]), (["--sort", "site", "--limit", "2"], ["a", "cd"]),
                (["--sort", "size", "--limit", "1"], ["b"])):
            self.assertEqual(["".join(n) for n in self.names(*words)], names, words)
        self.assertEqual(len(self.names("--limit", "2")), 2)

    def test_what_is_not_understood_is_refused(self):
        for words in (["list", "--age", "old"], ["list", "--size", "big"], ["list", "--state", "gone"], ["list", "--sort", "x"],
                      ["list", "--sender", ""], ["list", "--limit", "0"], ["list", "--nonsense"], ["delete"], ["hold", "--dry-run"],
                      ["delete", "ABC", "--sender", "x"], ["bounce", "all"], ["list", "ID"], []):
            done = self.queue_command(*words, check=False)
            self.assertEqual((done.returncode, done.stdout), (64, ""), words)
            self.assertTrue(done.stderr)

    def test_commands_by_condition(self):
        self.fill()
        out = self.queue_command("hold", "--dry-run", "--site", DEADER).stdout
        self.assertIn("2 messages", out)
        self.assertEqual(self.names("--state", "hold"), [])
        self.assertEqual(self.queue_command("hold", "--site", DEADER).stdout, "2 messages put on hold\n")
        self.assertEqual(sorted("".join(n) for n in self.names("--state", "hold")), ["b", "cd"])
        self.assertEqual(self.queue_command("release", "--sender", "lama").stdout, "1 message released\n")
        wait_for(lambda: len(self.names("--state", "deferred")) == 2, "the released one")
        self.assertEqual(self.queue_command("release", "all").stdout, "1 message released\n")
        wait_for(lambda: len(self.names("--state", "deferred")) == 3, "both")
        before = self.server.log().count("status=deferred")
        self.assertEqual(self.queue_command("retry", "--sender", self.baru).stdout, "1 message to be tried\n")
        wait_for(lambda: self.server.log().count("status=deferred") > before, "the try")
        out = self.queue_command("delete", "--json", "--sender", "<>").stdout
        self.assertEqual([json.loads(line)["result"] for line in out.splitlines()], ["done"])
        self.assertEqual(self.queue_command("delete", "all").stdout, "2 messages deleted\n")
        self.assertEqual(self.queue_command("list").stdout, "Mail queue is empty\n")

    def test_a_message_is_returned_with_the_postmasters_reason(self):
        self.put(self.baru, "a@" + DEAD, "b@" + DEAD)
        self.put(self.baru, "c@" + DEADER)
        self.put(self.baru, "d@" + DEADER)
        wait_for(lambda: len(self.names("--state", "deferred")) == 3, "the messages")
        tries = self.server.log().count("status=deferred")
        self.queue_command("hold", "--recipient", "c")
        self.assertEqual(self.queue_command("bounce", "--reason", "that host is gone for good", "--site", DEAD).stdout,
                         "1 message returned to their senders\n")
        self.assertEqual(self.queue_command("bounce", "--reason", "nor this one", "--recipient", "c", "--answer", "refused").stdout,
                         "1 message returned to their senders\n")
        found = self.server.wait_letters(self.baru, 2)
        text = b"".join(found).decode()
        self.assertEqual(len(re.findall(r"Diagnostic-Code: [^\r]*that host is gone for good", text)), 2)
        self.assertIn("Final-Recipient: rfc822; c@" + DEADER, text)
        self.assertIn("nor this one", text)
        wait_for(lambda: self.names() == [["d"]], "the notifications to have left")
        self.assertEqual(self.server.log().count("status=deferred"), tries)
        self.assertIn("status=force-expired, returned to sender", self.server.log())

    def test_why_tells_what_a_message_waits_for(self):
        self.put(self.baru, "a@" + DEAD, "b@" + DEADER)
        wait_for(lambda: len(self.names("--state", "deferred")) == 1, "the deferral")
        queue_id = self.server.queue()[0]["queue_id"]
        text = self.queue_command("why", queue_id).stdout
        self.assertRegex(text, r"(?m)^%s is tried again at \S+ \S+ \(in (5\d|6\d)m\), after 1 try$" % queue_id)
        for user, host in (("a", "127.0.0.98"), ("b", "127.0.0.99")):
            self.assertRegex(text, r"(?m)^  <%s@\[%s\]>: connect to %s\[%s\]:25: Connection refused \(" % (user, host, host, host))
            self.assertRegex(text, r"(?m)^  site \[%s\]: has trouble; 0 of at most \d+ deliveries run, 0 wait; last trouble: "
                                   r"connect to %s.*refused$" % (host, host))
        told = json.loads(self.queue_command("why", "--json", queue_id).stdout)
        self.assertEqual([(s["site"], s["failing"]) for s in told["sites"]], [("[127.0.0.98]", True), ("[127.0.0.99]", True)])
        self.assertEqual((told["queue_name"], told["deferrals"]), ("deferred", 1))
        self.queue_command("hold", queue_id)
        self.assertIn("is on hold until `merpati queue release`", self.queue_command("why", queue_id).stdout)
        self.assertEqual(self.queue_command("why", "0" * 16, check=False).returncode, 65)
        self.server.stop()
        done = self.queue_command("why", queue_id)
        self.assertIn("queued is not running", done.stderr)
        self.assertIn("is on hold", done.stdout)

    def test_why_names_the_limit_when_there_is_no_room(self):
        self.server.stop()
        with open(self.server.conf) as f:
            text = f.read()
        with open(self.server.conf, "w") as f:
            f.write("active_limit = 10\n" + text)
        self.server.start()
        pids = [pid for pid, words in self.server.processes().items() if "remote" in words]
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            for i in range(14):
                self.put(self.baru, "u%d@%s" % (i, DEAD))
            wait_for(lambda: len(self.server.queue()) == 14, "all of them")

            def waiting():
                ids = [m["queue_id"] for m in self.server.queue() if m["queue_name"] != "active"]
                return ids and self.queue_command("why", *ids).stdout
            text = wait_for(waiting, "some that have no room")
            self.assertIn("`active_limit`", text)
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def test_stats_sites_and_top(self):
        self.fill()
        stats = json.loads(self.queue_command("stats", "--json").stdout)
        self.assertEqual({k: (v["messages"], v["recipients"]) for k, v in stats["states"].items()}, {
            "incoming": (0, 0), "active": (0, 0), "deferred": (3, 4), "hold": (0, 0), "corrupt": (0, 0)})
        self.assertEqual([(d["domain"], d["recipients"], d["younger_than"]["5m"]) for d in stats["domains"]],
                         [(DEAD, 2, 2), (DEADER, 2, 2)])
        text = self.queue_command("stats", "--sender", self.baru).stdout
        self.assertRegex(text, r"(?m)^deferred +1 +1 +\d+ +\d+s$")
        self.assertRegex(text, r"(?m)^ +1 +1( +0){7}  \[127\.0\.0\.98\]$")
        self.assertNotIn(DEADER, text)
        sites = [json.loads(line) for line in self.queue_command("sites", "--json").stdout.splitlines()]
        self.assertEqual(sorted((s["site"], s["queued"]) for s in sites), [(DEAD, 2), (DEADER, 2)])
        self.assertTrue(all(abs(s["last_error"] - time.time()) < 600 and "last_success" not in s for s in sites), sites)
        self.assertEqual(len(self.queue_command("sites", "--limit", "1").stdout.splitlines()), 2)
        text = self.queue_command("top", "--interval", "1", "--count", "2").stdout
        self.assertEqual(len(re.findall(r"(?m)at work on 0 messages \(0 of them again\), 0 recipients; 0 deliveries", text)), 2)
        self.assertEqual(text.count(DEADER), 2 * 2)

    def test_sites_remember_how_it_went_and_which_policy_held(self):
        with SmtpServer(address="127.0.0.97") as there:
            self.put(self.baru, "a@" + DEAD)
            wait_for(lambda: self.names("--reason", "refused") == [["a"]], "the deferral")
            self.queue_command("reroute", "--to", "[127.0.0.97]:%d" % there.port, "all")
            wait_for(lambda: self.names() == [], "its end")
            self.put(self.baru, "b@" + DEAD)
            wait_for(lambda: self.names("--reason", "refused") == [["b"]], "the deferral")
            sites = {s["site"]: s for s in map(json.loads, self.queue_command("sites", "--json").stdout.splitlines())}
            good, bad = sites["[127.0.0.97]"], sites[DEAD]
            self.assertEqual((good["failing"], bad["failing"], "last_error" in good, "last_success" in bad), (False, True, False, False))
            self.assertLess(abs(good["last_success"] - time.time()), 600)
            self.assertRegex(good["policy"], r"^may( TLSv1\.\d)?$")
            text = self.queue_command("sites").stdout
            self.assertRegex(text, r"(?m)^ +0 +0 +\d+ +0  works +\d+s +-  may.* \[127\.0\.0\.97\]$")
            self.assertRegex(text, r"(?m)^ +1 +0 +\d+ +0  has trouble +- +\d+s .* \[127\.0\.0\.98\]  connect to .* refused$")
            self.server.restart()  # which need not know of any site yet
            self.assertRegex(self.queue_command("sites").stdout, r"(?m)^ +1 +0 +\d+ +0  \S.* \[127\.0\.0\.98\]")

    def test_the_content_is_shown_when_it_is_asked_for(self):
        body = "Subject: lihat\n\n.titik\n\x1b[2Jsurat\x07\r dan ü\n"
        self.server.sendmail("-i", "-f", self.baru, "a@" + DEAD, input=body.encode())
        wait_for(lambda: self.names("--reason", "refused") == [["a"]], "the deferral")
        queue_id = self.server.queue()[0]["queue_id"]
        without = self.queue_command("show", queue_id).stdout
        self.assertNotIn("lihat", without)
        done = subprocess.run(self.server.command("queue", "show", "--body", queue_id), check=True, stdout=subprocess.PIPE,
                              env=dict(os.environ, MERPATI_CONF=self.server.conf))
        envelope, head, content = done.stdout.decode().split("\n\n", 2)
        self.assertEqual(envelope + "\n", without)
        self.assertRegex(head, r"(?s)^Received: .*\nSubject: lihat")
        told = json.loads(self.queue_command("show", "--json", "--body", queue_id).stdout)
        self.assertEqual(told["content"].replace("\r\n", "\n"), head + "\n\n" + content)
        self.assertEqual(told["content"].split("\r\n\r\n", 1)[1], content.replace("\n", "\r\n"))
        self.assertIn(".titik\n\x1b[2Jsurat", content)
        ours, theirs = pty.openpty()
        subprocess.run(self.server.command("queue", "show", "--body", queue_id), stdout=theirs, check=True,
                       env=dict(os.environ, MERPATI_CONF=self.server.conf, NO_COLOR="1"))
        os.close(theirs)
        shown = os.read(ours, 65536).decode()
        os.close(ours)
        self.assertNotIn("\x1b", shown)
        self.assertIn("[2Jsurat", shown)
        self.queue_command("hold", queue_id)
        path = os.path.join(self.server.directory, "spool", "hold", queue_id)
        with open(path, "rb") as f:
            text = f.read()
        with open(path, "wb") as f:
            f.write(text.replace(b"recipient 1", b"recipient 2", 1))
        done = self.queue_command("show", "--body", queue_id, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("damaged", done.stderr)

    def test_top_draws_over_what_is_there(self):
        ours, theirs = pty.openpty()
        env = dict(os.environ, MERPATI_CONF=self.server.conf, TERM="xterm")
        subprocess.run([self.server.program("merpati"), "queue", "top", "--interval", "1", "--count", "2"], env=env, stdin=theirs,
                       stdout=theirs, check=True, timeout=60)
        os.close(theirs)
        shown = os.read(ours, 65536).decode()
        os.close(ours)
        self.assertTrue(shown.startswith("\033[?1049h\033[?25l\033[H") and shown.endswith("\033[?25h\033[?1049l"), shown)
        self.assertNotIn("\033[2J", shown)
        self.assertEqual(shown.count("\033[H"), 2)
        for line in shown.split("\033[H")[1].split("\033[J")[0].split("\r\n"):
            self.assertTrue(line.endswith("\033[K"), line)

    def test_a_message_takes_another_route(self):
        with SmtpServer(address="127.0.0.97") as relay:
            self.server.stop()
            with open(self.server.conf, "a") as f:
                f.write("\n[route cadangan.test]\nrelay = 127.0.0.97:%d\ntls = none\n" % relay.port)
            self.server.start()
            self.put(self.baru, "a@" + DEAD)
            self.put(self.baru, "b@" + DEAD)
            wait_for(lambda: len(self.names("--state", "deferred")) == 2, "the deferral")
            done = self.queue_command("reroute", "--to", "tiada.test", "all", check=False)
            self.assertEqual(done.returncode, 64)
            self.assertIn("[route NAME]", done.stderr)
            self.assertEqual(self.queue_command("reroute", "--to", "cadangan.test", "--recipient", "a").stdout,
                             "1 message to be tried that way\n")
            wait_for(lambda: [m.recipients for m in relay.messages] == [["a@" + DEAD]], "the message at the relay")
            wait_for(lambda: self.names() == [["b"]], "its end")
            # the file remembers it when the route does not help at once
            relay.replies["RCPT"] = "450 4.2.0 not yet"
            self.queue_command("reroute", "--to", "cadangan.test", "--recipient", "b")
            wait_for(lambda: self.names("--reason", "not yet") == [["b"]], "the deferral by the relay")
            self.server.restart()
            del relay.replies["RCPT"]
            self.queue_command("retry", "all")
            wait_for(lambda: len(relay.messages) == 2, "the other")
            self.assertEqual(relay.messages[1].recipients, ["b@" + DEAD])

    def test_a_message_goes_to_a_host_and_a_crash_does_not_make_it_forget(self):
        with SmtpServer(address="127.0.0.97") as relay:
            self.put(self.baru, "a@" + DEAD)
            self.put(self.baru, "b@" + DEAD)
            wait_for(lambda: len(self.names("--state", "deferred")) == 2, "the deferral")
            for nonsense in ("127.0.0.97:25", "[127.0.0.97", "[127.0.0.97]:0", "[a b]", "[]"):
                self.assertEqual(self.queue_command("reroute", "--to", nonsense, "all", check=False).returncode, 64, nonsense)
            there = "[127.0.0.97]:%d" % relay.port
            self.queue_command("hold", "--recipient", "b")
            # Nothing leaves before the crash, and nothing of what was begun is left after it.
            pids = [pid for pid, words in self.server.processes().items() if "remote" in words]
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            self.assertEqual(self.queue_command("reroute", "--to", there, "all").stdout, "2 messages to be tried that way\n")
            pids += [pid for pid, words in self.server.processes().items() if "queued" in words]
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: len(relay.messages) == 2, "both messages")
            self.assertEqual(sorted(m.recipients[0] for m in relay.messages), ["a@" + DEAD, "b@" + DEAD])
            wait_for(lambda: self.names() == [], "their end")
            # What could not go at once still knows, and shows, where it is to go.
            relay.replies["RCPT"] = "450 4.2.0 not yet"
            self.put(self.baru, "c@" + DEAD)
            wait_for(lambda: self.names("--reason", "refused") == [["c"]], "the deferral")
            self.queue_command("reroute", "--to", there, "all")
            wait_for(lambda: self.names("--reason", "not yet") == [["c"]], "the deferral there")
            queue_id = self.server.queue()[0]["queue_id"]
            self.assertEqual(json.loads(self.queue_command("show", "--json", queue_id).stdout)["reroute"], there)
            self.assertRegex(self.queue_command("show", queue_id).stdout, r"(?m)^goes by +%s$" % re.escape(there))

    def test_many_at_once(self):
        self.server.sendmail("-f", "<>", "-t", input=b"Bcc: x@" + DEAD.encode() + b"\n\n")
        wait_for(lambda: len(self.names("--state", "deferred")) == 1, "the message")
        directory = os.path.join(self.server.directory, "spool", "hold")
        queue_id = self.server.queue()[0]["queue_id"]
        self.queue_command("hold", queue_id)
        with open(os.path.join(directory, queue_id), "rb") as f:
            content = f.read()
        owner = os.stat(os.path.join(directory, queue_id))
        letters = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
        for i in range(3000):
            name = os.path.join(directory, queue_id[:13] + letters[i // 52 // 52 % 52] + letters[i // 52 % 52] + letters[i % 52])
            if not os.path.exists(name):
                with open(name, "wb") as f:
                    f.write(content)
                os.chown(name, owner.st_uid, owner.st_gid)
        count = len(self.names())
        self.assertGreaterEqual(count, 3000)
        self.assertEqual(self.queue_command("delete", "--state", "hold", "--limit", "1000").stdout, "1000 messages deleted\n")
        self.assertEqual(self.queue_command("bounce", "--reason", "enough", "--state", "hold").stdout,
                         "%d messages returned to their senders\n" % (count - 1000))
        wait_for(lambda: not os.listdir(directory), "an empty hold/")

    def test_a_terminal_gets_colours_and_others_do_not(self):
        self.fill()
        self.assertNotIn("\033", self.queue_command("list").stdout)
        ours, theirs = pty.openpty()
        env = dict(os.environ, MERPATI_CONF=self.server.conf, TERM="xterm")
        env.pop("NO_COLOR", None)
        subprocess.run([self.server.program("merpati"), "queue", "list"], env=env, stdout=theirs, check=True)
        os.close(theirs)
        shown = os.read(ours, 65536).decode()
        os.close(ours)
        self.assertIn("\033[33mdeferred\033[0m", shown)
        plain = re.sub(r"\033\[\d*m", "", shown).replace("\r\n", "\n")
        self.assertEqual(plain, self.queue_command("list").stdout)


if __name__ == "__main__":
    unittest.main()
