// Products of large matrices: rows (M, K) with a right-hand matrix (K, N) that is packed first.
//
// The columns are packed into panels of up to MOST_BLOCKS blocks. Rows are taken some at a time, so
// that they stay in the second-level cache while all panels pass, and K in stretches, so that a
// stretch of a panel stays in the first-level cache. Sums accumulate in the order of K, whatever
// the number of threads and the split.
#pragma once

#include <initializer_list>

#include "micro_kernel.h"
#include "thread_team.h"

namespace {

// The words that the packed form of a matrix (K, N) takes.
template <class P>
inline std::size_t packed_size(int inner, int columns) {
    return std::size_t(blocks_of(columns)) * steps_of<P>(inner);
}

// The right-hand matrix (K, N) of a product, packed into `room`, which all threads share.
template <class P>
class RightMatrix {
  public:
    RightMatrix(Words* room, int inner, int columns)
        : words_(room), inner_(inner), columns_(columns), steps_(steps_of<P>(inner)) {}

    int panels() const { return (blocks() + MOST_BLOCKS - 1) / MOST_BLOCKS; }
    int blocks() const { return blocks_of(columns_); }
    int steps() const { return steps_; }
    int first_block(int panel) const { return part(blocks(), panel, panels()); }
    const Words* panel(int panel) const {
        return words_ + std::ptrdiff_t(first_block(panel)) * steps_;
    }

    // Pack this thread's panels of a matrix (K, N), row-major, and add the rows up to `sums` (N)
    // unless it is null. Rows are taken some at a time, so that each comes from memory once.
    template <class Source>
    void pack_rows(const Place& place, const Source* matrix, std::ptrdiff_t stride,
                   float* sums = nullptr) {
        for (int row = 0; row < inner_; row += ROWS) {
            const int rows = std::min(ROWS, inner_ - row);
            for_own_panels(place, [&](Words* words, int first, int count) {
                const Source* const from = matrix + row * stride;
                ::pack_rows<P>(words + std::ptrdiff_t(row) / P::PER_STEP * count, count,
                               from + first * LANES, stride, rows, columns_ - first * LANES);
                for (int block = first; sums && block < first + count; ++block) {
                    const int column = block * LANES, lanes = lanes_of(block, columns_);
                    Vec sum = load(sums + column, lanes);
                    for (int n = 0; n < rows; ++n) sum += load(from + n * stride + column, lanes);
                    store(sums + column, sum, lanes);
                }
            });
        }
    }

    // Pack this thread's panels of the transpose of a matrix (N, K), row-major.
    void pack_columns(const Place& place, const float* matrix) {
        for_own_panels(place, [&](Words* words, int first, int count) {
            for (int n = 0; n < count; ++n)
                pack_transposed<P>(words + n, count,
                                   matrix + std::ptrdiff_t(first + n) * LANES * inner_, inner_,
                                   columns_ - (first + n) * LANES);
        });
    }

    // Zero the numbers (N) of the columns of this thread's panels.
    void clear_own_columns(const Place& place, float* numbers) {
        for_own_panels(place, [&](Words*, int first, int count) {
            const int end = std::min((first + count) * LANES, columns_);
            std::fill(numbers + first * LANES, numbers + end, 0.0f);
        });
    }

  private:
    static constexpr int ROWS = 16;  // That are packed at a time.
    static_assert(ROWS % P::PER_STEP == 0);

    template <class Work>
    void for_own_panels(const Place& place, const Work& work) {
        for (int n = place.begin(panels()); n < place.end(panels()); ++n)
            work(const_cast<Words*>(panel(n)), first_block(n), first_block(n + 1) - first_block(n));
    }

