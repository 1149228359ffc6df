// The functions that Python calls for training, over plain addresses. The caller owns all arrays.
//
// `precision` is 0 for float32 and 1 for bfloat16, of products and of their operands; recurrence.h
// states the shapes. Every function fills its output arrays and returns 1, or 0 if memory ran out.

#include "cross_entropy.h"
#include "export.h"
#include "gru.h"
#include "layer_norm.h"
#include "lstm.h"
#include "scatter_add.h"

namespace {

template <class Work>
int with_precision(int precision, const Work& work) {
    return succeeds([&] { precision ? work(Bfloat16{}) : work(Float32{}); });
}

template <class P>
Inputs<P> inputs_of(const void* values, const std::int32_t* indices, int width) {
    return {static_cast<const typename P::Element*>(values), indices, width};
}

template <class P, Gates GATES>
void lstm_forward(int threads, const Shape& shape, const void* inputs, const std::int32_t* indices,
                  const float* weights, void* outputs, float* memory, void* saved) {
    using Cell = LSTM<P, GATES>;
    GatePanels<P> panels(weights, shape.units, Cell::G);
    run_team(threads, [&](const Place& place) {
        const Part part(place, shape, panels.bytes());
        panels.fill(part);
        part.run([&](const Place& own, const Shape& piece) {
            Cell::forward(own, piece, inputs_of<P>(inputs, indices, Cell::G * shape.units), panels,
                          static_cast<typename P::Element*>(outputs), memory,
                          static_cast<typename P::Saved*>(saved));
        });
    });
}

template <class P, Gates GATES>
void lstm_backward(int threads, const Shape& shape, const float* weights, const float* memory,
                   const void* saved, const void* output_gradients, void* gradients,
                   float* h_gradient, float* c_gradient) {
    using Cell = LSTM<P, GATES>;
    using Element = typename P::Element;
    UnitPanels<P> panels(weights, Cell::G * shape.units, shape.units);
    auto* to = static_cast<Element*>(gradients);
    clear_padding(to, shape.row(shape.steps, 0), Cell::G * shape.units);
    run_team(threads, [&](const Place& place) {
        const Part part(place, shape, panels.bytes());
        panels.fill(part);
        part.run([&](const Place& own, const Shape& piece) {
            Cell::backward(own, piece, panels, memory,
                           static_cast<const typename P::Saved*>(saved),
                           static_cast<const Element*>(output_gradients), to, h_gradient, c_gradient);
        });
    });
}

template <class Work>
void with_gates(int gates, const Work& work) {
    if (gates == 0) work(std::integral_constant<Gates, Gates::SEPARATE>{});
    if (gates == 1) work(std::integral_constant<Gates, Gates::COUPLED>{});
    if (gates == 2) work(std::integral_constant<Gates, Gates::CAPPED>{});
}

}  // namespace

// Run on the threads of the OpenMP library with these functions; null: start own threads.
EXPORTED void charrnn_use_openmp(void* parallel, void* thread_number, void* thread_count) {
    open_mp.parallel = reinterpret_cast<decltype(open_mp.parallel)>(parallel);
    open_mp.thread_number = reinterpret_cast<decltype(open_mp.thread_number)>(thread_number);
    open_mp.thread_count = reinterpret_cast<decltype(open_mp.thread_count)>(thread_count);
}

EXPORTED int charrnn_lstm_forward(int precision, int gates, int threads, int steps, int rows,
                                   int units, const void* inputs, const std::int32_t* indices,
                                   const float* weights, void* outputs, float* memory,
                                   void* saved) {
    return with_precision(precision, [&](auto p) {
        with_gates(gates, [&](auto g) {
            lstm_forward<decltype(p), g.value>(threads, {steps, rows, units}, inputs, indices,
                                               weights, outputs, memory, saved);
        });
    });
}

