// The gradient of a table whose rows were looked up by index.
#pragma once

#include <vector>

#include "thread_team.h"

namespace {

// Add row n of values (N, C) to row indices[n] of sums (R, C), for all n in order. Each row of sums
// belongs to one thread; they are split so that threads have about equally many values to add,
// unless one row gets most of them.
template <class Element>
void add_to_rows(const Place& place, int count, int columns, std::ptrdiff_t stride,
                 const Element* values, int rows, const std::int32_t* indices, float* sums) {
    std::vector<int> before(rows + 1);  // The number of values of all rows before each.
    for (int n = 0; n < count; ++n) ++before[indices[n] + 1];
    for (int row = 0; row < rows; ++row) before[row + 1] += before[row];
    const int begin = place.begin(count), end = place.end(count);
    std::vector<int> own;
    own.reserve(end - begin);
    for (int n = 0; n < count; ++n)
        if (before[indices[n]] >= begin && before[indices[n]] < end) own.push_back(n);
    for (std::size_t i = 0; i < own.size(); ++i) {
        float* sum = sums + std::ptrdiff_t(indices[own[i]]) * columns;
        const Element* value = values + own[i] * stride;
        // This thread's values are scattered, which the hardware prefetcher does not follow.
        const Element* next = values + own[i + 2 < own.size() ? i + 2 : i] * stride;
        for_blocks(columns, [&](int column, int lanes) {
            __builtin_prefetch(next + column);
            store(sum + column, load(sum + column, lanes) + load(value + column, lanes), lanes);
        });
    }
}

}  // namespace
