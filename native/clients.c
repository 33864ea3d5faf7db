// The clients of guard.sock: attached ones get output and may give input, control ones give orders. Nobody is waited
// for: a client that does not keep up gets the rest of its output from a file without a name.
#include "guard.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum message { ATTACH = 1, CONTROL, RESIZE, SIGNAL, CLOSE_STDIN, EXIT, STATE };
enum { GRACE_MS = 10, PATIENCE_MS = 30000, MOST_FRAME = 16 };
static const i64 most_spill = 4LL << 30, punch_every = 16 << 20;

struct client {
    int fd, spill;
    u8 kind, streams, framed;
    bool slow, no_output, no_input; // slow: it gets no grace until its spill is empty
    u8 frame[MOST_FRAME], got;
    i64 begin, end, punched, progress; // of the spill; when it last took something
};

static struct client clients[MOST_CLIENTS];
static int client_count;
static bool ended; // no more output will come
i64 clients_attached;

static void close_client(struct client *c) {
    shutdown(c->fd, SHUT_RDWR);
    // Unread input would turn its end of file into a reset.
    while (recv(c->fd, scratch, sizeof scratch, MSG_DONTWAIT) > 0) {}
    close(c->fd);
    if (c->spill >= 0) close(c->spill);
    c->fd = c->spill = -1;
}

static bool has_backlog(const struct client *c) {
    return c->begin < c->end;
}

// What a failed send leaves: the client may still be giving input.
static void stop_output(struct client *c) {
    c->no_output = true;
    c->begin = c->end = 0;
    if (!(c->streams & WITH_STDIN)) close_client(c);
}

static int open_spill(void) {
    const char *directory = guest->start->spill_directory;
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || strlen(directory) > 4000) return fd;
    char path[4096];
    *put_decimal(put_text(put_text(path, directory), "/.spill-"), getpid()) = 0;
    fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) unlink(path);
    return fd;
}

static void spill(struct client *c, struct iovec *parts, int count) {
    if (c->spill < 0) c->spill = open_spill();
    if (!has_backlog(c)) c->progress = now_ms();
    c->slow = true;
    if (c->end - c->begin > most_spill) return stop_output(c);
    for (; count > 0; parts++, count--)
        while (parts->iov_len > 0) {
            ssize_t written = pwrite(c->spill, parts->iov_base, parts->iov_len, c->end);
            if (written <= 0) return stop_output(c);
            parts->iov_base = (u8 *)parts->iov_base + written;
            parts->iov_len -= (size_t)written;
            c->end += written;
        }
}

static bool wait_writable(int fd) {
    struct pollfd one = {fd, POLLOUT, 0};
    return poll(&one, 1, GRACE_MS) > 0;
}

static void send_parts(struct client *c, struct iovec *parts, int count) {
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
    size_t left = 0;
    for (int i = 0; i < count; i++) left += parts[i].iov_len;
    while (left > 0 && !has_backlog(c)) {
        ssize_t sent = sendmsg(c->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0) {
            advance(parts, (size_t)sent);
            left -= (size_t)sent;
        } else if (errno != EAGAIN && errno != EINTR) return stop_output(c);
        else if (errno == EAGAIN && (c->slow || !wait_writable(c->fd))) break;
    }
    if (left > 0) spill(c, parts, count);
}

