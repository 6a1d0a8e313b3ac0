"""Notifications (RFC 3461, 3464, 6533): who is told what, and that python's email package can read it. queued and bounce are
the real ones; remote, authd and smtpd are played as in test_queue.py. At the end a letter goes through everything."""

import email
import email.errors
import email.policy
import email.utils
import re
import time
import unittest

from suite import wait_for
from test_queue import DEFERRED, DELIVERED, FAILED, QueueCase

SURAT = "用户@dua.test"


# Python reads addresses of RFC 6532, but not without a complaint.
UTF8_ADDRESS = (email.errors.NonASCIILocalPartDefect, email.errors.UndecodableBytesDefect)


def defects_of(message):
    """What python's email package has to say against a message, its parts, and their header fields."""
    found = []
    for part in message.walk():
        found += list(part.defects)
        for name, value in part.items():
            is_utf8 = hasattr(value, "addresses") and not str(value).isascii()
            found += [(name, str(value), d) for d in getattr(value, "defects", ()) if not (is_utf8 and isinstance(d, UTF8_ADDRESS))]
    return found


class Notification:
    """One that any reader can make sense of: this is checked of each that the tests here see."""

    TYPES = {"message/delivery-status": ("rfc822",), "message/global-delivery-status": ("rfc822", "utf-8")}

    def __init__(self, content):
        self.content = content
        self.message = email.message_from_bytes(content, policy=email.policy.default)
        assert self.message.get_content_type() == "multipart/report", self.message.get_content_type()
        assert self.message.get_param("report-type") == "delivery-status"
        assert not defects_of(self.message), defects_of(self.message)
        self.text, self.status, self.returned = self.message.iter_parts()
        self.fields = self.parse(self.status)
        self.per_message, self.recipients = self.fields[0], self.fields[1:]
        self.check_header()
        self.check_fields()

    def check_header(self):
        m = self.message
        assert m["Auto-Submitted"] == "auto-replied" and m["MIME-Version"] == "1.0", m.items()
        assert m["Date"].datetime is not None and m["From"].addresses[0].addr_spec and m["To"].addresses and m["Subject"]
        assert re.fullmatch(r"<[^<>@\s]+@[^<>@\s]+>", m["Message-ID"]), m["Message-ID"]
        assert self.text.get_content_type() == "text/plain" and self.text.get_content().strip()

    def check_fields(self):
        assert re.match(r"dns; \S+$", self.per_message["Reporting-MTA"]), self.per_message.items()
        assert email.utils.parsedate_to_datetime(self.per_message["Arrival-Date"])
        assert self.recipients
        for r in self.recipients:
            kind, _, address = r["Final-Recipient"].partition("; ")
            assert kind in self.TYPES[self.status.get_content_type()] and "@" in address, r.items()
            assert r["Action"] in ("failed", "delayed", "delivered", "relayed", "expanded"), r.items()
            assert re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", r["Status"]), r.items()
            assert r["Diagnostic-Code"] is None or re.match(r"(?i)(smtp|x-[\w-]+); \S", r["Diagnostic-Code"]), r.items()
            assert r["Remote-MTA"] is None or r["Remote-MTA"].startswith("dns; "), r.items()

    @staticmethod
    def parse(status):
        """Python knows the blocks of message/delivery-status; those of the global type are read by the same parser."""
        payload = status.get_payload()
        if isinstance(payload, list) and status.get_content_type() == "message/delivery-status":
            return payload
        raw = status.get_payload(decode=True) if isinstance(payload, str) else payload[0].as_bytes()
        return [email.message_from_string(block) for block in
                re.split("\r?\n\r?\n", raw.decode("utf-8", "surrogateescape").strip())]

    def actions(self):
        return {r["Final-Recipient"].split("; ")[1]: r["Action"] for r in self.recipients}


