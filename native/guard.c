// The guard: parent and reaper of one guest, owner of its standard streams or terminal. One poll loop while the guest
// runs; then it drains the output, leaves the exit record and lets its clients finish. It needs no daemon.
#include "guard.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { AWAIT_MS = 10000, LINGER_MS = 50, IDLE_MS = 500, MOST_EXIT_FILE = 4096, MOST_EXIT_FILES = 64, MOST_TOLD = 8 << 10 };
enum { POLL_GUEST, POLL_LISTENER, POLL_STDOUT, POLL_STDERR, POLL_INPUT, POLL_CLIENTS };

struct guest *guest;
_Alignas(4096) u8 scratch[CHUNK];
static _Alignas(4096) u8 chunks[2][LINE + CHUNK]; // the start of a line that has not ended yet, then what was read
static size_t kept[2];
static i64 started_ms, drain_until; // drain_until: 0 while the guest runs
static i64 touched_ms;
static bool listening_for_output, dirty;
static struct { int code, signal; i64 seconds; u32 nanoseconds, files; } record;

void note_start(struct guest *g) {
    clock_gettime(CLOCK_REALTIME, &g->started);
}

void note_touched(size_t bytes) {
    if (bytes <= 4096) return; // a page is not worth it
    dirty = true;
    touched_ms = now_ms();
}

void close_input(void) {
    if (guest->input >= 0 && guest->input != guest->output[0]) close(guest->input);
    guest->input = -1;
    guest->input_full = false;
}

// Closes all but the descriptors named: the gaps between them, in order.
static void close_others(void) {
    int keep[] = {guest->pidfd,     guest->listener,  guest->input, guest->output[0], guest->peer,
                  guest->output[1], log_descriptor(), guest->held,  lock_file,        guest->connection};
    int last = 2;
    for (;;) {
        int next = -1;
        for (size_t i = 0; i < sizeof keep / sizeof *keep; i++)
            if (keep[i] > last && (next < 0 || keep[i] < next)) next = keep[i];
        if (next != last + 1) syscall(SYS_close_range, last + 1, next < 0 ? ~0U : (unsigned)next - 1, 0);
        if (next < 0) return;
        last = next;
    }
}

static void pass_on(int i, size_t got, bool end) {
    u8 *chunk = chunks[i];
    size_t length = kept[i] + got;
    size_t taken = log_lines(i + 1, chunk, length, end);
    kept[i] = length - taken;
    if (got > 0) deliver(i + 1, chunk + length - got, got);
    if (taken > 0 && kept[i] > 0) memmove(chunk, chunk + taken, kept[i]);
}

static void end_output(int i) {
    pass_on(i, 0, true);
    if (guest->input == guest->output[i]) guest->input = -1;
    close(guest->output[i]);
    guest->output[i] = -1;
}

// One read of at most that many bytes; false when there is nothing (more) to read.
static bool read_output(int i, size_t most) {
    ssize_t got = read(guest->output[i], chunks[i] + kept[i], most < CHUNK ? most : CHUNK);
    if (got < 0 && errno == EINTR) return true;
    if (got < 0 && errno == EAGAIN) return false;
    if (got <= 0) return end_output(i), false;
    note_touched((size_t)got);
    pass_on(i, (size_t)got, false);
    return true;
}

// What descendants of the guest still hold open is read as far as it is filled now, and left.
static void cut_output(void) {
    for (int i = 0; i < 2; i++) {
        int left = 0;
        if (guest->output[i] >= 0) ioctl(guest->output[i], FIONREAD, &left);
        for (size_t before; left > 0 && guest->output[i] >= 0; left -= (int)before) {
            before = (size_t)left < CHUNK ? (size_t)left : CHUNK;
            if (!read_output(i, before)) break;
        }
        if (guest->output[i] >= 0) end_output(i);
    }
}

// The pid stays taken until the end was told: nobody may mistake another process for the guest.
static void reap(void) {
    siginfo_t info = {0};
    struct timespec now;
    if (waitid(P_PIDFD, (id_t)guest->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) return;
    clock_gettime(CLOCK_REALTIME, &now);
    record.signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
    record.code = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
    record.seconds = now.tv_sec;
    record.nanoseconds = (u32)now.tv_nsec;
    close(guest->pidfd);
    if (guest->peer >= 0) close(guest->peer);
    guest->pidfd = guest->peer = -1;
    drain_until = now_ms() + LINGER_MS;
}

static size_t read_exit_file(const char *path, u8 *to) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t got = fd >= 0 ? read(fd, to, MOST_EXIT_FILE) : 0;
    if (fd >= 0) close(fd);
    return got > 0 ? (size_t)got : 0;
}

