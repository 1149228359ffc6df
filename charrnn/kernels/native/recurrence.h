// Shared by the recurrences: the layout of their arrays, the split among threads, the packed
// weights.
//
//   T steps, B rows, H units, G products for each unit
//   inputs     (T, B, G * H) or a table (R, G * H) with an index of its rows for each (t, b), rows
//              `width` apart
//   outputs    (T + 1, B, H rounded up to even); index 0 is the initial state
//   memory     (T + 1, B, H), float32: c of an LSTM, h itself of a GRU
//   gradients  (T, B, G * H rounded up to even)
//   saved      (T, B, S * H), of type Saved: S values of each unit for the backward pass
//
// A step fuses its product, its pointwise part and its stores. If all weights fit the cache of one
// core and the rows are enough for all, threads share the rows and never wait for one another;
// otherwise they split the blocks of units and synchronize before the next step reads all outputs.
#pragma once

#include "micro_kernel.h"
#include "thread_team.h"

namespace {

enum class Connect { STACK, RESIDUAL, SUM };  // How layers are joined.

// Round up to even: rows that a product reads are whole pairs of bfloat16 numbers.
inline int even(int count) { return count + count % 2; }

// The part of the arrays to compute: `rows` rows from `first` on, of `in_arrays` rows.
struct Shape {
    Shape(int steps, int rows, int units) : steps(steps), rows(rows), units(units), in_arrays(rows) {}

    std::ptrdiff_t row(int step, int row) const {
        return std::ptrdiff_t(step) * in_arrays + first + row;
    }

    // The same in an array without a time axis.
    std::ptrdiff_t row(int row) const { return first + row; }

    // The row of the previous step, which the backward pass takes next; the first step has itself.
    std::ptrdiff_t row_before(int step, int row) const { return this->row(step ? step - 1 : 0, row); }

    // The row of the next step; the last step has itself.
    std::ptrdiff_t row_after(int step, int row) const {
        return this->row(step + 1 < steps ? step + 1 : step, row);
    }

    int steps;
    int rows;
    int units;
    int in_arrays;
    int first = 0;
};

// The split of a window among threads: some rows of all units, or some units of all rows.
struct Part {
    Part(const Place& all, const Shape& whole, std::size_t bytes_of_weights)
        : all(all), by_rows(bytes_of_weights <= OWN_CACHE && whole.rows >= LEAST_ROWS * all.threads),
          place(by_rows ? Place{0, 1, all.barrier} : all), whole(whole) {}

    // Call work(place, shape) for this thread's units, or for one piece of the rows after another.
    // Before pieces are shared, all threads have synchronized.
    template <class Work>
    void run(const Work& work) const {
        if (!by_rows) return work(place, whole);
        const int pieces = (whole.rows + PIECE_ROWS - 1) / PIECE_ROWS;
        all.share(pieces, [&](int n) {
            Shape piece = whole;
            piece.first = n * PIECE_ROWS;
            piece.rows = std::min(PIECE_ROWS, whole.rows - piece.first);
            work(place, piece);
        });
    }

    static constexpr std::size_t OWN_CACHE = 512 << 10;  // Measured on cores with 1 MB each.
    static constexpr int LEAST_ROWS = MOST_ROWS;
    static constexpr int PIECE_ROWS = 12;  // A multiple of the rows of most micro-kernels.

    const Place& all;
    bool by_rows;
    Place place;  // The place among the threads that split the units.
    Shape whole;
};

// The inputs' contribution to the gates: at [t, b], or the table's row that indices[t, b] names.
template <class P>
struct Inputs {
    const typename P::Element* values;
    const std::int32_t* indices;  // Null if there is no table.
    int width;

    const typename P::Element* at(std::ptrdiff_t position) const {
        return values + (indices ? indices[position] : position) * std::ptrdiff_t{width};
    }
};

// Weights (G * H, H) packed for products with the state: panel u holds, for each of the G products,
// the weights of block u's units.
template <class P>
class GatePanels {
  public:
    GatePanels(const float* weights, int units, int products)
        : weights_(weights), units_(units), products_(products), steps_(steps_of<P>(units)),
          words_(allocate<Words>(std::size_t(blocks_of(units)) * steps_ * products)) {}

