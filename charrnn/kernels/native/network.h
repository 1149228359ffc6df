// A whole network for inference, packed once, that reads one character after another.
//
//   R rows side by side, L layers of H units, G products for each unit, V characters
//   table      (V, G * H)         each character's embedding times the first layer's input weights
//   below      (L - 1, G * H, H)  the upper layers' weights from the layer below, bias (L - 1, G * H)
//   recurrent  (L, G * H, H)      candidate (L, H) is the bias d of a GRU, else null
//   gain       (L, H)             and shift (L, H), of layer normalization; null if there is none
//   head       (V, H)             and head_bias (V)
//   states     (L, parts, R, H)   float32: h, and c of an LSTM
//
// Each thread runs its rows through all layers, so that threads never wait for one another. A row's
// results do not depend on how many rows there are.
#pragma once

#include <vector>

#include "layer.h"
#include "layer_norm.h"

namespace {

// Reads the rows of one thread, one character of each at a time.
class Reader {
  public:
    virtual ~Reader() = default;

    // Read one character of each row, 0 <= id < V, and update the states.
    virtual void read(const std::int32_t* ids) = 0;

    // Compute the logits (rows, V) of the next character.
    virtual void predict(float* logits) = 0;
};

class Network {
  public:
    explicit Network(const Weights& weights) : weights(weights) {}
    virtual ~Network() = default;

    // A reader of the rows [begin, end) of all `rows` in `states`.
    virtual std::unique_ptr<Reader> reader(int begin, int end, int rows, float* states) const = 0;

    const Weights weights;
};

template <class P, class Step>
class NetworkOf final : public Network {
  public:
    explicit NetworkOf(const Weights& weights)
        : Network(weights), head(weights.head, weights.characters, weights.units) {
        for (int layer = 0; layer < weights.layers; ++layer) layers.emplace_back(weights, layer);
    }

    std::unique_ptr<Reader> reader(int begin, int end, int rows, float* states) const override;

    std::vector<Layer<P, Step>> layers;
    PackedMatrix<P, 1, 4> head;
};

template <class P, class Step>
class ReaderOf final : public Reader {
  public:
    using Element = typename P::Element;

    ReaderOf(const NetworkOf<P, Step>& network, int begin, int end, int rows, float* states)
        : network_(network), all_(network.weights), units_(all_.units), count_(end - begin),
          begin_(begin), rows_(rows), states_(states),
          operands_((all_.layers + 3) * operand_size()), next_(operand(all_.layers)),
          reset_(operand(all_.layers + 1)), connected_(operand(all_.layers + 2)),
          outputs_(std::size_t(count_) * units_), total_(outputs_.size()), update_(outputs_.size()),
          room_(allocate<Vec>(4 * 4 * (count_ + MOST_PANELS))) {
        for (int layer = 0; layer < all_.layers; ++layer) {
            past_.push_back(operand(layer));
            for (int row = 0; row < count_; ++row)
                store_operand(state(layer, 0, row), past_[layer], row);
        }
    }

    void read(const std::int32_t* ids) override {
        for (int layer = 0; layer < all_.layers; ++layer) {
            run(layer, [&](int row) { return layer ? 0 : ids[row]; });
            std::swap(past_[layer], next_);
            x_ = past_[layer];
            if (all_.gain || all_.connect != Connect::STACK) {
                for (int row = 0; row < count_; ++row) store_output(layer, row);
                x_ = connected_;
            }
        }
    }

    void predict(float* logits) override {
        const int characters = all_.characters;
        network_.head.for_all(count_, x_, even(units_), room_.get(),
                              [&](int row, int block, const Vec* sum) {
            const int lanes = lanes_of(block, characters);
            store(logits + std::ptrdiff_t(row) * characters + block * LANES,
                  *sum + load(all_.head_bias + block * LANES, lanes), lanes);
        });
    }

  private:
    template <class BiasRow>
    void run(int layer, const BiasRow& bias_row) {
        const auto& own = network_.layers[layer];
        const Element* const past = past_[layer];
        // States have left the nearer caches since the last step: load them during the products.
        const auto prefetch = [&](int row, int block) {
            for (int part = 0; part < Step::PARTS; ++part)
                __builtin_prefetch(state(layer, part, row) + block * LANES, 1);
        };
        if constexpr (Layer<P, Step>::BEFORE) {
            own.main.run(count_, x_, past, room_.get(), bias_row, prefetch,
                         [&](int row, int block, const Vec*, const Vec* sums) {
                const int lanes = lanes_of(block, units_), unit = block * LANES;
                const Vec r = sigmoid(sums[0]);
                const Vec h = load(state(layer, 0, row) + unit, lanes);
                store(reset_ + std::ptrdiff_t(row) * even(units_) + unit, r * h, lanes);
                store(update_.data() + std::ptrdiff_t(row) * units_ + unit,
                      sigmoid(sums[1]), lanes);
            });
            own.candidate->run(count_, x_, reset_, room_.get(), bias_row, prefetch,
                               [&](int row, int block, const Vec*, const Vec* sums) {
                const int lanes = lanes_of(block, units_), unit = block * LANES;
                const Vec n = hyperbolic_tangent(sums[0]);
                const Vec z = load(update_.data() + std::ptrdiff_t(row) * units_ + unit, lanes);
                const Vec h = load(state(layer, 0, row) + unit, lanes);
                store_state(layer, row, unit, n + z * (h - n), lanes);
            });
        } else {
            own.main.run(count_, x_, past, room_.get(), bias_row, prefetch,
                         [&](int row, int block, const Vec* inputs, const Vec* sums) {
                apply(layer, row, block, inputs, sums);
            });
        }
    }

