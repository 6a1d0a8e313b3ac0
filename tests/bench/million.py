"""The part `million` of `make bench`: what a queue of a million deferred messages costs, beside what the machine can do.

MERPATI_BENCH_COUNT says another number. The spool is a tmpfs of bounded size where one can be mounted, otherwise an
ordinary directory; 4 GiB are needed for a million. It is removed at the end.
"""

import os
import re
import subprocess
import sys
import threading
import time

import bench
import suite
from bench import row

COUNT = int(os.environ.get("MERPATI_BENCH_COUNT", "1000000"))
DEAD, DELETED = COUNT // 2, COUNT // 10  # the rest goes to SITES others
SITES = 200
IDLE_S = 20
STORM_S = 30
LETTERS = 2000


def fill(server, **words):
    """Calls queue_fill; (seconds, CPU seconds)."""
    spool = os.path.join(server.directory, "spool")
    n, s, cpu, size, directories = bench.run("queue_fill", spool, *["%s=%s" % word for word in words.items()])
    row("filled: %d messages in %d directories" % (n, directories), "%.1f s" % s, "%.1f s CPU, %.0f MB" % (cpu, size / 1e6))


def fill_all(server):
    """Half of them for one site that is dead, a tenth to be deleted, the rest for many; none due within an hour."""
    domains = [("mati.test", DEAD, 1), ("hapus.test", DELETED, 1), ("jauh.test", COUNT - DEAD - DELETED, SITES)]
    first = 0
    for domain, count, sites in domains:
        fill(server, count=count, first=first, domain=domain, sites=sites)
        first += count


