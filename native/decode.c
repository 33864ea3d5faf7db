// Decoding and checking of programs and starts. Nothing runs before all of it was found well-formed: decode_program
// walks every step once, and the same decode_step reads it again when it runs.
#include "wire.h"
#include "calls.h"
#include <string.h>

#define NUMBER(name, ...) CALL_##name,
#define LETTERS(name, letters, ...) letters,
#define ANYWHERE_ROW(name, letters) ANYWHERE,
#define PLACE_ROW(name, letters, place) place,
static const char *const letters_of[] = {CALLS(LETTERS, LETTERS)};
static const u8 place_of[] = {CALLS(ANYWHERE_ROW, PLACE_ROW)};
enum { CALLS(NUMBER, NUMBER) CALL_COUNT };

static u8 *take(struct cursor *c, size_t size) {
    static u8 zeros[8];
    if (c->bad || (size_t)(c->end - c->at) < size) {
        c->bad = true;
        return zeros;
    }
    u8 *bytes = c->at;
    c->at += size;
    return bytes;
}

#define READ(type)                                   \
    type read_##type(struct cursor *c) {             \
        type value;                                  \
        memcpy(&value, take(c, sizeof value), sizeof value); \
        return value;                                \
    }
READ(u8)
READ(u16)
READ(u32)
READ(u64)

static u8 *read_bytes(struct cursor *c, u32 *length) {
    *length = read_u32(c);
    return take(c, *length);
}

static u8 *read_string(struct cursor *c, u32 *length) {
    u8 *bytes = read_bytes(c, length);
    if (!c->bad && (*length == 0 || memchr(bytes, 0, *length) != bytes + *length - 1)) c->bad = true;
    return bytes;
}

// The next string of a list's bytes that were checked before; NULL at the end.
const char *next_string(struct cursor *list) {
    if (list->at >= list->end) return NULL;
    u32 length;
    return (const char *)read_bytes(list, &length);
}

static void check_register(struct cursor *c, u8 number) {
    if (number >= REGISTERS) c->bad = true;
}

static void decode_patches(struct cursor *c, struct argument *a) {
    a->extra_count = read_u8(c);
    a->extra = c->at;
    for (u32 i = 0; i < a->extra_count && !c->bad; i++) {
        u32 offset = read_u32(c);
        check_register(c, read_u8(c));
        if (a->length < 4 || offset > a->length - 4) c->bad = true;
    }
}

static void decode_argument(struct cursor *c, struct argument *a) {
    u32 suffix_length;
    memset(a, 0, sizeof *a);
    a->type = read_u8(c);
    switch (a->type) {
    case INTEGER: a->value = (i64)read_u64(c); break;
    case STRING: a->bytes = read_string(c, &a->length); break;
    case BYTES: a->bytes = read_bytes(c, &a->length); break;
    case REGISTER: check_register(c, (u8)(a->value = read_u8(c))); break;
    case OUT:
        a->value = read_u32(c);
        if (a->value > MOST_OUT) c->bad = true;
        break;
    case PATCHED:
        a->bytes = read_bytes(c, &a->length);
        decode_patches(c, a);
        break;
    case LIST:
        a->value = read_u32(c);
        a->bytes = c->at;
        for (i64 i = 0; i < a->value && !c->bad; i++) read_string(c, &suffix_length);
        a->length = (u32)(c->at - a->bytes);
        break;
    case TEXT:
        check_register(c, (u8)(a->value = read_u8(c)));
        a->bytes = read_string(c, &a->length);
        a->extra = read_string(c, &suffix_length);
        if (a->length > MOST_TEXT || suffix_length > MOST_TEXT - a->length) c->bad = true;
        break;
    default: c->bad = true;
    }
}

static bool allowed(char letter, const struct argument *a) {
    bool null = a->type == INTEGER && a->value == 0;
    bool integer = a->type == INTEGER || a->type == REGISTER;
    bool text = a->type == STRING || a->type == TEXT || null;
    bool buffer = a->type == BYTES || a->type == PATCHED || a->type == OUT || a->type == STRING || null;
    switch (letter) {
    case 'i': return integer;
    case 's': return text;
    case 'b': return buffer;
    case 'l': return a->type == LIST;
    default: return integer || text || buffer;
    }
}

void decode_step(struct cursor *c, struct step *step) {
    step->call = read_u16(c);
    step->result = read_u8(c);
    step->arguments = read_u8(c);
    step->skip_on_failure = read_u8(c);
    step->skip_on_success = read_u8(c);
    step->tolerated_count = read_u8(c);
    if (read_u8(c) != 0 || step->call >= CALL_COUNT || step->arguments != strlen(letters_of[step->call])) c->bad = true;
    if (step->result != 255) check_register(c, step->result);
    step->tolerated = take(c, 2u * step->tolerated_count);
    for (u8 i = 0; i < step->arguments && !c->bad; i++) {
        decode_argument(c, &step->argument[i]);
        if (!c->bad && !allowed(letters_of[step->call][i], &step->argument[i])) c->bad = true;
    }
}

bool decode_program(struct cursor *c, enum place place, struct program *program) {
    struct step step;
    program->count = read_u16(c);
    program->hands_over = false;
    if (read_u16(c) != 0) c->bad = true;
    program->steps = *c;
    for (u32 i = 0; i < program->count && !c->bad; i++) {
        decode_step(c, &step);
        if (step.call == CALL_hand_over) program->hands_over = true;
        u8 skip = step.skip_on_failure > step.skip_on_success ? step.skip_on_failure : step.skip_on_success;
        if (c->bad || place_of[step.call] > place || i + 1 + skip > program->count) c->bad = true;
    }
    program->steps.end = c->at;
    return !c->bad;
}

static struct argument field(struct cursor *c, enum argument_type type) {
    struct argument a;
    decode_argument(c, &a);
    if (a.type != type) c->bad = true;
    return a;
}

static i64 integer(struct cursor *c, i64 least, i64 most) {
    i64 value = field(c, INTEGER).value;
    if (value < least || value > most) c->bad = true;
    return value;
}

static const char *string(struct cursor *c) {
    return (const char *)field(c, STRING).bytes;
}

// CLONE_NEWNET, PID, USER, IPC, UTS, CGROUP, NS and TIME: any other flag would have the stage share the guard's own
// memory or files.
enum { NAMESPACES = 0x7E020080 };

void decode_start_fields(struct cursor *c, struct start *s) {
    s->flags = (u32)integer(c, 0, 15);
    s->clone_flags = (u64)integer(c, 0, NAMESPACES);
    if (s->clone_flags & ~(u64)NAMESPACES) c->bad = true;
    s->cgroup_register = (int)integer(c, -1, REGISTERS - 1);
    s->user_register = (int)integer(c, -1, REGISTERS - 1);
    s->title = string(c);
    s->directory = string(c);
    s->log = string(c);
    s->log_most_bytes = integer(c, 0, INT64_MAX);
    s->log_most_files = integer(c, 0, 10000);
    s->spill_directory = string(c);
    s->clients_to_await = integer(c, 0, 1000);
    s->exit_files = field(c, LIST);
    if (s->exit_files.value > 64) c->bad = true;
    s->rows = (u16)integer(c, 0, 65535);
    s->columns = (u16)integer(c, 0, 65535);
}

bool decode_start(struct cursor *c, struct start *s) {
    decode_start_fields(c, s);
    return !c->bad && decode_program(c, CHILD, &s->before) && decode_program(c, CHILD, &s->after) &&
           decode_program(c, STAGE, &s->stage) && c->at == c->end;
}
