// Calls through pointers: a small stack machine whose every operation is a function in a table.
#include "machine.h"

typedef u64 (*operation)(u64 a, u64 b);

static u64 add(u64 a, u64 b) { return a + b; }
static u64 subtract(u64 a, u64 b) { return a - b; }
static u64 both(u64 a, u64 b) { return (a & b) + 1; }
static u64 either(u64 a, u64 b) { return a | b; }
static u64 differ(u64 a, u64 b) { return a ^ b; }
static u64 left(u64 a, u64 b) { return a << (b & 7); }
static u64 right(u64 a, u64 b) { return a >> (b & 7); }
static u64 rotate(u64 a, u64 b) { return a << 11 | b >> 53; }

static const operation operations[8] = {add, subtract, both, either, differ, left, right, rotate};
static u8 program[4096];

u64 run(void) {
  u64 random = 88172645463325252, a = 1, b = 2;
  for (u32 i = 0; i < sizeof program; i++) program[i] = next_random(&random) >> 20 & 7;
  for (int round = 0; round < 6000; round++)
    for (u32 i = 0; i < sizeof program; i++) {
      u64 c = operations[program[i]](a, b);
      a = b + i;
      b = c;
    }
  return a ^ b;
}
