// The functions that Python calls for inference; network.h states the shapes.
//
// The weights that are not packed (candidate, gain, shift and head_bias) belong to the caller and
// must live as long as the network. The caller checks that 0 <= id < V.

#include "cross_entropy.h"
#include "export.h"
#include "network.h"
#include "ngram_expert.h"
#include "sampling.h"
#include "thread_team.h"

namespace {

template <class Step>
Network* make(int precision, const Weights& weights) {
    if (precision) return new NetworkOf<Bfloat16, Step>(weights);
    return new NetworkOf<Float32, Step>(weights);
}

// What the functions below read and update: rows of states, and the histories of an expert, or null.
struct Rows {
    int count;
    float* states;
    std::int32_t* histories;
};

// Split the rows among threads and call work(reader, begin, end) on each; returns as `succeeds`
// does.
template <class Work>
int for_row_shares(const Network& network, const NgramExpert* expert, int threads, const Rows& rows,
                   const Work& work) {
    return succeeds([&] {
        run_team(threads < rows.count ? threads : rows.count, [&](const Place& place) {
            const int begin = place.begin(rows.count), end = place.end(rows.count);
            if (begin >= end) return;
            auto reader = network.reader(begin, end, rows.count, rows.states);
            if (expert)
                reader = std::make_unique<JoinedReader>(
                    *expert, std::move(reader), end - begin,
                    rows.histories + std::ptrdiff_t(begin) * expert->history());
            work(*reader, begin, end);
        });
    });
}

}  // namespace

// Create a network. `cell` is 0 to 2 for an LSTM with separate, coupled or capped gates, 3 or 4 for
// a GRU with the reset after or before the product, 5 to 7 for a plain RNN of tanh, relu or
// sigmoid. Returns null if memory ran out.
EXPORTED void* charrnn_network_new(int precision, int cell, int connect, int characters, int layers,
                                   int units, const float* table, const float* below,
                                   const float* bias, const float* recurrent,
                                   const float* candidate, const float* gain, const float* shift,
                                   const float* head, const float* head_bias) {
    const Weights weights{characters, layers,    units, static_cast<Connect>(connect), table, below,
                          bias,       recurrent, candidate, gain, shift, head, head_bias};
    Network* network = nullptr;
    succeeds([&] {
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

// Create an expert of the strings of each of K orders, whose arrays belong to the caller and must
// live as long as it does, and of its exponents a and b (K). Returns null if memory ran out.
EXPORTED void* charrnn_expert_new(int characters, int orders, const std::int32_t* const* begins,
                                  const std::int32_t* const* last_characters,
                                  const std::int32_t* const* counts,
                                  const std::int32_t* const* totals, const float* of_network,
                                  const float* of_ngrams) {
    NgramExpert* expert = nullptr;
    succeeds([&] {
        std::vector<Strings> strings;
        for (int order = 0; order < orders; ++order)
            strings.push_back({begins[order], last_characters[order], counts[order], totals[order]});
        expert = new NgramExpert{{characters, std::move(strings)},
                                 {of_network, of_network + orders},
                                 {of_ngrams, of_ngrams + orders}};
    });
    return expert;
}

EXPORTED void charrnn_expert_free(void* expert) { delete static_cast<NgramExpert*>(expert); }

// Read ids (T, R), updating the states in place, and write the logits (T, R, V) after each unless
// `logits` is null.
EXPORTED int charrnn_network_read(const void* handle, const void* expert, int threads, int steps,
                                  int rows, const std::int32_t* ids, float* states,
                                  std::int32_t* histories, float* logits) {
    const auto& network = *static_cast<const Network*>(handle);
    const auto* const joined = static_cast<const NgramExpert*>(expert);
    const Rows all{rows, states, histories};
    return for_row_shares(network, joined, threads, all, [&](Reader& reader, int begin, int) {
        for (std::ptrdiff_t t = 0; t < steps; ++t) {
            const std::ptrdiff_t at = t * rows + begin;
            reader.read(ids + at);
            if (logits) reader.predict(logits + at * network.weights.characters);
        }
    });
}

// Compute the nats (T, R) of targets (T, R), each the character after ids at the same index.
EXPORTED int charrnn_network_score(const void* handle, const void* expert, int threads, int steps,
                                   int rows, const std::int32_t* ids, const std::int32_t* targets,
                                   float* states, std::int32_t* histories, double* nats) {
    const auto& network = *static_cast<const Network*>(handle);
    const int characters = network.weights.characters;
    const auto* const joined = static_cast<const NgramExpert*>(expert);
    const Rows all{rows, states, histories};
    return for_row_shares(network, joined, threads, all, [&](Reader& reader, int begin, int end) {
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

// Draw `count` characters for each row: read the last one (R), predict, draw with the next of the
// row's uniforms (R, count), and repeat. Once a row's logits are not finite, its drawn (R, count)
// are -1.
EXPORTED int charrnn_network_draw(const void* handle, const void* expert, int threads, int count,
                                  int rows, double temperature, int top_k, double top_p,
                                  double min_p, const std::int32_t* last, const double* uniforms,
                                  float* states, std::int32_t* histories, std::int32_t* drawn) {
    const auto& network = *static_cast<const Network*>(handle);
    const int characters = network.weights.characters;
    const auto* const joined = static_cast<const NgramExpert*>(expert);
    const Rows all{rows, states, histories};
    return for_row_shares(network, joined, threads, all, [&](Reader& reader, int begin, int end) {
        std::vector<std::int32_t> ids(last + begin, last + end);
        std::vector<float> logits(ids.size() * characters);
        std::vector<char> lost(ids.size());
        Sampler sampler({temperature, top_k, top_p, min_p}, characters);
        for (int n = 0; n < count; ++n) {
            reader.read(ids.data());
            reader.predict(logits.data());
            for (std::size_t row = 0; row < ids.size(); ++row) {
                const std::ptrdiff_t at = std::ptrdiff_t(begin + row) * count + n;
                const float* own = logits.data() + row * characters;
                drawn[at] = lost[row] ? -1 : sampler.draw(own, uniforms[at]);
                lost[row] = drawn[at] < 0;
                ids[row] = lost[row] ? 0 : drawn[at];
            }
        }
    });
}
