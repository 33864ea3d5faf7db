// Blocks of many sizes and alignments copied eight bytes at a time where both ends allow it.
#include "machine.h"

static u8 source[1 << 18] __attribute__((aligned(64)));
static u8 target[1 << 18] __attribute__((aligned(64)));

static __attribute__((noinline)) void copy(u8 *to, const u8 *from, u64 count) {
  if ((((u64)to ^ (u64)from) & 7) == 0) {
    while (((u64)to & 7) != 0 && count > 0) {
      *to++ = *from++;
      count--;
    }
    u64 *wide = (u64 *)to;
    const u64 *wide_source = (const u64 *)from;
    while (count >= 32) {
      u64 a = wide_source[0], b = wide_source[1], c = wide_source[2], d = wide_source[3];
      wide[0] = a;
      wide[1] = b;
      wide[2] = c;
      wide[3] = d;
      wide += 4;
      wide_source += 4;
      count -= 32;
    }
    to = (u8 *)wide;
    from = (const u8 *)wide_source;
  }
  while (count-- > 0) *to++ = *from++;
}

u64 run(void) {
  u64 random = 88172645463325252;
  for (u32 i = 0; i < sizeof source; i++) source[i] = (u8)next_random(&random);
  u64 sum = 0;
  for (int round = 0; round < 60000; round++) {
    u64 r = next_random(&random);
    u64 from = r & 0x1ffff, to = (r >> 20 & 0x1ffff) & ~7ul;
    u64 count = round & 7 ? r >> 40 & 0x3fff : r >> 40 & 0x1ffff;
    if (round & 15) to |= from & 7;
    copy(target + to, source + from, count);
    sum = sum * 31 + target[to + count / 2];
  }
  return sum;
}
