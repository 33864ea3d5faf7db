// unpack: reads a tar stream into the current directory of a process that its program has already confined, so that
// names can be resolved as they are; still no final symbolic link is ever followed, and ".." is refused.
#include "tar.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

struct entry {
    char path[MOST_PATH + 1], link[MOST_PATH + 1], type;
    mode_t mode;
    i64 uid, gid, size, seconds, nanoseconds, major, minor;
    u8 *pax; // the extended header's records, for the extended attributes
    size_t pax_length;
};
struct directory_time { struct timespec time; char *path; };

jmp_buf archive_failed;
static char sentence[MOST_PATH * 2];
static u8 input[TAR_BUFFER], pax[MOST_PAX];
static size_t input_at, input_end, time_count, time_room;
static int source;
static long flags;
static struct entry entry;
static struct directory_time *times;
static char long_path[MOST_PATH + 1], long_link[MOST_PATH + 1]; // of GNU's 'L' and 'K' entries, for the next entry

_Noreturn void fail_archive(const char *verb, const char *path, int error, const char *why) {
    const char *name = strerrorname_np(error);
    char *at = put_text(put_text(put_text(sentence, "Cannot "), verb), " \"");
    for (size_t i = 0; path[i] && i < MOST_PATH; i++) *at++ = (u8)path[i] < 32 ? '?' : path[i];
    at = put_text(put_text(at, "\": "), why ? why : name ? name : "it failed");
    *at = 0;
    longjmp(archive_failed, error ? error : EIO);
}

long end_archive(u32 step, int error) {
    put_output(step, sentence, strlen(sentence));
    return -error;
}

static _Noreturn void refuse(int error, const char *why) {
    fail_archive("unpack", entry.path[0] ? entry.path : "the archive", error, why);
}

static _Noreturn void malformed(const char *why) {
    refuse(EBADMSG, why);
}

static void check(bool good) {
    if (!good) refuse(errno, NULL);
}

u32 tar_checksum(const struct tar_header *header) {
    const u8 *bytes = (const u8 *)header;
    u32 sum = 8 * ' ';
    for (size_t i = 0; i < BLOCK; i++)
        if (i < offsetof(struct tar_header, checksum) || i >= offsetof(struct tar_header, type)) sum += bytes[i];
    return sum;
}

// Extended attributes that travel in archives; overlay's own never do.
bool xattr_travels(const char *name) {
    if (strncmp(name, "user.overlay.", 13) == 0) return false;
    if (strncmp(name, "user.", 5) == 0 || strncmp(name, "system.posix_acl_", 17) == 0) return true;
    return strcmp(name, "security.capability") == 0;
}

void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

// The stream.

static size_t fill(void) {
    ssize_t got;
    do got = read(source, input, sizeof input);
    while (got < 0 && errno == EINTR);
    check(got >= 0);
    input_at = 0;
    return input_end = (size_t)got;
}

// Up to most bytes that are at hand; never none but at the end of the stream.
static size_t take_some(u8 **bytes, size_t most) {
    if (input_at == input_end && fill() == 0) return 0;
    size_t some = input_end - input_at < most ? input_end - input_at : most;
    *bytes = input + input_at;
    input_at += some;
    return some;
}

static bool take_block(u8 *to) {
    size_t have = 0;
    for (u8 *bytes; have < BLOCK;) {
        size_t some = take_some(&bytes, BLOCK - have);
        if (some == 0 && have == 0) return false;
        if (some == 0) malformed("the archive is cut off");
        memcpy(to + have, bytes, some);
        have += some;
    }
    return true;
}

// Passes the entry's content and its padding to the file (-1: nowhere) or into to.
static void take_content(i64 size, int file, u8 *to) {
    i64 padded = (size + BLOCK - 1) / BLOCK * BLOCK;
    for (u8 *bytes; padded > 0;) {
        size_t some = take_some(&bytes, padded < TAR_BUFFER ? (size_t)padded : TAR_BUFFER);
        if (some == 0) malformed("the archive is cut off");
        size_t content = size < (i64)some ? (size_t)size : some;
        if (file >= 0 && content > 0) check(write_all(file, bytes, content));
        if (to) memcpy(to, bytes, content), to += content;
        size -= (i64)content;
        padded -= (i64)some;
    }
}

