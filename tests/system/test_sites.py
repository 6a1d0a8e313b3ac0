"""What queued knows of sites: the sections [site NAME], what a dead one is spared also after a restart, and that neither a
dead nor a slow one is in the way of the others. Played as in test_queue.py."""

import json
import os
import threading
import time
import unittest

from test_queue import DEAD, DEFERRED, DELIVERED, QueueCase, Worker


class Holding(Worker):
    """Keeps what it gets of the held domains until it is told to go on."""

    def __init__(self, *arguments, **words):
        self.held, self.hold, self.lock = [], set(), threading.Lock()
        super().__init__(*arguments, **words)

    def end(self, number, next_hop, recipients):
        with self.lock:
            if next_hop in self.hold:
                self.held.append((number, next_hop, recipients))
                return
        super().end(number, next_hop, recipients)

    def release(self):
        with self.lock:
            self.hold = set()
            held, self.held = self.held, []
        for job in held:
            super().end(*job)


class SiteCase(QueueCase):
    def holding(self, q, *domains, answer=None, **words):
        worker = Holding(q.run("queue"), answer or (lambda a: (DELIVERED, "2.0.0", "250 2.0.0 taken")), **words)
        worker.hold = set(domains)
        q.workers.append(worker)
        return worker

    def sites(self, q):
        return {site["site"]: site for site in map(json.loads, q.command("sites", "--json").splitlines())}


def to_domain(jobs, domain):
    return [job for job in jobs if job[2] == domain]


class Sections(SiteCase):
    def test_connections_and_messages_are_those_of_the_section(self):
        q = self.queue("[site besar]\nexchangers = .besar.test\nconnections = 1\nmessages_per_connection = 3\n"
                       "[site lain]\ndomains = lain.test\nconnections = 2\n")
        worker = self.holding(q, "satu.besar.test", "lain.test", "biasa.test")
        for i in range(4):
            for domain in ("satu.besar.test", "lain.test", "biasa.test"):
                q.put("baru%d@satu.test" % i, ["x@" + domain])
        q.wait(lambda: len(worker.jobs) == 5, "what may run")
        q.wait(lambda: sum(s["waiting"] for s in self.sites(q).values()) == 7, "the rest to wait")
        sites = self.sites(q)
        self.assertEqual((sites["mx.satu.besar.test"]["running"], sites["mx.satu.besar.test"]["window"]), (1, 1))
        self.assertEqual(sites["mx.satu.besar.test"]["waits_for"], "its window of 1")
        self.assertEqual(worker.messages[to_domain(worker.jobs, "satu.besar.test")[0][0]], 3)
        self.assertEqual(worker.messages[to_domain(worker.jobs, "lain.test")[0][0]], 0)
        worker.release()
        q.wait(lambda: len(worker.jobs) == 12, "all")
        q.wait(lambda: not q.command("list", "--json"), "an empty queue")

    def test_a_rate_holds_back_and_why_says_so(self):
        q = self.queue("[site pelan]\ndomains = pelan.test\nrate = 1/1h\n[site lekas]\ndomains = lekas.test\nrate = 1000/1s\n")
        worker = q.worker()
        first = q.put("baru@satu.test", ["x@pelan.test"])
        q.wait_gone(first)
        second = q.put("baru@satu.test", ["x@pelan.test"])
        q.wait(lambda: self.sites(q)["mx.pelan.test"]["waiting"] == 1, "the second to wait")
        self.assertRegex(self.sites(q)["mx.pelan.test"]["waits_for"], r"^its rate of 1 in 3600 s, in \d")
        self.assertRegex(q.command("why", second), r"waits for its turn(?s:.*)the next for its rate of 1 in 3600 s")
        for _ in range(20):
            q.put("baru@satu.test", ["x@lekas.test"])
        q.wait(lambda: len(to_domain(worker.jobs, "lekas.test")) == 20, "those that may go faster")
        self.assertEqual(len(to_domain(worker.jobs, "pelan.test")), 1)

    def test_a_list_of_retries_of_its_own(self):
        q = self.queue("retry = 1h\n[site abu]\nexchangers = mx.abu.test\nretry = 1s\n")
        answers = {"x@abu.test": (DEFERRED, "4.2.0", "450 greylisted"), "x@biasa.test": (DEFERRED, "4.2.0", "450 later")}
        worker = q.worker(lambda a: answers.get(a, (DELIVERED, "2.0.0", "250 ok")))
        name, other = q.put("baru@satu.test", ["x@abu.test"]), q.put("baru@satu.test", ["x@biasa.test"])
        q.wait(lambda: len(to_domain(worker.jobs, "abu.test")) >= 2, "another try")
        answers.clear()
        q.wait_gone(name)
        q.wait_where(other, "deferred")
        self.assertEqual(len(to_domain(worker.jobs, "biasa.test")), 1)


