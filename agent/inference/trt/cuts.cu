// Cuts turned squares out of a picture and makes a network's input of them: what crops.py does with OpenCV,
// step by step and with its roundings, so that both give the same numbers.
//
// `cuts` holds a `Cut` for each: where its picture lies, the bytes from one row of that to the next, those from one
// pixel to the next (3: BGR, 4: BGRx, as a Jetson's converters write it), then CUT floats:
// the 2 x 3 matrix from pixel centres of the cut to pixel centres of the (shrunk) picture, then left, top, wide, high
// of the part that is used, in (shrunk) pixels but left and top, and the factor by which it is shrunk. One thread a
// pixel of the output, one layer of the grid a cut.
//
// No header is included: it compiles with nvrtc, with nvcc, and, after tests/inference/trt/host.h, with g++.

#define CUT 11

struct Cut {
  unsigned long long frame;
  int pitch, step;
  float numbers[CUT];
};

static __device__ __forceinline__ float sample(
    const unsigned char *frame, int pitch, int step, const float *cut, int x, int y, int channel, float fill) {
  const int left = (int)cut[6], top = (int)cut[7], wide = (int)cut[8], high = (int)cut[9], factor = (int)cut[10];
  if (x < 0 || y < 0 || x >= wide || y >= high) return fill;  // beyond the picture
  const unsigned char *at = frame + (long long)(top + y * factor) * pitch + (left + x * factor) * step + channel;
  if (factor == 1) return (float)*at;
  long long sum = 0;  // the mean of a block: a pixel of the shrunk picture
  for (int row = 0; row < factor; ++row, at += pitch) {
    int of_row = 0;
    for (int column = 0; column < factor; ++column) of_row += at[column * step];
    sum += of_row;
  }
  if (factor == 2) return (float)((sum + 2) / 4);  // OpenCV rounds a half up here, to even elsewhere
  return rintf((float)sum / ((float)factor * (float)factor));
}

extern "C" __global__ void cut_and_normalise(
    const Cut *cuts, float *out, int out_width, int out_height, int channels_last, int reverse, float fill,
    float offset, float scale) {
  const int u = blockIdx.x * blockDim.x + threadIdx.x, v = blockIdx.y * blockDim.y + threadIdx.y;
  if (u >= out_width || v >= out_height) return;
  const int number = blockIdx.z, area = out_width * out_height;
  const unsigned char *frame = (const unsigned char *)cuts[number].frame;
  const int pitch = cuts[number].pitch, step = cuts[number].step;
  const float *cut = cuts[number].numbers;
  const float x = cut[0] * u + cut[1] * v + cut[2], y = cut[3] * u + cut[4] * v + cut[5];
  // Far outside: also keeps the conversion to int defined.
  const bool inside = x > -2.0f && y > -2.0f && x < cut[8] + 2.0f && y < cut[9] + 2.0f;
  const float x_floor = floorf(x), y_floor = floorf(y);
  const int x0 = inside ? (int)x_floor : -2, y0 = inside ? (int)y_floor : -2;
  const float right = x - x_floor, low = y - y_floor;
  for (int channel = 0; channel < 3; ++channel) {
    float value = fill;
    if (inside) {
      const float upper = sample(frame, pitch, step, cut, x0, y0, channel, fill) * (1.0f - right) +
                          sample(frame, pitch, step, cut, x0 + 1, y0, channel, fill) * right;
      const float lower = sample(frame, pitch, step, cut, x0, y0 + 1, channel, fill) * (1.0f - right) +
                          sample(frame, pitch, step, cut, x0 + 1, y0 + 1, channel, fill) * right;
      value = rintf(upper * (1.0f - low) + lower * low);  // OpenCV's cut is of whole numbers
    }
    const int plane = reverse ? 2 - channel : channel;
    const long long at = channels_last ? ((long long)number * area + v * out_width + u) * 3 + plane
                                       : ((long long)number * 3 + plane) * area + v * out_width + u;
    out[at] = (value - offset) * scale;
  }
}
