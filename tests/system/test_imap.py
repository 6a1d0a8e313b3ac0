"""IMAP by hand: commands and their exact answers, several connections on one mailbox, what foreign tools do to it."""

import os
import re
import socket
import subprocess
import threading
import time
import unittest

from suite import PASSWORD, Case, Instance, wait_for


class Connection:
    """A client that leaves nothing out: every response line as bytes, with its literals in it."""

    def __init__(self, server, kind="imap", login=None):
        self.socket = socket.create_connection((server.address, server.ports[kind]), timeout=20)
        if kind == "imaps":
            self.socket = server.tls_context().wrap_socket(self.socket)
        self.bytes = b""
        self.count = 0
        self.greeting = self.response()
        if login:
            self.ok("LOGIN %s %s" % (login, PASSWORD))

    def close(self):
        self.socket.close()

    def fill(self):
        got = self.socket.recv(65536)
        if not got:
            raise EOFError(self.bytes)
        self.bytes += got

    def take(self, n):
        while len(self.bytes) < n:
            self.fill()
        taken, self.bytes = self.bytes[:n], self.bytes[n:]
        return taken

    def response(self):
        text = b""
        while True:
            while b"\r\n" not in self.bytes:
                self.fill()
            text += self.take(self.bytes.index(b"\r\n") + 2)
            literal = re.search(rb"\{(\d+)\}\r\n$", text)
            if not literal:
                return text[:-2]
            text += self.take(int(literal.group(1)))

    def send(self, data):
        self.socket.sendall(data)

    def until(self, tag):
        untagged = []
        while True:
            line = self.response()
            if line.startswith(tag + b" "):
                return untagged, line[len(tag) + 1:]
            untagged.append(line)

    def command(self, text, *literals):
        """Each literal is sent for a `%` in text, after the server has asked for it."""
        self.count += 1
        tag = b"t%d" % self.count
        parts = (text if isinstance(text, bytes) else text.encode()).split(b"%") if literals else [
            text if isinstance(text, bytes) else text.encode()]
        data = tag + b" " + parts[0]
        for literal, part in zip(literals, parts[1:]):
            self.send(data + b"{%d}\r\n" % len(literal))
            line = self.response()
            if not line.startswith(b"+"):
                return [], line[len(tag) + 1:]
            data = literal + part
        self.send(data + b"\r\n")
        return self.until(tag)

    def ok(self, text, *literals):
        untagged, reply = self.command(text, *literals)
        if not reply.startswith(b"OK"):
            raise AssertionError("%r: %r" % (text, reply))
        return untagged

    def reply(self, text, *literals):
        return self.command(text, *literals)[1]

    def append(self, message, mailbox="INBOX", arguments=""):
        self.count += 1
        tag = b"t%d" % self.count
        self.send(b"%s APPEND %s %s{%d}\r\n" % (tag, mailbox.encode(), arguments.encode(), len(message)))
        line = self.response()
        if not line.startswith(b"+"):
            return line[len(tag) + 1:]
        self.send(message + b"\r\n")
        return self.until(tag)[1]


SIMPLE = b"From: Baru <baru@satu.test>\r\nSubject: satu\r\nDate: Tue, 24 Nov 2026 10:00:00 +0700\r\n\r\nHalo!\r\n"

MIXED = (b"From: \"Baru, B.\" <baru@satu.test>\r\n"
         b"Sender: s@satu.test\r\n"
         b"To: Teman: lama@satu.test, \"L. K.\" <lk@dua.test>;, <@rute.test:x@y.test>\r\n"
         b"Cc: tanpa (Nama)\r\n"
         b"Subject: =?utf-8?q?Apa_kabar=3F?=\r\n"
         b"Date: Tue, 24 Nov 2026 10:00:00 +0700\r\n"
         b"Message-ID: <m1@satu.test>\r\n"
         b"In-Reply-To: <m0@satu.test>\r\n"
         b"MIME-Version: 1.0\r\n"
         b"Content-Type: multipart/mixed; boundary=\"batas\"\r\n"
         b"\r\n"
         b"pembuka\r\n"
         b"--batas\r\n"
         b"Content-Type: text/plain; charset=utf-8\r\n"
         b"Content-Transfer-Encoding: quoted-printable\r\n"
         b"\r\n"
         b"se=\r\nlamat\r\n"
         b"--batas\r\n"
         b"Content-Type: message/rfc822\r\n"
         b"Content-Description: sebuah surat\r\n"
         b"\r\n"
         b"From: dalam@dua.test\r\n"
         b"Subject: dalam\r\n"
         b"Content-Type: multipart/alternative; boundary=bb\r\n"
         b"\r\n"
         b"--bb\r\n"
         b"\r\n"
         b"polos\r\n"
         b"--bb\r\n"
         b"Content-Type: text/html\r\n"
         b"\r\n"
         b"<p>\r\n"
         b"--bb--\r\n"
         b"--batas\r\n"
         b"Content-Type: application/pdf; name=\"a b.pdf\"\r\n"
         b"Content-Disposition: attachment; filename=\"a b.pdf\"\r\n"
         b"Content-Transfer-Encoding: base64\r\n"
         b"Content-ID: <pdf@satu.test>\r\n"
         b"Content-Language: id, en\r\n"
         b"Content-MD5: Q2hlY2s=\r\n"
         b"Content-Location: http://satu.test/a\r\n"
         b"\r\n"
         b"AAAA\r\n"
         b"--batas--\r\n")

INNER = MIXED[MIXED.index(b"From: dalam"):MIXED.index(b"\r\n--batas\r\nContent-Type: application")]