    Words* words_;
    int inner_;
    int columns_;
    int steps_;
};

constexpr int MOST_STEPS = 512;  // Of a panel at a time, and of a row.
constexpr int ROWS_AT_ONCE = 48;  // A multiple of the rows of every micro-kernel.

// Multiply `count` rows, `stride` apart, with a packed matrix, and call take(row, block, sum) for
// all results that fall to this thread. Threads share pieces of the rows, and each piece's panels
// where there are few; all have synchronized before.
template <class P, class Take>
void multiply_matrix(const Place& place, int count, const typename P::Element* rows,
                     std::ptrdiff_t stride, const RightMatrix<P>& right, const Take& take) {
    const int pieces = (count + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
    const int shares = pieces < 4 * place.threads ? right.panels() : 1;
    place.share(pieces * shares, [&](int item) {
        const int begin = item / shares * ROWS_AT_ONCE, share = item % shares;
        const int own = std::min(ROWS_AT_ONCE, count - begin);
        const typename P::Element* from = rows + begin * stride;
        const int last = part(right.panels(), share + 1, shares);
        for (int n = part(right.panels(), share, shares); n < last; ++n) {
            const int first = right.first_block(n);
            with_blocks(right.first_block(n + 1) - first, [&](auto width) {
                constexpr int BLOCKS = width.value, HIGH = most_rows(BLOCKS);
                Vec sums[ROWS_AT_ONCE * BLOCKS];
                std::memset(sums, 0, sizeof(Vec) * own * BLOCKS);
                for (int step = 0; step < right.steps(); step += MOST_STEPS) {
                    const int steps = std::min(MOST_STEPS, right.steps() - step);
                    for (int row = 0; row < own; row += HIGH)
                        multiply_rows<P, BLOCKS, Into::SUMS>(
                            std::min(HIGH, own - row), from + row * stride + step * P::PER_STEP,
                            stride, right.panel(n) + step * BLOCKS, steps, sums + row * BLOCKS);
                }
                for (int row = 0; row < own; ++row)
                    for (int block = 0; block < BLOCKS; ++block)
                        take(begin + row, first + block, sums[row * BLOCKS + block]);
            });
        }
    });
}

// Rows whose outer products with other rows are summed: (K, width), `stride` apart.
template <class P>
struct LeftRows {
    const typename P::Element* rows;
    std::ptrdiff_t stride;
    int width;
    float* sums;  // (N, width)
};

// Room for sums of outer products.
template <class P>
class OuterProducts {
  public:
    OuterProducts(int most_inner, int most_left, int most_right)
        : stride_(std::min(even_steps(most_inner), MOST_INNER) + PADDING),
          right_(allocate<Words>(
              packed_size<P>(std::min(most_inner, MOST_INNER), most_right))),
          left_(allocate<typename P::Element>(std::size_t(most_left) * stride_)),
          sums_(allocate<Vec>(std::size_t(most_left) * blocks_of(most_right))) {}

    // Sum over all k the outer products of row k (N) of `right` with row k of each of `left`, and
    // the rows of `right` themselves into `column_sums` (N) unless it is null. All threads call it;
    // the results are there once they have synchronized.
    void add_up(const Place& place, int inner, std::initializer_list<LeftRows<P>> left,
                const typename P::Element* right, std::ptrdiff_t stride, int columns,
                float* column_sums) {
        int width = 0;
        for (const LeftRows<P>& one : left) width += one.width;
        const int blocks = blocks_of(columns);
        for (int begin = 0; begin < inner; begin += MOST_INNER) {
            const int count = std::min(MOST_INNER, inner - begin);
            RightMatrix<P> panels(right_.get(), count, columns);
            place.synchronize();
            if (column_sums && begin == 0) panels.clear_own_columns(place, column_sums);
            panels.pack_rows(place, right + begin * stride, stride, column_sums);
            int at = 0;
            for (const LeftRows<P>& one : left) {
                const typename P::Element* const rows = one.rows + begin * one.stride;
                typename P::Element* const to = left_.get() + std::ptrdiff_t(at) * stride_;
                transpose(
                    place, count, one.width,
                    [&](int row, int block) {
                        return load(rows + row * one.stride + block * LANES,
                                    lanes_of(block, one.width));
                    },
                    [&](int column, int row, Vec values) {
                        store(to + std::ptrdiff_t(column) * stride_ + row, values, LANES);
                    });
                at += one.width;
            }
            place.synchronize();
            multiply_matrix<P>(place, width, left_.get(), stride_, panels,
                               [&](int row, int block, Vec sum) {
                Vec& to = sums_[std::ptrdiff_t(row) * blocks + block];
                to = begin ? to + sum : sum;
            });
        }
        place.synchronize();
        int at = 0;
        for (const LeftRows<P>& one : left) {
            transpose(
                place, one.width, columns,
                [&](int row, int block) { return sums_[std::ptrdiff_t(at + row) * blocks + block]; },
                [&](int column, int row, Vec values) {
                    store(one.sums + std::ptrdiff_t(column) * one.width + row, values,
                          std::min(LANES, one.width - row));
                });
            at += one.width;
        }
    }

  private:
    static constexpr int MOST_INNER = 1024;  // Rows that are transposed and packed at a time.

    // Numbers after each transposed row, which is written by whole vectors: rows a power of 2 apart
    // would share one set of the cache.
    static constexpr int PADDING = 32;
    static_assert(PADDING >= LANES);

    static int even_steps(int inner) { return steps_of<P>(inner) * P::PER_STEP; }

    // Transpose a matrix: read row(row, block of columns), and call take(column, row, LANES numbers of
    // the rows from `row` on), 0 beyond the last one. Threads share it by squares.
    template <class Row, class Take>
    static void transpose(const Place& place, int rows, int columns, const Row& row, const Take& take) {
        constexpr int SIDE = 16;  // Of squares: a cache line of float32 numbers.
        static_assert(SIDE % LANES == 0);
        const int squares = (columns + SIDE - 1) / SIDE, all = (rows + SIDE - 1) / SIDE * squares;
        for (int square = place.begin(all); square < place.end(all); ++square) {
            const int top = square / squares * SIDE, left = square % squares * SIDE;
            for (int first = top; first < std::min(top + SIDE, rows); first += LANES)
                for (int column = left; column < std::min(left + SIDE, columns); column += LANES) {
                    Words words[LANES];
                    for (int n = 0; n < LANES; ++n)
                        words[n] = first + n < rows ? (Words)row(first + n, column / LANES) : Words{};
                    ::transpose(words);
                    for (int n = 0; n < std::min(LANES, columns - column); ++n)
                        take(column + n, first, (Vec)words[n]);
                }
        }
    }

    int stride_;
    Buffer<Words> right_;
    Buffer<typename P::Element> left_;
    Buffer<Vec> sums_;
};

}  // namespace
