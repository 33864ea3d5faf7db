// hold MEGABYTES: writes something different into each page of so much memory, says so, and holds on to it.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv) {
  size_t bytes = (argc > 1 ? strtoul(argv[1], 0, 10) : 1) << 20;
  char *memory = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    perror("hold");
    return 1;
  }
  for (size_t at = 0; at < bytes; at += 4096) *(volatile size_t *)(memory + at) = at + 1;
  printf("bench: holds %zu\n", bytes);
  fflush(stdout);
  for (;;) pause();
}
