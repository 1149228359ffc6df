// Calls functions of the native library as a process on another machine asks; emulator.py writes
// the requests to the standard input and reads the answers.
//
//   'w' address size bytes    keep an array under the address that it has over there
//   'r' address               answer with its bytes
//   'c' function arguments    call a function; answer with what it returns, 8 bytes
//
// A pointer is passed as a count and values: 0 and an array's address; -1 and a value that this
// process returned, or null; or else a table of so many arrays, 0 for null.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <vector>

namespace {

std::unordered_map<std::uint64_t, std::vector<char>> arrays;
std::list<std::vector<void*>> tables;  // Kept, since a function may keep their addresses.

void read_bytes(void* to, std::size_t size) {
    if (std::fread(to, 1, size, stdin) != size) std::exit(0);
}

template <class Value>
Value read() {
    if constexpr (std::is_pointer_v<Value>) {
        const auto count = read<std::int64_t>();
        if (count < 0) return reinterpret_cast<Value>(read<std::uint64_t>());
        if (count == 0) return arrays.at(read<std::uint64_t>()).data();
        auto& table = tables.emplace_back(count);
        for (void*& entry : table) {
            const auto address = read<std::uint64_t>();
            entry = address ? arrays.at(address).data() : nullptr;
        }
        return table.data();
    } else {
        Value value;
        read_bytes(&value, sizeof value);
        return value;
    }
}

template <class Result, class... Arguments>
std::uint64_t call(Result (*function)(Arguments...)) {
    const std::tuple<Arguments...> arguments{read<Arguments>()...};
    if constexpr (std::is_void_v<Result>) {
        std::apply(function, arguments);
        return 1;
    } else {
        return (std::uint64_t)std::apply(function, arguments);
    }
}

}  // namespace

#include "functions.h"  // Declares the functions and lists their calls; emulator.py writes it.

int main() {
    for (;;) {
        const char request = read<char>();
        if (request == 'c') {
            const std::uint64_t result = FUNCTIONS[read<std::int32_t>()]();
            std::fwrite(&result, sizeof result, 1, stdout);
        } else {
            std::vector<char>& array = arrays[read<std::uint64_t>()];
            if (request == 'w') {
                array.resize(read<std::uint64_t>());
                read_bytes(array.data(), array.size());
            } else {
                std::fwrite(array.data(), 1, array.size(), stdout);
            }
        }
        std::fflush(stdout);
    }
}