static void drain_spill(struct client *c) {
    note_touched(sizeof scratch);
    while (has_backlog(c)) {
        ssize_t got = pread(c->spill, scratch, sizeof scratch, c->begin);
        ssize_t sent = got > 0 ? send(c->fd, scratch, (size_t)got, MSG_DONTWAIT | MSG_NOSIGNAL) : -1;
        if (got > 0 && sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (sent <= 0) return stop_output(c);
        c->begin += sent;
        c->progress = now_ms();
        if (c->begin - c->punched >= punch_every) {
            fallocate(c->spill, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, c->punched, c->begin - c->punched);
            c->punched = c->begin;
        }
    }
    c->begin = c->end = c->punched = 0;
    c->slow = false;
    if (ftruncate(c->spill, 0) < 0) stop_output(c);
}

void deliver(int stream, u8 *bytes, size_t length) {
    u8 wanted = stream == 1 ? WITH_STDOUT : WITH_STDERR;
    for (int i = 0; i < client_count; i++) {
        struct client *c = &clients[i];
        if (c->fd < 0 || c->no_output || c->kind != ATTACH || !(c->streams & wanted)) continue;
        u8 head[8] = {(u8)stream, 0, 0, 0, (u8)(length >> 24), (u8)(length >> 16), (u8)(length >> 8), (u8)length};
        struct iovec parts[2] = {{head, c->framed ? sizeof head : 0}, {bytes, length}};
        send_parts(c, parts, 2);
    }
}

static void send_message(struct client *c, enum message kind, const void *payload, size_t length) {
    u32 size = (u32)length + 1;
    u8 head[5];
    memcpy(head, &size, sizeof size);
    head[4] = (u8)kind;
    struct iovec parts[2] = {{head, sizeof head}, {(void *)(uintptr_t)payload, length}};
    send_parts(c, parts, 2);
}

void tell_exit(const u8 *record, size_t length) {
    ended = true;
    for (int i = 0; i < client_count; i++)
        if (clients[i].fd >= 0 && clients[i].kind == CONTROL) send_message(&clients[i], EXIT, record, length);
}

bool clients_wait(void) {
    bool wait = false;
    for (int i = 0; i < client_count; i++) {
        struct client *c = &clients[i];
        if (c->fd < 0) continue;
        if (has_backlog(c) && now_ms() - c->progress < PATIENCE_MS) wait = true;
        else close_client(c);
    }
    return wait;
}

static void send_state(struct client *c) {
    struct { int pid; u32 zero; i64 seconds; u32 nanoseconds, zero_too; } state = {
        .pid = guest->pid, .seconds = guest->started.tv_sec, .nanoseconds = (u32)guest->started.tv_nsec};
    send_message(c, STATE, &state, sizeof state);
}

static void resize(const u8 *payload) {
    struct winsize size = {0};
    memcpy(&size.ws_row, payload, 2);
    memcpy(&size.ws_col, payload + 2, 2);
    if (guest->peer >= 0 && guest->output[0] >= 0) ioctl(guest->output[0], TIOCSWINSZ, &size);
}

static void send_signal(const u8 *payload) {
    u32 number;
    memcpy(&number, payload, sizeof number);
    if (guest->pidfd >= 0) syscall(SYS_pidfd_send_signal, guest->pidfd, number, NULL, 0);
}

// Carries out the frame that has just become whole; says whether it may stand there.
static bool take_frame(struct client *c, u8 kind, const u8 *payload, size_t length) {
    if (c->kind == 0 && kind == ATTACH && length == 2 && payload[0] < 8) {
        *c = (struct client){.fd = c->fd, .spill = -1, .kind = ATTACH, .streams = payload[0], .framed = payload[1]};
        clients_attached++;
    } else if (c->kind == 0 && kind == CONTROL && length == 0) {
        c->kind = CONTROL;
        send_state(c);
    } else if (c->kind != CONTROL) return false;
    else if (kind == RESIZE && length == 4) resize(payload);
    else if (kind == SIGNAL && length == 4) send_signal(payload);
    else if (kind == CLOSE_STDIN && length == 0) close_input();
    else return false;
    return true;
}

static void read_frame(struct client *c) {
    u32 length = 0;
    if (c->got >= 4) memcpy(&length, c->frame, 4);
    size_t want = c->got < 4 ? 4 : 4 + (size_t)length;
    ssize_t got = recv(c->fd, c->frame + c->got, want - c->got, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return close_client(c);
    c->got += (u8)got;
    memcpy(&length, c->frame, 4);
    if (c->got == 4 && (length == 0 || length > MOST_FRAME - 4)) return close_client(c);
    if (c->got < 4 || c->got < 4 + length) return;
    c->got = 0;
    if (!take_frame(c, c->frame[4], c->frame + 5, length - 1)) close_client(c);
}

static void end_input(struct client *c) {
    bool had = c->streams & WITH_STDIN;
    c->streams &= (u8)~WITH_STDIN;
    c->no_input = true;
    if (had && (guest->start->flags & STDIN_ONCE)) close_input();
    if (c->no_output) close_client(c);
}

// Looks at the input first and takes from the socket only what the guest took: the rest stays there, and the client
// waits.
static void read_input(struct client *c, bool hung_up) {
    ssize_t got = recv(c->fd, scratch, sizeof scratch, MSG_PEEK | MSG_DONTWAIT), taken = got;
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got > 0) note_touched((size_t)got);
    if (got <= 0) {
        if (hung_up || got < 0) c->no_output = true;
        return end_input(c);
    }
    if (guest->input >= 0 && (c->streams & WITH_STDIN)) {
        taken = write(guest->input, scratch, (size_t)got);
        if (taken < 0 && errno == EAGAIN) guest->input_full = true;
        if (taken < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (taken < 0) close_input();
        if (taken < 0) taken = got;
    }
    while (taken > 0 && (got = recv(c->fd, scratch, (size_t)taken, MSG_DONTWAIT)) > 0) taken -= got;
}

void accept_clients(void) {
    for (int fd; (fd = accept4(guest->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) {
        if (client_count < MOST_CLIENTS) clients[client_count++] = (struct client){.fd = fd, .spill = -1};
        else close(fd);
    }
}

// An attached client whose input has ended is still polled for nothing, which tells when it leaves.
int poll_clients(struct pollfd *polls) {
    int kept = 0;
    for (int i = 0; i < client_count; i++)
        if (clients[i].fd >= 0) clients[kept++] = clients[i];
    client_count = kept;
    for (int i = 0; i < client_count; i++) {
        struct client *c = &clients[i];
        bool blocked = (c->streams & WITH_STDIN) && guest->input_full;
        polls[i] = (struct pollfd){c->fd, 0, 0};
        if (!ended && !blocked && !c->no_input) polls[i].events |= POLLIN;
        if (has_backlog(c)) polls[i].events |= POLLOUT;
        if (polls[i].events == 0 && blocked) polls[i].fd = -1; // a hang-up would be told again and again
    }
    return client_count;
}

void serve_clients(const struct pollfd *polls, int count) {
    for (int i = 0; i < count; i++) {
        struct client *c = &clients[i];
        short events = polls[i].revents;
        if (!events || c->fd < 0) continue;
        if ((events & POLLOUT) && has_backlog(c)) drain_spill(c);
        if (c->fd < 0) continue;
        if (c->kind == ATTACH && (events & (POLLIN | POLLHUP | POLLERR))) read_input(c, events & (POLLHUP | POLLERR));
        else if (c->kind != ATTACH && (events & (POLLIN | POLLHUP | POLLERR))) read_frame(c);
    }
}