class Slow(SiteCase):
    def test_a_slow_site_does_not_fill_the_memory(self):
        q = self.queue("retry = 2s\nactive_limit = 40\n")
        worker = self.holding(q, "lambat.test", capacity=100)
        names = [q.put("baru%d@satu.test" % i, ["x@lambat.test"]) for i in range(60)]
        q.wait(lambda: any(q.where(name) == ["deferred"] for name in names), "what finds no room")
        q.wait(lambda: self.sites(q)["mx.lambat.test"]["waiting"] >= 15, "what waits for its turn")
        for i in range(5):
            q.wait_gone(q.put("lain%d@satu.test" % i, ["x@biasa.test"]))
        self.assertLessEqual(len(to_domain(worker.jobs, "lambat.test")), 2)
        # It was neither tried nor refused, and comes as soon as the site goes on.
        self.assertNotIn("status=deferred", q.log())
        worker.release()
        q.wait(lambda: not q.command("list", "--json"), "all to be delivered", 40)
        self.assertEqual(sorted(job[0] for job in to_domain(worker.jobs, "lambat.test")), sorted(names))


class Memory(SiteCase):
    """A dead site's mail waits untried, also when queued was killed meanwhile."""

    SETTINGS = "retry = 1h\nsite_dead = 10m\nsite_dead_after = 2\n"

    def bury(self, q, domain="mati.test"):
        worker = q.worker(lambda a: (DEFERRED, "4.4.1", "no route to host"), health=DEAD)
        for i in range(3):
            q.wait_where(q.put("a%d@satu.test" % i, ["x@" + domain]), "deferred")
        self.assertEqual(len(worker.jobs), 2)
        q.wait_log("deferred .delivery temporarily suspended: no route to host")
        path = q.spool("sites")
        q.wait(lambda: os.path.exists(path), "the file of dead sites")
        return path

    def untried(self, q):
        worker = q.worker()
        name = q.put("baru@satu.test", ["x@mati.test"])
        q.wait_log(name + ": to=<x@mati.test>.*delivery temporarily suspended: no route to host")
        self.assertEqual(worker.jobs, [])
        site = self.sites(q)["mx.mati.test"]
        self.assertGreater(site["dead_until"], time.time() + 60)
        self.assertLess(site["dead_until"], time.time() + 601)
        return worker

    def test_a_killed_queued_still_knows_who_is_dead(self):
        q = self.queue(self.SETTINGS)
        self.bury(q)
        q.stop(kill=True)
        q.start()
        q.wait_log("1 sites are remembered as dead")
        worker = self.untried(q)
        # By command it is probed; that it lives is remembered as well.
        q.command("retry", "all")
        q.wait(lambda: not q.command("list", "--json"), "all to be delivered")
        self.assertEqual(len(worker.jobs), 4)
        q.wait(lambda: b"mati" not in self.memory(q), "the site to be forgotten")

    def memory(self, q):
        with open(q.spool("sites"), "rb") as f:
            return f.read()

    def test_one_dead_site_is_woken_and_no_other(self):
        q = self.queue(self.SETTINGS)
        q.worker(lambda a: (DEFERRED, "4.4.1", "no route to host"), health=DEAD)
        names = {domain: [q.put("a%d@satu.test" % i, ["x@" + domain]) for i in range(4)]
                 for domain in ("mati.test", "mampus.test")}
        for name in sum(names.values(), []):
            q.wait_where(name, "deferred")
        q.workers.pop().close()
        worker = q.worker()
        q.command("retry", "--site", "mati.test")
        for name in names["mati.test"]:
            q.wait_gone(name)
        self.assertEqual({job[2] for job in worker.jobs}, {"mati.test"})
        sites = self.sites(q)
        self.assertNotIn("dead_until", sites["mx.mati.test"])
        self.assertGreater(sites["mx.mampus.test"]["dead_until"], time.time())

    def test_a_damaged_file_is_ignored(self):
        q = self.queue(self.SETTINGS)
        path = self.bury(q)
        q.stop()
        with open(path, "r+b") as f:
            f.seek(30)
            f.write(b"\0")
        q.start()
        q.wait_log("sites: damaged")
        worker = q.worker()
        q.wait_gone(q.put("baru@satu.test", ["x@mati.test"]))
        self.assertEqual(len(worker.jobs), 1)
        q.stop()
        os.unlink(path)
        os.symlink("/etc/passwd", path)
        q.start()
        q.wait_log("cannot open sites")
        q.worker()
        q.wait_gone(q.put("baru@satu.test", ["x@mati.test"]))


if __name__ == "__main__":
    unittest.main()
