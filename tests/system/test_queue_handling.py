"""queued, where the sender, a filter or a client has a say in when a message is tried: FUTURERELEASE, DELIVERBY, MT-PRIORITY,
hold, ETRN and `merpati queue retry --site`. Played as in test_queue.py."""

import email
import email.policy
import json
import re
import time
import unittest

from suite import wait_for
from test_queue import DEFERRED, DELIVERED, QueueCase


def now_ms(after_s=0.0):
    return int((time.time() + after_s) * 1000)


def number(n):
    return b"%d" % n


class HandlingCase(QueueCase):
    def notice(self, q, worker, name, kind):
        found = q.wait_log(name + ": " + kind + ": (\\S+)").group(1)
        wait_for(lambda: found in worker.content, "the notification")
        parts = list(email.message_from_bytes(worker.content[found], policy=email.policy.default).iter_parts())
        return parts[1].get_payload()

    @staticmethod
    def jobs(worker, name):
        return [job for job in worker.jobs if job[0] == name]


class FutureRelease(HandlingCase):
    def test_it_waits_for_its_time_also_through_a_restart(self):
        q = self.queue("retry = 1s\nexpire = 5s\n")
        worker = q.worker()
        begun = time.monotonic()
        name = q.put("baru@satu.test", ["x@dua.test"], extra=[("release", number(now_ms(4)))])
        q.wait_where(name, "deferred")
        q.command("retry", "all")
        q.stop()
        q.start()
        worker = q.worker()
        q.put("baru@satu.test", ["y@dua.test"])
        q.wait(lambda: len(worker.jobs) == 1, "other mail")
        self.assertEqual(worker.jobs[0][3], ["y@dua.test"])
        q.wait(lambda: self.jobs(worker, name), "its time")
        self.assertTrue(3.5 < time.monotonic() - begun < 20)
        q.wait_gone(name)
        self.assertNotIn("status=expired", q.log())

    def test_it_may_be_further_ahead_than_any_retry_and_expiry_counts_from_then(self):
        q = self.queue("retry = 1s\nexpire = 3s\n")
        far = q.put("baru@satu.test", ["x@dua.test"], extra=[("release", number(now_ms(20 * 86400)))],
                    time_ms=now_ms(-86400))
        near = q.put("baru@satu.test", ["x@tiga.test"], extra=[("release", number(now_ms(2)))], time_ms=now_ms(-86400))
        q.wait_where(far, "deferred")
        q.stop()
        q.start()
        worker = q.worker(lambda a: (DEFERRED, "4.2.0", "450 later"))
        q.wait_log(near + ": to=<x@tiga.test>.*status=deferred")
        q.wait_log(near + ": from=<baru@satu.test>, status=expired")
        self.assertEqual(self.jobs(worker, far), [])
        q.wait_where(far, "deferred")

    def test_what_was_asked_for_is_shown(self):
        q = self.queue("")
        release, by = now_ms(3600), now_ms(7200)
        name = q.put("baru@satu.test", ["x@dua.test"], extra=[("release", number(release)), ("deliver-by", number(by) + b" R"),
                     ("priority", b"-2"), ("requiretls", b""), ("smtputf8", b""), ("body", b"BINARYMIME")])
        q.wait_where(name, "deferred")
        shown = json.loads(q.command("show", "--json", name))
        self.assertEqual((shown["release_time"], shown["deliver_by"], shown["deliver_by_mode"], shown["priority"]),
                         (release // 1000, by // 1000, "R", -2))
        self.assertEqual(shown["needs"], ["REQUIRETLS", "SMTPUTF8", "BINARYMIME"])
        text = q.command("show", name)
        self.assertRegex(text, r"(?m)^priority   -2\nneeds +REQUIRETLS\nneeds +SMTPUTF8\nneeds +BINARYMIME$")
        self.assertRegex(text, r"(?m)^deliver by \S+.*, else return$")

    def test_what_decided_on_tls_is_logged_and_shown(self):
        q = self.queue("retry = 1h\n")
        worker = q.worker(lambda a: (DEFERRED, "4.2.0", "450 later"))
        worker.tls, worker.policy = "TLSv1.3 with TLS_AES_256_GCM_SHA384", "dane"
        name = q.put("baru@satu.test", ["x@dua.test"])
        old = q.put("baru@satu.test", ["x@dua.test"], version=2)
        for one in (name, old):
            q.wait_where(one, "deferred")
        q.wait_log(name + r": to=<x@dua.test>, relay=.*, dsn=4.2.0, status=deferred \(450 later\) "
                   r"tls=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 policy=dane")
        (attempt,) = json.loads(q.command("show", "--json", name))["attempts"]
        self.assertEqual((attempt["policy"], attempt["tls"]), ("dane", worker.tls))
        self.assertIn("(policy dane, TLSv1.3 with TLS_AES_256_GCM_SHA384)", q.command("show", name))
        (attempt,) = json.loads(q.command("show", "--json", old))["attempts"]  # its readers do not know such a record
        self.assertNotIn("policy", attempt)

    def test_domains_that_demand_different_things_share_no_connection(self):
        q = self.queue("")
        worker = q.worker()
        worker.site = lambda domain: (DELIVERED, "mx.penyedia.test", 60, "", "")
        worker.security.update({"aman.test": "dnssec"})
        name = q.put("baru@satu.test", ["a@dua.test", "b@aman.test", "c@tiga.test"])
        q.wait_gone(name)
        self.assertEqual(sorted(job[3] for job in worker.jobs), [["a@dua.test", "c@tiga.test"], ["b@aman.test"]])
        self.assertEqual(worker.securities, {(name, "dua.test"): "", (name, "aman.test"): "dnssec"})

    def test_the_postmaster_may_delete_or_hold_it(self):
        q = self.queue("")
        worker = q.worker()
        name = q.put("baru@satu.test", ["x@dua.test"], extra=[("release", number(now_ms(3600)))])
        q.wait_where(name, "deferred")
        q.command("retry", name)
        q.wait_where(name, "deferred")
        q.command("hold", name)
        q.wait_where(name, "hold")
        q.command("release", name)
        q.wait_where(name, "deferred")
        q.command("delete", name)
        q.wait_gone(name)
        self.assertEqual(worker.jobs, [])


class DeliverBy(HandlingCase):
    def test_what_is_late_is_returned_on_time(self):
        q = self.queue("retry = 1h\n")
        worker = q.worker(lambda a: (DEFERRED, "4.2.0", "450 later") if a == "x@dua.test" else (DELIVERED, "2.0.0", "250 ok"))
        name = q.put("baru@satu.test", ["x@dua.test"], extra=[("deliver-by", number(now_ms(5)) + b" R")])
        q.wait(lambda: self.jobs(worker, name), "the first try")
        begun = time.monotonic()
        self.assertEqual(worker.wishes[0]["flags"], 32)
        self.assertTrue(0 < worker.wishes[0]["by_left_ms"] <= 5000)
        fields = self.notice(q, worker, name, "sender non-delivery notification")
        self.assertLess(time.monotonic() - begun, 20)
        self.assertEqual((fields[1]["Action"], fields[1]["Status"]), ("failed", "5.4.7"))
        self.assertEqual(len(self.jobs(worker, name)), 1)
        q.wait_gone(name)

    def test_it_is_not_begun_when_it_is_late_already(self):
        q = self.queue("retry = 1h\n")
        worker = q.worker()
        name = q.put("baru@satu.test", ["x@dua.test", "baru@satu.test"], extra=[("deliver-by", number(now_ms(-1)) + b" R")])
        fields = self.notice(q, worker, name, "sender non-delivery notification")
        self.assertEqual([f["Status"] for f in fields[1:]], ["5.4.7", "5.4.7"])
        self.assertEqual(self.jobs(worker, name), [])

    def test_who_asked_is_told_on_time_and_it_goes_on(self):
        q = self.queue("retry = 1h\ndelay_warning = 0\n")
        replies = {"x@dua.test": (DEFERRED, "4.2.0", "450 later")}
        worker = q.worker(lambda a: replies.get(a, (DELIVERED, "2.0.0", "250 ok")))
        name = q.put("baru@satu.test", ["x@dua.test"], extra=[("deliver-by", number(now_ms(2)) + b" NT")])
        fields = self.notice(q, worker, name, "sender delay notification")
        self.assertEqual(fields[1]["Action"], "delayed")
        q.wait_where(name, "deferred")
        replies.clear()
        q.command("retry", name)
        q.wait_gone(name)
        self.assertEqual(len(re.findall("sender delay notification", q.log())), 1)
        wishes = [w for job, w in zip(worker.jobs, worker.wishes) if job[0] == name]
        self.assertEqual([w["flags"] for w in wishes], [64 | 128] * len(wishes))
        self.assertLess(wishes[-1]["by_left_ms"], 0)


class Priority(HandlingCase):
    def test_what_is_urgent_overtakes(self):
        q = self.queue("site_concurrency = 1\n")
        worker = q.worker()
        worker.delay = 0.2
        names = [q.put("baru%d@satu.test" % i, ["x@dua.test"]) for i in range(12)]
        urgent = q.put("kilat@satu.test", ["x@dua.test"], extra=[("priority", b"6")])
        patient = q.put("lambat@satu.test", ["x@dua.test"], extra=[("priority", b"-6")])
        last = [q.put("lain%d@satu.test" % i, ["x@dua.test"]) for i in range(4)]
        q.wait(lambda: len(worker.jobs) == 18, "all of them")
        order = [job[0] for job in worker.jobs]
        self.assertLess(order.index(urgent), 8, order)
        self.assertGreater(order.index(patient), max(order.index(n) for n in names + last))
        self.assertEqual([w["priority"] for w in worker.wishes if w["flags"] & 16], [6, -6])

    def test_wishes_reach_the_worker(self):
        q = self.queue("")
        worker = q.worker()
        name = q.put("baru@satu.test", ["x@dua.test"], extra=[("body", b"BINARYMIME"), ("smtputf8", b""), ("ret", b"HDRS"),
                     ("envid", b"a b"), ("requiretls", b"")], of_recipient=[("orcpt", b"rfc822;y@z"), ("notify", b"NEVER")])
        q.wait_gone(name)
        self.assertEqual(worker.wishes[0], {"flags": 1 | 2 | 4 | 8, "size": worker.wishes[0]["size"], "priority": 0,
                                            "by_left_ms": 0, "ret": "HDRS", "envid": "a b", "orcpt": ["rfc822;y@z"],
                                            "notify": ["NEVER"]})


class Hold(HandlingCase):
    def test_what_a_filter_holds_waits_for_the_postmaster_once(self):
        q = self.queue("")
        worker = q.worker()
        name = q.put("baru@satu.test", ["x@dua.test"], closing=[("hold", b"looks odd")])
        q.wait_where(name, "hold")
        q.wait_log(name + ": hold: looks odd")
        q.stop()
        q.start()
        worker = q.worker()
        time.sleep(0.3)
        self.assertEqual(worker.jobs, [])
        q.command("release", name)
        q.wait_gone(name)
        self.assertEqual(len(self.jobs(worker, name)), 1)


class Routes(HandlingCase):
    ROUTES = ("[route *]\nrelay = smtp.penyedia.test:587\n[route .dua.test]\nrelay = [127.0.0.9]\ntls = encrypt\n"
              "[route tiga.test]\ntls = verify\n")

    def test_each_domain_takes_its_way(self):
        q = self.queue(self.ROUTES)
        worker = q.worker(site=lambda next_hop: (DELIVERED, "mx." + next_hop, 60, "", ""))
        name = q.put("baru@satu.test", ["a@satu.test", "a@empat.test", "b@lima.test", "c@x.dua.test", "d@tiga.test"])
        q.wait_gone(name)
        self.assertEqual(sorted((job[2], sorted(job[3])) for job in worker.jobs), [
            ("[127.0.0.9]", ["c@x.dua.test"]), ("[smtp.penyedia.test]:587", ["a@empat.test", "b@lima.test"]),
            ("lmtp", ["a@satu.test"]), ("tiga.test", ["d@tiga.test"])])
        self.assertEqual(sorted(set(worker.resolved)), ["[127.0.0.9]", "[smtp.penyedia.test]:587", "tiga.test"])

    def test_domains_of_one_site_with_different_routes_do_not_share(self):
        q = self.queue("[route tiga.test]\ntls = verify\n")
        worker = q.worker(site=lambda domain: (DELIVERED, "mx.bersama.test", 60, "", ""))
        name = q.put("baru@satu.test", ["a@tiga.test", "b@empat.test"])
        q.wait_gone(name)
        self.assertEqual(sorted(job[3] for job in worker.jobs), [["a@tiga.test"], ["b@empat.test"]])


class Wake(HandlingCase):
    def deferred(self):
        """Four messages that wait for an hour, and a worker that now takes all."""
        q = self.queue("retry = 1h\n")
        replies = {"all": (DEFERRED, "4.2.0", "450 later")}
        worker = q.worker(lambda a: replies.get("all", (DELIVERED, "2.0.0", "250 ok")))
        names = {d: q.put("baru@satu.test", ["x@" + d]) for d in ("dua.test", "sub.dua.test", "xdua.test", "tiga.test")}
        for name in names.values():
            q.wait_where(name, "deferred")
        replies.clear()
        worker.jobs.clear()
        return q, worker, names

    def gone(self, q, worker, names, *domains):
        for domain in domains:
            q.wait_gone(names[domain])
        q.wait_log("wake .*: done")
        self.assertEqual(sorted(job[2] for job in worker.jobs), sorted(domains))

    def test_only_that_domain(self):
        q, worker, names = self.deferred()
        q.command("retry", "--site", "DUA.test")
        self.gone(q, worker, names, "dua.test")

    def test_a_domain_and_all_below_it(self):
        q, worker, names = self.deferred()
        q.command("retry", "--site", "@dua.test")
        self.gone(q, worker, names, "dua.test", "sub.dua.test")

    def test_an_exchanger(self):
        q, worker, names = self.deferred()
        q.command("retry", "--site", "mx.tiga.test")
        self.gone(q, worker, names, "tiga.test")

    def test_smtpd_may_ask_on_the_poke_socket_once_a_minute(self):
        q, worker, names = self.deferred()
        q.poker.sendto(b"wake tiga.test\nwake \nwake a b\nwake " + b"x" * 300 + b"\n", q.run("poke"))
        self.gone(q, worker, names, "tiga.test")
        again = q.put("baru@satu.test", ["x@tiga.test"], extra=[("release", number(now_ms(3600)))])
        q.wait_where(again, "deferred")
        q.poker.sendto(b"wake tiga.test\n", q.run("poke"))
        time.sleep(0.3)
        self.assertEqual(len(re.findall("wake tiga.test: done", q.log())), 1)
        # The postmaster is always heard; but what is not released is not released by that.
        q.command("retry", "--site", "tiga.test")
        q.wait(lambda: len(re.findall("wake tiga.test: done", q.log())) == 2, "the second walk")
        q.wait_where(again, "deferred")


if __name__ == "__main__":
    unittest.main()
