// Layer normalization of rows (N, H) followed by a dropout mask, forward and backward.
//
//   n = (x - mean) s        s = 1 / sqrt(variance + epsilon)        y = m (gain n + shift)
//
// Backward, with dy the gradient of y, d = m dy, e = gain d, and means over a row's units:
//
//   d gain = sum of d n      d shift = sum of d      dx = s (e - mean(e) - n mean(e n))
//
// Masks m are (B, H), reused every B rows, or null. Each row's mean and s are saved for the
// backward pass.
#pragma once

#include <cmath>

#include "thread_team.h"

namespace {

constexpr float EPSILON = 1e-5f;  // The default of torch.nn.LayerNorm.

struct Moments {
    float mean;
    float scale;  // The reciprocal of the standard deviation.
};

template <class Element>
inline Moments moments_of(const Element* row, int units) {
    Vec sum{};
    for_blocks(units, [&](int unit, int lanes) { sum += load(row + unit, lanes); });
    const float mean = add_lanes(sum) / units;
    Vec squares{};
    float rest = 0;
    for_blocks(units, [&](int unit, int lanes) {
        const Vec distance = load(row + unit, lanes) - mean;
        if (lanes == LANES)
            squares += distance * distance;
        else
            rest = add_lanes(distance * distance, lanes);
    });
    return {mean, 1.0f / std::sqrt((add_lanes(squares) + rest) / units + EPSILON)};
}

struct NormShape {
    int count;
    std::ptrdiff_t stride;  // From one row of x to the next.
    int batch;
    int units;
    int width;  // From one row of y to the next.
};

struct NormWeights {
    const float* gain;
    const float* shift;
    const float* masks;

    const float* mask_of(const NormShape& shape, int row) const {
        return masks ? masks + std::ptrdiff_t(row % shape.batch) * shape.units : nullptr;
    }
};

template <class Element>
void normalize(const Place& place, const NormShape& shape, const Element* x,
               const NormWeights& weights, Element* y, Moments* moments) {
    for (int row = place.begin(shape.count); row < place.end(shape.count); ++row) {
        const Element* from = x + row * shape.stride;
        const Moments own = moments[row] = moments_of(from, shape.units);
        const float* mask = weights.mask_of(shape, row);
        Element* to = y + std::ptrdiff_t(row) * shape.width;
        for_blocks(shape.units, [&](int unit, int lanes) {
            const Vec n = (load(from + unit, lanes) - own.mean) * own.scale;
            const Vec value = n * load(weights.gain + unit, lanes) + load(weights.shift + unit, lanes);
            store(to + unit, mask ? value * load(mask + unit, lanes) : value, lanes);
        });
    }
}

// Compute dx of the rows [begin, end), and their d gain and d shift in the two rows of `for_gain`.
template <class Element>
void normalize_rows_backward(int begin, int end, const NormShape& shape, const Element* x,
                             const NormWeights& weights, const Moments* moments, const Element* dy,
                             Element* dx, float* for_gain) {
    const std::ptrdiff_t units = shape.units;
    float* for_shift = for_gain + units;
    std::memset(for_gain, 0, 2 * sizeof(float) * units);
    for (int row = begin; row < end; ++row) {
        const Element *from = x + row * shape.stride, *after = dy + row * units;
        const Moments own = moments[row];
        const float* mask = weights.mask_of(shape, row);
        const auto n_of = [&](int unit, int lanes) {
            return (load(from + unit, lanes) - own.mean) * own.scale;
        };
        const auto d_of = [&](int unit, int lanes) {
            const Vec d = load(after + unit, lanes);
            return mask ? d * load(mask + unit, lanes) : d;
        };
        Vec e_sum{}, en_sum{};
        for_blocks(shape.units, [&](int unit, int lanes) {
            const Vec n = n_of(unit, lanes), d = d_of(unit, lanes);
            const Vec e = d * load(weights.gain + unit, lanes);  // 0 beyond the row's end, as d is.
            store(for_gain + unit, load(for_gain + unit, lanes) + d * n, lanes);
            store(for_shift + unit, load(for_shift + unit, lanes) + d, lanes);
            e_sum += e;
            en_sum += e * n;
        });
        const float e_mean = add_lanes(e_sum) / units, en_mean = add_lanes(en_sum) / units;
        Element* to = dx + row * units;
        for_blocks(shape.units, [&](int unit, int lanes) {
            const Vec e = d_of(unit, lanes) * load(weights.gain + unit, lanes);
            store(to + unit, (e - e_mean - n_of(unit, lanes) * en_mean) * own.scale, lanes);
        });
    }
}

// `dx` is (N, H). The rows are split into `parts` parts, so that the sums do not depend on how
// many threads could be started. `sums` has a row for d gain and one for d
// shift for each part; after the barrier each thread adds up some of the columns, in the order of
// the parts.
template <class Element>
void normalize_backward(const Place& place, const NormShape& shape, const Element* x,
                        const NormWeights& weights, const Moments* moments, const Element* dy,
                        Element* dx, int parts, float* sums, float* gain_gradient,
                        float* shift_gradient) {
    const std::ptrdiff_t units = shape.units;
    for (int n = place.thread; n < parts; n += place.threads)
        normalize_rows_backward(part(shape.count, n, parts), part(shape.count, n + 1, parts), shape, x,
                                weights, moments, dy, dx, sums + 2 * n * units);
    place.synchronize();
    for (int unit = place.begin(shape.units); unit < place.end(shape.units); ++unit) {
        gain_gradient[unit] = shift_gradient[unit] = 0;
        for (int n = 0; n < parts; ++n) {
            gain_gradient[unit] += sums[2 * n * units + unit];
            shift_gradient[unit] += sums[(2 * n + 1) * units + unit];
        }
    }
}

}  // namespace
