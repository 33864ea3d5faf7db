// The birth of a guest: the guard's program "before", its pipes and socket, the clone of the stage, the guard's program
// "after", the stage's program up to execve, and the answer. The two talk over a close-on-exec socket pair: the end of
// file on it is the success.
#include "stage.h"
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
#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif
enum { OUTPUT_PIPE = 256 << 10 };
struct clone_parameters {
    u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

static int guard_end = -1; // of the socket pair
static bool prepares;

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

// A stage in another guest's user namespace is cloned by a child that has entered it, so that the namespaces made with it
// belong to that one. It is the guard's child all the same.
static int clone_inside(struct start *start, struct clone_parameters *p, struct guest *guest, int standard[3], int ends[2]) {
    int news[2], answer[2] = {-1, EIO}; // the stage's pid, errno
    if (pipe2(news, O_CLOEXEC) < 0) return -1;
    int helper = fork();
    if (helper == 0) {
        p->flags |= CLONE_PARENT;
        p->exit_signal = 0; // the helper's own
        bool inside = syscall(SYS_setns, registers[start->user_register], CLONE_NEWUSER) == 0;
        int pid = inside ? (int)syscall(SYS_clone3, p, sizeof *p) : -1;
        if (pid == 0) live_as_stage(start, standard, ends, prepares);
        answer[1] = errno;
        answer[0] = pid;
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

static int clone_stage(struct start *start, struct guest *guest, int standard[3], int ends[2]) {
    struct clone_parameters p = {
        .flags = start->clone_flags | CLONE_PIDFD, .pidfd = (u64)(uintptr_t)&guest->pidfd, .exit_signal = SIGCHLD};
    if (start->cgroup_register >= 0 && registers[start->cgroup_register] >= 0) {
        p.flags |= CLONE_INTO_CGROUP;
        p.cgroup = (u64)registers[start->cgroup_register];
    }
    if (start->user_register >= 0) return clone_inside(start, &p, guest, standard, ends);
    int pid = (int)syscall(SYS_clone3, &p, sizeof p);
    if (pid == 0) live_as_stage(start, standard, ends, prepares);
    return pid;
}

static struct failure clone_failure(u32 step) {
    return (struct failure){errno ? errno : EIO, CLONE, step};
}

// Steps of this phase are counted in the order that docs/keeper.md gives.
static struct failure bear(struct start *start, struct guest *guest) {
    int standard[3] = {-1, -1, -1}, ends[2];
    if (chdir(start->directory) < 0) return clone_failure(0);
    unlink("exit"); // of an earlier life
    if ((guest->listener = listen_at("guard.sock")) < 0) return clone_failure(1);
    if (!open_log(start)) return clone_failure(2);
    if (!make_pipes(start, guest, standard)) return clone_failure(3);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) return clone_failure(3);
    guard_end = ends[0];
    if (start->stage.hands_over) setsockopt(guard_end, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int));
    guest->pid = clone_stage(start, guest, standard, ends);
    if (guest->pid < 0) return clone_failure(4);
    close(ends[1]);
    for (int fd = 0; fd < 3; fd++)
        if (standard[fd] >= 0) close(standard[fd]);
    registers[31] = guest->pid;
    registers[30] = guest->pidfd;
    registers[19] = guest->input;
    registers[18] = guest->output[0];
    registers[17] = guest->output[1];
    return run_program(&start->after, AFTER, 1 << 16);
}

static bool find_control(struct msghdr *letter, int type, void *to, size_t size) {
    struct cmsghdr *head = CMSG_FIRSTHDR(letter);
    while (head && head->cmsg_type != type) head = CMSG_NXTHDR(letter, head);
    if (head) memcpy(to, CMSG_DATA(head), size);
    return head != NULL;
}

static void take_descriptor(struct msghdr *letter, int *fd) {
    int given = -1;
    if (!find_control(letter, SCM_RIGHTS, &given, sizeof given)) return;
    if (*fd < 0) *fd = given;
    else close(given);
}

// Who is ready is the guest: the stage, or the child that it has handed over to, the guard's as well. The kernel tells its
// number; nobody else's child is taken for it.
static void take_successor(struct msghdr *letter, struct guest *guest) {
    struct ucred sender;
    siginfo_t info;
    if (!find_control(letter, SCM_CREDENTIALS, &sender, sizeof sender) || sender.pid == guest->pid) return;
    if (waitid(P_PID, (id_t)sender.pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0) return;
    int pidfd = (int)syscall(SYS_pidfd_open, sender.pid, 0);
    if (pidfd < 0) return;
    while (waitid(P_PIDFD, (id_t)guest->pidfd, &info, WEXITED) < 0 && errno == EINTR) {}
    close(guest->pidfd);
    guest->pid = sender.pid;
    guest->pidfd = pidfd;
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
        union { struct cmsghdr head; char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))]; } control;
        struct iovec part = {&message, sizeof message};
        struct msghdr letter = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t got = recvmsg(guard_end, &letter, MSG_CMSG_CLOEXEC | flags);
        if (got < 0 && (errno == EINTR || errno == ECONNRESET)) continue; // reset: it left, but its words are still there
        if (got != sizeof message) return (struct failure){ready ? 0 : ECHILD, IN_STAGE, 0};
        if (message.news == FAILED) return (struct failure){message.error, IN_STAGE, message.step};
        if (message.news == PREPARED) return (struct failure){0, IN_STAGE, 0};
        if (message.news == READY) {
            ready = true;
            take_successor(&letter, guest);
        }
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
    prctl(PR_SET_DUMPABLE, 0); // and of all children up to their execve: no guest's root may look into them (CVE-2016-9962)
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
