// Draws a character from filtered logits, as charrnn/inference/sampling.py defines it.
#pragma once

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <vector>

#include "simd.h"

namespace {

struct Filters {
    double temperature;
    int top_k;  // 0 keeps all.
    double top_p;
    double min_p;
};

constexpr int NOT_FINITE = -1;

// Draws characters, keeping its working memory from one to the next.
class Sampler {
  public:
    Sampler(const Filters& filters, int characters)
        : filters_(filters), weights_(characters), order_(characters) {}

    // Draw a character by a uniform number from [0, 1); NOT_FINITE if a logit is not finite.
    int draw(const float* logits, double uniform) {
        const int count = static_cast<int>(weights_.size());
        int best = 0;
        for (int n = 0; n < count; ++n) {
            if (!std::isfinite(logits[n])) return NOT_FINITE;
            if (logits[n] > logits[best]) best = n;
        }
        if (filters_.temperature < DBL_MIN) return best;
        exponentiate(logits, logits[best]);
        if (filters_.top_k > 0 && filters_.top_k < count) keep_top_k(filters_.top_k);
        if (filters_.top_p < 1) keep_top_p();
        if (filters_.min_p > 0) {
            const double least = filters_.min_p * *std::max_element(weights_.begin(), weights_.end());
            for (double& weight : weights_)
                if (weight < least) weight = 0;
        }
        return select(uniform);
    }

  private:
    // The weights are exponentials in float32, the precision of the logits.
    void exponentiate(const float* logits, double most) {
        float below[LANES];
        const int count = static_cast<int>(weights_.size());
        for (int begin = 0; begin < count; begin += LANES) {
            const int lanes = lanes_of(begin / LANES, count);
            for (int lane = 0; lane < lanes; ++lane)
                below[lane] =
                    static_cast<float>((logits[begin + lane] - most) / filters_.temperature);
            const Vec weights = exponential(load(below, lanes));
            for (int lane = 0; lane < lanes; ++lane) weights_[begin + lane] = weights[lane];
        }
    }

    // Orders characters by falling weight, equal ones by id.
    auto likelier() const {
        return [this](int a, int b) {
            return weights_[a] != weights_[b] ? weights_[a] > weights_[b] : a < b;
        };
    }

    void reset_order() {
        for (std::size_t n = 0; n < order_.size(); ++n) order_[n] = static_cast<int>(n);
    }

    void drop_from(std::size_t place) {
        for (; place < order_.size(); ++place) weights_[order_[place]] = 0;
    }

    void keep_top_k(int kept) {
        reset_order();
        std::nth_element(order_.begin(), order_.begin() + kept, order_.end(), likelier());
        drop_from(kept);
    }

    void keep_top_p() {
        reset_order();
        std::sort(order_.begin(), order_.end(), likelier());
        double total = 0, reached = 0;
        for (const int n : order_) total += weights_[n];
        std::size_t place = 0;
        while (place < order_.size() && reached < filters_.top_p * total)
            reached += weights_[order_[place++]];
        drop_from(std::max<std::size_t>(place, 1));
    }

    int select(double uniform) const {
        double total = 0, reached = 0;
        for (const double weight : weights_) total += weight;
        int last = 0;
        for (std::size_t n = 0; n < weights_.size(); ++n) {
            if (weights_[n] <= 0) continue;
            reached += weights_[n];
            last = static_cast<int>(n);
            if (reached > uniform * total) break;
        }
        return last;
    }

    Filters filters_;
    std::vector<double> weights_;
    std::vector<int> order_;
};

}  // namespace
