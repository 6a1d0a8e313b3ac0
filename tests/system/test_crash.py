"""Nothing acknowledged is lost: processes are killed, the disk fills up."""

import collections
import contextlib
import glob
import os
import random
import re
import signal
import smtplib
import sys
import threading
import time
import unittest

from smtp_server import SmtpServer
from suite import Case, Dns, Instance, letter, needs_root, shared_port, wait_for

KILLS = int(os.environ.get("KILLS", "200"))
ABSENCES = 8  # of the far server, meanwhile

# Who is killed, and how often, of the sending and of the receiving server. The empty word: whoever is there.
VICTIMS = {"satu.test": {"queued: queue": 5, "remote: worker": 5, "queued: bounce": 3, "authd: ": 3, "deliver: ": 2, "": 3},
           "dua.test": {"deliver: ": 2, "queued: queue": 1, "smtpd: worker": 1, "authd: ": 1, "": 2}}


class Writer(threading.Thread):
    """Sends letters one after the other over fresh and kept connections, and notes what was acknowledged. Each goes to a
    mailbox of dua.test and to three of tiga.test: one takes it, one only when it was tried several times, one refuses it."""

    def __init__(self, server, sender, number):
        super().__init__()
        self.server, self.sender, self.number = server, sender, number
        self.acknowledged = {}  # mark: when it was begun to be sent
        self.refused = collections.Counter()
        self.over = threading.Event()

    def letter(self, client, mark):
        to = ["lama@dua.test"] + ["%s.%s@tiga.test" % (word, mark) for word in ("baik", "nanti", "tolak")]
        begin = time.time()
        client.sendmail(self.sender, to, letter(self.sender, to[0], "surat-%s-" % mark, ["x" * 60] * 20))
        self.acknowledged[mark] = begin

    def run(self):
        i = 0
        while not self.over.is_set():
            try:
                with self.server.smtp(timeout=10) as client:
                    for _ in range(5):
                        i += 1  # whether it is acknowledged or not
                        self.letter(client, "%d-%d" % (self.number, i))
                        self.over.wait(0.1)
            except smtplib.SMTPResponseException as e:
                self.refused[e.smtp_code] += 1
            except smtplib.SMTPRecipientsRefused as e:
                self.refused[list(e.recipients.values())[0][0]] += 1
            except (OSError, smtplib.SMTPException):
                time.sleep(0.01)


class Mailbox:
    """What is in a Maildir: the marks of the letters, and how often each is there."""

    def __init__(self, server, user, pattern):
        self.path = os.path.join(server.directory, "mail", server.domain, user, "Maildir")
        self.pattern, self.seen, self.arrivals = pattern, set(), collections.defaultdict(list)

    def look(self):
        """{mark: times of arrival}"""
        for path in glob.glob(os.path.join(self.path, "new", "*")) + glob.glob(os.path.join(self.path, "cur", "*")):
            if path in self.seen:
                continue
            self.seen.add(path)
            with open(path, "rb") as f:
                text, arrival = f.read(), os.fstat(f.fileno()).st_mtime
            for mark in re.findall(self.pattern, text):
                self.arrivals[mark.decode()].append(arrival)
        return self.arrivals


def finished(server):
    """The recipients of which some queue file of the server has the record that they are done with."""
    done = set()
    for path in glob.glob(os.path.join(server.directory, "spool", "active", "*")) + \
            glob.glob(os.path.join(server.directory, "spool", "deferred", "*", "*")):
        with contextlib.suppress(OSError), open(path, "rb") as f:
            text = f.read()
            recipients = re.findall(rb"(?m)^[wdfe] recipient \d+:(.*), [0-9a-f]{8}$", text)
            for index in re.findall(rb"(?m)^attempt \d+:\d+ (\d+) [df] .*, [0-9a-f]{8}$", text):
                done.add(recipients[int(index)].decode())
    return done


def stopped(pid):
    with open("/proc/%d/stat" % pid) as f:
        return f.read().rpartition(")")[2].split()[0] in "TZ"


