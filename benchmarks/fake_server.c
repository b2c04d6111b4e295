/* A server that is never the bottleneck: one thread, epoll, answers rendered beforehand.
 *
 * argv[1] is a file of scenarios, in the machine's own byte order, written by fake_server.py:
 *     u32 count, then for each scenario
 *         u64 interval_ns, u64 first_after_ns, u32 repeat, u32 pieces, then for each piece
 *             u32 size, u32 stamps, stamps x (u32 at, u32 kind), the bytes
 * Each scenario listens on a port of its own on the loopback; the ports are printed, one a line.
 *
 * interval_ns 0: every piece is written as fast as it is taken, piece 1 `repeat` times.
 * Else a piece is written every interval_ns, the first one first_after_ns after the request; what
 * the stamps name is filled in just before: 0 the time (CLOCK_MONOTONIC, ns, as text), 1 the time
 * since the request, 2 the time from the request to the first piece.
 *
 * A line on stdin asks for what happened since the last one; the end of stdin ends the server.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FDS = 4096, MAX_HEAD = 16384, MAX_PIECE = 4096, MAX_LATE = 1 << 21, STAMP = 19 };

struct stamp { uint32_t at, kind; };
struct piece { uint32_t size, stamps; struct stamp *stamp; char *bytes; };
struct scenario { uint64_t interval, first_after; uint32_t repeat, pieces; struct piece *piece; };
struct connection {
    int asks; /* with GET */
    int fd, answering, blocked;
    struct scenario *of;
    size_t have, body_left, sent;
    uint32_t next, repeated;
    int64_t received, first_sent, due;
    size_t out_size;
    char out[MAX_PIECE];
    char head[MAX_HEAD];
};

static struct connection *connections[MAX_FDS], *paced[MAX_FDS];
static int paced_count, poller, timer;
static uint32_t late_us[MAX_LATE];
static size_t late_count;
static uint64_t requests;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void watch(int fd, uint32_t events, int op)
{
    struct epoll_event e = {.events = events, .data.fd = fd};
    if (epoll_ctl(poller, op, fd, &e)) die("epoll_ctl");
}

static void stop_pacing(struct connection *c)
{
    for (int i = 0; i < paced_count; i++)
        if (paced[i] == c) paced[i--] = paced[--paced_count];
}

static void hang_up(struct connection *c)
{
    stop_pacing(c);
    connections[c->fd] = NULL;
    close(c->fd);
    free(c);
}

/* Write; 1 all of it, 0 later, -1 the connection is gone. */
static int put(struct connection *c, const char *bytes, size_t size)
{
    while (c->sent < size) {
        ssize_t n = send(c->fd, bytes + c->sent, size - c->sent, MSG_NOSIGNAL);
        if (n > 0) c->sent += (size_t)n;
        else if (errno == EAGAIN) {
            if (!c->blocked) watch(c->fd, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            c->blocked = 1;
            return 0;
        } else return -1;
    }
    c->sent = 0;
    if (c->blocked) watch(c->fd, EPOLLIN, EPOLL_CTL_MOD);
    c->blocked = 0;
    return 1;
}

static int burst(struct connection *c)
{
    while (c->next < c->of->pieces) {
        struct piece *p = &c->of->piece[c->next];
        int done = put(c, p->bytes, p->size);
        if (done <= 0) return done;
        if (c->next != 1 || ++c->repeated >= c->of->repeat) c->next++;
    }
    c->answering = 0;
    return 1;
}

static int send_due(struct connection *c)
{
    struct piece *p = &c->of->piece[c->next];
    char text[STAMP + 1];
    int64_t now = now_ns();
    if (c->next == 0) c->first_sent = now;
    memcpy(c->out, p->bytes, p->size);
    for (uint32_t i = 0; i < p->stamps; i++) {
        uint32_t kind = p->stamp[i].kind;
        int64_t value = kind == 0 ? now : (kind == 1 ? now : c->first_sent) - c->received;
        snprintf(text, sizeof text, kind == 0 ? "%019lld" : "%19lld", (long long)value);
        memcpy(c->out + p->stamp[i].at, text, STAMP);
    }
    if (late_count < MAX_LATE) late_us[late_count++] = (uint32_t)((now - c->due) / 1000);
    c->out_size = p->size;
    c->due += (int64_t)c->of->interval;
    if (++c->next == c->of->pieces) {
        c->answering = 0;
        stop_pacing(c);
    }
    return put(c, c->out, c->out_size);
}

/* What else a client may ask, without a body: which models are loaded. None. */
static const char NOTHING_LOADED[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"models\":[]}";

static int answer(struct connection *c)
{
    if (c->asks) return put(c, NOTHING_LOADED, sizeof NOTHING_LOADED - 1) < 0 ? -1 : 1;
    requests++;
    c->answering = 1;
    c->next = c->repeated = 0;
    c->received = now_ns();
    if (c->of->interval == 0) return burst(c);
    c->due = c->received + (int64_t)c->of->first_after;
    paced[paced_count++] = c;
    return 1;
}

static int take(struct connection *c)
{
    for (;;) {
        ssize_t n = recv(c->fd, c->head + c->have, MAX_HEAD - 1 - c->have, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) return -1;
        if (n < 0) return 1;
        if (c->body_left) {
            c->body_left -= (size_t)n < c->body_left ? (size_t)n : c->body_left;
        } else {
            c->have += (size_t)n;
            c->head[c->have] = 0;
            char *end = strstr(c->head, "\r\n\r\n");
            if (!end) {
                if (c->have >= MAX_HEAD - 1) return -1;
                continue;
            }
            c->asks = c->head[0] == 'G';
            char *length = strcasestr(c->head, "\r\ncontent-length:");
            size_t size = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
            size_t came = c->have - (size_t)(end + 4 - c->head);
            c->body_left = size > came ? size - came : 0;
        }
        if (c->body_left == 0) {
            c->have = 0;
            return answer(c);
        }
        c->have = 0;
    }
}

static void accept_all(int listener, struct scenario *of)
{
    int fd, yes = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= MAX_FDS) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct connection *c = calloc(1, sizeof *c);
        if (!c) die("calloc");
        c->fd = fd;
        c->of = of;
        connections[fd] = c;
        watch(fd, EPOLLIN, EPOLL_CTL_ADD);
    }
}

