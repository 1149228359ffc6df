// The norm of all gradients, and a step of Adam or AdamW with the average of the weights, each in
// one pass over all parameters.
//
//   g' = clip(s g), and + decay w for Adam       m = b1 m + (1 - b1) g'      v = b2 v + (1 - b2) g'^2
//   w <- (1 - rate decay) w for AdamW            w <- w - rate m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)
//   average <- average + share (w - average)
//
// Kingma & Ba 2015, "Adam: a method for stochastic optimization"; Loshchilov & Hutter 2019,
// "Decoupled weight decay regularization".
#pragma once

#include <cmath>
#include <vector>

#include "thread_team.h"

namespace {

constexpr int CHUNK = 4096;  // Numbers of a parameter that one thread works on at a time.

// Call work(parameter, first, count, chunk) for this thread's chunks of all parameters.
template <class Work>
void for_own_chunks(const Place& place, const std::vector<std::int64_t>& sizes, const Work& work) {
    int chunks = 0;
    for (const std::int64_t size : sizes) chunks += static_cast<int>((size + CHUNK - 1) / CHUNK);
    const int begin = place.begin(chunks), end = place.end(chunks);
    int chunk = 0;
    for (std::size_t parameter = 0; parameter < sizes.size(); ++parameter)
        for (std::int64_t first = 0; first < sizes[parameter]; first += CHUNK, ++chunk)
            if (chunk >= begin && chunk < end)
                work(parameter, first, static_cast<int>(std::min<std::int64_t>(CHUNK, sizes[parameter] - first)),
                     chunk);
}

inline Vec square_root(Vec x) {
    for (int lane = 0; lane < LANES; ++lane) x[lane] = std::sqrt(x[lane]);
    return x;
}

// Sums of squares of chunks, to be added up in their order.
inline double sum_squares(const float* numbers, int count) {
    Vec sum{};
    for_blocks(count, [&](int n, int lanes) {
        const Vec value = load(numbers + n, lanes);
        sum += value * value;
    });
    double total = 0;
    for (int lane = 0; lane < LANES; ++lane) total += sum[lane];
    return total;
}

struct Adam {
    float rate, beta1, beta2, epsilon;
    float scale;  // Of the gradient.
    float bound;  // Of each of its numbers; 0 for none.
    float share;  // By which the average moves.
    bool decoupled;  // The decay is that of AdamW.
};

struct AdamParameter {
    float* weights;
    const float* gradients;
    float* means;
    float* squares;
    float* average;
    float decay;
    double step;  // From 1.
};

inline void step_adam(const Adam& adam, const AdamParameter& own, std::int64_t first, int count) {
    const float toward1 = 1.0f - adam.beta1, toward2 = 1.0f - adam.beta2;
    const float rate = static_cast<float>(adam.rate / (1.0 - std::pow(double(adam.beta1), own.step)));
    const float root = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(double(adam.beta2), own.step)));
    const float kept = adam.decoupled ? 1.0f - adam.rate * own.decay : 1.0f;
    const float added = adam.decoupled ? 0.0f : own.decay;
    for_blocks(count, [&](int n, int lanes) {
        const std::int64_t at = first + n;
        Vec w = load(own.weights + at, lanes), g = load(own.gradients + at, lanes) * adam.scale;
        if (adam.bound > 0) g = at_least(at_most(g, splat(adam.bound)), splat(-adam.bound));
        g += w * added;
        Vec m = load(own.means + at, lanes), v = load(own.squares + at, lanes);
        m += (g - m) * toward1;
        v = v * adam.beta2 + g * g * toward2;
        w = w * kept - m * rate / (square_root(v) * root + adam.epsilon);
        const Vec average = load(own.average + at, lanes);
        store(own.weights + at, w, lanes);
        store(own.means + at, m, lanes);
        store(own.squares + at, v, lanes);
        store(own.average + at, average + (w - average) * adam.share, lanes);
    });
}

}  // namespace
