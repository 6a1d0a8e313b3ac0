"""queued alone: the real program between a remote worker, an authd and an smtpd that the test plays itself, so that
every answer and every accident can be had on purpose."""

import array
import contextlib
import email
import email.policy
import fcntl
import glob
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from suite import BIN, refuse_sanitizer_reports, wait_for

HELLO, RESOLVE, SITE, START, RESULT, DONE = 1, 2, 3, 4, 5, 6
DELIVERED, DEFERRED, FAILED = 0, 1, 2
GOOD, TROUBLE, DEAD, UNKNOWN = 0, 1, 2, 3
NOBODY = 65534

LETTERS = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
CRC_TABLE = []
for _b in range(256):
    for _ in range(8):
        _b = (_b >> 1) ^ (0x82f63b78 if _b & 1 else 0)
    CRC_TABLE.append(_b)


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = (crc >> 8) ^ CRC_TABLE[(crc ^ byte) & 0xff]
    return crc ^ 0xffffffff


def base(n, width, of=52):
    text = ""
    for _ in range(width):
        text = LETTERS[n % of] + text
        n //= of
    return text


def read(path):
    with open(path, "rb") as f:
        return f.read()


def new_id():
    now = time.time_ns() // 1000
    return (base(now // 1000000, 6) + base(now % 1000000, 4) + "z" +
            base(int.from_bytes(os.urandom(4), "big"), 5, 51))


def record(key, value, state=b""):
    line = state + key.encode() + b" %d:" % len(value) + value + b","
    return line + b" %08x\n" % crc32c(line)


def queue_file(sender, recipients, content=b"Subject: Halo\r\n\r\nHalo!\r\n", time_ms=None, extra=(), closing=(),
               of_recipient=(), version=3):
    """A file as smtpd writes it; of_recipient: (key, value) pairs behind each recipient's record."""
    time_ms = time_ms if time_ms is not None else time.time_ns() // 1000000
    envelope = record("time", b"%013d" % time_ms) + record("sender", sender.encode())
    for key, value in extra:
        envelope += record(key, value)
    envelope += b"".join(record("recipient", r.encode(), b"w ") + b"".join(record(*pair) for pair in of_recipient)
                         for r in recipients)
    offset = 80 + len(envelope)
    head = b"merpati-queue %02d %010d %016d %016d %08d " % (version, offset, offset + len(content), len(content), len(recipients))
    head += b"%08x\n" % crc32c(head)
    return head + envelope + content + b"".join(record(*pair) for pair in closing) + record("end", b"%016d %08x" % (len(content), crc32c(content)))


def reader(packet):
    position = [8]

    def number():
        position[0] += 8
        return struct.unpack_from("=Q", packet, position[0] - 8)[0]

    def text():
        n = struct.unpack_from("=I", packet, position[0])[0]
        position[0] += 4 + n
        return packet[position[0] - n:position[0]].decode()
    return number, text, lambda: position[0] < len(packet)


def message(kind, number, *fields):
    packet = struct.pack("=II", kind, number)
    for field in fields:
        if isinstance(field, int):
            packet += struct.pack("=Q", field)
        else:
            packet += struct.pack("=I", len(field.encode())) + field.encode()
    return packet


class Worker(threading.Thread):
    """A remote worker; `answer(address)` says what becomes of a recipient: (status, code, reply)."""

    def __init__(self, path, answer, capacity=20, health=GOOD, site=None):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(path)
        self.answer = answer
        self.health = health
        self.site = site or (lambda domain: (DELIVERED, "mx." + domain, 60, "", ""))
        self.jobs = []
        self.content = {}
        self.wishes = []  # of each job, what its sender asked for
        self.routes, self.securities, self.messages = {}, {}, {}
        self.security = {}  # of a domain, what it demands of connections
        self.tls, self.policy = "", "may"
        self.passes_dsn = False
        self.resolved = []
        self.delay = 0
        self.closing = threading.Event()
        self.socket.send(message(HELLO, 0, "remote", capacity))
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                packet, ancillary, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(4))
                if not packet:
                    return
                fd = -1
                for _, _, data in ancillary:
                    fd = array.array("i", data[:4])[0]
                kind, number = struct.unpack_from("=II", packet)
                if kind == RESOLVE:
                    self.resolve(number, packet)
                else:
                    self.job(number, packet, fd)

    def resolve(self, number, packet):
        n, s, _ = reader(packet)
        n()
        domain = s()
        self.resolved.append(domain)
        status, key, ttl, code, reason = self.site(domain)
        self.socket.send(message(SITE, number, status, key, self.security.get(domain, ""), ttl, code, reason))

    def job(self, number, packet, fd):
        n, s, more = reader(packet)
        _, next_hop, route, _, security, messages, queue_id, sender = n(), s(), s(), s(), s(), n(), s(), s()
        self.messages[queue_id] = messages
        self.routes[queue_id], self.securities[queue_id, next_hop] = route, security
        wishes = {"flags": n(), "size": n(), "priority": n() - 9, "by_left_ms": n()}
        wishes["by_left_ms"] -= (wishes["by_left_ms"] >> 63) << 64
        wishes.update(ret=s(), envid=s())
        pieces = [(n(), n()) for _ in range(n())]
        recipients = []
        while more():
            recipients.append((n(), s()))
            wishes.setdefault("orcpt", []).append(s())
            wishes.setdefault("notify", []).append(s())
        self.wishes.append(wishes)
        self.content[queue_id] = b"".join(os.pread(fd, length, offset) for offset, length in pieces)
        os.close(fd)
        self.jobs.append((queue_id, sender, next_hop, [address for _, address in recipients]))
        self.end(number, next_hop, recipients)

    def end(self, number, next_hop, recipients):
        self.closing.wait(self.delay)
        health = self.health
        for index, address in recipients:
            status, code, reply = self.answer(address)[:3]
            self.socket.send(message(RESULT, number, index, status, code, reply, 
                                     "lmtp" if next_hop == "lmtp" else "%s[127.0.0.9]:25" % next_hop, self.tls,
                                     "" if next_hop == "lmtp" else self.policy, int(self.passes_dsn), 10, 20))
        self.socket.send(message(DONE, number, health, 0))

    def close(self):
        self.closing.set()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.join()
        self.socket.close()


