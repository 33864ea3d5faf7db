// The birth of a guest: the guard's program "before", its pipes and socket, the clone of the stage, the guard's program
// "after", the stage's program up to execve, and the answer. The two talk over a close-on-exec socket pair: the end of
// file on it is the success.
#include "keeper.h"
#include "guard.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4
#endif
#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif
enum { OUTPUT_PIPE = 256 << 10 };
enum stage_news { FAILED, READY, TERMINAL_OPENED, PREPARED, HOLD };
struct stage_message { u32 news, step; int error; };
struct clone_parameters {
    u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

static const int ignored[] = {SIGPIPE, SIGHUP, SIGINT, SIGTERM, SIGQUIT};
static int guard_end = -1, stage_end = -1; // of the socket pair
static struct start *current;
static bool awaited, prepared, prepares;

static void handle_signals(void (*handler)(int)) {
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], handler);
}

// In the stage.

static bool tell_guard(enum stage_news news, u32 step, int error) {
    struct stage_message message = {news, step, error};
    return write(stage_end, &message, sizeof message) == sizeof message;
}

long await_guard(void) {
    u8 go;
    if (stage_end < 0 || awaited) return 0;
    awaited = recv(stage_end, &go, 1, 0) == 1;
    return awaited ? 0 : -ECANCELED;
}

// The last that the stage does for the guard. From here on its life is its own, so it does not die with the guard.
long prepare_exec(void) {
    if (stage_end < 0 || prepared) return 0;
    long result = await_guard();
    if (result < 0) return result;
    prctl(PR_SET_PDEATHSIG, 0);
    prepared = tell_guard(READY, 0, 0);
    return prepared ? 0 : -ECANCELED;
}

static bool send_descriptor(enum stage_news news, int fd) {
    struct stage_message message = {.news = news};
    union { struct cmsghdr head; char bytes[CMSG_SPACE(sizeof fd)]; } control = {0};
    struct iovec part = {&message, sizeof message};
    struct msghdr letter = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    control.head = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    return sendmsg(stage_end, &letter, 0) >= 0;
}

long hold(int fd) {
    return send_descriptor(HOLD, fd) ? 0 : -errno;
}

long open_terminal(const char *ptmx, u16 rows, u16 columns) {
    struct winsize size = {.ws_row = rows ? rows : current->rows, .ws_col = columns ? columns : current->columns};
    int locked = 0, master = open(ptmx ? ptmx : "", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0) return -errno;
    if (ioctl(master, TIOCSPTLCK, &locked) < 0 || ioctl(master, TIOCSWINSZ, &size) < 0) return -errno;
    int peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (peer < 0 || !send_descriptor(TERMINAL_OPENED, master)) return -errno;
    close(master);
    if (ioctl(peer, TIOCSCTTY, 0) < 0) return -errno;
    for (int fd = 0; fd < 3; fd++)
        if (dup2(peer, fd) < 0) return -errno;
    return peer;
}

// A prepared stage has done what it could without knowing its guest; the rest comes in one message.
static struct failure await_rest(void) {
    struct program rest;
    u8 first;
    if (await_guard() < 0 || !tell_guard(PREPARED, 0, 0)) return (struct failure){ECANCELED, IN_STAGE, 0};
    ssize_t size = recv(stage_end, &first, 1, MSG_PEEK | MSG_TRUNC);
    u8 *bytes = size > 0 ? mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
    if (bytes == MAP_FAILED || recv(stage_end, bytes, (size_t)size, 0) != size) return (struct failure){ECANCELED, IN_STAGE, 0};
    struct cursor cursor = {bytes, bytes + size, false};
    if (!decode_program(&cursor, STAGE, &rest)) return (struct failure){EBADMSG, IN_STAGE, 0};
    return run_program(&rest, IN_STAGE, 0);
}

