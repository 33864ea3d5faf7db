/* The kernel's floor: what Linux itself needs for a container's life. One process does, with as few detours as C allows, the
 * system calls that holm's keeper does for `true` in a container with docker's defaults: cgroups, namespaces, overlay,
 * mounts, devices, masked paths, network, change of root, seccomp, exec, wait, and taking all of it away again.
 * Usage: floor LOWER WORK FILTER V2 [CONTROLLERS=DIRECTORY]...
 *   LOWER a root file system, WORK an empty directory, FILTER a file with struct sock_filter[], V2 the directory of the v2
 *   cgroup above the groups ("-" if there is none), and likewise a directory for each v1 hierarchy.
 * Each line on standard input is one life: "bridge" (overlay and a veth on the bridge) or "bundle" (LOWER itself, loopback only).
 * Answers a line: the nanoseconds it took. Runs as root in a network and a mount namespace of its own. */
#define _GNU_SOURCE
#include "floor.h"

static const char *lower, *work, *unified;
static struct sock_fprog filter;
static struct hierarchy hierarchies[16];
static int hierarchy_count;

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* Makes the group in every hierarchy with its devices; gives the v2 directory, for the clone, or -1. */
static int make_cgroups(void) {
  for (int i = 0; i < hierarchy_count; i++) {
    must(mkdir(text("%s/one", hierarchies[i].directory), 0755));
    if (strcmp(hierarchies[i].names, "devices") != 0) continue;
    must_write(text("%s/one/devices.deny", hierarchies[i].directory), "a");
    for (const char *const *rule = device_rules; *rule; rule++) {
      must_write(text("%s/one/devices.allow", hierarchies[i].directory), *rule);
    }
  }
  if (*unified == '-') return -1;
  must(mkdir(text("%s/one", unified), 0755));
  return must(open(text("%s/one", unified), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

static void remove_cgroup(const char *directory) {
  while (rmdir(text("%s/one", directory)) < 0) {
    if (errno != EBUSY) die("rmdir");
    usleep(20);
  }
}

static void build_root(int with_overlay) {
  must(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL));
  if (with_overlay) {
    must(mount("overlay", text("%s/root", work), "overlay", 0,
               text("lowerdir=%s,upperdir=%s/one/upper,workdir=%s/one/work", lower, work, work)));
    must(chdir(text("%s/root", work)));
  } else {
    must(mount(lower, lower, NULL, MS_BIND | MS_REC, NULL));
    must(chdir(lower));
  }
  const unsigned long none = MS_NOSUID | MS_NOEXEC | MS_NODEV;
  must(mount("proc", "proc", "proc", none, NULL));
  must(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"));
  must(mkdir("dev/pts", 0755));
  must(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"));
  must(mount("sysfs", "sys", "sysfs", none | MS_RDONLY, NULL));
  must(mkdir("dev/mqueue", 0755));
  must(mount("mqueue", "dev/mqueue", "mqueue", none, NULL));
  must(mkdir("dev/shm", 0755));
  must(mount("shm", "dev/shm", "tmpfs", none, "mode=1777,size=67108864"));
  if (hierarchy_count == 0) {
    must(mount("cgroup2", "sys/fs/cgroup", "cgroup2", none | MS_RDONLY, NULL));
  } else {
    must(mount("tmpfs", "sys/fs/cgroup", "tmpfs", none, "mode=755"));
    for (int i = 0; i < hierarchy_count; i++) {
      must(mkdir(text("sys/fs/cgroup/%s", hierarchies[i].names), 0755));
      must(mount("cgroup", text("sys/fs/cgroup/%s", hierarchies[i].names), "cgroup", none | MS_RDONLY,
                 hierarchies[i].names));
    }
  }
  if (with_overlay) {
    for (const char *const *name = files; *name; name++) {
      must(mount(text("%s/%s", work, *name), text("etc/%s", *name), NULL, MS_BIND, NULL));
    }
  }
}

static void make_devices(void) {
  static const struct { const char *path; int major, minor; } nodes[] = {
    { "dev/null", 1, 3 }, { "dev/zero", 1, 5 }, { "dev/full", 1, 7 },
    { "dev/random", 1, 8 }, { "dev/urandom", 1, 9 }, { "dev/tty", 5, 0 },
  };
  static const char *const links[][2] = {
    { "pts/ptmx", "dev/ptmx" }, { "/proc/self/fd", "dev/fd" }, { "/proc/self/fd/0", "dev/stdin" },
    { "/proc/self/fd/1", "dev/stdout" }, { "/proc/self/fd/2", "dev/stderr" }, { "/proc/kcore", "dev/core" },
  };
  umask(0);
  for (unsigned i = 0; i < sizeof nodes / sizeof *nodes; i++) {
    must(mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)));
  }
  for (unsigned i = 0; i < sizeof links / sizeof *links; i++) must(symlink(links[i][0], links[i][1]));
  umask(022);
}

static void mask_paths(void) {
  for (const char *const *path = masked_paths; *path; path++) {
    struct stat stat;
    if (lstat(*path, &stat) < 0) continue;
    if (S_ISDIR(stat.st_mode)) must(mount("tmpfs", *path, "tmpfs", MS_RDONLY, NULL));
    else must(mount("/dev/null", *path, NULL, MS_BIND, NULL));
  }
  for (const char *const *path = readonly_paths; *path; path++) {
    if (mount(*path, *path, NULL, MS_BIND | MS_REC, NULL) < 0) continue;
    must(mount(NULL, *path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL));
  }
}

/* What docker leaves a container's root, of what there is; then its seccomp filter. */
static void give_up_privileges(void) {
  const unsigned long long kept = 0xa80425fb;
  for (int capability = 0; capability <= 40; capability++) {
    if (!(kept >> capability & 1)) must(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0));
  }
  must((int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter));
  must((int)syscall(SYS_setgroups, 0, NULL));
  must((int)syscall(SYS_setresgid, 0, 0, 0));
  must((int)syscall(SYS_setresuid, 0, 0, 0));
  struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
  struct __user_cap_data_struct data[2] = { { (unsigned)kept, (unsigned)kept, 0 } };
  must((int)syscall(SYS_capset, &header, data));
}

static void container(int go, int with_bridge) {
  must(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
  for (int i = 0; i < hierarchy_count; i++) must_write(text("%s/one/tasks", hierarchies[i].directory), "0");
  must(unshare(CLONE_NEWCGROUP));
  must(sethostname("floor", 5));
  build_root(with_bridge);
  make_devices();
  mask_paths();
  char byte;
  if (read(go, &byte, 1) != 1) die("read");
  configure_network(with_bridge);
  must((int)syscall(SYS_pivot_root, ".", "."));
  must(mount(NULL, ".", NULL, MS_REC | MS_SLAVE, NULL));
  must(umount2(".", MNT_DETACH));
  must(chdir("/"));
  give_up_privileges();
  must(close_range(3, ~0U, CLOSE_RANGE_CLOEXEC));
  char *const argv[] = { "true", NULL };
  char *const env[] = { "PATH=/bin", "HOSTNAME=floor", "HOME=/root", NULL };
  execve("/bin/true", argv, env);
  die("execve");
}

static void life(int with_bridge) {
  int go[2];
  must(pipe2(go, O_CLOEXEC));
  if (with_bridge) {
    must(mkdir(text("%s/one", work), 0755));
    must(mkdir(text("%s/one/upper", work), 0755));
    must(mkdir(text("%s/one/work", work), 0755));
  }
  int directory = make_cgroups();
  struct clone_args args = {
    .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
    .exit_signal = SIGCHLD,
  };
  if (directory >= 0) args.flags |= CLONE_INTO_CGROUP, args.cgroup = (unsigned)directory;
  pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
  if (pid < 0) die("clone3");
  if (pid == 0) container(go[0], with_bridge);
  if (with_bridge) join_bridge(pid);
  if (write(go[1], "", 1) != 1) die("write");
  int status;
  if (waitpid(pid, &status, 0) != pid || status != 0) die("the container");
  close(go[0]);
  close(go[1]);
  if (directory >= 0) {
    close(directory);
    remove_cgroup(unified);
  }
  for (int i = 0; i < hierarchy_count; i++) remove_cgroup(hierarchies[i].directory);
  if (with_bridge) {
    must(rmdir(text("%s/one/work/work", work)));
    must(rmdir(text("%s/one/work", work)));
    must(rmdir(text("%s/one/upper", work)));
    must(rmdir(text("%s/one", work)));
  }
}

static void read_filter(const char *path) {
  static struct sock_filter code[4096];
  int fd = must(open(path, O_RDONLY | O_CLOEXEC));
  ssize_t length = must((int)read(fd, code, sizeof code));
  close(fd);
  filter = (struct sock_fprog){ .len = (unsigned short)((size_t)length / sizeof *code), .filter = code };
}

int main(int argc, char **argv) {
  if (argc < 5) return fprintf(stderr, "floor: LOWER WORK FILTER V2 [CONTROLLERS=DIRECTORY]...\n"), 2;
  lower = argv[1], work = argv[2], unified = argv[4];
  read_filter(argv[3]);
  for (int i = 5; i < argc && hierarchy_count < 16; i++) {
    char *equals = strchr(argv[i], '=');
    if (!equals) continue;
    *equals = 0;
    hierarchies[hierarchy_count++] = (struct hierarchy){ argv[i], equals + 1 };
  }
  must(mkdir(text("%s/root", work), 0755));
  for (const char *const *name = files; *name; name++) {
    close(must(open(text("%s/%s", work, *name), O_CREAT | O_WRONLY | O_CLOEXEC, 0644)));
    int fd = open(text("%s/etc/%s", lower, *name), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    if (fd >= 0) close(fd);
  }
  make_bridge();
  char line[64];
  while (fgets(line, sizeof line, stdin)) {
    long long begin = now();
    life(strcmp(line, "bridge\n") == 0);
    printf("%lld\n", now() - begin);
    fflush(stdout);
  }
  return 0;
}
