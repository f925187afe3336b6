#if defined(__x86_64__)

#define ENGINE      blake3_avx2
#define ENGINE_NAME "avx2"
#define USABLE      __builtin_cpu_supports("avx2")
#define LANES_MOST  8
#include "core/base/blake3_simd.h"

#endif
