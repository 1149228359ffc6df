// The loss of a window and the gradients of all weights of a network.
//
//   T steps, B rows, V characters, E numbers of an embedding, L layers of H units
//   x_0 = embedding[ids]                      a_l = x_l U_l^T + b_l       y_l = recurrence_l(a_l)
//   n_l = mask_l norm(y_l)                    logits = read head^T + head_bias
//   stack     x_{l+1} = n_l                   read = x_L
//   residual  x_{l+1} = n_l + x_l, l > 0      read = x_L
//   sum       x_{l+1} = n_l                   read = n_0 + ... + n_{L-1}
//
// Where a window has at least as many characters as there are in all, a_0 is looked up in a table
// of the projections of all characters. Every sum is made in an order that does not depend on the
// number of threads, and so are the results.
#pragma once

#include <numeric>

#include "cross_entropy.h"
#include "layer_norm.h"
#include "recurrent_layer.h"
#include "scatter_add.h"

namespace {

struct NetworkShape {
    int characters, embedding, layers, units;
    Connect connect;
    bool norm;
};

// A network's parameters, or their gradients.
template <class Number>
struct Parameters {
    Number* embedding;  // (V, E)
    std::vector<LayerParameters<Number>> layers;
    Number* head;       // (V, H)
    Number* head_bias;  // (V)
};

// A window to learn from. Masks are (B, H) of each layer, or null; a state is (B, H), one layer's
// h, and c of an LSTM, after another's.
struct Window {
    int steps;
    const std::int32_t* ids;      // (T, B)
    const std::int32_t* targets;  // (T, B); a negative one has no loss
    const float* const* masks;
    const float* const* before;
    float* const* after;
};

class TrainingNetwork {
  public:
    virtual ~TrainingNetwork() = default;

    // Compute the gradients of the mean loss, and return it.
    virtual double learn(int threads, const Window& window) = 0;
};

template <class P>
class TrainingNetworkOf final : public TrainingNetwork {
  public:
    using Element = typename P::Element;

    // make_layer(sizes, weights) makes a recurrent layer.
    template <class MakeLayer>
    TrainingNetworkOf(const NetworkShape& network, int most_steps, int rows,
                      Parameters<const float> weights, Parameters<float> gradients,
                      const MakeLayer& make_layer)
        : network_(network), shape_(most_steps, rows, network.units), weights_(std::move(weights)),
          to_(std::move(gradients)), layers_(make_layers(shape_, weights_, make_layer)),
          gates_(layers_[0]->gates),
          backward_(shape_, gates_, layers_[0]->has_products(), most_left(),
                    std::max(gates_, network.characters)),
          right_(allocate<Words>(most_packed())),
          vectors_(allocate_zeros<Element>(vectors_size())),
          table_(allocate_zeros<Element>(std::size_t(network.characters) * even(gates_))),
          table_sums_(allocate<float>(std::size_t(network.characters) * gates_)),
          logits_(allocate_zeros<Element>(places() * network.characters + 1)),
          gradient_(allocate<Element>(places() * network.units)),
          inner_(allocate<Element>(places() * network.units)),
          nats_(allocate<double>(places())),
          norm_sums_(allocate<float>(2 * std::size_t(PARTS) * network.units)) {
        for (int layer = 0; layer < network.layers; ++layer) {
            tops_.push_back(allocate_zeros<Element>(rows_size()));
            moments_.push_back(allocate<Moments>(network.norm ? places() : 0));
        }
        if (network.connect == Connect::SUM) {
            read_ = allocate_zeros<Element>(rows_size());
            read_gradient_ = allocate<Element>(places() * network.units);
        }
    }

    double learn(int threads, const Window& window) override {
        shape_.steps = window.steps;
        const int count = this->count();
        const int wanted =
            static_cast<int>(std::count_if(window.targets, window.targets + count,
                                           [](std::int32_t target) { return target >= 0; }));
        exponentials_.resize(threads * exponentials_of(network_.characters));
        run_team<Threads::OWN>(threads, [&](const Place& place) {
            forward(place, window);
            head(place, window, 1.0f / std::max(wanted, 1));
            backward(place, window);
        });
        return std::accumulate(nats_.get(), nats_.get() + count, 0.0) / wanted;
    }

  private:
    // Parts of the rows whose sums for the gradients of a norm are made apart from one another.
    static constexpr int PARTS = 16;

    using Layers = std::vector<std::unique_ptr<RecurrentLayer<P>>>;

    template <class MakeLayer>
    static Layers make_layers(const Shape& most, const Parameters<const float>& weights,
                              const MakeLayer& make) {
        Layers layers;
        for (const auto& own : weights.layers) layers.push_back(make(most, own));
        return layers;
    }

