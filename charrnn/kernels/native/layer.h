// One layer of a network for inference: a step of its cell, its packed weights, its products.
#pragma once

#include <memory>
#include <type_traits>

#include "gru.h"
#include "lstm.h"
#include "packed_matrix.h"
#include "rnn.h"

namespace {

struct Weights {
    int characters, layers, units;
    Connect connect;
    const float *table, *below, *bias, *recurrent, *candidate, *gain, *shift, *head, *head_bias;
};

// A cell has G products for each unit and packs W blocks of units into a panel. apply(inputs, sums,
// h, c, d) returns the new h and updates c from the products with the inputs, those with h, and a
// GRU's bias d. Unless they are kept APART, sums holds the total of both products.
template <Gates GATES>
struct LSTMStep {
    static constexpr int G = products_of(GATES), W = 1, PARTS = 2;
    static constexpr bool APART = false;

    static Vec apply(const Vec*, const Vec* sums, Vec, Vec& c, Vec) {
        using Cell = LSTM<Float32, GATES>;
        const LSTMGates gates = Cell::open(sums);
        c = gates.f * c + Cell::admitted(gates) * gates.g;
        return gates.o * hyperbolic_tangent(c);
    }
};

struct GRUAfterStep {
    static constexpr int G = 3, W = 1, PARTS = 1;
    static constexpr bool APART = true;

    static Vec apply(const Vec* inputs, const Vec* sums, Vec h, Vec&, Vec d) {
        const Vec r = sigmoid(inputs[0] + sums[0]);
        const Vec z = sigmoid(inputs[1] + sums[1]);
        const Vec n = hyperbolic_tangent(inputs[2] + r * (sums[2] + d));
        return n + z * (h - n);
    }
};

template <Activation ACTIVATION>
struct RNNStep {
    static constexpr int G = 1, W = 4, PARTS = 1;
    static constexpr bool APART = false;

    static Vec apply(const Vec*, const Vec* sums, Vec, Vec&, Vec) {
        return activate<ACTIVATION>(sums[0]);
    }
};

// With the reset before the product a step has two stages: r and z first, then the candidate.
struct GRUBeforeStep {
    static constexpr int G = 2, W = 2, PARTS = 1;
    static constexpr bool APART = false;
};

// The biases that a stage's sums start from: rows of them, packed by blocks of units.
template <int G>
class Biases {
  public:
    // Each row has G * H biases; consecutive rows are `width` apart.
    Biases(const float* biases, int rows, std::ptrdiff_t width, int units)
        : rows_(rows), packed_(allocate<Vec>(std::size_t(blocks_of(units)) * rows * G)) {
        for (int block = 0; block < blocks_of(units); ++block)
            for (int row = 0; row < rows; ++row)
                for (int n = 0; n < G; ++n)
                    packed_[place(block, row) + n] =
                        load(biases + row * width + std::ptrdiff_t(n) * units + block * LANES,
                             lanes_of(block, units));
    }

    // The G vectors of a block of units.
    const Vec* at(int block, int row) const { return packed_.get() + place(block, row); }

  private:
    std::ptrdiff_t place(int block, int row) const {
        return (std::ptrdiff_t(block) * rows_ + row) * G;
    }

    int rows_;
    Buffer<Vec> packed_;
};

// A layer's products in one stage: with the output of the layer below and with its own previous
// state, kept APART or added up.
template <class P, int G, int W, bool APART>
struct Stage {
    using Matrix = PackedMatrix<P, G, W>;

    Stage(const float* below, const float* recurrent, Biases<G> biases, int units)
        : recurrent(recurrent, units, units), biases(std::move(biases)), units(units) {
        if (below) this->below = std::make_unique<Matrix>(below, units, units);
    }

    // Call take(row, block, const Vec* inputs, const Vec* sums) with G vectors of each; unless they
    // are APART, both are the same. bias_row(row) gives the row of biases to start from;
    // prefetch(row, block) is called some time before take(row, block).
    template <class BiasRow, class Prefetch, class Take>
    void run(int rows, const typename P::Element* x, const typename P::Element* past, Vec* inputs,
             const BiasRow& bias_row, const Prefetch& prefetch, const Take& take) const {
        Vec* const sums = APART ? inputs + Matrix::sums_for(rows) : inputs;
        const int blocks = blocks_of(units);
        Matrix::for_panels(recurrent.count(), rows, [&](int first, int panels) {
            if (APART) Matrix::clear(sums, panels, rows);
            // The last panel may hold more blocks than there are units for.
            if (W > 1) Matrix::clear(inputs, panels, rows);
            Matrix::for_blocks(first, panels, rows, blocks, [&](int row, int block, int at) {
                std::memcpy(inputs + at, biases.at(block, bias_row(row)), sizeof(Vec) * G);
                prefetch(row, block);
            });
            if (below) below->multiply(first, panels, rows, x, even(units), inputs);
            recurrent.multiply(first, panels, rows, past, even(units), sums);
            Matrix::for_blocks(first, panels, rows, blocks, [&](int row, int block, int at) {
                take(row, block, inputs + at, sums + at);
            });
        });
    }

    std::unique_ptr<Matrix> below;
    Matrix recurrent;
    Biases<G> biases;
    int units;
};

template <class P, class Step>
struct Layer {
    static constexpr bool BEFORE = std::is_same_v<Step, GRUBeforeStep>;
    static constexpr int ROWS = BEFORE ? 3 : Step::G;  // Rows of weights for each unit.

    Layer(const Weights& all, int layer)
        : main(below_of(all, layer), recurrent_of(all, layer), biases_of<Step::G>(all, layer, 0),
               all.units) {
        const std::ptrdiff_t gates = 2 * std::ptrdiff_t(all.units) * all.units;
        if (BEFORE)
            candidate = std::make_unique<Candidate>(
                layer ? below_of(all, layer) + gates : nullptr, recurrent_of(all, layer) + gates,
                biases_of<1>(all, layer, 2), all.units);
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
    // The biases of G products from product `first` on; the first layer has a row for each
    // character.
    template <int G>
    static Biases<G> biases_of(const Weights& all, int layer, int first) {
        const std::ptrdiff_t width = std::ptrdiff_t{ROWS} * all.units;
        const float* rows = layer ? all.bias + (layer - 1) * width : all.table;
        return {rows + std::ptrdiff_t(first) * all.units, layer ? 1 : all.characters, width,
                all.units};
    }

    using Candidate = Stage<P, 1, 4, false>;

    Stage<P, Step::G, Step::W, Step::APART> main;
    std::unique_ptr<Candidate> candidate;  // Only a GRU with the reset before the product has one.
};

}  // namespace