class Storm:
    """Kills, and the far server going away; and what was known at each moment."""

    def __init__(self, servers, sink):
        self.servers, self.sink = servers, sink
        self.chance = random.Random(20261124)
        self.killed = collections.Counter()
        self.times = collections.defaultdict(list)  # by server, and of the far one
        self.recorded = []  # (time, recipients that a queue file knew to be done with) at each death of queued

    def victim(self, server):
        words = VICTIMS[server.domain]
        wanted, = self.chance.choices(list(words), words.values())
        found = {pid: line for pid, line in server.processes().items() if wanted in line}
        return (self.chance.choice(sorted(found.items())) if found else None), wanted

    def kill(self, server):
        found, _ = self.victim(server)
        if found is None:
            return
        pid, line = found
        with contextlib.suppress(OSError):
            if "queued: queue" in line and server.domain == "satu.test":
                os.kill(pid, signal.SIGSTOP)
                wait_for(lambda: stopped(pid), "queued to stop")
                self.recorded.append((time.time(), finished(server)))
            os.kill(pid, signal.SIGKILL)
        self.times[server.domain].append(time.time())
        self.killed[re.sub(r"^\S*/", "", line)[:32] or "?"] += 1

    def rage(self):
        absences = sorted(self.chance.sample(range(KILLS), min(ABSENCES, KILLS)))
        while sum(self.killed.values()) < KILLS:
            time.sleep(self.chance.uniform(0.05, 0.25))
            self.kill(self.servers[0 if self.chance.random() < 0.7 else 1])
            if absences and sum(self.killed.values()) > absences[0]:
                absences.pop(0)
                self.times["tiga.test"].append(time.time())
                self.sink.stop()
                self.sink.drop()
                threading.Timer(self.chance.uniform(0.2, 0.6), self.sink.start).start()

    def count(self, begin, end, *names):
        return sum(begin <= t <= end for name in names for t in self.times[name])


class Crash(Case):
    def test_two_hundred_kills_lose_no_acknowledged_letter_and_repeat_no_record(self):
        tried = collections.Counter()

        def answer(argument):
            address = re.search("<(.*?)>", argument).group(1)
            tried[address] += 1
            if address.startswith("tolak"):
                return "550 5.1.1 <%s>: no such user" % address
            return "450 4.2.0 later" if address.startswith("nanti") and tried[address] < 3 else "250 ok"

        port, sockets = shared_port(["127.0.0.2", "127.0.0.3", "127.0.0.4"])
        sockets[2].close()
        with Dns() as dns, SmtpServer("127.0.0.4", port) as sink:
            for i, domain in enumerate(("satu.test", "dua.test", "tiga.test")):
                dns.add(domain, "MX", "10 mx." + domain)
                dns.add("mx." + domain, "A", "127.0.0.%d" % (i + 2))
            sink.replies["RCPT"] = answer
            satu, dua = (Instance(domain, "127.0.0.%d" % (i + 2), dns, (port, sockets[i]), settings={"retry": "1s"}, tls=False)
                         for i, domain in enumerate(("satu.test", "dua.test")))
            with satu, dua:
                baru, _ = satu.add_user("baru"), dua.add_user("lama")
                writers = [Writer(satu, baru, n) for n in range(3)]
                for w in writers:
                    w.start()
                storm = Storm((satu, dua), sink)
                try:
                    storm.rage()
                finally:
                    for w in writers:
                        w.over.set()
                    for w in writers:
                        w.join()
                acknowledged = {mark: begin for w in writers for mark, begin in w.acknowledged.items()}
                self.assertGreater(len(acknowledged), KILLS / 2, storm.killed)
                self.check(acknowledged, storm, sink, Mailbox(dua, "lama", rb"Subject: surat-(\S+)-"),
                           Mailbox(satu, "baru", rb"Final-Recipient: rfc822; tolak.(\S+)@tiga.test"))

    def check(self, acknowledged, storm, sink, letters, notifications):
        def taken():
            found = collections.defaultdict(list)
            for message in list(sink.messages):
                for address in message.recipients:
                    found[address].append(message.begun)
            return found
        wanted = {"%s.%s@tiga.test" % (word, mark) for word in ("baik", "nanti") for mark in acknowledged}

        def missing():
            return sorted(acknowledged.keys() - letters.look().keys()) + sorted(wanted - taken().keys()) + \
                sorted("of " + mark for mark in acknowledged.keys() - notifications.look().keys())
        with contextlib.suppress(AssertionError):
            wait_for(lambda: not missing(), "all that was acknowledged", 120)
        self.assertEqual(missing(), [], "of %d acknowledged; killed: %s" % (len(acknowledged), storm.killed))
        again = [self.check_repetitions(acknowledged, storm, taken())]
        for box, names in ((letters, ("satu.test", "dua.test")), (notifications, ("satu.test",))):
            again.append(sum(len(box.arrivals[mark]) > 1 for mark in acknowledged))
            for mark, begin in acknowledged.items():
                # Once; and once more for each kill that fell into its life, between a delivery and its record.
                times = box.arrivals[mark]
                self.assertLessEqual(len(times) - 1, storm.count(begin, max(times) + 1, *names), mark)
        sys.stderr.write("%d acknowledged, none lost; more than once: %d of %d copies far away, %d in mailboxes, "
                         "%d notifications; %d kills: " % (len(acknowledged), again[0], len(wanted), again[1], again[2],
                                                           sum(storm.killed.values())))

    def check_repetitions(self, acknowledged, storm, taken):
        """A copy comes again only if its worker or its queue died, or its connection; never once a queue file had its record."""
        again = 0
        for address, times in taken.items():
            mark = address.partition(".")[2].partition("@")[0]
            for before, after in zip(sorted(times), sorted(times)[1:]):
                again += 1
                if mark in acknowledged:
                    self.assertTrue(storm.count(before, after, "satu.test", "tiga.test"), address)
            for moment, recorded in storm.recorded:
                if address in recorded:
                    self.assertLessEqual(max(times), moment, "%s was delivered again after its record" % address)
        self.assertGreater(len(storm.recorded), KILLS / 20)
        self.assertTrue(any(recorded for _, recorded in storm.recorded), "no record was there to be disregarded")
        return again

    def test_a_killed_daemon_is_back_within_a_second(self):
        with Instance("satu.test", "127.0.0.2") as server:
            baru = server.add_user("baru")
            for name in ("smtpd", "queued", "remote", "deliver", "authd", "popd", "imapd"):
                pids = [p for p, words in server.processes().items() if name in words]
                self.assertTrue(pids, "%s is not running" % name)
                os.kill(min(pids), signal.SIGKILL)
                time.sleep(1)
                with server.smtp(timeout=5) as client:
                    client.sendmail(baru, [baru], letter(baru, baru, "surat-" + name))
                wait_for(lambda: any(("surat-" + name).encode() in m for m in server.letters(baru)),
                         "mail after %s was killed" % name, 20)


