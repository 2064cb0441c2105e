import concurrent.futures
import queue
import threading
import time

jobs, results = queue.Queue(), queue.Queue()


def worker():
    while (item := jobs.get()) is not None:
        results.put(item * item)


threads = [threading.Thread(target=worker) for _ in range(8)]
for thread in threads:
    thread.start()
for number in range(500):
    jobs.put(number)
for _ in threads:
    jobs.put(None)
for thread in threads:
    thread.join()
print(sum(results.get() for _ in range(500)))

barrier, order = threading.Barrier(4), []
condition = threading.Condition()
turn = 0


def step(number):
    global turn
    barrier.wait()
    with condition:
        condition.wait_for(lambda: turn == number)
        order.append(number)
        turn += 1
        condition.notify_all()


with concurrent.futures.ThreadPoolExecutor(4) as pool:
    list(pool.map(step, [3, 2, 1, 0]))
print(order)

event = threading.Event()
began = time.monotonic()
print(event.wait(0.2), 0.19 < time.monotonic() - began < 5)
threading.Timer(0.1, event.set).start()
print(event.wait(10))
lock = threading.Lock()
lock.acquire()
print(lock.acquire(timeout=0.1))
print(len({threading.Thread().name for _ in range(3)}), threading.active_count())
local = threading.local()
local.value = 1
seen = []
thread = threading.Thread(target=lambda: seen.append(hasattr(local, "value")))
thread.start()
thread.join()
print(seen)
semaphore = threading.Semaphore(2)
peak, running = 0, 0


def limited(_):
    global peak, running
    with semaphore:
        with lock_two:
            running += 1
            peak = max(peak, running)
        time.sleep(0.01)
        with lock_two:
            running -= 1


lock_two = threading.Lock()
with concurrent.futures.ThreadPoolExecutor(6) as pool:
    list(pool.map(limited, range(12)))
print(peak <= 2)
