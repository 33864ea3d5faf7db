// The spawner: one thread, one poll loop over the main connection (descriptor 3), the listener and further connections.
// A RUN is carried out here, a FORK in a child that takes the connection over, a START or PREPARE in a new guard. A
// child that was killed by a signal may not have answered: then the spawner does.
#include "keeper.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAIN = 3, MOST_CONNECTIONS = 256 };

struct connection {
    int fd;
    u32 serial, got; // got counts the header's bytes, then the payload's as well
    struct frame frame;
    u8 *payload;
};
struct guard_record { int pid; u32 serial, tag; };

static struct connection connections[MOST_CONNECTIONS];
static int connection_count, listener = -1, children_signal = -1;
static struct buffer guards; // of guard_record
static u32 last_serial;
u32 current_tag;

static void drop_payload(struct connection *c) {
    if (c->payload) munmap(c->payload, c->frame.length);
    c->payload = NULL;
    c->got = 0;
}

static void close_connection(struct connection *c) {
    drop_payload(c);
    close(c->fd);
    c->fd = -1;
}

static void open_connection(int fd) {
    if (connection_count == MOST_CONNECTIONS) {
        close(fd);
        return;
    }
    struct timeval patience = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    u32 hello[2] = {PROTOCOL, (u32)getpid()};
    struct iovec parts[2] = {{0}, {hello, sizeof hello}};
    connections[connection_count] = (struct connection){.fd = fd, .serial = ++last_serial};
    if (send_frame(fd, 0, HELLO, parts, 2)) connection_count++;
    else close(fd);
}

static void answer(struct connection *c, u32 tag, struct failure failure) {
    if (!send_result(c->fd, tag, failure, 0)) shutdown(c->fd, SHUT_RDWR);
}

static void refuse(struct connection *c, int error, enum phase phase) {
    answer(c, c->frame.tag, (struct failure){error, phase, 0});
}

// In the child: only the connection that asked is kept; what programs opened before by RUN stays open.
static void enter_child(struct connection *own) {
    for (int i = 0; i < connection_count; i++)
        if (&connections[i] != own) close(connections[i].fd);
    close(listener);
    close(children_signal);
    signal(SIGCHLD, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void remember_guard(int pid, struct connection *c) {
    struct guard_record *guard = (struct guard_record *)(void *)reserve(&guards, sizeof *guard);
    if (!guard) return;
    *guard = (struct guard_record){pid, c->serial, c->frame.tag};
    guards.used += sizeof *guard;
}

// Takes it out of the records; the last one moves into its place.
static bool forget_guard(int pid, struct guard_record *guard) {
    struct guard_record *all = (struct guard_record *)(void *)guards.bytes;
    for (size_t i = 0; i < guards.used / sizeof *all; i++) {
        if (all[i].pid != pid) continue;
        *guard = all[i];
        all[i] = all[(guards.used -= sizeof *all) / sizeof *all];
        return true;
    }
    return false;
}

static void reap_children(void) {
    struct signalfd_siginfo info;
    struct guard_record guard;
    int status;
    while (read(children_signal, &info, sizeof info) > 0) {}
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (!forget_guard(pid, &guard) || !WIFSIGNALED(status)) continue;
        reset_registers();
        for (int i = 0; i < connection_count; i++)
            if (connections[i].serial == guard.serial && connections[i].fd >= 0)
                answer(&connections[i], guard.tag, (struct failure){ECANCELED, PROGRAM, 0});
    }
}

static void serve_run(struct connection *c, struct program *program) {
    answer(c, c->frame.tag, run_program(program, PROGRAM, 0));
    if (outputs.room > 1 << 18) release(&outputs);
}

static void serve_fork(struct connection *c, struct program *program) {
    static u8 rest[1 << 16];
    pid_t pid = fork();
    if (pid < 0) refuse(c, errno, CLONE);
    if (pid != 0) {
        if (pid > 0) close_connection(c);
        return;
    }
    enter_child(c);
    registers[0] = c->fd;
    lock_file = -1; // nobody else writes to this connection
    struct timeval forever = {0};
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &forever, sizeof forever);
    struct failure failure = run_program(program, PROGRAM, 0);
    bool sent = send_result(c->fd, c->frame.tag, failure, 0);
    shutdown(c->fd, SHUT_WR);
    while (recv(c->fd, rest, sizeof rest, 0) > 0) {} // unread, it would reset the connection before the answer is read
    _exit(sent ? 0 : 1);
}

