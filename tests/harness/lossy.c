/*
 * A bad network: forwards Ethernet frames between two interfaces, and loses, delays, doubles,
 * reorders or throttles them on the way.
 *
 *     lossy LEFT RIGHT SEED
 *
 * It obeys lines on standard input, answers each with one line of JSON, and ends with its input:
 *
 *     set DIRECTION NAME VALUE    DIRECTION is "lr" (from LEFT to RIGHT), "rl" or "both"
 *     seed NUMBER                 starts the random numbers of both directions anew
 *     stats                       counters of both directions since the last `stats`
 *
 * NAME is loss, duplicate, reorder (probabilities), delay, hold (milliseconds; a reordered frame
 * is held back by `hold`, so that later ones overtake it), rate (bytes a second, 0: no limit),
 * queue (bytes that wait for their turn at `rate`; what comes then is dropped), mtu (bytes of the
 * packet; larger ones vanish) or drop_next (that many packets are lost, whatever `loss` says).
 *
 * Each packet takes the same number of random numbers, so that what happens to the n-th packet of
 * a direction depends on the seed and on n alone.  ARP and neighbour discovery are delayed as all
 * else, but neither lost nor counted nor given random numbers: the tests are not about them.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FRAME = 65536 + 18, MAX_HELD = 200000, BATCH = 256 };

struct direction {
    int in, out;
    uint64_t random;
    double loss, duplicate, reorder, delay, hold, rate, queue, mtu, drop_next;
    double free_ns; /* when the link has sent all that it was given; fractions count */
    uint64_t received, sent, lost, doubled, reordered, overflowed, too_big, bytes, refused;
};

struct held {
    uint64_t when, number;
    struct direction *direction;
    unsigned length;
    unsigned char *frame;
};

static struct direction directions[2]; /* from left to right, from right to left */
static struct held *heap;              /* the earliest is heap[0] */
static size_t heap_length;
static uint64_t heap_number;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* splitmix64: a number in [0, 1). */
static double uniform(struct direction *d)
{
    uint64_t z = (d->random += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return ((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static void seed(uint64_t number)
{
    directions[0].random = number * 2;
    directions[1].random = number * 2 + 1;
    for (int i = 0; i < 2; i++)
        uniform(&directions[i]);
}

/* --- what is on its way ----------------------------------------------------------------------- */

static int earlier(const struct held *a, const struct held *b)
{
    return a->when < b->when || (a->when == b->when && a->number < b->number);
}

static void swap(size_t i, size_t j)
{
    struct held other = heap[i];
    heap[i] = heap[j];
    heap[j] = other;
}

static void hold(struct direction *d, uint64_t when, const unsigned char *frame, unsigned length)
{
    if (heap_length == MAX_HELD) {
        d->overflowed++;
        return;
    }
    unsigned char *copy = malloc(length);
    if (!copy)
        fail("malloc");
    memcpy(copy, frame, length);
    size_t i = heap_length++;
    heap[i] = (struct held){when, heap_number++, d, length, copy};
    for (; i && earlier(&heap[i], &heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(i, (i - 1) / 2);
}

static void take_first(void)
{
    free(heap[0].frame);
    heap[0] = heap[--heap_length];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < heap_length; child++)
            if (earlier(&heap[child], &heap[least]))
                least = child;
        if (least == i)
            return;
        swap(i, least);
        i = least;
    }
}

static void deliver_due(void)
{
    while (heap_length && heap[0].when <= now_ns()) {
        struct direction *d = heap[0].direction;
        if (send(d->out, heap[0].frame, heap[0].length, 0) < 0) {
            if (errno != ENOBUFS && errno != EAGAIN && errno != EMSGSIZE && errno != ENETDOWN)
                fail("send");
            d->refused++;
        } else {
            d->sent++;
            d->bytes += heap[0].length;
        }
        take_first();
    }
}

/* --- what comes in ---------------------------------------------------------------------------- */

static int is_neighbour_discovery(const unsigned char *frame, unsigned length)
{
    unsigned type = frame[12] << 8 | frame[13];
    if (type == ETH_P_ARP)
        return 1;
    return type == ETH_P_IPV6 && length > 54 && frame[20] == 58 && frame[54] >= 133 &&
           frame[54] <= 137;
}

static void accept_frame(struct direction *d, const unsigned char *frame, unsigned length)
{
    uint64_t now = now_ns();
    uint64_t arrival = now + (uint64_t)(d->delay * 1e6);
    if (length < ETH_HLEN)
        return;
    if (is_neighbour_discovery(frame, length)) {
        hold(d, arrival, frame, length);
        return;
    }
    double loss = uniform(d), duplicate = uniform(d), reorder = uniform(d);
    d->received++;
    if (d->mtu && length - ETH_HLEN > d->mtu) {
        d->too_big++;
        return;
    }
    if (d->rate) {
        if (d->free_ns < now)
            d->free_ns = now;
        if (d->queue && (d->free_ns - now) * d->rate / 1e9 + length > d->queue) {
            d->overflowed++;
            return;
        }
        d->free_ns += length * 1e9 / d->rate;
        arrival += (uint64_t)(d->free_ns - now);
    }
    if (d->drop_next > 0 || loss < d->loss) {
        if (d->drop_next > 0)
            d->drop_next--;
        d->lost++;
        return;
    }
    if (duplicate < d->duplicate) {
        d->doubled++;
        hold(d, arrival, frame, length);
    }
    if (reorder < d->reorder) {
        d->reordered++;
        arrival += (uint64_t)(d->hold * 1e6);
    }
    hold(d, arrival, frame, length);
}

static void receive(struct direction *d)
{
    static unsigned char frame[MAX_FRAME];
    for (int i = 0; i < BATCH; i++) {
        ssize_t length = recv(d->in, frame, sizeof frame, MSG_DONTWAIT | MSG_TRUNC);
        if (length < 0) {
            if (errno != EAGAIN && errno != ENETDOWN)
                fail("recv");
            return;
        }
        if ((size_t)length <= sizeof frame)
            accept_frame(d, frame, length);
        /* What is due does not wait until all that arrived is looked at. */
        deliver_due();
    }
}

static int open_interface(const char *name)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1, size = 16 << 20;
    if (fd < 0)
        fail("socket");
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = if_nametoindex(name),
    };
    struct packet_mreq promiscuous = {.mr_ifindex = address.sll_ifindex,
                                      .mr_type = PACKET_MR_PROMISC};
    if (!address.sll_ifindex)
        fail(name);
    if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) ||
        setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) ||
        setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) ||
        bind(fd, (struct sockaddr *)&address, sizeof address))
        fail(name);
    return fd;
}

