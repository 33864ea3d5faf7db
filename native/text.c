// Small tools instead of stdio: text into buffers, whole writes, growing buffers, frames under a lock, Unix sockets by
// long paths.
#include "keeper.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

char *put_text(char *at, const char *text) {
    while (*text) *at++ = *text++;
    return at;
}

char *put_decimal(char *at, i64 number) {
    char digits[20];
    int count = 0;
    u64 rest = number < 0 ? 0 - (u64)number : (u64)number;
    do digits[count++] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (number < 0) *at++ = '-';
    while (count > 0) *at++ = digits[--count];
    return at;
}

i64 now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool write_all(int fd, const void *bytes, size_t length) {
    for (const char *at = bytes; length > 0;) {
        ssize_t written = write(fd, at, length);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        at += written;
        length -= (size_t)written;
    }
    return true;
}

// Takes so many bytes off the front of the parts.
void advance(struct iovec *parts, size_t sent) {
    for (; sent > 0; parts++) {
        size_t taken = sent < parts->iov_len ? sent : parts->iov_len;
        parts->iov_base = (u8 *)parts->iov_base + taken;
        parts->iov_len -= taken;
        sent -= taken;
    }
}

bool send_all(int fd, struct iovec *parts, int count) {
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
    for (;;) {
        while (message.msg_iovlen > 0 && message.msg_iov->iov_len == 0) message.msg_iov++, message.msg_iovlen--;
        if (message.msg_iovlen == 0) return true;
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return false;
        advance(message.msg_iov, (size_t)sent);
    }
}

// A record lock on one byte of a file without content that all children of the spawner inherit.
int lock_file = -1;

void lock_connection(int fd, bool locked) {
    struct flock lock = {.l_type = locked ? F_WRLCK : F_UNLCK, .l_whence = SEEK_SET, .l_start = fd, .l_len = 1};
    while (lock_file >= 0 && fcntl(lock_file, F_SETLKW, &lock) < 0 && errno == EINTR) {}
}

enum { HEAD_ROOM = 1024 }; // for the rest of a RESULT, so that a full buffer still makes a frame

u8 *reserve(struct buffer *b, size_t size) {
    if (b->used + size + HEAD_ROOM > b->room) {
        size_t room = b->room ? b->room : 1 << 16;
        while (room <= MOST_PAYLOAD && room < b->used + size + HEAD_ROOM) room *= 2;
        if (room > MOST_PAYLOAD) return errno = ENOBUFS, NULL;
        void *bytes = b->bytes ? mremap(b->bytes, b->room, room, MREMAP_MAYMOVE)
                               : mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (bytes == MAP_FAILED) return NULL;
        b->bytes = bytes;
        b->room = room;
    }
    return b->bytes + b->used;
}

void release(struct buffer *b) {
    if (b->bytes) munmap(b->bytes, b->room);
    *b = (struct buffer){0};
}

// A listening Unix socket at path, mode 0600, for this process's owner only. A path beyond sun_path goes through its
// directory's descriptor.
int listen_at(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *slash = strrchr(path, '/');
    int directory = -1, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (strlen(path) < sizeof address.sun_path) strcpy(address.sun_path, path);
    else {
        char parent[4096];
        size_t length = slash ? (size_t)(slash - path) : sizeof parent;
        if (length >= sizeof parent || strlen(slash) > 64) return errno = ENAMETOOLONG, -1;
        memcpy(parent, path, length);
        parent[length] = 0;
        directory = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0) return -1;
        char *at = put_decimal(put_text(address.sun_path, "/proc/self/fd/"), directory);
        put_text(at, slash);
    }
    unlink(address.sun_path);
    mode_t mask = umask(0177);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1024) == 0;
    int error = errno;
    umask(mask);
    if (directory >= 0) close(directory);
    if (bound) return fd;
    if (fd >= 0) close(fd);
    return errno = error, -1;
}
