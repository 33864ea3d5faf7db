// Feeds fuzz.c with mutated seeds where there is no libFuzzer: standalone SECONDS RANDOM-SEED FILE... (as root: it
// mounts a root of its own). Prints how many inputs it tried; an input that breaks something is left in the file
// "crash" of the directory it started in.
#include "../keeper.h"
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

enum { MOST = 1 << 16, MOST_SEEDS = 64 };
static u8 seeds[MOST_SEEDS][MOST], input[2 * MOST];
static size_t lengths[MOST_SEEDS];
static u64 state;

static u32 pick(u32 below) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (u32)(state >> 33) % below;
}

static size_t mutate(int count) {
    static const u32 edges[] = {0,          1,          0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff,
                                0x80000000, 0xffffffff, 511,  512,  513,  1 << 20};
    int seed = (int)pick((u32)count), other = (int)pick((u32)count);
    size_t length = lengths[seed];
    memcpy(input, seeds[seed], length);
    for (u32 rounds = 1 + pick(8); rounds > 0 && length > 8; rounds--) {
        size_t at = 1 + pick((u32)length - 5), some = 1 + pick(32), from = pick((u32)lengths[other]);
        switch (pick(7)) {
        case 0: input[at] ^= (u8)(1 << pick(8)); break;
        case 1: input[at] = (u8)pick(256); break;
        case 2: memcpy(input + at, &edges[pick(sizeof edges / sizeof *edges)], 1 + pick(4)); break;
        case 3: length = at; break;
        case 4:
            if (at + some < length) memmove(input + at, input + at + some, length - at - some), length -= some;
            break;
        case 5:
            if (length + some < MOST) memmove(input + at + some, input + at, length - at), length += some;
            break;
        default:
            some = lengths[other] - from;
            if (some > length - at) some = length - at;
            memcpy(input + at, seeds[other] + from, some);
        }
    }
    return length;
}

int main(int argc, char **argv) {
    int count = 0, crash = open("crash", O_CREAT | O_RDWR | O_TRUNC, 0600);
    for (int i = 3; i < argc && count < MOST_SEEDS; i++) {
        int fd = open(argv[i], O_RDONLY);
        ssize_t got = fd >= 0 ? read(fd, seeds[count], MOST) : -1;
        if (got <= 8) return fprintf(stderr, "Cannot read the seed %s\n", argv[i]), 2;
        lengths[count++] = (size_t)got;
        close(fd);
    }
    if (count == 0 || crash < 0) return 2;
    state = (u64)atoll(argv[2]);
    i64 end = now_ms() + 1000 * atoll(argv[1]), tries = 0;
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/mnt", "tmpfs", 0, "size=64m,mode=755") < 0 || chroot("/mnt") < 0 || chdir("/") < 0)
        return perror("Cannot enter a root of its own"), 2;
    for (; now_ms() < end; tries++) {
        size_t length = mutate(count);
        if (pwrite(crash, input, length, 0) < 0 || ftruncate(crash, (off_t)length) < 0) return 2;
        LLVMFuzzerTestOneInput(input, length);
    }
    printf("%lld\n", (long long)tries);
    return 0;
}