class DiskFull(Case):
    @needs_root("mounting a small file system")
    def test_a_full_spool_says_452_and_nothing_is_lost(self):
        with Dns() as dns, Instance("satu.test", "127.0.0.2", dns, memory_spool="2m",
                                    settings={"retry": "1h", "relay_port": 1}) as server:
            dns.add("antah.test", "A", "127.0.0.9")
            baru = server.add_user("baru")
            # Nobody listens at 127.0.0.9: the mail stays in the queue and fills it.
            acknowledged, codes = [], collections.Counter()
            for i in range(60):
                try:
                    with server.smtp() as client:
                        mark = "surat-penuh-%d-" % i
                        client.sendmail(baru, ["x@antah.test"], letter(baru, "x@antah.test", mark, ["y" * 70] * 1500))
                        acknowledged.append(mark)
                except smtplib.SMTPResponseException as e:
                    codes[e.smtp_code] += 1
                except smtplib.SMTPRecipientsRefused as e:
                    codes.update(code for code, _ in e.recipients.values())
                except smtplib.SMTPSenderRefused as e:
                    codes[e.smtp_code] += 1
            self.assertEqual(set(codes), {452}, codes)
            self.assertGreater(len(acknowledged), 3)
            held = wait_for(lambda: server.queue(), "a queue")
            self.assertEqual(len(held), len(acknowledged))
            self.assertNotIn("corrupt", {m["queue_name"] for m in held})
            # room again: new mail is taken and delivered
            for m in held:
                server.merpati("queue", "delete", m["queue_id"])
            with server.smtp() as client:
                client.sendmail(baru, [baru], letter(baru, baru, "lega"))
            server.wait_letters(baru)


if __name__ == "__main__":
    unittest.main()
