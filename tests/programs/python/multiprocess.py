import multiprocessing
import os
import signal
import time
from multiprocessing import shared_memory


def square(number):
    return number * number


def count(counter, lock, times):
    for _ in range(times):
        with lock:
            counter.value += 1


def echo(connection):
    while (item := connection.recv()) != "end":
        connection.send(item * 2)


def attach(name):
    memory = shared_memory.SharedMemory(name)
    memory.buf[1] = memory.buf[0] + 1
    memory.close()


def check(method):
    context = multiprocessing.get_context(method)
    with context.Pool(3) as pool:
        print(method, sum(pool.map(square, range(100))), pool.apply_async(square, (7,)).get(20))
    counter, lock = context.Value("i", 0), context.Lock()
    workers = [context.Process(target=count, args=(counter, lock, 200)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(counter.value, [worker.exitcode for worker in workers])
    ours, theirs = context.Pipe()
    process = context.Process(target=echo, args=(theirs,))
    process.start()
    for item in ("a", [1], b"x" * 100000):
        ours.send(item)
        print(len(ours.recv()))
    ours.send("end")
    process.join()
    sleeper = context.Process(target=time.sleep, args=(100,))
    sleeper.start()
    sleeper.kill()
    sleeper.join()
    print(sleeper.exitcode == -signal.SIGKILL)


if __name__ == "__main__":
    for name in ("fork", "spawn", "forkserver"):
        check(name)
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=queue.put, args=("from a child",))
    process.start()
    print(queue.get(timeout=20))
    process.join()
    memory = shared_memory.SharedMemory(create=True, size=100)
    memory.buf[0] = 41
    process = multiprocessing.Process(target=attach, args=(memory.name,))
    process.start()
    process.join()
    print(memory.buf[1])
    memory.close()
    memory.unlink()
    print(os.listdir("/dev/shm"))
    with multiprocessing.Manager() as manager:
        shared = manager.dict()
        process = multiprocessing.Process(target=shared.update, args=({"key": "value"},))
        process.start()
        process.join()
        print(dict(shared))
