"""What `make install` puts where: all that `merpati` hands over to must be there, and have a manual page."""

import os
import re
import subprocess
import tempfile
import unittest

from suite import BIN, ROOT, Case

BUILT_IN = {"run", "check", "reload", "stop"}


class Install(Case):
    @classmethod
    def setUpClass(cls):
        cls.place = tempfile.TemporaryDirectory(prefix="m", dir="/tmp")
        cls.addClassCleanup(cls.place.cleanup)
        # What is tested is built already: the one who runs the tests sees to that.
        subprocess.run(["make", "-s", "-C", ROOT, "-o", "all", "install", "DESTDIR=" + cls.place.name,
                        "VARIANT=" + os.path.basename(os.path.dirname(BIN))], check=True, timeout=120,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        # Another PREFIX than that of the build would have it all built anew.
        cls.prefix = next(path for path, names, _ in os.walk(cls.place.name) if "libexec" in names)

    def path(self, *words):
        return os.path.join(self.prefix, *words)

    def test_all_that_merpati_hands_over_to_is_installed(self):
        told = subprocess.run([self.path("bin", "merpati"), "help"], check=True, stdout=subprocess.PIPE, text=True).stdout
        names = set(re.findall(r"(?m)(?:usage:|^) +merpati (\w+) ", told)) - {"COMMAND"}
        self.assertLess(BUILT_IN, names)
        for name in names - BUILT_IN:
            self.assertTrue(os.access(self.path("libexec", "merpati", "merpati-" + name), os.X_OK), name)
            self.assertTrue(os.path.exists(self.path("share", "man", "man8", "merpati-%s.8" % name)), name)

    def test_every_program_that_is_built_has_its_place(self):
        places = [self.path(*words) for words in (("bin",), ("sbin",), ("libexec", "merpati"))]
        for name in os.listdir(BIN):
            self.assertTrue(any(os.access(os.path.join(p, name), os.X_OK) for p in places), name)


if __name__ == "__main__":
    unittest.main()
