// What the recurrences share: how their arrays lie in memory, and how weights are packed for a step.
//
//   T steps, B rows side by side, H units, G products for each unit
//   inputs     (T, B, G * H), or a table (R, G * H) with the row to take for each (t, b)
//   outputs    (T + 1, B, H rounded up to even), the ones before the first step at index 0
//   memory     (T + 1, B, H), float32: c of an LSTM, h itself of a GRU
//   gradients  (T, B, G * H rounded up to even)
//   saved      (T, B, S * H), of type Saved: the S values of each unit that the way back needs
//
// A step of a recurrence is its product, its pointwise part and its stores in one pass. Threads share
// the rows, where each has room for all weights in a cache of its own, and then need not meet; else
// they share the blocks of units, and meet before the next step reads what all have written.
#pragma once

#include "micro_kernel.h"
#include "thread_team.h"

namespace {

// Rows that a product reads are a whole number of bfloat16 pairs.
inline int even(int count) { return count + count % 2; }

// The rows that are worked on: `rows` of them from the `first` on, of so many in the arrays.
struct Shape {
    Shape(int steps, int rows, int units) : steps(steps), rows(rows), units(units), in_arrays(rows) {}

    std::ptrdiff_t row(int step, int row) const {
        return std::ptrdiff_t(step) * in_arrays + first + row;
    }

    // In an array of one step.
    std::ptrdiff_t row(int row) const { return first + row; }

    // Of the step that the way back takes next; of the first step, which it takes last, itself.
    std::ptrdiff_t row_before(int step, int row) const { return this->row(step ? step - 1 : 0, row); }

    int steps;
    int rows;
    int units;
    int in_arrays;
    int first = 0;
};

// What one thread of `all` does of a window: its rows of all units, or its units of all rows.
struct Part {
    Part(const Place& all, const Shape& whole, std::size_t bytes_of_weights)
        : all(all), by_rows(bytes_of_weights <= OWN_CACHE && whole.rows >= LEAST_ROWS * all.threads),
          place(by_rows ? Place{0, 1, all.barrier} : all), shape(whole) {
        if (!by_rows) return;
        shape.first = all.begin(whole.rows);
        shape.rows = all.end(whole.rows) - shape.first;
    }

    static constexpr std::size_t OWN_CACHE = 512 << 10;  // Measured where a core has 1 MB.
    static constexpr int LEAST_ROWS = MOST_ROWS;

    const Place& all;
    bool by_rows;
    Place place;  // Among those that share the units.
    Shape shape;
};

// The inputs' part in the gates: of step t and row b at [t, b], or in a table's row that they name.
template <class P>
struct Inputs {
    const typename P::Element* values;
    const std::int32_t* chosen;  // Null if there is no table.
    int width;

    const typename P::Element* at(std::ptrdiff_t position) const {
        return values + (chosen ? chosen[position] : position) * std::ptrdiff_t{width};
    }
};

// Panels by blocks of units, for products with the state: panel u has, for each of the G products,
// the weights that lead to block u's units. Weights are (G * H, H), by rows.
template <class P>
class StatePanels {
  public:
    StatePanels(const float* weights, int units, int products)
        : weights_(weights), units_(units), products_(products), steps_(steps_of<P>(units)),
          words_(allocate<Words>(std::size_t(blocks_of(units)) * steps_ * products)) {}

    void fill(const Part& part) {
        const int blocks = blocks_of(units_);
        for (int block = part.all.begin(blocks); block < part.all.end(blocks); ++block)
            for (int product = 0; product < products_; ++product) fill(block, product);
        if (part.by_rows) part.all.meet();
    }

    std::size_t bytes() const { return sizeof(Words) * blocks_of(units_) * steps_ * products_; }

    const Words* panel(int block) const {
        return words_.get() + std::ptrdiff_t(block) * steps_ * products_;
    }
    int steps() const { return steps_; }

  private:
    void fill(int block, int product) {
        auto* words = reinterpret_cast<std::uint32_t*>(const_cast<Words*>(panel(block)));
        for (int lane = 0; lane < LANES; ++lane) {
            const int unit = block * LANES + lane;
            const float* row = weights_ + (std::ptrdiff_t(product) * units_ + unit) * units_;
            for (int step = 0; step < steps_; ++step) {
                const int k = step * P::PER_STEP;
                words[(step * products_ + product) * LANES + lane] =
                    unit < units_ ? P::word(row[k], k + 1 < units_ ? row[k + 1] : 0.0f) : 0;
            }
        }
    }

    const float* weights_;
    int units_;
    int products_;
    int steps_;
    Buffer<Words> words_;
};

// Panels by groups of up to MOST_BLOCKS blocks of units, for products that lead back from gradients
// (rows of the weights) to the state. Each thread has groups of its own.
template <class P>
class GradientPanels {
  public:
    // Weights are (K, H), by rows.
    GradientPanels(const float* weights, int inputs, int units)
        : weights_(weights), inputs_(inputs), units_(units), steps_(steps_of<P>(inputs)),
          words_(allocate<Words>(std::size_t(blocks_of(units)) * steps_)) {}

    // Multiply all rows of gradients and hand over take(row, block, sum) for this thread's blocks.
    template <class Take>
    void multiply(const Place& place, int count, const typename P::Element* rows,
                  std::ptrdiff_t stride, const Take& take) const {
        for_groups(place, [&](int first, int blocks) {
            const Words* panel = words_.get() + std::ptrdiff_t(first) * steps_;
            const auto products = [&](auto width) {
                for_products<P, width.value>(
                    count, rows, stride, panel, steps_, [&](int row, const Vec* sums) {
                        for (int n = 0; n < width.value; ++n) take(row, first + n, sums[n]);
                    });
            };
            if (blocks == 4) products(std::integral_constant<int, 4>{});
            if (blocks == 3) products(std::integral_constant<int, 3>{});
            if (blocks == 2) products(std::integral_constant<int, 2>{});
            if (blocks == 1) products(std::integral_constant<int, 1>{});
        });
    }

    void fill(const Part& part) {
        int group = 0;
        for_groups(part.place, [&](int first, int blocks) {
            if (part.by_rows && group++ % part.all.threads != part.all.thread) return;
            pack<P>(words_.get() + std::ptrdiff_t(first) * steps_, inputs_, blocks,
                    [&](int row, int column) {
                const int unit = first * LANES + column;
                return unit < units_ ? weights_[std::ptrdiff_t(row) * units_ + unit] : 0.0f;
            });
        });
        if (part.by_rows) part.all.meet();
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
    Buffer<Words> words_;
};

// Ask for `count` places of an array, so far from one another, before they are needed. On the way back
// each step reads and writes what lies apart from the step before in several arrays at once, which
// the processor does not foresee.
template <class Element>
inline void fetch(const Element* first, int count, std::ptrdiff_t apart) {
    for (int n = 0; n < count; ++n) __builtin_prefetch(first + n * apart);
}

// Set the column that rounds rows up to an even width to 0, in all rows of an array.
template <class Element>
inline void clear_padding(Element* rows, std::ptrdiff_t count, int width) {
    if (width % 2)
        for (std::ptrdiff_t row = 0; row < count; ++row) rows[row * even(width) + width] = 0;
}

}  // namespace
