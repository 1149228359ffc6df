// Long short-term memory (LSTM) over a whole window, forward and backward.
//
//   i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o)     g = tanh(a_g)     a = inputs + W h
//   separate  i as above        coupled  i = 1 - f (no a_i)       capped  i = min(i, 1 - f)
//   c' = f c + i g              h' = o tanh(c')
//
// Backward, with dh the gradient of h' and dc the gradient of c':
//
//   da_o = dh tanh(c') o (1 - o)            dc += dh o (1 - tanh(c')^2)
//   da_g = dc i (1 - g^2)                   da_i = dc g i (1 - i)
//   da_f = dc c f (1 - f)                   dc <- dc f, and dh of the step before gets W^T da
//
// Where 1 - f replaces i, f gets the gradient -dc g instead.
#pragma once

#include "recurrence.h"

namespace {

enum class Gates { SEPARATE, COUPLED, CAPPED };

constexpr int products_of(Gates gates) { return gates == Gates::COUPLED ? 3 : 4; }

// One step's gates for LANES units, saved for the backward pass.
struct LSTMGates {
    Vec i, f, o, g;
};

template <class P, Gates GATES>
struct LSTM {
    using Element = typename P::Element;
    using Saved = typename P::Saved;
    static constexpr int G = products_of(GATES);
    static constexpr int FIRST = G - 3;  // The index of f among the products.

    static LSTMGates open(const Vec* sums) {
        LSTMGates gates;
        gates.f = sigmoid(sums[FIRST]);
        gates.o = sigmoid(sums[FIRST + 1]);
        gates.g = hyperbolic_tangent(sums[FIRST + 2]);
        gates.i = GATES == Gates::COUPLED ? 1.0f - gates.f : sigmoid(sums[0]);
        return gates;
    }

    // The input gate that multiplies the candidate.
    static Vec admitted(const LSTMGates& gates) {
        return GATES == Gates::CAPPED ? at_most(gates.i, 1.0f - gates.f) : gates.i;
    }

    // `saved` (T, B, 4 * H) is null if there will be no backward pass; `memory` is then (B, H) and
    // updated in place.
    static void forward(const Place& place, const Shape& shape, const Inputs<P>& inputs,
                        const GatePanels<P>& weights, Element* outputs, float* memory,
                        Saved* saved) {
        const int units = shape.units, width = even(units);
        for (int t = 0; t < shape.steps; ++t) {
            const Element* before = outputs + shape.row(t, 0) * width;
            const int blocks = blocks_of(units);
            for (int block = place.begin(blocks); block < place.end(blocks); ++block) {
                const int unit = block * LANES, lanes = lanes_of(block, units);
                const auto update_cell = [&](int row, const Vec* sums, Vec& c, Vec& o) {
                    const std::ptrdiff_t position = shape.row(t, row);
                    const Element* input = inputs.at(position) + unit;
                    Vec products[G];
                    for (int n = 0; n < G; ++n)
                        products[n] = sums[n] + load(input + std::ptrdiff_t(n) * units, lanes);
                    const LSTMGates gates = open(products);
                    float* own = memory + (saved ? position : shape.row(row)) * units + unit;
                    c = gates.f * load(own, lanes) + admitted(gates) * gates.g;
                    o = gates.o;
                    store(saved ? own + std::ptrdiff_t(shape.in_arrays) * units : own, c, lanes);
                    if (saved) save(saved + position * 4 * units + unit, units, gates, lanes);
                    prefetch(inputs.at(shape.row_after(t, row)) + unit, G, units);
                };
                // The outputs of a tile come after its cells, so that their hyperbolic tangents, each a
                // long chain of operations, overlap.
                for_tiles<P, G>(shape.rows, before, width, weights.panel(block), weights.steps(),
                                [&](int begin, int end, const Vec* sums) {
                    Vec c[MOST_ROWS], o[MOST_ROWS];
                    for (int row = begin; row < end; ++row)
                        update_cell(row, sums + (row - begin) * G, c[row - begin], o[row - begin]);
                    for (int row = begin; row < end; ++row)
                        store(outputs + (shape.row(t, row) + shape.in_arrays) * width + unit,
                              o[row - begin] * hyperbolic_tangent(c[row - begin]), lanes);
                });
            }
            place.synchronize();
        }
    }

