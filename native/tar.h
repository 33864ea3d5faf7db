// The tar format (POSIX.1-2017 pax, "ustar Interchange Format") and how an archive's reader or writer gives up: with a
// sentence.
#pragma once
#include "composite.h"
#include <setjmp.h>

enum { BLOCK = 512, TAR_BUFFER = 256 << 10, MOST_PATH = 4096, MOST_PAX = 1 << 20 };
enum unpack_flag { WHITEOUTS_IN = 1, KEEP_KINDS = 2, NO_OWNERS = 4 };
enum pack_flag { WHITEOUTS_OUT = 1, NAMED = 2, ONE_FILE_SYSTEM = 4, HARD_LINKS = 8, NANOSECONDS = 32 };

struct tar_header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
    char magic[8], user[32], group[32], major[8], minor[8], prefix[155], padding[12];
};

extern jmp_buf archive_failed;
// Writes `Cannot VERB "path": why` (why NULL: the errno's name) into the step's output and leaves with -error.
_Noreturn void fail_archive(const char *verb, const char *path, int error, const char *why);
long end_archive(u32 step, int error); // the result of the call after fail_archive
u32 tar_checksum(const struct tar_header *header);
bool xattr_travels(const char *name);
void raise_descriptor_limit(void);
