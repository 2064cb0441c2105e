import os
import signal
import subprocess
import sys

print(subprocess.run(["echo", "hello"], capture_output=True, text=True).stdout, end="")
print(subprocess.run("exit 9", shell=True).returncode)
print(subprocess.run(["cat"], input=b"x" * 300000, stdout=subprocess.PIPE).stdout.count(b"x"))
print(subprocess.Popen(["sleep", "100"]).poll())
child = subprocess.Popen(["sleep", "100"])
child.terminate()
print(child.wait(), child.returncode == -signal.SIGTERM)
try:
    subprocess.run(["sleep", "100"], timeout=0.1)
except subprocess.TimeoutExpired:
    print("timed out")
try:
    subprocess.run(["/missing"])
except FileNotFoundError as error:
    print(error)
many = [subprocess.Popen(["sh", "-c", f"exit {n}"]) for n in range(20)]
print([process.wait() for process in many])
left, right = os.pipe()
with subprocess.Popen(["sh", "-c", f"echo by fd >&{right}"], pass_fds=[right]):
    os.close(right)
    print(os.read(left, 100))
first = subprocess.Popen(["seq", "1", "1000"], stdout=subprocess.PIPE)
second = subprocess.Popen(["wc", "-l"], stdin=first.stdout, stdout=subprocess.PIPE)
print(second.communicate()[0])
print(subprocess.check_output([sys.executable, "-c", "import os; print(os.getcwd())"], cwd="/etc"))
pid = os.fork()
if pid == 0:
    os.execvpe("sh", ["sh", "-c", "exit $CODE"], {"CODE": "33", "PATH": "/bin"})
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(os.posix_spawn("/bin/true", ["true"], {}) > 1, os.wait()[1])
os._exit(0)
