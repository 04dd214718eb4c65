// A driver as NVIDIA's libcuda answers; what it says is chosen by the environment of whoever loads it.
#include <stdlib.h>
#include <string.h>

static int number(const char *name, int otherwise) {
  const char *text = getenv(name);
  return text ? atoi(text) : otherwise;
}

int cuInit(unsigned flags) { (void)flags; return number("DOUBLE_INIT", 0); }
int cuDriverGetVersion(int *version) { *version = number("DOUBLE_CUDA", 12060); return 0; }
int cuDeviceGetCount(int *count) { *count = number("DOUBLE_COUNT", 1); return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceGetName(char *name, int length, int device) {
  (void)device;
  strncpy(name, "Orin", (size_t)length);
  return 0;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) { (void)device; *bytes = 8000000000u; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  (void)device;
  *value = attribute == 75 ? 8 : attribute == 76 ? 7 : attribute == 16 ? number("DOUBLE_SMS", 16) : attribute == 18 ? 1 : -1;
  return 0;
}
int cuGetErrorString(int code, const char **text) { *text = code == 35 ? "insufficient driver" : "an error"; return 0; }
