// How a function is marked that Python calls, and how it says that it failed.
#pragma once

#include <exception>

#if defined(_WIN32)
#define EXPORTED extern "C" __declspec(dllexport)
#else
#define EXPORTED extern "C" __attribute__((visibility("default")))
#endif

namespace {

// Nothing may be thrown into Python: 1 if the work was done, 0 if there was no memory for it.
template <class Work>
int done(const Work& work) {
    try {
        work();
        return 1;
    } catch (const std::exception&) {
        return 0;
    }
}

}  // namespace
