"""The shell as users have it: Debian's dash and bash, busybox's ash."""

from pathlib import Path

import pytest

from tests.harness.bundle import Runtime
from tests.harness.native import native
from tests.programs.compare import assert_same

# Every script ends with status 0 natively, under dash, bash and ash alike.
SCRIPTS = {
    "pipeline": "seq 1 5000 | grep 7 | sort -rn | head -n 5 | tr '\\n' ,",
    "pipeline_status": "false | true; echo $?; true | false; echo $?; ! false; echo $?",
    "early_reader_end": "yes | head -n 3; seq 1 100000 | head -n 1",
    "redirections": """
        cd /tmp
        echo one > a; echo two >> a; cat < a
        (echo out; echo err >&2) > both 2>&1; cat both
        (echo out; echo err >&2) 2> only; cat only
        exec 3> kept; echo three >&3; exec 3>&-; cat kept
        exec 4< a; read -r line <&4; echo "$line"; read -r line <&4; echo "$line"; exec 4<&-
        set -C; (echo x > a) 2> /dev/null || echo refused
        cat missing 2> /dev/null || echo missing
    """,
    "here_document": """
        name=value
        cat <<END | tr a-z A-Z
$name and $(echo inner)
END
        cat <<'END'
$name
END
    """,
    "background_jobs": """
        sleep 0.2 & first=$!
        (exit 7) & second=$!
        kill -0 $first && echo alive
        wait $second; echo $?
        wait $first; echo $?
        for i in 1 2 3 4 5 6 7 8; do (sleep 0.05; echo $i > /tmp/job$i) & done
        wait
        cat /tmp/job*
    """,
    "signals_end_jobs": """
        # The pause: whether the shell reports an end that it meets in `wait` is a matter of timing.
        sleep 100 & kill -TERM $!; sleep 0.2; wait $!; echo $?
        sleep 100 & kill -KILL $!; sleep 0.2; wait $!; echo $?
        sh -c 'kill -USR1 $$'; echo $?
        sh -c 'kill -SEGV $$'; echo $?
    """,
    "traps": """
        trap 'echo usr1' USR1; kill -USR1 $$; echo after
        trap 'echo usr2 during wait' USR2
        (sleep 0.2; kill -USR2 $$) & sleep 0.6 & wait; wait
        trap '' TERM; kill -TERM $$; echo ignored
        trap - TERM
        (trap 'echo inner exit' EXIT; echo inner)
        trap 'echo bye $?' EXIT
        (exit 3); echo $?
    """,
    "stop_and_continue": """
        sleep 0.4 & job=$!
        kill -STOP $job; sleep 0.1; kill -CONT $job; wait $job; echo $?
    """,
    "substitutions": """
        i=0; while [ $i -lt 20 ]; do i=$((i + $(echo 1))); done; echo $i
        echo "$(echo a; echo b)" | wc -l
        x=$(false); echo $?
        echo `echo old` ${x:-default} ${#i}
    """,
    "functions_and_recursion": """
        fact() { if [ "$1" -le 1 ]; then echo 1; else echo $(($1 * $(fact $(($1 - 1))))); fi; }
        fact 10
    """,
    "files_and_links": """
        umask 022; cd /tmp; mkdir -p d/e/f; echo x > d/e/f/g; ln -s e d/s; ln d/e/f/g d/hard
        chmod 640 d/hard; ls -ln d/hard | cut -c1-23; cat d/s/f/g; readlink d/s
        mv d/e d/moved; find d | sort; cp -R d c; rm -r d; ls c; rmdir c 2> /dev/null || echo full
        touch -t 202001020304.05 c/hard; date -u -r c/hard +%s
        test -L c/s && test ! -e c/s && echo dangling
        : > empty; test -s empty || echo empty; mkfifo fifo; (echo through > fifo) & cat fifo
    """,
    "permissions": """
        cd /tmp; echo secret > f; chmod 600 f; chown 65534:65534 f; ls -ln f | cut -c1-26
        chmod 4755 f; ls -ln f | cut -c1-10; umask 077; : > g; ls -ln g | cut -c1-10
    """,
    "process_tree": """
        sh -c 'sh -c "sh -c \\"exit 9\\""'; echo $?
        (sh -c 'sleep 0.1; echo orphan' &) ; sleep 0.4
        exec sh -c 'echo replaced'
    """,
    "environment": "A=1 sh -c 'echo $A'; export B='two words'; env | grep ^B; env -i /bin/sh -c env | "
    "grep -v -e ^_ -e ^PWD -e ^SHLVL -e ^OLDPWD || echo none",
    "reads_its_input": "wc -c; cat; echo end",
    "much_output": "head -c 3000000 /dev/zero | tr '\\0' x | md5sum; seq 1 30000",
    "proc_self": """
        readlink /proc/self/exe | grep -c readlink\\\\\\|busybox\\\\\\|coreutils
        tr '\\0' ' ' < /proc/self/cmdline; echo
        grep -e ^Name -e ^Uid -e ^Threads /proc/self/status
        ls /proc/self/fd | head -n 3
        cat /proc/1/comm
        (cd /etc && readlink /proc/self/cwd)
    """,
    "devices": """
        echo gone > /dev/null; head -c 4 /dev/zero | od -An -tx1; head -c 8 /dev/urandom | wc -c
        (echo x > /dev/full) 2> /dev/null || echo full
        echo by fd > /dev/stdout; echo piped | cat /dev/stdin; ls -ln /dev/null | cut -c1-10
    """,
}