EXPORTED int charrnn_lstm_backward(int precision, int gates, int threads, int steps, int rows,
                                    int units, const float* weights, const float* memory,
                                    const void* saved, const void* output_gradients,
                                    void* gradients, float* h_gradient, float* c_gradient) {
    return with_precision(precision, [&](auto p) {
        with_gates(gates, [&](auto g) {
            lstm_backward<decltype(p), g.value>(threads, {steps, rows, units}, weights, memory,
                                                saved, output_gradients, gradients, h_gradient,
                                                c_gradient);
        });
    });
}

EXPORTED int charrnn_gru_after_forward(int precision, int threads, int steps, int rows, int units,
                                        const void* inputs, const std::int32_t* indices,
                                        const float* weights, const float* candidate_bias,
                                        void* outputs, float* memory, void* saved) {
    return with_precision(precision, [&](auto p) {
        using P = decltype(p);
        GatePanels<P> panels(weights, units, 3);
        run_team(threads, [&](const Place& place) {
            const Part part(place, {steps, rows, units}, panels.bytes());
            panels.fill(part);
            part.run([&](const Place& own, const Shape& piece) {
                GRUAfter<P>::forward(own, piece, inputs_of<P>(inputs, indices, 3 * units), panels,
                                     candidate_bias, static_cast<typename P::Element*>(outputs),
                                     memory, static_cast<typename P::Saved*>(saved));
            });
        });
    });
}

EXPORTED int charrnn_gru_after_backward(int precision, int threads, int steps, int rows, int units,
                                         const float* weights, const float* memory,
                                         const void* saved, const void* output_gradients,
                                         void* gradients, void* product_gradients,
                                         float* h_gradient) {
    return with_precision(precision, [&](auto p) {
        using P = decltype(p);
        using Element = typename P::Element;
        UnitPanels<P> panels(weights, 3 * units, units);
        auto* inner = static_cast<Element*>(product_gradients);
        const Shape shape{steps, rows, units};
        clear_padding(inner, shape.row(steps, 0), 3 * units);
        run_team(threads, [&](const Place& place) {
            const Part part(place, shape, panels.bytes());
            panels.fill(part);
            part.run([&](const Place& own, const Shape& piece) {
                GRUAfter<P>::backward(own, piece, panels, memory,
                                      static_cast<const typename P::Saved*>(saved),
                                      static_cast<const Element*>(output_gradients),
                                      static_cast<Element*>(gradients), inner, h_gradient);
            });
        });
    });
}

EXPORTED int charrnn_gru_before_forward(int precision, int threads, int steps, int rows, int units,
                                         const void* inputs, const std::int32_t* indices,
                                         const float* weights, void* outputs, void* reset,
                                         float* memory, void* saved) {
    return with_precision(precision, [&](auto p) {
        using P = decltype(p);
        using Element = typename P::Element;
        GatePanels<P> gates(weights, units, 2);
        GatePanels<P> candidate(weights + 2 * std::ptrdiff_t(units) * units, units, 1);
        const auto update = allocate<float>(std::size_t(rows) * units);
        const Shape shape{steps, rows, units};
        auto* after_reset = static_cast<Element*>(reset);
        clear_padding(after_reset, saved ? shape.row(steps, 0) : rows, units);
        run_team(threads, [&](const Place& place) {
            const Part part(place, shape, gates.bytes() + candidate.bytes());
            gates.fill(part);
            candidate.fill(part);
            part.run([&](const Place& own, const Shape& piece) {
                GRUBefore<P>::forward(own, piece, inputs_of<P>(inputs, indices, 3 * units), gates,
                                      candidate, static_cast<Element*>(outputs), after_reset,
                                      memory, update.get(),
                                      static_cast<typename P::Saved*>(saved));
            });
        });
    });
}

