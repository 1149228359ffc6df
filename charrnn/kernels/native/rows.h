// The way back from rows that were looked up in a table.
#pragma once

#include "recurrence.h"

namespace {

// Add each row of values (N, C) to the row of sums (R, C) that it was taken from. Threads share the
// columns, so that every sum is made in the order of the rows.
template <class Element>
void add_to_rows(const Place& place, std::ptrdiff_t count, int columns, std::ptrdiff_t stride,
                 const Element* values, const std::int32_t* chosen, float* sums) {
    const int blocks = blocks_of(columns);
    const int begin = place.begin(blocks) * LANES;
    const int end = place.end(blocks) * LANES < columns ? place.end(blocks) * LANES : columns;
    for (std::ptrdiff_t n = 0; n < count; ++n) {
        float* sum = sums + std::ptrdiff_t(chosen[n]) * columns;
        const Element* value = values + n * stride;
        for (int column = begin; column < end; column += LANES) {
            const int lanes = end - column < LANES ? end - column : LANES;
            store(sum + column, load(sum + column, lanes) + load(value + column, lanes), lanes);
        }
    }
}

}  // namespace
