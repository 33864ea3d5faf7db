// The guard's parts: the guest it keeps (guard.c), the log (log.c), the clients of guard.sock (clients.c).
#pragma once
#include "keeper.h"
#include <poll.h>
#include <time.h>

enum { LINE = 16 << 10, CHUNK = 128 << 10, MOST_CLIENTS = 256 };
enum { WITH_STDIN = 1, WITH_STDOUT = 2, WITH_STDERR = 4 };

struct guest {
    struct start *start;
    int pid, pidfd;
    int input, output[2]; // our ends; with a terminal both input and output[0] are its master
    int peer;             // the terminal's other side
    int listener;
    int held;       // until the end was told: what it keeps from being unmounted takes its time
    int connection; // on which it was asked for, to be told of the end under that tag
    u32 tag;
    bool input_full;
    struct timespec started;
};

// start.c, guard.c
void note_start(struct guest *guest);
_Noreturn void live_as_guard(struct start *start, struct guest *guest);
void close_input(void);
extern struct guest *guest;
extern u8 scratch[CHUNK];
void note_touched(size_t bytes); // of a buffer that is given back when it was not needed for a while

// log.c: takes whole lines, and what is left of 16 KiB or more; says how many bytes it took. With end it takes all.
bool open_log(const struct start *start);
size_t log_lines(int stream, const u8 *bytes, size_t length, bool end);
void release_log(void);
int log_descriptor(void);

// clients.c
void accept_clients(void);
int poll_clients(struct pollfd *polls);
void serve_clients(const struct pollfd *polls, int count);
void deliver(int stream, u8 *bytes, size_t length);
void tell_exit(const u8 *record, size_t length);
bool clients_wait(void); // some client still has output to take, within its patience
extern i64 clients_attached;
