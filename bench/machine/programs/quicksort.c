// Quicksort, recursive, of 64-bit numbers.
#include "machine.h"

enum { count = 500000 };
static long numbers[count];

static void sort(long *low, long *high) {
  while (low < high) {
    long pivot = low[(high - low) / 2];
    long *i = low, *j = high;
    while (i <= j) {
      while (*i < pivot) i++;
      while (*j > pivot) j--;
      if (i <= j) {
        long swap = *i;
        *i++ = *j;
        *j-- = swap;
      }
    }
    if (j - low < high - i) {
      sort(low, j);
      low = i;
    } else {
      sort(i, high);
      high = j;
    }
  }
}

u64 run(void) {
  u64 random = 88172645463325252, sum = 0;
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < count; i++) numbers[i] = (long)next_random(&random);
    sort(numbers, numbers + count - 1);
    for (int i = 0; i < count; i += 1000) sum = sum * 31 + (u64)numbers[i];
  }
  return sum;
}
