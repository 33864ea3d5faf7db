// What the programs share: `run` does the work and gives a result that depends on all of it.
typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned char u8;

u64 run(void);
void finish(u64 result);

static inline u64 next_random(u64 *state) {
  u64 x = *state;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return *state = x;
}
