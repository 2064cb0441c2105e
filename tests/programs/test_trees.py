"""Programs that walk and read whole directory trees."""

from pathlib import Path

import pytest

from tests.harness.bundle import Runtime
from tests.programs.compare import assert_same

DEBIAN = {
    "ls_recursive": "ls -lR /usr",
    "ls_recursive_everything": "ls -lnAiR --time-style=full-iso /etc /var | grep -v ^total | "
    "sed -E 's/^ *[0-9]+ //'",
    "find_everything": "find / -xdev -path /tmp -prune -o -print | sort",
    "find_with_tests": "find /usr -xdev -type f -size +200k -perm -u+x -printf '%s %m %U %p\\n' | sort",
    "find_exec": "find /etc -type f -name '*.conf' -exec wc -c {} + | sort",
    "sha256sum": "cd /usr/share && find . -type f -print0 | sort -z | xargs -0 sha256sum",
    "tar_and_back": """
        cd /usr/share
        tar --sort=name -cf - . | sha256sum
        mkdir /root/copy && tar -cf - . | tar -C /root/copy -xf - && diff -r --no-dereference . /root/copy && echo same
        du -s --apparent-size /root/copy | cut -f1
    """,
    "gzip": """
        cd /tmp; tar --sort=name -C /usr/share -cf - . | gzip -n1 > a.tar.gz; gzip -t a.tar.gz
        sha256sum < a.tar.gz; tar -tzf a.tar.gz | wc -l; gunzip -c a.tar.gz | sha256sum
        tar --sort=name -C /etc -cf - . | xz -1 > b.tar.xz; xz -dc b.tar.xz | sha256sum
    """,
    "grep_recursive": "grep -rIl licen[cs]e /usr/share/doc | sort | sha256sum",
    "stat_everything": "find /usr/bin | sort | xargs stat -c '%n %s %a %u %g %h %F %Y %b'",
    "statfs": "stat -f -c '%s %l' /usr",
    "copy_and_remove": "cp -a /usr/share/doc /root/doc && diff -r --no-dereference /usr/share/doc /root/doc && "
    "find /root/doc | wc -l && rm -r /root/doc && ls -A /root",
}


@pytest.mark.guest
@pytest.mark.parametrize("name", DEBIAN)
def test_debian(runtime: Runtime, debian_rootfs: Path, name: str) -> None:
    assert_same(runtime, debian_rootfs, DEBIAN[name])


BUSYBOX = {
    "ls_recursive": "ls -lR /bin /etc /sbin /usr",
    "find_everything": "find / -xdev | grep -v -e ^/proc -e ^/sys -e ^/dev | sort",
    "tar_gzip_sha256sum": """
        cd /tmp; mkdir t; cp /bin/busybox t/; seq 1 10000 > t/numbers; ln -s numbers t/link
        tar -cf - t | tar -tf - | sort; tar -czf t.tar.gz t; gzip -t t.tar.gz; rm -r t
        tar -xzf t.tar.gz; sha256sum t/*; readlink t/link; bzip2 < t/numbers | bunzip2 | md5sum
    """,
    "text_tools": """
        seq 1 2000 | awk '{s += $1} END {print s}'; seq 1 50 | sed -n '10,12p;s/49/x/p'
        printf 'b\\na\\nc\\n' | sort | tee /tmp/sorted | head -n 1; cut -d: -f1 /etc/passwd
        seq 1 300 | xargs -n 50 echo | wc -l; dd if=/dev/zero bs=1k count=64 2> /dev/null | md5sum
        echo hello | od -c; diff /etc/passwd /etc/group | head -n 2; expr 6 \\* 7
    """,
    "cpio": "cd /etc && find . | sort | cpio -o -H newc 2> /dev/null | (cd /tmp && cpio -i -d "
    "2> /dev/null); diff -r /etc /tmp && echo same",
}


@pytest.mark.guest
@pytest.mark.parametrize("name", BUSYBOX)
def test_busybox(runtime: Runtime, busybox_rootfs: Path, name: str) -> None:
    assert_same(runtime, busybox_rootfs, BUSYBOX[name])
