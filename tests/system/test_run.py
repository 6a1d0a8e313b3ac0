"""`merpati run` and `merpati check`: everything starts, what dies is back, a reload drops nobody, the end is clean."""

import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

from suite import BIN, ROOT, Case, Instance, letter, wait_for

PROGRAMS = ("authd", "queued", "remote", "deliver", "smtpd", "popd", "imapd")


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Run(Case):
    def setUp(self):
        self.server = Instance("satu.test", "127.0.0.2")
        self.server.__enter__()
        self.addCleanup(self.server.__exit__, None)

    def titles(self):
        """{title: set of pids}, such as "smtpd: parent"."""
        found = {}
        for pid, title in self.server.processes().items():
            if alive(pid):
                found.setdefault(title, set()).add(pid)
        return found

    def assert_back(self, title, pid, before):
        """Soon there are as many of the kind as before, and the dead one is not among them."""
        wait_for(lambda: pid not in self.titles().get(title, ()) and len(self.titles().get(title, ())) == len(before),
                 "%s to be back" % title, 5)

    def test_every_program_runs_under_its_title(self):
        titles = self.titles()
        for name in PROGRAMS:
            self.assertEqual(len(titles.get(name + ": parent", ())), 1, titles)
            self.assertTrue([t for t in titles if t.startswith(name + ": ") and not t.endswith(": parent")], titles)

    def test_a_daemon_that_dies_is_back_soon(self):
        for name in PROGRAMS:
            before = self.titles()[name + ": parent"]
            pid = min(before)
            os.kill(pid, signal.SIGKILL)
            self.assert_back(name + ": parent", pid, before)
            self.server.wait_log(r"%s \(process %d\) was killed by signal 9" % (name, pid))

    def test_each_process_of_each_daemon_is_back_soon(self):
        time.sleep(2.5)  # one that dies twice in a short time is made to wait
        for title, before in sorted(self.titles().items()):
            if title.endswith(": parent"):
                continue
            pid = min(before)
            os.kill(pid, signal.SIGKILL)
            self.assert_back(title, pid, before)

    def test_all_is_well_after_everything_has_died_once(self):
        lama = self.server.add_user("lama")
        for pid in self.server.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

        def greeted():
            with contextlib.suppress(OSError, EOFError, Exception):
                with self.server.smtp(timeout=3) as client:
                    client.sendmail(lama, [lama], letter(lama, lama))
                    return True
        wait_for(greeted, "mail to be accepted again")
        self.server.wait_letters(lama)

    def test_a_reload_keeps_sessions_and_takes_the_new_settings(self):
        server, lama = self.server, self.server.add_user("lama")
        smtp = server.smtp()
        smtp.ehlo()
        smtp.mail(lama)
        secure = server.smtp("submissions")
        secure.ehlo()
        pop, imap = server.pop(lama), server.imap(lama)
        imap.select("INBOX")
        server.settings["smtpd_banner"] = "ESMTP merpati baru"
        server.write_conf()
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: server.log().count("the new configuration is in force") == len(PROGRAMS), "the reload")
        self.assertEqual(smtp.rcpt(lama)[0], 250)
        self.assertEqual(secure.noop()[0], 250)
        self.assertEqual(imap.noop()[0], "OK")
        self.assertEqual(pop.stat()[0], 0)
        self.assertEqual(smtp.data(letter(lama, lama))[0], 250)
        smtp.quit()
        secure.quit()
        pop.quit()
        imap.logout()

        def new_banner():
            with socket.create_connection((server.address, server.ports["mx"]), 5) as client:
                return b"ESMTP merpati baru" in client.recv(512)
        wait_for(new_banner, "the new banner")
        server.wait_letters(lama)

    def served_certificate(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection((self.server.address, self.server.ports["imaps"]), 5) as plain:
            with context.wrap_socket(plain) as client:
                return client.getpeercert(binary_form=True)

    def test_a_reload_takes_a_new_certificate(self):
        before = self.served_certificate()
        self.server.write_certificate()
        self.server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.served_certificate() != before, "the new certificate")

    def test_a_reload_of_a_wrong_configuration_changes_nothing(self):
        before = self.server.processes()
        with open(self.server.conf, "r+") as f:
            text = f.read()
            f.seek(0)
            f.write("smtpd_workerz = 3\n" + text)
        self.server.process.send_signal(signal.SIGHUP)
        self.server.wait_log(r'merpati.conf:1: unknown key "smtpd_workerz"; did you mean "smtpd_workers"\?')
        self.assertEqual(self.server.processes(), before)

    def test_a_certificate_without_its_key_is_not_taken(self):
        before, processes = self.served_certificate(), self.server.processes()
        os.rename(self.server.key, self.server.key + ".old")
        self.server.process.send_signal(signal.SIGHUP)
        self.server.wait_log(r"tls_key: .*No such file")
        self.assertEqual(self.served_certificate(), before)
        self.assertEqual(self.server.processes(), processes)

    def test_sigterm_ends_everything_and_removes_the_sockets(self):
        processes = self.server.processes()
        begin = time.monotonic()
        self.server.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.process.wait(15), 0)
        self.assertLess(time.monotonic() - begin, 8)
        self.assertEqual([p for p in processes if alive(p)], [])
        self.assertEqual(os.listdir(os.path.join(self.server.directory, "run")), ["lock"])

    def test_a_killed_supervisor_leaves_nobody_and_its_place_can_be_taken(self):
        processes = self.server.processes()
        self.server.process.kill()
        self.server.process.wait()
        wait_for(lambda: not [p for p in processes if alive(p)], "the end of all processes", 8)
        self.server.start()
        lama = self.server.add_user("lama")
        with self.server.smtp() as client:
            client.sendmail(lama, [lama], letter(lama, lama))
        self.server.wait_letters(lama)

    def test_only_one_can_run_in_a_directory(self):
        second = self.server.merpati("run", check=False)
        self.assertEqual(second.returncode, 78)
        self.assertIn('another "merpati run" (process %d) holds' % self.server.process.pid, second.stderr)

    def test_stop_and_reload_find_the_running_one(self):
        self.server.merpati("reload")
        self.server.wait_log(r"/run\[\d+\]: reload")
        self.server.merpati("stop")
        self.assertEqual(self.server.process.wait(15), 0)
        self.assertEqual(self.server.merpati("stop", check=False).returncode, 69)


