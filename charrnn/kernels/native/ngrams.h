// The n-grams of a text: which strings occur in it, and the predictions that follow from how often.
//
//   K orders, V characters; the contexts of a place are K numbers, one for each order, or UNSEEN
//   begins (contexts + 1), totals (contexts), characters and counts (strings) of each order
//
// charrnn/data/ngrams.py states what is counted, and how an order falls back on the one below.
#pragma once

#include <algorithm>
#include <vector>

#include "simd.h"

namespace {

constexpr std::int32_t UNSEEN = -1;
constexpr float LEAST_PROBABILITY = 1e-30f;

// The strings of one order.
struct Strings {
    const std::int32_t *begins, *characters, *counts, *totals;

    // Find the string of a character after a context.
    std::int32_t find(std::int32_t context, std::int32_t character) const {
        if (context < 0) return UNSEEN;
        const std::int32_t *const first = characters + begins[context],
                           *const last = characters + begins[context + 1];
        const std::int32_t* const found = std::lower_bound(first, last, character);
        return found != last && *found == character ? std::int32_t(found - characters) : UNSEEN;
    }
};

class Ngrams {
  public:
    Ngrams(int characters, std::vector<Strings> strings)
        : characters(characters), strings_(std::move(strings)) {}

    int orders() const { return static_cast<int>(strings_.size()); }

    // The contexts where nothing has been read.
    void begin(std::int32_t* contexts) const {
        std::fill_n(contexts, orders(), UNSEEN);
        contexts[0] = 0;
    }

    // Go on from the contexts before a character to those after it.
    void follow(std::int32_t* contexts, std::int32_t character) const {
        for (int order = orders() - 1; order > 0; --order) {
            contexts[order] = strings_[order - 1].find(contexts[order - 1], character);
            if (contexts[order] < 0) continue;
            // They are needed after the network's products.
            const Strings& own = strings_[order];
            __builtin_prefetch(own.begins + contexts[order]);
            __builtin_prefetch(own.totals + contexts[order]);
        }
    }

    // Compute the probabilities (V) of the next character; return the highest order that was seen.
    //
    // From the highest order down, each adds its part and leaves a share to those below.
    int predict(const std::int32_t* contexts, float* probabilities) const {
        std::fill_n(probabilities, characters, 0.0f);
        int highest = 0;
        float share = 1.0f;
        for (int order = orders() - 1; order >= 0; --order) {
            const std::int32_t context = contexts[order];
            if (context < 0) continue;
            const Strings& own = strings_[order];
            const std::int32_t first = own.begins[context], last = own.begins[context + 1];
            if (first == last) continue;
            highest = std::max(highest, order);
            const std::int32_t total = own.totals[context];
            const float of_each = share / static_cast<float>(total);
            std::int32_t kept = 0;
            for (std::int32_t string = first; string < last; ++string) {
                probabilities[own.characters[string]] +=
                    static_cast<float>(own.counts[string]) * of_each;
                kept += own.counts[string];
            }
            share = static_cast<float>(total - kept) * of_each;
        }
        const float of_each = share / static_cast<float>(characters);
        for_blocks(characters, [&](int n, int lanes) {
            const Vec sum = load(probabilities + n, lanes) + of_each;
            store(probabilities + n, at_least(sum, splat(LEAST_PROBABILITY)), lanes);
        });
        return highest;
    }

    const int characters;

  private:
    std::vector<Strings> strings_;
};

}  // namespace