/* --- commands --------------------------------------------------------------------------------- */

static double *setting(struct direction *d, const char *name)
{
    struct {
        const char *name;
        double *place;
    } settings[] = {
        {"loss", &d->loss},   {"duplicate", &d->duplicate}, {"reorder", &d->reorder},
        {"delay", &d->delay}, {"hold", &d->hold},           {"rate", &d->rate},
        {"queue", &d->queue}, {"mtu", &d->mtu},             {"drop_next", &d->drop_next},
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (!strcmp(settings[i].name, name))
            return settings[i].place;
    return NULL;
}

static int set(const char *which, const char *name, double value)
{
    int found = 0;
    for (int i = 0; i < 2; i++) {
        double *place = setting(&directions[i], name);
        if (place && (!strcmp(which, "both") || !strcmp(which, i ? "rl" : "lr"))) {
            *place = value;
            found = 1;
        }
    }
    return found;
}

static void print_stats(void)
{
    for (int i = 0; i < 2; i++) {
        struct direction *d = &directions[i];
        struct tpacket_stats missed = {0};
        socklen_t size = sizeof missed;
        getsockopt(d->in, SOL_PACKET, PACKET_STATISTICS, &missed, &size); /* and resets them */
        printf("%s\"%s\": {\"received\": %" PRIu64 ", \"sent\": %" PRIu64 ", \"lost\": %" PRIu64
               ", \"doubled\": %" PRIu64 ", \"reordered\": %" PRIu64 ", \"overflowed\": %" PRIu64
               ", \"too_big\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"refused\": %" PRIu64
               ", \"missed\": %u}",
               i ? ", " : "{", i ? "rl" : "lr", d->received, d->sent, d->lost, d->doubled,
               d->reordered, d->overflowed, d->too_big, d->bytes, d->refused, missed.tp_drops);
        d->received = d->sent = d->lost = d->doubled = d->reordered = 0;
        d->overflowed = d->too_big = d->bytes = d->refused = 0;
    }
    printf("}\n");
}

static void obey(const char *line)
{
    char which[8], name[16];
    double value;
    uint64_t number;
    if (sscanf(line, "set %7s %15s %lf", which, name, &value) == 3 && set(which, name, value))
        printf("{}\n");
    else if (sscanf(line, "seed %" SCNu64, &number) == 1) {
        seed(number);
        printf("{}\n");
    } else if (!strncmp(line, "stats", 5))
        print_stats();
    else
        printf("{\"error\": \"bad command\"}\n");
    fflush(stdout);
}

/* Obey every whole line that has come; return 0 at the end of input. */
static int read_commands(void)
{
    static char buffer[4096];
    static size_t length;
    ssize_t more = read(0, buffer + length, sizeof buffer - 1 - length);
    if (more <= 0)
        return 0;
    length += more;
    buffer[length] = 0;
    char *line = buffer, *end;
    while ((end = strchr(line, '\n'))) {
        *end = 0;
        obey(line);
        line = end + 1;
    }
    length -= line - buffer;
    memmove(buffer, line, length);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: lossy LEFT RIGHT SEED\n");
        return 2;
    }
    int left = open_interface(argv[1]), right = open_interface(argv[2]);
    directions[0] = (struct direction){.in = left, .out = right};
    directions[1] = (struct direction){.in = right, .out = left};
    seed(strtoull(argv[3], NULL, 10));
    heap = malloc(MAX_HELD * sizeof *heap);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (!heap || timer < 0)
        fail("lossy");
    struct pollfd fds[] = {{0, POLLIN, 0}, {left, POLLIN, 0}, {right, POLLIN, 0}, {timer, POLLIN, 0}};
    obey("stats");
    for (;;) {
        deliver_due();
        struct itimerspec next = {0};
        if (heap_length) {
            next.it_value.tv_sec = heap[0].when / 1000000000;
            next.it_value.tv_nsec = heap[0].when % 1000000000;
        }
        if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &next, NULL))
            fail("timerfd_settime");
        if (poll(fds, 4, -1) < 0 && errno != EINTR)
            fail("poll");
        if (fds[1].revents)
            receive(&directions[0]);
        if (fds[2].revents)
            receive(&directions[1]);
        if (fds[0].revents && !read_commands())
            return 0;
    }
}
