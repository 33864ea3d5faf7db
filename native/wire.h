// The wire of docs/keeper.md: frames, programs and starts. Programs are never copied: they are checked once as bytes
// (decode.c) and then read again, step by step, while they run.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t i64;

enum { PROTOCOL = 2, MOST_PAYLOAD = 8 << 20, MOST_OUT = 1 << 20, MOST_TEXT = 4096, REGISTERS = 32, ARGUMENTS = 6 };
enum frame_kind { HELLO = 0, RUN = 1, FORK = 2, START = 3, PREPARE = 4, GO = 5, RESULT = 16, DATA = 17, END = 18 };
enum phase { REFUSED, PROGRAM, CLONE, AFTER, IN_STAGE };
enum argument_type { INTEGER, STRING, BYTES, REGISTER, OUT, PATCHED, LIST, TEXT };
enum place { ANYWHERE = 1, CHILD = 2, STAGE = 3 }; // where a call may stand: a RUN is ANYWHERE, a FORK or guard CHILD

struct frame { u32 length, tag; u8 kind, zero[3]; };

struct cursor { u8 *at, *end; bool bad; };

struct argument {
    enum argument_type type;
    i64 value;        // integer, register number, size of an out, count of a list
    u8 *bytes;        // string, bytes, prefix of a text, first string of a list
    u32 length;       // of bytes, with a string's NUL
    u8 *extra;        // patches (u32 offset, u8 register each), suffix of a text
    u32 extra_count;  // of patches
};

struct step {
    u16 call;
    u8 result, arguments, skip_on_failure, skip_on_success, tolerated_count;
    u8 *tolerated;
    struct argument argument[ARGUMENTS];
};

struct program { u16 count; bool hands_over; struct cursor steps; };

enum start_flag { TERMINAL = 1, STDIN_OPEN = 2, STDIN_ONCE = 4, WRITE_LOG = 8 };

struct start {
    u32 flags;
    u64 clone_flags;
    int cgroup_register, user_register;
    const char *title, *directory, *log;
    i64 log_most_bytes, log_most_files;
    const char *spill_directory;
    i64 clients_to_await;
    struct argument exit_files;
    u16 rows, columns;
    struct program before, after, stage;
};

u8 read_u8(struct cursor *c);
u16 read_u16(struct cursor *c);
u32 read_u32(struct cursor *c);
u64 read_u64(struct cursor *c);
void decode_step(struct cursor *c, struct step *step);
bool decode_program(struct cursor *c, enum place place, struct program *program);
bool decode_start(struct cursor *c, struct start *start);
void decode_start_fields(struct cursor *c, struct start *start);
const char *next_string(struct cursor *list);
