// The Mandelbrot set in double precision, fused multiplications as the compiler makes them; the flags are part of the result.
#include "machine.h"

u64 run(void) {
  u64 sum = 0;
  const int size = 640;
  for (int y = 0; y < size; y++)
    for (int x = 0; x < size; x++) {
      double cr = 3.0 * x / size - 2.25, ci = 2.5 * y / size - 1.25, zr = 0, zi = 0;
      u64 i = 0;
      while (i < 200 && zr * zr + zi * zi < 4.0) {
        double t = zr * zr - zi * zi + cr;
        zi = 2.0 * zr * zi + ci;
        zr = t;
        i++;
      }
      sum = sum * 7 + i;
    }
  u64 flags;
  __asm__ volatile("frflags %0" : "=r"(flags));
  return sum ^ flags;
}