@pytest.mark.guest
@pytest.mark.parametrize("name", SCRIPTS)
def test_debian_sh(runtime: Runtime, debian_rootfs: Path, name: str) -> None:
    assert_same(runtime, debian_rootfs, SCRIPTS[name], b"line 1\nline 2")


@pytest.mark.guest
@pytest.mark.parametrize("name", SCRIPTS)
def test_busybox_sh(runtime: Runtime, busybox_rootfs: Path, name: str) -> None:
    assert_same(runtime, busybox_rootfs, SCRIPTS[name], b"line 1\nline 2")


BASH = {
    "process_substitution": "diff <(seq 1 5) <(seq 2 6) || true; cat <(echo a) <(echo b)",
    "coprocess": """
        coproc cat; echo hello >&${COPROC[1]}; read -r line <&${COPROC[0]}; echo "$line"
        kill $COPROC_PID; wait $COPROC_PID; echo $?
    """,
    "job_control": """
        set -m; sleep 5 & sleep 0.1; kill %1; wait %1; echo $?
        sleep 0.1 & wait -n; echo $?; jobs
    """,
    "arrays_and_pipefail": """
        set -o pipefail; false | true; echo $?
        a=(one two three); echo ${#a[@]} ${a[-1]}; declare -A m=([k]=v); echo ${m[k]}
        mapfile -t lines < <(seq 1 3); echo "${lines[*]}"; echo "${PIPESTATUS[@]}"
    """,
    "traps": """
        trap 'echo err' ERR; false; trap 'echo debug $BASH_COMMAND' DEBUG; true; trap - DEBUG
        trap 'echo chld' CHLD; (exit 0); sleep 0.05 & wait; trap - CHLD; echo done
    """,
}


@pytest.mark.guest
@pytest.mark.parametrize("name", BASH)
def test_bash(runtime: Runtime, debian_rootfs: Path, name: str) -> None:
    assert_same(runtime, debian_rootfs, BASH[name], shell="/bin/bash")


@pytest.mark.guest
@pytest.mark.parametrize("status", [0, 1, 7, 126, 127, 255])
def test_exit_status_is_the_containers(make_bundle, busybox_rootfs: Path, status: int) -> None:
    assert make_bundle(busybox_rootfs, ["/bin/sh", "-c", f"exit {status}"]).run().status == status


ABORT = "import os, signal; signal.signal(15, signal.SIG_DFL); os.abort()"


@pytest.mark.guest
def test_death_by_signal_is_128_plus_its_number(make_bundle, debian_rootfs: Path) -> None:
    """Also natively init of a pid namespace ignores the SIGABRT that it sends to itself.

    abort(3) then executes an instruction that is not allowed, and nothing ignores that.
    """
    argv = ["/usr/bin/python3", "-c", ABORT]
    assert native(debian_rootfs, argv).status == -11
    outcome = make_bundle(debian_rootfs, argv).run()
    assert outcome.status == 128 + 11, outcome.describe()


@pytest.mark.guest
def test_death_by_abort(runtime: Runtime, debian_rootfs: Path) -> None:
    script = f"python3 -c '{ABORT}' 2>&1; echo $?; python3 -c 'import os; os.kill(os.getpid(), 9)'; echo $?"
    assert_same(runtime, debian_rootfs, script, shell="/bin/dash")
