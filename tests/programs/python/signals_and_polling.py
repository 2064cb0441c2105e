import asyncio
import os
import select
import signal
import socket
import time

seen = []
signal.signal(signal.SIGALRM, lambda number, frame: seen.append(number))
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
while len(seen) < 3:
    signal.pause()
signal.setitimer(signal.ITIMER_REAL, 0)
print(len(seen) >= 3, seen[0] == signal.SIGALRM)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
os.kill(os.getpid(), signal.SIGUSR1)
print(signal.SIGUSR1 in signal.sigpending(), signal.sigwait([signal.SIGUSR1]).name)
child = os.fork()
if child == 0:
    os._exit(7)
info = os.waitid(os.P_PID, child, os.WEXITED)
print(info.si_status, info.si_code == os.CLD_EXITED, info.si_pid == child)
print(signal.sigtimedwait([signal.SIGUSR2], 0.05))

for awaited in signal.SIGTERM, signal.SIGWINCH:  # deadly, and ignored by default
    signal.pthread_sigmask(signal.SIG_BLOCK, [awaited])
    child = os.fork()
    if child == 0:
        time.sleep(0.2)
        os.kill(os.getppid(), awaited)
        os._exit(0)
    print(signal.sigwait([awaited]).name)
    os.waitpid(child, 0)

left, right = socket.socketpair()
poller = select.poll()
poller.register(left, select.POLLIN | select.POLLOUT)
print(poller.poll(0)[0][1] == select.POLLOUT)
right.send(b"x")
print(poller.poll(1000)[0][1] == select.POLLIN | select.POLLOUT)
right.close()
print(bool(poller.poll(1000)[0][1] & select.POLLHUP), left.recv(10), left.recv(10))
readable, writable = os.pipe()
print(select.select([readable], [writable], [], 0)[1] == [writable])
epoll = select.epoll()
epoll.register(readable, select.EPOLLIN | select.EPOLLET)
print(epoll.poll(0))
os.write(writable, b"y")
print(len(epoll.poll(1)), len(epoll.poll(0)))
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
socket.send_fds(ours, [b"fd"], [readable])
message, fds, _, _ = socket.recv_fds(theirs, 10, 1)
print(message, os.read(fds[0], 1))
server = socket.socket(socket.AF_UNIX)
server.bind("/tmp/socket")
server.listen()
client = socket.socket(socket.AF_UNIX)
client.connect("/tmp/socket")
accepted, _ = server.accept()
client.sendall(b"z" * 50000)
print(len(accepted.recv(50000, socket.MSG_WAITALL)))


async def main():
    process = await asyncio.create_subprocess_exec(
        "cat", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    print(await process.communicate(b"through cat"))
    results = await asyncio.gather(*(asyncio.sleep(0.05, n) for n in range(10)))
    print(sum(results))
    print(await asyncio.to_thread(lambda: "thread"))


asyncio.run(main())
before = time.monotonic()
time.sleep(0.1)
print(0.1 <= time.monotonic() - before < 3, abs(time.time() - time.clock_gettime(0)) < 1)
master, slave = os.openpty()
os.write(master, b"typed\n")
print(os.read(slave, 100), os.read(master, 100), os.isatty(slave))
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
os.close(readable), os.close(fds[0])
try:
    os.write(writable, b"x")
except BrokenPipeError as error:
    print(error.strerror)
