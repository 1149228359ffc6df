// Teams of threads that split one piece of work, and wait for one another without blocking shared
// cores.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <thread>
#include <vector>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif
#if !defined(_WIN32)
#include <unistd.h>
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

// A counter that threads wait for: for a short while on their core, then asleep.
class Signal {
  public:
    void advance() {
        value_.fetch_add(1, std::memory_order_acq_rel);
        value_.notify_all();
    }

    // Wait until the counter has another value than `seen`.
    void wait_while(std::uint32_t seen) const {
        wait_until([&] { return value_.load(std::memory_order_acquire) != seen; });
    }

    // Wait until a condition holds, which must have come true before the counter advances.
    template <class Condition>
    void wait_until(const Condition& condition) const {
        for (int spins = 0; spins < MOST_SPINS; ++spins) {
            if (condition()) return;
            relax();
        }
        while (true) {
            const std::uint32_t before = value_.load(std::memory_order_acquire);
            if (condition()) return;
            value_.wait(before, std::memory_order_acquire);
        }
    }

    std::uint32_t value() const { return value_.load(std::memory_order_relaxed); }

  private:
    static constexpr int MOST_SPINS = 10000;  // Some hundred microseconds.
    alignas(64) std::atomic<std::uint32_t> value_{0};
};

// A barrier for all threads of a team, and the items that they share until the next one.
class Barrier {
  public:
    void wait(int threads) {
        if (threads == 1) return;
        const std::uint32_t phase = phase_.value();
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads) {
            arrived_.store(0, std::memory_order_relaxed);
            taken_.store(0, std::memory_order_relaxed);
            phase_.advance();
        } else {
            phase_.wait_while(phase);
        }
    }

    // The next item, from 0.
    int take() { return taken_.fetch_add(1, std::memory_order_relaxed); }

  private:
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<int> taken_{0};
    Signal phase_;
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

    // Call work(item) for items that no other thread of the team has taken, so that one that is
    // held up takes fewer. Between two barriers threads can share the items of one loop.
    template <class Work>
    void share(int count, const Work& work) const {
        if (threads == 1)
            for (int item = 0; item < count; ++item) work(item);
        else
            for (int item = barrier.take(); item < count; item = barrier.take()) work(item);
    }
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

// Threads of this library's own, started when they are first wanted and kept.
//
// Each waits in a place of its own, for a short while on its core and then asleep, so that it costs
// nothing between two pieces of work. One piece of work has the pool at a time; one that comes
// meanwhile runs on the thread that brings it.
class Pool {
  public:
    // The pool of this process. After a fork the child has none of the threads: it gets a new one.
    static Pool& shared() {
        static std::atomic<Pool*> pool{nullptr};
        Pool* found = pool.load(std::memory_order_acquire);
        if (!found || found->process_ != process_id()) {
            // Never freed: its threads may still wait in it when the process ends.
            auto* fresh = new Pool;
            if (pool.compare_exchange_strong(found, fresh)) return *fresh;
            delete fresh;
        }
        return *pool.load(std::memory_order_acquire);
    }

    // Call body(thread, threads) on up to `wanted` threads, this one included, and wait for all.
    template <class Body>
    void run(int wanted, const Body& body) {
        if (wanted < 2 || taken_.test_and_set(std::memory_order_acquire)) return body(0, 1);
        start(wanted - 1);
        const int helpers = std::min(wanted - 1, static_cast<int>(turns_.size()));
        call_ = [](const void* data, int thread, int threads) {
            (*static_cast<const Body*>(data))(thread, threads);
        };
        data_ = &body;
        threads_ = helpers + 1;
        busy_.store(helpers, std::memory_order_relaxed);
        for (int n = 0; n < helpers; ++n) turns_[n]->advance();
        body(0, threads_);
        done_.wait_until([&] { return busy_.load(std::memory_order_acquire) == 0; });
        taken_.clear(std::memory_order_release);
    }

  private:
    Pool() : process_(process_id()) {}

    static long process_id() {
#if defined(_WIN32)
        return 0;
#else
        return getpid();
#endif
    }

    // Start threads until there are so many, or the system has no more.
    void start(int count) {
        while (static_cast<int>(turns_.size()) < count && !refused_) {
            try {
                auto turn = std::make_unique<Signal>();
                turns_.reserve(turns_.size() + 1);
                std::thread(&Pool::work, this, turn.get(), turns_.size() + 1).detach();
                turns_.push_back(std::move(turn));
            } catch (const std::exception&) {
                refused_ = true;
            }
        }
    }

    void work(const Signal* turn, std::size_t thread) {
        for (std::uint32_t seen = 0;; ++seen) {
            turn->wait_while(seen);
            call_(data_, static_cast<int>(thread), threads_);
            if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) done_.advance();
        }
    }

    const long process_;
    std::vector<std::unique_ptr<Signal>> turns_;  // One of each thread but the first.
    bool refused_ = false;
    std::atomic_flag taken_;
    void (*call_)(const void*, int, int) = nullptr;
    const void* data_ = nullptr;
    int threads_ = 1;
    alignas(64) std::atomic<int> busy_{0};
    Signal done_;
};

enum class Threads { OWN, SHARED };  // Those of the pool, or torch's where they can be shared.

// Run work(place) on up to `threads` threads, this one included, and rethrow what it throws.
template <Threads THREADS = Threads::SHARED, class Work>
void run_team(int threads, const Work& work) {
    Team<Work> team(work);
    if (THREADS == Threads::SHARED && threads > 1 && open_mp.parallel) {
        const auto body = [](void* data) {
            static_cast<Team<Work>*>(data)->run(open_mp.thread_number(), open_mp.thread_count());
        };
        open_mp.parallel(body, &team, static_cast<unsigned>(threads), 0);
    } else {
        Pool::shared().run(threads, [&team](int thread, int count) { team.run(thread, count); });
    }
    team.finish();
}

}  // namespace
