// What Python calls to use a network: see network.h for the shapes, and for who must keep what.
//
// The weights that are not packed (candidate, gain, shift and head_bias) stay the caller's, who keeps
// them as long as the network. Ids are the caller's to check: 0 <= id < V.

#include "cross_entropy.h"
#include "export.h"
#include "network.h"
#include "sampling.h"
#include "thread_team.h"

namespace {

template <class Step>
Network* make(int precision, const Weights& weights) {
    if (precision) return new NetworkOf<Bfloat16, Step>(weights);
    return new NetworkOf<Float32, Step>(weights);
}

// Run work(reader, begin, end) over shares of the rows, each on a thread of its own; see `done`.
template <class Work>
int share(const Network& network, int threads, int rows, float* states, const Work& work) {
    return done([&] {
        together(threads < rows ? threads : rows, [&](const Place& place) {
            const int begin = place.begin(rows), end = place.end(rows);
            if (begin < end) work(*network.reader(begin, end, rows, states), begin, end);
        });
    });
}

}  // namespace

// A network of a cell: 0 to 2 an LSTM with gates separate, coupled, capped; 3 and 4 a GRU with the
// reset after and before the product; 5 to 7 a plain one of tanh, relu, sigmoid. Null if there is no
// memory for it.
EXPORTED void* charrnn_network_new(int precision, int cell, int connect, int characters, int layers,
                                   int units, const float* table, const float* below,
                                   const float* bias, const float* recurrent,
                                   const float* candidate, const float* gain, const float* shift,
                                   const float* head, const float* head_bias) {
    const Weights weights{characters, layers,    units, static_cast<Connect>(connect), table, below,
                          bias,       recurrent, candidate, gain, shift, head, head_bias};
    Network* network = nullptr;
    done([&] {
        switch (cell) {
            case 0: network = make<LSTMStep<Gates::SEPARATE>>(precision, weights); break;
            case 1: network = make<LSTMStep<Gates::COUPLED>>(precision, weights); break;
            case 2: network = make<LSTMStep<Gates::CAPPED>>(precision, weights); break;
            case 3: network = make<GRUAfterStep>(precision, weights); break;
            case 4: network = make<GRUBeforeStep>(precision, weights); break;
            case 5: network = make<RNNStep<Activation::TANH>>(precision, weights); break;
            case 6: network = make<RNNStep<Activation::RELU>>(precision, weights); break;
            case 7: network = make<RNNStep<Activation::SIGMOID>>(precision, weights); break;
        }
    });
    return network;
}

EXPORTED void charrnn_network_free(void* network) { delete static_cast<Network*>(network); }

// Read ids (T, R) from the states and leave the states after them; logits (T, R, V), or null where
// they are not wanted.
EXPORTED int charrnn_network_read(const void* handle, int threads, int steps, int rows,
                                   const std::int32_t* ids, float* states, float* logits) {
    const auto& network = *static_cast<const Network*>(handle);
    return share(network, threads, rows, states, [&](Reader& reader, int begin, int) {
        for (std::ptrdiff_t t = 0; t < steps; ++t) {
            const std::ptrdiff_t at = t * rows + begin;
            reader.read(ids + at);
            if (logits) reader.predict(logits + at * network.weights.characters);
        }
    });
}

// Nats (T, R) of targets (T, R), each of what follows the character at the same place of ids.
EXPORTED int charrnn_network_score(const void* handle, int threads, int steps, int rows,
                                    const std::int32_t* ids, const std::int32_t* targets,
                                    float* states, double* nats) {
    const auto& network = *static_cast<const Network*>(handle);
    const int characters = network.weights.characters;
    return share(network, threads, rows, states, [&](Reader& reader, int begin, int end) {
        std::vector<float> logits(std::size_t(end - begin) * characters);
        for (std::ptrdiff_t t = 0; t < steps; ++t) {
            reader.read(ids + t * rows + begin);
            reader.predict(logits.data());
            for (int row = begin; row < end; ++row) {
                const std::ptrdiff_t at = t * rows + row;
                const float* own = logits.data() + std::ptrdiff_t(row - begin) * characters;
                const Softmax softmax = softmax_of(own, characters, [](int, Vec) {});
                nats[at] = softmax.nats_of(own[targets[at]]);
            }
        }
    });
}

// Draw `count` characters for each row: read the last one (R), predict, draw by a uniform number of
// uniforms (R, count), and so on. From where a row's logits are not finite, drawn (R, count) is -1.
EXPORTED int charrnn_network_draw(const void* handle, int threads, int count, int rows,
                                   double temperature, int top_k, double top_p, double min_p,
                                   const std::int32_t* last, const double* uniforms, float* states,
                                   std::int32_t* drawn) {
    const auto& network = *static_cast<const Network*>(handle);
    const int characters = network.weights.characters;
    return share(network, threads, rows, states, [&](Reader& reader, int begin, int end) {
        std::vector<std::int32_t> ids(last + begin, last + end);
        std::vector<float> logits(ids.size() * characters);
        std::vector<char> lost(ids.size());
        Drawer drawer({temperature, top_k, top_p, min_p}, characters);
        for (int n = 0; n < count; ++n) {
            reader.read(ids.data());
            reader.predict(logits.data());
            for (std::size_t row = 0; row < ids.size(); ++row) {
                const std::ptrdiff_t at = std::ptrdiff_t(begin + row) * count + n;
                const float* own = logits.data() + row * characters;
                drawn[at] = lost[row] ? -1 : drawer.draw(own, uniforms[at]);
                lost[row] = drawn[at] < 0;
                ids[row] = lost[row] ? 0 : drawn[at];
            }
        }
    });
}
