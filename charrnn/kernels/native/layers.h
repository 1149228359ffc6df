// One layer of a network: its cell for some lanes, its weights packed, its products.
#pragma once

#include <memory>
#include <type_traits>

#include "gru.h"
#include "lstm.h"
#include "panels.h"

namespace {

enum class Connect { STACK, RESIDUAL, SUM };

struct Weights {
    int characters, layers, units;
    Connect connect;
    const float *table, *below, *bias, *recurrent, *candidate, *gain, *shift, *head, *head_bias;
};

// Cells: G products for each unit, W blocks of units in a panel. apply(inputs, sums, h, c, d) gives
// the new h, and changes c, from the inputs' part, the recurrent products and a GRU's bias d.
template <Gates GATES>
struct LSTMStep {
    static constexpr int G = products_of(GATES), W = 1, PARTS = 2;

    static Vec apply(const Vec* inputs, const Vec* sums, Vec, Vec& c, Vec) {
        using Cell = LSTM<Float32, GATES>;
        Vec products[G];
        for (int n = 0; n < G; ++n) products[n] = inputs[n] + sums[n];
        const LSTMGates gates = Cell::open(products);
        c = gates.f * c + Cell::admitted(gates) * gates.g;
        return gates.o * hyperbolic_tangent(c);
    }
};

struct GRUAfterStep {
    static constexpr int G = 3, W = 1, PARTS = 1;

    static Vec apply(const Vec* inputs, const Vec* sums, Vec h, Vec&, Vec d) {
        const Vec r = sigmoid(inputs[0] + sums[0]);
        const Vec z = sigmoid(inputs[1] + sums[1]);
        const Vec n = hyperbolic_tangent(inputs[2] + r * (sums[2] + d));
        return n + z * (h - n);
    }
};

enum class Activation { TANH, RELU, SIGMOID };

template <Activation ACTIVATION>
struct RNNStep {
    static constexpr int G = 1, W = 4, PARTS = 1;

    static Vec apply(const Vec* inputs, const Vec* sums, Vec, Vec&, Vec) {
        const Vec a = inputs[0] + sums[0];
        if (ACTIVATION == Activation::TANH) return hyperbolic_tangent(a);
        if (ACTIVATION == Activation::SIGMOID) return sigmoid(a);
        return a < 0.0f ? Vec{} : a;  // Not a number stays so.
    }
};

// The reset before the product has a second stage: r and z first, then the candidate.
struct GRUBeforeStep {
    static constexpr int G = 2, W = 2, PARTS = 1;
};

// A layer's products in one stage: those with the layer below, and those with its own past.
template <class P, int G, int W>
struct Stage {
    using Matrix = Panels<P, G, W>;

    Stage(const float* below, const float* recurrent, int units)
        : recurrent(recurrent, units, units), units(units) {
        if (below) this->below = std::make_unique<Matrix>(below, units, units);
    }

    // Hand over take(row, block, Vec* inputs, const Vec* sums), G of each; bias(row) points to the
    // row's G * H biases.
    template <class Bias, class Take>
    void run(int rows, const typename P::Element* x, const typename P::Element* past, Vec* room,
             const Bias& bias, const Take& take) const {
        Vec* const sums = room + Matrix::sums_for(rows);
        Matrix::for_panels(recurrent.count(), rows, [&](int first, int panels) {
            // Rows of a table lie anywhere; they come while the products are made.
            for (int row = 0; row < rows; ++row)
                for (int n = 0; n < G; ++n)
                    __builtin_prefetch(bias(row) + n * units + first * W * LANES);
            if (below) below->multiply(first, panels, rows, x, even(units), room);
            recurrent.multiply(first, panels, rows, past, even(units), sums);
            Matrix::for_blocks(first, panels, rows, blocks_of(units), [&](int row, int block, int at) {
                const int lanes = lanes_of(block, units);
                Vec inputs[G];
                for (int n = 0; n < G; ++n) {
                    inputs[n] = load(bias(row) + n * units + block * LANES, lanes);
                    if (below) inputs[n] += room[at + n];
                }
                take(row, block, inputs, sums + at);
            });
        });
    }

    std::unique_ptr<Matrix> below;
    Matrix recurrent;
    int units;
};

template <class P, class Step>
struct Layer {
    static constexpr bool BEFORE = std::is_same_v<Step, GRUBeforeStep>;
    static constexpr int ROWS = BEFORE ? 3 : Step::G;  // Rows of weights for each unit.

    Layer(const Weights& all, int layer)
        : main(below_of(all, layer), recurrent_of(all, layer), all.units) {
        const std::ptrdiff_t gates = 2 * std::ptrdiff_t(all.units) * all.units;
        if (BEFORE)
            candidate = std::make_unique<Stage<P, 1, 4>>(
                layer ? below_of(all, layer) + gates : nullptr, recurrent_of(all, layer) + gates,
                all.units);
    }

    static std::ptrdiff_t size(const Weights& all) {
        return std::ptrdiff_t{ROWS} * all.units * all.units;
    }
    static const float* below_of(const Weights& all, int layer) {
        return layer ? all.below + (layer - 1) * size(all) : nullptr;
    }
    static const float* recurrent_of(const Weights& all, int layer) {
        return all.recurrent + layer * size(all);
    }

    Stage<P, Step::G, Step::W> main;
    std::unique_ptr<Stage<P, 1, 4>> candidate;  // Of a GRU with the reset before the product.
};

}  // namespace
