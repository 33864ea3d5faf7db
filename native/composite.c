// The short calls that are not system calls. See docs/keeper.md for what each promises.
#include "composite.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

// From Linux's own headers, which Debian 12 has only in part.
struct open_how { u64 flags, mode, resolve; };
enum { NO_MAGICLINKS = 0x02, IN_ROOT = 0x10 };
struct filter_program { u16 length; const void *filter; };
enum { SET_MODE_FILTER = 1 };
enum { BPF_LOAD = 5, BPF_ATTACH = 8, CGROUP_DEVICE_PROGRAM = 15, CGROUP_DEVICE_ATTACH = 6, ALLOW_MULTI = 2 };
struct bpf_load {
    u32 type, count;
    u64 instructions, licence;
    u32 log_level, log_size;
    u64 log;
    u32 kernel_version, flags;
};
struct bpf_attach { u32 cgroup, program, type, flags; };

void put_output(u32 step, const void *bytes, size_t length) {
    u32 head[2] = {step, (u32)length};
    u8 *at = reserve(&outputs, 8 + length);
    if (!at) return;
    memcpy(at, head, sizeof head);
    if (length) memcpy(at + 8, bytes, length);
    outputs.used += 8 + length;
}

long own_write_file(struct call *call) {
    struct argument *bytes = &call->argument[2];
    size_t length = bytes->length - (bytes->type == STRING);
    int fd = openat((int)call->value[0], (char *)call->value[1], (int)call->value[3] | O_CLOEXEC, 0644);
    if (fd < 0) return -errno;
    ssize_t written = length ? write(fd, bytes->bytes, length) : 0;
    long result = written < 0 ? -errno : (size_t)written < length ? -EIO : 0;
    close(fd);
    return result;
}

static int open_beneath(int root, const char *path) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = IN_ROOT | NO_MAGICLINKS};
    long fd;
    do fd = syscall(SYS_openat2, root, path, &how, sizeof how);
    while (fd < 0 && errno == EAGAIN); // a rename somewhere made ".." unsafe: look again
    return (int)fd;
}

static bool make_last(int parent, const char *name, bool directory, mode_t mode) {
    if (directory) return mkdirat(parent, name, mode) == 0 || errno == EEXIST;
    int fd = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd >= 0) close(fd);
    return fd >= 0 || errno == EEXIST;
}

// Opens ever longer prefixes of the path; what is missing is made in the prefix before it, whose descriptor no rename
// can redirect.
static int make_path(int root, char *path, mode_t mode, bool file) {
    int parent = open_beneath(root, ".");
    for (char *at = path; parent >= 0;) {
        while (*at == '/') at++;
        char *name = at;
        while (*at && *at != '/') at++;
        char *rest = at;
        while (*rest == '/') rest++;
        bool last = *rest == 0;
        char stop = *at;
        if (name == at) break;
        *at = 0;
        int fd = open_beneath(root, path);
        if (fd < 0 && errno == ENOENT && make_last(parent, name, !last || !file, last ? mode : 0755))
            fd = open_beneath(root, path);
        int error = errno;
        *at = stop;
        close(parent);
        errno = error;
        parent = fd;
        if (last) break;
    }
    return parent;
}

// The usual case, that only the last component is missing: it is made in its parent, whose descriptor no rename can
// redirect. ENOENT if there is more to do.
static int make_below(int root, char *path, mode_t mode, bool file) {
    char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (!slash || slash == path || *name == 0 || strcmp(name, "..") == 0) return errno = ENOENT, -1;
    *slash = 0;
    int parent = open_beneath(root, path), fd = -1;
    *slash = '/';
    if (parent < 0) return -1;
    if (make_last(parent, name, !file, mode)) fd = open_beneath(root, path);
    int error = errno;
    close(parent);
    errno = error;
    return fd;
}

long own_make_path(struct call *call) {
    char *path = (char *)call->value[1];
    if (!path) return -EFAULT;
    int fd = open_beneath((int)call->value[0], path);
    if (fd >= 0 || errno != ENOENT) return fd >= 0 ? fd : -errno;
    mode_t mask = umask(0);
    fd = make_below((int)call->value[0], path, (mode_t)call->value[2], call->value[3] == 1);
    if (fd < 0 && errno == ENOENT)
        fd = make_path((int)call->value[0], path, (mode_t)call->value[2], call->value[3] == 1);
    long result = fd >= 0 ? fd : -errno;
    umask(mask);
    return result;
}

long own_check_cwd(struct call *call) {
    (void)call;
    char path[4097];
    long length = syscall(SYS_getcwd, path, sizeof path);
    return length > 0 && path[0] == '/' ? 0 : -EPERM;
}

// Refuses a descriptor that lies on a file system of that type (statfs(2), f_type).
long own_refuse_filesystem(struct call *call) {
    struct statfs status;
    if (fstatfs((int)call->value[0], &status) < 0) return -errno;
    return status.f_type == call->value[1] ? -EPERM : 0;
}