class ImapCase(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Instance("satu.test", "127.0.0.2", settings=dict(cls.settings, auth_scram="never"))
        cls.server.__enter__()
        cls.users = 0

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    settings = {}

    def setUp(self):
        ImapCase.users = getattr(ImapCase, "users", 0) + 1
        self.user = self.server.add_user("u%d%s" % (ImapCase.users, type(self).__name__.lower()))
        self.connections = []

    def tearDown(self):
        for c in self.connections:
            c.close()

    def connect(self, kind="imap", login=True):
        c = Connection(self.server, kind, self.user if login else None)
        self.connections.append(c)
        return c

    def selected(self, *messages):
        c = self.connect()
        for m in messages:
            self.assertRegex(c.append(m), rb"OK \[APPENDUID \d+ \d+\] Appended")
        c.ok("SELECT INBOX")
        return c

    def maildir(self, folder=""):
        name = self.user.split("@")[0]
        return os.path.join(self.server.directory, "mail", self.server.domain, name, "Maildir", folder)


class BeforeLogin(ImapCase):
    def test_greeting_and_capability(self):
        c = self.connect(login=False)
        words = b"IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE STARTTLS AUTH=PLAIN AUTH=LOGIN"
        self.assertEqual(c.greeting, b"* OK [CAPABILITY " + words + b"] satu.test Merpati is ready")
        self.assertEqual(c.command("CAPABILITY"), ([b"* CAPABILITY " + words], b"OK Capabilities told"))
        self.assertEqual(c.reply("NOOP"), b"OK Nothing done")
        self.assertEqual(c.ok('ID ("name" "uji" "x" NIL)')[0][:22], b'* ID ("name" "Merpati"')
        self.assertEqual(c.command("LOGOUT"), ([b"* BYE Goodbye"], b"OK Logged out"))

    def test_what_is_not_for_now(self):
        c = self.connect(login=False)
        self.assertEqual(c.reply("SELECT INBOX"), b"BAD Log in first")
        self.assertEqual(c.reply("UID FETCH 1 FLAGS"), b"BAD Log in first")
        self.assertEqual(c.reply("XYZZY"), b"BAD Unknown command")
        self.assertEqual(c.reply("LOGIN x"), b"BAD LOGIN wants a name and a password")
        self.assertEqual(c.reply("AUTHENTICATE CRAM-MD5"), b"NO No such mechanism")

    def test_login_in_all_ways(self):
        import base64
        plain = base64.b64encode(b"\0%s\0%s" % (self.user.encode(), PASSWORD.encode()))
        after = (b"OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE NAMESPACE UIDPLUS UNSELECT CHILDREN "
                 b"SPECIAL-USE MOVE] Logged in")
        self.assertEqual(self.connect(login=False).reply("LOGIN %s %s" % (self.user, PASSWORD)), after)
        self.assertEqual(self.connect(login=False).reply('LOGIN "%s" "%s"' % (self.user, PASSWORD)), after)
        self.assertEqual(self.connect(login=False).reply("LOGIN % %", self.user.encode(), PASSWORD.encode()), after)
        self.assertEqual(self.connect(login=False).reply(b"AUTHENTICATE PLAIN " + plain), after)
        self.assertEqual(self.connect("imaps", False).reply(b"AUTHENTICATE PLAIN " + plain), after)
        c = self.connect(login=False)
        c.send(b"x AUTHENTICATE PLAIN\r\n")
        self.assertEqual(c.response(), b"+ ")
        c.send(plain + b"\r\n")
        self.assertEqual(c.until(b"x"), ([], after))
        c = self.connect(login=False)
        c.send(b"x LOGIN {%d+}\r\n%s {%d+}\r\n%s\r\ny NOOP\r\n" % (
            len(self.user), self.user.encode(), len(PASSWORD), PASSWORD.encode()))
        self.assertEqual(c.until(b"x"), ([], after))
        self.assertEqual(c.until(b"y"), ([], b"OK Nothing done"))

    def test_wrong_passwords_and_giving_up(self):
        c = self.connect(login=False)
        self.assertEqual(c.reply("LOGIN %s falsch" % self.user), b"NO [AUTHENTICATIONFAILED] Wrong name or password")
        c.send(b"x AUTHENTICATE PLAIN\r\n")
        self.assertEqual(c.response(), b"+ ")
        c.send(b"*\r\n")
        self.assertEqual(c.until(b"x"), ([], b"BAD Authentication given up"))
        c.ok("LOGIN %s %s" % (self.user, PASSWORD))
        self.assertEqual(c.reply("LOGIN a b"), b"BAD Already logged in")

    def test_starttls(self):
        c = self.connect(login=False)
        self.assertEqual(c.reply("STARTTLS"), b"OK Begin TLS now")
        c.socket = self.server.tls_context().wrap_socket(c.socket)
        self.assertNotIn(b"STARTTLS", c.ok("CAPABILITY")[0])
        self.assertEqual(c.reply("STARTTLS"), b"BAD TLS is active already")
        c.ok("LOGIN %s %s" % (self.user, PASSWORD))
        c.ok("SELECT INBOX")

    def test_nothing_is_injected_behind_starttls(self):
        c = self.connect(login=False)
        c.send(b"x STARTTLS\r\ny CAPABILITY\r\n")
        with self.assertRaises((EOFError, ConnectionError)):
            while True:
                self.assertNotIn(b"CAPABILITY IMAP", c.response())

    def test_lines_must_end_in_crlf(self):
        c = self.connect(login=False)
        c.send(b"x NOOP\ny NOOP\r\n")
        self.assertEqual(c.response(), b"* BYE Lines must end in CRLF")
        with self.assertRaises(EOFError):
            c.response()


class Folders(ImapCase):
    def test_list_and_special_use(self):
        c = self.connect()
        self.assertEqual(c.ok('LIST "" ""'), [b'* LIST (\\Noselect) "/" ""'])
        usual = [b'* LIST (\\HasNoChildren) "/" INBOX', b'* LIST (\\HasNoChildren \\Archive) "/" Archive',
                 b'* LIST (\\HasNoChildren \\Drafts) "/" Drafts', b'* LIST (\\HasNoChildren \\Junk) "/" Junk',
                 b'* LIST (\\HasNoChildren \\Sent) "/" Sent', b'* LIST (\\HasNoChildren \\Trash) "/" Trash']
        self.assertEqual(c.ok('LIST "" *'), usual)
        self.assertEqual(c.ok('LIST "" inbox'), usual[:1])
        self.assertEqual(c.ok('LSUB "" *'), [u.replace(b"LIST", b"LSUB") for u in usual])
        self.assertEqual(c.ok("NAMESPACE"), [b'* NAMESPACE (("" "/")) NIL NIL'])

    def test_create_rename_delete(self):
        c = self.connect()
        self.assertEqual(c.reply("CREATE a/b/c"), b"OK Created")
        self.assertEqual(c.reply("CREATE a/b/c"), b"NO [ALREADYEXISTS] There is such a mailbox already")
        self.assertEqual(c.reply("CREATE inbox"), b"NO [ALREADYEXISTS] There is such a mailbox already")
        self.assertEqual(c.reply("CREATE Proyek/"), b"OK Created")
        self.assertEqual(c.reply("CREATE ../x"), b"OK Created")  # a name, not a path
        self.assertFalse(os.path.exists(self.maildir("../x")))
        self.assertEqual(c.reply("DELETE ../x"), b"OK Deleted")
        self.assertEqual(c.ok('LIST "" a/%'), [b'* LIST (\\Noselect \\HasChildren) "/" a/b'])
        self.assertEqual(c.ok('LIST a/ *'), [b'* LIST (\\Noselect \\HasChildren) "/" a/b',
                                             b'* LIST (\\HasNoChildren) "/" a/b/c'])
        self.assertEqual(c.ok('LIST "" %')[1:3], [b'* LIST (\\HasNoChildren \\Archive) "/" Archive',
                                                  b'* LIST (\\HasNoChildren \\Drafts) "/" Drafts'])
        self.assertEqual(c.reply("SELECT a/b"), b"NO [NONEXISTENT] There is no such mailbox")
        self.assertEqual(c.reply("RENAME a x"), b"OK Renamed")
        self.assertEqual(c.ok('LIST "" x*'), [b'* LIST (\\Noselect \\HasChildren) "/" x',
                                              b'* LIST (\\Noselect \\HasChildren) "/" x/b',
                                              b'* LIST (\\HasNoChildren) "/" x/b/c'])
        self.assertEqual(c.reply("RENAME a y"), b"NO [NONEXISTENT] There is no such mailbox")
        self.assertEqual(c.reply("DELETE x/b/c"), b"OK Deleted")
        self.assertEqual(c.reply("DELETE x/b/c"), b"NO [NONEXISTENT] There is no such mailbox")
        self.assertEqual(c.reply("DELETE INBOX"), b"NO [CANNOT] Not with this mailbox")
        self.assertEqual(c.ok('LIST "" x*'), [])

    def test_subscriptions(self):
        c = self.connect()
        self.assertEqual(c.reply("SUBSCRIBE p/q"), b"OK Subscribed")
        self.assertEqual(c.ok('LSUB "" p*'), [b'* LSUB (\\HasNoChildren) "/" p/q'])
        self.assertEqual(c.reply("SUBSCRIBE p/r/s"), b"OK Subscribed")
        self.assertEqual(c.ok('LSUB "" p%'), [b'* LSUB (\\Noselect \\HasChildren) "/" p'])
        self.assertEqual(c.ok('LSUB "" p/%'), [b'* LSUB (\\HasNoChildren) "/" p/q',
                                               b'* LSUB (\\Noselect \\HasChildren) "/" p/r'])
        self.assertEqual(c.reply("UNSUBSCRIBE p/r/s"), b"OK Unsubscribed")
        self.assertEqual(c.ok('LIST "" p*'), [])
        self.assertEqual(c.reply("UNSUBSCRIBE p/q"), b"OK Unsubscribed")
        self.assertEqual(c.ok('LSUB "" p*'), [])

    def test_names_in_modified_utf7(self):
        c = self.connect()
        c.ok('CREATE "Entw&APw-rfe &- Co"')
        self.assertEqual(c.ok('LIST "" Entw*'), [b'* LIST (\\HasNoChildren) "/" "Entw&APw-rfe &- Co"'])
        c.ok('SELECT "Entw&APw-rfe &- Co"')
        c.ok('CREATE "titik.di.nama"')
        self.assertEqual(c.ok('LIST "" t*'), [b'* LIST (\\HasNoChildren) "/" titik.di.nama'])

    def test_status(self):
        c = self.connect()
        c.append(SIMPLE, "Sent", "(\\Seen) ")
        c.append(SIMPLE, "Sent")
        line = c.ok("STATUS Sent (MESSAGES RECENT UNSEEN UIDNEXT UIDVALIDITY)")[0]
        self.assertRegex(line, rb"^\* STATUS Sent \(MESSAGES 2 RECENT 1 UIDNEXT \d+ UIDVALIDITY \d+ UNSEEN 1\)$")
        self.assertEqual(c.reply("STATUS none (MESSAGES)"), b"NO [NONEXISTENT] There is no such mailbox")
        self.assertEqual(c.reply("STATUS Sent (FOO)"), b"BAD Unknown status item")


class Messages(ImapCase):
    def test_select(self):
        c = self.selected(SIMPLE, SIMPLE)
        lines = c.ok("SELECT INBOX")
        self.assertEqual(lines[0], b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\Recent $Forwarded)".replace(
            b" \\Recent", b""))
        self.assertEqual(lines[1], b"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded \\*)]"
                                   b" Flags that are kept")
        self.assertEqual(lines[2:5], [b"* 2 EXISTS", b"* 0 RECENT", b"* OK [UNSEEN 1] First unseen message"])
        self.assertRegex(lines[5], rb"^\* OK \[UIDVALIDITY \d+\]")
        self.assertRegex(lines[6], rb"^\* OK \[UIDNEXT \d+\]")
        self.assertEqual(c.reply("SELECT INBOX"), b"OK [READ-WRITE] Selected")
        self.assertEqual(c.reply("EXAMINE INBOX"), b"OK [READ-ONLY] Selected")
        self.assertEqual(c.reply("STORE 1 FLAGS (\\Seen)"), b"NO [READ-ONLY] The mailbox was opened with EXAMINE")
        self.assertEqual(c.reply("EXPUNGE"), b"NO [READ-ONLY] The mailbox was opened with EXAMINE")
        self.assertEqual(c.reply("SELECT none"), b"NO [NONEXISTENT] There is no such mailbox")
        self.assertEqual(c.reply("FETCH 1 UID"), b"BAD Select a mailbox first")

    def test_fetch_simple(self):
        c = self.connect()
        c.append(SIMPLE, "INBOX", '(\\Flagged kata) "24-Nov-2026 10:00:00 +0700" ')
        c.ok("SELECT INBOX")
        self.assertEqual(c.ok("FETCH 1 (UID FLAGS RFC822.SIZE)"), [
            b"* 1 FETCH (UID 1 FLAGS (\\Flagged kata) RFC822.SIZE %d)" % len(SIMPLE)])
        date = c.ok("FETCH 1 INTERNALDATE")[0]
        import imaplib
        self.assertEqual(time.mktime(imaplib.Internaldate2tuple(date)), 1795489200)
        self.assertEqual(c.ok("FETCH 1 BODY.PEEK[]"), [b"* 1 FETCH (BODY[] {%d}\r\n%s)" % (len(SIMPLE), SIMPLE)])
        self.assertEqual(c.ok("FETCH 1 BODY[TEXT]"), [
            b"* 1 FETCH (FLAGS (\\Flagged \\Seen kata) BODY[TEXT] {7}\r\nHalo!\r\n)"])
        self.assertEqual(c.ok("FETCH 1 BODY[TEXT]<2.3>"), [b"* 1 FETCH (BODY[TEXT]<2> {3}\r\nlo!)"])
        self.assertEqual(c.ok("FETCH 1 BODY[TEXT]<7.3>"), [b"* 1 FETCH (BODY[TEXT]<7> {0}\r\n)"])
        self.assertEqual(c.ok("FETCH 1 BODY[TEXT]<5.1>"), [b"* 1 FETCH (BODY[TEXT]<5> {1}\r\n\r)"])
        self.assertEqual(c.ok("FETCH 1 (BODY[1] BODY[2] BODY[1.MIME] BODY[1.1])"), [
            b"* 1 FETCH (BODY[1] {7}\r\nHalo!\r\n BODY[2] NIL BODY[1.MIME] {%d}\r\n%s BODY[1.1] NIL)" % (
                len(SIMPLE) - 7, SIMPLE[:-7])])
        self.assertEqual(c.ok("FETCH 1 RFC822.TEXT"), [b"* 1 FETCH (RFC822.TEXT {7}\r\nHalo!\r\n)"])
        self.assertEqual(c.ok("FETCH 1 RFC822"), [b"* 1 FETCH (RFC822 {%d}\r\n%s)" % (len(SIMPLE), SIMPLE)])
        self.assertEqual(c.ok("FETCH 1 RFC822.HEADER"), [
            b"* 1 FETCH (RFC822.HEADER {%d}\r\n%s)" % (len(SIMPLE) - 7, SIMPLE[:-7])])
        self.assertEqual(c.ok('FETCH 1 BODY.PEEK[HEADER.FIELDS (subject "X-None")]'), [
            b"* 1 FETCH (BODY[HEADER.FIELDS (subject X-None)] {17}\r\nSubject: satu\r\n\r\n)"])
        self.assertEqual(c.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (From Date)]"), [
            b"* 1 FETCH (BODY[HEADER.FIELDS.NOT (From Date)] {17}\r\nSubject: satu\r\n\r\n)"])
        self.assertEqual(c.reply("FETCH 2 UID"), b"BAD There is no message with this number")
        self.assertEqual(c.command("UID FETCH 2:9 UID"), ([], b"OK Fetched"))
        self.assertEqual(c.ok("UID FETCH 9:* FLAGS"), [b"* 1 FETCH (UID 1 FLAGS (\\Flagged \\Seen kata))"])

    def test_fetch_macros(self):
        c = self.selected(SIMPLE)
        address = b'(("Baru" NIL "baru" "satu.test"))'
        envelope = (b'ENVELOPE ("Tue, 24 Nov 2026 10:00:00 +0700" "satu" ' + address + b" " + address + b" " + address +
                    b" NIL NIL NIL NIL NIL)")
        body = b'BODY ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 7 1)'
        fast = rb"\* 1 FETCH \(FLAGS \(\\Recent\) RFC822.SIZE %d INTERNALDATE \"[^\"]+\"" % len(SIMPLE)
        self.assertRegex(c.ok("FETCH 1 FAST")[0], b"^" + fast + rb"\)$")
        self.assertRegex(c.ok("FETCH 1 ALL")[0], b"^" + fast + b" " + re.escape(envelope) + rb"\)$")
        self.assertRegex(c.ok("FETCH 1 FULL")[0],
                         b"^" + fast + b" " + re.escape(envelope + b" " + body) + rb"\)$")

    def test_fetch_structure(self):
        c = self.selected(MIXED)
        envelope = (b'("Tue, 24 Nov 2026 10:00:00 +0700" "=?utf-8?q?Apa_kabar=3F?=" '
                    b'(("Baru, B." NIL "baru" "satu.test")) ((NIL NIL "s" "satu.test")) '
                    b'(("Baru, B." NIL "baru" "satu.test")) '
                    b'((NIL NIL "Teman" NIL)(NIL NIL "lama" "satu.test")("L. K." NIL "lk" "dua.test")(NIL NIL NIL NIL)'
                    b'(NIL "@rute.test" "x" "y.test")) (("Nama" NIL "tanpa" "MISSING_DOMAIN")) NIL '
                    b'"<m0@satu.test>" "<m1@satu.test>")')
        self.assertEqual(c.ok("FETCH 1 ENVELOPE"), [b"* 1 FETCH (ENVELOPE " + envelope + b")"])
        inner_envelope = (b'(NIL "dalam" ((NIL NIL "dalam" "dua.test")) ((NIL NIL "dalam" "dua.test")) '
                          b'((NIL NIL "dalam" "dua.test")) NIL NIL NIL NIL NIL)')
        self.assertEqual(c.ok("FETCH 1 BODY"), [
            b'* 1 FETCH (BODY (("text" "plain" ("charset" "utf-8") NIL NIL "quoted-printable" 10 1)'
            b'("message" "rfc822" NIL NIL "sebuah surat" "7bit" %d %s '
            b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0)("text" "html" NIL NIL NIL "7bit" 3 0) '
            b'"alternative") %d)("application" "pdf" ("name" "a b.pdf") "<pdf@satu.test>" NIL "base64" 4) "mixed"))' % (
                len(INNER), inner_envelope, INNER.count(b"\r\n"))])
        self.assertEqual(c.ok("FETCH 1 BODYSTRUCTURE"), [
            b'* 1 FETCH (BODYSTRUCTURE (("text" "plain" ("charset" "utf-8") NIL NIL "quoted-printable" 10 1 NIL NIL NIL '
            b'NIL)("message" "rfc822" NIL NIL "sebuah surat" "7bit" %d %s '
            b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0 NIL NIL NIL NIL)'
            b'("text" "html" NIL NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "alternative" ("boundary" "bb") NIL NIL NIL) %d '
            b'NIL NIL NIL NIL)("application" "pdf" ("name" "a b.pdf") "<pdf@satu.test>" NIL "base64" 4 "Q2hlY2s=" '
            b'("attachment" ("filename" "a b.pdf")) ("id" "en") "http://satu.test/a") "mixed" ("boundary" "batas") NIL '
            b'NIL NIL))' % (len(INNER), inner_envelope, INNER.count(b"\r\n"))])

    def test_fetch_parts(self):
        c = self.selected(MIXED)
        end = INNER.index(b"\r\n\r\n") + 4
        parts = {
            "1": b"se=\r\nlamat",
            "1.MIME": b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
            "2": INNER,
            "2.HEADER": INNER[:end],
            "2.TEXT": INNER[end:],
            "2.MIME": b"Content-Type: message/rfc822\r\nContent-Description: sebuah surat\r\n\r\n",
            "2.1": b"polos",
            "2.1.MIME": b"\r\n",
            "2.2": b"<p>",
            "2.HEADER.FIELDS (SUBJECT)": b"Subject: dalam\r\n\r\n",
            "3": b"AAAA",
            "": MIXED,
            "HEADER": MIXED[:MIXED.index(b"\r\n\r\n") + 4],
            "TEXT": MIXED[MIXED.index(b"\r\n\r\n") + 4:],
        }
        for name, content in parts.items():
            self.assertEqual(c.ok("FETCH 1 BODY.PEEK[%s]" % name), [
                b"* 1 FETCH (BODY[%s] {%d}\r\n%s)" % (name.encode(), len(content), content)], name)
            for start in (0, 1, len(content) // 2):
                piece = content[start:start + 5]
                self.assertEqual(c.ok("FETCH 1 BODY.PEEK[%s]<%d.5>" % (name, start)), [
                    b"* 1 FETCH (BODY[%s]<%d> {%d}\r\n%s)" % (name.encode(), start, len(piece), piece)], name)
        for name in ("4", "1.1", "1.HEADER", "1.TEXT", "2.3", "3.1", "2.1.HEADER", "1.2.3.4.5"):
            self.assertEqual(c.ok("FETCH 1 BODY.PEEK[%s]" % name), [b"* 1 FETCH (BODY[%s] NIL)" % name.encode()])

    def test_strange_messages_come_back_as_they_were(self):
        strange = [b"", b"\r\n", b"x", b"bare\rcr\r\n\r\nx\r\r\ny", b"A: b\r\n\r\n" + bytes(b for b in range(1, 256) if b != 10),
                   b"A: b\r\n\r\n" + b"x" * 100000 + b"\r\n", b"A: b\r\n\r\n" + b".\r\n..\r\n" * 5000,
                   b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n--b"]
        c = self.selected(*strange)
        for i, message in enumerate(strange):
            self.assertEqual(c.ok("FETCH %d (RFC822.SIZE BODY.PEEK[])" % (i + 1)), [
                b"* %d FETCH (RFC822.SIZE %d BODY[] {%d}\r\n%s)" % (i + 1, len(message), len(message), message)])
            c.ok("FETCH %d (ENVELOPE BODYSTRUCTURE BODY.PEEK[1] BODY.PEEK[TEXT])" % (i + 1))

    def test_large_message_in_parts(self):
        message = b"Subject: besar\r\n\r\n" + b"".join(b"baris %d\r\n" % i for i in range(300000))
        c = self.selected(message)
        self.assertEqual(c.ok("FETCH 1 BODY.PEEK[]"), [b"* 1 FETCH (BODY[] {%d}\r\n%s)" % (len(message), message)])
        got = b""
        while len(got) < len(message):
            line = c.ok("FETCH 1 BODY.PEEK[]<%d.131072>" % len(got))[0]
            got += line[line.index(b"}\r\n") + 3:-1]
        self.assertEqual(got, message)

    def test_store(self):
        c = self.selected(SIMPLE, SIMPLE, SIMPLE)
        self.assertEqual(c.ok("STORE 1:2 +FLAGS (\\Seen)"), [
            b"* 1 FETCH (FLAGS (\\Seen \\Recent))", b"* 2 FETCH (FLAGS (\\Seen \\Recent))"])
        self.assertEqual(c.ok("STORE 2 -FLAGS \\Seen"), [b"* 2 FETCH (FLAGS (\\Recent))"])
        self.assertEqual(c.ok("STORE 3 FLAGS.SILENT (\\Answered)"), [])
        lines = c.ok("UID STORE 3 +FLAGS ($Forwarded Baru)")
        self.assertEqual(lines[0], b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded Baru)")
        self.assertEqual(lines[2:], [b"* 3 FETCH (UID 3 FLAGS (\\Answered \\Recent $Forwarded Baru))"])
        self.assertEqual(c.ok("STORE 3 FLAGS ()"), [b"* 3 FETCH (FLAGS (\\Recent))"])
        self.assertEqual(c.reply("STORE 3 FLAGS (\\Recent)"), b"BAD No such flag")
        self.assertEqual(c.reply("STORE 4 FLAGS ()"), b"BAD There is no message with this number")
        self.assertEqual(c.reply("UID STORE 9 FLAGS ()"), b"OK Stored")
        self.assertEqual(c.ok("FETCH 1:* FLAGS"), [
            b"* 1 FETCH (FLAGS (\\Seen \\Recent))", b"* 2 FETCH (FLAGS (\\Recent))", b"* 3 FETCH (FLAGS (\\Recent))"])

    def test_expunge_and_close(self):
        c = self.selected(*[SIMPLE] * 6)
        c.ok("STORE 2,3,5 +FLAGS.SILENT (\\Deleted)")
        self.assertEqual(c.ok("UID EXPUNGE 3:4"), [b"* 3 EXPUNGE"])
        self.assertEqual(c.ok("EXPUNGE"), [b"* 2 EXPUNGE", b"* 3 EXPUNGE"])
        self.assertEqual(c.ok("FETCH 1:* UID"), [b"* 1 FETCH (UID 1)", b"* 2 FETCH (UID 4)", b"* 3 FETCH (UID 6)"])
        c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        self.assertEqual(c.command("CLOSE"), ([], b"OK Closed"))
        self.assertIn(b"* 2 EXISTS", c.ok("SELECT INBOX"))
        c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        self.assertEqual(c.reply("UNSELECT"), b"OK Unselected")
        self.assertIn(b"* 2 EXISTS", c.ok("EXAMINE INBOX"))
        self.assertEqual(c.reply("CLOSE"), b"OK Closed")
        self.assertIn(b"* 2 EXISTS", c.ok("SELECT INBOX"))
        self.assertEqual(len(os.listdir(self.maildir("cur"))), 2)

    def test_copy_and_move(self):
        c = self.selected(*[SIMPLE] * 4)
        c.ok("STORE 2 FLAGS.SILENT (\\Seen kata)")
        self.assertRegex(c.reply("COPY 2:3 Sent"), rb"^OK \[COPYUID \d+ 2:3 1:2\] Copied$")
        self.assertRegex(c.reply("UID COPY 4 Sent"), rb"^OK \[COPYUID \d+ 4 3\] Copied$")
        self.assertEqual(c.reply("UID COPY 99 Sent"), b"OK Copied")
        self.assertEqual(c.reply("COPY 1 none"), b"NO [TRYCREATE] There is no such mailbox")
        lines, reply = c.command("MOVE 1,3 Trash")
        self.assertRegex(lines[0], rb"^\* OK \[COPYUID \d+ 1,3 1:2\] Moved$")
        self.assertEqual(lines[1:], [b"* 1 EXPUNGE", b"* 2 EXPUNGE"])
        self.assertEqual(reply, b"OK Moved")
        self.assertEqual(c.ok("FETCH 1:* UID"), [b"* 1 FETCH (UID 2)", b"* 2 FETCH (UID 4)"])
        c.ok("SELECT Sent")
        self.assertEqual(c.ok("FETCH 1:* (FLAGS BODY.PEEK[TEXT])")[0],
                         b"* 1 FETCH (FLAGS (\\Seen \\Recent kata) BODY[TEXT] {7}\r\nHalo!\r\n)".replace(b" \\Recent", b""))

    def test_append(self):
        c = self.connect()
        self.assertEqual(c.append(SIMPLE, "none"), b"NO [TRYCREATE] There is no such mailbox")
        self.assertEqual(c.append(SIMPLE, "INBOX", "(\\Foo) ")[:3], b"BAD")
        self.assertEqual(c.reply("APPEND INBOX {999999999}"), b"NO [TOOBIG] Message too large")
        c.send(b"x APPEND none {%d+}\r\n%s\r\ny NOOP\r\n" % (len(SIMPLE), SIMPLE))
        self.assertEqual(c.until(b"x"), ([], b"NO [TRYCREATE] There is no such mailbox"))
        self.assertEqual(c.until(b"y"), ([], b"OK Nothing done"))
        c.ok("SELECT INBOX")
        c.send(b"x APPEND INBOX {%d+}\r\n%s\r\n" % (len(SIMPLE), SIMPLE))
        lines, reply = c.until(b"x")
        self.assertEqual(lines, [b"* 1 EXISTS", b"* 1 RECENT"])
        self.assertRegex(reply, rb"^OK \[APPENDUID \d+ 1\] Appended$")

    def test_an_append_that_breaks_off_leaves_nothing(self):
        c = self.connect()
        c.send(b"x APPEND INBOX {1000}\r\n")
        c.response()
        c.send(b"half")
        wait_for(lambda: os.listdir(self.maildir("tmp")), "the beginning of the message")
        c.close()
        wait_for(lambda: not os.listdir(self.maildir("tmp")), "its removal")

    def test_several_connections_see_each_other(self):
        a = self.selected(SIMPLE, SIMPLE, SIMPLE)
        b = self.connect()
        b.ok("SELECT INBOX")
        idler = self.connect()
        idler.ok("EXAMINE INBOX")
        idler.send(b"i IDLE\r\n")
        self.assertEqual(idler.response(), b"+ idling")
        a.ok("STORE 2 +FLAGS.SILENT (\\Seen)")
        self.assertEqual(idler.response(), b"* 2 FETCH (FLAGS (\\Seen \\Recent))".replace(b" \\Recent", b""))
        self.assertEqual(b.ok("NOOP"), [b"* 2 FETCH (FLAGS (\\Seen))"])
        a.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        self.assertEqual(idler.response(), b"* 1 FETCH (FLAGS (\\Deleted))")
        a.ok("EXPUNGE")
        self.assertEqual(idler.response(), b"* 1 EXPUNGE")
        # Numbers hold as long as the client has not been told: only then EXPUNGE.
        self.assertEqual(b.command("FETCH 1:2 UID"), (
            [b"* 2 FETCH (UID 2)"], b"NO [EXPUNGEISSUED] Some messages are no more"))
        self.assertEqual(b.ok("UID FETCH 2 FLAGS"), [b"* 2 FETCH (UID 2 FLAGS (\\Seen))", b"* 1 EXPUNGE"])
        b.append(SIMPLE)
        self.assertEqual(idler.response(), b"* 3 EXISTS")
        idler.send(b"DONE\r\n")
        self.assertEqual(idler.until(b"i")[1], b"OK Idle ended")
        self.assertEqual(a.ok("NOOP"), [b"* 3 EXISTS"])

    def test_other_tools_are_noticed(self):
        c = self.selected(SIMPLE)
        cur = self.maildir("cur")
        with open(os.path.join(self.maildir("new"), "1795489200.x.other"), "wb") as f:
            f.write(b"Subject: from elsewhere\n\nHi\n")
        self.assertEqual(c.ok("NOOP"), [b"* 2 EXISTS", b"* 2 RECENT"])
        self.assertTrue(c.ok("FETCH 2 (RFC822.SIZE BODY[TEXT])")[0].endswith(
            b" RFC822.SIZE 31 BODY[TEXT] {4}\r\nHi\r\n)"))
        names = {n for n in os.listdir(cur) if "S=%d" % len(SIMPLE.replace(b"\r\n", b"\n")) in n}
        name = names.pop()
        os.rename(os.path.join(cur, name), os.path.join(cur, name.split(":")[0] + ":2,F"))
        self.assertEqual(c.ok("NOOP"), [b"* 1 FETCH (FLAGS (\\Flagged \\Recent))"])
        os.unlink(os.path.join(cur, name.split(":")[0] + ":2,F"))
        self.assertEqual(c.ok("NOOP"), [b"* 1 EXPUNGE"])

    def test_a_folder_that_is_deleted_ends_the_session(self):
        a = self.connect()
        a.ok("CREATE x")
        a.ok("SELECT x")
        self.connect().ok("DELETE x")
        a.send(b"n NOOP\r\n")
        self.assertIn(a.response()[:5], (b"n OK ", b"* BYE"))
        with self.assertRaises((EOFError, ConnectionError)):
            a.response()
            a.response()


class Search(ImapCase):
    def setUp(self):
        super().setUp()
        self.c = self.connect()
        self.c.append(SIMPLE, "INBOX", '(\\Seen) "01-Jan-2020 00:00:00 +0000" ')
        self.c.append(MIXED, "INBOX", '(\\Flagged kata) "15-Jun-2021 12:00:00 +0000" ')
        self.c.append(b"From: =?iso-8859-1?q?Ren=E9?= <r@dua.test>\r\nTo: semua@satu.test\r\nSubject: LAGI satu\r\n"
                      b"Date: Mon, 5 Feb 2024 23:30:00 -0800\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
                      b"Content-Transfer-Encoding: base64\r\n\r\nQ2Fm6SBiYXJ1\r\n", "INBOX")
        self.c.ok("SELECT INBOX")

    def search(self, keys, *literals):
        lines = self.c.ok("SEARCH " + keys, *literals)
        self.assertTrue(lines[0].startswith(b"* SEARCH"))
        return [int(n) for n in lines[0].split()[2:]]

    def test_keys(self):
        for keys, found in (
                ("ALL", [1, 2, 3]), ("1,3", [1, 3]), ("*", [3]), ("UID 2:*", [2, 3]), ("SEEN", [1]), ("UNSEEN", [2, 3]),
                ("FLAGGED", [2]), ("KEYWORD kata", [2]), ("UNKEYWORD kata", [1, 3]), ("KEYWORD none", []),
                ("NOT SEEN", [2, 3]), ("OR SEEN FLAGGED", [1, 2]), ("(SEEN) (UNFLAGGED)", [1]), ("DELETED", []),
                ("BEFORE 1-Jan-2021", [1]), ("ON 15-Jun-2021", [2]), ("SINCE 15-Jun-2021", [2, 3]),
                ("SENTON 5-Feb-2024", [3]), ("SENTBEFORE 6-Feb-2024", [3]), ("SENTSINCE 1-Jan-2026", [1, 2]),
                ("LARGER %d" % len(SIMPLE), [2, 3]), ("SMALLER %d" % (len(SIMPLE) + 1), [1]),
                ("SUBJECT satu", [1, 3]), ("SUBJECT lagi", [3]), ("SUBJECT \"apa kabar?\"", [2]), ("FROM baru", [1, 2]),
                ("TO lama", [2]), ("CC tanpa", [2]), ("BCC x", []), ("HEADER Sender \"\"", [2]),
                ("HEADER message-id m1@", [2]), ("BODY halo", [1]), ("BODY selamat", [2]), ("BODY polos", [2]),
                ("BODY dalam", [2]), ("BODY kabar", []), ("TEXT kabar", [2]), ("TEXT baru", [1, 2, 3]),
                ("BODY AAAA", []), ("SUBJECT satu BODY halo", [1]), ("OR SUBJECT lagi BODY polos", [2, 3]),
                ("NOT BODY halo", [2, 3]), ("RECENT", [3]), ("NEW", [3]), ("OLD", [1, 2])):
            self.assertEqual(self.search(keys), found, keys)
        self.assertEqual(self.c.ok("UID SEARCH FLAGGED"), [b"* SEARCH 2"])

    def test_charsets(self):
        self.assertEqual(self.search("CHARSET UTF-8 FROM %", "René".encode()), [3])
        self.assertEqual(self.search("CHARSET UTF-8 FROM %", "RENÉ".encode()), [3])
        self.assertEqual(self.search("CHARSET ISO-8859-1 BODY %", b"caf\xe9"), [3])
        self.assertEqual(self.search("CHARSET ISO-8859-15 BODY %", b"CAF\xc9"), [3])
        self.assertEqual(self.search("CHARSET US-ASCII BODY caf"), [3])
        self.assertTrue(self.c.reply("SEARCH CHARSET X-KLINGON ALL").startswith(b"NO [BADCHARSET ("))
        self.assertEqual(self.c.reply("SEARCH FOO"), b"BAD Unknown search key")


class Limits(ImapCase):
    settings = {"imap_connections_per_user": 3, "message_size_limit": "64K", "imap_timeout": "3s"}

    def test_connections_per_user(self):
        for _ in range(3):
            self.connect()
        c = self.connect(login=False)
        self.assertTrue(c.reply("LOGIN %s %s" % (self.user, PASSWORD)).startswith(b"NO ["))

    def test_message_size(self):
        c = self.connect()
        self.assertEqual(c.append(b"x" * 65537), b"NO [TOOBIG] Message too large")
        self.assertRegex(c.append(b"x" * 65536), rb"^OK \[APPENDUID")

    def test_silence_ends_a_session(self):
        c = self.connect()
        self.assertEqual(c.response(), b"* BYE Waited too long")
        with self.assertRaises(EOFError):
            c.response()

    def test_a_client_that_does_not_read_holds_up_nobody(self):
        deaf, other = self.connect(), self.connect()
        for _ in range(8):
            other.append(b"x" * 60000)
        deaf.ok("SELECT INBOX")
        for _ in range(200):
            deaf.send(b"x FETCH 1:* BODY.PEEK[]\r\n")
        begin = time.monotonic()
        for _ in range(20):
            other.ok("NOOP")
            other.ok("STATUS INBOX (MESSAGES)")
        self.assertLess(time.monotonic() - begin, 10)


class Life(ImapCase):
    """What happens around a session: deliveries, signals, a killed process, a full disk."""

    def session_processes(self):
        return [pid for pid, words in self.server.processes().items() if "session" in words and self.user in words]

    def test_an_idle_client_hears_of_a_delivery(self):
        c = self.selected()
        c.send(b"i IDLE\r\n")
        self.assertEqual(c.response(), b"+ idling")
        begin = time.monotonic()
        with self.server.smtp() as smtp:
            smtp.sendmail("baru@dua.test", [self.user], SIMPLE)
        self.assertEqual(c.response(), b"* 1 EXISTS")
        self.assertEqual(c.response(), b"* 1 RECENT")
        self.assertLess(time.monotonic() - begin, 15)
        c.send(b"DONE\r\n")
        c.until(b"i")
        self.assertTrue(c.ok("FETCH 1 BODY.PEEK[]")[0].endswith(SIMPLE + b")"))

    def test_a_killed_process_is_replaced(self):
        c = self.selected(SIMPLE)
        uids = c.ok("FETCH 1 UID")
        (pid,) = self.session_processes()
        os.kill(pid, 9)
        with self.assertRaises((EOFError, ConnectionError)):
            c.command("NOOP")
        again = self.connect()
        again.ok("SELECT INBOX")
        self.assertEqual(again.ok("FETCH 1 UID"), uids)

    def test_a_reload_drops_no_session(self):
        c, tls = self.selected(SIMPLE), self.connect("imaps")
        os.kill(self.server.process.pid, 1)
        time.sleep(0.5)
        self.assertEqual(c.ok("FETCH 1 UID"), [b"* 1 FETCH (UID 1)"])
        tls.ok("SELECT INBOX")
        self.connect().ok("SELECT INBOX")

    def test_the_end_is_told_to_all(self):
        idle, other = self.selected(SIMPLE), self.connect("imaps")
        idle.send(b"i IDLE\r\n")
        self.assertEqual(idle.response(), b"+ idling")
        self.server.stop()
        try:
            for c in (idle, other):
                self.assertEqual(c.response(), b"* BYE [UNAVAILABLE] The server is being restarted")
        finally:
            self.server.start()

    @unittest.skipUnless(os.getuid() == 0, "skipped: mounting needs root")
    def test_a_full_disk_loses_nothing(self):
        c = self.connect()
        c.append(SIMPLE)
        home = os.path.dirname(os.path.dirname(self.maildir("")))
        c.ok("LOGOUT")
        for pid in self.session_processes():
            os.kill(pid, 9)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k,mode=0700,uid=%d,gid=%d" % (
            os.stat(home).st_uid, os.stat(home).st_gid), "none", home], check=True)
        try:
            c = self.connect()
            kept, reply = 0, b"OK"
            while reply.startswith(b"OK") and kept < 100:
                reply = c.append(b"Subject: %d\r\n\r\n" % kept + b"x" * 20000)
                kept += reply.startswith(b"OK")
            self.assertEqual(reply, b"NO [OVERQUOTA] No space left for mail")
            c.ok("SELECT INBOX")
            self.assertGreater(kept, 3)
            self.assertEqual(len(c.ok("FETCH 1:* BODY.PEEK[]")), kept)
            self.assertEqual(os.listdir(os.path.join(self.maildir(""), "tmp")), [])
            # Room is made with the same connection.
            c.ok("STORE 1:3 +FLAGS.SILENT (\\Deleted)")
            c.ok("EXPUNGE")
            self.assertRegex(c.append(SIMPLE), rb"^OK \[APPENDUID")
        finally:
            for connection in self.connections:
                connection.close()
            for pid in self.session_processes():
                os.kill(pid, 9)
            wait_for(lambda: subprocess.run(["umount", home], stderr=subprocess.DEVNULL).returncode == 0, "umount")


class Slices(ImapCase):
    def test_a_long_search_does_not_hold_up_others(self):
        a = self.connect()
        message = b"Subject: x\r\n\r\n" + b"kata " * 20000
        for _ in range(3):
            a.append(message)
        a.ok("SELECT INBOX")
        for _ in range(6):
            a.ok("COPY 1:* INBOX")
        b = self.connect()
        a.send(b"s SEARCH TEXT tidakada\r\n")
        slowest = 0
        done = threading.Event()
        thread = threading.Thread(target=lambda: (a.until(b"s"), done.set()))
        thread.start()
        while not done.is_set():
            begin = time.monotonic()
            b.ok("NOOP")
            slowest = max(slowest, time.monotonic() - begin)
        thread.join()
        self.assertLess(slowest, 1.5)


if __name__ == "__main__":
    unittest.main()
