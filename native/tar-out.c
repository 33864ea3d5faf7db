// pack: writes a file or a tree as a tar stream in DATA frames, entries sorted by name, so that the same tree gives the
// same bytes.
#include "tar.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { MOST_XATTR = 64 << 10, LINK_BUCKETS = 1024 };
struct link_target { dev_t device; ino_t inode; struct link_target *next; char path[]; };

static u8 output[TAR_BUFFER];
static size_t filled;
static int sink;
static long flags;
static i64 youngest;
static dev_t top_device;
static char path[MOST_PATH + 2]; // of the entry being written, as it stands in the archive
static struct link_target *targets[LINK_BUCKETS];
static struct buffer records; // of the pax header being made

static void check(bool good) {
    if (!good) fail_archive("pack", path, errno, NULL);
}

static void send_output(void) {
    struct iovec parts[2] = {{0}, {output, filled}};
    if (filled > 0) check(send_frame(sink, current_tag, DATA, parts, 2));
    filled = 0;
}

static void put_bytes(const void *bytes, size_t length) {
    for (const u8 *at = bytes; length > 0;) {
        size_t some = length < sizeof output - filled ? length : sizeof output - filled;
        memcpy(output + filled, at, some);
        filled += some;
        at += some;
        length -= some;
        if (filled == sizeof output) send_output();
    }
}

static void put_padding(i64 size) {
    static const u8 zeros[BLOCK];
    put_bytes(zeros, (size_t)(-size & (BLOCK - 1)));
}

// Headers.

static void octal(char *field, size_t length, i64 number) {
    for (size_t i = length - 1; i > 0; i--, number >>= 3) field[i - 1] = (char)('0' + (number & 7));
}

static void put_header(struct tar_header *header) {
    memcpy(header->magic, "ustar\00000", 8);
    octal(header->checksum, 7, tar_checksum(header));
    header->checksum[7] = ' ';
    put_bytes(header, sizeof *header);
}

static void add_record(const char *key, const void *value, size_t length) {
    char digits[24];
    size_t rest = strlen(key) + length + 3, total = rest + 1; // with the space, "=" and the newline
    while (total != rest + (size_t)(put_decimal(digits, (i64)total) - digits)) total++;
    *put_decimal(digits, (i64)total) = 0;
    u8 *at = reserve(&records, total + 24);
    check(at);
    at = (u8 *)put_text(put_text(put_text((char *)at, digits), " "), key);
    *at++ = '=';
    memcpy(at, value, length);
    at[length] = '\n';
    records.used += total;
}

static void add_number(const char *key, i64 number) {
    char digits[24];
    add_record(key, digits, (size_t)(put_decimal(digits, number) - digits));
}

