// Integer work as embedded programs do it: a list searched, reversed and sorted, small matrices, numbers read by a state
// machine, and a bitwise CRC-16 over every result.
#include "machine.h"

enum { nodes = 96, side = 24, text_bytes = 640 };
struct item {
  struct item *next;
  short key, weight;
};
static struct item items[nodes];
static short left[side * side], right[side * side];
static int product[side * side];
static u8 text[text_bytes];

static u32 crc16(u32 crc, u32 value) {
  for (int bit = 0; bit < 16; bit++, value >>= 1) crc = (crc ^ value) & 1 ? crc >> 1 ^ 0xa001 : crc >> 1;
  return crc;
}

static int by_key(const struct item *a, const struct item *b) { return a->key - b->key; }
static int by_weight(const struct item *a, const struct item *b) { return a->weight - b->weight; }

static struct item *merge(struct item *a, struct item *b, int (*order)(const struct item *, const struct item *)) {
  struct item *head = 0, **end = &head;
  while (a && b) {
    struct item **least = order(a, b) <= 0 ? &a : &b;
    *end = *least;
    end = &(*end)->next;
    *least = (*least)->next;
  }
  *end = a ? a : b;
  return head;
}

static struct item *sort(struct item *list, int (*order)(const struct item *, const struct item *)) {
  if (!list || !list->next) return list;
  struct item *slow = list, *fast = list->next;
  while (fast && fast->next) slow = slow->next, fast = fast->next->next;
  struct item *second = slow->next;
  slow->next = 0;
  return merge(sort(list, order), sort(second, order), order);
}

static struct item *reverse(struct item *list) {
  struct item *done = 0;
  while (list) {
    struct item *next = list->next;
    list->next = done;
    done = list;
    list = next;
  }
  return done;
}

static u32 lists(u32 seed, u32 crc) {
  for (int i = 0; i < nodes; i++) {
    items[i].next = i + 1 < nodes ? &items[i + 1] : 0;
    items[i].key = (short)((seed * 31 + (u32)i * 7919) & 0x7fff);
    items[i].weight = (short)((u32)i ^ seed);
  }
  struct item *list = items;
  for (int round = 0; round < 12; round++) {
    short wanted = items[(seed + (u32)round * 5) % nodes].key;
    u32 steps = 0;
    for (const struct item *at = list; at && at->key != wanted; at = at->next) steps++;
    crc = crc16(crc, steps);
    list = reverse(list);
  }
  list = sort(list, by_key);
  crc = crc16(crc, (u32)list->weight);
  list = sort(list, by_weight);
  for (const struct item *at = list; at; at = at->next) crc = crc16(crc, (u32)at->key);
  return crc;
}

static u32 matrices(u32 seed, u32 crc) {
  for (int i = 0; i < side * side; i++) {
    left[i] = (short)((seed + (u32)i * 13) & 0xff);
    right[i] = (short)((seed ^ (u32)i * 29) & 0xff);
  }
  for (int i = 0; i < side * side; i++) left[i] = (short)(left[i] * 3 + (short)seed);
  for (int y = 0; y < side; y++)
    for (int x = 0; x < side; x++) {
      int sum = 0;
      for (int k = 0; k < side; k++) sum += left[y * side + k] * right[k * side + x];
      product[y * side + x] = sum;
    }
  u32 clipped = 0;
  for (int i = 0; i < side * side; i++) {
    int bits = (product[i] >> 2 & 15) * (product[i] >> 5 & 127);
    clipped += bits > 600 ? 10u : (u32)bits & 7u;
  }
  return crc16(crc16(crc, clipped), (u32)product[seed % (side * side)]);
}

enum state { begin, sign, whole, point, fraction, exponent, exponent_sign, scale, wrong, states };

static enum state after(enum state now, u8 c) {
  int digit = c >= '0' && c <= '9';
  switch (now) {
    case begin: return digit ? whole : c == '+' || c == '-' ? sign : c == '.' ? point : wrong;
    case sign: return digit ? whole : c == '.' ? point : wrong;
    case whole: return digit ? whole : c == '.' ? fraction : c == 'e' || c == 'E' ? exponent : wrong;
    case point: return digit ? fraction : wrong;
    case fraction: return digit ? fraction : c == 'e' || c == 'E' ? exponent : wrong;
    case exponent: return digit ? scale : c == '+' || c == '-' ? exponent_sign : wrong;
    case exponent_sign: return digit ? scale : wrong;
    case scale: return digit ? scale : wrong;
    default: return wrong;
  }
}

static u32 words(u32 seed, u32 crc) {
  static const char samples[8][12] = {"5012", "-874", "+122", "35.5400", "-.1234500", "5.5e+3", "T0.3e-1F", "1.2e7x"};
  u32 length = 0;
  for (u32 i = seed; length + 12 < text_bytes; i = i * 5 + 1) {
    const char *sample = samples[i >> 3 & 7];
    while (*sample) text[length++] = (u8)*sample++;
    text[length++] = ',';
  }
  u32 ends[states] = {0}, moves[states] = {0};
  enum state now = begin;
  for (u32 i = 0; i < length; i++) {
    if (text[i] == ',') {
      ends[now]++;
      now = begin;
      continue;
    }
    enum state next = after(now, text[i]);
    if (next != now) moves[now]++;
    now = next;
  }
  for (int i = 0; i < states; i++) crc = crc16(crc16(crc, ends[i]), moves[i]);
  return crc;
}

u64 run(void) {
  u32 crc = 0xffff;
  for (u32 seed = 1; seed <= 24000; seed++) {
    crc = lists(seed, crc);
    crc = matrices(seed, crc);
    crc = words(seed, crc);
  }
  return crc;
}
