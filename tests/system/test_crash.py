"""Nothing acknowledged is lost: processes are killed, the disk fills up."""

import collections
import contextlib
import os
import random
import re
import signal
import smtplib
import sys
import threading
import time
import unittest

from suite import Case, Dns, Instance, letter, needs_root, two_instances, wait_for

KILLS = int(os.environ.get("KILLS", "100"))


class Writer(threading.Thread):
    """Sends letters one after the other over fresh and kept connections, and notes what was acknowledged."""

    def __init__(self, server, sender, recipient, number):
        super().__init__()
        self.server, self.sender, self.recipient, self.number = server, sender, recipient, number
        self.acknowledged = {}  # mark: when it was begun to be sent
        self.refused = collections.Counter()
        self.over = threading.Event()

    def run(self):
        i = 0
        while not self.over.is_set():
            try:
                with self.server.smtp(timeout=10) as client:
                    for _ in range(5):
                        mark = "surat-%d-%d-" % (self.number, i)
                        i += 1
                        begin = time.time()
                        client.sendmail(self.sender, [self.recipient],
                                        letter(self.sender, self.recipient, mark, ["x" * 60] * 20))
                        self.acknowledged[mark] = begin
            except smtplib.SMTPResponseException as e:
                self.refused[e.smtp_code] += 1
            except smtplib.SMTPRecipientsRefused as e:
                self.refused[list(e.recipients.values())[0][0]] += 1
            except (OSError, smtplib.SMTPException):
                time.sleep(0.01)


def arrivals(path):
    """{mark: times of arrival} of the letters in a Maildir; each is there whole."""
    found = collections.defaultdict(list)
    for folder in ("new", "cur"):
        for name in os.listdir(os.path.join(path, folder)):
            with open(os.path.join(path, folder, name), "rb") as f:
                text = f.read()
                arrival = os.fstat(f.fileno()).st_mtime
            mark = re.search(rb"Subject: (surat-\S+)", text)
            assert text.endswith(b"x" * 60 + b"\n") and mark, name
            found[mark.group(1).decode()].append(arrival)
    return found


class Crash(Case):
    def test_a_hundred_kills_lose_no_acknowledged_letter(self):
        with Dns() as dns:
            fast = {"retry": "1s"}
            satu, dua = two_instances(dns, settings=fast, tls=False)
            with satu, dua:
                baru, lama = satu.add_user("baru"), dua.add_user("lama")
                writers = [Writer(satu, baru, lama, n) for n in range(3)]
                for w in writers:
                    w.start()
                chance = random.Random(20261124)
                killed, kills = collections.Counter(), []
                try:
                    for _ in range(KILLS):
                        time.sleep(chance.uniform(0.1, 0.5))
                        victims = chance.choice((satu, dua)).processes()
                        pid = chance.choice(sorted(victims))
                        killed[re.sub(r"^\S*/", "", victims[pid])[:32] or "?"] += 1
                        kills.append(time.time())
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                finally:
                    for w in writers:
                        w.over.set()
                    for w in writers:
                        w.join()
                acknowledged = {mark: begin for w in writers for mark, begin in w.acknowledged.items()}
                self.assertGreater(len(acknowledged), KILLS, killed)
                path = os.path.join(dua.directory, "mail", "dua.test", "lama", "Maildir")
                with contextlib.suppress(AssertionError):
                    wait_for(lambda: os.path.isdir(path) and acknowledged.keys() <= arrivals(path).keys(),
                             "every acknowledged letter", 90)
                found = arrivals(path)
                missing = sorted(acknowledged.keys() - found.keys())
                self.assertEqual(missing, [], "of %d acknowledged; killed: %s" % (len(acknowledged), killed))
                # Once; and once more for each kill that fell into its life, between a delivery and its record.
                for mark, begin in acknowledged.items():
                    life = [k for k in kills if begin <= k <= max(found[mark]) + 1]
                    self.assertLessEqual(len(found[mark]) - 1, len(life), mark)
                twice = sum(len(times) > 1 for times in found.values())
                sys.stderr.write("%d acknowledged, none lost, %d more than once, after %d kills: " % (
                    len(acknowledged), twice, KILLS))

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