static _Noreturn void live_as_stage(struct start *start, int standard[3]) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid(); // in no group with its guard: the guest's kill(0) must not reach that
    handle_signals(SIG_DFL);
    close(guard_end);
    for (int fd = 0; fd < 3; fd++)
        if (standard[fd] >= 0) dup2(standard[fd], fd);
    int high = fcntl(stage_end, F_DUPFD_CLOEXEC, 100); // out of the way of the program's dup3
    if (high >= 0) stage_end = high;
    syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
    if (chdir("/") < 0) _exit(125);
    struct failure failure = run_program(&start->stage, IN_STAGE, 0);
    if (!failure.error && prepares) failure = await_rest();
    tell_guard(FAILED, failure.step, failure.error ? failure.error : ENOEXEC);
    _exit(125);
}

// In the guard.

static bool make_pipe(int *ours, int *theirs, bool ours_reads) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return false;
    *ours = ends[!ours_reads];
    *theirs = ends[ours_reads];
    fcntl(*ours, F_SETFL, O_NONBLOCK);
    if (ours_reads) fcntl(*ours, F_SETPIPE_SZ, OUTPUT_PIPE); // fewer task switches; takes memory only while it is filled
    return true;
}

static bool make_pipes(struct start *start, struct guest *guest, int standard[3]) {
    if (start->flags & TERMINAL) return true;
    if ((start->flags & STDIN_OPEN) && !make_pipe(&guest->input, &standard[0], false)) return false;
    return make_pipe(&guest->output[0], &standard[1], true) && make_pipe(&guest->output[1], &standard[2], true);
}

// In the keeper's own numbers, whatever pid namespace the caller will give its children.
static int pid_of(int pidfd) {
    char path[64], text[512] = {0};
    *put_decimal(put_text(path, "/proc/self/fdinfo/"), pidfd) = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC), pid = 0;
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0) return -1;
    close(fd);
    const char *at = strstr(text, "\nPid:");
    for (at = at ? at + 5 : ""; *at == ' ' || *at == '\t'; at++) {}
    for (; *at >= '0' && *at <= '9'; at++) pid = pid * 10 + *at - '0';
    return pid > 0 ? pid : -1;
}

// A stage in another guest's user namespace is cloned by a child that has entered it, so that the namespaces made with it
// belong to that one. It is the guard's child all the same.
static int clone_inside(struct start *start, struct clone_parameters *p, struct guest *guest, int standard[3]) {
    int news[2], answer[2] = {-1, EIO}; // the stage's pid, errno
    if (pipe2(news, O_CLOEXEC) < 0) return -1;
    int helper = fork();
    if (helper == 0) {
        p->flags |= CLONE_PARENT;
        p->exit_signal = 0; // the helper's own
        bool inside = syscall(SYS_setns, registers[start->user_register], CLONE_NEWUSER) == 0;
        int pid = inside ? (int)syscall(SYS_clone3, p, sizeof *p) : -1;
        if (pid == 0) live_as_stage(start, standard);
        answer[1] = errno;
        if (pid > 0) answer[0] = pid_of(guest->pidfd);
        write_all(news[1], answer, sizeof answer);
        _exit(0);
    }
    close(news[1]);
    if (helper > 0) {
        ssize_t got;
        while ((got = read(news[0], answer, sizeof answer)) < 0 && errno == EINTR) {}
        waitid(P_PID, (id_t)helper, NULL, WEXITED);
    }
    close(news[0]);
    if (answer[0] < 0) return errno = answer[1], -1;
    guest->pidfd = (int)syscall(SYS_pidfd_open, answer[0], 0);
    return answer[0];
}

static int clone_stage(struct start *start, struct guest *guest, int standard[3]) {
    struct clone_parameters p = {
        .flags = start->clone_flags | CLONE_PIDFD, .pidfd = (u64)(uintptr_t)&guest->pidfd, .exit_signal = SIGCHLD};
    if (start->cgroup_register >= 0 && registers[start->cgroup_register] >= 0) {
        p.flags |= CLONE_INTO_CGROUP;
        p.cgroup = (u64)registers[start->cgroup_register];
    }
    if (start->user_register >= 0) return clone_inside(start, &p, guest, standard);
    int pid = (int)syscall(SYS_clone3, &p, sizeof p);
    if (pid == 0) live_as_stage(start, standard);
    return pid;
}

