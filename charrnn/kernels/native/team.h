// Threads that work on one thing together, and wait for one another without burning a shared core.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include "vectors.h"

namespace {

// GOMP_parallel of the OpenMP library that torch runs on, with what tells a thread its place there.
// Work that runs on torch's own threads does not compete with them for the cores: after a parallel
// operation they spin for some milliseconds.
struct OpenMP {
    void (*parallel)(void (*)(void*), void*, unsigned threads, unsigned flags);
    int (*thread_number)();
    int (*thread_count)();
};

OpenMP open_mp{};

inline void relax() {
#if defined(__SSE__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Numbers too small for their exponent cost a hundred times a normal one; here they become 0.
class FlushDenormals {
  public:
    FlushDenormals() {
#if defined(__SSE__)
        before_ = _mm_getcsr();
        _mm_setcsr(before_ | 0x8040);
#elif defined(__aarch64__)
        asm volatile("mrs %0, fpcr" : "=r"(before_));
        asm volatile("msr fpcr, %0" : : "r"(before_ | (1ull << 24)));
#endif
    }
    ~FlushDenormals() {
#if defined(__SSE__)
        _mm_setcsr(before_);
#elif defined(__aarch64__)
        asm volatile("msr fpcr, %0" : : "r"(before_));
#endif
    }

  private:
#if defined(__aarch64__)
    std::uint64_t before_ = 0;
#else
    unsigned before_ = 0;
#endif
};

// Where all threads of a team meet. A thread that waits for long gives its core away.
class Barrier {
  public:
    void wait(int threads) {
        if (threads == 1) return;
        const std::uint32_t phase = phase_.load(std::memory_order_relaxed);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads) {
            arrived_.store(0, std::memory_order_relaxed);
            phase_.store(phase + 1, std::memory_order_release);
            phase_.notify_all();
            return;
        }
        for (int spins = 0; spins < MOST_SPINS; ++spins) {
            if (phase_.load(std::memory_order_acquire) != phase) return;
            relax();
        }
        phase_.wait(phase, std::memory_order_acquire);
    }

  private:
    static constexpr int MOST_SPINS = 2000;  // Some tens of microseconds.
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<std::uint32_t> phase_{0};
};

// One thread's place in its team.
struct Place {
    int thread;
    int threads;
    Barrier& barrier;

    void meet() const { barrier.wait(threads); }

    // This thread's share of `count` things: [begin, end).
    int begin(int count) const { return part(count, thread, threads); }
    int end(int count) const { return part(count, thread + 1, threads); }
};

// Run work(place) on a number of threads at once, this one among them.
template <class Work>
void together(int threads, const Work& work) {
    struct Shared {
        const Work& work;
        Barrier barrier;
    } shared{work, {}};
    if (threads > 1 && open_mp.parallel) {
        const auto body = [](void* data) {
            Shared& all = *static_cast<Shared*>(data);
            const FlushDenormals flush;
            all.work(Place{open_mp.thread_number(), open_mp.thread_count(), all.barrier});
        };
        open_mp.parallel(body, &shared, static_cast<unsigned>(threads), 0);
        return;
    }
    const auto body = [&shared, threads](int thread) {
        const FlushDenormals flush;
        shared.work(Place{thread, threads, shared.barrier});
    };
    std::vector<std::thread> others;
    for (int thread = 1; thread < threads; ++thread) others.emplace_back(body, thread);
    body(0);
    for (std::thread& other : others) other.join();
}

}  // namespace