// Headers.

// Octal, with spaces or NULs around, or GNU's base 256.
static i64 number(const char *text, size_t length) {
    u64 value = (u8)text[0] & 0x3F;
    if ((u8)text[0] & 0x80) {
        bool negative = (u8)text[0] & 0x40;
        if (negative) value |= ~0x3FULL;
        for (size_t i = 1; i < length; i++) {
            if ((i64)value >= (i64)1 << 55 || (i64)value < -((i64)1 << 55))
                malformed("a number in its header is too large");
            value = value << 8 | (u8)text[i];
        }
        return (i64)value;
    }
    size_t at = 0;
    while (at < length && text[at] == ' ') at++;
    for (value = 0; at < length && text[at] >= '0' && text[at] <= '7'; at++) value = value << 3 | (u64)(text[at] - '0');
    if (at < length && text[at] != 0 && text[at] != ' ')
        malformed("a number in its header is malformed; it may be no tar archive");
    return (i64)value;
}
#define NUMBER(field) number(header->field, sizeof header->field)

static void set_text(char *to, const u8 *text, size_t length) {
    if (length > 0 && memchr(text, 0, length)) length = (size_t)((u8 *)memchr(text, 0, length) - text);
    if (length > MOST_PATH) refuse(ENAMETOOLONG, "a path in it is longer than 4096 bytes");
    memcpy(to, text, length);
    to[length] = 0;
}

// Decimal with an optional fraction, whose digits up to the ninth are kept.
static i64 decimal(const u8 *at, const u8 *end, i64 *nanoseconds) {
    bool negative = at < end && *at == '-';
    i64 value = 0, unit = 100000000;
    if (negative) at++;
    if (at == end) malformed("a number in its pax header is malformed");
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        if (value > INT64_MAX / 10 - 10) malformed("a number in its pax header is too large");
        value = value * 10 + (*at - '0');
    }
    if (nanoseconds) *nanoseconds = 0;
    if (nanoseconds && at < end && *at == '.')
        for (at++; at < end && *at >= '0' && *at <= '9'; at++, unit /= 10) *nanoseconds += (*at - '0') * unit;
    if (at != end) malformed("a number in its pax header is malformed");
    if (negative && nanoseconds && *nanoseconds > 0) return *nanoseconds = 1000000000 - *nanoseconds, -value - 1;
    return negative ? -value : value;
}

struct record { u8 *key, *value, *end; };

// The next "LENGTH KEY=VALUE\n" of a pax header; its key is made a string.
static bool next_record(u8 **at, u8 *end, struct record *r) {
    u64 length = 0;
    u8 *start = *at, *digit = start;
    if (start >= end) return false;
    for (; digit < end && *digit >= '0' && *digit <= '9' && length <= MOST_PAX; digit++)
        length = length * 10 + (*digit - '0');
    if (length > (u64)(end - start) || digit >= start + length || *digit != ' ')
        malformed("its pax header is malformed");
    u8 *stop = start + length, *equals = memchr(digit, '=', (size_t)(stop - digit));
    if (!equals || stop[-1] != '\n' || equals == stop - 1) malformed("its pax header is malformed");
    *r = (struct record){digit + 1, equals + 1, stop - 1};
    *equals = 0;
    *at = stop;
    return true;
}

static void apply_pax(void) {
    struct record r;
    for (u8 *at = entry.pax; next_record(&at, entry.pax + entry.pax_length, &r);) {
        const char *key = (char *)r.key;
        if (strcmp(key, "path") == 0) set_text(entry.path, r.value, (size_t)(r.end - r.value));
        else if (strcmp(key, "linkpath") == 0) set_text(entry.link, r.value, (size_t)(r.end - r.value));
        else if (strcmp(key, "size") == 0) entry.size = decimal(r.value, r.end, NULL);
        else if (strcmp(key, "uid") == 0) entry.uid = decimal(r.value, r.end, NULL);
        else if (strcmp(key, "gid") == 0) entry.gid = decimal(r.value, r.end, NULL);
        else if (strcmp(key, "mtime") == 0) entry.seconds = decimal(r.value, r.end, &entry.nanoseconds);
        else if (strncmp(key, "GNU.sparse.", 11) == 0) refuse(ENOTSUP, "sparse files are not supported");
        r.value[-1] = '='; // the records are read again for the extended attributes
    }
}

