// What a character cost: the logarithm of the sum of all exponentials, less its own logit; and the
// gradient of the mean of that.
//
//   nats = most + log(sum) - logit of the target        sum = sum of exp(logit - most)
//   d mean / d logit = share (exp(logit - most) / sum - [it is the target's])        share = 1 / N
//
// logits (N, V), targets (N), of which negative ones are none: such a row costs nothing, and the mean
// leaves it out. A row is one thread's.
#pragma once

#include <cmath>
#include <vector>

#include "team.h"

namespace {

// All lanes joined into one, halves with halves.
template <class Number, class Vector, class Join>
inline Number join_lanes(const Vector& vector, const Join& join) {
    Number lanes[LANES];
    std::memcpy(lanes, &vector, sizeof lanes);
    for (int half = LANES / 2; half; half /= 2)
        for (int lane = 0; lane < half; ++lane) lanes[lane] = join(lanes[lane], lanes[lane + half]);
    return lanes[0];
}

// Not that of numbers that are none: those come out in the sum.
template <class Element>
inline float largest_of(const Element* logits, int characters) {
    const auto larger = [](float a, float b) { return a > b ? a : b; };
    const int whole = characters / LANES * LANES, lanes = characters - whole;
    Vec high = splat(-INFINITY);
    for (int n = 0; n < whole; n += LANES) {
        const Vec values = load(logits + n, LANES);
        high = values > high ? values : high;
    }
    float most = join_lanes<float>(high, larger);
    const Vec rest = load(logits + whole, lanes);
    for (int lane = 0; lane < lanes; ++lane) most = larger(rest[lane], most);
    return most;
}

// The sum of exp(logit - most), each of which is handed to keep(n, Vec values, lanes).
template <class Element, class Keep>
inline double sum_exponentials(const Element* logits, int characters, float most, const Keep& keep) {
    typedef double Doubles __attribute__((vector_size(8 * LANES)));
    const int whole = characters / LANES * LANES, lanes = characters - whole;
    Doubles sums{};
    for (int n = 0; n < whole; n += LANES) {
        const Vec values = exponential(load(logits + n, LANES) - most);
        sums += __builtin_convertvector(values, Doubles);
        keep(n, values, LANES);
    }
    double sum = join_lanes<double>(sums, [](double a, double b) { return a + b; });
    const Vec values = exponential(load(logits + whole, lanes) - most);
    for (int lane = 0; lane < lanes; ++lane) sum += values[lane];
    keep(whole, values, lanes);
    return sum;
}

inline double nats_of(double sum, float most, float own) {
    return std::log(sum) - (double(own) - double(most));
}

// Gradients may be null.
template <class Element>
void cost(const Place& place, int count, int characters, float share, const Element* logits,
          const std::int32_t* targets, double* nats, Element* gradients) {
    std::vector<float> exponentials(characters + LANES);
    for (int row = place.begin(count); row < place.end(count); ++row) {
        const std::ptrdiff_t at = std::ptrdiff_t(row) * characters;
        const int target = targets[row];
        if (target < 0) {
            nats[row] = 0;
            if (gradients) std::memset(gradients + at, 0, sizeof(Element) * characters);
            continue;
        }
        const float most = largest_of(logits + at, characters);
        const double sum = sum_exponentials(logits + at, characters, most,
                                            [&](int n, Vec values, int) {
            store(exponentials.data() + n, values, LANES);
        });
        nats[row] = nats_of(sum, most, load(logits + at + target, 1)[0]);
        if (!gradients) continue;
        const float scale = static_cast<float>(share / sum);
        for_blocks(characters, [&](int n, int lanes) {
            store(gradients + at + n, load(exponentials.data() + n, LANES) * scale, lanes);
        });
        const float own = exponentials[target] * scale - share;
        store(gradients + at + target, splat(own), 1);
    }
}

}  // namespace
