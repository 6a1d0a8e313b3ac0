"""Accidents on purpose, also for an ordinary user: what a daemon was started with `environment` of can be made to fail as on
a full, read-only or broken disk, and its clock to leap, at any moment (tests/system/preload/accidents.c).

    accidents = Accidents()
    queue = Queue(environment=accidents.environment)
    accidents.fail("rename", errno.ENOSPC)      # from now on
    accidents.fail("write", errno.EIO, 3)       # the fourth and what comes after it
    accidents.clear()
    accidents.leap(86400)                       # the clock shows a day more than it should
"""

import mmap
import os
import struct
import tempfile

from suite import BIN

LIBRARY = os.path.join(os.path.dirname(BIN), "system", "accidents.so")
KINDS = ("create", "rename", "mkdir", "remove", "write", "sync", "read")
FULL = ("create", "rename", "mkdir", "write", "sync")
SIZE = 4096


class Accidents:
    def __init__(self):
        self.file = tempfile.NamedTemporaryFile(prefix="accidents")
        self.file.write(b"\0" * SIZE)
        self.file.flush()
        os.chmod(self.file.name, 0o666)
        self.map = mmap.mmap(self.file.fileno(), SIZE)
        self.environment = {"LD_PRELOAD": LIBRARY, "ACCIDENTS": self.file.name,
                            # In a build with AddressSanitizer that library wants to be the first, and need not be.
                            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}

    def fail(self, kind, errnum, passing=0):
        at = 8 + 8 * KINDS.index(kind)
        struct.pack_into("=i", self.map, at + 4, passing)
        struct.pack_into("=i", self.map, at, errnum)

    def fail_all(self, kinds, errnum):
        for kind in kinds:
            self.fail(kind, errnum)

    def clear(self):
        for kind in KINDS:
            self.fail(kind, 0)

    def leap(self, seconds):
        struct.pack_into("=q", self.map, 0, seconds)

    def close(self):
        self.map.close()
        self.file.close()
