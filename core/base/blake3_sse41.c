#if defined(__x86_64__)

#define ENGINE      blake3_sse41
#define ENGINE_NAME "sse41"
#define USABLE      __builtin_cpu_supports("sse4.1")
#define LANES_MOST  4
#include "core/base/blake3_simd.h"

#endif
