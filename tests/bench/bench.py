#!/usr/bin/env python3
"""`make bench`: what the suite does, beside what the machine can do, measured in the same run.

    make bench                     everything
    make bench BENCH="accept"      one part: limits accept relay syscalls idle logins imap million list schedule

Times on a shared machine are noise; CPU time and system calls a message are the steady figures.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
import suite  # noqa: E402
import test_queue  # noqa: E402

BENCH = os.environ["MERPATI_BENCH"]
SIZE = 2048
TICK = os.sysconf("SC_CLK_TCK")


def row(what, value, note=""):
    print("%-58s %12s  %s" % (what, value, note), flush=True)


def run(program, *words):
    out = subprocess.run([os.path.join(BENCH, program)] + [str(w) for w in words], check=True, text=True,
                         stdout=subprocess.PIPE).stdout
    return [float(word) for word in out.split()]


def program_of(title):
    found = re.search(r"\b(smtpd|queued|remote|bounce|deliver|authd|popd|imapd|merpati)\b", title)
    return found.group(1) if found else "?"


def cpu_seconds(server):
    """{program: CPU seconds so far} over the instance's processes."""
    total = {}
    for pid, title in server.processes().items():
        try:
            with open("/proc/%d/stat" % pid) as f:
                fields = f.read().rpartition(")")[2].split()
        except OSError:
            continue
        name = program_of(title)
        total[name] = total.get(name, 0) + (int(fields[11]) + int(fields[12])) / TICK
    return total


def cpu_line(before, after, count):
    used = {name: (after[name] - before.get(name, 0)) * 1e6 / count for name in after}
    return "%.0f us" % sum(used.values()), " ".join(
        "%s %.0f" % (name, us) for name, us in sorted(used.items(), key=lambda item: -item[1]) if us >= 0.5)


def maildir_count(server, user):
    path = os.path.join(server.directory, "mail", server.domain, user, "Maildir")
    return sum(len(os.listdir(os.path.join(path, f))) for f in ("new", "cur")) if os.path.isdir(path) else 0


def limits():
    with tempfile.TemporaryDirectory(prefix="mb", dir="/tmp") as directory:
        for threads in (1, 10, 50):
            n, s, cpu = run("machine_limit", "files", directory, 5000, SIZE, threads)
            row("limit: create, write, fsync (%d threads)" % threads, "%.0f/s" % (n / s), "%.0f us CPU" % (cpu / n * 1e6))
        bare(directory)
    n, s, cpu = run("machine_limit", "echo", 20000)
    row("limit: loopback round trips (1 connection)", "%.0f/s" % (n / s), "%.0f us CPU" % (cpu / n * 1e6))


def bare(directory):
    """What bare threads reach by create, write and one syncfs for 50 files: (files a second, CPU microseconds a file).

    The files are left: ext4 without a journal looks long for an inode where many were removed moments ago."""
    n, s, cpu = run("machine_limit", "group", directory, 20000, SIZE, 10)
    row("limit: create, write, one syncfs for 50 (10 threads)", "%.0f/s" % (n / s), "%.1f us CPU" % (cpu / n * 1e6))
    return n / s, cpu / n * 1e6


def load(server, connections, count, recipient, *more):
    return run("smtp_load", server.address, server.ports["mx"], connections, count, SIZE, "bench@satu.test", recipient,
               *more)


def pids_of(server, pattern):
    return [pid for pid, title in server.processes().items() if re.search(pattern, title)]


def cpu_us(pids):
    """Microseconds on a processor so far, of all threads."""
    total = 0
    for pid in pids:
        for thread in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/schedstat" % (pid, thread)) as f:
                total += int(f.read().split()[0])
    return total / 1000


def stop_all(pids, on):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP if on else signal.SIGCONT)


def accept_alone(server, smtpd, user, connections, count, files_s, file_us):
    before = cpu_us(smtpd)
    n, s = load(server, connections, count, user)
    us = (cpu_us(smtpd) - before) / count
    row("accepted by smtpd, %d connections, %d octets" % (connections, SIZE), "%.0f/s" % (n / s),
        "%.2f of the bare threads" % (n / s / files_s))
    row("CPU of smtpd a message", "%.1f us" % us, "2 x bare loop + 25 us = %.1f us" % (2 * file_us + 25))