class NotificationCase(QueueCase):
    def told(self, recipients, answer=None, notify=None, aliases=None, passes_dsn=False, settings="retry = 1h\n", **words):
        """Puts one message in; the notifications about it, once it is through its round, by kind."""
        q = self.queue(settings, aliases=aliases)
        worker = q.worker(lambda a: (answer or (lambda _: None))(a) or (DELIVERED, "2.1.5", "250 2.1.5 taken"))
        worker.passes_dsn = passes_dsn
        of_recipient = [("notify", notify.encode())] if notify else []
        name = q.put("baru@lima.test", recipients, of_recipient=of_recipient + words.pop("more", []), **words)
        q.wait(lambda: q.where(name) in ([], ["deferred"]), "the end of the round")
        found = re.findall(name + r": (sender|postmaster) (\S+) (?:status )?notification: (\S+)", q.log())
        wait_for(lambda: all(own in worker.content for _, _, own in found), "the notifications")
        self.worker, self.q, self.name = worker, q, name
        return [(kind, Notification(worker.content[own])) for _, kind, own in found]


REFUSED = (FAILED, "5.1.1", "550 5.1.1 no such user")
LATER = (DEFERRED, "4.2.0", "450 4.2.0 later")


class Notify(NotificationCase):
    def test_success_is_told_when_it_was_asked_for(self):
        (kind, n), = self.told(["x@satu.test", "y@dua.test"], notify="SUCCESS")
        self.assertEqual(kind, "delivery")
        self.assertEqual(n.actions(), {"x@satu.test": "delivered", "y@dua.test": "relayed"})
        self.assertEqual([r["Status"] for r in n.recipients], ["2.1.5", "2.1.5"])
        self.assertEqual(n.recipients[1]["Remote-MTA"], "dns; dua.test")
        self.assertEqual(n.returned.get_content_type(), "text/rfc822-headers")
        self.assertIn("Delivered to the mailbox", n.text.get_content())

    def test_a_server_that_tells_itself_is_left_to_it(self):
        told = self.told(["x@satu.test", "y@dua.test"], notify="SUCCESS", passes_dsn=True)
        self.assertEqual([n.actions() for _, n in told], [{"x@satu.test": "delivered"}] if told else [])

    def test_what_was_not_asked_for_is_not_told(self):
        for notify, answer, kinds in (
                (None, None, []), ("NEVER", REFUSED, []), ("SUCCESS,DELAY", REFUSED, []), ("FAILURE", None, []),
                ("FAILURE", REFUSED, ["non-delivery"]), (None, REFUSED, ["non-delivery"]), ("success,failure", REFUSED, ["non-delivery"]),
                ("DELAY", LATER, ["delay"]), (None, LATER, ["delay"]), ("FAILURE,SUCCESS", LATER, []), ("NEVER", LATER, [])):
            with self.subTest(notify=notify, answer=answer):
                told = self.told(["y@dua.test"], lambda a: answer if "y@" in a else None, notify,
                                 settings="retry = 1h\ndelay_warning = 1s\n" if answer == LATER else "retry = 1h\n",
                                 time_ms=int(time.time() * 1000) - 5000)
                self.assertEqual([kind for kind, _ in told], kinds)

    def test_one_notification_for_all_that_failed_and_one_for_what_went_well(self):
        told = self.told(["a@dua.test", "b@dua.test", "c@dua.test"], lambda a: REFUSED if a[0] in "ab" else None,
                         notify="SUCCESS,FAILURE")
        self.assertEqual([(kind, n.actions()) for kind, n in told], [
            ("non-delivery", {"a@dua.test": "failed", "b@dua.test": "failed"}), ("delivery", {"c@dua.test": "relayed"})])

    def test_an_alias_of_several_is_expanded_once(self):
        aliases = {"semua@satu.test": "a@satu.test,b@dua.test", "satu@satu.test": "c@dua.test"}
        (_, n), = self.told(["semua@satu.test", "satu@satu.test"], notify="SUCCESS", aliases=aliases,
                            more=[("orcpt", b"rfc822;Asal@satu.test")])
        self.assertEqual(n.actions(), {"semua@satu.test": "expanded", "c@dua.test": "relayed"})
        self.assertEqual({r["Original-Recipient"] for r in n.recipients}, {"rfc822;Asal@satu.test"})
        # For the two of the alias nothing more is told, nor for the notification itself; in how many transactions they go
        # is a matter of the moment.
        words = [word for w in self.worker.wishes for word in w["notify"] if word]
        self.assertEqual(sorted(words), ["NEVER", "NEVER", "NEVER", "SUCCESS"], self.worker.wishes)

    def test_a_list_with_an_owner_is_the_end_of_the_way(self):
        aliases = {"milis@satu.test": "a@dua.test,b@dua.test", "owner-milis@satu.test": "baru@satu.test"}
        (_, n), = self.told(["milis@satu.test"], notify="SUCCESS,FAILURE", aliases=aliases, extra=[("envid", b"q1")])
        self.assertEqual(n.actions(), {"milis@satu.test": "expanded"})
        wishes = [(job[1], w["notify"], w["envid"]) for job, w in zip(self.worker.jobs, self.worker.wishes)
                  if job[0] == self.name]
        self.assertEqual(wishes, [("owner-milis@satu.test", ["", ""], "")])

    def test_a_relay_with_trace_is_told(self):
        told = self.told(["y@dua.test"], extra=[("deliver-by", b"9999999999999 NT")])
        self.assertEqual([n.actions() for _, n in told], [{"y@dua.test": "relayed"}])

    def test_nobody_is_told_of_the_null_senders_success(self):
        q = self.queue("retry = 1h\n")
        worker = q.worker()
        name = q.put("", ["y@dua.test"], of_recipient=[("notify", b"SUCCESS")])
        q.wait_gone(name)
        self.assertEqual(len(worker.jobs), 1)

    def test_notifications_ask_for_none(self):
        told = self.told(["y@dua.test"], lambda a: REFUSED if "y@" in a else None)
        self.assertEqual(len(told), 1)
        self.assertEqual(self.worker.jobs[-1][1], "")
        self.assertEqual(self.worker.wishes[-1]["notify"], ["NEVER"])

    def test_after_a_crash_success_is_told_at_least_once(self):
        q = self.queue("retry = 1h\n")
        worker = q.worker(lambda a: LATER if "nanti" in a else (DELIVERED, "2.0.0", "250 ok"))
        name = q.put("baru@lima.test", ["nanti@dua.test", "y@dua.test"], of_recipient=[("notify", b"SUCCESS")])
        found = q.wait_log(name + ": sender delivery status notification: (\\S+)").group(1)
        q.wait_where(name, "deferred")
        q.stop(kill=True)
        q.start()
        worker = q.worker()
        q.command("retry", name)
        q.wait_gone(name)
        own = re.findall(name + ": sender delivery status notification: (\\S+)", q.log())
        wait_for(lambda: own[-1] in worker.content, "the second notification")
        self.assertEqual(Notification(worker.content[own[-1]]).actions(), {"nanti@dua.test": "relayed"})
        self.assertEqual((own[0], len(own)), (found, 2))