class Check(Case):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="m", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.directory)

    def path(self, name):
        return os.path.join(self.directory, name)

    def check(self, text):
        """(status, what it says) with the paths taken off."""
        with open(self.path("merpati.conf"), "w") as f:
            f.write(text)
        done = subprocess.run([os.path.join(BIN, "merpati"), "check", "-c", self.path("merpati.conf")],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
        return done.returncode, done.stdout.replace(self.directory + "/", "")

    def certificate(self, name, subject="satu.test", days=30):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", self.path(name + ".key"), "-out", self.path(name + ".crt"), "-days", str(days),
                        "-subj", "/CN=" + subject, "-addext", "subjectAltName=DNS:" + subject],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.chmod(self.path(name + ".key"), 0o600)

    BASE = "hostname = satu.test\nspool_directory = spool\nrun_directory = run\ncache_directory = cache\n"

    def test_a_right_configuration(self):
        self.certificate("a")
        status, text = self.check(self.BASE + "tls_certificate = a.crt\ntls_key = a.key\n")
        self.assertEqual((status, text), (0, "merpati.conf: no errors, 0 warnings\n"))

    def test_each_finding_names_file_and_line(self):
        self.certificate("a")
        self.certificate("b", "dua.test")
        os.chmod(self.path("b.key"), 0o604)
        tls = self.BASE + "tls_certificate = %s\ntls_key = %s\n"
        rows = [
            (self.BASE + "hostnam = x\n", 'merpati.conf:5: unknown key "hostnam"; did you mean "hostname"?'),
            (self.BASE + "expire = 40d\n", 'merpati.conf:5: expire: "40d" must be from 1s to 30d'),
            (tls % ("c.crt", "a.key"), "merpati.conf:5: tls_certificate: c.crt: No such file or directory"),
            (tls % ("a.crt", "c.key"), "merpati.conf:6: tls_key: c.key: No such file or directory"),
            (tls % ("a.crt", "b.key"), "merpati.conf:6: tls_key: the key in b.key does not belong to the certificate in "
                                       "a.crt"),
            (tls % ("a.crt", "b.key"), "merpati.conf:6: tls_key: b.key can be read by everybody; say: chmod 600 b.key"),
            (tls % ("a.key", "a.key"), "merpati.conf:5: tls_certificate: a.key holds no certificate that can be read"),
            (tls % ("a.crt", "a.crt"), "merpati.conf:6: tls_key: a.crt holds no private key that can be read without a "
                                       "pass phrase"),
            (self.BASE + "[listener x]\nkind = imaps\n",
             "[listener x] of kind imaps needs tls_certificate and tls_key"),
            (self.BASE + "aliases_file = .\n", "merpati.conf:5: aliases_file: "),
        ]
        for configuration, finding in rows:
            with self.subTest(finding=finding):
                status, text = self.check(configuration)
                self.assertEqual(status, 78)
                self.assertIn(finding, text)

    def test_what_is_only_doubtful_is_a_warning(self):
        self.certificate("b", "dua.test", days=3)
        status, text = self.check(self.BASE.replace("satu.test", "satu") +
                                  "networks = 0.0.0.0/0\ntls_certificate = b.crt\ntls_key = b.key\n"
                                  "users_file = none\ndns_trust_ad = no\nmta_sts = no\n[domain satu.test]\naccounts = virtual\n"
                                  "[route dua.test]\ntls = dane\n[route tiga.test]\ntls = sts\n")
        self.assertEqual(status, 0, text)
        for finding in ("[route dua.test]: tls = dane: no DNS server is trusted with DNSSEC (dns_trust_ad); its mail waits",
                        "[route tiga.test]: tls = sts, and mta_sts = no; its mail waits",
                        'merpati.conf:1: warning: hostname: "satu" has no domain',
                        "merpati.conf:5: warning: networks: all the world may relay",
                        "merpati.conf:6: warning: tls_certificate: the certificate in b.crt expires in",
                        "merpati.conf:6: warning: tls_certificate: the certificate in b.crt is not for this host's name",
                        "merpati.conf:8: warning: users_file: none is not there"):
            self.assertIn(finding, text)

    def test_an_unreadable_or_endless_file(self):
        status, text = self.check("x = 1\n" * 100000)
        self.assertEqual(status, 78)
        self.assertIn("... and more\n", text)
        status, text = self.check("#" * (1 << 21))
        self.assertEqual(status, 78)
        self.assertIn("is larger than 1048576 bytes", text)
        done = subprocess.run([os.path.join(BIN, "merpati"), "check", "-c", "/nonexistent/x"], stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 78)
        self.assertTrue(re.search(rb"/nonexistent/x: No such file", done.stderr))


@unittest.skipUnless(shutil.which("systemd-analyze"), "skipped: systemd-analyze is not here")
class Units(Case):
    def test_the_units_are_right(self):
        directory = tempfile.mkdtemp(prefix="m", dir="/tmp")
        self.addCleanup(shutil.rmtree, directory)
        units = os.path.join(directory, "units")
        shutil.copytree(os.path.join(ROOT, "etc", "systemd"), units)
        names = [n for n in sorted(os.listdir(units)) if os.path.isfile(os.path.join(units, n))]
        for name in names:
            path = os.path.join(units, name)
            with open(path) as f:
                text = f.read()
            with open(path, "w") as f:
                f.write(re.sub(r"(ExecStart=)/usr/libexec/merpati", r"\1" + BIN, text))
        done = subprocess.run(["systemd-analyze", "verify"] + [os.path.join(units, n) for n in names],
                              env=dict(os.environ, SYSTEMD_UNIT_PATH=units + ":/lib/systemd/system"),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        # the manual pages are only found once they are installed
        self.assertEqual([l for l in done.stdout.splitlines() if "Command 'man " not in l], [])
