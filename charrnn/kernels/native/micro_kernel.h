// Products of a few rows with a packed matrix, accumulated in registers.
//
// A matrix is packed into panels. A panel holds N blocks of LANES columns: N vectors of 32-bit
// words for each step. In float32 a step is one row of the matrix and a word is one number; in
// bfloat16 a step is two rows and a word is a pair of numbers, the operand of the processor's dot
// product. Sums are float32 and accumulate in the order of the steps, whatever the number of rows
// or threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

#include "simd.h"

namespace {

struct Float32 {
    using Element = float;
    using Saved = float;  // The type of a gate saved for the backward pass.
    static constexpr int PER_STEP = 1;

    static Vec add_product(Vec sum, Words rows, Words panel) {
        return sum + (Vec)rows * (Vec)panel;
    }
};

struct Bfloat16 {
    using Element = bfloat16;
    using Saved = Fixed16;
    static constexpr int PER_STEP = 2;

    static Vec add_product(Vec sum, Words rows, Words panel) {
#if defined(__AVX512BF16__)
        return (Vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)rows, (__m512bh)panel);
#else
        // The same result: the product of two bfloat16 numbers is exact in float32.
        const Words high = Words{} + 0xffff0000u;
        sum += (Vec)(rows & high) * (Vec)(panel & high);
        return sum + (Vec)(rows << 16) * (Vec)(panel << 16);
#endif
    }
};

// The number of steps that cover so many rows of the matrix.
template <class P>
inline int steps_of(int rows) {
    return (rows + P::PER_STEP - 1) / P::PER_STEP;
}

// Accumulators that fit the processor's registers beside one step of a panel.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int SUMS = 24;
#else
constexpr int SUMS = 12;
#endif
constexpr int MOST_ROWS = 8;
constexpr int most_rows(int blocks) {
    return SUMS / blocks < MOST_ROWS ? SUMS / blocks : MOST_ROWS;
}
constexpr int MOST_BLOCKS = 4;

struct Aligned {
    void operator()(void* memory) const { std::free(memory); }
};
template <class T>
using Buffer = std::unique_ptr<T[], Aligned>;

// Uninitialized memory for `count` values, aligned to a cache line or more.
template <class T>
Buffer<T> allocate(std::size_t count, std::size_t alignment = 64) {
    const std::size_t bytes = (count * sizeof(T) + alignment - 1) / alignment * alignment;
    void* memory = std::aligned_alloc(alignment, bytes ? bytes : alignment);
    if (!memory) throw std::bad_alloc();
    return Buffer<T>(static_cast<T*>(memory));
}

// The same, all of it 0.
template <class T>
Buffer<T> allocate_zeros(std::size_t count) {
    Buffer<T> memory = allocate<T>(count);
    std::memset(memory.get(), 0, count * sizeof(T));
    return memory;
}

enum class Into { NEW_SUMS, SUMS };  // Overwrite the result, or add to it.

// Multiply ROWS rows with a panel into result[row][block].
template <class P, int ROWS, int BLOCKS, Into INTO>
__attribute__((noinline)) void multiply(const typename P::Element* rows, std::ptrdiff_t stride,
                                        const Words* panel, int steps, Vec* result) {
    Vec sums[ROWS][BLOCKS];
    for (int row = 0; row < ROWS; ++row)
        for (int block = 0; block < BLOCKS; ++block)
            sums[row][block] = INTO == Into::SUMS ? result[row * BLOCKS + block] : Vec{};
    for (int step = 0; step < steps; ++step) {
        Words columns[BLOCKS];
        for (int block = 0; block < BLOCKS; ++block) columns[block] = panel[step * BLOCKS + block];
        for (int row = 0; row < ROWS; ++row) {
            std::uint32_t word;
            std::memcpy(&word, rows + row * stride + step * P::PER_STEP, sizeof word);
            const Words words = Words{} + word;
            for (int block = 0; block < BLOCKS; ++block)
                sums[row][block] = P::add_product(sums[row][block], words, columns[block]);
        }
    }
    for (int row = 0; row < ROWS; ++row)
        for (int block = 0; block < BLOCKS; ++block) result[row * BLOCKS + block] = sums[row][block];
}

template <class P, int BLOCKS, Into INTO, int ROWS = most_rows(BLOCKS)>
inline void multiply_rows(int count, const typename P::Element* rows, std::ptrdiff_t stride,
                          const Words* panel, int steps, Vec* result) {
    if constexpr (ROWS > 1)
        if (count < ROWS)
            return multiply_rows<P, BLOCKS, INTO, ROWS - 1>(count, rows, stride, panel, steps, result);
    multiply<P, ROWS, BLOCKS, INTO>(rows, stride, panel, steps, result);
}