    int count() const { return shape_.steps * shape_.rows; }
    std::size_t places() const { return std::size_t(shape_.steps) * shape_.rows; }
    int width() const { return even(network_.units); }
    std::size_t rows_size() const { return places() * width(); }
    bool by_table() const { return network_.characters <= count(); }
    int inputs_of(int layer) const { return layer ? network_.units : network_.embedding; }
    int most_left() const { return network_.units + std::max(network_.units, network_.embedding); }

    // Room for the vectors of all characters, or of a window's places.
    std::size_t vectors_size() const {
        return std::max(places(), std::size_t(network_.characters)) * even(network_.embedding);
    }

    std::size_t most_packed() const {
        const int inputs = std::max(network_.units, network_.embedding);
        return std::max({packed_size<P>(inputs, gates_), packed_size<P>(gates_, inputs),
                         packed_size<P>(network_.units, network_.characters),
                         packed_size<P>(network_.characters, network_.units)});
    }

    // The rows that layer `layer` reads, from the second layer on.
    const Element* inputs(int layer) const { return tops_[layer - 1].get(); }
    const Element* read() const {
        return network_.connect == Connect::SUM ? read_.get() : inputs(network_.layers);
    }
    LeftRows<P> left(int layer) const {
        const int width = inputs_of(layer);
        return {layer ? inputs(layer) : vectors_.get(), even(width), width,
                layer < network_.layers ? to_.layers[layer].input : nullptr};
    }

    // Call work(row) for this thread's share of some rows.
    template <class Work>
    static void for_own_rows(const Place& place, int count, const Work& work) {
        for (int row = place.begin(count); row < place.end(count); ++row) work(row);
    }

    void forward(const Place& place, const Window& window) {
        for (int layer = 0; layer < network_.layers; ++layer) begin(place, layer, window.before);
        for (int layer = 0; layer < network_.layers; ++layer) {
            const Inputs<P> inputs = project(place, layer, window);
            layers_[layer]->forward(place, shape_, inputs);
            place.synchronize();
            finish(place, layer, window.after);
            join(place, layer, window.masks ? window.masks[layer] : nullptr);
            place.synchronize();
        }
    }

    // Set the state before the window.
    void begin(const Place& place, int layer, const float* const* before) {
        auto& own = *layers_[layer];
        const std::ptrdiff_t units = network_.units;
        const float* const h = before[layer * own.parts()];
        const float* const memory = before[layer * own.parts() + own.parts() - 1];
        for_own_rows(place, shape_.rows, [&](int row) {
            convert(h + row * units, own.outputs.get() + std::ptrdiff_t(row) * width(), units);
            std::copy_n(memory + row * units, units, own.memory.get() + row * units);
        });
    }

    // Copy the state after the window.
    void finish(const Place& place, int layer, float* const* after) const {
        const auto& own = *layers_[layer];
        const std::ptrdiff_t units = network_.units;
        const Element* const outputs = own.outputs.get() + shape_.row(shape_.steps, 0) * width();
        const float* const memory = own.memory.get() + shape_.row(shape_.steps, 0) * units;
        for_own_rows(place, shape_.rows, [&](int row) {
            if (own.parts() > 1)
                convert(outputs + std::ptrdiff_t(row) * width(), after[2 * layer] + row * units, units);
            std::copy_n(memory + row * units, units,
                        after[layer * own.parts() + own.parts() - 1] + row * units);
        });
    }

    // Compute the inputs' part in the gates of a layer.
    Inputs<P> project(const Place& place, int layer, const Window& window) {
        const bool by_table = !layer && this->by_table();
        const int inputs = inputs_of(layer);
        if (!layer) {
            const int rows = by_table ? network_.characters : count();
            for_own_rows(place, rows, [&](int row) {
                const std::ptrdiff_t id = by_table ? row : window.ids[row];
                convert(weights_.embedding + id * inputs,
                        vectors_.get() + std::ptrdiff_t(row) * even(inputs), inputs);
            });
        }
        RightMatrix<P> right(right_.get(), inputs, gates_);
        right.pack_columns(place, weights_.layers[layer].input);
        place.synchronize();
        Element* const to = by_table ? table_.get() : backward_.gradients.get();
        const float* const bias = weights_.layers[layer].bias;
        const LeftRows<P> x = left(layer);
        multiply_matrix<P>(place, by_table ? network_.characters : count(), x.rows, x.stride, right,
                           [&](int row, int block, Vec sum) {
            const int at = block * LANES, lanes = lanes_of(block, gates_);
            store(to + std::ptrdiff_t(row) * even(gates_) + at, sum + load(bias + at, lanes), lanes);
        });
        place.synchronize();
        return {to, by_table ? window.ids : nullptr, even(gates_)};
    }