class Authd(threading.Thread):
    """The socketmap side of authd."""

    def __init__(self, path, aliases):
        super().__init__(daemon=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self.aliases = aliases
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        os.chmod(path, 0o666)
        self.listener.listen(10)
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        stream = connection.makefile("rwb")
        while True:
            length = b""
            while not length.endswith(b":"):
                c = stream.read(1)
                if not c:
                    return
                length += c
            name, _, key = stream.read(int(length[:-1])).decode().partition(" ")
            stream.read(1)
            value = self.aliases.get(key)
            reply = b"NOTFOUND "
            if value is not None:
                reply = b"OK " + (value if name == "alias" else "alias").encode()
            stream.write(b"%d:%s," % (len(reply), reply))
            stream.flush()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Queue:
    def __init__(self, settings="", aliases=None, authd=True, memory_spool=None, environment=None, hostname="satu.test"):
        self.environment = environment or {}
        self.directory = tempfile.mkdtemp(prefix="q", dir="/tmp")
        for name in ("run", "spool", "cache"):
            os.mkdir(os.path.join(self.directory, name))
        self.memory_spool = memory_spool
        if memory_spool:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%s,mode=0755" % memory_spool, "none", self.spool()],
                           check=True)
        for name in ("incoming", "active", "deferred", "hold", "corrupt"):
            os.mkdir(os.path.join(self.directory, "spool", name))
        self.conf = os.path.join(self.directory, "merpati.conf")
        with open(self.conf, "w") as f:
            f.write("hostname = " + hostname + "\nspool_directory = spool\nrun_directory = run\ncache_directory = cache\n"
                    "log = stderr\n" + settings + "\n[domain satu.test]\naccounts = virtual\n")
        self.root = os.getuid() == 0
        self.sockets = {}
        for name, kind in (("queue", socket.SOCK_SEQPACKET), ("poke", socket.SOCK_DGRAM)):
            s = socket.socket(socket.AF_UNIX, kind)
            s.bind(os.path.join(self.directory, "run", name))
            if kind == socket.SOCK_SEQPACKET:
                s.listen(50)
            self.sockets[name] = s
        if self.root:
            subprocess.run(["chown", "-R", str(NOBODY), self.directory], check=True)
            os.chmod(self.directory, 0o755)
        self.poker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.authd = Authd(self.run("map"), aliases or {}) if authd else None
        self.workers = []
        self.process = None
        self.start()

    def run(self, name):
        return os.path.join(self.directory, "run", name)

    def spool(self, *names):
        return os.path.join(self.directory, "spool", *names)

    def start(self):
        fds = [s.fileno() for s in self.sockets.values()]

        def pass_sockets():
            high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 200) for fd in fds]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i, inheritable=True)
            os.environ["LISTEN_FDS"] = str(len(fds))
            os.environ["LISTEN_FDNAMES"] = ":".join(self.sockets)
            os.environ["LISTEN_PID"] = str(os.getpid())
            os.environ.update(self.environment)

        self.log_file = open(os.path.join(self.directory, "log"), "ab")
        who = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if self.root else {}
        self.process = subprocess.Popen([os.path.join(BIN, "queued"), "-c", self.conf], stdin=subprocess.DEVNULL,
                                        stdout=self.log_file, stderr=self.log_file, preexec_fn=pass_sockets,
                                        close_fds=False, **who)

    def stop(self, kill=False):
        if self.process is None:
            return
        if kill:
            self.process.send_signal(signal.SIGSTOP)  # or it makes new ones
            subprocess.run(["pkill", "-KILL", "-P", str(self.process.pid)], check=False)
            self.process.kill()
        else:
            self.process.terminate()
        self.process.wait(20)
        self.process = None
        self.log_file.close()

    def close(self):
        self.stop()
        for worker in self.workers:
            with contextlib.suppress(OSError):
                worker.close()
        if self.authd:
            self.authd.close()
        for s in list(self.sockets.values()) + [self.poker]:
            s.close()
        if self.memory_spool:
            subprocess.run(["umount", self.spool()], check=False)
        log = self.log()
        shutil.rmtree(self.directory)
        refuse_sanitizer_reports(log)

    def log(self):
        with open(os.path.join(self.directory, "log"), errors="replace") as f:
            return f.read()

    def wait_log(self, pattern, seconds=20.0):
        return self.wait(lambda: re.search(pattern, self.log()), "%r in the log" % pattern, seconds)

    def wait(self, condition, what, seconds=20.0):
        try:
            return wait_for(condition, what, seconds)
        except AssertionError as e:
            raise AssertionError("%s\n%s" % (e, self.log()[-4000:])) from None

    def worker(self, answer=None, **words):
        def good(address):
            return DELIVERED, "2.0.0", "250 2.0.0 taken"
        worker = Worker(self.run("queue"), answer or good, **words)
        self.workers.append(worker)
        return worker

    def put(self, *arguments, poke=True, name=None, **words):
        """A message as smtpd would hand it in; returns its ID."""
        name = name or new_id()
        path = self.spool("incoming", name)
        with open(path + ".new", "wb") as f:
            f.write(queue_file(*arguments, **words))
        if self.root:
            os.chown(path + ".new", NOBODY, NOBODY)
        os.rename(path + ".new", path)
        if poke:
            self.poker.sendto(name.encode() + b"\n", self.run("poke"))
        return name

    def where(self, name):
        found = glob.glob(self.spool("*", name)) + glob.glob(self.spool("deferred", "*", name))
        return [os.path.relpath(os.path.dirname(p), self.spool()).split("/")[0] for p in found]

    def wait_gone(self, name, seconds=20.0):
        self.wait(lambda: not self.where(name), "%s to be removed" % name, seconds)

    def wait_where(self, name, place, seconds=20.0):
        self.wait(lambda: self.where(name) == [place], "%s to be in %s" % (name, place), seconds)

    def command(self, *words, check=True):
        who = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if self.root else {}
        done = subprocess.run([os.path.join(BIN, "merpati-queue")] + list(words), text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=dict(os.environ, MERPATI_CONF=self.conf), timeout=60, **who)
        if check and done.returncode != 0:
            raise AssertionError("merpati-queue %s: %d\n%s%s" % (words, done.returncode, done.stdout, done.stderr))
        return done.stdout


