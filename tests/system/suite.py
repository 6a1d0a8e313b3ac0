"""What the system tests share: complete instances of the suite, started by `merpati run` on sockets that the kernel
picked, a DNS server, letters, and waiting with a deadline.

    with Dns() as dns, Instance("satu.test", "127.0.0.2", dns) as satu:
        satu.add_user("baru", "rahasia")
        ...

The programs come from $MERPATI_BIN (default build/release/bin). As root the instance runs with one uid a program, as an
ordinary user with that user's own.
"""

import contextlib
import ctypes
import fcntl
import imaplib
import json
import os
import poplib
import pwd
import random
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.abspath(os.environ.get("MERPATI_BIN", os.path.join(ROOT, "build", "release", "bin")))
PASSWORD = "rahasia-sekali"

TCP_KINDS = ("mx", "submission", "submissions", "pop3", "pop3s", "imap", "imaps")
STANDARD_PORTS = {"lmtp": 24, "mx": 25, "submission": 587, "submissions": 465, "pop3": 110, "pop3s": 995, "imap": 143, "imaps": 993}

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


def wait_for(condition, what, seconds=20.0):
    """Returns the first true value of condition(); fails, naming `what`, when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("waited %.0f s in vain for: %s" % (seconds, what))
        time.sleep(0.02)


def refuse_sanitizer_reports(log):
    """In a build with sanitizers: a process that one of them ended is back so soon that no test would notice. (What a process
    has for all of its life is no leak.)"""
    found = re.search(r"(?s)(ERROR: AddressSanitizer|: runtime error: ).{0,3000}", log)
    if found:
        raise AssertionError(found.group(0))


def listening_socket(address, port=0):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    s.listen(1024)
    return s


def shared_port(addresses):
    """Sockets on all these addresses with one port number that the kernel picked: what MX between hosts needs."""
    for _ in range(50):
        sockets = [listening_socket(addresses[0])]
        port = sockets[0].getsockname()[1]
        try:
            for address in addresses[1:]:
                sockets.append(listening_socket(address, port))
            return port, sockets
        except OSError:
            for s in sockets:
                s.close()
    raise AssertionError("no port is free on all of " + ", ".join(addresses))


def letter(sender, recipient, subject="Surat", lines=("Halo!",), **headers):
    """A letter as CRLF bytes."""
    head = ["From: <%s>" % sender, "To: <%s>" % recipient, "Subject: " + subject,
            "Date: Tue, 24 Nov 2026 10:00:00 +0700",
            "Message-ID: <%08x.%s>" % (random.getrandbits(32), sender)]
    head += ["%s: %s" % (name.replace("_", "-"), value) for name, value in headers.items()]
    return ("\r\n".join(head + [""] + list(lines)) + "\r\n").encode()


def without_trace(message):
    """The letter without the header fields that servers put on top of it on its way."""
    trace = (b"return-path:", b"delivered-to:", b"received:")
    while message.lower().startswith(trace):
        end = re.search(rb"\r?\n(?![ \t])", message)
        message = message[end.end():]
    return message


class Dns:
    """The DNS server of the tests on a port that the kernel picked; zone changes take effect at once."""

    def __init__(self, zone=None, address="127.0.0.1"):
        import dns_server
        self.server = dns_server.Server(zone or {}, address)

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *unused):
        self.server.stop()

    @property
    def resolver(self):
        return "%s:%d" % (self.server.address, self.server.port)

    def add(self, name, kind, *values):
        self.server.add(name, kind, *values)

    def clear(self, name):
        self.server.clear(name)


def have_suite_users():
    try:
        for name in ("_smtpd", "_filter", "_queue", "_remote", "_deliver", "_auth", "_login", "_key", "_vmail"):
            pwd.getpwnam(name)
        return True
    except KeyError:
        return False


class Instance:
    """One complete Merpati for one domain on one loopback address, in a directory of its own."""

    def __init__(self, domain, address="127.0.0.1", dns=None, relay=None, settings=None, sections="",
                 accounts="virtual", tls=True, user=None, directory=None, kinds=TCP_KINDS, memory_spool=None,
                 first_port=None, listener_options=None):
        self.domain = domain
        self.address = address
        self.dns = dns
        self.settings = dict(settings or {})
        self.sections = sections
        self.listener_options = listener_options or {}  # kind: further lines of its section
        self.accounts = accounts
        self.tls = tls
        self.user = user  # run as this ordinary user although the tests are root
        self.kinds = kinds
        self.first_port = first_port  # with this: fixed ports where they are free, for a person's mail client
        self.process = None
        self.sockets = {}
        self.ports = {}
        self.relay_port, self.relay_socket = relay if relay else (None, None)
        self.directory = directory or tempfile.mkdtemp(prefix="m", dir="/tmp")
        os.chmod(self.directory, 0o755)
        self.memory_spool = memory_spool
        self.conf = os.path.join(self.directory, "merpati.conf")
        self.log_path = os.path.join(self.directory, "log")

    # -- setting up

    def __enter__(self):
        self.bind()
        self.write_certificate()
        self.write_conf()
        self.start()
        return self

    def __exit__(self, kind, *unused):
        self.stop()
        for s in self.sockets.values():
            s.close()
        if kind is SystemExit:
            kind = None
        if kind is not None and os.environ.get("MERPATI_KEEP"):
            sys.stderr.write("kept: %s\n" % self.directory)
            return
        if kind is not None:
            self.print_log_tail()
        log = self.log()
        if self.memory_spool:
            subprocess.run(["umount", os.path.join(self.directory, "spool")], check=False)
        shutil.rmtree(self.directory, ignore_errors=True)
        refuse_sanitizer_reports(log)

    def print_log_tail(self, lines=60):
        with contextlib.suppress(OSError):
            sys.stderr.write("---- log of %s\n%s----\n" % (self.domain, "".join(self.log().splitlines(True)[-lines:])))

    def bind(self):
        for kind in self.kinds:
            if kind == "mx" and self.relay_socket:
                self.sockets[kind] = self.relay_socket
            else:
                self.sockets[kind] = self.listen(kind)
            self.ports[kind] = self.sockets[kind].getsockname()[1]
        if self.memory_spool:
            os.mkdir(os.path.join(self.directory, "spool"))
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%s,mode=0711" % self.memory_spool, "none",
                            os.path.join(self.directory, "spool")], check=True)

    def listen(self, kind):
        if self.first_port:
            with contextlib.suppress(OSError):
                return listening_socket(self.address, self.first_port + STANDARD_PORTS[kind])
        return listening_socket(self.address)

    def write_certificate(self):
        if not self.tls:
            return
        self.certificate = os.path.join(self.directory, "cert.pem")
        self.key = os.path.join(self.directory, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", self.key, "-out", self.certificate, "-days", "30", "-subj", "/CN=" + self.domain,
                        "-addext", "subjectAltName=DNS:%s,IP:%s" % (self.domain, self.address)],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.chmod(self.key, 0o600)

    def write_conf(self):
        values = {"hostname": self.domain, "spool_directory": "spool", "run_directory": "run",
                  "cache_directory": "cache", "users_file": "users", "aliases_file": "aliases", "log": "stderr"}
        if self.accounts == "virtual":
            values["virtual_home"] = os.path.join(self.directory, "mail/%d/%n")
        if self.dns:
            values["resolvers"] = self.dns.resolver
        if self.relay_port:
            values["relay_port"] = self.relay_port
        if self.tls:
            values["tls_certificate"] = "cert.pem"
            values["tls_key"] = "key.pem"
        values.update(self.settings)
        text = "".join("%s = %s\n" % (k, v) for k, v in values.items())
        text += "\n[domain %s]\naccounts = %s\n" % (self.domain, self.accounts)
        for kind in self.kinds:
            text += "\n[listener %s]\nkind = %s\naddress = %s\nport = %d\n%s" % (
                kind, kind, self.address, self.ports[kind], self.listener_options.get(kind, ""))
        with open(self.conf, "w") as f:
            f.write(text + self.sections)
        for name in ("aliases", "users"):
            path = os.path.join(self.directory, name)
            if not os.path.exists(path):
                with open(path, "w"):
                    os.chmod(path, 0o640)
        mail = os.path.join(self.directory, "mail")
        os.makedirs(mail, exist_ok=True)
        if self.user:
            subprocess.run(["chown", "-R", self.user + ":", self.directory], check=True)
        elif os.getuid() == 0 and have_suite_users():
            shutil.chown(mail, "_vmail")

    def program(self, name):
        return os.path.join(BIN, name)

    def command(self, *words):
        """The words of `merpati ...`, as the user that the instance runs as."""
        words = [self.program("merpati")] + [str(w) for w in words]
        if self.user:
            words = ["setpriv", "--reuid", self.user, "--regid", str(pwd.getpwnam(self.user).pw_gid),
                     "--clear-groups", "--"] + words
        return words

    def merpati(self, *words, input=None, check=True):
        """Runs `merpati WORDS` on this instance and returns the finished process (text)."""
        done = subprocess.run(self.command(*words), input=input, text=True, env=dict(os.environ, MERPATI_CONF=self.conf),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        if check and done.returncode != 0:
            raise AssertionError("merpati %s: status %d\n%s%s" % (
                " ".join(map(str, words)), done.returncode, done.stdout, done.stderr))
        return done

    def add_user(self, name, password=PASSWORD):
        address = name if "@" in name else "%s@%s" % (name, self.domain)
        self.merpati("user", "add", address, input=password + "\n")
        return address

    # -- running

    def start(self):
        names = list(self.sockets)
        fds = [self.sockets[n].fileno() for n in names]
        notify_path = os.path.join(self.directory, "notify")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(notify_path)
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(notify_path)
        os.chmod(notify_path, 0o666)

        def pass_sockets():
            # PR_SET_PDEATHSIG: nothing stays behind when the tests are killed
            ctypes.CDLL(None).prctl(1, signal.SIGTERM)
            high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 200) for fd in fds]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i, inheritable=True)
                os.close(fd)
            os.environ["LISTEN_FDS"] = str(len(fds))
            os.environ["LISTEN_FDNAMES"] = ":".join(names)
            os.environ["LISTEN_PID"] = str(os.getpid())
            os.environ["NOTIFY_SOCKET"] = notify_path

        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command("run", "-c", self.conf), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, preexec_fn=pass_sockets, close_fds=False)
        notify.settimeout(0.1)
        ready = b""
        deadline = time.monotonic() + 30
        while b"READY=1" not in ready:
            with contextlib.suppress(socket.timeout):
                ready = notify.recv(1024)
            if self.process.poll() is not None or time.monotonic() > deadline:
                notify.close()
                raise AssertionError("merpati run did not get ready\n" + self.log()[-6000:])
        notify.close()
        os.unlink(notify_path)

    def stop(self, seconds=20):
        if not self.process or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("merpati run did not end within %d s of SIGTERM\n%s" % (seconds, self.log()[-4000:]))

    def restart(self):
        self.stop()
        self.start()

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def wait_log(self, pattern, seconds=20.0):
        return wait_for(lambda: re.search(pattern, self.log()), "%r in the log of %s" % (pattern, self.domain), seconds)

    def processes(self):
        """{pid: command line} of everything below `merpati run`."""
        children, found = {}, {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            with contextlib.suppress(OSError):
                with open("/proc/%s/stat" % entry) as f:
                    parent = int(f.read().rpartition(")")[2].split()[1])
                with open("/proc/%s/cmdline" % entry) as f:
                    children.setdefault(parent, []).append((int(entry), f.read().replace("\0", " ").strip()))
        todo = [self.process.pid]
        while todo:
            for pid, words in children.get(todo.pop(), []):
                found[pid] = words
                todo.append(pid)
        return found

    # -- clients

    def tls_context(self):
        context = ssl.create_default_context(cafile=self.certificate)
        context.check_hostname = False
        return context

    def smtp(self, kind="mx", timeout=20):
        if kind == "submissions":
            return smtplib.SMTP_SSL(self.address, self.ports[kind], timeout=timeout, context=self.tls_context())
        return smtplib.SMTP(self.address, self.ports[kind], timeout=timeout)

    def submit(self, sender, recipients, message, password=PASSWORD, login=None):
        with self.smtp("submissions") as client:
            client.login(login or sender, password)
            return client.sendmail(sender, recipients, message)

    def pop(self, user, password=PASSWORD):
        client = poplib.POP3(self.address, self.ports["pop3"], timeout=20)
        client.user(user)
        client.pass_(password)
        return client

    def imap(self, user, password=PASSWORD):
        client = imaplib.IMAP4(self.address, self.ports["imap"], timeout=20)
        client.login(user, password)
        return client

    def letters(self, user, password=PASSWORD):
        """All of the inbox by POP3, as CRLF bytes."""
        client = self.pop(user, password)
        try:
            count = client.stat()[0]
            return [b"\r\n".join(client.retr(i + 1)[1]) + b"\r\n" for i in range(count)]
        finally:
            client.quit()

    def wait_letters(self, user, count=1, seconds=20.0, password=PASSWORD):
        def enough():
            found = self.letters(user, password)
            return found if len(found) >= count else None
        return wait_for(enough, "%d letters for %s" % (count, user), seconds)

    def queue(self):
        """What `merpati queue list --json` says: a list of dicts."""
        out = self.merpati("queue", "list", "--json").stdout
        return [json.loads(line) for line in out.splitlines() if line.strip()]

    def sendmail(self, *words, input=b"", check=True):
        path = self.program("sendmail")
        env = dict(os.environ, MERPATI_CONF=self.conf)
        done = subprocess.run([path] + list(words), input=input, env=env, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if check and done.returncode != 0:
            raise AssertionError("sendmail %s: status %d\n%s" % (words, done.returncode, done.stderr))
        return done


class Case(unittest.TestCase):
    longMessage = True

    def assert_same_letter(self, sent, found):
        self.assertEqual(sent, without_trace(found))


def two_instances(dns, **options):
    """satu.test on 127.0.0.2 and dua.test on 127.0.0.3, each other's MX, on one kernel-picked SMTP port."""
    port, sockets = shared_port(["127.0.0.2", "127.0.0.3"])
    for domain, address in (("satu.test", "127.0.0.2"), ("dua.test", "127.0.0.3")):
        dns.add(domain, "MX", "10 mx." + domain)
        dns.add("mx." + domain, "A", address)
    return (Instance("satu.test", "127.0.0.2", dns, (port, sockets[0]), **options),
            Instance("dua.test", "127.0.0.3", dns, (port, sockets[1]), **options))


def needs_root(reason="several uids"):
    return unittest.skipUnless(os.getuid() == 0 and have_suite_users(), "skipped: %s needs root" % reason)
