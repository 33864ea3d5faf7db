// reads DEVICE BYTES COUNT random|sequential: reads past the guest's page cache, one read at a time, and prints the
// nanoseconds that all of them took.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  size_t bytes = strtoul(argv[2], 0, 10), count = strtoul(argv[3], 0, 10);
  int random = strcmp(argv[4], "random") == 0;
  int disk = open(argv[1], O_RDONLY | O_DIRECT);
  void *buffer = aligned_alloc(4096, bytes);
  off_t size = disk < 0 ? 0 : lseek(disk, 0, SEEK_END);
  if (size < (off_t)bytes || !buffer) {
    perror("reads");
    return 1;
  }
  unsigned long places = (unsigned long)size / bytes, state = 88172645463325252UL, place = 0;
  long long begin = now();
  for (size_t i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    place = random ? state % places : (place + 1) % places;
    if (pread(disk, buffer, bytes, (off_t)(place * bytes)) != (ssize_t)bytes) {
      perror("reads");
      return 1;
    }
  }
  printf("bench: nanoseconds %lld\n", now() - begin);
  return 0;
}
