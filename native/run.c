// Carrying out a program: evaluates each step's arguments, makes the call, keeps registers and outputs, follows the
// skips.
#include "keeper.h"
#include "calls.h"
#include "composite.h"
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SYSTEM_ROW(name, letters) [CALL_##name] = {SYS_##name, NULL},
#define OWN_ROW(name, letters, place) [CALL_##name] = {-1, own_##name},
static const struct { long number; long (*own)(struct call *); } call_table[] = {CALLS(SYSTEM_ROW, OWN_ROW)};

i64 registers[REGISTERS];
struct buffer outputs;

void reset_registers(void) {
    for (int i = 0; i < REGISTERS; i++) registers[i] = -1;
    outputs.used = 0;
}

static bool tolerated(const struct step *step, int error) {
    for (u8 i = 0; i < step->tolerated_count; i++) {
        u16 one;
        memcpy(&one, step->tolerated + 2 * i, sizeof one);
        if (one == error || one == 65535) return true;
    }
    return false;
}

static char *render_text(char *at, const struct argument *a) {
    char *start = at;
    at = put_text(at, (char *)a->bytes);
    at = put_decimal(at, registers[a->value]);
    *put_text(at, (char *)a->extra) = 0;
    return start;
}

static void patch(struct argument *a) {
    for (u8 *at = a->extra; at < a->extra + 5 * a->extra_count; at += 5) {
        u32 offset, value = (u32)registers[at[4]];
        memcpy(&offset, at, sizeof offset);
        memcpy(a->bytes + offset, &value, sizeof value);
    }
}

// Room for all "out" arguments of a step at once, so that no pointer into it moves; each as it will stand in the
// result.
static bool place_outs(struct step *step, u32 number) {
    size_t size = 0;
    for (int i = 0; i < step->arguments; i++)
        if (step->argument[i].type == OUT) size += 8 + (size_t)step->argument[i].value;
    if (size == 0) return true;
    u8 *at = reserve(&outputs, size);
    if (!at) return false;
    memset(at, 0, size);
    for (int i = 0; i < step->arguments; i++) {
        struct argument *a = &step->argument[i];
        if (a->type != OUT) continue;
        a->length = (u32)a->value;
        memcpy(at, &number, 4);
        memcpy(at + 4, &a->length, 4);
        a->bytes = at + 8;
        at += 8 + a->length;
    }
    outputs.used += size;
    return true;
}

// read, write and readlinkat say their buffer's size themselves: it must not be more than there is.
static bool beyond_buffer(const struct step *step, const long *value) {
    int buffer = step->call == CALL_readlinkat ? 2 : 1;
    if (step->call != CALL_read && step->call != CALL_write && step->call != CALL_readlinkat) return false;
    return (u64)value[buffer + 1] > step->argument[buffer].length;
}

static long carry_out(struct step *step, u32 number) {
    static char texts[ARGUMENTS][MOST_TEXT + 24];
    struct call call = {.argument = step->argument, .step = number};
    long *value = call.value;
    if (!place_outs(step, number)) return -ENOBUFS;
    for (int i = 0; i < step->arguments; i++) {
        struct argument *a = &step->argument[i];
        switch (a->type) {
        case INTEGER: value[i] = (long)a->value; break;
        case REGISTER: value[i] = (long)registers[a->value]; break;
        case TEXT: value[i] = (long)render_text(texts[i], a); break;
        case PATCHED: patch(a); // fallthrough
        default: value[i] = (long)a->bytes;
        }
    }
    if (call_table[step->call].own) return call_table[step->call].own(&call);
    if (beyond_buffer(step, value)) return -EFAULT;
    long result = syscall(call_table[step->call].number, value[0], value[1], value[2], value[3], value[4], value[5]);
    // A stage leads a session from its birth.
    if (result == -1 && step->call == CALL_setsid && getsid(0) == getpid()) return getpid();
    return result == -1 ? -errno : result;
}

// Steps of the outputs count from output_base. The registers go on from what they are.
struct failure run_program(const struct program *program, enum phase phase, u32 output_base) {
    struct cursor c = program->steps;
    struct step step;
    u32 skip = 0;
    for (u32 i = 0; i < program->count; i++) {
        decode_step(&c, &step);
        if (skip > 0) {
            skip--;
            continue;
        }
        size_t before = outputs.used;
        long result = carry_out(&step, output_base + i);
        if (result < 0 && result >= -4095) {
            if (step.call < CALL_write_file) outputs.used = before;
            if (!tolerated(&step, (int)-result)) return (struct failure){(int)-result, phase, i};
            skip = step.skip_on_failure;
        } else skip = step.skip_on_success;
        if (step.result != 255) registers[step.result] = result;
    }
    return (struct failure){0, phase, program->count};
}

// The header goes into parts[0], which the caller leaves free. Frames of several processes on one connection must not
// mix, so each is written under a lock on the connection's number.
bool send_frame(int fd, u32 tag, enum frame_kind kind, struct iovec *parts, int count) {
    struct frame header = {.tag = tag, .kind = (u8)kind};
    for (int i = 1; i < count; i++) header.length += (u32)parts[i].iov_len;
    parts[0] = (struct iovec){&header, sizeof header};
    lock_connection(fd, true);
    bool sent = send_all(fd, parts, count);
    lock_connection(fd, false);
    return sent;
}

bool send_result(int fd, u32 tag, struct failure failure, int pid) {
    u32 head[4] = {(u32)failure.error, failure.phase, failure.step, (u32)pid};
    struct iovec parts[4] = {{0}, {head, sizeof head}, {registers, sizeof registers}, {outputs.bytes, outputs.used}};
    return send_frame(fd, tag, RESULT, parts, 4);
}
