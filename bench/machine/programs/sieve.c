// The sieve of Eratosthenes over bytes.
#include "machine.h"

enum { limit = 2000000 };
static u8 composite[limit];

u64 run(void) {
  u64 primes = 0;
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < limit; i++) composite[i] = 0;
    for (int i = 2; i < limit; i++) {
      if (composite[i]) continue;
      primes++;
      for (int k = i * 2; k < limit; k += i) composite[k] = 1;
    }
  }
  return primes;
}