    void fill(const Part& part) {
        const int blocks = blocks_of(units_);
        for (int block = part.all.begin(blocks); block < part.all.end(blocks); ++block)
            for (int product = 0; product < products_; ++product) fill(block, product);
        if (part.by_rows) part.all.synchronize();
    }

    std::size_t bytes() const { return sizeof(Words) * blocks_of(units_) * steps_ * products_; }

    const Words* panel(int block) const {
        return words_.get() + std::ptrdiff_t(block) * steps_ * products_;
    }
    int steps() const { return steps_; }

  private:
    void fill(int block, int product) {
        const std::ptrdiff_t row = std::ptrdiff_t(product) * units_ + block * LANES;
        pack_transposed<P>(const_cast<Words*>(panel(block)) + product, products_,
                           weights_ + row * units_, units_, units_ - block * LANES);
    }

    const float* weights_;
    int units_;
    int products_;
    int steps_;
    Buffer<Words> words_;
};

// Weights packed for products with one result for each unit, as those of gradients with them, which
// give the state's gradient: a panel holds a group of up to MOST_BLOCKS blocks of units. Each thread
// packs and reads its own groups or, where rows are shared, packs some and reads all.
template <class P>
class UnitPanels {
  public:
    // Weights are (K, H) in row-major order, or (H, K) if they are to be transposed.
    UnitPanels(const float* weights, int inputs, int units, bool transposed = false)
        : weights_(weights), inputs_(inputs), units_(units), steps_(steps_of<P>(inputs)),
          transposed_(transposed),
          words_(allocate<Words>(std::size_t(blocks_of(units)) * steps_)) {}

    // Multiply all rows of gradients and call take(row, block, sum) for this thread's blocks.
    template <class Take>
    void multiply(const Place& place, int count, const typename P::Element* rows,
                  std::ptrdiff_t stride, const Take& take) const {
        for_groups(place, [&](int first, int blocks) {
            const Words* panel = words_.get() + std::ptrdiff_t(first) * steps_;
            with_blocks(blocks, [&](auto width) {
                for_products<P, width.value>(
                    count, rows, stride, panel, steps_, [&](int row, const Vec* sums) {
                        for (int n = 0; n < width.value; ++n) take(row, first + n, sums[n]);
                    });
            });
        });
    }

    void fill(const Part& part) {
        int group = 0;
        for_groups(part.place, [&](int first, int blocks) {
            if (part.by_rows && group++ % part.all.threads != part.all.thread) return;
            Words* const panel = words_.get() + std::ptrdiff_t(first) * steps_;
            const int unit = first * LANES;
            if (!transposed_)
                return pack_rows<P>(panel, blocks, weights_ + unit, units_, inputs_, units_ - unit);
            for (int block = 0; block < blocks; ++block)
                pack_transposed<P>(
                    panel + block, blocks,
                    weights_ + (std::ptrdiff_t(unit) + block * LANES) * inputs_, inputs_,
                    units_ - unit - block * LANES);
        });
        if (part.by_rows) part.all.synchronize();
    }

    std::size_t bytes() const { return sizeof(Words) * blocks_of(units_) * steps_; }

  private:
    template <class Work>
    void for_groups(const Place& place, const Work& work) const {
        const int end = place.end(blocks_of(units_));
        for (int first = place.begin(blocks_of(units_)); first < end; first += MOST_BLOCKS)
            work(first, end - first < MOST_BLOCKS ? end - first : MOST_BLOCKS);
    }

    const float* weights_;
    int inputs_;
    int units_;
    int steps_;
    bool transposed_;
    Buffer<Words> words_;
};

// Prefetch `count` places of an array, `apart` elements from one another. A step reads several arrays
// at once with strides that the hardware prefetcher does not follow.
template <class Element>
inline void prefetch(const Element* first, int count, std::ptrdiff_t apart) {
    for (int n = 0; n < count; ++n) __builtin_prefetch(first + n * apart);
}

// Zero the column that pads an odd width to even, in all rows of an array.
template <class Element>
inline void clear_padding(Element* rows, std::ptrdiff_t count, int width) {
    if (width % 2)
        for (std::ptrdiff_t row = 0; row < count; ++row) rows[row * even(width) + width] = 0;
}

}  // namespace