static void parse_header(const struct tar_header *header) {
    char name[sizeof header->prefix + sizeof header->name + 2], *at = name;
    bool posix = memcmp(header->magic, "ustar", 6) == 0;
    if (NUMBER(checksum) != tar_checksum(header)) malformed("a checksum is wrong; it may be no tar archive");
    size_t prefix = posix ? strnlen(header->prefix, sizeof header->prefix) : 0;
    size_t length = strnlen(header->name, sizeof header->name);
    memcpy(at, header->prefix, prefix);
    if (prefix > 0) at[prefix++] = '/';
    memcpy(at + prefix, header->name, length);
    set_text(entry.path, (u8 *)name, prefix + length);
    set_text(entry.link, (const u8 *)header->link, sizeof header->link);
    entry.type = header->type;
    entry.mode = (mode_t)NUMBER(mode) & 07777;
    entry.uid = NUMBER(uid);
    entry.gid = NUMBER(gid);
    entry.size = NUMBER(size);
    entry.seconds = NUMBER(mtime);
    entry.nanoseconds = 0;
    entry.major = header->type == '3' || header->type == '4' ? NUMBER(major) : 0;
    entry.minor = header->type == '3' || header->type == '4' ? NUMBER(minor) : 0;
}

// Reads headers until the next real entry, whose extensions are then applied; false at the archive's end.
static bool next_entry(void) {
    static struct tar_header header;
    static const struct tar_header zero;
    entry.path[0] = long_path[0] = long_link[0] = 0;
    entry.pax_length = 0;
    for (;;) {
        if (!take_block((u8 *)&header) || memcmp(&header, &zero, sizeof zero) == 0) return false;
        parse_header(&header);
        bool extension = entry.type == 'x' || entry.type == 'g' || entry.type == 'L' || entry.type == 'K';
        if (extension && (entry.size < 0 || entry.size > MOST_PAX))
            malformed("its extended header is larger than 1 MiB");
        if (!extension) break;
        if (entry.pax_length > 0 && entry.type != 'g') malformed("it has two extended headers");
        take_content(entry.size, -1, entry.type == 'g' ? NULL : pax);
        if (entry.type == 'x') entry.pax_length = (size_t)entry.size;
        if (entry.type == 'L') set_text(long_path, pax, (size_t)entry.size);
        if (entry.type == 'K') set_text(long_link, pax, (size_t)entry.size);
    }
    entry.pax = pax;
    if (long_path[0]) strcpy(entry.path, long_path);
    if (long_link[0]) strcpy(entry.link, long_link);
    apply_pax();
    return true;
}

// Names.

// Takes slashes and "." at the front, slashes at the end; "." is what is left of the root itself.
static void clean(char *path, bool may_be_root) {
    char *at = path;
    while (*at == '/' || (at[0] == '.' && (at[1] == '/' || at[1] == 0))) at++;
    memmove(path, at, strlen(at) + 1);
    for (size_t length = strlen(path); length > 0 && path[length - 1] == '/'; length--) path[length - 1] = 0;
    for (at = path; *at; at += strcspn(at, "/"), at += *at == '/')
        if (at[0] == '.' && at[1] == '.' && (at[2] == '/' || at[2] == 0)) malformed("a path in it holds \"..\"");
    if (*path == 0 && !may_be_root) malformed("it has an entry without a name");
    if (*path == 0) strcpy(path, ".");
}

static void make_parents(void) {
    for (char *at = entry.path; (at = strchr(at, '/')); at++) {
        *at = 0;
        bool made = mkdir(entry.path, 0755) == 0 || errno == EEXIST;
        *at = '/';
        check(made);
    }
}

