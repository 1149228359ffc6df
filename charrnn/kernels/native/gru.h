// Gated recurrent unit (GRU) over a whole window, forward and backward, with the reset gate applied
// after or before the recurrent product.
//
//   r, z = sigmoid(a_r), sigmoid(a_z)                      a = inputs + W h
//   after   n = tanh(inputs_n + r q),  q = W_n h + d
//   before  n = tanh(inputs_n + W_n (r h))
//   h' = n + z (h - n)
//
// Backward, with dh the gradient of h':
//
//   da_n = dh (1 - z) (1 - n^2)        da_z = dh (h - n) z (1 - z)       h gets dh z
//   after   da_r = da_n q r (1 - r)    da_n r is the gradient of q; h gets W^T (da_r, da_z, da_n r)
//   before  v = W_n^T da_n             da_r = v h r (1 - r); h gets v r + W^T (da_r, da_z)
#pragma once

#include "recurrence.h"

namespace {

// One step's values of the form "after", for LANES units, saved for the backward pass.
struct GRUGates {
    Vec r, z, n, q;
};

// q is unbounded and does not fit Fixed16: it is saved in the element type of the products.
template <class P>
typename P::Element* products_in(typename P::Saved* saved) {
    static_assert(sizeof(typename P::Element) == sizeof(typename P::Saved));
    return reinterpret_cast<typename P::Element*>(saved);
}

template <class P>
void save(typename P::Saved* to, int units, const GRUGates& gates, int lanes) {
    store(to, gates.r, lanes);
    store(to + units, gates.z, lanes);
    store(to + 2 * std::ptrdiff_t(units), gates.n, lanes);
    store(products_in<P>(to) + 3 * std::ptrdiff_t(units), gates.q, lanes);
}

template <class P>
GRUGates recall(const typename P::Saved* from, int units, int lanes) {
    const auto* products = products_in<P>(const_cast<typename P::Saved*>(from));
    return {load(from, lanes), load(from + units, lanes),
            load(from + 2 * std::ptrdiff_t(units), lanes),
            load(products + 3 * std::ptrdiff_t(units), lanes)};
}

// The reset gate applied after the product.
template <class P>
struct GRUAfter {
    using Element = typename P::Element;
    using Saved = typename P::Saved;

    static void forward(const Place& place, const Shape& shape, const Inputs<P>& inputs,
                        const GatePanels<P>& weights, const float* candidate_bias, Element* outputs,
                        float* memory, Saved* saved) {
        const int units = shape.units, width = even(units), blocks = blocks_of(units);
        for (int t = 0; t < shape.steps; ++t) {
            const Element* before = outputs + shape.row(t, 0) * width;
            for (int block = place.begin(blocks); block < place.end(blocks); ++block) {
                const int unit = block * LANES, lanes = lanes_of(block, units);
                const Vec bias = load(candidate_bias + unit, lanes);
                for_products<P, 3>(shape.rows, before, width, weights.panel(block), weights.steps(),
                                   [&](int row, const Vec* sums) {
                    const std::ptrdiff_t position = shape.row(t, row);
                    const Element* input = inputs.at(position) + unit;
                    GRUGates gates;
                    gates.r = sigmoid(sums[0] + load(input, lanes));
                    gates.z = sigmoid(sums[1] + load(input + units, lanes));
                    gates.q = sums[2] + bias;
                    gates.n = hyperbolic_tangent(
                        load(input + 2 * std::ptrdiff_t(units), lanes) + gates.r * gates.q);
                    float* h = memory + (saved ? position : shape.row(row)) * units + unit;
                    const Vec now = gates.n + gates.z * (load(h, lanes) - gates.n);
                    store(saved ? h + std::ptrdiff_t(shape.in_arrays) * units : h, now, lanes);
                    store(outputs + (position + shape.in_arrays) * width + unit, now, lanes);
                    if (saved) save<P>(saved + position * 4 * units + unit, units, gates, lanes);
                });
            }
            place.synchronize();
        }
    }

