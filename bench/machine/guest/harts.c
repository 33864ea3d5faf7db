// Work that all harts share, in pieces that each takes as it is free: each piece fills a buffer of its hart's own, sorts it and
// sums it up. The first hart starts the others by the SBI, waits for the last piece, and prints ticks of `time`, harts and sum.
typedef unsigned long u64;

enum { most_harts = 4, pieces = 768, count = 4096, rounds = 4 };
enum { hsm = 0x48534d, srst = 0x53525354 };

extern const char second[];
static u64 buffers[most_harts][count];
static volatile u64 taken, finished, sums, ready, begun;

static long call(u64 extension, u64 function, u64 x, u64 y, u64 z) {
  register u64 a0 __asm__("a0") = x, a1 __asm__("a1") = y, a2 __asm__("a2") = z;
  register u64 a6 __asm__("a6") = function, a7 __asm__("a7") = extension;
  __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a6), "r"(a7) : "memory");
  return (long)a0;
}

static u64 add(volatile u64 *to, u64 value) { return __atomic_fetch_add((u64 *)to, value, __ATOMIC_SEQ_CST); }

static u64 now(void) {
  u64 ticks;
  __asm__ volatile("rdtime %0" : "=r"(ticks));
  return ticks;
}

static u64 piece(u64 *numbers, u64 seed) {
  u64 state = seed * 0x9e3779b97f4a7c15 + 1, sum = 0;
  for (int round = 0; round < rounds; round++) {
    for (int i = 0; i < count; i++) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      numbers[i] = state;
    }
    for (int gap = count / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11)
      for (int i = gap; i < count; i++) {
        u64 number = numbers[i];
        int at = i;
        for (; at >= gap && numbers[at - gap] > number; at -= gap) numbers[at] = numbers[at - gap];
        numbers[at] = number;
      }
    for (int i = 0; i < count; i++) sum = sum * 31 + numbers[i];
  }
  return sum;
}

static void print(u64 value) {
  volatile unsigned char *const uart = (volatile unsigned char *)0x10000000;
  for (int shift = 60; shift >= 0; shift -= 4) {
    while (!(uart[5] & 0x20)) continue;
    *uart = (unsigned char)"0123456789abcdef"[value >> shift & 15];
  }
  while (!(uart[5] & 0x20)) continue;
  *uart = '\n';
}

// Everyone begins at once: what it takes to start a hart is not what is measured.
void main(u64 hart, u64 is_first) {
  u64 harts = 1;
  if (is_first) {
    for (u64 other = 0; other < most_harts; other++)
      if (other != hart && call(hsm, 0, other, (u64)second, 0) == 0) harts++;
    while (add(&ready, 0) + 1 < harts) continue;
    begun = 1;
  } else {
    add(&ready, 1);
    while (!begun) continue;
  }
  u64 begin = now();
  for (u64 number; (number = add(&taken, 1)) < pieces;) {
    add(&sums, piece(buffers[hart], number));
    add(&finished, 1);
  }
  if (!is_first) return;
  while (add(&finished, 0) < pieces) continue;
  u64 ticks = now() - begin;
  print(ticks);
  print(harts);
  print(sums);
  call(srst, 0, 0, 0, 0);
}
