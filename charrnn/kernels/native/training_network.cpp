// The functions that Python calls for whole training steps; training_network.h states the shapes.
//
// The caller owns the parameters, their gradients and the optimizer's numbers, which must stay
// where they are as long as the network lives, and checks that 0 <= id < V and target < V.

#include <numeric>

#include "export.h"
#include "optimizer.h"
#include "training_network.h"

namespace {

// Unpack the addresses of parameters: the embedding, six of each layer, the head and its bias.
template <class Number>
Parameters<Number> parameters_of(Number* const* addresses, int layers) {
    Parameters<Number> all{*addresses++, {}, nullptr, nullptr};
    for (int layer = 0; layer < layers; ++layer, addresses += 6)
        all.layers.push_back({addresses[0], addresses[1], addresses[2], addresses[3], addresses[4],
                              addresses[5]});
    all.head = addresses[0];
    all.head_bias = addresses[1];
    return all;
}

template <class P>
std::unique_ptr<RecurrentLayer<P>> make_layer(int form, const Shape& most,
                                              const LayerParameters<const float>& own) {
    switch (form) {
        case 0: return std::make_unique<LSTMLayer<P, Gates::SEPARATE>>(most, own);
        case 1: return std::make_unique<LSTMLayer<P, Gates::COUPLED>>(most, own);
        case 2: return std::make_unique<LSTMLayer<P, Gates::CAPPED>>(most, own);
        case 3: return std::make_unique<GRUAfterLayer<P>>(most, own);
        case 4: return std::make_unique<GRUBeforeLayer<P>>(most, own);
        case 5: return std::make_unique<RNNLayer<P, Activation::TANH>>(most, own);
        case 6: return std::make_unique<RNNLayer<P, Activation::RELU>>(most, own);
        default: return std::make_unique<RNNLayer<P, Activation::SIGMOID>>(most, own);
    }
}

template <class P>
TrainingNetwork* make_network(int form, const NetworkShape& shape, int steps, int rows,
                              const Parameters<const float>& weights,
                              const Parameters<float>& gradients) {
    return new TrainingNetworkOf<P>(shape, steps, rows, weights, gradients,
                                    [form](const Shape& most, const auto& own) {
                                        return make_layer<P>(form, most, own);
                                    });
}

std::vector<std::int64_t> sizes_of(const std::int64_t* sizes, int count) {
    return {sizes, sizes + count};
}

}  // namespace

// Create a network for windows of up to `steps` characters in `rows` rows. `form` is as in
// charrnn_network_new. Returns null if memory ran out.
EXPORTED void* charrnn_training_new(int precision, int form, int connect, int norm, int characters,
                                    int embedding, int layers, int units, int steps, int rows,
                                    const float* const* weights, float* const* gradients) {
    const NetworkShape shape{characters, embedding, layers, units, static_cast<Connect>(connect),
                             norm != 0};
    TrainingNetwork* network = nullptr;
    succeeds([&] {
        const auto own = parameters_of(weights, layers);
        const auto to = parameters_of(gradients, layers);
        network = precision ? make_network<Bfloat16>(form, shape, steps, rows, own, to)
                            : make_network<Float32>(form, shape, steps, rows, own, to);
    });
    return network;
}

EXPORTED void charrnn_training_free(void* network) { delete static_cast<TrainingNetwork*>(network); }

// Compute the gradients of the mean loss of a window, the loss, and the states after the window.
EXPORTED int charrnn_training_learn(void* network, int threads, int steps, const std::int32_t* ids,
                                    const std::int32_t* targets, const float* const* masks,
                                    const float* const* before, float* const* after, double* nats) {
    return succeeds([&] {
        *nats = static_cast<TrainingNetwork*>(network)->learn(
            threads, {steps, ids, targets, masks, before, after});
    });
}

// Compute the Euclidean norm of all gradients together.
EXPORTED int charrnn_gradient_norm(int threads, int count, const std::int64_t* sizes,
                                   const float* const* gradients, double* norm) {
    return succeeds([&] {
        const auto all = sizes_of(sizes, count);
        std::size_t chunks = 0;
        for (const std::int64_t size : all) chunks += (size + CHUNK - 1) / CHUNK;
        std::vector<double> sums(chunks);
        run_team<Threads::OWN>(threads, [&](const Place& place) {
            for_own_chunks(place, all, [&](std::size_t n, std::int64_t first, int length, int chunk) {
                sums[chunk] = sum_squares(gradients[n] + first, length);
            });
        });
        *norm = std::sqrt(std::accumulate(sums.begin(), sums.end(), 0.0));
    });
}

// Take a step of Adam, or of AdamW if `decoupled`, and move the average of the weights. Each
// parameter counts its own steps.
EXPORTED int charrnn_adam(int threads, int count, const std::int64_t* sizes,
                          float* const* weights, const float* const* gradients, float* const* means,
                          float* const* squares, float* const* averages, float* const* steps,
                          const float* decays, int decoupled, float rate, float beta1, float beta2,
                          float epsilon, float scale, float bound, float share) {
    return succeeds([&] {
        const auto all = sizes_of(sizes, count);
        const Adam adam{rate, beta1, beta2, epsilon, scale, bound, share, decoupled != 0};
        for (int n = 0; n < count; ++n) ++*steps[n];
        run_team<Threads::OWN>(threads, [&](const Place& place) {
            for_own_chunks(place, all, [&](std::size_t n, std::int64_t first, int length, int) {
                step_adam(adam,
                          {weights[n], gradients[n], means[n], squares[n], averages[n], decays[n],
                           *steps[n]},
                          first, length);
            });
        });
    });
}