static struct failure clone_failure(u32 step) {
    return (struct failure){errno ? errno : EIO, CLONE, step};
}

// Steps of this phase are counted in the order that docs/keeper.md gives.
static struct failure bear(struct start *start, struct guest *guest) {
    int standard[3] = {-1, -1, -1}, pair[2];
    if (chdir(start->directory) < 0) return clone_failure(0);
    unlink("exit"); // of an earlier life
    if ((guest->listener = listen_at("guard.sock")) < 0) return clone_failure(1);
    if (!open_log(start)) return clone_failure(2);
    if (!make_pipes(start, guest, standard)) return clone_failure(3);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return clone_failure(3);
    guard_end = pair[0];
    stage_end = pair[1];
    current = start;
    guest->pid = clone_stage(start, guest, standard);
    if (guest->pid < 0) return clone_failure(4);
    close(stage_end);
    stage_end = -1;
    for (int fd = 0; fd < 3; fd++)
        if (standard[fd] >= 0) close(standard[fd]);
    registers[31] = guest->pid;
    registers[30] = guest->pidfd;
    registers[19] = guest->input;
    registers[18] = guest->output[0];
    registers[17] = guest->output[1];
    return run_program(&start->after, AFTER, 1 << 16);
}

static void take_descriptor(struct msghdr *letter, int *fd) {
    struct cmsghdr *head = CMSG_FIRSTHDR(letter);
    if (head && head->cmsg_type == SCM_RIGHTS && *fd < 0) memcpy(fd, CMSG_DATA(head), sizeof(int));
}

