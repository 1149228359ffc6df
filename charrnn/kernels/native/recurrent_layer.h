// A recurrent layer in training: its arrays of a window, its recurrence and its weights' gradients,
// the same for every cell.
#pragma once

#include "gru.h"
#include "lstm.h"
#include "matrix_product.h"
#include "rnn.h"

namespace {

// A layer's parameters, or their gradients. `candidate` is null but for a GRU with the reset after
// the product, `gain` and `shift` without layer normalization.
template <class Number>
struct LayerParameters {
    Number* input;      // (G * H, D)
    Number* recurrent;  // (G * H, H)
    Number* bias;       // (G * H)
    Number* candidate;  // (H)
    Number* gain;       // (H)
    Number* shift;      // (H)
};

// Arrays of one layer after another on the way back, and room for their products.
template <class P>
struct BackwardArrays {
    using Element = typename P::Element;

    BackwardArrays(const Shape& most, int gates, bool has_products, int most_left, int most_right)
        : gradients(allocate_zeros<Element>(most.row(most.steps, 0) * even(gates))),
          products(allocate_zeros<Element>(has_products ? most.row(most.steps, 0) * even(gates) : 0)),
          candidate(allocate_zeros<Element>(std::size_t(most.rows) * even(most.units))),
          h(allocate<float>(std::size_t(most.rows) * most.units)),
          c(allocate<float>(std::size_t(most.rows) * most.units)),
          column_sums(allocate<float>(gates)),
          outer(most.row(most.steps, 0), most_left, most_right) {}

    Buffer<Element> gradients;  // Of the projected inputs, (T, B, G * H rounded up to even).
    Buffer<Element> products;   // Of the products with the state, where they differ.
    Buffer<Element> candidate;
    Buffer<float> h, c;  // Of the state between two steps.
    Buffer<float> column_sums;
    OuterProducts<P> outer;
};

template <class P>
class RecurrentLayer {
  public:
    using Element = typename P::Element;
    using Saved = typename P::Saved;

    RecurrentLayer(const Shape& most, int products, int saved)
        : gates(products * most.units),
          outputs(allocate_zeros<Element>(most.row(most.steps + 1, 0) * even(most.units))),
          memory(allocate<float>(most.row(most.steps + 1, 0) * most.units)),
          saved(allocate<Saved>(most.row(most.steps, 0) * saved * most.units)) {}
    virtual ~RecurrentLayer() = default;

    virtual int parts() const { return 1; }  // Of the state: h, or h and c.

    // True if the products with the state have other gradients than the inputs.
    virtual bool has_products() const { return false; }

    virtual void forward(const Place&, const Shape&, const Inputs<P>&) = 0;

    // Compute the gradients of the projected inputs from those of the outputs (T, B, H).
    virtual void backward(const Place&, const Shape&, const Element* output_gradients,
                          BackwardArrays<P>&) = 0;

    // Compute the gradients of the weights. The layer's inputs are `x` (T, B, D), or null if they
    // were looked up; then the recurrent weights alone get theirs.
    virtual void sum_gradients(const Place& place, const Shape& shape, const LeftRows<P>* x,
                               float* to_bias, const LayerParameters<float>& to,
                               BackwardArrays<P>& arrays) {
        const auto sum = [&](std::initializer_list<LeftRows<P>> left) {
            arrays.outer.add_up(place, shape.steps * shape.rows, left, arrays.gradients.get(),
                                even(gates), gates, to_bias);
        };
        const LeftRows<P> past = this->past(shape, to.recurrent);
        x ? sum({past, *x}) : sum({past});
    }

    const int gates;          // G * H
    Buffer<Element> outputs;  // (T + 1, B, H rounded up to even); index 0 is the initial state.
    Buffer<float> memory;     // (T + 1, B, H)
    Buffer<Saved> saved;      // (T, B, S * H)

  protected:
    LeftRows<P> past(const Shape& shape, float* to) const {
        return {outputs.get(), even(shape.units), shape.units, to};
    }

