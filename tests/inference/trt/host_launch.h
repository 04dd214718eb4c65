// Runs the kernel above for every thread of a grid. As a driver is given them, arguments are addresses of values.
#include <cstddef>
#include <utility>

template <class... Arguments> struct Kernel {
  template <size_t... I> static void call(void (*kernel)(Arguments...), void **given, std::index_sequence<I...>) {
    kernel(*static_cast<Arguments *>(given[I])...);
  }
  static void run(void (*kernel)(Arguments...), const int *grid, const int *block, void **given) {
    blockDim = {block[0], block[1], block[2]};
    for (int bz = 0; bz < grid[2]; ++bz)
      for (int by = 0; by < grid[1]; ++by)
        for (int bx = 0; bx < grid[0]; ++bx)
          for (int ty = 0; ty < block[1]; ++ty)
            for (int tx = 0; tx < block[0]; ++tx) {
              blockIdx = {bx, by, bz};
              threadIdx = {tx, ty, 0};
              call(kernel, given, std::index_sequence_for<Arguments...>{});
            }
  }
  static constexpr int count = sizeof...(Arguments);
  static constexpr int bytes[] = {int(sizeof(Arguments))...};
};
template <class... Arguments> Kernel<Arguments...> kernel_of(void (*)(Arguments...));
using Cuts = decltype(kernel_of(cut_and_normalise));

extern "C" const int *const argument_sizes = Cuts::bytes;
extern "C" const int argument_count = Cuts::count;
extern "C" void launch(const int *grid, const int *block, void **arguments) {
  Cuts::run(cut_and_normalise, grid, block, arguments);
}