// Call work(std::integral_constant<int, blocks>{}), with blocks from 1 to MOST_BLOCKS.
template <class Work>
inline void with_blocks(int blocks, const Work& work) {
    static_assert(MOST_BLOCKS == 4);
    if (blocks == 4) work(std::integral_constant<int, 4>{});
    if (blocks == 3) work(std::integral_constant<int, 3>{});
    if (blocks == 2) work(std::integral_constant<int, 2>{});
    if (blocks == 1) work(std::integral_constant<int, 1>{});
}

// The number of tiles of rows, so that each tile's sums fit the registers.
constexpr int tiles_of(int rows, int blocks) {
    return (rows + most_rows(blocks) - 1) / most_rows(blocks);
}

// Multiply all rows with a panel, one tile at a time, and call take(begin, end, const Vec* sums) with
// the BLOCKS vectors of each row of a tile.
template <class P, int BLOCKS, class Take>
inline void for_tiles(int count, const typename P::Element* rows, std::ptrdiff_t stride,
                      const Words* panel, int steps, const Take& take) {
    const int tiles = tiles_of(count, BLOCKS);
    for (int tile = 0; tile < tiles; ++tile) {
        Vec sums[most_rows(BLOCKS) * BLOCKS];
        const int begin = part(count, tile, tiles), end = part(count, tile + 1, tiles);
        multiply_rows<P, BLOCKS, Into::NEW_SUMS>(end - begin, rows + begin * stride, stride, panel,
                                                 steps, sums);
        take(begin, end, sums);
    }
}

// The same, and call take(row, const Vec* sums) for each row.
template <class P, int BLOCKS, class Take>
inline void for_products(int count, const typename P::Element* rows, std::ptrdiff_t stride,
                         const Words* panel, int steps, const Take& take) {
    for_tiles<P, BLOCKS>(count, rows, stride, panel, steps, [&](int begin, int end, const Vec* sums) {
        for (int row = begin; row < end; ++row) take(row, sums + (row - begin) * BLOCKS);
    });
}

// The words of one step for LANES columns: numbers of one row of the matrix, or pairs of numbers of
// two; `second` is null beyond the last row.
template <class Source>
inline Words words_of(Float32, const Source* first, const Source*, int lanes) {
    return (Words)load(first, lanes);
}
template <class Source>
inline Words words_of(Bfloat16, const Source* first, const Source* second, int lanes) {
    const auto halves = [lanes](const Source* from) {
        return from ? widen_each(round_to_bfloat16(load(from, lanes))) : Words{};
    };
    return halves(first) | halves(second) << 16;
}

// Pack a panel of `blocks` blocks of the rows of a matrix, which are `stride` apart and have `columns`
// columns left.
template <class P, class Source>
inline void pack_rows(Words* panel, int blocks, const Source* matrix, std::ptrdiff_t stride,
                      int rows, int columns) {
    for (int row = 0; row < rows; row += P::PER_STEP, matrix += P::PER_STEP * stride) {
        const Source* const next = row + 1 < rows ? matrix + stride : nullptr;
        for (int block = 0; block < blocks; ++block) {
            const int at = block * LANES;
            *panel++ = words_of(P{}, matrix + at, next ? next + at : nullptr, lanes_of(block, columns));
        }
    }
}

// The words of LANES steps for one column, whose numbers lie side by side; `left` are left of it.
inline Words words_along(Float32, const float* from, int left) {
    return (Words)load(from, std::min(left, LANES));
}
inline Words words_along(Bfloat16, const float* from, int left) {
    const Halves halves[] = {
        round_to_bfloat16(load(from, std::min(left, LANES))),
        round_to_bfloat16(load(from + LANES, std::clamp(left - LANES, 0, LANES)))};
    Words words;
    std::memcpy(&words, halves, sizeof words);
    return words;
}

// Pack a block of LANES columns of the transpose of a matrix whose rows have `inner` numbers; `rows`
// of them are left, perhaps none. Steps of the panel are `apart` vectors apart.
template <class P>
inline void pack_transposed(Words* panel, std::ptrdiff_t apart, const float* matrix, int inner,
                            int rows) {
    const int steps = steps_of<P>(inner);
    for (int step = 0; step < steps; step += LANES) {
        const int k = step * P::PER_STEP;
        Words words[LANES];
        for (int lane = 0; lane < LANES; ++lane)
            words[lane] =
                lane < rows ? words_along(P{}, matrix + std::ptrdiff_t(lane) * inner + k, inner - k)
                            : Words{};
        transpose(words);
        for (int n = 0; n < std::min(LANES, steps - step); ++n)
            panel[(step + n) * apart] = words[n];
    }
}

}  // namespace
