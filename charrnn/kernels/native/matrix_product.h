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

// Numbers of a row of a matrix as the words of steps: one row in float32, a pair of rows in
// bfloat16; `second` is null beyond the last row.
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

    // Pack this thread's panels of a matrix (K, N), row-major, and call add(block, row, numbers)
    // with all that is packed.
    template <class Source, class Add>
    void pack_rows(const Place& place, const Source* matrix, std::ptrdiff_t stride, const Add& add) {
        for_own_panels(place, [&](Words* words, int first, int count) {
            for (int step = 0; step < steps_; ++step) {
                const int row = step * P::PER_STEP;
                const Source* from = matrix + row * stride;
                const Source* next = row + 1 < inner_ ? from + stride : nullptr;
                for (int block = first; block < first + count; ++block) {
                    const int column = block * LANES, lanes = lanes_of(block, columns_);
                    *words++ = words_of(P{}, from + column, next ? next + column : nullptr, lanes);
                    add(block, from + column, lanes);
                    if (P::PER_STEP > 1 && next) add(block, next + column, lanes);
                }
            }
        });
    }

    template <class Source>
    void pack_rows(const Place& place, const Source* matrix, std::ptrdiff_t stride) {
        pack_rows(place, matrix, stride, [](int, const Source*, int) {});
    }

    // Pack this thread's panels of the transpose of a matrix (N, K), row-major.
    void pack_columns(const Place& place, const float* matrix) {
        for_own_panels(place, [&](Words* words, int first, int count) {
            auto* to = reinterpret_cast<std::uint32_t*>(words);
            for (int column = 0; column < count * LANES; ++column) {
                const int n = first * LANES + column;
                const float* from = matrix + std::ptrdiff_t(n) * inner_;
                for (int step = 0; step < steps_; ++step) {
                    const int k = step * P::PER_STEP;
                    to[std::ptrdiff_t(step) * count * LANES + column] =
                        n < columns_ ? P::word(from[k], k + 1 < inner_ ? from[k + 1] : 0.0f) : 0;
                }
            }
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
            if (column_sums)
                panels.pack_rows(place, right + begin * stride, stride,
                                 [&](int block, const typename P::Element* row, int lanes) {
                    float* to = column_sums + block * LANES;
                    store(to, load(to, lanes) + load(row, lanes), lanes);
                });
            else
                panels.pack_rows(place, right + begin * stride, stride);
            int at = 0;
            for (const LeftRows<P>& one : left) {
                transpose(place, count, one.rows + begin * one.stride, one.stride, one.width,
                          left_.get() + std::ptrdiff_t(at) * stride_);
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
            const auto* from = reinterpret_cast<const float*>(sums_.get() + std::ptrdiff_t(at) * blocks);
            for (int n = place.begin(columns); n < place.end(columns); ++n)
                for (int row = 0; row < one.width; ++row)
                    one.sums[std::ptrdiff_t(n) * one.width + row] =
                        from[std::ptrdiff_t(row) * blocks * LANES + n];
            at += one.width;
        }
    }

  private:
    static constexpr int MOST_INNER = 1024;  // Rows that are transposed and packed at a time.

    // Numbers after each transposed row: rows a power of 2 apart would share one set of the cache.
    static constexpr int PADDING = 32;

    static int even_steps(int inner) { return steps_of<P>(inner) * P::PER_STEP; }

    // Write rows (count, width) to (width, stride_), with a 0 after an odd count.
    void transpose(const Place& place, int count, const typename P::Element* rows,
                   std::ptrdiff_t stride, int width, typename P::Element* to) const {
        constexpr int SIDE = 16;
        for (int tile = place.begin((count + SIDE - 1) / SIDE) * SIDE;
             tile < place.end((count + SIDE - 1) / SIDE) * SIDE; tile += SIDE) {
            const int end = std::min(tile + SIDE, count);
            for (int row = 0; row < width; ++row) {
                typename P::Element* line = to + std::ptrdiff_t(row) * stride_;
                for (int k = tile; k < end; ++k) line[k] = rows[k * stride + row];
                if (end == count && count < even_steps(count)) line[count] = 0;
            }
        }
    }

    int stride_;
    Buffer<Words> right_;
    Buffer<typename P::Element> left_;
    Buffer<Vec> sums_;
};

}  // namespace