static void serve_ready_clients(int timeout) {
    struct pollfd polls[MOST_CLIENTS];
    int count = poll_clients(polls);
    if (poll(polls, (nfds_t)count, timeout) > 0) serve_clients(polls, count);
}

// A daemon that does not take its messages for long must not believe that the guest runs: it loses the connection.
static void tell_daemon(u8 *text, size_t length) {
    int self = getpid();
    // In one piece, or the next frame of another would stand in the middle of one whose guard was killed.
    struct iovec parts[3] = {{0}, {&self, sizeof self}, {text, length <= MOST_TOLD ? length : 0}};
    if (!send_frame(guest->connection, guest->tag, END, parts, 3) && errno == EAGAIN)
        shutdown(guest->connection, SHUT_RDWR);
}

static void write_exit(void) {
    static u8 text[sizeof record + MOST_EXIT_FILES * (4 + MOST_EXIT_FILE)];
    struct argument *list = &guest->start->exit_files;
    struct cursor c = {list->bytes, list->bytes + list->length, false};
    u8 *at = text + sizeof record;
    record.files = (u32)list->value;
    for (const char *path; (path = next_string(&c));) {
        u32 length = (u32)read_exit_file(path, at + 4);
        memcpy(at, &length, sizeof length);
        at += 4 + length;
    }
    memcpy(text, &record, sizeof record);
    int fd = open("exit.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0 && write_all(fd, text, (size_t)(at - text))) rename("exit.new", "exit");
    if (fd >= 0) close(fd);
    unlink("guard.sock");
    accept_clients(); // those that came at the last moment hear of the end as well
    serve_ready_clients(0);
    tell_daemon(text, (size_t)(at - text));
    tell_exit(text, (size_t)(at - text));
    waitid(P_PID, (id_t)guest->pid, NULL, WEXITED | WNOHANG);
}

static void save_memory(void) {
    for (int i = 0; i < 2; i++) {
        size_t used = (kept[i] + 4095) & ~4095UL;
        madvise(chunks[i] + used, sizeof chunks[i] - used, MADV_DONTNEED);
    }
    madvise(scratch, sizeof scratch, MADV_DONTNEED);
    release_log();
    dirty = false;
}

static int time_left(void) {
    i64 until = !listening_for_output ? started_ms + AWAIT_MS : drain_until > 0 ? drain_until : 0;
    if (until == 0) return dirty ? IDLE_MS : -1;
    return until > now_ms() ? (int)(until - now_ms()) : 0;
}

// One round of the loop; what is not open is -1, which poll leaves out.
static void serve(void) {
    struct pollfd polls[POLL_CLIENTS + MOST_CLIENTS];
    polls[POLL_GUEST] = (struct pollfd){guest->pidfd, POLLIN, 0};
    polls[POLL_LISTENER] = (struct pollfd){guest->listener, POLLIN, 0};
    for (int i = 0; i < 2; i++)
        polls[POLL_STDOUT + i] = (struct pollfd){listening_for_output ? guest->output[i] : -1, POLLIN, 0};
    polls[POLL_INPUT] = (struct pollfd){guest->input_full ? guest->input : -1, POLLOUT, 0};
    int count = poll_clients(polls + POLL_CLIENTS);
    int ready = poll(polls, (nfds_t)(POLL_CLIENTS + count), time_left());
    if (dirty && now_ms() - touched_ms >= IDLE_MS) save_memory();
    if (ready < 0) return;
    if (polls[POLL_INPUT].revents) guest->input_full = false;
    for (int i = 0; i < 2; i++)
        if (polls[POLL_STDOUT + i].revents) read_output(i, CHUNK);
    serve_clients(polls + POLL_CLIENTS, count);
    if (polls[POLL_LISTENER].revents) accept_clients();
    if (polls[POLL_GUEST].revents) reap();
}

static void start_output(void) {
    if (clients_attached < guest->start->clients_to_await && now_ms() - started_ms < AWAIT_MS) return;
    listening_for_output = true;
    if (drain_until > 0) drain_until = now_ms() + LINGER_MS;
}

static bool over(void) {
    if (!listening_for_output || drain_until == 0) return false;
    return (guest->output[0] < 0 && guest->output[1] < 0) || now_ms() >= drain_until;
}

_Noreturn void live_as_guard(struct start *start, struct guest *given) {
    guest = given;
    guest->start = start;
    started_ms = now_ms();
    close_others();
    while (!over()) {
        if (!listening_for_output) start_output();
        serve();
    }
    cut_output();
    close_input();
    write_exit();
    bool wait = clients_wait();
    if (guest->held >= 0) close(guest->held);
    for (; wait; wait = clients_wait()) serve_ready_clients(1000);
    _exit(0);
}
