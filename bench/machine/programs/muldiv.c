// Multiplications, high halves, divisions and remainders of 32 and 64 bits.
#include "machine.h"

u64 run(void) {
  u64 random = 88172645463325252, sum = 0;
  for (u32 i = 1; i < 80000000; i++) {
    u64 r = next_random(&random);
    sum += r % (i + 7) + (r >> 13) * i;
    sum ^= (u64)((unsigned __int128)r * sum >> 64);
    sum += (u64)((long)r / (long)(sum >> 40 | 1));
    sum += (u32)r / i;
  }
  return sum;
}