static void take_terminal(struct guest *guest) {
    fcntl(guest->output[0], F_SETFL, O_RDWR | O_NONBLOCK);
    // The other side is held as well, so that no end of file comes while the guest has closed it for a moment.
    guest->peer = ioctl(guest->output[0], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    guest->input = guest->output[0];
}

// Reads the stage's news until its execve closes the socket, or until it is prepared. A stage that ends without being ready was killed.
static struct failure await_stage(struct guest *guest, int flags) {
    bool ready = false;
    for (;;) {
        struct stage_message message;
        union { struct cmsghdr head; char bytes[CMSG_SPACE(sizeof(int))]; } control;
        struct iovec part = {&message, sizeof message};
        struct msghdr letter = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t got = recvmsg(guard_end, &letter, MSG_CMSG_CLOEXEC | flags);
        if (got < 0 && (errno == EINTR || errno == ECONNRESET)) continue; // reset: it left, but its words are still there
        if (got != sizeof message) return (struct failure){ready ? 0 : ECHILD, IN_STAGE, 0};
        if (message.news == FAILED) return (struct failure){message.error, IN_STAGE, message.step};
        if (message.news == PREPARED) return (struct failure){0, IN_STAGE, 0};
        if (message.news == READY) ready = true;
        if (message.news == HOLD) take_descriptor(&letter, &guest->held);
        if (message.news == TERMINAL_OPENED && guest->output[0] < 0) {
            take_descriptor(&letter, &guest->output[0]);
            take_terminal(guest);
        }
    }
}

static _Noreturn void give_up(struct guest *guest, int connection, u32 tag, struct failure failure) {
    siginfo_t info;
    if (guest->pid > 0) {
        syscall(SYS_pidfd_send_signal, guest->pidfd, SIGKILL, NULL, 0);
        while (waitid(P_PIDFD, (id_t)guest->pidfd, &info, WEXITED) < 0 && errno == EINTR) {}
    }
    if (guest->listener >= 0) unlink("guard.sock");
    send_result(connection, tag, failure, 0);
    _exit(1);
}

// The guard keeps only what it needs: not the payload, and no descriptor that programs opened or the spawner held.
static struct start *keep_fields(u8 *payload, size_t length, struct start *start) {
    size_t used = (size_t)(start->before.steps.at - 4 - payload);
    u8 *copy = mmap(NULL, used, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED) return start;
    memcpy(copy, payload, used);
    struct cursor c = {copy, copy + used, false};
    decode_start_fields(&c, start);
    munmap(payload, length);
    return start;
}

static struct start start;
static struct guest newborn = {.pidfd = -1, .input = -1, .output = {-1, -1}, .peer = -1, .listener = -1, .held = -1};

static bool receive(int connection, void *to, size_t size) {
    for (size_t got = 0; got < size;) {
        ssize_t more = recv(connection, (u8 *)to + got, size - got, 0);
        if (more < 0 && errno == EINTR) continue;
        if (more <= 0) return false;
        got += (size_t)more;
    }
    return true;
}

// Waits for the GO of a prepared guest. A connection that ends, and a stage that does, end the guard: it was nobody's yet.
static u8 *await_go(int connection, struct frame *frame) {
    struct pollfd polls[2] = {{connection, POLLIN, 0}, {newborn.pidfd, POLLIN, 0}};
    while (poll(polls, 2, -1) < 0 && errno == EINTR) {}
    u8 *payload = MAP_FAILED;
    if (!polls[1].revents && receive(connection, frame, sizeof *frame) && frame->kind == GO && frame->length > 0 && frame->length <= MOST_PAYLOAD)
        payload = mmap(NULL, frame->length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (payload == MAP_FAILED || !receive(connection, payload, frame->length))
        give_up(&newborn, connection, frame->tag, (struct failure){ECANCELED, REFUSED, 0});
    return payload;
}

// The streams of a prepared guest are pipes; what it does not want of them goes.
static void choose_streams(void) {
    if (!(start.flags & STDIN_OPEN) || (start.flags & TERMINAL)) {
        close(newborn.input);
        newborn.input = -1;
    }
    for (int i = 0; i < 2 && (start.flags & TERMINAL); i++) {
        close(newborn.output[i]);
        newborn.output[i] = -1;
    }
}

static struct failure go(void) {
    struct cursor *rest = &start.stage.steps;
    set_title(start.title);
    if (!open_log(&start)) return clone_failure(2);
    struct failure failure = run_program(&start.before, PROGRAM, 0);
    if (failure.error) return failure;
    choose_streams();
    if (send(guard_end, rest->at - 4, (size_t)(rest->end - rest->at) + 4, MSG_NOSIGNAL) < 0) return clone_failure(3);
    note_start(&newborn);
    return await_stage(&newborn, 0);
}

static struct failure begin(void) {
    struct failure failure = run_program(&start.before, PROGRAM, 0);
    if (failure.error) return failure;
    failure = bear(&start, &newborn);
    if (failure.error && newborn.pid > 0) { // the stage's own failure explains the guard's better
        struct failure earlier = await_stage(&newborn, MSG_DONTWAIT);
        if (earlier.error && earlier.error != ECHILD) failure = earlier;
    }
    if (failure.error) return failure;
    send(guard_end, "", 1, MSG_NOSIGNAL);
    note_start(&newborn);
    return await_stage(&newborn, 0);
}

void become_guard(int connection, const struct frame *given_frame, struct start *given, u8 *payload) {
    struct frame frame = *given_frame;
    start = *given;
    prepares = frame.kind == PREPARE;
    setsid();
    dup2(0, 2);
    handle_signals(SIG_IGN);
    set_title(start.title);
    struct failure failure = begin();
    if (!failure.error && prepares) {
        struct timeval forever = {0};
        setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &forever, sizeof forever);
        send_result(connection, frame.tag, failure, newborn.pid);
        munmap(payload, frame.length);
        payload = await_go(connection, &frame);
        struct cursor cursor = {payload, payload + frame.length, false};
        failure = decode_start(&cursor, &start) ? go() : (struct failure){EBADMSG, REFUSED, 0};
    }
    if (failure.error) give_up(&newborn, connection, frame.tag, failure);
    send_result(connection, frame.tag, failure, newborn.pid); // where nobody listens any more, the guest lives on all the same
    release(&outputs);
    newborn.connection = connection;
    newborn.tag = frame.tag;
    live_as_guard(keep_fields(payload, frame.length, &start), &newborn);
}
