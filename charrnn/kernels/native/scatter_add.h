// The way back from rows that were looked up in a table.
#pragma once

#include <vector>

#include "thread_team.h"

namespace {

// Add each row of values (N, C) to the row of sums (R, C) that it was taken from, in their order.
// Threads share the rows of sums, so that each has about as many values to add where none is most of
// them: a row of sums is one thread's.
template <class Element>
void add_to_rows(const Place& place, int count, int columns, std::ptrdiff_t stride,
                 const Element* values, int rows, const std::int32_t* chosen, float* sums) {
    std::vector<int> before(rows + 1);  // How many values belong to the rows before each.
    for (int n = 0; n < count; ++n) ++before[chosen[n] + 1];
    for (int row = 0; row < rows; ++row) before[row + 1] += before[row];
    const int begin = place.begin(count), end = place.end(count);
    std::vector<int> own;
    own.reserve(end - begin);
    for (int n = 0; n < count; ++n)
        if (before[chosen[n]] >= begin && before[chosen[n]] < end) own.push_back(n);
    for (std::size_t i = 0; i < own.size(); ++i) {
        float* sum = sums + std::ptrdiff_t(chosen[own[i]]) * columns;
        const Element* value = values + own[i] * stride;
        // What is this thread's lies scattered, which the processor does not foresee.
        const Element* next = values + own[i + 2 < own.size() ? i + 2 : i] * stride;
        for_blocks(columns, [&](int column, int lanes) {
            __builtin_prefetch(next + column);
            store(sum + column, load(sum + column, lanes) + load(value + column, lanes), lanes);
        });
    }
}

}  // namespace
