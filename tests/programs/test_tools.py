"""Compilers, version control, databases: programs that people really run."""

from pathlib import Path

import pytest

from tests.harness.bundle import Runtime
from tests.programs.compare import assert_same

GCC = {
    "compile_and_run": """
        cd /tmp; cat > hello.c <<'END'
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) { printf("%d %s %s\\n", argc, argv[1], getenv("GREETING")); return 3; }
END
        gcc -O2 -Wall -o hello hello.c && GREETING=hi ./hello world; echo $?
    """,
    "static_and_threads": """
        cd /tmp; cat > threads.c <<'END'
#include <pthread.h>
#include <stdio.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long total;
static void *work(void *n) {
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&lock); total += (long)n; pthread_mutex_unlock(&lock);
    }
    return n;
}
int main(void) {
    pthread_t t[8]; void *result; long sum = 0;
    for (long i = 0; i < 8; i++) pthread_create(&t[i], NULL, work, (void *)i);
    for (int i = 0; i < 8; i++) { pthread_join(t[i], &result); sum += (long)result; }
    printf("%ld %ld\\n", total, sum); return 0;
}
END
        gcc -static -pthread -o threads threads.c && ./threads && gcc -pthread -o dyn threads.c && ./dyn
    """,
    "shared_library": """
        cd /tmp; echo 'int answer(void) { return 42; }' > lib.c
        cat > main.c <<'END'
#include <dlfcn.h>
#include <stdio.h>
int main(void) {
    void *lib = dlopen("./libanswer.so", RTLD_NOW);
    int (*answer)(void) = (int (*)(void))dlsym(lib, "answer");
    printf("%d %s\\n", answer(), dlopen("./missing.so", RTLD_NOW) ? "?" : "missing"); return 0;
}
END
        gcc -shared -fPIC -o libanswer.so lib.c && gcc -o main main.c -ldl && ./main
    """,
    "make_in_parallel": """
        mkdir /root/p && cd /root/p
        for i in 1 2 3 4 5 6; do echo "int f$i(void) { return $i; }" > f$i.c; done
        printf 'int f1(void), f6(void); int main(void) { return f1() + f6(); }' > main.c
        printf 'prog: f1.o f2.o f3.o f4.o f5.o f6.o main.o\\n\\t$(CC) -o $@ $^\\n' > Makefile
        make -s -j 3 && ./prog; echo $?; make; touch -d 2020-01-01 f1.c; make -q && echo fresh
    """,
    "errors": "cd /tmp; echo 'int main(void) { return x; }' > e.c; gcc e.c 2> err; echo $?; "
    "grep -c undeclared err",
}

_AUTHOR = """
    export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@localhost GIT_COMMITTER_NAME=c
    export GIT_COMMITTER_EMAIL=c@localhost GIT_AUTHOR_DATE='2024-01-02T03:04:05Z'
    export GIT_COMMITTER_DATE='2024-01-02T03:04:05Z' GIT_CONFIG_COUNT=1
    export GIT_CONFIG_KEY_0=init.defaultBranch GIT_CONFIG_VALUE_0=main
"""

GIT = {
    "init_add_commit_log": _AUTHOR
    + """
        git init -q /root/r && cd /root/r
        for i in 1 2 3; do echo $i > f$i; git add f$i; git commit -q -m "commit $i"; done
        git log --stat --format='%H %an %s'; git status --short; git fsck 2>&1
    """,
    "branch_merge_diff": _AUTHOR
    + """
        git init -q /root/r && cd /root/r && seq 1 20 > f && git add f && git commit -qm base
        git checkout -qb side && sed -i s/^3$/three/ f && git commit -qam side
        git checkout -q main && sed -i s/^17$/seventeen/ f && git commit -qam main
        git diff side main; git merge -q -m merged side && git log --graph --oneline; cat f
        git checkout -q side~1 2>&1; git branch -a; git show --stat HEAD
    """,
    "clone_and_gc": _AUTHOR
    + """
        git init -q /root/r && cd /root/r && cp -r /usr/share/doc/git . && git add . &&
        git commit -qm many && git gc -q && git count-objects -v | grep -e in-pack -e packs
        git clone -q /root/r /root/c && cd /root/c && git rev-parse HEAD && git ls-files | wc -l
        rm -r git/contrib; git status --short | wc -l; git checkout -q . && git status --short
        git clone -q file:///root/r /root/d 2>&1 && git -C /root/d rev-parse 'HEAD^{tree}'
    """,
}

