// The keeper: carries out programs that holmd computes, and keeps each guest company until it ends. See docs/keeper.md.
// A spawner (spawner.c) forks, for each guest, a guard (start.c, guard.c), which clones the guest's first process, the
// stage (stage.c).
#include "keeper.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif
#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 }; // it takes its options from the environment
#else
enum { SANITIZED = 0 };
#endif
enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

static char *title_area;
static size_t title_room;

// Writes over argv. Where its last byte is not NUL, the kernel shows only the text before the first NUL.
void set_title(const char *title) {
    if (title_room == 0) return;
    memset(title_area, ' ', title_room);
    size_t length = strlen(title) < title_room - 2 ? strlen(title) : title_room - 2;
    memcpy(title_area, title, length);
    title_area[length] = 0;
    prctl(PR_SET_NAME, title_area);
}

static int fail(const char *what, const char *name) {
    char text[512], *at = put_text(text, "holm-keeper: Cannot ");
    at = put_text(at, what);
    if (strlen(name) < 300) at = put_text(put_text(put_text(at, " \""), name), "\"");
    if (errno) at = put_text(put_text(at, ": "), strerrorname_np(errno));
    *at++ = '\n';
    write_all(2, text, (size_t)(at - text));
    return 1;
}

static bool is_sealed(int self) {
    int seals = fcntl(self, F_GET_SEALS);
    return seals >= 0 && (seals & F_SEAL_WRITE);
}

static int sealed_copy(int self) {
    off_t size = lseek(self, 0, SEEK_END), offset = 0;
    int copy = (int)syscall(SYS_memfd_create, "holm-keeper", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (copy < 0) copy = (int)syscall(SYS_memfd_create, "holm-keeper", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    while (copy >= 0 && offset < size)
        if (sendfile(copy, self, &offset, (size_t)(size - offset)) <= 0) return -1;
    return copy >= 0 && fcntl(copy, F_ADD_SEALS, SEALS) == 0 ? copy : -1;
}

// No guest can overwrite the program that its guard runs, not even through /proc/PID/exe: it is a sealed file without a
// name.
static bool run_sealed(const char *path) {
    static char room[160];
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (self < 0) return false;
    if (is_sealed(self)) return close(self) == 0;
    int copy = sealed_copy(self);
    memset(room, ' ', sizeof room - 1);
    char *argv[] = {"holm-keeper", "spawner", (char *)path, room, NULL}, *none[] = {NULL};
    if (copy >= 0) syscall(SYS_execveat, copy, "", argv, SANITIZED ? environ : none, AT_EMPTY_PATH);
    return false;
}

static void reset_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < 32; number++) signal(number, SIG_DFL);
}

static int run_spawner(const char *given, char *first, char *last) {
    static char *path;
    path = strdup(given); // the title will lie over it
    if (!path || !run_sealed(path)) return fail("run from a sealed copy", "/proc/self/exe");
    title_area = first;
    title_room = (size_t)(last + strlen(last) + 1 - first); // with the last NUL
    set_title("holm-keeper");
    reset_signals();
    return spawner(path) ? 0 : fail("listen at", path);
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    if (strcmp(mode, "version") == 0) return write_all(1, "2\n", 2) ? 0 : 1;
    if (strcmp(mode, "init") == 0 && argc > 3 && strcmp(argv[2], "--") == 0) return init(argv + 3);
    if (strcmp(mode, "spawner") == 0 && argc > 2) return run_spawner(argv[2], argv[0], argv[argc - 1]);
    write_all(2, "Usage: holm-keeper spawner SOCKET | init -- COMMAND... | version\n", 65);
    return 2;
}
