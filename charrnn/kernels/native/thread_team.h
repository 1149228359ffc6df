// Teams of threads that split one piece of work, and wait for one another without blocking shared
// cores.
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

// GOMP_parallel of the OpenMP library that torch uses, with its functions for a thread's number and
// the team's size. Work on torch's own threads does not compete with them for the cores: after a
// parallel operation they spin for some milliseconds.
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

// Arithmetic on denormal numbers takes a hundred times as long; in this scope they are flushed to
// 0.
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

// A barrier for all threads of a team. A thread that waits long gives up its core.
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
    static constexpr int MOST_SPINS = 2000;  // Tens of microseconds.
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<std::uint32_t> phase_{0};
};

// One thread's place in its team.
struct Place {
    int thread;
    int threads;
    Barrier& barrier;

    void synchronize() const { barrier.wait(threads); }

    // This thread's share [begin, end) of `count` items.
    int begin(int count) const { return part(count, thread, threads); }
    int end(int count) const { return part(count, thread + 1, threads); }
};

// The work of a team, and the first exception that it threw.
template <class Work>
class Team {
  public:
    explicit Team(const Work& work) : work_(work) {}

    // Run one thread's part. An exception must not leave the thread: it is kept for `finish`. Work
    // that synchronizes must not throw, as the other threads would wait forever.
    void run(int thread, int threads) {
        const FlushDenormals flush;
        try {
            work_(Place{thread, threads, barrier_});
        } catch (...) {
            if (!failed_.test_and_set()) failure_ = std::current_exception();
        }
    }

    // Rethrow what was thrown, once all threads are done.
    void finish() const {
        if (failure_) std::rethrow_exception(failure_);
    }

  private:
    const Work& work_;
    Barrier barrier_;
    std::atomic_flag failed_;
    std::exception_ptr failure_;
};

// Threads that wait until the team's size is known: the system may start fewer than are wanted.
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
            // The system has no more threads, or no memory for them.
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

// Run work(place) on up to `threads` threads, this one included, and rethrow what it throws.
template <class Work>
void run_team(int threads, const Work& work) {
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
