// Whether to use SSE2, which all of x86-64 has. MUSTER_PORTABLE builds what other machines run.
#pragma once

#if defined(__SSE2__) && !defined(MUSTER_PORTABLE)
#include <emmintrin.h>
#define MUSTER_SSE2 1
#endif
