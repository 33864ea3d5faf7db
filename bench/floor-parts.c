/* The floor's small parts: docker's lists, errors, text, and rtnetlink messages (rtnetlink(7)). */
#define _GNU_SOURCE
#include "floor.h"

const char *const device_rules[] = {
  "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm",
  "c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm", "c 10:200 rwm", NULL,
};
const char *const masked_paths[] = {
  "proc/asound", "proc/acpi", "proc/interrupts", "proc/kcore", "proc/keys", "proc/latency_stats", "proc/timer_list",
  "proc/timer_stats", "proc/sched_debug", "proc/scsi", "sys/firmware", "sys/devices/virtual/powercap", NULL,
};
const char *const readonly_paths[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger", NULL };
const char *const files[] = { "resolv.conf", "hostname", "hosts", NULL };

void die(const char *what) {
  fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
  _exit(1);
}

int must_be(int result, const char *what) {
  if (result < 0) die(what);
  return result;
}

const char *text(const char *format, ...) {
  static char buffers[4][4096];
  static unsigned turn;
  char *buffer = buffers[turn++ % 4];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(buffer, sizeof *buffers, format, arguments);
  va_end(arguments);
  return buffer;
}

void must_write(const char *path, const char *value) {
  int fd = must_be(open(path, O_WRONLY | O_CLOEXEC), path);
  if (write(fd, value, strlen(value)) < 0) die(path);
  close(fd);
}

/* A batch of messages in the making. */
static struct { char bytes[4096]; unsigned length; struct nlmsghdr *last; } batch;

static void *add(unsigned size) {
  void *place = batch.bytes + batch.length;
  memset(place, 0, NLMSG_ALIGN(size));
  batch.length += NLMSG_ALIGN(size);
  if (batch.last) batch.last->nlmsg_len = (unsigned)(batch.bytes + batch.length - (char *)batch.last);
  return place;
}

static void *message(unsigned short type, unsigned short flags, unsigned size) {
  batch.last = NULL;
  batch.last = add(sizeof(struct nlmsghdr));
  *batch.last = (struct nlmsghdr){ sizeof(struct nlmsghdr), type, (unsigned short)(NLM_F_REQUEST | flags), 1, 0 };
  return add(size);
}

static struct rtattr *attribute(unsigned short type, const void *value, unsigned size) {
  struct rtattr *attribute = add(RTA_LENGTH(size));
  *attribute = (struct rtattr){ (unsigned short)RTA_LENGTH(size), type };
  if (size > 0) memcpy(RTA_DATA(attribute), value, size);
  return attribute;
}

static void end(struct rtattr *nest) {
  nest->rta_len = (unsigned short)(batch.bytes + batch.length - (char *)nest);
}

/* Sends the batch, of which the last message asks for an answer. */
static void send_batch(const char *what) {
  struct { struct nlmsghdr header; struct nlmsgerr error; char rest[1024]; } answer;
  int fd = must(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (send(fd, batch.bytes, batch.length, 0) < 0 || recv(fd, &answer, sizeof answer, 0) < 0) die(what);
  if (answer.error.error != 0) errno = -answer.error.error, die(what);
  close(fd);
  batch.length = 0;
  batch.last = NULL;
}

static const unsigned char gateway[4] = { 10, 98, 0, 1 }, inside[4] = { 10, 98, 0, 2 };
static const int inside_index = 32;
static int bridge_index;

static void bring_up(int index, unsigned short flags) {
  struct ifinfomsg *link = message(RTM_NEWLINK, flags, sizeof *link);
  link->ifi_index = index;
  link->ifi_flags = link->ifi_change = IFF_UP;
}

static void give_address(int index, const unsigned char *address) {
  struct ifaddrmsg *given = message(RTM_NEWADDR, NLM_F_CREATE, sizeof *given);
  *given = (struct ifaddrmsg){ .ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = (unsigned)index };
  attribute(IFA_LOCAL, address, 4);
  attribute(IFA_ADDRESS, address, 4);
}

void make_bridge(void) {
  struct ifinfomsg *link = message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_ACK, sizeof *link);
  link->ifi_flags = link->ifi_change = IFF_UP;
  attribute(IFLA_IFNAME, "floor0", 7);
  struct rtattr *information = attribute(IFLA_LINKINFO, NULL, 0);
  attribute(IFLA_INFO_KIND, "bridge", 6);
  end(information);
  send_batch("make the bridge");
  bridge_index = (int)if_nametoindex("floor0");
  give_address(bridge_index, gateway);
  batch.last->nlmsg_flags |= NLM_F_ACK;
  send_batch("give the bridge its address");
}

/* The link of an earlier life may still be there: the kernel takes it away when it drops the namespace, in its own time. */
void join_bridge(pid_t pid) {
  static int life;
  const char *name = text("floor%d", ++life);
  struct ifinfomsg *link = message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, sizeof *link);
  link->ifi_index = 0x40000000 | life;
  link->ifi_flags = link->ifi_change = IFF_UP;
  attribute(IFLA_IFNAME, name, (unsigned)strlen(name) + 1);
  attribute(IFLA_MASTER, &bridge_index, 4);
  struct rtattr *information = attribute(IFLA_LINKINFO, NULL, 0);
  attribute(IFLA_INFO_KIND, "veth", 4);
  struct rtattr *data = attribute(IFLA_INFO_DATA, NULL, 0);
  struct rtattr *peer = attribute(VETH_INFO_PEER, NULL, 0);
  struct ifinfomsg *end_inside = add(sizeof *end_inside);
  end_inside->ifi_index = inside_index;
  attribute(IFLA_IFNAME, "eth0", 5);
  attribute(IFLA_NET_NS_PID, &pid, 4);
  end(peer);
  end(data);
  end(information);
  send_batch("make the veth");
}

void configure_network(int with_bridge) {
  bring_up(1, with_bridge ? 0 : NLM_F_ACK);
  if (with_bridge) {
    must_write("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "1");
    give_address(inside_index, inside);
    bring_up(inside_index, 0);
    struct rtmsg *route = message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_ACK, sizeof *route);
    *route = (struct rtmsg){ .rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT,
                             .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST };
    attribute(RTA_GATEWAY, gateway, 4);
  }
  send_batch("configure the network");
}
