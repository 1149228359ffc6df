// Marks functions as callable from Python, and reports their failures.
#pragma once

#include <exception>

#if defined(_WIN32)
#define EXPORTED extern "C" __declspec(dllexport)
#else
#define EXPORTED extern "C" __attribute__((visibility("default")))
#endif

namespace {

// Return 1 if the work was done and 0 if memory ran out: no exception may reach Python.
template <class Work>
int succeeds(const Work& work) {
    try {
        work();
        return 1;
    } catch (const std::exception&) {
        return 0;
    }
}

}  // namespace