static void remove_tree(int parent, const char *name) {
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    check(directory);
    for (struct dirent *one; (one = readdir(directory));) {
        if (strcmp(one->d_name, ".") == 0 || strcmp(one->d_name, "..") == 0) continue;
        if (unlinkat(fd, one->d_name, 0) < 0) remove_tree(fd, one->d_name);
    }
    closedir(directory);
    check(unlinkat(parent, name, AT_REMOVEDIR) == 0);
}

// After a failed creation: makes way for another try. What stands there is replaced, as layers want, unless kinds are
// to be kept.
static void make_way(void) {
    struct stat status;
    if (errno == ENOENT) return make_parents();
    if (errno != EEXIST) refuse(errno, NULL);
    check(lstat(entry.path, &status) == 0);
    if ((flags & KEEP_KINDS) && S_ISDIR(status.st_mode) != (entry.type == '5'))
        refuse(EEXIST, entry.type == '5' ? "a directory cannot replace what is none"
                                         : "only a directory can replace a directory");
    if (S_ISDIR(status.st_mode)) remove_tree(AT_FDCWD, entry.path);
    else check(unlink(entry.path) == 0);
}

static bool is_directory(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

// One try to make the entry; gives a descriptor of it (regular file, directory), 0 (others) or -1.
static int create(dev_t device) {
    switch (entry.type) {
    case '1': return linkat(AT_FDCWD, entry.link, AT_FDCWD, entry.path, 0);
    case '2': return symlink(entry.link, entry.path);
    case '3': return mknod(entry.path, S_IFCHR | entry.mode, device);
    case '4': return mknod(entry.path, S_IFBLK | entry.mode, device);
    case '5':
        if (mkdir(entry.path, entry.mode) < 0 && (errno != EEXIST || !is_directory(entry.path))) return -1;
        return open(entry.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    case '6': return mkfifo(entry.path, entry.mode);
    default: return open(entry.path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, entry.mode & 0777);
    }
}

static int make_entry(dev_t device) {
    for (int tries = 0;; tries++) {
        int fd = create(device);
        if (fd >= 0) return fd;
        if (tries == 3) refuse(errno, NULL);
        make_way();
    }
}

// Owner, mode, extended attributes, times.

static void set_xattrs(int fd) {
    struct record r;
    for (u8 *at = entry.pax; next_record(&at, entry.pax + entry.pax_length, &r);) {
        const char *name = (char *)r.key + 13;
        if (strncmp((char *)r.key, "SCHILY.xattr.", 13) != 0 || !xattr_travels(name)) continue;
        if (fsetxattr(fd, name, r.value, (size_t)(r.end - r.value), 0) < 0 && errno != ENOTSUP) refuse(errno, NULL);
    }
}

static void remember_time(struct timespec time) {
    if (time_count == time_room) {
        time_room = time_room ? time_room * 2 : 256;
        times = realloc(times, time_room * sizeof *times);
    }
    if (times) times[time_count].path = strdup(entry.path);
    check(times && times[time_count].path);
    times[time_count++].time = time;
}

// Directories get their times when nothing will be made in them any more.
static void set_directory_times(void) {
    for (size_t i = 0; i < time_count; i++) {
        struct timespec both[2] = {times[i].time, times[i].time};
        utimensat(AT_FDCWD, times[i].path, both, AT_SYMLINK_NOFOLLOW); // it may have been replaced since
        free(times[i].path);
    }
    time_count = 0;
}

// Nearly all files of a layer are root's and were made with their mode: a look costs a tenth of a change.
static void set_owner_and_mode(int fd, bool owners) {
    struct stat status;
    check(fstat(fd, &status) == 0);
    bool moves = owners && (status.st_uid != (uid_t)entry.uid || status.st_gid != (gid_t)entry.gid);
    if (moves) check(fchown(fd, (uid_t)entry.uid, (gid_t)entry.gid) == 0);
    // A change of owner takes set-user-id away.
    if (moves || (status.st_mode & 07777) != entry.mode) check(fchmod(fd, entry.mode) == 0);
}

static void finish(int fd) {
    struct timespec time = {entry.seconds, entry.nanoseconds}, both[2] = {time, time};
    bool owners = !(flags & NO_OWNERS);
    if (fd > 0) {
        set_owner_and_mode(fd, owners);
        set_xattrs(fd);
        if (entry.type == '5') remember_time(time);
        else check(futimens(fd, both) == 0);
        check(close(fd) == 0);
    } else if (entry.type != '1') {
        check(!owners || fchownat(AT_FDCWD, entry.path, (uid_t)entry.uid, (gid_t)entry.gid, AT_SYMLINK_NOFOLLOW) == 0);
        check(utimensat(AT_FDCWD, entry.path, both, AT_SYMLINK_NOFOLLOW) == 0);
    }
}

// OCI's ".wh.NAME" becomes overlay's character device 0/0, ".wh..wh..opq" its mark of an opaque directory. False: the
// entry is none.
static bool unpack_whiteout(void) {
    char *slash = strrchr(entry.path, '/'), *name = slash ? slash + 1 : entry.path, *hidden = name + 4;
    if (!(flags & WHITEOUTS_IN) || strncmp(name, ".wh.", 4) != 0) return false;
    take_content(entry.size, -1, NULL);
    if (strcmp(hidden, ".wh..opq") == 0) {
        make_parents();
        *(slash ? slash : name) = 0;
        const char *directory = entry.path[0] ? entry.path : ".";
        check(lsetxattr(directory, "trusted.overlay.opaque", "y", 1, 0) == 0);
    } else if (strncmp(hidden, ".wh.", 4) != 0) {
        if (*hidden == 0 || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
            malformed("it is a whiteout of nothing");
        memmove(name, hidden, strlen(hidden) + 1);
        entry.type = '3';
        entry.mode = 0;
        make_entry(makedev(0, 0));
    }
    return true;
}

static void check_entry(void) {
    if (entry.type == 'S') refuse(ENOTSUP, "sparse files are not supported");
    if (entry.type == 0 || entry.type == '7') entry.type = '0';
    if (entry.type == '0' && entry.path[0] && entry.path[strlen(entry.path) - 1] == '/') entry.type = '5';
    if (entry.type < '0' || entry.type > '6') refuse(ENOTSUP, "entries of its type are not supported");
    if (entry.size < 0 || entry.size > (i64)1 << 60) malformed("its size is out of range");
    if (entry.uid < 0 || entry.uid >= UINT32_MAX) malformed("its owner is out of range");
    if (entry.gid < 0 || entry.gid >= UINT32_MAX) malformed("its group is out of range");
    if (entry.type != '0') entry.size = 0; // no content follows, whatever the header says
    clean(entry.path, entry.type == '5');
    if (entry.type == '1') clean(entry.link, false);
    if (entry.type == '2' && entry.link[0] == 0) malformed("it is a symbolic link to nothing");
}

static long unpack_all(i64 most_bytes, i64 most_entries) {
    i64 entries = 0, bytes = 0;
    for (; next_entry(); entries++) {
        check_entry();
        if (most_entries > 0 && entries >= most_entries) refuse(EFBIG, "the archive has more entries than it may");
        if (most_bytes > 0 && entry.size > most_bytes - bytes)
            refuse(EFBIG, "the archive holds more bytes than it may");
        bytes += entry.size;
        if (unpack_whiteout()) continue;
        int fd = make_entry(makedev((unsigned)entry.major, (unsigned)entry.minor));
        if (entry.type == '0') take_content(entry.size, fd, NULL);
        finish(fd);
    }
    return entries;
}

long own_unpack(struct call *call) {
    int error = setjmp(archive_failed);
    if (error) return end_archive(call->step, error);
    source = (int)call->value[0];
    flags = call->value[1];
    input_at = input_end = time_count = 0;
    umask(0);
    raise_descriptor_limit();
    long entries = unpack_all(call->value[2], call->value[3]);
    for (u8 *rest; take_some(&rest, TAR_BUFFER) > 0;) {} // padding after the archive's end
    entry.path[0] = 0;
    set_directory_times();
    return entries;
}
