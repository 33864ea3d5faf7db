/* The floor's small parts: errors, text, and rtnetlink messages. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct hierarchy { const char *names, *directory; };

extern const char *const device_rules[], *const masked_paths[], *const readonly_paths[], *const files[];

/* Ends the program with what failed and errno; `must` does so if the call's result is negative. */
_Noreturn void die(const char *what);
int must_be(int result, const char *what);
#define must(call) must_be(call, #call)

/* printf into one of a few buffers that take turns. */
const char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
void must_write(const char *path, const char *value);

/* The bridge of the host's side; a veth from it to the container; the container's address, route and loopback. */
void make_bridge(void);
void join_bridge(pid_t pid);
void configure_network(int with_bridge);