    // Compute the `gradients` of the inputs from output_gradients (T, B, H). h_gradient and
    // c_gradient (B, H) hold the gradients of the last state on entry, of the initial state on
    // return.
    static void backward(const Place& place, const Shape& shape, const UnitPanels<P>& weights,
                         const float* memory, const Saved* saved, const Element* output_gradients,
                         Element* gradients, float* h_gradient, float* c_gradient) {
        const int units = shape.units, width = even(G * units);
        const auto step = [&](int t, int row, int block, Vec from_after) {
            const int unit = block * LANES, lanes = lanes_of(block, units);
            const std::ptrdiff_t position = shape.row(t, row);
            const std::ptrdiff_t next = shape.row_before(t, row);
            prefetch(saved + next * 4 * units + unit, 4, units);
            prefetch(memory + next * units + unit, 1, 0);
            prefetch(output_gradients + next * units + unit, 1, 0);
            prefetch(gradients + next * width + unit, G, units);
            const LSTMGates gates = recall(saved + position * 4 * units + unit, units, lanes);
            const float* c = memory + position * units + unit;
            const Vec before = load(c, lanes);
            const Vec squashed =
                hyperbolic_tangent(load(c + std::ptrdiff_t(shape.in_arrays) * units, lanes));
            const Vec dh = from_after + load(output_gradients + position * units + unit, lanes);
            float* carried = c_gradient + shape.row(row) * units + unit;
            const Vec dc = load(carried, lanes) + dh * gates.o * (1.0f - squashed * squashed);
            const Vec i = admitted(gates);
            const Vec di = dc * gates.g;
            Vec df = dc * before;
            Vec da_i = di * gates.i * (1.0f - gates.i);
            if (GATES == Gates::COUPLED) df -= di;
            if (GATES == Gates::CAPPED) {
                const Vec room = 1.0f - gates.f;
                // At i = 1 - f, the mean of the two one-sided derivatives.
                const Vec free = gates.i < room ? splat(1.0f) : gates.i > room ? Vec{} : splat(0.5f);
                df -= di * (1.0f - free);
                da_i *= free;
            }
            Element* to = gradients + position * width + unit;
            const auto put = [&](int n, Vec value) { store(to + std::ptrdiff_t(n) * units, value, lanes); };
            if (GATES != Gates::COUPLED) put(0, da_i);
            put(FIRST, df * gates.f * (1.0f - gates.f));
            put(FIRST + 1, dh * squashed * gates.o * (1.0f - gates.o));
            put(FIRST + 2, dc * i * (1.0f - gates.g * gates.g));
            store(carried, dc * gates.f, lanes);
        };
        const int blocks = blocks_of(units);
        for (int row = 0; row < shape.rows; ++row)
            for (int block = place.begin(blocks); block < place.end(blocks); ++block)
                step(shape.steps - 1, row, block,
                     load(h_gradient + shape.row(row) * units + block * LANES,
                          lanes_of(block, units)));
        place.synchronize();
        for (int t = shape.steps - 2; t >= 0; --t) {
            weights.multiply(place, shape.rows, gradients + shape.row(t + 1, 0) * width, width,
                             [&](int row, int block, Vec sum) { step(t, row, block, sum); });
            place.synchronize();
        }
        weights.multiply(place, shape.rows, gradients + shape.row(0, 0) * width, width,
                         [&](int row, int block, Vec sum) {
            store(h_gradient + shape.row(row) * units + block * LANES, sum,
                  lanes_of(block, units));
        });
    }

    static void save(Saved* to, int units, const LSTMGates& gates, int lanes) {
        store(to, gates.i, lanes);
        store(to + units, gates.f, lanes);
        store(to + 2 * std::ptrdiff_t(units), gates.o, lanes);
        store(to + 3 * std::ptrdiff_t(units), gates.g, lanes);
    }

    static LSTMGates recall(const Saved* from, int units, int lanes) {
        return {load(from, lanes), load(from + units, lanes),
                load(from + 2 * std::ptrdiff_t(units), lanes),
                load(from + 3 * std::ptrdiff_t(units), lanes)};
    }
};

}  // namespace
