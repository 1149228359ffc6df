// Logits -> filtered distribution -> a character, as charrnn/inference/sampling.py defines it.
#pragma once

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <vector>

#include "simd.h"

namespace {

struct Filters {
    double temperature;
    int top_k;  // 0 is all.
    double top_p;
    double min_p;
};

constexpr int NOT_FINITE = -1;

// What drawing needs besides the logits, kept from one character to the next.
class Drawer {
  public:
    Drawer(const Filters& filters, int characters)
        : filters_(filters), weights_(characters), order_(characters) {}

    // The character that a uniform number from [0, 1) falls on, or NOT_FINITE.
    int draw(const float* logits, double uniform) {
        const int count = static_cast<int>(weights_.size());
        int best = 0;
        for (int n = 0; n < count; ++n) {
            if (!std::isfinite(logits[n])) return NOT_FINITE;
            if (logits[n] > logits[best]) best = n;
        }
        if (filters_.temperature < DBL_MIN) return best;
        weigh(logits, logits[best]);
        if (filters_.top_k > 0 && filters_.top_k < count) keep_likeliest(filters_.top_k);
        if (filters_.top_p < 1) keep_nucleus();
        if (filters_.min_p > 0) {
            const double least = filters_.min_p * *std::max_element(weights_.begin(), weights_.end());
            for (double& weight : weights_)
                if (weight < least) weight = 0;
        }
        return fall(uniform);
    }

  private:
    // Exponentials are as precise as the logits are.
    void weigh(const float* logits, double most) {
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

    // Likelier characters first, and of equals the first.
    auto likelier() const {
        return [this](int a, int b) {
            return weights_[a] != weights_[b] ? weights_[a] > weights_[b] : a < b;
        };
    }

    void number() {
        for (std::size_t n = 0; n < order_.size(); ++n) order_[n] = static_cast<int>(n);
    }

    void drop_from(std::size_t place) {
        for (; place < order_.size(); ++place) weights_[order_[place]] = 0;
    }

    void keep_likeliest(int kept) {
        number();
        std::nth_element(order_.begin(), order_.begin() + kept, order_.end(), likelier());
        drop_from(kept);
    }

    void keep_nucleus() {
        number();
        std::sort(order_.begin(), order_.end(), likelier());
        double total = 0, reached = 0;
        for (const int n : order_) total += weights_[n];
        std::size_t place = 0;
        while (place < order_.size() && reached < filters_.top_p * total)
            reached += weights_[order_[place++]];
        drop_from(std::max<std::size_t>(place, 1));
    }

    int fall(double uniform) const {
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
