// Simple recurrent network over a whole window, forward and backward.
//
//   h' = f(inputs + W h)         f = tanh, relu or sigmoid
//
// Backward, with dh the gradient of h': da = dh f'(h'), and dh of the step before gets W^T da.
#pragma once

#include "recurrence.h"

namespace {

enum class Activation { TANH, RELU, SIGMOID };

template <Activation ACTIVATION>
inline Vec activate(Vec a) {
    if (ACTIVATION == Activation::TANH) return hyperbolic_tangent(a);
    if (ACTIVATION == Activation::SIGMOID) return sigmoid(a);
    return a < 0.0f ? Vec{} : a;  // NaN stays NaN.
}

// The derivative at the place whose value is `h`; 0 for the rectifier at 0.
template <Activation ACTIVATION>
inline Vec derivative(Vec h) {
    if (ACTIVATION == Activation::TANH) return 1.0f - h * h;
    if (ACTIVATION == Activation::SIGMOID) return h * (1.0f - h);
    return h > 0.0f ? splat(1.0f) : h * 0.0f;  // NaN stays NaN.
}

template <class P, Activation ACTIVATION>
struct RNN {
    using Element = typename P::Element;

    // The panels hold the transpose of W.
    static void forward(const Place& place, const Shape& shape, const Inputs<P>& inputs,
                        const UnitPanels<P>& weights, Element* outputs, float* memory) {
        const int units = shape.units, width = even(units);
        for (int t = 0; t < shape.steps; ++t) {
            weights.multiply(place, shape.rows, outputs + shape.row(t, 0) * width, width,
                             [&](int row, int block, Vec sum) {
                const int unit = block * LANES, lanes = lanes_of(block, units);
                const std::ptrdiff_t position = shape.row(t, row);
                const Vec now = activate<ACTIVATION>(sum + load(inputs.at(position) + unit, lanes));
                const std::ptrdiff_t after = position + shape.in_arrays;
                store(memory + after * units + unit, now, lanes);
                store(outputs + after * width + unit, now, lanes);
            });
            place.synchronize();
        }
    }

    static void backward(const Place& place, const Shape& shape, const UnitPanels<P>& weights,
                         const float* memory, const Element* output_gradients,
                         Element* gradients) {
        const int units = shape.units, width = even(units), blocks = blocks_of(units);
        const auto step = [&](int t, int row, int block, Vec from_after) {
            const int unit = block * LANES, lanes = lanes_of(block, units);
            const std::ptrdiff_t position = shape.row(t, row);
            const Vec h = load(memory + (position + shape.in_arrays) * units + unit, lanes);
            const Vec dh = from_after + load(output_gradients + position * units + unit, lanes);
            store(gradients + position * width + unit, dh * derivative<ACTIVATION>(h), lanes);
        };
        for (int row = 0; row < shape.rows; ++row)
            for (int block = place.begin(blocks); block < place.end(blocks); ++block)
                step(shape.steps - 1, row, block, Vec{});
        place.synchronize();
        for (int t = shape.steps - 2; t >= 0; --t) {
            weights.multiply(place, shape.rows, gradients + shape.row(t + 1, 0) * width, width,
                             [&](int row, int block, Vec sum) { step(t, row, block, sum); });
            place.synchronize();
        }
    }
};

}  // namespace