    static void clear(const Place& place, const Shape& shape, float* state) {
        const std::ptrdiff_t units = shape.units;
        std::fill(state + place.begin(shape.rows) * units, state + place.end(shape.rows) * units,
                  0.0f);
    }
};

template <class P, Gates GATES>
class LSTMLayer final : public RecurrentLayer<P> {
  public:
    using Cell = LSTM<P, GATES>;
    static constexpr int G = Cell::G, SAVED = 4;

    LSTMLayer(const Shape& most, const LayerParameters<const float>& own)
        : RecurrentLayer<P>(most, G, SAVED), forward_(own.recurrent, most.units, G),
          backward_(own.recurrent, G * most.units, most.units) {}

    int parts() const override { return 2; }

    void forward(const Place& place, const Shape& shape, const Inputs<P>& inputs) override {
        const Part part(place, shape, forward_.bytes());
        forward_.fill(part);
        part.run([&](const Place& own, const Shape& rows) {
            Cell::forward(own, rows, inputs, forward_, this->outputs.get(), this->memory.get(),
                          this->saved.get());
        });
    }

    void backward(const Place& place, const Shape& shape, const typename P::Element* dy,
                  BackwardArrays<P>& arrays) override {
        this->clear(place, shape, arrays.h.get());
        this->clear(place, shape, arrays.c.get());
        const Part part(place, shape, backward_.bytes());
        backward_.fill(part);
        place.synchronize();
        part.run([&](const Place& own, const Shape& rows) {
            Cell::backward(own, rows, backward_, this->memory.get(), this->saved.get(), dy,
                           arrays.gradients.get(), arrays.h.get(), arrays.c.get());
        });
        place.synchronize();
    }

  private:
    GatePanels<P> forward_;
    UnitPanels<P> backward_;
};

template <class P>
class GRUAfterLayer final : public RecurrentLayer<P> {
  public:
    static constexpr int G = 3, SAVED = 4;

    GRUAfterLayer(const Shape& most, const LayerParameters<const float>& own)
        : RecurrentLayer<P>(most, G, SAVED), forward_(own.recurrent, most.units, G),
          backward_(own.recurrent, G * most.units, most.units),
          candidate_(own.candidate) {}

    bool has_products() const override { return true; }

    void forward(const Place& place, const Shape& shape, const Inputs<P>& inputs) override {
        const Part part(place, shape, forward_.bytes());
        forward_.fill(part);
        part.run([&](const Place& own, const Shape& rows) {
            GRUAfter<P>::forward(own, rows, inputs, forward_, candidate_,
                             this->outputs.get(), this->memory.get(), this->saved.get());
        });
    }

    void backward(const Place& place, const Shape& shape, const typename P::Element* dy,
                  BackwardArrays<P>& arrays) override {
        this->clear(place, shape, arrays.h.get());
        const Part part(place, shape, backward_.bytes());
        backward_.fill(part);
        place.synchronize();
        part.run([&](const Place& own, const Shape& rows) {
            GRUAfter<P>::backward(own, rows, backward_, this->memory.get(),
                              this->saved.get(), dy, arrays.gradients.get(), arrays.products.get(),
                              arrays.h.get());
        });
        place.synchronize();
    }

    void sum_gradients(const Place& place, const Shape& shape, const LeftRows<P>* x, float* to_bias,
                       const LayerParameters<float>& to, BackwardArrays<P>& arrays) override {
        const int count = shape.steps * shape.rows, gates = this->gates;
        arrays.outer.add_up(place, count, {this->past(shape, to.recurrent)}, arrays.products.get(),
                            even(gates), gates, arrays.column_sums.get());
        const float* candidate = arrays.column_sums.get() + 2 * std::ptrdiff_t(shape.units);
        place.synchronize();
        if (place.thread == 0) std::copy(candidate, candidate + shape.units, to.candidate);
        if (x)
            arrays.outer.add_up(place, count, {*x}, arrays.gradients.get(), even(gates), gates,
                                to_bias);
    }

  private:
    GatePanels<P> forward_;
    UnitPanels<P> backward_;
    const float* candidate_;
};

template <class P>
class GRUBeforeLayer final : public RecurrentLayer<P> {
  public:
    static constexpr int G = 3, SAVED = 3;