// A PREPARE takes the connection over; a START only answers on it.
static void serve_start(struct connection *c, struct start *start) {
    pid_t pid = fork();
    if (pid < 0) refuse(c, errno, CLONE);
    if (pid > 0 && c->frame.kind == START) remember_guard(pid, c);
    if (pid > 0 && c->frame.kind == PREPARE) close_connection(c);
    if (pid != 0) return;
    enter_child(c);
    become_guard(c->fd, &c->frame, start, c->payload);
}

static void serve_frame(struct connection *c) {
    struct cursor cursor = {c->payload, c->payload + c->frame.length, false};
    struct program program;
    struct start start;
    enum place place = c->frame.kind == RUN ? ANYWHERE : CHILD;
    reset_registers();
    current_tag = c->frame.tag;
    if (c->frame.kind == START || c->frame.kind == PREPARE) {
        bool whole = decode_start(&cursor, &start) && (c->frame.kind == START || c->fd != MAIN);
        if (whole) serve_start(c, &start);
        else refuse(c, EBADMSG, REFUSED);
        return;
    }
    bool good = decode_program(&cursor, place, &program) && cursor.at == cursor.end;
    if (!good || (c->frame.kind == FORK && c->fd == MAIN)) refuse(c, EBADMSG, REFUSED);
    else if (c->frame.kind == RUN) serve_run(c, &program);
    else serve_fork(c, &program);
}

static bool good_header(const struct frame *f) {
    return f->length <= MOST_PAYLOAD && f->kind >= RUN && f->kind <= PREPARE && !f->zero[0] && !f->zero[1] && !f->zero[2];
}

// Reads no byte beyond the frame: what follows a FORK belongs to the child.
static void read_connection(struct connection *c) {
    for (;;) {
        bool head = c->got < sizeof c->frame;
        u8 *to = head ? (u8 *)&c->frame + c->got : c->payload + (c->got - sizeof c->frame);
        size_t want = head ? sizeof c->frame - c->got : sizeof c->frame + c->frame.length - c->got;
        ssize_t got = want ? recv(c->fd, to, want, MSG_DONTWAIT) : 0;
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (want > 0 && got <= 0) return close_connection(c);
        c->got += (u32)got;
        if (c->got < sizeof c->frame) continue;
        if (head && !good_header(&c->frame)) return close_connection(c);
        if (head && c->frame.length > 0) {
            void *bytes = mmap(NULL, c->frame.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (bytes == MAP_FAILED) return close_connection(c);
            c->payload = bytes;
        }
        if (c->got < sizeof c->frame + c->frame.length) continue;
        serve_frame(c);
        if (c->fd < 0) return;
        drop_payload(c);
    }
}

static void accept_connections(void) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) open_connection(fd);
}

static void drop_closed(void) {
    int kept = 0;
    for (int i = 0; i < connection_count; i++)
        if (connections[i].fd >= 0) connections[kept++] = connections[i];
    connection_count = kept;
}

static void watch_children(void) {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    children_signal = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

// Descriptors 0 and 1 are /dev/null from here on; 2 stays for messages, and guards give it up as well.
static void prepare_descriptors(void) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, 0);
    dup2(null, 1);
    if (null > MAIN) close(null);
    fcntl(MAIN, F_SETFD, FD_CLOEXEC);
    fcntl(MAIN, F_SETFL, O_RDWR);
    lock_file = (int)syscall(SYS_memfd_create, "locks", MFD_CLOEXEC);
}

int spawner(const char *path) {
    struct stat bound, now;
    prepare_descriptors();
    watch_children();
    listener = listen_at(path);
    if (listener < 0 || stat(path, &bound) < 0 || chdir("/") < 0) return false;
    umask(022);
    signal(SIGPIPE, SIG_IGN);
    open_connection(MAIN);
    while (connection_count > 0 && connections[0].fd == MAIN) {
        static struct pollfd polls[2 + MOST_CONNECTIONS];
        int count = connection_count;
        for (int i = 0; i < count; i++) polls[i] = (struct pollfd){connections[i].fd, POLLIN, 0};
        polls[count] = (struct pollfd){listener, POLLIN, 0};
        polls[count + 1] = (struct pollfd){children_signal, POLLIN, 0};
        if (poll(polls, (nfds_t)count + 2, -1) < 0) continue;
        for (int i = 0; i < count; i++)
            if (polls[i].revents) read_connection(&connections[i]);
        if (polls[count].revents) accept_connections();
        if (polls[count + 1].revents) reap_children();
        drop_closed();
    }
    if (stat(path, &now) == 0 && now.st_ino == bound.st_ino && now.st_dev == bound.st_dev) unlink(path);
    return true;
}