def accept():
    """smtpd by itself beside the bare threads (queued is halted meanwhile), then all of the suite."""
    with suite.Instance("satu.test", "127.0.0.2", tls=False) as server:
        user = server.add_user("lama")
        load(server, 1, 20, user)  # warm
        suite.wait_for(lambda: maildir_count(server, "lama") == 20, "the first letters")
        queued, smtpd, total = pids_of(server, "^queued"), pids_of(server, "^smtpd"), 20
        stop_all(queued, True)
        try:
            files_s, file_us = bare(server.directory)
            for connections, count in ((1, 2000), (10, 5000), (50, 10000)):
                total += count
                accept_alone(server, smtpd, user, connections, count, files_s, file_us)
        finally:
            stop_all(queued, False)
        suite.wait_for(lambda: maildir_count(server, "lama") >= total, "all to be delivered", 300)
        for connections, count in ((1, 1000), (10, 5000), (50, 5000)):
            before, begin = cpu_seconds(server), time.monotonic()
            n, s = load(server, connections, count, user)
            total += count
            suite.wait_for(lambda: maildir_count(server, "lama") >= total, "all to be delivered", 120)
            delivered_s = time.monotonic() - begin
            time.sleep(0.3)
            us, split = cpu_line(before, cpu_seconds(server), count)
            row("accepted while others deliver, %d connections" % connections, "%.0f/s" % (n / s))
            row("delivered to a Maildir meanwhile", "%.0f/s" % (count / delivered_s))
            row("CPU a message, intake to Maildir", us, split)