    // Normalize and mask the outputs of a layer, and join them with its inputs.
    void join(const Place& place, int layer, const float* mask) {
        const Element* const y = layers_[layer]->outputs.get() + shape_.row(1, 0) * width();
        Element* const top = tops_[layer].get();
        const int units = network_.units;
        if (network_.norm) {
            const auto& own = weights_.layers[layer];
            normalize(place, norm_shape(), y, {own.gain, own.shift, mask}, top,
                      moments_[layer].get());
        }
        const bool residual = network_.connect == Connect::RESIDUAL && layer;
        const bool sums = network_.connect == Connect::SUM;
        if (network_.norm && !residual && !sums) return;
        for_own_rows(place, count(), [&](int row) {
            const std::ptrdiff_t at = std::ptrdiff_t(row) * width();
            const float* const factors = mask ? mask + std::ptrdiff_t(row % shape_.rows) * units : nullptr;
            for_blocks(units, [&](int unit, int lanes) {
                Vec value = load((network_.norm ? top : y) + at + unit, lanes);
                if (!network_.norm && factors) value *= load(factors + unit, lanes);
                if (residual) value += load(inputs(layer) + at + unit, lanes);
                store(top + at + unit, value, lanes);
                if (!sums) return;
                Element* const total = read_.get() + at + unit;
                store(total, layer ? load(total, lanes) + value : value, lanes);
            });
        });
    }

    // Compute the logits, the losses, and the gradients of the head and of what it read.
    void head(const Place& place, const Window& window, float weight) {
        const int characters = network_.characters, units = network_.units;
        RightMatrix<P> forth(right_.get(), units, characters);
        forth.pack_columns(place, weights_.head);
        place.synchronize();
        multiply_matrix<P>(place, count(), read(), width(), forth,
                           [&](int row, int block, Vec sum) {
            const int at = block * LANES, lanes = lanes_of(block, characters);
            store(logits_.get() + std::ptrdiff_t(row) * characters + at,
                  sum + load(weights_.head_bias + at, lanes), lanes);
        });
        place.synchronize();
        cross_entropy(place, count(), characters, weight, logits_.get(), window.targets,
                      nats_.get(), logits_.get(), exponentials_.data());
        RightMatrix<P> back(right_.get(), characters, units);
        back.pack_rows(place, weights_.head, units);
        place.synchronize();
        Element* const to =
            network_.connect == Connect::SUM ? read_gradient_.get() : gradient_.get();
        multiply_matrix<P>(place, count(), logits_.get(), characters, back,
                           [&](int row, int block, Vec sum) {
            const std::ptrdiff_t at = std::ptrdiff_t(row) * units + block * LANES;
            store(to + at, sum, lanes_of(block, units));
            if (to != gradient_.get()) store(gradient_.get() + at, sum, lanes_of(block, units));
        });
        backward_.outer.add_up(place, count(), {{read(), width(), units, to_.head}}, logits_.get(),
                               characters, characters, to_.head_bias);
        place.synchronize();
    }

    void backward(const Place& place, const Window& window) {
        for (int layer = network_.layers - 1; layer >= 0; --layer) {
            const Element* const dy = outputs_gradient(place, layer, window.masks ? window.masks[layer] : nullptr);
            place.synchronize();
            layers_[layer]->backward(place, shape_, dy, backward_);
            const bool looked_up = !layer && by_table();
            const LeftRows<P> x = left(layer);
            layers_[layer]->sum_gradients(place, shape_, looked_up ? nullptr : &x,
                                          looked_up ? nullptr : to_.layers[layer].bias,
                                          to_.layers[layer], backward_);
            place.synchronize();
            if (looked_up)
                table_backward(place, window.ids);
            else
                inputs_backward(place, layer, window.ids);
            place.synchronize();
        }
    }

    // Compute the gradient of a layer's outputs before they were normalized and masked.
    const Element* outputs_gradient(const Place& place, int layer, const float* mask) {
        const Element* const y = layers_[layer]->outputs.get() + shape_.row(1, 0) * width();
        const int units = network_.units;
        if (network_.norm) {
            normalize_backward(place, norm_shape(), y, {weights_.layers[layer].gain, nullptr, mask},
                               moments_[layer].get(), gradient_.get(), inner_.get(), PARTS,
                               norm_sums_.get(), to_.layers[layer].gain, to_.layers[layer].shift);
            return inner_.get();
        }
        if (!mask) return gradient_.get();
        for_own_rows(place, count(), [&](int row) {
            const std::ptrdiff_t at = std::ptrdiff_t(row) * units;
            const float* const factors = mask + std::ptrdiff_t(row % shape_.rows) * units;
            for_blocks(units, [&](int unit, int lanes) {
                store(inner_.get() + at + unit,
                      load(gradient_.get() + at + unit, lanes) * load(factors + unit, lanes), lanes);
            });
        });
        return inner_.get();
    }

