// Runs the kernel above for every thread of a grid; the last arguments are the kernel's own.
extern "C" void launch(
    const int *grid, const int *block, const unsigned char *frame, int pitch, const float *cuts, float *out,
    int out_width, int out_height, int channels_last, int reverse, float fill, float offset,
    float scale) {
  blockDim = {block[0], block[1], block[2]};
  for (int bz = 0; bz < grid[2]; ++bz)
    for (int by = 0; by < grid[1]; ++by)
      for (int bx = 0; bx < grid[0]; ++bx)
        for (int ty = 0; ty < block[1]; ++ty)
          for (int tx = 0; tx < block[0]; ++tx) {
            blockIdx = {bx, by, bz};
            threadIdx = {tx, ty, 0};
            cut_and_normalise(
                frame, pitch, cuts, out, out_width, out_height, channels_last, reverse, fill, offset, scale);
          }
}
