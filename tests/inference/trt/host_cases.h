// Runs the kernel above on every case of a file, each piece of memory exactly as large as it has to be, so that the
// address sanitiser sees the first byte beyond. Reads FILE, writes what the kernel wrote to FILE.out.
#include <cstdio>
#include <cstdlib>
#include <memory>

struct Case {
  int bytes, chroma_at, pitch, step, out_width, out_height, channels_last, reverse, count;
  float fill, offset, scale, colour[COLOUR];
};

template <class T> static void take(T *to, size_t count, FILE *from) {
  if (count && fread(to, sizeof(T), count, from) != count) exit(2);
}

int main(int, char **arguments) {
  FILE *in = fopen(arguments[1], "rb"), *out = fopen(arguments[2], "wb");
  int cases = 0;
  take(&cases, 1, in);
  for (int number = 0; number < cases; ++number) {
    Case given;
    take(&given, 1, in);
    const size_t bytes = given.bytes;
    const size_t written = size_t(given.count) * 3 * given.out_width * given.out_height;
    std::unique_ptr<unsigned char[]> frame(new unsigned char[bytes]);
    std::unique_ptr<Cut[]> cuts(new Cut[given.count]);
    std::unique_ptr<float[]> result(new float[written]);
    take(frame.get(), bytes, in);
    for (int i = 0; i < given.count; ++i) {
      cuts[i].frame = (unsigned long long)frame.get();
      cuts[i].chroma = cuts[i].frame + given.chroma_at;
      cuts[i].pitch = given.pitch;
      cuts[i].step = given.step;
      for (int at = 0; at < COLOUR; ++at) cuts[i].colour[at] = given.colour[at];
      take(cuts[i].numbers, CUT, in);
    }
    const Cut *table = cuts.get();
    float *target = result.get();
    void *values[] = {&table, &target, &given.out_width, &given.out_height, &given.channels_last, &given.reverse,
                      &given.fill, &given.offset, &given.scale};
    const int block[] = {32, 8, 1};
    const int grid[] = {(given.out_width + 31) / 32, (given.out_height + 7) / 8, given.count};
    launch(grid, block, values);
    fwrite(target, sizeof(float), written, out);
  }
  return fclose(out);
}
