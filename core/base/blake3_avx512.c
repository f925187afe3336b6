#if defined(__x86_64__)

#define ENGINE      blake3_avx512
#define ENGINE_NAME "avx512"
#define USABLE      (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"))
#define LANES_MOST  16
#include "core/base/blake3_simd.h"

#endif
