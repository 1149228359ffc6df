// Threads that work on one thing together, and wait for one another without burning a shared core.
#pragma once

#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include "simd.h"

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

// What a team shares: its work, and what went wrong first.
template <class Work>
class Team {
  public:
    explicit Team(const Work& work) : work_(work) {}

    // One thread's part. What is thrown must not leave a thread: it is kept for `finish`. Work that
    // meets others throws nothing.
    void run(int thread, int threads) {
        const FlushDenormals flush;
        try {
            work_(Place{thread, threads, barrier_});
        } catch (...) {
            if (!failed_.test_and_set()) failure_ = std::current_exception();
        }
    }

    // To be called when all threads are done.
    void finish() const {
        if (failure_) std::rethrow_exception(failure_);
    }

  private:
    const Work& work_;
    Barrier barrier_;
    std::atomic_flag failed_;
    std::exception_ptr failure_;
};

// Threads that wait to be told how many they are: not all that are wanted may start.
class Helpers {
  public:
    template <class Body>
    Helpers(int wanted, const Body& body) {
        try {
            for (int thread = 1; thread <= wanted; ++thread)
                threads_.emplace_back([this, &body, thread] {
                    team_.wait(0, std::memory_order_acquire);
                    body(thread, team_.load(std::memory_order_acquire));
                });
        } catch (const std::exception&) {
            // The system has no more threads to give, or no memory for them.
        }
        team_.store(static_cast<int>(threads_.size()) + 1, std::memory_order_release);
        team_.notify_all();
    }
    ~Helpers() {
        for (std::thread& thread : threads_) thread.join();
    }

    int team() const { return team_.load(std::memory_order_relaxed); }

  private:
    std::atomic<int> team_{0};
    std::vector<std::thread> threads_;
};

// Run work(place) on up to that many threads at once, this one among them; throws what it threw.
template <class Work>
void together(int threads, const Work& work) {
    Team<Work> team(work);
    if (threads > 1 && open_mp.parallel) {
        const auto body = [](void* data) {
            static_cast<Team<Work>*>(data)->run(open_mp.thread_number(), open_mp.thread_count());
        };
        open_mp.parallel(body, &team, static_cast<unsigned>(threads), 0);
    } else {
        const auto body = [&team](int thread, int count) { team.run(thread, count); };
        const Helpers helpers(threads - 1, body);
        body(0, helpers.team());
    }
    team.finish();
}

}  // namespace
