// What the fuzzers run: the decoder of programs and starts, and the reader of tar archives. The first byte of an input
// chooses. With clang: -fsanitize=fuzzer,address,undefined and no standalone.c. The process must be in a root of its
// own: archives write files.
#include "../composite.h"
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "../tar.h"

void set_title(const char *title) {
    (void)title;
}

static volatile u8 sink_of_reads;

static void touch(const u8 *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) sink_of_reads ^= bytes[i];
}

// Reads all that run_program would read of it.
static void walk(const struct program *program) {
    struct cursor c = program->steps;
    struct step step;
    for (u32 i = 0; i < program->count; i++) {
        decode_step(&c, &step);
        touch(step.tolerated, 2u * step.tolerated_count);
        for (int n = 0; n < step.arguments; n++) {
            struct argument *a = &step.argument[n];
            struct cursor list = {a->bytes, a->bytes + a->length, false};
            touch(a->bytes, a->length);
            touch(a->extra, a->type == TEXT ? strlen((char *)a->extra) + 1 : 5u * a->extra_count);
            if (a->type == LIST)
                for (const char *one; (one = next_string(&list));) touch((const u8 *)one, strlen(one));
        }
    }
    if (c.bad || c.at != program->steps.end) abort();
}

static void decode(const u8 *data, size_t size, bool is_start) {
    u8 *copy = malloc(size + 1); // of its own, so that a read beyond the end is seen
    struct cursor c = {copy, copy + size, false};
    struct program program;
    struct start start;
    memcpy(copy, data, size);
    if (is_start && decode_start(&c, &start)) {
        struct cursor again = {copy, copy + size, false};
        decode_start_fields(&again, &start);
        if (again.bad) abort();
        walk(&start.before);
        walk(&start.after);
        walk(&start.stage);
    }
    if (!is_start && decode_program(&c, STAGE, &program)) walk(&program);
    free(copy);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *level) {
    (void)status, (void)type, (void)level;
    if (level->level > 0) remove(path);
    return 0;
}

static void unpack(const u8 *data, size_t size) {
    int fd = memfd_create("archive", MFD_CLOEXEC);
    u8 *copy = malloc(size);
    memcpy(copy, data, size);
    for (size_t at = 0; at + BLOCK <= size; at += BLOCK) { // or nothing would come behind the first checksum
        struct tar_header *header = (struct tar_header *)(copy + at);
        if (memcmp(header->magic, "ustar", 5) != 0) continue;
        u32 sum = tar_checksum(header);
        for (int i = 5; i >= 0; i--, sum >>= 3) header->checksum[i] = (char)('0' + (sum & 7));
        header->checksum[6] = 0;
    }
    write_all(fd, copy, size);
    lseek(fd, 0, SEEK_SET);
    struct call call = {.value = {fd, data[0] & 7, 1 << 20, 200}};
    own_unpack(&call);
    outputs.used = 0;
    close(fd);
    free(copy);
    nftw(".", remove_one, 20, FTW_DEPTH | FTW_PHYS);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size) {
    if (size < 1) return 0;
    if (data[0] % 3 == 2) unpack(data + 1, size - 1);
    else decode(data + 1, size - 1, data[0] % 3);
    return 0;
}
