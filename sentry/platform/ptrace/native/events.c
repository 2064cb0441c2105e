// Host events: one epoll for watched descriptors and timers.
//
// When no guest thread runs, the kernel's thread sleeps in the epoll.  While some
// run it sleeps in waitpid(2) instead, and asks the epoll when a stop has woken
// it anyway: whoever waits for the network stops often, so that nearly all
// events are found so, and cost neither a signal nor another thread's waking.
// Should guests compute for long, a helper thread notices, sleeps in the epoll
// itself, and pokes the kernel's thread.

static int watched_epoll = -1;  // what the kernel watches, and the timers
static int helper_epoll = -1;   // watched_epoll and helper_wake
static int helper_wake = -1;
static int timer_fd = -1;
static int tick_fd = -1;        // the tick of placement.py

static pthread_t helper_thread;
static int helper_is_up;
static int helper_runs;    // set by the helper, which the C library has set up by then
static int helper_quits;
static int helper_sleeps;  // until a guest runs
static int helper_hurries; // a timer is due soon: it shall not wait for its next look
static int helper_watches; // it is in the epoll, or about to be
static int output_waits;   // for the next call of a guest
static pid_t kernel_pid, kernel_tid;

static int is_waiting;      // the kernel's thread is about to be in waitpid
static int is_idle;         // it is about to be in the epoll
static int event_is_due;    // set by the helper, cleared by the kernel's thread
static long asked_ns;       // when the kernel's thread asked the epoll last
static long timer_ns;       // when the timer is due; 0: never
static long resumed_ns;     // when it waited for a thread last that it had just resumed
static int has_resumed;     // it has just resumed one
static int expects_stop;    // one runs that was resumed and stops often

#define MAX_EVENTS 64
static struct epoll_event due_events[MAX_EVENTS];
static int due_count = -1;  // -1: not asked yet

#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_SEQ_CST)

// The epoll is not asked more often than this, however fast the stops are.
#define ASK_NS 100000
// Stops that follow each other as fast as this are frequent.
#define FREQUENT_NS 200000
// The helper looks this often at when it was asked, while guests run.
#define PATROL_NS 1000000
// After as many looks at an idle kernel it sleeps until a guest runs.
#define IDLE_PATROLS 20
// It looks again whether guests stop often, at first and at last.
#define SHORTEST_WATCH_MS 4
#define LONGEST_WATCH_MS 64

static long futex(int *word, int op, int value, const struct timespec *timeout)
{
    return syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

static long now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}

static void set_waiting(int waiting) { STORE(is_waiting, waiting); }

// A thread runs again, or one has stopped.
static void note_resumed(int resumed)
{
    has_resumed = resumed;
    if (!resumed)
        STORE(expects_stop, 0);
}

static int is_timer_near(long now)
{
    long due = LOAD(timer_ns);
    return due && due - now < 2 * PATROL_NS;
}

static void wake_helper(long now)
{
    if (LOAD(helper_sleeps)) {
        STORE(helper_sleeps, 0);
        futex(&helper_sleeps, FUTEX_WAKE_PRIVATE, 1, NULL);
    }
    if (has_resumed) {
        has_resumed = 0;
        STORE(expects_stop, now - resumed_ns < FREQUENT_NS);
        resumed_ns = now;
    }
    // A guest's short sleep ends in time, whatever its other threads compute.  While another
    // stop is sure to come soon, the epoll is asked often enough.
    if (!expects_stop && is_timer_near(now) && !LOAD(helper_watches) && !LOAD(helper_hurries)) {
        STORE(helper_hurries, 1);
        futex(&helper_hurries, FUTEX_WAKE_PRIVATE, 1, NULL);
    }
}

// Called before the kernel's thread waits while guests run.
static int host_event_is_due(void)
{
    if (LOAD(event_is_due) || due_count > 0)
        return 1;
    long now = now_ns();
    wake_helper(now);
    if (now - asked_ns < ASK_NS)
        return 0;
    STORE(asked_ns, now);
    int count = epoll_wait(watched_epoll, due_events, MAX_EVENTS, 0);
    if (count <= 0)
        return 0;
    due_count = count;
    return 1;
}

// Called once the due events were dealt with.
void pt_events_done(void)
{
    if (LOAD(event_is_due)) {
        STORE(event_is_due, 0);
        futex(&event_is_due, FUTEX_WAKE_PRIVATE, 1, NULL);
    }
}

