// A linked ring in random order, followed: every load waits for the one before.
#include "machine.h"

enum { count = 1 << 16 };
struct node {
  struct node *next;
  u64 value;
};
static struct node nodes[count];
static u32 order[count];

u64 run(void) {
  u64 random = 88172645463325252;
  for (u32 i = 0; i < count; i++) order[i] = i;
  for (u32 i = count - 1; i > 0; i--) {
    u32 j = next_random(&random) % (i + 1), swap = order[i];
    order[i] = order[j];
    order[j] = swap;
  }
  for (u32 i = 0; i < count; i++) {
    nodes[order[i]].next = &nodes[order[(i + 1) % count]];
    nodes[order[i]].value = i * 2654435761u;
  }
  u64 sum = 0;
  struct node *node = nodes;
  for (u64 i = 0; i < 60000000; i++) {
    sum += node->value;
    node = node->next;
  }
  return sum;
}
