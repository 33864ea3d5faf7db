// The calls that the keeper knows, in the order of src/kernel/calls.ts (a test compares them): SYSTEM rows are system
// calls, OWN rows are functions of composite.c, with the place where they may stand. One letter an argument, see
// docs/keeper.md.
#define CALLS(SYSTEM, OWN) \
    SYSTEM(mount, "sssis") \
    SYSTEM(umount2, "si") \
    SYSTEM(pivot_root, "ss") \
    SYSTEM(open_tree, "isi") \
    SYSTEM(move_mount, "isisi") \
    SYSTEM(fsopen, "si") \
    SYSTEM(fsconfig, "iissi") \
    SYSTEM(fsmount, "iii") \
    SYSTEM(mount_setattr, "isibi") \
    SYSTEM(openat2, "isbi") \
    SYSTEM(close, "i") \
    SYSTEM(dup3, "iii") \
    SYSTEM(close_range, "iii") \
    SYSTEM(mkdirat, "isi") \
    SYSTEM(mknodat, "isii") \
    SYSTEM(symlinkat, "sis") \
    SYSTEM(unlinkat, "isi") \
    SYSTEM(renameat2, "isisi") \
    SYSTEM(linkat, "isisi") \
    SYSTEM(fchmodat, "isi") \
    SYSTEM(fchownat, "isiii") \
    SYSTEM(chdir, "s") \
    SYSTEM(fchdir, "i") \
    SYSTEM(chroot, "s") \
    SYSTEM(umask, "i") \
    SYSTEM(unshare, "i") \
    SYSTEM(setns, "ii") \
    SYSTEM(pidfd_open, "ii") \
    SYSTEM(pidfd_send_signal, "iibi") \
    SYSTEM(kill, "ii") \
    SYSTEM(sethostname, "si") \
    SYSTEM(setdomainname, "si") \
    SYSTEM(setsid, "") \
    SYSTEM(setgroups, "ib") \
    SYSTEM(setresuid, "iii") \
    SYSTEM(setresgid, "iii") \
    SYSTEM(capset, "bb") \
    SYSTEM(prctl, "iiiii") \
    SYSTEM(prlimit64, "iibb") \
    SYSTEM(keyctl, "isiii") \
    SYSTEM(ioctl, "iix") \
    SYSTEM(socket, "iii") \
    SYSTEM(sched_setaffinity, "iib") \
    SYSTEM(setpriority, "iii") \
    SYSTEM(ioprio_set, "iii") \
    SYSTEM(personality, "i") \
    SYSTEM(read, "ibi") \
    SYSTEM(write, "ibi") \
    SYSTEM(statx, "isiib") \
    SYSTEM(readlinkat, "isbi") \
    SYSTEM(landlock_create_ruleset, "bii") \
    SYSTEM(landlock_add_rule, "iibi") \
    SYSTEM(landlock_restrict_self, "ii") \
    OWN(write_file, "isbi", ANYWHERE) \
    OWN(make_path, "isii", ANYWHERE) \
    OWN(check_cwd, "", ANYWHERE) \
    OWN(refuse_filesystem, "ii", ANYWHERE) \
    OWN(netlink, "ibi", ANYWHERE) \
    OWN(seccomp_filter, "bi", ANYWHERE) \
    OWN(device_filter, "ib", ANYWHERE) \
    OWN(exec, "lll", CHILD) \
    OWN(await_guard, "", STAGE) \
    OWN(open_terminal, "sii", STAGE) \
    OWN(hold, "i", STAGE) \
    OWN(unpack, "iiii", CHILD) \
    OWN(pack, "isii", CHILD) \
    OWN(hand_over, "", STAGE)