class Sink:
    """An SMTP server for each of so many sites, that takes everything, and the DNS in which they are found."""

    def __init__(self, sites):
        self.process = subprocess.Popen([os.path.join(BENCH, "smtp_sink"), str(sites)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.dns = suite.Dns()
        self.dns.server.ttl = 3600
        self.recipients = []
        for i in range(1, sites + 1):
            self.dns.add("kota%d.test" % i, "MX", "10 mx.kota%d.test" % i)
            self.dns.add("mx.kota%d.test" % i, "A", "127.9.0.%d" % i)
            self.recipients.append("surat@kota%d.test" % i)

    def __enter__(self):
        self.dns.__enter__()
        return self

    def __exit__(self, *unused):
        self.process.communicate("")
        self.dns.__exit__(*unused)

    def told(self):
        """Messages and connections so far, the most connections that one site had at a time, CPU seconds."""
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        messages, connections, most, cpu = self.process.stdout.readline().split()
        return int(messages), int(connections), int(most), float(cpu)

    def wait(self, count):
        suite.wait_for(lambda: self.told()[0] >= count, "%d messages at the sink" % count, 300)


def relaying(sink, memory_spool=None):
    return suite.Instance("satu.test", "127.0.0.2", tls=False, dns=sink.dns, kinds=("mx",), memory_spool=memory_spool,
                          settings={"networks": "127.0.0.0/8", "relay_port": sink.port})


def switches(pids):
    """Context switches so far, of all threads."""
    total = 0
    for pid in pids:
        for thread in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/status" % (pid, thread)) as f:
                total += sum(int(n) for n in re.findall(r"(?m)^\w*voluntary_ctxt_switches:\s+(\d+)$", f.read()))
    return total


def by_program(server, measure):
    """{program: what `measure` says of its processes}; the parents, which do nothing, are left out."""
    pids = {}
    for pid, title in server.processes().items():
        pids.setdefault(program_of(title), []).append(pid)
    return {name: measure(found) for name, found in pids.items()}


def difference(after, before, count):
    return {name: (n - before.get(name, 0)) / count for name, n in after.items() if n > before.get(name, 0)}


def shares(used, form):
    return " ".join("%s %s" % (name, form % n) for name, n in sorted(used.items(), key=lambda i: -i[1]) if n >= 0.1)


def relay_run(server, sink, connections, count, label):
    messages, opened, _, _ = sink.told()
    measures = (cpu_us, switches)
    before, begin = [by_program(server, m) for m in measures], time.monotonic()
    n, s = load(server, connections, count, ",".join(sink.recipients))
    sink.wait(messages + count)
    whole = time.monotonic() - begin
    time.sleep(0.3)
    us, switched = (difference(by_program(server, m), b, count) for m, b in zip(measures, before))
    row("relayed, %s, %d connections in" % (label, connections), "%.0f/s" % (count / whole),
        "taken by smtpd: %.0f/s" % (n / s))
    row("CPU a message", "%.0f us" % sum(us.values()), shares(us, "%.0f"))
    row("of it queued and remote", "%.0f us" % (us.get("queued", 0) + us.get("remote", 0)), "wanted: at most 150 us")
    row("context switches a message", "%.1f" % sum(switched.values()), shares(switched, "%.1f"))
    row("connections for %d messages" % count, sink.told()[1] - opened)


def relay_backlog(server, sink, count, label):
    """What gathers while queued is halted leaves at once."""
    queued, (messages, opened, _, _) = pids_of(server, "^queued"), sink.told()
    stop_all(queued, True)
    try:
        load(server, 10, count, ",".join(sink.recipients))
    finally:
        before, begin = by_program(server, cpu_us), time.monotonic()
        stop_all(queued, False)
    sink.wait(messages + count)
    whole = time.monotonic() - begin
    time.sleep(0.3)
    us = difference(by_program(server, cpu_us), before, count)
    row("relayed, %s, %d that waited" % (label, count), "%.0f/s" % (count / whole), "CPU a message: " + shares(us, "%.0f"))
    _, now, most, _ = sink.told()
    row("connections for them", now - opened, "at most %d at a time at a site; wanted: at most 600 at 200 sites" % most)


def relay_calls(server, sink, count, label):
    messages = sink.told()[0]

    def work():
        load(server, 10, count, ",".join(sink.recipients))
        sink.wait(messages + count)
    titles = {pid: program_of(title) for pid, title in server.processes().items()
              if re.match(r"smtpd: worker|queued: queue|remote: worker", title)}
    found = traced(server, list(titles), work)
    calls = {name: summed(found[pid] for pid in found if titles[pid] == name) for name in sorted(set(titles.values()))}
    total = {name: sum(c.values()) / count for name, c in calls.items()}
    row("system calls a message, %s, in by 10 connections" % label, "%.1f" % sum(total.values()), shares(total, "%.1f"))
    for name, c in calls.items():
        row("of them " + name, "%.1f" % total[name], split_line(c, count, 0.05))


def relay():
    """From smtpd to a sink beyond remote: one site, and 200 that take turns."""
    with tempfile.TemporaryDirectory(prefix="mb", dir="/tmp") as directory:
        bare(directory)
        n, s, cpu = run("machine_limit", "take", directory, 5000, SIZE)
        row("limit: open, rename, read, unlink, close (1 thread)", "%.0f/s" % (n / s), "%.1f us CPU" % (cpu / n * 1e6))
    n, s, cpu = run("machine_limit", "echo", 20000)
    row("limit: loopback round trips (1 connection)", "%.0f/s" % (n / s), "%.0f us CPU" % (cpu / n * 1e6))
    for sites, label in ((1, "one site"), (200, "200 sites")):
        with Sink(sites) as sink:
            with relaying(sink) as server:
                relay_backlog(server, sink, 3000, label)
                for connections in (1, 10):
                    relay_run(server, sink, connections, 3000, label)
            if os.getuid() == 0:  # what is ours, whatever the disk is like
                with relaying(sink, "300m") as server:
                    relay_run(server, sink, 10, 3000, label + ", the spool in memory")
            with relaying(sink) as server:
                relay_calls(server, sink, 2000, label)


def traced(server, pids, work):
    """{pid: {system call: number}} of what these processes did meanwhile."""
    tracers, calls = [], {}
    for pid in pids:
        path = os.path.join(server.directory, "strace.%d" % pid)
        tracers.append((pid, path, subprocess.Popen(["strace", "-f", "-c", "-U", "calls,name", "-o", path, "-p", str(pid)],
                                               stderr=subprocess.DEVNULL)))
    time.sleep(1)
    work()
    time.sleep(0.5)
    for pid, path, tracer in tracers:
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        with open(path) as f:
            found = re.findall(r"(?m)^\s*(\d+)\s+([a-z]\w+)$", f.read())
        calls[pid] = {name: int(number) for number, name in found if name != "total"}
    return calls


def summed(dicts):
    total = {}
    for d in dicts:
        for name, n in d.items():
            total[name] = total.get(name, 0) + n
    return total


def split_line(calls, count, least):
    return " ".join("%s %.2f" % (name, n / count) for name, n in sorted(calls.items(), key=lambda i: -i[1])
                    if n / count >= least)


def syscalls():
    for connections, count in ((1, 1000), (10, 2000), (50, 4000)):
        with suite.Instance("satu.test", "127.0.0.2", tls=False) as server:
            user = server.add_user("lama")
            load(server, 1, 20, user)
            calls = summed(traced(server, pids_of(server, "smtpd: worker"),
                                  lambda: load(server, connections, count, user)).values())
            row("system calls of smtpd a message, %d kept connections" % connections,
                "%.1f" % (sum(calls.values()) / count), split_line(calls, count, 0.01))
            row("of them to make it durable", "%.3f" % (sum(
                n for name, n in calls.items() if name in ("fsync", "fdatasync", "syncfs", "io_submit")) / count))
    count = 500
    for label, more in (("kept connections", []), ("a connection a message", ["one"])):
        with suite.Instance("satu.test", "127.0.0.2", tls=False) as server:
            user = server.add_user("lama")
            load(server, 1, 20, user)
            suite.wait_for(lambda: maildir_count(server, "lama") == 20, "the first letters")

            def deliver():
                load(server, 10, count, user, *more)
                suite.wait_for(lambda: maildir_count(server, "lama") >= 20 + count, "all to be delivered", 120)
            titles = server.processes()
            calls = summed({program_of(titles[pid]): sum(found.values())}
                           for pid, found in traced(server, list(titles), deliver).items())
            row("system calls a message, 10 connections, %s" % label, "%.0f" % (sum(calls.values()) / count),
                split_line(calls, count, 0.05))


def idle():
    """Memory of smtpd's workers a session that only waits."""
    for label, count, more in (("plain", 2000, []), ("plain", 10000, []), ("under TLS", 2000, ["tls"]),
                               ("under TLS", 10000, ["tls"])):
        with suite.Instance("satu.test", "127.0.0.2", settings={"smtpd_clients_per_worker": 20000}) as server:
            workers = pids_of(server, "smtpd: worker")
            words = [os.path.join(BENCH, "smtp_idle"), server.address, str(server.ports["mx"])]
            subprocess.run(words + ["50"] + more, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
            before = memory_kib(workers)
            sessions = subprocess.Popen(words + [str(count)] + more, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            if sessions.stdout.readline() != "ready\n":
                sys.exit("bench: smtp_idle failed")
            time.sleep(1)
            held = memory_kib(workers) - before
            sessions.communicate("")
            time.sleep(2)
            row("memory a session that only waits, %s, of %d" % (label, count), "%.2f KiB" % (held / count),
                "%.2f KiB when all are gone" % ((memory_kib(workers) - before) / count))


def memory_kib(pids):
    """What belongs to these processes alone."""
    total = 0
    for pid in pids:
        with open("/proc/%d/smaps_rollup" % pid) as f:
            total += sum(int(n) for n in re.findall(r"(?m)^Private_\w+:\s+(\d+) kB", f.read()))
    return total


def logins():
    count, threads = 200, 10
    with suite.Instance("satu.test", "127.0.0.2", tls=False) as server:
        users = [server.add_user("lama%d" % i) for i in range(threads)]  # POP3 locks the mailbox
        for name, login in (("POP3", lambda user: server.pop(user).quit()),
                            ("IMAP", lambda user: server.imap(user).logout())):
            for user in users:
                login(user)
            before, begin = cpu_seconds(server), time.monotonic()
            workers = [threading.Thread(target=lambda u: [login(u) for _ in range(count // threads)], args=(user,))
                       for user in users]
            for w in workers:
                w.start()
            for w in workers:
                w.join()
            s = time.monotonic() - begin
            us, split = cpu_line(before, cpu_seconds(server), count)
            row("logins by %s, %d at a time (the password hash costs most)" % (name, threads), "%.0f/s" % (count / s),
                "%s CPU: %s" % (us, split))


def imap():
    count = 10000
    with suite.Instance("satu.test", "127.0.0.2", tls=False) as server:
        user = server.add_user("lama")
        port = server.ports["mx"]
        begin = time.monotonic()
        run("smtp_load", server.address, port, 10, count, SIZE, "bench@satu.test", user)
        suite.wait_for(lambda: maildir_count(server, "lama") >= count, "all to be delivered", 300)
        row("10,000 letters in by SMTP", "%.1f s" % (time.monotonic() - begin))
        client = server.imap(user)
        client._maxline = 100000000

        def timed(what, action):
            before, start = cpu_seconds(server), time.monotonic()
            action()
            s = time.monotonic() - start
            used = cpu_seconds(server)
            row("IMAP " + what, "%.0f ms" % (s * 1000), "%.0f ms CPU of imapd" % (
                (used.get("imapd", 0) - before.get("imapd", 0)) * 1000))
        timed("SELECT of 10,000, first", lambda: client.select("INBOX"))
        timed("SELECT of 10,000, again", lambda: client.select("INBOX"))
        timed("FETCH 1:* (FLAGS)", lambda: client.fetch("1:*", "(FLAGS)"))
        timed("FETCH 1:* (UID FLAGS RFC822.SIZE INTERNALDATE)",
              lambda: client.fetch("1:*", "(UID FLAGS RFC822.SIZE INTERNALDATE)"))
        timed("FETCH 1:* (ENVELOPE)", lambda: client.fetch("1:*", "(ENVELOPE)"))
        timed("FETCH 1:* (BODY.PEEK[])", lambda: client.fetch("1:*", "(BODY.PEEK[])"))
        timed("SEARCH BODY word", lambda: client.search(None, "BODY", "gajah"))
        client.logout()


def million():
    import million as part  # which uses this module
    part.million()


def put_list(server, recipients):
    """A message for all of them, straight into incoming/, where queued finds it when it looks."""
    incoming = os.path.join(server.directory, "spool", "incoming")
    path = os.path.join(incoming, test_queue.new_id())
    with open(path + ".new", "wb") as f:
        f.write(test_queue.queue_file("daftar@satu.test", recipients))
    owner = os.stat(os.path.join(server.directory, "spool", "active"))
    if os.getuid() == 0:
        os.chown(path + ".new", owner.st_uid, owner.st_gid)
    os.rename(path + ".new", path)


def behind_list():
    """Single letters while a list is on its way to 200 sites: from the list's own sites and sender, and others."""
    count, letters = 100000, 20
    with Sink(200) as sink, relaying(sink) as server:
        put_list(server, ["anggota%d@kota%d.test" % (i, i % 199 + 1) for i in range(count)])
        suite.wait_for(lambda: "nrcpt=%d (queue active)" % count in server.log(), "the list to be taken", 60)
        begin, waits = time.monotonic(), []
        for i in range(letters):
            to = "tunggal%d@kota%d.test" % (i, (i % 2) * 199 + 1 if i < 10 else i + 1)
            load(server, 1, 1, to)
            found = server.wait_log(r"to=<%s>.* delays=([0-9./]+),.*status=sent" % re.escape(to), 60)
            # Until it was seen, until its turn, until there was a connection, until it was taken there.
            waits.append(sum(float(part) for part in found.group(1).split("/")))
            time.sleep(0.05)
        sent = server.log().count("to=<anggota")
        row("letters behind a list of %d recipients, longest delay" % count, "%.2f s" % max(waits),
            "mean %.2f s of %d; wanted: 2 s" % (sum(waits) / letters, letters))
        row("of the list were sent when the last of them had gone", sent, "after %.1f s" % (time.monotonic() - begin))
        sink.wait(count // 100 + letters)
        row("the list itself", "%.0f recipients/s" % (count / (time.monotonic() - begin)))


def schedule():
    """The scheduler's week in virtual time."""
    out = subprocess.run([os.path.join(BENCH, "schedule_week")], check=True, text=True, stdout=subprocess.PIPE).stdout
    for line in out.splitlines():
        row(*line.split("|"))


PARTS = {"limits": limits, "accept": accept, "relay": relay, "syscalls": syscalls, "idle": idle, "logins": logins,
         "imap": imap, "million": million, "list": behind_list, "schedule": schedule}


def main():
    wanted = sys.argv[1:] or list(PARTS)
    for name in wanted:
        if name not in PARTS:
            sys.exit("bench: '%s' is none of %s" % (name, " ".join(PARTS)))
    for name in wanted:
        PARTS[name]()


if __name__ == "__main__":
    main()
