// Five bodies that attract one another, in double precision; after each step the accrued exceptions are read, counted and
// cleared, so that each step has to raise its own exactly.
#include "machine.h"

enum { bodies = 5, steps = 1400000 };
static double place[bodies][3], speed[bodies][3], mass[bodies];

static double root(double x) {
  double result;
  __asm__("fsqrt.d %0, %1" : "=f"(result) : "f"(x));
  return result;
}

static u64 take_flags(void) {
  u64 flags;
  __asm__ volatile("fsflags %0, zero" : "=r"(flags));
  return flags;
}

static void step(double dt) {
  for (int i = 0; i < bodies; i++)
    for (int j = i + 1; j < bodies; j++) {
      double dx = place[i][0] - place[j][0], dy = place[i][1] - place[j][1], dz = place[i][2] - place[j][2];
      double square = dx * dx + dy * dy + dz * dz + 0.01;
      double pull = dt / (square * root(square));
      double a = mass[j] * pull, b = mass[i] * pull;
      speed[i][0] -= dx * a, speed[i][1] -= dy * a, speed[i][2] -= dz * a;
      speed[j][0] += dx * b, speed[j][1] += dy * b, speed[j][2] += dz * b;
    }
  for (int i = 0; i < bodies; i++)
    for (int k = 0; k < 3; k++) place[i][k] += dt * speed[i][k];
}

u64 run(void) {
  u64 random = 88172645463325252, seen[32] = {0};
  for (int i = 0; i < bodies; i++) {
    mass[i] = i == 0 ? 30 : 0.01 * (i + 1);
    for (int k = 0; k < 3; k++) {
      place[i][k] = (double)(next_random(&random) >> 40) / 1048576.0 - 8.0;
      speed[i][k] = (double)(next_random(&random) >> 40) / 16777216.0 - 0.5;
    }
  }
  take_flags();
  for (int n = 0; n < steps; n++) {
    step(0.001);
    seen[take_flags()]++;
    // Exact now and then: multiplied by a power of two.
    if ((n & 7) == 0) {
      place[0][0] = place[0][0] * 2.0 * 0.5;
      seen[take_flags()]++;
    }
  }
  u64 sum = 0;
  for (int i = 0; i < 32; i++) sum = sum * 31 + seen[i];
  for (int i = 0; i < bodies; i++)
    for (int k = 0; k < 3; k++) {
      u64 bits;
      __asm__("fmv.x.d %0, %1" : "=r"(bits) : "f"(place[i][k]));
      sum = sum * 31 + bits;
    }
  return sum;
}