EXPORTED int charrnn_gru_before_backward(int precision, int threads, int steps, int rows, int units,
                                          const float* weights, const float* memory,
                                          const void* saved, const void* output_gradients,
                                          void* gradients, float* h_gradient) {
    return with_precision(precision, [&](auto p) {
        using P = decltype(p);
        using Element = typename P::Element;
        UnitPanels<P> gates(weights, 2 * units, units);
        UnitPanels<P> candidate(weights + 2 * std::ptrdiff_t(units) * units, units, units);
        const auto candidate_gradients = allocate<Element>(std::size_t(rows) * even(units));
        clear_padding(candidate_gradients.get(), rows, units);
        run_team(threads, [&](const Place& place) {
            const Part part(place, {steps, rows, units}, gates.bytes() + candidate.bytes());
            gates.fill(part);
            candidate.fill(part);
            part.run([&](const Place& own, const Shape& piece) {
                GRUBefore<P>::backward(own, piece, gates, candidate, memory,
                                       static_cast<const typename P::Saved*>(saved),
                                       static_cast<const Element*>(output_gradients),
                                       static_cast<Element*>(gradients), candidate_gradients.get(),
                                       h_gradient);
            });
        });
    });
}

EXPORTED int charrnn_add_to_rows(int precision, int threads, int count, int columns,
                                  std::int64_t stride, const void* values,
                                  const std::int32_t* indices, float* sums) {
    return with_precision(precision, [&](auto p) {
        using Element = typename decltype(p)::Element;
        run_team(threads, [&](const Place& place) {
            add_to_rows(place, count, columns, static_cast<const Element*>(values), stride, indices,
                        sums);
        });
    });
}

EXPORTED int charrnn_norm_forward(int precision, int threads, int count, int batch, int units,
                                   std::int64_t stride, const void* x, const float* gain,
                                   const float* shift, const float* masks, void* y, void* moments) {
    return with_precision(precision, [&](auto p) {
        using Element = typename decltype(p)::Element;
        run_team(threads, [&](const Place& place) {
            normalize(place, {count, stride, batch, units, units}, static_cast<const Element*>(x),
                      {gain, shift, masks}, static_cast<Element*>(y),
                      static_cast<Moments*>(moments));
        });
    });
}

EXPORTED int charrnn_norm_backward(int precision, int threads, int count, int batch, int units,
                                    std::int64_t stride, const void* x, const float* gain,
                                    const float* masks, const void* moments, const void* dy,
                                    void* dx, float* gain_gradient, float* shift_gradient) {
    return with_precision(precision, [&](auto p) {
        using Element = typename decltype(p)::Element;
        const auto sums = allocate<float>(2 * std::size_t(threads) * units);
        run_team(threads, [&](const Place& place) {
            normalize_backward(place, {count, stride, batch, units, units}, static_cast<const Element*>(x),
                               {gain, nullptr, masks}, static_cast<const Moments*>(moments),
                               static_cast<const Element*>(dy), static_cast<Element*>(dx),
                               threads, sums.get(), gain_gradient, shift_gradient);
        });
    });
}

EXPORTED int charrnn_cross_entropy(int precision, int threads, int count, int characters,
                                    float weight, const void* logits, const std::int32_t* targets,
                                    double* nats, void* gradients) {
    return with_precision(precision, [&](auto p) {
        using Element = typename decltype(p)::Element;
        const auto room = allocate<float>(threads * exponentials_of(characters));
        run_team(threads, [&](const Place& place) {
            cross_entropy(place, count, characters, weight, static_cast<const Element*>(logits),
                          targets, nats, static_cast<Element*>(gradients), room.get());
        });
    });
}

// The version of this interface, which Python compares; raised whenever arguments or arrays change.
EXPORTED int charrnn_interface() { return 9; }

// Return 1 if this processor can run the build of that name.
EXPORTED int charrnn_supports(const char* build) {
    const auto is = [build](const char* name) { return std::strcmp(build, name) == 0; };
    if (is("baseline")) return 1;
#if defined(__x86_64__) || defined(__i386__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("avx512dq");
    if (is("avx2")) return avx2;
    if (is("avx512")) return avx512;
    if (is("avx512bf16")) return avx512 && __builtin_cpu_supports("avx512bf16");
#endif
    return 0;
}
