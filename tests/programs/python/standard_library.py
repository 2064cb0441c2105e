import bz2
import ctypes
import decimal
import gzip
import hashlib
import json
import lzma
import os
import pickle
import platform
import random
import re
import resource
import secrets
import sys
import sysconfig
import tarfile
import uuid
import venv
import xml.etree.ElementTree
import zipfile
import zlib

data = bytes(range(256)) * 500
for module in (bz2, gzip, lzma, zlib):
    print(module.__name__, module.decompress(module.compress(data)) == data)
print(hashlib.sha256(data).hexdigest(), hashlib.blake2b(data).hexdigest()[:16])
print(json.loads(json.dumps({"a": [1, 2.5, None]})), pickle.loads(pickle.dumps({1, 2})))
os.chdir("/tmp")
with zipfile.ZipFile("z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("name", data)
print(zipfile.ZipFile("z.zip").testzip())
with tarfile.open("t.tar.xz", "w:xz") as archive:
    archive.add("z.zip")
print(tarfile.open("t.tar.xz").getnames())
print(xml.etree.ElementTree.fromstring("<a><b>t</b></a>").findtext("b"), decimal.Decimal(1) / 3)
print(ctypes.CDLL(None).strlen(b"12345"), ctypes.CDLL(None).getpid() == os.getpid())
print(len(secrets.token_bytes(16)), uuid.uuid4().version, random.Random(3).randint(0, 99))
print(platform.machine(), sys.maxsize, os.cpu_count() > 0, os.uname().nodename)
print(re.sub(r"(\w+) (\w+)", r"\2 \1", "two words"), sysconfig.get_path("stdlib"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 1000, os.getloadavg()[0] >= 0)
print(os.getuid(), os.getgroups(), os.getcwd(), os.umask(0o22))
print(os.get_terminal_size if os.isatty(0) else "no terminal", sys.stdin.read())
print(venv.__name__, sum(i * i for i in range(1000000)))


def deep(n):
    return 0 if n == 0 else 1 + deep(n - 1)


sys.setrecursionlimit(20000)
print(deep(15000), len(bytearray(200 << 20)))