    // Never inlined, so that a row's results are the same however many rows there are.
    __attribute__((noinline, flatten)) void apply(int layer, int row, int block, const Vec* inputs,
                                         const Vec* sums) {
        if constexpr (!Layer<P, Step>::BEFORE) {
            const int lanes = lanes_of(block, units_), unit = block * LANES;
            const Vec h = load(state(layer, 0, row) + unit, lanes);
            float* const memory = Step::PARTS > 1 ? state(layer, 1, row) + unit : nullptr;
            const float* d = all_.candidate;
            const Vec bias =
                d ? load(d + std::ptrdiff_t(layer) * units_ + unit, lanes) : Vec{};
            Vec c = memory ? load(memory, lanes) : Vec{};
            store_state(layer, row, unit, Step::apply(inputs, sums, h, c, bias), lanes);
            if (memory) store(memory, c, lanes);
        }
    }

    float* state(int layer, int part, int row) const {
        return states_ +
               ((std::ptrdiff_t(layer) * Step::PARTS + part) * rows_ + begin_ + row) * units_;
    }

    // Store the new h, and as an operand in `next_`: products still read the previous one.
    void store_state(int layer, int row, int unit, Vec h, int lanes) const {
        store(state(layer, 0, row) + unit, h, lanes);
        store(next_ + std::ptrdiff_t(row) * even(units_) + unit, h, lanes);
    }

    void store_operand(const float* from, Element* operand, int row) const {
        Element* const to = operand + std::ptrdiff_t(row) * even(units_);
        for_blocks(units_, [&](int unit, int lanes) {
            store(to + unit, load(from + unit, lanes), lanes);
        });
    }

    // Store the layer's output as an operand for the layer above, or for the head.
    __attribute__((noinline)) void store_output(int layer, int row) {
        const float* h = state(layer, 0, row);
        float* const y = outputs_.data() + std::ptrdiff_t(row) * units_;
        const Connect connect = all_.connect;
        const bool last = layer + 1 == all_.layers;
        const Moments moments = all_.gain ? moments_of(h, units_) : Moments{};
        for_blocks(units_, [&](int unit, int lanes) {
            Vec value = load(h + unit, lanes);
            if (all_.gain) {
                const std::ptrdiff_t at = std::ptrdiff_t(layer) * units_ + unit;
                value = (value - moments.mean) * moments.scale * load(all_.gain + at, lanes) +
                        load(all_.shift + at, lanes);
            }
            if (layer && connect == Connect::RESIDUAL) value += load(y + unit, lanes);
            store(y + unit, value, lanes);
            if (connect == Connect::SUM) {
                float* const sum = total_.data() + std::ptrdiff_t(row) * units_ + unit;
                store(sum, layer ? load(sum, lanes) + value : value, lanes);
            }
        });
        const bool sums = last && connect == Connect::SUM;
        store_operand(sums ? total_.data() + (y - outputs_.data()) : y, connected_, row);
    }

    std::ptrdiff_t operand_size() const { return std::ptrdiff_t(count_) * even(units_); }
    Element* operand(int number) { return operands_.data() + number * operand_size(); }

    const NetworkOf<P, Step>& network_;
    const Weights& all_;
    const int units_, count_, begin_, rows_;
    float* const states_;
    std::vector<Element> operands_;  // Operands of products, (rows, H rounded up to even) each:
    std::vector<Element*> past_;     // each layer's previous h,
    Element* next_;                  // the new h of one layer,
    Element* const reset_;           // r h,
    Element* const connected_;       // a layer's output, where it differs from h.
    const Element* x_ = nullptr;     // The operand of the next layer, or of the head.
    std::vector<float> outputs_, total_, update_;
    Buffer<Vec> room_;
};

template <class P, class Step>
std::unique_ptr<Reader> NetworkOf<P, Step>::reader(int begin, int end, int rows,
                                                   float* states) const {
    return std::make_unique<ReaderOf<P, Step>>(*this, begin, end, rows, states);
}

}  // namespace
