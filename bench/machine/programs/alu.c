// A loop of additions, shifts and exclusive ors without a memory access.
#include "machine.h"

u64 run(void) {
  u64 a = 1, b = 2, c = 3;
  for (u64 i = 0; i < 450000000; i++) {
    a += b ^ i;
    b = (b << 5 | b >> 59) + c;
    c ^= a >> 3;
  }
  return a ^ b ^ c;
}