    GRUBeforeLayer(const Shape& most, const LayerParameters<const float>& own)
        : RecurrentLayer<P>(most, G, SAVED), gates_forward_(own.recurrent, most.units, 2),
          candidate_forward_(candidate_of(most, own), most.units, 1),
          gates_backward_(own.recurrent, 2 * most.units, most.units),
          candidate_backward_(candidate_of(most, own), most.units, most.units),
          reset_(allocate_zeros<typename P::Element>(most.row(most.steps, 0) * even(most.units))),
          update_(allocate<float>(std::size_t(most.rows) * most.units)) {}

    void forward(const Place& place, const Shape& shape, const Inputs<P>& inputs) override {
        const Part part(place, shape, gates_forward_.bytes() + candidate_forward_.bytes());
        gates_forward_.fill(part);
        candidate_forward_.fill(part);
        part.run([&](const Place& own, const Shape& rows) {
            GRUBefore<P>::forward(own, rows, inputs, gates_forward_, candidate_forward_,
                              this->outputs.get(), reset_.get(), this->memory.get(), update_.get(),
                              this->saved.get());
        });
    }

    void backward(const Place& place, const Shape& shape, const typename P::Element* dy,
                  BackwardArrays<P>& arrays) override {
        this->clear(place, shape, arrays.h.get());
        const Part part(place, shape, gates_backward_.bytes() + candidate_backward_.bytes());
        gates_backward_.fill(part);
        candidate_backward_.fill(part);
        place.synchronize();
        part.run([&](const Place& own, const Shape& rows) {
            GRUBefore<P>::backward(own, rows, gates_backward_, candidate_backward_,
                               this->memory.get(), this->saved.get(), dy, arrays.gradients.get(),
                               arrays.candidate.get(), arrays.h.get());
        });
        place.synchronize();
    }

    void sum_gradients(const Place& place, const Shape& shape, const LeftRows<P>* x, float* to_bias,
                       const LayerParameters<float>& to, BackwardArrays<P>& arrays) override {
        const int count = shape.steps * shape.rows, units = shape.units, gates = this->gates;
        const typename P::Element* gradients = arrays.gradients.get();
        arrays.outer.add_up(place, count, {this->past(shape, to.recurrent)}, gradients, even(gates),
                            2 * units, nullptr);
        const LeftRows<P> reset{reset_.get(), even(units), units,
                                to.recurrent + 2 * std::ptrdiff_t(units) * units};
        arrays.outer.add_up(place, count, {reset}, gradients + 2 * units, even(gates), units,
                            nullptr);
        if (x) arrays.outer.add_up(place, count, {*x}, gradients, even(gates), gates, to_bias);
    }

  private:
    static const float* candidate_of(const Shape& most, const LayerParameters<const float>& own) {
        return own.recurrent + 2 * std::ptrdiff_t(most.units) * most.units;
    }

    GatePanels<P> gates_forward_, candidate_forward_;
    UnitPanels<P> gates_backward_, candidate_backward_;
    Buffer<typename P::Element> reset_;
    Buffer<float> update_;
};

template <class P, Activation ACTIVATION>
class RNNLayer final : public RecurrentLayer<P> {
  public:
    using Cell = RNN<P, ACTIVATION>;

    RNNLayer(const Shape& most, const LayerParameters<const float>& own)
        : RecurrentLayer<P>(most, 1, 0), forward_(own.recurrent, most.units, most.units, true),
          backward_(own.recurrent, most.units, most.units) {}

    void forward(const Place& place, const Shape& shape, const Inputs<P>& inputs) override {
        const Part part(place, shape, forward_.bytes());
        forward_.fill(part);
        part.run([&](const Place& own, const Shape& rows) {
            Cell::forward(own, rows, inputs, forward_, this->outputs.get(),
                      this->memory.get());
        });
    }

    void backward(const Place& place, const Shape& shape, const typename P::Element* dy,
                  BackwardArrays<P>& arrays) override {
        const Part part(place, shape, backward_.bytes());
        backward_.fill(part);
        part.run([&](const Place& own, const Shape& rows) {
            Cell::backward(own, rows, backward_, this->memory.get(), dy,
                       arrays.gradients.get());
        });
        place.synchronize();
    }

  private:
    UnitPanels<P> forward_, backward_;
};

}  // namespace