def zone(dns):
    """Nobody listens at any of these."""
    for domain in ["mati.test", "hapus.test"] + ["d%d.jauh.test" % i for i in range(SITES)]:
        number = len(dns.server.records)
        dns.add(domain, "MX", "10 mx." + domain)
        dns.add("mx." + domain, "A", "127.9.%d.%d" % (100 + number // 200, 1 + number % 200))


def instance(sink):
    return suite.Instance("satu.test", "127.0.0.2", tls=False, dns=sink.dns, kinds=("mx",),
                          memory_spool="%dk" % (COUNT * 6 + 500000) if os.getuid() == 0 else None,
                          settings={"networks": "127.0.0.0/8", "relay_port": sink.port, "retry": "15m 6h"})


# ---- measures ----

def queued_pids(server):
    return bench.pids_of(server, "^queued")


def queue_pid(server):
    return bench.pids_of(server, "^queued: queue")[0]


def peak_kib(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1))


class Used:
    """What a command took: .wall_s .cpu_s .peak_kib, its .output and .status."""

    def __init__(self, server, *words, stdout=subprocess.PIPE):
        begin = time.monotonic()
        process = subprocess.Popen([server.program("merpati-queue")] + [str(w) for w in words], stdin=subprocess.DEVNULL,
                                   stdout=stdout, env=dict(os.environ, MERPATI_CONF=server.conf))
        self.peak_kib = 0
        watcher = threading.Thread(target=self.watch, args=(process.pid,))
        watcher.start()
        self.output = self.read(process, begin)
        _, status, use = os.wait4(process.pid, 0)
        process.returncode = self.status = os.waitstatus_to_exitcode(status)
        self.wall_s = time.monotonic() - begin
        self.cpu_s = use.ru_utime + use.ru_stime
        watcher.join()

    def watch(self, pid):
        """What it had before it became that program does not count, as it would by ru_maxrss."""
        while True:
            try:
                self.peak_kib = max(self.peak_kib, peak_kib(pid))
            except (OSError, AttributeError):  # it has ended; of what has ended and is not waited for no memory is told
                return
            time.sleep(0.01)

    def read(self, process, begin):
        """Keeps the end of what it writes; a million lines of JSON are 300 MB."""
        self.first_s = None
        kept = b""
        while process.stdout:
            piece = os.read(process.stdout.fileno(), 1 << 20)
            if self.first_s is None:
                self.first_s = time.monotonic() - begin
            if not piece:
                break
            kept = (kept + piece)[-100000:]
        return kept.decode(errors="replace")

    def tell(self, what, note=""):
        row(what, "%.2f s" % self.wall_s, "%.2f s CPU, at most %d KiB%s" % (self.cpu_s, self.peak_kib, note))
        return self


def limit(server):
    """What two bare threads need to read every name and every file."""
    n, s, cpu = bench.run("read_limit", os.path.join(server.directory, "spool", "deferred"), 2)
    row("limit: names, open, read, close of %d files (2 threads)" % n, "%.2f s" % s, "%.2f s CPU" % cpu)


def one_letter(server, sink):
    """Seconds from the connection of a client to the sink's having the letter."""
    had, begin = sink.told()[0], time.monotonic()
    bench.load(server, 1, 1, sink.recipients[0])
    while sink.told()[0] == had:
        if time.monotonic() - begin > 60:
            raise AssertionError("a new letter waited more than a minute")
        time.sleep(0.001)
    return time.monotonic() - begin


def tell_latency(what, times, wanted=""):
    times = sorted(times)
    row(what, "%.0f ms" % (times[len(times) // 2] * 1000), "median of %d; the slowest %.0f ms%s" % (
        len(times), times[-1] * 1000, wanted))


def new_mail(server, sink, label):
    """What new mail to a healthy site costs now."""
    tell_latency("new letter to a healthy site, " + label, [one_letter(server, sink) for _ in range(30)])
    had = sink.told()[0]
    before, begin = bench.by_program(server, bench.cpu_us), time.monotonic()
    bench.load(server, 10, LETTERS, sink.recipients[0])
    sink.wait(had + LETTERS)
    whole = time.monotonic() - begin
    time.sleep(0.3)
    us = bench.difference(bench.by_program(server, bench.cpu_us), before, LETTERS)
    row("%d new letters to a healthy site, %s" % (LETTERS, label), "%.0f/s" % (LETTERS / whole),
        "CPU a message: " + bench.shares(us, "%.0f"))


# ---- the queue ----

def start(server, sink):
    """All of the suite, then queued alone, which its parent starts again."""
    begin = time.monotonic()
    server.start()
    ready = time.monotonic() - begin
    one_letter(server, sink)
    row("start of all until the first new letter was delivered", "%.0f ms" % ((time.monotonic() - begin) * 1000),
        "ready after %.0f ms; wanted: 1000 ms" % (ready * 1000))
    old = queue_pid(server)
    os.kill(old, 9)
    s = one_letter(server, sink)
    new = queue_pid(server)
    row("queued killed: until a new letter was delivered", "%.0f ms" % (s * 1000), "%.0f ms CPU of the new one; wanted: 1000 ms" % (
        bench.cpu_us([new]) / 1000))


def rest(server):
    before, begin = bench.by_program(server, bench.cpu_us), time.monotonic()
    time.sleep(IDLE_S)
    s = time.monotonic() - begin
    us = {name: n - before[name] for name, n in bench.by_program(server, bench.cpu_us).items()}
    row("CPU of queued at rest, over %d s" % IDLE_S, "%.3f %%" % (us["queued"] / s / 1e4), "all: %.3f %%; wanted: 1 %%" % (
        sum(us.values()) / s / 1e4))
    row("memory of queued at rest", "%.1f MiB" % (bench.memory_kib(queued_pids(server)) / 1024),
        "resident at most %.1f MiB; wanted: 64 MiB" % (peak_kib(queue_pid(server)) / 1024))


class Storm:
    """All are due at once. Meanwhile new letters come, one after the other."""

    def __init__(self, server, sink):
        self.server, self.sink, self.times, self.over = server, sink, [], False
        self.thread = threading.Thread(target=self.send)

    def send(self):
        while not self.over:
            self.times.append(one_letter(self.server, self.sink))
            time.sleep(0.2)

    def run(self):
        pid = queue_pid(self.server)
        before, deferred = bench.by_program(self.server, bench.cpu_us), self.server.log().count("status=deferred")
        self.server.merpati("queue", "retry", "all")
        self.thread.start()
        time.sleep(STORM_S)
        self.over = True
        self.thread.join()
        us = {name: n - before[name] for name, n in bench.by_program(self.server, bench.cpu_us).items()}
        tried = self.server.log().count("status=deferred") - deferred
        row("all due at once: tried again", "%.0f/s" % (tried / STORM_S), "CPU: " + " ".join(
            "%s %.0f %%" % (name, n / STORM_S / 1e4) for name, n in sorted(us.items(), key=lambda i: -i[1]) if n > 1e4))
        tell_latency("new letter meanwhile", self.times)
        row("memory of queued meanwhile, at most", "%.1f MiB" % (peak_kib(pid) / 1024), "wanted: 64 MiB")
        if queue_pid(self.server) != pid:
            sys.exit("bench: queued died meanwhile")


def states(server):
    return {line.split()[0]: int(line.split()[1]) for line in
            Used(server, "stats").output.split("\n\n")[0].splitlines()[1:]}


def look(server):
    limit(server)
    with open(os.devnull, "w") as null:
        for words in (["list"], ["list", "--json"], ["list", "--format", "mailq"]):
            Used(server, *words, stdout=null).tell("merpati queue %s, of %d, to /dev/null" % (" ".join(words), COUNT))
    used = Used(server, "list", "--json")
    used.tell("merpati queue list --json, to a pipe", "; the first line after %.0f ms" % (used.first_s * 1000))
    for words in (["list", "--site", "d7.jauh.test"], ["list", "--sort", "size", "--limit", "10"], ["list", "--age", "23h"],
                  ["stats"]):
        Used(server, *words).tell("merpati queue " + " ".join(words))
    with open(os.devnull, "w") as null:
        Used(server, "list", "--sort", "sender", stdout=null).tell("merpati queue list --sort sender, of all")
    Used(server, "sites").tell("merpati queue sites")
    limit(server)


def delete(server):
    before = states(server)
    pids = queued_pids(server)
    cpu = bench.cpu_us(pids)
    used = Used(server, "delete", "--site", "hapus.test")
    after = states(server)
    used.tell("merpati queue delete --site hapus.test, of %d" % DELETED, "; queued: %.2f s CPU" % (
        (bench.cpu_us(pids) - cpu) / 1e6))
    gone, said = sum(before.values()) - sum(after.values()), int(used.output.split()[0])
    left = Used(server, "list", "--site", "hapus.test").output
    if gone != DELETED or said != DELETED or left != "Mail queue is empty\n":
        sys.exit("bench: %d were deleted, %d said, and left is %s" % (gone, said, left[-200:]))


def million():
    with bench.Sink(1) as sink:
        zone(sink.dns)
        with instance(sink) as server:
            new_mail(server, sink, "empty queue")
            server.stop()
            fill_all(server)
            start(server, sink)
            rest(server)
            new_mail(server, sink, "%d deferred" % COUNT)
            look(server)
            delete(server)
            Storm(server, sink).run()