static void add_time(i64 seconds, i64 nanoseconds) {
    char text[48], *at = put_decimal(text, seconds);
    if (nanoseconds > 0) {
        *at++ = '.';
        for (i64 unit = 100000000; unit > 0; unit /= 10) *at++ = (char)('0' + nanoseconds / unit % 10);
    }
    add_record("mtime", text, (size_t)(at - text));
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_xattrs(int fd) {
    static char names[MOST_XATTR], value[MOST_XATTR], key[300] = "SCHILY.xattr.";
    char *sorted[256];
    size_t count = 0;
    ssize_t length = flistxattr(fd, names, sizeof names);
    if (length < 0 && errno == ENOTSUP) return;
    check(length >= 0);
    for (char *name = names; name < names + length && count < 256; name += strlen(name) + 1)
        if (xattr_travels(name)) sorted[count++] = name;
    qsort(sorted, count, sizeof *sorted, by_name);
    for (size_t i = 0; i < count; i++) {
        ssize_t size = fgetxattr(fd, sorted[i], value, sizeof value);
        check(size >= 0);
        strcpy(key + 13, sorted[i]);
        add_record(key, value, (size_t)size);
    }
}

static void put_pax(void) {
    struct tar_header header = {.type = 'x'};
    const char *last = strrchr(path, '/');
    size_t length = records.used;
    if (length == 0) return;
    char *at = put_text(header.name, "PaxHeaders.0/");
    last = last && last[1] ? last + 1 : path;
    memcpy(at, last, strnlen(last, sizeof header.name - 13));
    octal(header.mode, sizeof header.mode, 0644);
    octal(header.uid, sizeof header.uid, 0);
    octal(header.gid, sizeof header.gid, 0);
    octal(header.size, sizeof header.size, (i64)length);
    octal(header.mtime, sizeof header.mtime, 0);
    put_header(&header);
    put_bytes(records.bytes, length);
    put_padding((i64)length);
    records.used = 0;
}

static void put_entry(const struct stat *status, char type, const char *link, int fd) {
    struct tar_header header = {.type = type};
    i64 size = type == '0' ? status->st_size : 0, seconds = status->st_mtim.tv_sec;
    i64 nanoseconds = flags & NANOSECONDS ? status->st_mtim.tv_nsec : 0;
    if (youngest >= 0 && seconds >= youngest) seconds = youngest, nanoseconds = 0;
    if (strlen(path) > sizeof header.name) add_record("path", path, strlen(path));
    if (link && strlen(link) > sizeof header.link) add_record("linkpath", link, strlen(link));
    if (status->st_uid > 07777777) add_number("uid", status->st_uid);
    if (status->st_gid > 07777777) add_number("gid", status->st_gid);
    if (size > 077777777777) add_number("size", size);
    if (seconds < 0 || seconds > 077777777777 || nanoseconds > 0) add_time(seconds, nanoseconds);
    if (fd >= 0) add_xattrs(fd);
    put_pax();
    memcpy(header.name, path, strnlen(path, sizeof header.name));
    if (link) memcpy(header.link, link, strnlen(link, sizeof header.link));
    octal(header.mode, sizeof header.mode, status->st_mode & 07777);
    octal(header.uid, sizeof header.uid, status->st_uid > 07777777 ? 0 : status->st_uid);
    octal(header.gid, sizeof header.gid, status->st_gid > 07777777 ? 0 : status->st_gid);
    octal(header.size, sizeof header.size, size > 077777777777 ? 0 : size);
    octal(header.mtime, sizeof header.mtime, seconds < 0 || seconds > 077777777777 ? 0 : seconds);
    octal(header.major, sizeof header.major, type == '3' || type == '4' ? major(status->st_rdev) : 0);
    octal(header.minor, sizeof header.minor, type == '3' || type == '4' ? minor(status->st_rdev) : 0);
    put_header(&header);
}

// Contents.

// A file that shrinks meanwhile is filled up with zeros, one that grows is cut: the header has told its size.
static void put_content(int fd, i64 size) {
    for (i64 left = size; left > 0;) {
        size_t room = sizeof output - filled, some = left < (i64)room ? (size_t)left : room;
        ssize_t got = read(fd, output + filled, some);
        check(got >= 0 || errno == EINTR);
        if (got < 0) continue;
        if (got == 0) memset(output + filled, 0, some), got = (ssize_t)some;
        filled += (size_t)got;
        left -= got;
        if (filled == sizeof output) send_output();
    }
    put_padding(size);
}

// The path under which this file was written before, or NULL, and then it is remembered.
static const char *earlier_link(const struct stat *status) {
    struct link_target **at = &targets[status->st_ino % LINK_BUCKETS];
    for (struct link_target *one = *at; one; one = one->next)
        if (one->inode == status->st_ino && one->device == status->st_dev) return one->path;
    struct link_target *target = malloc(sizeof *target + strlen(path) + 1);
    check(target);
    *target = (struct link_target){status->st_dev, status->st_ino, *at};
    strcpy(target->path, path);
    *at = target;
    return NULL;
}

static void put_regular(int parent, const char *name, const struct stat *status) {
    const char *earlier = (flags & HARD_LINKS) && status->st_nlink > 1 ? earlier_link(status) : NULL;
    if (earlier) return put_entry(status, '1', earlier, -1);
    int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    struct stat now;
    check(fd >= 0 && fstat(fd, &now) == 0);
    put_entry(&now, '0', NULL, fd);
    put_content(fd, now.st_size);
    close(fd);
}

static void put_symlink(int parent, const char *name, const struct stat *status) {
    char link[MOST_PATH + 1];
    ssize_t length = readlinkat(parent, name, link, sizeof link - 1);
    check(length >= 0);
    link[length] = 0;
    put_entry(status, '2', link, -1);
}

static char *extend_path(const char *name) {
    char *end = path + strlen(path);
    if ((size_t)(end - path) + strlen(name) + 1 > MOST_PATH)
        fail_archive("pack", path, ENAMETOOLONG, "a path in it is longer than 4096 bytes");
    strcpy(end, name);
    return end;
}

static void put_whiteout(const struct stat *status, const char *name) {
    struct stat empty = {
        .st_mode = S_IFREG, .st_mtim = status->st_mtim, .st_uid = status->st_uid, .st_gid = status->st_gid};
    char *end = extend_path(".wh.");
    extend_path(name);
    put_entry(&empty, '0', NULL, -1);
    *end = 0;
}

static void put_any(int parent, const char *name, const char *shown);

static void put_children(int fd) {
    char **names = NULL;
    size_t count = 0, room = 0;
    DIR *directory = fdopendir(fd);
    check(directory);
    for (struct dirent *one; (one = readdir(directory));) {
        if (strcmp(one->d_name, ".") == 0 || strcmp(one->d_name, "..") == 0) continue;
        if (count == room) names = realloc(names, (room = room ? 2 * room : 64) * sizeof *names);
        if (names) names[count] = strdup(one->d_name);
        check(names && names[count++]);
    }
    if (count > 0) qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count; i++) {
        put_any(fd, names[i], names[i]);
        free(names[i]);
    }
    free(names);
    closedir(directory);
}

