// What the keeper's files share: the registers and outputs of the program being carried out, and small tools instead of
// stdio.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "wire.h"
#include <sys/uio.h>

// Outputs of steps, in an anonymous mapping that grows.
struct buffer { u8 *bytes; size_t used, room; };
u8 *reserve(struct buffer *b, size_t size); // room for size more bytes; NULL with ENOBUFS beyond a frame's most
void release(struct buffer *b);

// run.c: the program being carried out in this process.
struct failure { int error; u32 phase, step; };
extern i64 registers[REGISTERS];
extern struct buffer outputs;
void reset_registers(void);
struct failure run_program(const struct program *program, enum phase phase, u32 output_base);
bool send_result(int fd, u32 tag, struct failure failure, int pid);
// parts[0] is left free for the header.
bool send_frame(int fd, u32 tag, enum frame_kind kind, struct iovec *parts, int count);

// composite.c, tar-in.c, tar-out.c: the calls that are not system calls. Each gives a result ≥ 0 or -errno.
struct call { struct argument *argument; long value[ARGUMENTS]; u32 step; };
void put_output(u32 step, const void *bytes, size_t length);
extern u32 current_tag;

// start.c
void become_guard(int connection, const struct frame *frame, struct start *start, u8 *payload);

// stage.c
long await_guard(void);
long prepare_exec(void);
long open_terminal(const char *ptmx, u16 rows, u16 columns);
long hold(int fd);
long hand_over(void);

int spawner(const char *path);
int init(char **command);

// main.c
void set_title(const char *title);

// text.c
char *put_text(char *at, const char *text);
char *put_decimal(char *at, i64 number);
i64 now_ms(void);
bool write_all(int fd, const void *bytes, size_t length);
void advance(struct iovec *parts, size_t sent);
bool send_all(int fd, struct iovec *parts, int count);
extern int lock_file;
void lock_connection(int fd, bool locked);
int listen_at(const char *path);
