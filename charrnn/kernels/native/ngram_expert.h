// An n-gram expert: a network's logits joined with the logarithms of n-gram probabilities.
//
//   logits = a_k network's logits + b_k log P         k is the highest order whose context was seen
//
// a (K) and b (K) are learnt. The contexts of a row follow from the last K - 1 characters that it
// has read, its history (R, K - 1), the oldest first, below 0 where there was none.
#pragma once

#include "network.h"
#include "ngrams.h"

namespace {

struct NgramExpert {
    Ngrams ngrams;
    std::vector<float> of_network, of_ngrams;  // a and b

    int history() const { return ngrams.orders() - 1; }
};

// Reads rows through a network, and joins its predictions with those of an expert.
class JoinedReader final : public Reader {
  public:
    // The histories of the rows are updated in place.
    JoinedReader(const NgramExpert& expert, std::unique_ptr<Reader> network, int rows,
                 std::int32_t* histories)
        : expert_(expert), ngrams_(expert.ngrams), network_(std::move(network)), rows_(rows),
          histories_(histories), contexts_(std::size_t(rows) * ngrams_.orders()),
          probabilities_(ngrams_.characters) {
        for (int row = 0; row < rows; ++row) {
            ngrams_.begin(contexts(row));
            for (int n = 0; n < expert_.history(); ++n)
                ngrams_.follow(contexts(row), history(row)[n]);
        }
    }

    void read(const std::int32_t* ids) override {
        for (int row = 0; row < rows_; ++row) {
            ngrams_.follow(contexts(row), ids[row]);
            if (expert_.history() == 0) continue;
            std::copy(history(row) + 1, history(row) + expert_.history(), history(row));
            history(row)[expert_.history() - 1] = ids[row];
        }
        network_->read(ids);
    }

    void predict(float* logits) override {
        network_->predict(logits);
        for (int row = 0; row < rows_; ++row) {
            const int order = ngrams_.predict(contexts(row), probabilities_.data());
            const float a = expert_.of_network[order], b = expert_.of_ngrams[order];
            float* const own = logits + std::ptrdiff_t(row) * ngrams_.characters;
            for_blocks(ngrams_.characters, [&](int n, int lanes) {
                const Vec logs = logarithm(load(probabilities_.data() + n, lanes));
                store(own + n, a * load(own + n, lanes) + b * logs, lanes);
            });
        }
    }

  private:
    std::int32_t* contexts(int row) { return contexts_.data() + std::ptrdiff_t(row) * ngrams_.orders(); }
    std::int32_t* history(int row) { return histories_ + std::ptrdiff_t(row) * expert_.history(); }

    const NgramExpert& expert_;
    const Ngrams& ngrams_;
    const std::unique_ptr<Reader> network_;
    const int rows_;
    std::int32_t* const histories_;
    std::vector<std::int32_t> contexts_;
    std::vector<float> probabilities_;
};

}  // namespace
