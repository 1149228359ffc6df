// One layer of a network: its cell for some lanes, its weights packed, its products.
#pragma once

#include <memory>
#include <type_traits>

#include "gru.h"
#include "lstm.h"
#include "packed_matrix.h"

namespace {

enum class Connect { STACK, RESIDUAL, SUM };

struct Weights {
    int characters, layers, units;
    Connect connect;
    const float *table, *below, *bias, *recurrent, *candidate, *gain, *shift, *head, *head_bias;
};

// Cells: G products for each unit, W blocks of units in a panel. apply(inputs, sums, h, c, d) gives
// the new h, and changes c, from the inputs' part, the recurrent products and a GRU's bias d; if
// these two parts are not APART, sums are of both.
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

enum class Activation { TANH, RELU, SIGMOID };

template <Activation ACTIVATION>
struct RNNStep {
    static constexpr int G = 1, W = 4, PARTS = 1;
    static constexpr bool APART = false;

    static Vec apply(const Vec*, const Vec* sums, Vec, Vec&, Vec) {
        const Vec a = sums[0];
        if (ACTIVATION == Activation::TANH) return hyperbolic_tangent(a);
        if (ACTIVATION == Activation::SIGMOID) return sigmoid(a);
        return a < 0.0f ? Vec{} : a;  // Not a number stays so.
    }
};

// The reset before the product has a second stage: r and z first, then the candidate.
struct GRUBeforeStep {
    static constexpr int G = 2, W = 2, PARTS = 1;
    static constexpr bool APART = false;
};

// What a stage's sums begin with: one of some rows of biases, by blocks of units.
template <int G>
class Biases {
  public:
    // Rows are `width` apart, and each has G * H biases.
    Biases(const float* biases, int rows, std::ptrdiff_t width, int units)
        : rows_(rows), packed_(allocate<Vec>(std::size_t(blocks_of(units)) * rows * G)) {
        for (int block = 0; block < blocks_of(units); ++block)
            for (int row = 0; row < rows; ++row)
                for (int n = 0; n < G; ++n)
                    packed_[place(block, row) + n] =
                        load(biases + row * width + std::ptrdiff_t(n) * units + block * LANES,
                             lanes_of(block, units));
    }

    // Those of a block of units: G vectors.
    const Vec* at(int block, int row) const { return packed_.get() + place(block, row); }

  private:
    std::ptrdiff_t place(int block, int row) const {
        return (std::ptrdiff_t(block) * rows_ + row) * G;
    }

    int rows_;
    Buffer<Vec> packed_;
};

// A layer's products in one stage: those with the layer below, and those with its own past, apart
// or in one sum.
template <class P, int G, int W, bool APART>
struct Stage {
    using Matrix = Panels<P, G, W>;

    Stage(const float* below, const float* recurrent, Biases<G> biases, int units)
        : recurrent(recurrent, units, units), biases(std::move(biases)), units(units) {
        if (below) this->below = std::make_unique<Matrix>(below, units, units);
    }

    // Hand over take(row, block, const Vec* inputs, const Vec* sums), G of each, which are the same
    // if they are not apart; chosen(row) is the row's biases, fetch(row, block) is called ahead.
    template <class Chosen, class Fetch, class Take>
    void run(int rows, const typename P::Element* x, const typename P::Element* past, Vec* inputs,
             const Chosen& chosen, const Fetch& fetch, const Take& take) const {
        Vec* const sums = APART ? inputs + Matrix::sums_for(rows) : inputs;
        const int blocks = blocks_of(units);
        Matrix::for_panels(recurrent.count(), rows, [&](int first, int panels) {
            if (APART) Matrix::clear(sums, panels, rows);
            if (W > 1) Matrix::clear(inputs, panels, rows);  // There may be more than there are units.
            Matrix::for_blocks(first, panels, rows, blocks, [&](int row, int block, int at) {
                std::memcpy(inputs + at, biases.at(block, chosen(row)), sizeof(Vec) * G);
                fetch(row, block);
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
    // Those of G products from the `first` on: of the first layer one row for each character.
    template <int G>
    static Biases<G> biases_of(const Weights& all, int layer, int first) {
        const std::ptrdiff_t width = std::ptrdiff_t{ROWS} * all.units;
        const float* rows = layer ? all.bias + (layer - 1) * width : all.table;
        return {rows + std::ptrdiff_t(first) * all.units, layer ? 1 : all.characters, width,
                all.units};
    }

    using Candidate = Stage<P, 1, 4, false>;

    Stage<P, Step::G, Step::W, Step::APART> main;
    std::unique_ptr<Candidate> candidate;  // Of a GRU with the reset before the product.
};

}  // namespace