class QueueCase(unittest.TestCase):
    def queue(self, *arguments, **words):
        queue = Queue(*arguments, **words)
        self.addCleanup(queue.close)
        return queue


class Queued(QueueCase):
    def test_a_letter_goes_to_its_site_and_is_removed(self):
        q = self.queue()
        worker = q.worker()
        name = q.put("baru@satu.test", ["lama@dua.test", "tua@dua.test"], extra=[("client", b"x.test [192.0.2.1]")])
        q.wait_gone(name)
        self.assertEqual(worker.jobs, [(name, "baru@satu.test", "dua.test", ["lama@dua.test", "tua@dua.test"])])
        self.assertEqual(worker.content[name], b"Subject: Halo\r\n\r\nHalo!\r\n")
        self.assertEqual(worker.resolved, ["dua.test"])
        log = q.log()
        self.assertRegex(log, name + r": from=<baru@satu.test>, size=24, nrcpt=2 \(queue active\)")
        self.assertRegex(log, name + r": to=<lama@dua.test>, relay=dua.test\[127.0.0.9\]:25, delay=[0-9.]+, "
                         r"delays=[0-9.]+/[0-9.]+/0.01/0.02, dsn=2.0.0, status=sent \(250 2.0.0 taken\)")
        self.assertRegex(log, name + r": removed")

    def test_local_mail_goes_by_lmtp_and_aliases_are_expanded_without_end(self):
        q = self.queue(aliases={"semua@satu.test": "baru@satu.test,lama@dua.test,lagi@satu.test",
                                "lagi@satu.test": "semua@satu.test,lagi@satu.test,baru@satu.test",
                                "owner-semua@satu.test": "baru@satu.test"})
        worker = q.worker()
        name = q.put("x@tiga.test", ["semua@satu.test"])
        q.wait_gone(name)
        told = sorted((sender, hop, sorted(to)) for _, sender, hop, to in worker.jobs)
        # lagi names itself: that is the mailbox lagi. semua, which lagi names too, is an ancestor: the mailbox as well.
        self.assertEqual(told, [
            ("owner-semua@satu.test", "dua.test", ["lama@dua.test"]),
            ("owner-semua@satu.test", "lmtp", ["baru@satu.test", "lagi@satu.test", "semua@satu.test"])])
        self.assertRegex(q.log(), r"to=<baru@satu.test>, orig_to=<semua@satu.test>, relay=")

    def test_a_refused_recipient_is_told_to_the_sender(self):
        q = self.queue()
        worker = q.worker(lambda a: (FAILED, "5.1.1", "550 5.1.1 <%s>: not here\x07" % a) if a.startswith("tak")
                          else (DELIVERED, "2.0.0", "250 ok"))
        name = q.put("baru@satu.test", ["tak@dua.test", "ada@dua.test"])
        q.wait_gone(name)
        found = q.wait_log(name + ": sender non-delivery notification: (\\S+)")
        q.wait_gone(found.group(1))
        self.assertEqual(worker.jobs[-1][1:], ("", "lmtp", ["baru@satu.test"]))
        notice = email.message_from_bytes(worker.content[found.group(1)], policy=email.policy.default)
        self.assertEqual(notice.get_content_type(), "multipart/report")
        self.assertEqual(notice.get_param("report-type"), "delivery-status")
        self.assertFalse(notice.defects)
        text, status, original = notice.iter_parts()
        self.assertIn("<tak@dua.test>", text.get_content())
        self.assertIn("550 5.1.1 <tak@dua.test>: not here?", text.get_content())
        self.assertNotIn("ada@dua.test", text.get_content())
        fields = status.get_payload()
        self.assertEqual(fields[0]["Reporting-MTA"], "dns; satu.test")
        self.assertEqual(len(fields), 2)
        self.assertEqual(fields[1]["Final-Recipient"], "rfc822; tak@dua.test")
        self.assertEqual(fields[1]["Action"], "failed")
        self.assertEqual(fields[1]["Status"], "5.1.1")
        self.assertEqual(fields[1]["Remote-MTA"], "dns; dua.test")
        self.assertIn("550 5.1.1 <tak@dua.test>: not here?", fields[1]["Diagnostic-Code"])
        self.assertEqual(original.get_content()["Subject"], "Halo")

    def test_an_undeliverable_notification_goes_to_the_postmaster_and_that_one_nowhere(self):
        q = self.queue("postmaster = pm@satu.test\n")
        worker = q.worker(lambda a: (FAILED, "5.1.1", "550 no"))
        name = q.put("baru@tiga.test", ["tak@dua.test"])
        q.wait_gone(name)
        first = q.wait_log(name + ": sender non-delivery notification: (\\S+)").group(1)
        second = q.wait_log(first + ": postmaster non-delivery notification: (\\S+)").group(1)
        q.wait_log(second + ": undeliverable mail to the postmaster is given up")
        q.wait_gone(second)
        self.assertEqual([job[3] for job in worker.jobs], [["tak@dua.test"], ["baru@tiga.test"], ["pm@satu.test"]])
        self.assertIn(b"Your message could not be delivered", worker.content[second])

    def test_what_is_deferred_is_tried_again_and_expires(self):
        q = self.queue("retry = 1s\nexpire = 5s\n")
        worker = q.worker(lambda a: (DEFERRED, "4.2.0", "450 4.2.0 later") if "tua" in a else (DELIVERED, "2.0.0", "250 ok"))
        begin = time.monotonic()
        name = q.put("baru@satu.test", ["tua@dua.test", "muda@dua.test"])
        q.wait_log(name + ": to=<tua@dua.test>.*status=deferred")
        q.wait_where(name, "deferred")
        shown = json.loads(q.command("show", "--json", name))
        self.assertEqual([r["state"] for r in shown["recipients"]], ["waiting", "delivered"])
        found = q.wait_log(name + ": sender non-delivery notification: (\\S+)")
        self.assertTrue(4 < time.monotonic() - begin < 20)
        q.wait_gone(name)
        self.assertRegex(q.log(), name + ": from=<baru@satu.test>, status=expired, returned to sender")
        jobs = [job[3] for job in worker.jobs if job[0] == name]
        self.assertEqual(jobs[0], ["tua@dua.test", "muda@dua.test"])
        self.assertGreaterEqual(len(jobs), 3)
        for again in jobs[1:]:
            self.assertEqual(again, ["tua@dua.test"])
        wait_for(lambda: found.group(1) in worker.content, "the notification")
        notice = email.message_from_bytes(worker.content[found.group(1)], policy=email.policy.default)
        fields = list(notice.iter_parts())[1].get_payload()
        self.assertEqual(fields[1]["Status"], "4.4.7")
        self.assertEqual(fields[1]["Diagnostic-Code"], "smtp; 450 4.2.0 later")

    def test_a_delay_is_told_once(self):
        q = self.queue("retry = 1s\nexpire = 1h\ndelay_warning = 1s\n")
        worker = q.worker(lambda a: (DEFERRED, "4.2.0", "450 later") if "tua" in a else (DELIVERED, "2.0.0", "250 ok"))
        name = q.put("baru@satu.test", ["tua@dua.test"])
        found = q.wait_log(name + ": sender delay notification: (\\S+)")
        wait_for(lambda: found.group(1) in worker.content, "the notification")
        notice = email.message_from_bytes(worker.content[found.group(1)], policy=email.policy.default)
        fields = list(notice.iter_parts())[1].get_payload()
        self.assertEqual(fields[1]["Action"], "delayed")
        tries = len([j for j in worker.jobs if j[0] == name])
        wait_for(lambda: len([j for j in worker.jobs if j[0] == name]) > tries + 2, "further tries")
        self.assertEqual(len(re.findall("sender delay notification", q.log())), 1)

    def test_a_domain_that_does_not_exist_bounces_and_one_that_cannot_be_asked_waits(self):
        q = self.queue("retry = 1h\n")
        q.worker(site=lambda d: (FAILED, "", 60, "5.1.2", "Domain not found") if d == "tiada.test"
                 else (DEFERRED, "", 1, "4.4.3", "DNS timed out"))
        bad = q.put("", ["x@tiada.test"])
        wait = q.put("baru@satu.test", ["x@nanti.test"])
        q.wait_log(bad + r": to=<x@tiada.test>, relay=none, .*dsn=5.1.2, status=bounced \(Domain not found\)")
        q.wait_log(wait + r": to=<x@nanti.test>, relay=none, .*dsn=4.4.3, status=deferred \(DNS timed out\)")
        q.wait_where(wait, "deferred")

    def test_without_worker_or_authd_mail_waits_and_goes_when_they_are_back(self):
        q = self.queue("retry = 1s\n", authd=False)
        local = q.put("x@tiga.test", ["baru@satu.test"])
        far = q.put("x@satu.test", ["lama@dua.test"])
        q.wait_log(local + ": to=<baru@satu.test>.*status=deferred .*aliases")
        self.assertEqual(q.where(far), ["active"])
        q.authd = Authd(q.run("map"), {})
        q.worker()
        q.wait_gone(far)
        q.wait_gone(local)

    def test_a_dead_site_is_left_in_peace_and_probed(self):
        q = self.queue("retry = 2s\n")
        worker = q.worker(lambda a: (DEFERRED, "4.4.1", "connect to mx: Connection refused"), health=DEAD)
        names = [q.put("baru@satu.test", ["u%d@dua.test" % i]) for i in range(20)]
        for name in names:
            q.wait_log(name + ": to=<u.*status=deferred")
        # A windowful of failures; all others wait without a try.
        self.assertLessEqual(len(worker.jobs), 7)
        self.assertIn("delivery temporarily suspended: connect to mx: Connection refused", q.log())
        worker.answer = lambda a: (DELIVERED, "2.0.0", "250 ok")
        worker.health = GOOD
        for name in names:
            q.wait_gone(name)

    def test_what_a_dying_worker_had_is_tried_again(self):
        q = self.queue()
        worker = q.worker()
        worker.delay = 1000
        name = q.put("baru@satu.test", ["lama@dua.test"])
        wait_for(lambda: worker.jobs, "the job")
        worker.close()
        q.worker()
        q.wait_gone(name)
        self.assertIn("status=sent", q.log())

    def test_after_a_crash_nobody_gets_twice_what_was_recorded(self):
        q = self.queue("retry = 1h\n")
        worker = q.worker(lambda a: (DELIVERED, "2.0.0", "250 ok"))
        hold = threading.Event()

        def slow(address):
            if address.startswith("lambat"):
                hold.wait(30)
            return DELIVERED, "2.0.0", "250 ok"
        worker.answer = slow
        name = q.put("baru@satu.test", ["cepat@dua.test", "lambat@tiga.test"],
                     content=b"Subject: x\r\n\r\n" + b"y" * 100000 + b"\r\n")
        q.wait_log("to=<cepat@dua.test>.*status=sent")
        path = q.spool("active", name)
        wait_for(lambda: b"\nd recipient 14:cepat@dua.test," in read(path), "the record")
        q.stop(kill=True)
        hold.set()
        q.start()
        again = q.worker()
        q.wait_gone(name)
        self.assertEqual([job[3] for job in again.jobs], [["lambat@tiga.test"]])

    def test_the_postmaster_holds_releases_retries_and_deletes(self):
        q = self.queue("retry = 1h\n")
        worker = q.worker(lambda a: (DEFERRED, "4.2.0", "450 4.2.0 later\x1b[2J"))
        name = q.put("baru@satu.test", ["lama@dua.test"])
        q.wait_where(name, "deferred")
        listed = json.loads(q.command("list", "--json"))
        self.assertEqual((listed["queue_name"], listed["queue_id"], listed["sender"]),
                         ("deferred", name, "baru@satu.test"))
        self.assertEqual(listed["recipients"], [{"address": "lama@dua.test", "delay_reason": "450 4.2.0 later\x1b[2J"}])
        self.assertNotIn("\x1b", q.command("list"))
        self.assertRegex(q.command("list", "--format", "mailq"), r"(?m)^----Queue ID-----.*\n%s +\d+ \w{3} \w{3} [ \d]\d "
                         r"\d\d:\d\d:\d\d baru@satu.test$" % name)
        self.assertEqual(list(json.loads(q.command("list", "--format", "postfix"))), [
            "queue_name", "queue_id", "arrival_time", "message_size", "forced_expire", "sender", "recipients"])
        q.command("hold", name)
        self.assertEqual(q.where(name), ["hold"])
        self.assertIn("hold", q.command("list"))
        tries = len(worker.jobs)
        q.command("release", name)
        q.wait(lambda: len(worker.jobs) > tries, "the try after release")
        q.wait_where(name, "deferred")
        q.command("retry", name)
        q.wait(lambda: len(worker.jobs) > tries + 1, "the try by hand")
        q.wait_where(name, "deferred")
        q.command("retry", "all")
        q.wait(lambda: len(worker.jobs) > tries + 2, "the try of all")
        q.wait_where(name, "deferred")
        shown = q.command("show", name)
        self.assertEqual(len(re.findall("(?m)^attempt ", shown)), tries + 3)
        done = json.loads(q.command("delete", "--json", name))
        self.assertEqual(done, {"queue_id": name, "result": "done"})
        self.assertEqual(q.where(name), [])
        self.assertEqual(q.command("list"), "Mail queue is empty\n")
        for verb in ("retry", "hold", "release", "delete"):
            self.assertEqual(json.loads(q.command(verb, "--json", name, check=False))["result"], "no_message")

    def test_what_is_being_delivered_is_held_or_deleted_afterwards(self):
        q = self.queue("retry = 1h\n")
        worker = q.worker(lambda a: (DEFERRED, "4.2.0", "450 later"))
        worker.delay = 1
        held, deleted = q.put("baru@satu.test", ["lama@dua.test"]), q.put("baru@satu.test", ["tua@dua.test"])
        q.wait(lambda: len(worker.jobs) == 1, "the job")
        q.command("hold", held)
        q.command("delete", deleted)
        q.wait_where(held, "hold")
        q.wait_gone(deleted)

    def test_what_waits_for_its_turn_is_held_or_deleted_at_once(self):
        q = self.queue()  # without a worker nothing begins
        held, deleted = q.put("baru@satu.test", ["lama@dua.test"]), q.put("baru@satu.test", ["tua@satu.test"])
        worker = q.worker(capacity=1)
        worker.delay = 1000
        q.wait(lambda: worker.jobs, "the job")
        waiting = q.put("baru@satu.test", ["muda@satu.test"])
        q.wait_log(waiting + ": from=")
        for name in (held, deleted, waiting):
            q.command("delete" if name == deleted else "hold", name)
        running = worker.jobs[0][0]
        for name in {held, deleted, waiting} - {running}:
            if name == deleted:
                q.wait_gone(name)
            else:
                q.wait_where(name, "hold")
        self.assertEqual(q.where(running), ["active"])

    def test_a_stranger_gives_no_commands(self):
        q = self.queue()
        os.chmod(q.run("queue"), 0o777)
        if q.root:
            done = subprocess.run([os.path.join(BIN, "merpati-queue"), "retry", "all"], user=12345, group=12345,
                                  extra_groups=[], env=dict(os.environ, MERPATI_CONF=q.conf), stderr=subprocess.PIPE)
            self.assertNotEqual(done.returncode, 0)
            q.wait_log("a connection of uid 12345 to the queue socket was refused")

    def test_debris_is_swept_and_foreign_files_left_alone(self):
        q = self.queue()
        q.stop()
        old, young, mine = new_id(), new_id(), new_id()
        begun = queue_file("baru@satu.test", ["lama@dua.test"])[:80]
        begun = b"merpati-queue 01 " + b"0" * 10 + b" " + b"0" * 16 + b" " + b"0" * 16 + b" " + b"0" * 8 + b" "
        begun += b"%08x\n" % crc32c(begun)
        for place, name in (("incoming", old), ("incoming", young), ("active", mine), ("incoming", "README")):
            with open(q.spool(place, name), "wb") as f:
                f.write(begun)
            if q.root:
                os.chown(q.spool(place, name), NOBODY, NOBODY)
        os.utime(q.spool("incoming", old), (1, 1))
        os.mkdir(q.spool("deferred", "lain"))
        q.start()
        q.wait_gone(old)
        q.wait_gone(mine)
        self.assertEqual(q.where(young), ["incoming"])
        self.assertTrue(os.path.exists(q.spool("incoming", "README")))
        q.wait_log("deferred/lain is no time: left alone")

    def test_a_spool_in_the_future_is_tried_now(self):
        q = self.queue("retry = 10s\n")
        q.stop()
        name = q.put("baru@satu.test", ["lama@dua.test"], poke=False)
        directory = q.spool("deferred", time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + 86400)))
        os.mkdir(directory)
        if q.root:
            os.chown(directory, NOBODY, NOBODY)
        os.rename(q.spool("incoming", name), os.path.join(directory, name))
        q.start()
        q.worker()
        q.wait_gone(name)
        self.assertFalse(os.path.exists(directory))

    def test_what_cannot_be_taken_when_it_is_due_is_taken_later(self):
        q = self.queue("retry = 2s\n")
        worker = q.worker(lambda a: (DEFERRED, "4.2.0", "450 4.2.0 later"))
        name = q.put("baru@satu.test", ["lama@dua.test"])
        q.wait_where(name, "deferred")
        os.mkdir(q.spool("active", name))  # as a full disk would, this makes the rename fail
        q.wait_log("cannot move deferred/.*/%s to active" % name)
        os.rmdir(q.spool("active", name))
        worker.answer = lambda a: (DELIVERED, "2.0.0", "250 ok")
        q.wait_gone(name, 30)

    @unittest.skipUnless(os.getuid() == 0, "mounting a small file system needs root")
    def test_on_a_full_disk_nothing_is_lost_or_done_twice(self):
        q = self.queue("retry = 1s\n", memory_spool="256k")
        later = threading.Event()

        def answer(address):
            if address.startswith("lambat"):
                later.wait(30)
                return (DELIVERED, "2.0.0", "250 ok") if self.room else (DEFERRED, "4.2.0", "450 later " + "x" * 500)
            return DELIVERED, "2.0.0", "250 ok"
        self.room = False
        worker = q.worker(answer)
        name = new_id()
        path = q.spool("active", name)
        # The file ends at the end of a page, so that whatever is appended needs another one.
        pad = -len(queue_file("baru@satu.test", ["cepat@dua.test", "lambat@tiga.test"])) % 4096
        q.put("baru@satu.test", ["cepat@dua.test", "lambat@tiga.test"], name=name,
              content=b"Subject: Halo\r\n\r\nHalo!\r\n" + b"y" * (pad - 2) + b"\r\n")
        q.wait(lambda: os.path.exists(path), "the message")
        fill = os.open(q.spool("fill"), os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError):
            while True:
                os.write(fill, b"z" * 4096)
        os.close(fill)
        q.wait_log("error: %s: cannot append to %s: No space left on device" % (name, name))
        later.set()
        q.wait_log(name + ": to=<lambat@tiga.test>.*status=deferred")
        time.sleep(1)
        self.assertEqual(q.where(name), ["active"])
        os.unlink(q.spool("fill"))
        self.room = True
        q.wait_gone(name, 30)
        told = [job[3] for job in worker.jobs]
        self.assertEqual(sorted(told[:2]), [["cepat@dua.test"], ["lambat@tiga.test"]])
        self.assertEqual(told[2:], [["lambat@tiga.test"]])

    def test_a_lost_notice_costs_only_time(self):
        q = self.queue()
        q.worker()
        name = q.put("baru@satu.test", ["lama@dua.test"], poke=False)
        time.sleep(1)
        self.assertEqual(q.where(name), ["incoming"])
        q.wait_gone(name, 15)

    def test_damage_costs_one_message(self):
        q = self.queue()
        q.worker()
        bad = new_id()
        with open(q.spool("incoming", bad), "wb") as f:
            f.write(queue_file("baru@satu.test", ["lama@dua.test"]).replace(b"Halo!", b"Hali!"))
        if q.root:
            os.chown(q.spool("incoming", bad), NOBODY, NOBODY)
        q.poker.sendto(bad.encode() + b"\n", q.run("poke"))
        q.wait_where(bad, "corrupt")
        q.wait_log(bad + r": damaged \(the content is damaged\): moved to corrupt")
        good = q.put("baru@satu.test", ["lama@dua.test"])
        q.wait_gone(good)

    def test_a_large_message_is_checked_as_well(self):
        q = self.queue()
        worker = q.worker()
        content = b"Subject: besar\r\n\r\n" + b"0123456789abcdef" * (5 * 65536) + b"\r\n"
        name = q.put("baru@satu.test", ["lama@dua.test"], content=content)
        q.wait_gone(name)
        self.assertEqual(worker.content[name], content)

    def test_sigterm_lets_deliveries_end(self):
        q = self.queue()
        worker = q.worker()
        worker.delay = 0.5
        name = q.put("baru@satu.test", ["lama@dua.test"])
        wait_for(lambda: worker.jobs, "the job")
        q.stop()
        self.assertEqual(q.where(name), [])
        self.assertIn("status=sent", q.log())

    def test_mail_put_in_while_queued_is_down_goes_when_it_is_back(self):
        q = self.queue()
        q.stop()
        name = q.put("baru@satu.test", ["lama@dua.test"])
        q.start()
        q.worker()
        q.wait_gone(name)


if __name__ == "__main__":
    unittest.main()