static void send_all_due(void)
{
    int64_t now = now_ns();
    for (int i = paced_count - 1; i >= 0; i--) {
        struct connection *c = paced[i];
        while (c->answering && !c->blocked && c->due <= now)
            if (send_due(c) < 0) {
                hang_up(c);
                break;
            }
        if (i > paced_count) i = paced_count;
    }
}

static void set_timer(void)
{
    int64_t next = INT64_MAX;
    for (int i = 0; i < paced_count; i++)
        if (!paced[i]->blocked && paced[i]->due < next) next = paced[i]->due;
    struct itimerspec at = {0};
    if (next != INT64_MAX) {
        at.it_value.tv_sec = next / 1000000000LL;
        at.it_value.tv_nsec = next % 1000000000LL;
    }
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double cpu_s(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
         + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static double cpu_before;
static int64_t wall_before;

static void report(void)
{
    double cpu = cpu_s();
    int64_t wall = now_ns();
    qsort(late_us, late_count, sizeof *late_us, compare);
    printf("{\"requests\": %llu, \"cpu_s\": %.6f, \"wall_s\": %.6f, \"paced\": %zu, \"late_p50_us\": %u,"
           " \"late_p99_us\": %u, \"late_max_us\": %u}\n",
           (unsigned long long)requests, cpu - cpu_before, (double)(wall - wall_before) / 1e9, late_count,
           late_count ? late_us[late_count / 2] : 0, late_count ? late_us[late_count * 99 / 100] : 0,
           late_count ? late_us[late_count - 1] : 0);
    fflush(stdout);
    cpu_before = cpu_s();
    wall_before = now_ns();
    late_count = 0;
    requests = 0;
}

static void need(FILE *from, void *into, size_t size)
{
    if (fread(into, 1, size, from) != size) die("scenarios");
}

static struct scenario read_scenario(FILE *from)
{
    struct scenario s;
    need(from, &s.interval, 8);
    need(from, &s.first_after, 8);
    need(from, &s.repeat, 4);
    need(from, &s.pieces, 4);
    s.piece = calloc(s.pieces, sizeof *s.piece);
    for (uint32_t i = 0; i < s.pieces; i++) {
        struct piece *p = &s.piece[i];
        need(from, &p->size, 4);
        need(from, &p->stamps, 4);
        p->stamp = calloc(p->stamps + 1, sizeof *p->stamp);
        need(from, p->stamp, p->stamps * sizeof *p->stamp);
        p->bytes = malloc(p->size);
        need(from, p->bytes, p->size);
        if (s.interval && p->size > MAX_PIECE) die("a paced piece is too long");
    }
    return s;
}

static int listen_on_loopback(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) || listen(fd, 1024)) die("listen");
    getsockname(fd, (struct sockaddr *)&at, &size);
    printf("%d\n", ntohs(at.sin_port));
    return fd;
}

int main(int argc, char **argv)
{
    static struct scenario *by_listener[MAX_FDS];
    struct epoll_event events[256];
    uint32_t count;
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (!file) die("scenarios");
    signal(SIGPIPE, SIG_IGN);
    poller = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    watch(timer, EPOLLIN, EPOLL_CTL_ADD);
    watch(STDIN_FILENO, EPOLLIN, EPOLL_CTL_ADD);
    need(file, &count, 4);
    for (uint32_t i = 0; i < count; i++) {
        struct scenario *s = malloc(sizeof *s);
        *s = read_scenario(file);
        int listener = listen_on_loopback();
        by_listener[listener] = s;
        watch(listener, EPOLLIN, EPOLL_CTL_ADD);
    }
    fclose(file);
    fflush(stdout);
    cpu_before = cpu_s();
    wall_before = now_ns();
    for (;;) {
        int ready = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            char rest[256];
            if (fd == timer) {
                if (read(timer, rest, 8) < 0) continue;
            } else if (fd == STDIN_FILENO) {
                if (read(fd, rest, sizeof rest) <= 0) return 0;
                report();
            } else if (by_listener[fd]) {
                accept_all(fd, by_listener[fd]);
            } else if (connections[fd]) {
                struct connection *c = connections[fd];
                int fine = 1;
                if (events[i].events & EPOLLOUT && c->blocked)
                    fine = c->of->interval ? put(c, c->out, c->out_size) : burst(c);
                if (fine >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) fine = take(c);
                if (fine < 0) hang_up(c);
            }
        }
        send_all_due();
        set_timer();
    }
}
