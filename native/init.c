// A tiny init for `--init`: runs the command, passes signals on to it, reaps what is left to it, and leaves with the
// command's status.
#include "keeper.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void run_command(char **command, const sigset_t *mask) {
    setpgid(0, 0);
    if (isatty(0)) tcsetpgrp(0, getpgrp()); // SIGTTOU is blocked still
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(command[0], command);
    int code = errno == ENOENT ? 127 : 126;
    char text[512], *at = put_text(text, "holm-init: Cannot run the command: ");
    at = put_text(put_text(at, strerrorname_np(errno)), "\n");
    write_all(2, text, (size_t)(at - text));
    _exit(code);
}

int init(char **command) {
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t child = fork();
    if (child < 0) return 125;
    if (child == 0) run_command(command, &before);
    for (int number, status;;) {
        sigwait(&all, &number);
        if (number != SIGCHLD) kill(child, number);
        for (pid_t pid; number == SIGCHLD && (pid = waitpid(-1, &status, WNOHANG)) > 0;)
            if (pid == child) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
}
