// A matrix packed once for many products with one row or several.
//
// The matrix is (G * N, K) in row-major order: G products for each of N outputs. A panel holds W
// blocks of outputs, BLOCKS = G * W vectors for each step; the G products of a block are adjacent.
#pragma once

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "micro_kernel.h"

namespace {

// Memory for weights, in huge pages where the system offers them: each character reads all weights,
// which would miss the TLB at every small page.
inline Buffer<Words> allocate_weights(std::size_t count) {
#if defined(__linux__)
    constexpr std::size_t PAGE = std::size_t{2} << 20;
    if (const std::size_t whole = count * sizeof(Words) / PAGE * PAGE) {
        Buffer<Words> words = allocate<Words>(count, PAGE);
        madvise(words.get(), whole, MADV_HUGEPAGE);  // A refusal leaves small pages, which work.
        return words;
    }
#endif
    return allocate<Words>(count);
}

// Panels that a single row is multiplied with at once: the few sums of one panel would wait for one
// another.
constexpr int MOST_PANELS = 2;

// Steps by which a single row's weights are prefetched: they come from beyond the second-level
// cache.
constexpr int AHEAD = 8;

template <class P, int BLOCKS, int PANELS>
__attribute__((noinline)) void multiply_row(const typename P::Element* row, const Words* panel,
                                            int steps, Vec* result) {
    const std::ptrdiff_t next = std::ptrdiff_t{BLOCKS} * steps;
    Vec sums[PANELS][BLOCKS];
    std::memcpy(sums, result, sizeof sums);
    for (int step = 0; step < steps; ++step) {
        std::uint32_t word;
        std::memcpy(&word, row + step * P::PER_STEP, sizeof word);
        const Words words = Words{} + word;
        for (int n = 0; n < PANELS; ++n)
            for (int block = 0; block < BLOCKS; ++block)
                __builtin_prefetch(panel + n * next + (step + AHEAD) * BLOCKS + block);
        for (int n = 0; n < PANELS; ++n)
            for (int block = 0; block < BLOCKS; ++block)
                sums[n][block] =
                    P::add_product(sums[n][block], words, panel[n * next + step * BLOCKS + block]);
    }
    std::memcpy(result, sums, sizeof sums);
}

template <class P, int G, int W>
class PackedMatrix {
  public:
    using Element = typename P::Element;
    static constexpr int BLOCKS = G * W;

    PackedMatrix(const float* weights, int outputs, int inputs)
        : outputs_(outputs), steps_(steps_of<P>(inputs)),
          words_(allocate_weights(std::size_t(count()) * steps_ * BLOCKS)) {
        for (int panel = 0; panel < count(); ++panel)
            for (int block = 0; block < BLOCKS; ++block) {
                const int first = (panel * W + block / G) * LANES;
                const std::ptrdiff_t row =
                    std::ptrdiff_t(block % G) * outputs + std::min(first, outputs);
                pack_transposed<P>(words_.get() + at(panel) + block, BLOCKS, weights + row * inputs,
                                   inputs, outputs - first);
            }
    }

    int count() const { return (blocks_of(outputs_) + W - 1) / W; }

    // Add the products of all rows with `panels` panels from `first` on to
    // sums[panel][row][block of outputs][G].
    void multiply(int first, int panels, int rows, const Element* x, std::ptrdiff_t stride,
                  Vec* sums) const {
        const Words* panel = words_.get() + at(first);
        if (rows == 1 && panels == MOST_PANELS)
            return multiply_row<P, BLOCKS, MOST_PANELS>(x, panel, steps_, sums);
        const int tiles = tiles_of(rows, BLOCKS);
        for (int n = 0; n < panels; ++n, panel += at(1))
            for (int tile = 0; tile < tiles; ++tile) {
                const int begin = part(rows, tile, tiles), end = part(rows, tile + 1, tiles);
                multiply_rows<P, BLOCKS, Into::SUMS>(
                    end - begin, x + begin * stride, stride, panel, steps_,
                    sums + (std::ptrdiff_t(n) * rows + begin) * BLOCKS);
            }
    }

    // Call take(row, block of outputs, const Vec* sums) with the G products of each block.
    template <class Take>
    void for_all(int rows, const Element* x, std::ptrdiff_t stride, Vec* sums,
                 const Take& take) const {
        for_panels(count(), rows, [&](int first, int panels) {
            clear(sums, panels, rows);
            multiply(first, panels, rows, x, stride, sums);
            for_blocks(first, panels, rows, blocks_of(outputs_), [&](int row, int block, int at) {
                take(row, block, sums + at);
            });
        });
    }

    // Call work(first, panels) with as many panels at a time as `multiply` can take.
    template <class Work>
    static void for_panels(int count, int rows, const Work& work) {
        const int at_once = rows == 1 ? MOST_PANELS : 1;
        for (int first = 0; first < count; first += at_once)
            work(first, count - first < at_once ? count - first : at_once);
    }

    // Call take(row, block of outputs, index of its sums) for all that `multiply` computed.
    template <class Take>
    static void for_blocks(int first, int panels, int rows, int blocks, const Take& take) {
        for (int n = 0; n < panels; ++n)
            for (int row = 0; row < rows; ++row)
                for (int w = 0; w < W && (first + n) * W + w < blocks; ++w)
                    take(row, (first + n) * W + w, (n * rows + row) * BLOCKS + w * G);
    }

    static void clear(Vec* sums, int panels, int rows) {
        std::memset(sums, 0, sizeof(Vec) * panels * rows * BLOCKS);
    }

    static std::size_t sums_for(int rows) {
        return std::size_t(rows == 1 ? MOST_PANELS : rows) * BLOCKS;
    }

  private:
    std::ptrdiff_t at(int panel) const { return std::ptrdiff_t(panel) * steps_ * BLOCKS; }

    int outputs_;
    int steps_;
    Buffer<Words> words_;
};

}  // namespace