// Sleeps until a descriptor or the timer is due, or a child ends.
static int wait_idle(void)
{
    static sigset_t mask;
    static int has_mask;
    if (!has_mask) {
        sigprocmask(SIG_SETMASK, NULL, &mask);
        sigdelset(&mask, SIGCHLD);
        has_mask = 1;
    }
    if (LOAD(event_is_due))
        pt_events_done();  // what the helper has found is found again here
    STORE(is_idle, 1);
    int count = epoll_pwait(watched_epoll, due_events, MAX_EVENTS, -1, &mask);
    STORE(is_idle, 0);
    STORE(asked_ns, now_ns());
    if (count < 0)
        return STOP_NONE;  // EINTR: a child ended, or a signal for Python
    due_count = count;
    return STOP_HOST_EVENT;
}

// Whether the helper would notice that a guest does not make the call that output waits for.
int pt_may_defer(void) { return helper_is_up && !LOAD(helper_watches); }

// Notes that output waits; returns 0 if the helper would not notice after all.
int pt_note_deferred(int waits)
{
    STORE(output_waits, waits);
    if (!waits || !LOAD(helper_watches))
        return 1;
    STORE(output_waits, 0);
    return 0;
}

// The helper.

// Sleeps for a while, or until `word` is set.
static void pause_patrol(int *word, long delay_ns)
{
    const struct timespec delay = {0, delay_ns};
    futex(word, FUTEX_WAIT_PRIVATE, 0, &delay);
}

// Sleeps until a guest runs.
static void sleep_deeply(void)
{
    STORE(helper_sleeps, 1);
    // The kernel's thread either sees that, or was seen to be idle no more.
    while (LOAD(is_idle) && LOAD(helper_sleeps) && !LOAD(helper_quits))
        futex(&helper_sleeps, FUTEX_WAIT_PRIVATE, 1, NULL);
    STORE(helper_sleeps, 0);
}

// Returns once guests are seen to compute: nobody has asked for a while.
static void patrol(void)
{
    // Who saw it watch, a moment ago, did not wake it for a timer.
    int idle = 0;
    if (!LOAD(is_idle) && !LOAD(expects_stop) && is_timer_near(now_ns()))
        return;
    while (!LOAD(helper_quits)) {
        pause_patrol(&helper_hurries, PATROL_NS);
        if (LOAD(helper_hurries))
            return;
        idle = LOAD(is_idle) ? idle + 1 : 0;
        if (idle > IDLE_PATROLS) {
            sleep_deeply();
            idle = 0;
        } else if (LOAD(is_waiting) && now_ns() - LOAD(asked_ns) > PATROL_NS / 4) {
            return;
        }
    }
}

// Has the kernel's thread deal with what is due.
static void poke(void)
{
    STORE(event_is_due, 1);
    while (LOAD(event_is_due) && !LOAD(helper_quits)) {
        // Again each millisecond: the first may come just before waitpid.
        const struct timespec millisecond = {0, 1000000};
        if (LOAD(is_waiting))
            syscall(SYS_tgkill, kernel_pid, kernel_tid, SIGURG);
        futex(&event_is_due, FUTEX_WAIT_PRIVATE, 1, &millisecond);
    }
}

static void *help(void *unused)
{
    (void)unused;
    STORE(helper_runs, 1);
    futex(&helper_runs, FUTEX_WAKE_PRIVATE, 1, NULL);
    while (!LOAD(helper_quits)) {
        struct epoll_event event;
        long asked;
        int watch_ms = SHORTEST_WATCH_MS;

        patrol();
        STORE(helper_watches, 1);
        STORE(helper_hurries, 0);
        if (LOAD(output_waits) && LOAD(is_waiting)) {
            poke();
            STORE(helper_watches, 0);
            continue;
        }
        do {
            asked = LOAD(asked_ns);
            if (epoll_wait(helper_epoll, &event, 1, watch_ms) == 1) {
                if (event.data.fd == watched_epoll && LOAD(is_waiting))
                    poke();
                else
                    pause_patrol(&helper_quits, ASK_NS);  // it is awake, and will ask
                break;
            }
            if (watch_ms < LONGEST_WATCH_MS)
                watch_ms *= 2;
        } while (LOAD(asked_ns) == asked && !LOAD(is_idle));
        STORE(helper_watches, 0);
    }
    return NULL;
}

// Returns the events that are due, at most MAX_EVENTS: pairs in due_events.
int pt_due_events(void)
{
    int count = due_count;
    due_count = -1;
    if (count < 0) {
        count = epoll_wait(watched_epoll, due_events, MAX_EVENTS, 0);
        if (count < 0)
            count = 0;
    }
    return count;
}

int pt_due_fd(int index) { return due_events[index].data.fd; }