SQLITE = {
    "create_and_query": """
        cd /root; sqlite3 db <<'END'
create table t (n integer primary key, name text, value real);
with recursive c(n) as (select 1 union all select n + 1 from c where n < 2000)
  insert into t select n, 'row ' || n, n / 8.0 from c;
create index i on t (name);
select count(*), sum(n), max(value) from t;
select n from t where name = 'row 77';
delete from t where n % 2; select count(*) from t; vacuum; pragma integrity_check;
END
        sqlite3 -header -csv db 'select * from t limit 3'
    """,
    "write_ahead_log": """
        cd /root; sqlite3 w 'pragma journal_mode=wal; create table t (n);'
        for i in 1 2 3 4; do
            (for j in 1 2 3 4 5; do
                sqlite3 -cmd '.timeout 20000' w "insert into t values ($i$j)"; done) &
        done; wait
        sqlite3 w 'select count(*), sum(n) from t; pragma wal_checkpoint(truncate)'; ls w*
    """,
    "locking": """
        cd /root; sqlite3 l 'create table t (n); insert into t values (1)'
        (printf 'begin exclusive; update t set n = 2;\\n.shell touch begun\\n'
         until [ -e tried ]; do sleep 0.05; done; echo 'commit;') | sqlite3 l &
        until [ -e begun ]; do sleep 0.05; done
        sqlite3 l 'select * from t' 2>&1; touch tried; wait; sqlite3 l 'select * from t'
    """,
}

OTHER = {
    "perl": 'perl -e \'my $p = fork; if (!$p) { print "child\\n"; exit 4 } waitpid $p, 0; '
    'print $? >> 8, "\\n"; print join(",", sort map { $_ * 2 } 1..5), "\\n"; '
    'open my $f, "-|", "echo piped"; print <$f>\'',
    "dpkg": "dpkg --list | wc -l; dpkg --verify coreutils; dpkg-query -S /bin/ls",
    "apt_cache": "apt-mark showmanual | wc -l; apt-config dump | grep -c ::",
    "ps": "sleep 9 & ps -e -o comm | sort; ps -o ppid= -C sleep; ps ax | wc -l; kill $!",
    "timeout": "timeout 0.2 sleep 5; echo $?; timeout -s INT 0.2 sh -c 'trap \"\" INT; sleep 0.4'; echo $?",
    "sort_large": "seq 1 200000 | sort -R --random-source=/bin/ls | sort -n --parallel=2 -S 1M | md5sum",
    "split_and_join": "cd /tmp; seq 1 1000 > n; split -l 100 n part; cat part* | cmp - n && ls part* | wc -l",
    "dd": "cd /tmp; dd if=/dev/zero of=f bs=1k seek=100 count=1 2> /dev/null; stat -c %s f; "
    "truncate -s 5 f; wc -c < f; dd if=f of=g bs=3 conv=sync 2>&1 | head -n 2; fallocate -l 9999 h; wc -c < h",
    "install": "cd /tmp; install -D -m 751 /bin/ls a/b/ls; stat -c '%a %s' a/b/ls; a/b/ls a/b",
    "date_and_zones": "date -u -d @1700000000 +%FT%T; TZ=EST5EDT date -d @1700000000 +%T%Z",
    "mktemp": "f=$(mktemp) && test -f $f && stat -c %a $f; d=$(mktemp -d) && stat -c %a $d",
    "flock": "cd /tmp; (flock 9; sleep 0.3; echo first) 9> l & sleep 0.1; flock l echo second; "
    "(flock 9; flock -n l true; echo $?) 9> l; wait",
    "wrappers": "nice -n 5 nice; nohup echo x < /dev/null 2> /dev/null; setsid -w true; "
    "stdbuf -o0 echo y; env -C /etc pwd; chroot / /bin/echo rooted",
}

ALL = {
    f"{kind}-{name}": script
    for kind, table in (("gcc", GCC), ("git", GIT), ("sqlite", SQLITE), ("other", OTHER))
    for name, script in table.items()
}


@pytest.mark.guest
@pytest.mark.parametrize("name", ALL)
def test_debian_tool(runtime: Runtime, debian_rootfs: Path, name: str) -> None:
    assert_same(runtime, debian_rootfs, ALL[name])
