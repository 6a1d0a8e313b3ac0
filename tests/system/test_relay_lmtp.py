"""LMTP relays: over TCP and by a socket outside of the run directory, for other domains and for one of our own."""

import os
import shutil
import tempfile
import unittest

import suite
from smtp_server import SmtpServer
from test_remote import LMTP, RemoteCase


class Relays(RemoteCase):
    def setUp(self):
        super().setUp()
        self.directory = tempfile.mkdtemp(prefix="l", dir="/tmp")
        os.chmod(self.directory, 0o755)
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = os.path.join(self.directory, "lmtp")

    def lmtp(self, **options):
        server = SmtpServer(lmtp=True, **options).start()
        self.addCleanup(server.stop)
        if server.path:
            os.chmod(server.path, 0o666)
        return server

    def send(self, relay, next_hop, recipients=("a@surat.test",)):
        remote = self.remote(25, sections="[route surat.test]\nrelay = lmtp:%s\n" % relay)
        return remote.send(next_hop, list(recipients), route="surat.test", transport=LMTP)

    def test_a_socket_outside_of_the_run_directory(self):
        server = self.lmtp(path=self.path)
        (result,), health, _ = self.send("unix:" + self.path, "unix:" + self.path)
        self.assertEqual((result.status, health, result.relay), ("delivered", "good", "unix:" + self.path))
        self.assertEqual(server.sessions[0].commands[0], "LHLO satu.test")

    def test_each_recipient_has_a_reply_of_its_own(self):
        server = self.lmtp(address="127.0.0.3")
        server.replies["."] = lambda address: "452 4.2.2 full" if address.startswith("b@") else "250 2.1.5 ok"
        server.replies["RCPT"] = lambda argument: "550 5.1.1 who?" if "c@" in argument else "250 ok"
        relay = "[127.0.0.3]:%d" % server.port
        results, _, _ = self.send(relay, relay, ["%s@surat.test" % name for name in "abcd"])
        self.assertEqual([(r.status, r.code) for r in results], [
            ("delivered", "2.1.5"), ("deferred", "4.2.2"), ("failed", "5.1.1"), ("delivered", "2.1.5")])

    def test_no_server_at_the_socket(self):
        (result,), health, _ = self.send("unix:" + self.path, "unix:" + self.path)
        self.assertEqual((result.status, result.code, health), ("deferred", "4.4.1", "dead"))
        self.assertEqual(result.reply, "connect to unix:%s: No such file or directory" % self.path)

    def test_a_worker_gets_no_other_socket_than_the_routes(self):
        self.lmtp(path=self.path)
        (result,), _, _ = self.send("unix:" + self.path, "unix:" + os.path.join(self.directory, "other"))
        self.assertEqual((result.status, result.code), ("deferred", "4.3.5"))


class WholeWay(suite.Case):
    def test_an_own_domain_and_another_one(self):
        with tempfile.TemporaryDirectory(dir="/tmp") as directory:
            os.chmod(directory, 0o755)
            with SmtpServer("127.0.0.3", lmtp=True) as store, SmtpServer(path=directory + "/lmtp", lmtp=True) as other:
                os.chmod(other.path, 0o666)
                sections = "[route satu.test]\nrelay = lmtp:[127.0.0.3]:%d\n[route .dua.test]\nrelay = lmtp:unix:%s\n" % (
                    store.port, other.path)
                with suite.Instance("satu.test", "127.0.0.2", sections=sections) as satu:
                    baru, lama = satu.add_user("baru"), "lama@kotak.dua.test"
                    done = satu.merpati("check", "-c", satu.conf, check=False)
                    self.assertNotIn("route", done.stdout + done.stderr)
                    satu.submit(baru, [baru, lama], suite.letter(baru, baru))
                    suite.wait_for(lambda: store.messages and other.messages, "both")
                    self.assertEqual((store.messages[0].recipients, other.messages[0].recipients), ([baru], [lama]))
                    satu.wait_log("to=<%s>, relay=unix:%s, .*status=sent" % (lama, other.path))
                    self.assertEqual(satu.letters(baru), [])


if __name__ == "__main__":
    unittest.main()
