// CUDA's words in C++, so that g++ compiles the agent's kernels for the CPU: one thread after the other.
#include <math.h>

#define __global__
#define __device__
#define __forceinline__ inline

struct Place { int x, y, z; };
static Place blockIdx, threadIdx, blockDim;
