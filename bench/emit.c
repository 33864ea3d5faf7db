/* What the measured containers write: `emit BYTES LINE` writes BYTES bytes to standard output as lines of LINE bytes, with the
 * newline, in writes of 64 KiB; faster than any engine reads. LINE 0 is no lines at all. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char buffer[65536];

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  long long left = atoll(argv[1]);
  size_t line = (size_t)atol(argv[2]);
  size_t full = line == 0 ? sizeof buffer : sizeof buffer / line * line;
  memset(buffer, 'x', sizeof buffer);
  if (line > 0) {
    for (size_t at = line - 1; at < full; at += line) buffer[at] = '\n';
  }
  while (left > 0) {
    ssize_t written = write(1, buffer, left < (long long)full ? (size_t)left : full);
    if (written < 0) return 1;
    left -= written;
  }
  return 0;
}