unsigned pt_due_bits(int index) { return due_events[index].events; }

int pt_timer_fd(void) { return timer_fd; }

int pt_watch(int fd, unsigned events, int is_new)
{
    struct epoll_event event = {events, {.fd = fd}};
    if (epoll_ctl(watched_epoll, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) < 0)
        return -errno;
    return 0;
}

int pt_unwatch(int fd)
{
    return epoll_ctl(watched_epoll, EPOLL_CTL_DEL, fd, NULL) < 0 ? -errno : 0;
}

// Sets the timer to an absolute CLOCK_MONOTONIC time, 0 for never.
int pt_set_timer(long deadline_ns)
{
    struct itimerspec spec = {{0, 0}, {deadline_ns / 1000000000, deadline_ns % 1000000000}};
    STORE(timer_ns, deadline_ns);
    return timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0 ? -errno : 0;
}

int pt_tick_fd(void) { return tick_fd; }

// Makes the tick due once, after a relative time.
int pt_set_tick(long delay_ns)
{
    struct itimerspec spec = {{0, 0}, {delay_ns / 1000000000, delay_ns % 1000000000}};
    return timerfd_settime(tick_fd, 0, &spec, NULL) < 0 ? -errno : 0;
}

static void on_poke(int number) { (void)number; }

static int start_events(void)
{
    struct sigaction poke = {.sa_handler = on_poke};  // no SA_RESTART: waitpid must return
    struct sigaction child = {.sa_handler = on_poke, .sa_flags = SA_NOCLDSTOP};
    struct epoll_event timer = {EPOLLIN, {0}}, tick = timer, inner = timer, wake = {EPOLLIN | EPOLLET, {0}};
    sigset_t mask, old;

    kernel_pid = getpid();
    kernel_tid = (pid_t)syscall(SYS_gettid);
    is_waiting = is_idle = event_is_due = 0;
    helper_sleeps = helper_hurries = helper_watches = helper_quits = helper_runs = 0;
    timer_ns = resumed_ns = 0;
    has_resumed = expects_stop = output_waits = 0;
    due_count = -1;
    watched_epoll = epoll_create1(EPOLL_CLOEXEC);
    helper_epoll = epoll_create1(EPOLL_CLOEXEC);
    helper_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (watched_epoll < 0 || helper_epoll < 0 || helper_wake < 0 || timer_fd < 0 || tick_fd < 0)
        return -errno;
    timer.data.fd = timer_fd;
    tick.data.fd = tick_fd;
    inner.data.fd = watched_epoll;
    wake.data.fd = helper_wake;
    if (epoll_ctl(watched_epoll, EPOLL_CTL_ADD, timer_fd, &timer) < 0 ||
        epoll_ctl(watched_epoll, EPOLL_CTL_ADD, tick_fd, &tick) < 0 ||
        epoll_ctl(helper_epoll, EPOLL_CTL_ADD, watched_epoll, &inner) < 0 ||
        epoll_ctl(helper_epoll, EPOLL_CTL_ADD, helper_wake, &wake) < 0)
        return -errno;
    sigaction(SIGURG, &poke, NULL);
    sigaction(SIGCHLD, &child, NULL);
    sigemptyset(&mask);
    sigaddset(&mask, SIGURG);
    sigprocmask(SIG_UNBLOCK, &mask, NULL);
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    sigfillset(&mask);
    pthread_sigmask(SIG_SETMASK, &mask, &old);
    int error = pthread_create(&helper_thread, NULL, help, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    helper_is_up = !error;
    // The first that a new thread does is the C library's: rseq(2), set_robust_list(2).
    // The sandbox's filter, which comes soon, would kill it for these.
    while (helper_is_up && !LOAD(helper_runs))
        futex(&helper_runs, FUTEX_WAIT_PRIVATE, 0, NULL);
    return -error;
}

static void stop_events(void)
{
    if (helper_is_up) {
        STORE(helper_quits, 1);
        STORE(helper_sleeps, 0);
        futex(&helper_quits, FUTEX_WAKE_PRIVATE, 1, NULL);
        STORE(helper_hurries, 1);
        futex(&helper_hurries, FUTEX_WAKE_PRIVATE, 1, NULL);
        futex(&helper_sleeps, FUTEX_WAKE_PRIVATE, 1, NULL);
        eventfd_write(helper_wake, 1);
        pthread_join(helper_thread, NULL);
        helper_is_up = 0;
    }
    int *fds[] = {&watched_epoll, &helper_epoll, &helper_wake, &timer_fd, &tick_fd};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}