// shown is its name in the archive; "" for the top whose content alone is wanted.
static void put_directory(int parent, const char *name, const char *shown) {
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;
    char opaque = 0;
    check(fd >= 0 && fstat(fd, &status) == 0);
    if ((flags & ONE_FILE_SYSTEM) && status.st_dev != top_device) {
        close(fd);
        return;
    }
    if (*shown) {
        extend_path("/");
        put_entry(&status, '5', NULL, fd);
    }
    if ((flags & WHITEOUTS_OUT) && fgetxattr(fd, "trusted.overlay.opaque", &opaque, 1) == 1 && opaque == 'y')
        put_whiteout(&status, ".wh..opq");
    put_children(fd);
}

static void put_any(int parent, const char *name, const char *shown) {
    struct stat status;
    size_t length = strlen(path);
    bool gone = fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0;
    if (gone && errno == ENOENT && length > 0) return; // since its directory was read
    check(!gone);
    mode_t kind = status.st_mode & S_IFMT;
    if (kind == S_IFCHR && status.st_rdev == 0 && (flags & WHITEOUTS_OUT)) {
        put_whiteout(&status, name);
        return;
    }
    extend_path(shown);
    if (kind == S_IFDIR) put_directory(parent, name, shown);
    else if (kind == S_IFREG) put_regular(parent, name, &status);
    else if (kind == S_IFLNK) put_symlink(parent, name, &status);
    else if (kind == S_IFCHR) put_entry(&status, '3', NULL, -1);
    else if (kind == S_IFBLK) put_entry(&status, '4', NULL, -1);
    else if (kind == S_IFIFO) put_entry(&status, '6', NULL, -1);
    path[length] = 0; // sockets are left out
}

static void pack_all(char *given) {
    static const u8 end[2 * BLOCK];
    struct stat status;
    for (size_t length = strlen(given); length > 1 && given[length - 1] == '/'; length--) given[length - 1] = 0;
    const char *slash = strrchr(given, '/'), *name = slash ? slash + 1 : given;
    bool found = lstat(given, &status) == 0;
    if (!found) fail_archive("pack", given, errno, NULL);
    top_device = status.st_dev;
    put_any(AT_FDCWD, given, S_ISDIR(status.st_mode) && !(flags & NAMED) ? "" : name);
    put_bytes(end, sizeof end);
    send_output();
}

long own_pack(struct call *call) {
    int error = setjmp(archive_failed);
    if (error) return end_archive(call->step, error);
    if (!call->value[1]) return -EFAULT;
    sink = (int)call->value[0];
    flags = call->value[2];
    youngest = call->value[3];
    raise_descriptor_limit();
    pack_all((char *)call->value[1]);
    return 0;
}