    // Compute the gradient of a layer's inputs: of the layer below, or of the vectors.
    void inputs_backward(const Place& place, int layer, const std::int32_t* ids) {
        const int inputs = inputs_of(layer), units = network_.units;
        RightMatrix<P> right(right_.get(), gates_, inputs);
        right.pack_rows(place, weights_.layers[layer].input, inputs);
        place.synchronize();
        // The first layer's vectors are not needed any more.
        Element* const to = layer ? gradient_.get() : vectors_.get();
        const bool residual = layer && network_.connect == Connect::RESIDUAL;
        const bool sums = layer && network_.connect == Connect::SUM;
        multiply_matrix<P>(place, count(), backward_.gradients.get(), even(gates_), right,
                           [&](int row, int block, Vec sum) {
            const int lanes = lanes_of(block, inputs);
            if (layer) {
                const std::ptrdiff_t at = std::ptrdiff_t(row) * units + block * LANES;
                if (residual) sum += load(to + at, lanes);
                if (sums) sum += load(read_gradient_.get() + at, lanes);
                store(to + at, sum, lanes);
            } else {
                store(to + std::ptrdiff_t(row) * even(inputs) + block * LANES, sum, lanes);
            }
        });
        if (layer) return;
        place.synchronize();
        sum_rows(place, inputs, vectors_.get(), even(inputs), ids, to_.embedding);
    }

    // Sum the rows of values (T * B, C) that belong to each character into sums (V, C).
    void sum_rows(const Place& place, int columns, const Element* values, std::ptrdiff_t stride,
                  const std::int32_t* ids, float* sums) const {
        const std::ptrdiff_t all = std::ptrdiff_t(network_.characters) * columns;
        std::fill(sums + all * place.thread / place.threads,
                  sums + all * (place.thread + 1) / place.threads, 0.0f);
        place.synchronize();
        add_to_rows(place, count(), columns, values, stride, ids, sums);
    }

    // The same through the table: the gradients of its rows come first.
    void table_backward(const Place& place, const std::int32_t* ids) {
        const int characters = network_.characters, inputs = network_.embedding;
        sum_rows(place, gates_, backward_.gradients.get(), even(gates_), ids, table_sums_.get());
        RightMatrix<P> right(right_.get(), gates_, inputs);
        right.pack_rows(place, weights_.layers[0].input, inputs);
        place.synchronize();
        for_own_rows(place, characters, [&](int row) {
            convert(table_sums_.get() + std::ptrdiff_t(row) * gates_,
                    table_.get() + std::ptrdiff_t(row) * even(gates_), gates_);
        });
        place.synchronize();
        multiply_matrix<P>(place, characters, table_.get(), even(gates_), right,
                           [&](int row, int block, Vec sum) {
            store(to_.embedding + std::ptrdiff_t(row) * inputs + block * LANES, sum,
                  lanes_of(block, inputs));
        });
        backward_.outer.add_up(place, characters, {left(0)}, table_.get(), even(gates_), gates_,
                               to_.layers[0].bias);
    }

    template <class From, class To>
    static void convert(const From* from, To* to, int count) {
        for_blocks(count, [&](int n, int lanes) { store(to + n, load(from + n, lanes), lanes); });
    }

    NormShape norm_shape() const {
        return {count(), width(), shape_.rows, network_.units, width()};
    }

    const NetworkShape network_;
    Shape shape_;
    const Parameters<const float> weights_;
    const Parameters<float> to_;
    const Layers layers_;
    const int gates_;
    BackwardArrays<P> backward_;
    Buffer<Words> right_;      // The matrix of the present product.
    Buffer<Element> vectors_;  // Of all characters, or of those of the window.
    Buffer<Element> table_;    // The projections of all characters; then their gradients.
    Buffer<float> table_sums_;
    Buffer<Element> logits_;  // And their gradients.
    Buffer<Element> gradient_, inner_;  // Of a layer's output, normalized and as it was (T, B, H).
    Buffer<double> nats_;
    Buffer<float> norm_sums_;
    std::vector<Buffer<Element>> tops_;  // Each layer's output, as the one above reads it.
    std::vector<Buffer<Moments>> moments_;
    Buffer<Element> read_, read_gradient_;  // The sum that the head reads.
    std::vector<float> exponentials_;
};

}  // namespace
