// Cuts turned squares out of a picture and makes a network's input of them: what crops.py does with OpenCV,
// step by step and with its roundings, so that both give the same numbers.
//
// `cuts` holds a `Cut` for each: where its picture lies, and its plane of colours (NV12), the bytes from one row of
// them to the next, those from one pixel to the next (3: BGR, 4: BGRx, as a Jetson's converters write it; 1: NV12, as
// its decoder does), then CUT floats:
// the 2 x 3 matrix from pixel centres of the cut to pixel centres of the (shrunk) picture, then left, top, wide, high
// of the part that is used, in (shrunk) pixels but left and top, and the factor by which it is shrunk; then COLOUR
// floats for NV12: the Y of black, and the factors of Y for all, of U for blue, of U and V for green, of V for red.
// One thread a pixel of the output, one layer of the grid a cut.
//
// No header is included: it compiles with nvrtc, with nvcc, and, after tests/inference/trt/host.h, with g++.

#define CUT 11
#define COLOUR 6
#define NV12 1  // bytes from one pixel's Y to the next

struct Cut {
  unsigned long long frame, chroma;
  int pitch, step;
  float numbers[CUT], colour[COLOUR];
};

struct Bgr {
  int of[3];
};

static __device__ __forceinline__ int level(float value) {
  return (int)fminf(fmaxf(rintf(value), 0.0f), 255.0f);
}

static __device__ __forceinline__ Bgr pixel(const Cut &cut, int x, int y) {
  const unsigned char *at = (const unsigned char *)cut.frame + (long long)y * cut.pitch + (long long)x * cut.step;
  if (cut.step != NV12) return {{at[0], at[1], at[2]}};
  const unsigned char *pair = (const unsigned char *)cut.chroma + (long long)(y / 2) * cut.pitch + x / 2 * 2;
  const float bright = ((float)*at - cut.colour[0]) * cut.colour[1];
  const float u = (float)pair[0] - 128.0f, v = (float)pair[1] - 128.0f;
  return {{level(bright + cut.colour[2] * u), level(bright + cut.colour[3] * u + cut.colour[4] * v),
           level(bright + cut.colour[5] * v)}};
}

struct Sample {
  float of[3];
};

static __device__ __forceinline__ Sample sample(const Cut &cut, int x, int y, float fill) {
  const float *how = cut.numbers;
  const int left = (int)how[6], top = (int)how[7], wide = (int)how[8], high = (int)how[9], factor = (int)how[10];
  if (x < 0 || y < 0 || x >= wide || y >= high) return {{fill, fill, fill}};  // beyond the picture
  if (factor == 1) {
    const Bgr one = pixel(cut, left + x, top + y);
    return {{(float)one.of[0], (float)one.of[1], (float)one.of[2]}};
  }
  long long sum[3] = {0, 0, 0};  // the mean of a block: a pixel of the shrunk picture
  for (int row = 0; row < factor; ++row) {
    int of_row[3] = {0, 0, 0};
    for (int column = 0; column < factor; ++column) {
      const Bgr one = pixel(cut, left + x * factor + column, top + y * factor + row);
      for (int channel = 0; channel < 3; ++channel) of_row[channel] += one.of[channel];
    }
    for (int channel = 0; channel < 3; ++channel) sum[channel] += of_row[channel];
  }
  Sample mean;
  for (int channel = 0; channel < 3; ++channel)  // OpenCV rounds a half up for blocks of 2, to even elsewhere
    mean.of[channel] = factor == 2 ? (float)((sum[channel] + 2) / 4)
                                   : rintf((float)sum[channel] / ((float)factor * (float)factor));
  return mean;
}

extern "C" __global__ void cut_and_normalise(
    const Cut *cuts, float *out, int out_width, int out_height, int channels_last, int reverse, float fill,
    float offset, float scale) {
  const int u = blockIdx.x * blockDim.x + threadIdx.x, v = blockIdx.y * blockDim.y + threadIdx.y;
  if (u >= out_width || v >= out_height) return;
  const int number = blockIdx.z, area = out_width * out_height;
  const float *cut = cuts[number].numbers;
  const float x = cut[0] * u + cut[1] * v + cut[2], y = cut[3] * u + cut[4] * v + cut[5];
  // Far outside: also keeps the conversion to int defined.
  const bool inside = x > -2.0f && y > -2.0f && x < cut[8] + 2.0f && y < cut[9] + 2.0f;
  const float x_floor = floorf(x), y_floor = floorf(y);
  const int x0 = inside ? (int)x_floor : -2, y0 = inside ? (int)y_floor : -2;
  const float right = x - x_floor, low = y - y_floor;
  Sample value = {{fill, fill, fill}};
  if (inside) {
    const Sample corners[4] = {sample(cuts[number], x0, y0, fill), sample(cuts[number], x0 + 1, y0, fill),
                               sample(cuts[number], x0, y0 + 1, fill), sample(cuts[number], x0 + 1, y0 + 1, fill)};
    for (int channel = 0; channel < 3; ++channel) {
      const float upper = corners[0].of[channel] * (1.0f - right) + corners[1].of[channel] * right;
      const float lower = corners[2].of[channel] * (1.0f - right) + corners[3].of[channel] * right;
      value.of[channel] = rintf(upper * (1.0f - low) + lower * low);  // OpenCV's cut is of whole numbers
    }
  }
  for (int channel = 0; channel < 3; ++channel) {
    const int plane = reverse ? 2 - channel : channel;
    const long long at = channels_last ? ((long long)number * area + v * out_width + u) * 3 + plane
                                       : ((long long)number * 3 + plane) * area + v * out_width + u;
    out[at] = (value.of[channel] - offset) * scale;
  }
}