class Contents(NotificationCase):
    def refused(self, recipient="y@dua.test", **words):
        (_, n), = self.told([recipient], lambda a: REFUSED if a == recipient else None, **words)
        return n

    def test_the_message_comes_back_as_ret_says(self):
        for ret, kind in ((None, "message/rfc822"), (b"FULL", "message/rfc822"), (b"HDRS", "text/rfc822-headers")):
            with self.subTest(ret=ret):
                n = self.refused(extra=[("ret", ret)] if ret else [])
                self.assertEqual(n.returned.get_content_type(), kind)
                self.assertIn(b"Subject: Halo", n.returned.as_bytes())
                self.assertEqual(b"Halo!" in n.content, ret != b"HDRS")

    def test_large_and_binary_messages_come_back_as_headers(self):
        n = self.refused(content=b"Subject: Besar\r\n\r\n" + b"x\r\n" * 30000, extra=[("ret", b"FULL")])
        self.assertEqual(n.returned.get_content_type(), "text/rfc822-headers")
        n = self.refused(content=b"Subject: Biner\r\n\r\n\0\n\r\xff", extra=[("body", b"BINARYMIME")])
        self.assertEqual(n.returned.get_content_type(), "text/rfc822-headers")
        self.assertNotIn(b"\0", n.content)

    def test_envelope_id_and_original_recipient_are_told(self):
        n = self.refused(extra=[("envid", b"QQ 314"), ("client", b"mail.tiga.test [192.0.2.7]")],
                         more=[("orcpt", b"rfc822;Y+tag@dua.test")])
        self.assertEqual(n.per_message["Original-Envelope-Id"], "QQ 314")
        self.assertEqual(n.per_message["Received-From-MTA"], "dns; mail.tiga.test")
        self.assertEqual(n.per_message["Reporting-MTA"], "dns; satu.test")
        self.assertEqual(n.recipients[0]["Original-Recipient"], "rfc822;Y+tag@dua.test")
        self.assertEqual(n.recipients[0]["Diagnostic-Code"], "smtp; 550 5.1.1 no such user")

    def test_they_are_handled_as_their_message(self):
        self.refused(extra=[("requiretls", b""), ("priority", b"4")])
        self.assertEqual(self.worker.jobs[-1][1], "")
        self.assertEqual((self.worker.wishes[-1]["flags"], self.worker.wishes[-1]["priority"]), (8 | 16, 4))

    def test_plain_mail_is_told_of_in_plain(self):
        n = self.refused()
        self.assertTrue(n.content.isascii())
        self.assertEqual(self.worker.wishes[-1]["flags"], 0)

    def test_an_address_in_another_script_has_types_of_its_own(self):
        n = self.refused(SURAT, extra=[("smtputf8", b""), ("body", b"8BITMIME")],
                         content="Subject: 你好\r\n\r\nx\r\n".encode(), more=[("orcpt", ("utf-8;" + SURAT).encode())])
        self.assertEqual(n.status.get_content_type(), "message/global-delivery-status")
        self.assertEqual(n.returned.get_content_type(), "message/global")
        self.assertEqual(n.recipients[0]["Final-Recipient"], "utf-8; " + SURAT)
        self.assertEqual(n.recipients[0]["Original-Recipient"], "utf-8;" + SURAT)
        self.assertIn(SURAT, n.content.decode())
        # The sender's own address is plain, so that any server can take the notification that offers 8BITMIME.
        self.assertEqual(self.worker.wishes[-1]["flags"], 1)

    def test_without_such_an_address_the_usual_ones(self):
        n = self.refused(extra=[("smtputf8", b""), ("body", b"8BITMIME")], more=[("orcpt", ("utf-8;" + SURAT).encode())])
        self.assertEqual(n.status.get_content_type(), "message/delivery-status")
        self.assertEqual(n.recipients[0]["Original-Recipient"], "utf-8;\\x{7528}\\x{6237}@dua.test")

    def test_in_indonesian_for_who_wants_that(self):
        n = self.refused(settings="retry = 1h\nnotice_language = id\n")
        self.assertEqual(n.message["Subject"], "Surat Anda tidak dapat disampaikan")
        self.assertIn("tidak\nakan dicoba lagi", n.text.get_content().replace("\r", ""))

    def test_every_kind_can_be_read_in_both_languages(self):
        """Notification itself checks each of them."""
        replies = {"gagal@dua.test": REFUSED, "nanti@dua.test": LATER, SURAT: (FAILED, "5.1.1", "550 5.1.1 没有这个人")}
        for language in ("en", "id"):
            with self.subTest(language=language):
                told = self.told(["gagal@dua.test", "nanti@dua.test", "y@dua.test", "x@satu.test", "semua@satu.test", SURAT],
                                 replies.get, notify="SUCCESS,FAILURE,DELAY", aliases={"semua@satu.test": "a@satu.test,b@dua.test"},
                                 settings="retry = 1h\ndelay_warning = 1s\nnotice_language = %s\n" % language,
                                 extra=[("smtputf8", b""), ("body", b"8BITMIME")], content="Subject: 你好\r\n\r\n你好\r\n".encode(),
                                 time_ms=int(time.time() * 1000) - 5000)
                actions = [action for _, n in told for action in n.actions().values()]
                self.assertLessEqual({"failed", "delayed", "delivered", "relayed", "expanded"}, set(actions), actions)
                self.assertIn("message/global-delivery-status", [n.status.get_content_type() for _, n in told])
                self.assertTrue(any("没有这个人" in n.content.decode() for _, n in told))


if __name__ == "__main__":
    unittest.main()
