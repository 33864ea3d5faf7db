// The log in the format of docker's json-file driver: one JSON object a line. Lines are escaped into one buffer and
// written together; the time is taken once for all that one read gave.
#include "guard.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FLUSH_AT = 256 << 10, LONGEST_RECORD = LINE * 6 + 128 };

static _Alignas(4096) u8 records[FLUSH_AT + LONGEST_RECORD];
static size_t used;
static const struct start *settings;
static int file = -1;
static i64 file_bytes; // with what is still in records

static bool open_file(int flags) {
    struct stat status;
    file = open(settings->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | flags, 0640);
    file_bytes = file >= 0 && fstat(file, &status) == 0 ? status.st_size : 0;
    return file >= 0;
}

bool open_log(const struct start *start) {
    settings = start;
    return !(start->flags & WRITE_LOG) || open_file(0);
}

int log_descriptor(void) {
    return file;
}

void release_log(void) {
    madvise(records, sizeof records, MADV_DONTNEED);
}

static void flush(void) {
    if (file >= 0) write_all(file, records, used); // a full disk loses lines, never the guest
    used = 0;
}

static char *numbered(char *at, i64 number) {
    at = put_text(at, settings->log);
    if (number > 0) at = put_decimal(put_text(at, "."), number);
    *at = 0;
    return at;
}

// log.2 becomes log.3, log.1 log.2, log log.1; with one file it starts again from nothing.
static void rotate(void) {
    char from[4200], to[4200];
    flush();
    if (file >= 0) close(file);
    if (settings->log_most_files >= 2 && strlen(settings->log) < 4096) {
        for (i64 number = settings->log_most_files - 1; number > 0; number--) {
            numbered(from, number - 1);
            numbered(to, number);
            rename(from, to);
        }
    }
    open_file(O_TRUNC);
}

static u8 *put(u8 *at, const void *bytes, size_t length) {
    memcpy(at, bytes, length);
    return at + length;
}

// Length of the valid UTF-8 sequence at s, 0 if there is none (Unicode 15, table 3-7).
static size_t sequence(const u8 *s, const u8 *end) {
    size_t length = s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : s[0] < 0xF5 ? 4 : 0;
    if (length == 0 || (size_t)(end - s) < length) return 0;
    u8 least = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
    u8 most = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
    if (s[1] < least || s[1] > most) return 0;
    for (size_t i = 2; i < length; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    return length;
}

static bool plain(u8 byte) {
    static const u8 special[256] = {
        [0 ... 31] = 1, ['"'] = 1, ['\\'] = 1, ['<'] = 1, ['>'] = 1, ['&'] = 1, [128 ... 255] = 1,
    };
    return !special[byte];
}

// Whether eight bytes are all plain: none below 0x20 or above 0x7F, none of \ < > " & (which differ in one bit from
// each other).
static bool plain_word(const u8 *s) {
    const u64 ones = 0x0101010101010101, tops = ones << 7;
    u64 w, angle, quote, backslash;
    memcpy(&w, s, sizeof w);
    angle = (w | 2 * ones) ^ '>' * ones;
    quote = (w | 4 * ones) ^ '&' * ones;
    backslash = w ^ '\\' * ones;
    return !((w | (w - 0x20 * ones) | (angle - ones) | (quote - ones) | (backslash - ones)) & tops);
}

static u8 *put_ascii(u8 *at, u8 byte) {
    static const char hex[] = "0123456789abcdef";
    if (byte == '"' || byte == '\\') return put(at, (u8[]){'\\', byte}, 2);
    if (byte == '\n') return put(at, "\\n", 2);
    if (byte == '\r') return put(at, "\\r", 2);
    return put(at, (u8[]){'\\', 'u', '0', '0', (u8)hex[byte >> 4], (u8)hex[byte & 15]}, 6);
}

// Escapes as docker's own encoder does, byte for byte.
static u8 *put_escaped(u8 *at, const u8 *s, const u8 *end) {
    while (s < end) {
        const u8 *run = s;
        while (end - s >= 8 && plain_word(s)) s += 8;
        while (s < end && plain(*s)) s++;
        at = put(at, run, (size_t)(s - run));
        if (s == end) break;
        size_t length = *s < 128 ? 1 : sequence(s, end);
        if (*s < 128) at = put_ascii(at, *s);
        else if (length == 0) at = put(at, "\\ufffd", 6);
        else if (length == 3 && memcmp(s, "\u2028", 3) == 0) at = put(at, "\\u2028", 6);
        else if (length == 3 && memcmp(s, "\u2029", 3) == 0) at = put(at, "\\u2029", 6);
        else at = put(at, s, length);
        s += length ? length : 1;
    }
    return at;
}

static char *put_padded(char *at, i64 number, int digits) {
    for (int i = digits; i > 0; i--, number /= 10) at[i - 1] = (char)('0' + number % 10);
    return at + digits;
}

// RFC 3339 with nine digits of a second, in UTC: every time is as long as the others.
static char *put_time(char *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    // Days since 1 March of year 0, in the proleptic Gregorian calendar, whose eras have 146097 days.
    i64 days = now.tv_sec / 86400 + 719468, seconds = now.tv_sec % 86400;
    i64 era = days / 146097, day = days % 146097, year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    i64 day_of_year = day - (365 * year + year / 4 - year / 100), month = (5 * day_of_year + 2) / 153;
    at = put_padded(at, year + era * 400 + (month >= 10), 4);
    at = put_padded(put_text(at, "-"), month < 10 ? month + 3 : month - 9, 2);
    at = put_padded(put_text(at, "-"), day_of_year - (153 * month + 2) / 5 + 1, 2);
    at = put_padded(put_text(at, "T"), seconds / 3600, 2);
    at = put_padded(put_text(at, ":"), seconds / 60 % 60, 2);
    at = put_padded(put_text(at, ":"), seconds % 60, 2);
    return put_text(put_padded(put_text(at, "."), now.tv_nsec, 9), "Z");
}

static void put_record(const u8 *line, size_t length, const char *tail, size_t tail_length) {
    if (settings->log_most_bytes > 0 && file_bytes >= settings->log_most_bytes) rotate();
    if (used >= FLUSH_AT) flush();
    u8 *start = records + used, *at = put(start, "{\"log\":\"", 8);
    at = put_escaped(at, line, line + length);
    at = put(at, tail, tail_length);
    used += (size_t)(at - start);
    file_bytes += at - start;
}

size_t log_lines(int stream, const u8 *bytes, size_t length, bool end) {
    char tail[96], *tail_end;
    const u8 *at = bytes, *stop = bytes + length;
    if (!(settings->flags & WRITE_LOG)) return length;
    tail_end = put_text(put_text(tail, "\",\"stream\":\""), stream == 1 ? "stdout" : "stderr");
    tail_end = put_text(put_time(put_text(tail_end, "\",\"time\":\"")), "\"}\n");
    while (at < stop) {
        size_t most = (size_t)(stop - at) < LINE ? (size_t)(stop - at) : LINE;
        const u8 *newline = memchr(at, '\n', most);
        if (!newline && most < LINE && !end) break;
        size_t line = newline ? (size_t)(newline + 1 - at) : most;
        put_record(at, line, tail, (size_t)(tail_end - tail));
        at += line;
    }
    if (used > 0) flush();
    return (size_t)(at - bytes);
}
