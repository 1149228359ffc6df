// Cross entropy, and the gradient of its mean.
//
//   nats = max + log(sum) - logit of the target        sum = sum of exp(logit - max)
//   gradient = weight (exp(logit - max) / sum - [it is the target's])
//
// logits (N, V), targets (N). A negative target marks padding: the row has no loss and no gradient.
// Each row is computed by one thread.
#pragma once

#include <cmath>

#include "thread_team.h"

namespace {

// The maximum and the normalizer of one row's logits.
struct Softmax {
    float max;
    double sum;

    double nats_of(float logit) const { return std::log(sum) - (double(logit) - double(max)); }
};

// NaN never becomes the maximum; it appears in the normalizer.
template <class Element>
inline float max_of(const Element* logits, int characters) {
    const auto larger = [](float a, float b) { return a > b ? a : b; };
    const int whole = characters / LANES * LANES, lanes = characters - whole;
    Vec high = splat(-INFINITY);
    for (int n = 0; n < whole; n += LANES) {
        const Vec values = load(logits + n, LANES);
        high = values > high ? values : high;
    }
    float max = reduce_lanes<float>(high, larger);
    const Vec rest = load(logits + whole, lanes);
    for (int lane = 0; lane < lanes; ++lane) max = larger(rest[lane], max);
    return max;
}

// Calls keep(n, exp(logit - max) of the LANES characters from n on); lanes of the last vector
// beyond the row's end are to be ignored, and it may have no others.
template <class Element, class Keep>
inline Softmax softmax_of(const Element* logits, int characters, const Keep& keep) {
    typedef double Doubles __attribute__((vector_size(8 * LANES)));
    const float max = max_of(logits, characters);
    const int whole = characters / LANES * LANES, lanes = characters - whole;
    Doubles sums{};
    for (int n = 0; n < whole; n += LANES) {
        const Vec values = exponential(load(logits + n, LANES) - max);
        sums += __builtin_convertvector(values, Doubles);
        keep(n, values);
    }
    double sum = reduce_lanes<double>(sums, [](double a, double b) { return a + b; });
    const Vec rest = exponential(load(logits + whole, lanes) - max);
    for (int lane = 0; lane < lanes; ++lane) sum += rest[lane];
    keep(whole, rest);
    return {max, sum};
}

// The numbers that a thread keeps of a row, with room for a whole last vector.
inline std::size_t exponentials_of(int characters) { return std::size_t(characters) + LANES; }

// Gradients may be null, or the logits themselves. `room` is for exponentials_of(characters)
// numbers of each thread.
template <class Element>
void cross_entropy(const Place& place, int count, int characters, float weight,
                   const Element* logits, const std::int32_t* targets, double* nats,
                   Element* gradients, float* room) {
    float* const exponentials = room + place.thread * exponentials_of(characters);
    for (int row = place.begin(count); row < place.end(count); ++row) {
        const std::ptrdiff_t at = std::ptrdiff_t(row) * characters;
        const int target = targets[row];
        if (target < 0) {
            nats[row] = 0;
            if (gradients) std::memset(gradients + at, 0, sizeof(Element) * characters);
            continue;
        }
        const Softmax softmax = softmax_of(logits + at, characters, [&](int n, Vec values) {
            store(exponentials + n, values, LANES);
        });
        nats[row] = softmax.nats_of(load(logits + at + target, 1)[0]);
        if (!gradients) continue;
        const float scale = static_cast<float>(weight / softmax.sum);
        for_blocks(characters, [&](int n, int lanes) {
            store(gradients + at + n, load(exponentials + n, LANES) * scale, lanes);
        });
        store(gradients + at + target, splat(exponentials[target] * scale - weight), 1);
    }
}

}  // namespace