    // Write the gradients of the inputs (da_r, da_z, da_n) and of the products (da_r, da_z, da_n
    // r). h_gradient (B, H) holds the gradient of the last state on entry, of the initial state on
    // return.
    static void backward(const Place& place, const Shape& shape, const UnitPanels<P>& weights,
                         const float* memory, const Saved* saved, const Element* output_gradients,
                         Element* gradients, Element* product_gradients, float* h_gradient) {
        const int units = shape.units, width = even(3 * units), blocks = blocks_of(units);
        // h_gradient holds dh z until the product is added to it.
        const auto step = [&](int t, int row, int block, Vec from_after) {
            const int unit = block * LANES, lanes = lanes_of(block, units);
            const std::ptrdiff_t position = shape.row(t, row);
            const std::ptrdiff_t next = shape.row_before(t, row);
            prefetch(saved + next * 4 * units + unit, 4, units);
            prefetch(memory + next * units + unit, 1, 0);
            prefetch(output_gradients + next * units + unit, 1, 0);
            prefetch(gradients + next * width + unit, 3, units);
            prefetch(product_gradients + next * width + unit, 3, units);
            const GRUGates gates = recall<P>(saved + position * 4 * units + unit, units, lanes);
            const Vec before = load(memory + position * units + unit, lanes);
            float* carried = h_gradient + shape.row(row) * units + unit;
            const Vec dh = from_after + load(carried, lanes) +
                           load(output_gradients + position * units + unit, lanes);
            const Vec da_n = dh * (1.0f - gates.z) * (1.0f - gates.n * gates.n);
            const Vec da_z = dh * (before - gates.n) * gates.z * (1.0f - gates.z);
            const Vec da_r = da_n * gates.q * gates.r * (1.0f - gates.r);
            const auto put = [&](Element* to, Vec third) {
                store(to, da_r, lanes);
                store(to + units, da_z, lanes);
                store(to + 2 * std::ptrdiff_t(units), third, lanes);
            };
            put(gradients + position * width + unit, da_n);
            put(product_gradients + position * width + unit, da_n * gates.r);
            store(carried, dh * gates.z, lanes);
        };
        for (int row = 0; row < shape.rows; ++row)
            for (int block = place.begin(blocks); block < place.end(blocks); ++block)
                step(shape.steps - 1, row, block, Vec{});
        place.synchronize();
        for (int t = shape.steps - 2; t >= 0; --t) {
            weights.multiply(place, shape.rows, product_gradients + shape.row(t + 1, 0) * width,
                             width, [&](int row, int block, Vec sum) { step(t, row, block, sum); });
            place.synchronize();
        }
        weights.multiply(place, shape.rows, product_gradients + shape.row(0, 0) * width, width,
                         [&](int row, int block, Vec sum) {
            float* carried = h_gradient + shape.row(row) * units + block * LANES;
            const int lanes = lanes_of(block, units);
            store(carried, load(carried, lanes) + sum, lanes);
        });
    }
};

// The reset gate applied before the product: each step takes two products, one after the other.
template <class P>
struct GRUBefore {
    using Element = typename P::Element;
    using Saved = typename P::Saved;

    // Write r h to `reset` (T, B, H rounded up to even), which is (B, ...) if `saved` is null.
    static void forward(const Place& place, const Shape& shape, const Inputs<P>& inputs,
                        const GatePanels<P>& gate_weights,
                        const GatePanels<P>& candidate_weights, Element* outputs, Element* reset,
                        float* memory, float* update, Saved* saved) {
        const int units = shape.units, width = even(units), blocks = blocks_of(units);
        for (int t = 0; t < shape.steps; ++t) {
            const Element* before = outputs + shape.row(t, 0) * width;
            Element* const reset_now = reset + (saved ? shape.row(t, 0) : shape.row(0)) * width;
            for (int block = place.begin(blocks); block < place.end(blocks); ++block) {
                const int unit = block * LANES, lanes = lanes_of(block, units);
                for_products<P, 2>(shape.rows, before, width, gate_weights.panel(block),
                                   gate_weights.steps(), [&](int row, const Vec* sums) {
                    const std::ptrdiff_t position = shape.row(t, row);
                    const Element* input = inputs.at(position) + unit;
                    const Vec r = sigmoid(sums[0] + load(input, lanes));
                    const Vec z = sigmoid(sums[1] + load(input + units, lanes));
                    const float* h = memory + (saved ? position : shape.row(row)) * units + unit;
                    store(reset_now + std::ptrdiff_t(row) * width + unit, r * load(h, lanes), lanes);
                    store(update + shape.row(row) * units + unit, z, lanes);
                    if (saved) store(saved + position * 3 * units + unit, r, lanes);
                });
            }
            place.synchronize();
            for (int block = place.begin(blocks); block < place.end(blocks); ++block) {
                const int unit = block * LANES, lanes = lanes_of(block, units);
                for_products<P, 1>(shape.rows, reset_now, width, candidate_weights.panel(block),
                                   candidate_weights.steps(), [&](int row, const Vec* sums) {
                    const std::ptrdiff_t position = shape.row(t, row);
                    const Element* input = inputs.at(position) + unit;
                    const Vec n = hyperbolic_tangent(
                        sums[0] + load(input + 2 * std::ptrdiff_t(units), lanes));
                    const Vec z = load(update + shape.row(row) * units + unit, lanes);
                    float* h = memory + (saved ? position : shape.row(row)) * units + unit;
                    const Vec now = n + z * (load(h, lanes) - n);
                    store(saved ? h + std::ptrdiff_t(shape.in_arrays) * units : h, now, lanes);
                    store(outputs + (position + shape.in_arrays) * width + unit, now, lanes);
                    if (saved) {
                        Saved* to = saved + position * 3 * units + unit;
                        store(to + units, z, lanes);
                        store(to + 2 * std::ptrdiff_t(units), n, lanes);
                    }
                });
            }
            place.synchronize();
        }
    }

