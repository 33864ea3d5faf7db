// The stage: a guest's first process until its execve. It carries out its program and tells its guard, over a close-on-exec
// socket pair, what the guard must know. Where it joins a pid namespace a child takes its place at the end.
#include "stage.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4
#endif
#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

static int stage_end = -1; // of the socket pair; in no other process
static struct start *current;
static bool awaited, prepared;
static bool hands_over, terminal_waits; // until a child has taken this one's place

void handle_signals(void (*handler)(int)) {
    static const int ignored[] = {SIGPIPE, SIGHUP, SIGINT, SIGTERM, SIGQUIT};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], handler);
}

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
    if (stage_end < 0 || prepared || hands_over) return 0;
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
    terminal_waits = hands_over; // the end of a session's leader would hang it up
    if (!hands_over && ioctl(peer, TIOCSCTTY, 0) < 0) return -errno;
    for (int fd = 0; fd < 3; fd++)
        if (dup2(peer, fd) < 0) return -errno;
    return peer;
}

// Goes on in a child that is born into the pid namespace that was joined, as the last thing before its program runs: with
// the guest's root, its privileges and its three descriptors, so that a guest who can trace it finds nothing else in it.
long hand_over(void) {
    if (!hands_over) return -EINVAL;
    if (syscall(SYS_close_range, 3, stage_end - 1, 0) < 0 || syscall(SYS_close_range, stage_end + 1, ~0U, 0) < 0) return -errno;
    for (int i = 0; i < REGISTERS; i++) registers[i] = -1;
    long pid = syscall(SYS_clone, CLONE_PARENT, 0, 0, 0, 0); // not clone3: seccomp filters refuse what they cannot look into
    if (pid < 0) return -errno;
    if (pid > 0) _exit(0);
    hands_over = false;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid();
    return terminal_waits && ioctl(0, TIOCSCTTY, 0) < 0 ? -errno : 0;
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

_Noreturn void live_as_stage(struct start *start, int standard[3], int ends[2], bool prepares) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid(); // in no group with its guard: the guest's kill(0) must not reach that
    handle_signals(SIG_DFL);
    close(ends[0]);
    current = start;
    stage_end = ends[1];
    for (int fd = 0; fd < 3; fd++)
        if (standard[fd] >= 0) dup2(standard[fd], fd);
    int high = fcntl(stage_end, F_DUPFD_CLOEXEC, 100); // out of the way of the program's dup3
    if (high >= 0) stage_end = high;
    syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
    if (chdir("/") < 0) _exit(125);
    hands_over = start->stage.hands_over;
    struct failure failure = run_program(&start->stage, IN_STAGE, 0);
    if (!failure.error && prepares) failure = await_rest();
    tell_guard(FAILED, failure.step, failure.error ? failure.error : ENOEXEC);
    _exit(125);
}
