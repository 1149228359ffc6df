// The gradient of a table whose rows were looked up by index.
#pragma once

#include "thread_team.h"

namespace {

// Add row n of values (N, C) to row indices[n] of sums, whose rows are C apart, for all n in order.
// Threads split the columns.
template <class Element>
void add_to_rows(const Place& place, int count, int columns, const Element* values,
                 std::ptrdiff_t stride, const std::int32_t* indices, float* sums) {
    const int begin = place.begin(blocks_of(columns)), end = place.end(blocks_of(columns));
    for (int n = 0; n < count; ++n) {
        float* const sum = sums + std::ptrdiff_t(indices[n]) * columns;
        const Element* const value = values + n * stride;
        for (int block = begin; block < end; ++block) {
            const int at = block * LANES, lanes = lanes_of(block, columns);
            store(sum + at, load(sum + at, lanes) + load(value + at, lanes), lanes);
        }
    }
}

}  // namespace