    // Write (da_r, da_z, da_n) to each row of `gradients`; h_gradient as in GRUAfter. The gates'
    // panels multiply (da_r, da_z), the candidate's panels da_n.
    static void backward(const Place& place, const Shape& shape,
                         const UnitPanels<P>& gate_weights,
                         const UnitPanels<P>& candidate_weights, const float* memory,
                         const Saved* saved, const Element* output_gradients,
                         Element* gradients, Element* candidate_gradients, float* h_gradient) {
        const int units = shape.units, width = even(3 * units), blocks = blocks_of(units);
        const int narrow = even(units);
        const auto candidate = [&](int t, int row, int block, Vec from_after) {
            const int unit = block * LANES, lanes = lanes_of(block, units);
            const std::ptrdiff_t position = shape.row(t, row);
            const std::ptrdiff_t next = shape.row_before(t, row);
            prefetch(saved + next * 3 * units + unit, 3, units);
            prefetch(memory + next * units + unit, 1, 0);
            prefetch(output_gradients + next * units + unit, 1, 0);
            prefetch(gradients + next * width + unit, 3, units);
            const Saved* from = saved + position * 3 * units + unit;
            const Vec z = load(from + units, lanes);
            const Vec n = load(from + 2 * std::ptrdiff_t(units), lanes);
            const Vec before = load(memory + position * units + unit, lanes);
            float* carried = h_gradient + shape.row(row) * units + unit;
            const Vec dh = from_after + load(carried, lanes) +
                           load(output_gradients + position * units + unit, lanes);
            const Vec da_n = dh * (1.0f - z) * (1.0f - n * n);
            Element* to = gradients + position * width + unit;
            store(to + units, dh * (before - n) * z * (1.0f - z), lanes);
            store(to + 2 * std::ptrdiff_t(units), da_n, lanes);
            store(candidate_gradients + shape.row(row) * narrow + unit, da_n, lanes);
            store(carried, dh * z, lanes);
        };
        const auto reset = [&](int t, int row, int block, Vec v) {
            const int unit = block * LANES, lanes = lanes_of(block, units);
            const std::ptrdiff_t position = shape.row(t, row);
            const Vec r = load(saved + position * 3 * units + unit, lanes);
            const Vec before = load(memory + position * units + unit, lanes);
            store(gradients + position * width + unit, v * before * r * (1.0f - r), lanes);
            float* carried = h_gradient + shape.row(row) * units + unit;
            store(carried, load(carried, lanes) + v * r, lanes);
        };
        for (int row = 0; row < shape.rows; ++row)
            for (int block = place.begin(blocks); block < place.end(blocks); ++block)
                candidate(shape.steps - 1, row, block, Vec{});
        for (int t = shape.steps - 1; t >= 0; --t) {
            place.synchronize();
            candidate_weights.multiply(
                place, shape.rows, candidate_gradients + shape.row(0) * narrow, narrow,
                [&](int row, int block, Vec sum) { reset(t, row, block, sum); });
            place.synchronize();
            gate_weights.multiply(place, shape.rows, gradients + shape.row(t, 0) * width, width,
                                  [&](int row, int block, Vec sum) {
                if (t) return candidate(t - 1, row, block, sum);
                float* carried = h_gradient + shape.row(row) * units + block * LANES;
                const int lanes = lanes_of(block, units);
                store(carried, load(carried, lanes) + sum, lanes);
            });
        }
    }
};

}  // namespace