// Takes one message; gives whether it was an acknowledgement or the end of a dump, and keeps the first error.
static bool take_message(const struct nlmsghdr *head, const u8 *body, size_t length, int *error) {
    int code = 0;
    bool done = head->nlmsg_type == NLMSG_ERROR || head->nlmsg_type == NLMSG_DONE;
    if (done && length >= sizeof *head + sizeof code) memcpy(&code, body + sizeof *head, sizeof code);
    if (done && code < 0 && *error == 0) *error = -code;
    if (!done || code < 0) {
        u8 *at = reserve(&outputs, NLMSG_ALIGN(length));
        if (!at) return *error = ENOBUFS, done;
        memset(at + length, 0, NLMSG_ALIGN(length) - length);
        memcpy(at, body, length);
        outputs.used += NLMSG_ALIGN(length);
    }
    return done;
}

static int receive_acks(int fd, long acks) {
    static u8 datagram[1 << 16];
    int error = 0;
    while (acks > 0) {
        ssize_t got = recv(fd, datagram, sizeof datagram, MSG_DONTWAIT | MSG_TRUNC);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) { // after an error there may be fewer of them than asked for
            struct pollfd one = {fd, POLLIN, 0};
            if (error) return error;
            if (poll(&one, 1, 5000) == 0) return ETIMEDOUT;
            continue;
        }
        if (got <= 0) return got < 0 ? errno : EIO;
        if ((size_t)got > sizeof datagram) return EMSGSIZE;
        struct nlmsghdr head;
        for (size_t at = 0; (size_t)got - at >= sizeof head; at += NLMSG_ALIGN(head.nlmsg_len)) {
            memcpy(&head, datagram + at, sizeof head);
            if (head.nlmsg_len < sizeof head || head.nlmsg_len > (size_t)got - at) return EBADMSG;
            acks -= take_message(&head, datagram + at, head.nlmsg_len, &error);
            if (NLMSG_ALIGN(head.nlmsg_len) > (size_t)got - at) break;
        }
    }
    return error;
}

long own_netlink(struct call *call) {
    struct argument *bytes = &call->argument[1];
    size_t start = outputs.used;
    if (!reserve(&outputs, 8)) return -ENOBUFS;
    if (send((int)call->value[0], bytes->bytes, bytes->length, MSG_NOSIGNAL) < 0) return -errno;
    outputs.used += 8;
    int error = receive_acks((int)call->value[0], call->value[2]);
    u32 head[2] = {call->step, (u32)(outputs.used - start - 8)};
    memcpy(outputs.bytes + start, head, sizeof head);
    if (head[1] == 0) outputs.used = start;
    return -error;
}

long own_seccomp_filter(struct call *call) {
    struct argument *bytes = &call->argument[0];
    struct filter_program filter = {(u16)(bytes->length / 8), bytes->bytes};
    if (bytes->length % 8 || bytes->length / 8 > 65535) return -EINVAL;
    long ready = prepare_exec(); // the filter may forbid what this needs
    if (ready < 0) return ready;
    return syscall(SYS_seccomp, SET_MODE_FILTER, call->value[1], &filter) < 0 ? -errno : 0;
}

long own_device_filter(struct call *call) {
    static const char licence[] = "Apache-2.0";
    struct argument *bytes = &call->argument[1];
    struct bpf_load load = {.type = CGROUP_DEVICE_PROGRAM, .count = bytes->length / 8,
                            .instructions = (u64)(uintptr_t)bytes->bytes, .licence = (u64)(uintptr_t)licence};
    int program = (int)syscall(SYS_bpf, BPF_LOAD, &load, sizeof load);
    if (program < 0) return -errno;
    struct bpf_attach attach = {(u32)call->value[0], (u32)program, CGROUP_DEVICE_ATTACH, ALLOW_MULTI};
    long result = syscall(SYS_bpf, BPF_ATTACH, &attach, sizeof attach) < 0 ? -errno : 0;
    close(program);
    return result;
}

static char **string_array(const struct argument *list) {
    struct cursor c = {list->bytes, list->bytes + list->length, false};
    struct buffer array = {0};
    char **strings = (char **)(void *)reserve(&array, ((size_t)list->value + 1) * sizeof *strings);
    for (i64 i = 0; strings && i <= list->value; i++) strings[i] = (char *)next_string(&c);
    return strings;
}

long own_exec(struct call *call) {
    long ready = prepare_exec();
    char **paths = string_array(&call->argument[0]), **argv = string_array(&call->argument[1]);
    char **env = string_array(&call->argument[2]);
    if (ready < 0) return ready;
    if (!paths || !argv || !env) return -ENOMEM;
    bool denied = false;
    errno = ENOENT;
    for (; *paths; paths++) {
        execve(*paths, argv, env);
        if (errno == EACCES) denied = true;
        else if (errno != ENOENT && errno != ENOTDIR) return -errno;
    }
    return denied ? -EACCES : -errno;
}

long own_await_guard(struct call *call) {
    (void)call;
    return await_guard();
}

long own_hand_over(struct call *call) {
    (void)call;
    return hand_over();
}

long own_hold(struct call *call) {
    return hold((int)call->value[0]);
}

long own_open_terminal(struct call *call) {
    return open_terminal((char *)call->value[0], (u16)call->value[1], (u16)call->value[2]);
}
